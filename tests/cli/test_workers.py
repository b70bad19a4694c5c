"""`trio-h2 serve --workers N`: processes on one port, one that looks after them, and none left over."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import PATIENCE, fetch, read_all, run, running
from tests.cli.worker_tools import APP, alive, ask, said, wait_gone, who_serves, workers
from trio_h2._cli._args import ServeOptions, parse

if TYPE_CHECKING:
    from pathlib import Path

    from trio_h2.testing import ThrowawayAuthority

# -- serving -------------------------------------------------------------------------------------------------------


async def test_several_processes_answer(app: Path) -> None:
    async with workers(app, "who", 3) as (server, url):
        found = await who_serves(url, 3)
        assert server.process.pid not in found
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert (ended.code, ended.out, ended.err) == (0, b"", "")
        assert not any(map(alive, found)), "they ended before the one that looks after them"


async def test_files(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"x")
    # A module of the directory must not get into the workers.
    (tmp_path / "trio.py").write_text("raise ImportError")
    async with running("serve", str(tmp_path), "--workers", "2") as server:
        assert await fetch(f"{await server.url()}/here", "--fail") == 0


async def test_they_share_a_throw_away_certificate(tmp_path: Path, app: Path) -> None:
    ca = tmp_path / "ca.pem"
    async with workers(app, "who", 2, "--self-signed", "--write-ca", str(ca)) as (_server, url):
        assert url.startswith("https://localhost:")
        context = trio_h2.client_ssl_context(ca)
        found: set[bytes] = set()
        while len(found) < 2:
            async with (
                trio_h2.connect(url, ssl_context=context) as session,
                session.request("GET") as stream,
            ):
                found.add(await read_all(stream))


async def test_a_certificate_of_ones_own(tmp_path: Path, app: Path, authority: ThrowawayAuthority) -> None:
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.write_ca(ca)
    authority.write_server(cert, key)
    async with workers(app, "who", 2, "--cert", str(cert), "--key", str(key)) as (_server, url):
        assert await fetch(url, "--ca", str(ca), "--fail") == 0


# -- workers that die, or are replaced -----------------------------------------------------------------------------


async def test_a_killed_worker_is_replaced(app: Path) -> None:
    async with workers(app, "who", 2) as (server, url):
        before = await who_serves(url, 2)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        await wait_gone(victim)
        found: set[int] = set()
        while len(found) < 2:
            found.add(await ask(url))  # none of these fails: they wait until somebody accepts them
        assert victim not in found
        assert len(found & before) == 1
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert ended.code == 0
        assert f"(process {victim}) ended with signal 9; another one starts" in ended.err


async def test_a_worker_that_crashes_again_and_again(app: Path) -> None:
    async with workers(app, "crash", 1) as (server, url):
        for _ in range(3):
            with pytest.raises((trio_h2.H2Error, OSError)):
                await ask(url)
        await said(server, *["ended with exit code 7"] * 3)
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


async def test_all_are_replaced_while_requests_go_on(app: Path) -> None:
    """No request is lost, and one that runs is finished by the worker that has it."""
    async with workers(app, "echo", 2) as (server, url):
        async with trio_h2.connect(url) as session, session.request("POST", end_stream=False) as stream:
            old = int(str((await stream.receive_response())["worker"]))
            before, recent = {old}, deque[int](maxlen=20)

            async def ask_once() -> None:
                # Refused: the worker said GOAWAY before the request was sent. One that was sent is answered.
                with contextlib.suppress(trio_h2.StreamRefusedError):
                    async with trio_h2.connect(url) as session, session.request("POST", body=b"x") as one:
                        recent.append(int(str((await one.receive_response())["worker"])))
                        assert await read_all(one) == b"x"

            while len(before) < 2:
                await ask_once()
                before |= set(recent)
            server.signal(signal.SIGUSR1)
            while len(recent) < 20 or len(set(recent) - before) < 2 or set(recent) & before:
                await ask_once()
            assert alive(old), "it has a request to finish"
            await stream.send_all(b"still here")
            await stream.send_eof()
            assert await read_all(stream) == b"still here"
        await wait_gone(*before)
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")


async def test_a_new_version_that_cannot_start_replaces_nothing(app: Path) -> None:
    async with workers(app, "who", 1) as (server, url):
        before = await ask(url)
        await trio.Path(app).write_text("raise RuntimeError('half written')")
        server.signal(signal.SIGUSR1)
        await said(server, "half written", "worker 1 stays")
        assert await ask(url) == before
        await trio.Path(app).write_text(APP)
        server.signal(signal.SIGUSR1)
        await wait_gone(before)
        assert await ask(url) != before
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains_all(app: Path, number: signal.Signals) -> None:
    async with workers(app, "echo", 2) as (server, url):
        async with trio_h2.connect(url) as session, session.request("POST", end_stream=False) as stream:
            await stream.receive_response()
            server.signal(number)
            await session.wait_draining()
            await stream.send_all(b"after")
            await stream.send_eof()
            assert await read_all(stream) == b"after"
        ended = await server.ended()
        assert (ended.code, ended.out, ended.err) == (0, b"", "")


async def test_a_second_signal_ends_all_at_once(app: Path) -> None:
    async with workers(app, "stubborn", 2) as (server, url):
        async with trio_h2.connect(url) as session, session.request("GET") as stream:
            worker = int(str((await stream.receive_response())["worker"]))
            server.signal(signal.SIGTERM)
            await session.wait_draining()
            server.signal(signal.SIGTERM)
            with pytest.raises(trio_h2.H2Error):
                await read_all(stream)
            ended = await server.ended()
        assert (ended.code, ended.out, ended.err) == (128 + signal.SIGTERM, b"", "")
        assert not alive(worker)


async def test_none_is_left_when_the_first_process_is_killed(app: Path) -> None:
    async with workers(app, "who", 3) as (server, url):
        found = await who_serves(url, 3)
        server.signal(signal.SIGKILL)
        await server.process.wait()
        with trio.fail_after(PATIENCE):
            await wait_gone(*found)


# -- failures ------------------------------------------------------------------------------------------------------


async def test_an_app_that_cannot_be_loaded_is_told_of_once(tmp_path: Path) -> None:
    ended = await run("serve", "--app", f"{tmp_path}/absent.py:x", "--workers", "3")
    assert ended.out == b""
    ended.failed(2, "there is no file")


async def test_a_port_in_use(app: Path) -> None:
    """Even by another server whose port could be shared."""
    async with workers(app, "who", 2) as (_server, url):
        port = url.rpartition(":")[2]
        ended = await run("serve", "--app", f"{app}:who", "--workers", "2", "--port", port)
        ended.failed(1, "localhost", port, "in use")


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["serve", "--workers", "4"]) == ServeOptions(directory=".", workers=4)
    for wrong in ("0", "-1", "x", "513", ""):
        with pytest.raises(SystemExit) as caught:
            parse(["serve", "--workers", wrong])
        assert caught.value.code == 2
        assert "1 to 512" in capsys.readouterr().err
