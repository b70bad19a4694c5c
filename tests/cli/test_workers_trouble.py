"""`trio-h2 serve --workers N` when signals, crashes and shortages come at bad moments."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import PATIENCE, PROGRAM, read_all, running
from tests.cli.worker_tools import APP, alive, ask, said, wait_gone, who_serves, workers
from trio_h2._cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Running

HANGS = "import os, sys, time\nprint('started', os.getpid(), file=sys.stderr, flush=True)\ntime.sleep(600)\n"
IMPATIENT = [
    sys.executable,
    "-c",
    "from trio_h2._cli import _workers, main\n_workers.MARGIN = 0.9\nraise SystemExit(main())",
]


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """An app that takes for ever to load."""
    file = tmp_path / "hanging.py"
    file.write_text(HANGS)
    return file


async def started_process(server: Running) -> int:
    """Waits until a worker of the app that hangs has said which one it is."""
    assert server.process.stderr is not None
    text = ""
    while not text.endswith("\n"):
        text += (await server.process.stderr.receive_some()).decode()
    return int(text.removeprefix("started"))


# -- at the start --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_the_first_worker_starts(hanging: Path, number: signal.Signals) -> None:
    async with running("serve", "--app", f"{hanging}:x", "--workers", "2") as server:
        worker = await started_process(server)
        server.signal(number)
        with trio.fail_after(10):
            ended = await server.ended()
        assert (ended.code, ended.out, ended.err) == (0, b"", "")
        assert not alive(worker)


async def test_the_first_process_is_killed_while_a_worker_starts(tmp_path: Path) -> None:
    """The worker finds nobody to tell that it is ready, and ends without a word."""
    file = tmp_path / "slow.py"
    file.write_text(HANGS.replace("600", "1") + APP)
    async with running("serve", "--app", f"{file}:who", "--workers", "1") as server:
        worker = await started_process(server)
        server.signal(signal.SIGKILL)
        ended = await server.ended()
        await wait_gone(worker)
        assert (ended.out, ended.err) == (b"", "")


async def test_a_worker_is_killed_at_the_start(hanging: Path) -> None:
    async with running("serve", "--app", f"{hanging}:x", "--workers", "2") as server:
        os.kill(await started_process(server), signal.SIGKILL)
        (await server.ended()).failed(1, "a worker ended before it served, with signal 9")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_no_certificate_is_left_behind(hanging: Path, tmp_path: Path, number: signal.Signals) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = ["/usr/bin/env", f"TMPDIR={temporary}", *PROGRAM]
    argv = ["serve", "--app", f"{hanging}:x", "--workers", "1", "--self-signed"]
    async with running(*argv, program=command) as server:
        await started_process(server)
        assert len(list(temporary.iterdir())) == 1
        server.signal(number)
        assert (await server.ended()).code == 0
    assert not list(temporary.iterdir())


def test_a_system_that_cannot_share_ports(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    monkeypatch.delattr(signal, "SIGUSR1")
    assert main(["serve", "--workers", "2", "--self-signed"]) == 2
    assert capsys.readouterr() == ("", "trio-h2: --workers needs a system with SO_REUSEPORT\n")


# -- replacing -----------------------------------------------------------------------------------------------------


async def test_the_end_while_a_replacement_starts(app: Path) -> None:
    async with workers(app, "who", 1) as (server, url):
        before = await ask(url)
        await trio.Path(app).write_text(HANGS)
        server.signal(signal.SIGUSR1)
        new = await started_process(server)
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")
        assert not alive(new)
        assert not alive(before)


async def test_a_new_version_that_hangs_can_be_replaced(app: Path) -> None:
    async with workers(app, "who", 2) as (server, url):
        before = await who_serves(url, 2)
        await trio.Path(app).write_text(HANGS)
        server.signal(signal.SIGUSR1)
        hangs = await started_process(server)
        await trio.Path(app).write_text(APP)
        server.signal(signal.SIGUSR1)
        await wait_gone(hangs, *before)
        assert not await who_serves(url, 2) & before
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")


# Is ready after it has been told to end, and does that half a second later.
LATE = """import os, pathlib, signal, sys, threading, time
HERE = pathlib.Path(__file__).parent
def told(number, frame):
    HERE.joinpath("told").touch()
def end():
    while not HERE.joinpath("go").exists():
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, told)
threading.Thread(target=end, daemon=True).start()
print("started", os.getpid(), file=sys.stderr, flush=True)
while not HERE.joinpath("go").exists():
    time.sleep(0.01)
"""


async def test_a_new_version_that_is_ready_when_it_is_given_up(app: Path) -> None:
    """It has not served, so its end is no accident."""
    async with workers(app, "who", 1) as (server, url):
        before = await ask(url)
        await trio.Path(app).write_text(LATE + APP)
        server.signal(signal.SIGUSR1)
        late = await started_process(server)
        await trio.Path(app).write_text(APP)
        server.signal(signal.SIGUSR1)
        while not await trio.Path(app).with_name("told").exists():  # noqa: ASYNC110 - it is a file
            await trio.sleep(0.01)
        await trio.Path(app).with_name("go").touch()
        await wait_gone(late, before)
        assert await ask(url) not in (before, late)
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")


async def test_attempts_stay_apart_after_a_signal(tmp_path: Path) -> None:
    """A worker that cannot start any more is tried again in steps, also after SIGUSR1 has asked for one at once."""
    file = tmp_path / "app.py"
    file.write_text(APP)
    async with workers(file, "who", 1) as (server, url):
        victim = await ask(url)
        tries = tmp_path / "tries"
        file.write_text(f"open({str(tries)!r}, 'a').write('x')\nraise SystemExit(1)")
        os.kill(victim, signal.SIGKILL)
        for _ in range(20):
            server.signal(signal.SIGUSR1)
            await trio.sleep(0.05)
        # The last signal has asked for another process, which takes a while to start.
        while not tries.exists():  # noqa: ASYNC110 - it is a file
            await trio.sleep(0.05)
        await trio.sleep(1.5)  # the next delay is a second by now
        before = tries.stat().st_size
        await trio.sleep(3)
        assert tries.stat().st_size - before <= 4
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


async def test_many_signals_at_once(app: Path) -> None:
    async with workers(app, "who", 2) as (server, url):
        before = await who_serves(url, 2)
        for _ in range(50):
            server.signal(signal.SIGUSR1)
        await wait_gone(*before)
        assert not await who_serves(url, 2) & before
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")


async def test_a_shortage_of_descriptors_passes(app: Path) -> None:
    """No process can be made for a while: the other workers serve on."""
    async with workers(app, "who", 2) as (server, url):
        before = await who_serves(url, 2)
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        await said(server, "cannot be started: Too many open files")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert len(await who_serves(url, 2) & before) == 1
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


# -- workers that hang ---------------------------------------------------------------------------------------------


async def test_a_worker_that_hangs_at_the_end(app: Path) -> None:
    argv = ["serve", "--app", f"{app}:who", "--workers", "1", "--graceful-timeout", "0.1"]
    async with running(*argv, program=IMPATIENT) as server:
        worker = await ask(await server.url())
        os.kill(worker, signal.SIGSTOP)
        server.signal(signal.SIGTERM)
        (await server.ended()).failed(1, "did not end within 1 seconds, and were killed")
        assert not alive(worker)


async def test_a_worker_that_hangs_when_it_is_replaced(app: Path) -> None:
    argv = ["serve", "--app", f"{app}:who", "--workers", "1", "--graceful-timeout", "0.1"]
    async with running(*argv, program=IMPATIENT) as server:
        url = await server.url()
        worker = await ask(url)
        os.kill(worker, signal.SIGSTOP)
        server.signal(signal.SIGUSR1)
        with trio.fail_after(PATIENCE):
            await wait_gone(worker)
        assert await ask(url) != worker
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert ended.code == 0
        assert f"worker 1 (process {worker}), replaced, did not end within 1 seconds, and is killed" in ended.err


async def test_a_worker_that_hangs_is_not_left_over(hanging: Path) -> None:
    """Not even if the first process is killed while the app is being loaded."""
    argv = ["serve", "--app", f"{hanging}:x", "--workers", "1", "--graceful-timeout", "0.1"]
    async with running(*argv, program=IMPATIENT) as server:
        worker = await started_process(server)
        server.signal(signal.SIGKILL)
        ended = await server.ended()
        with trio.fail_after(PATIENCE):
            await wait_gone(worker)
        assert ended.err == ""


# -- descriptors ---------------------------------------------------------------------------------------------------

DESCRIPTORS = """
import os

def sockets(of):
    links = (f"/proc/{of}/fd/{fd}" for fd in os.listdir(f"/proc/{of}/fd"))
    return [os.readlink(link) for link in links if os.path.lexists(link) and "socket:" in os.readlink(link)]

async def handle(stream):
    if stream.path == "/child":
        child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        try:
            while "sleep" not in os.readlink(f"/proc/{child}/exe"):
                pass
            answer = sockets(child)
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
    else:
        answer = sockets(os.getpid())
    await stream.respond({":status": 200, "worker": os.getpid()}, body=" ".join(answer).encode())
"""


async def test_descriptors_go_where_they_belong(tmp_path: Path) -> None:
    """No worker has the control socket of another one, and what an app starts has none at all."""
    file = tmp_path / "app.py"
    file.write_text(DESCRIPTORS)
    found: dict[str, set[str]] = {}
    async with workers(file, "handle", 3) as (_server, url):
        while len(found) < 3:
            async with trio_h2.connect(url) as session:
                async with session.request("GET", "/") as stream:
                    worker = str((await stream.receive_response())["worker"])
                    found[worker] = set((await read_all(stream)).decode().split())
                async with session.request("GET", "/child") as stream:
                    assert await read_all(stream) == b""
    first, second, third = found.values()
    assert first
    assert not (first & second | first & third | second & third)
