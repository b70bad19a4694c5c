"""What a server of the command line listens on: hosts, ports, Unix sockets, and sockets that others have opened."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import sys
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import PROGRAM, fetch, read_all, run, running
from trio_h2._cli._binds import Bind, parse_bind, parse_descriptor, parse_unix, tcp_bind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cli.tools import Running

ALONE_AND_WORKERS = pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["alone", "workers"])

# Opens sockets as systemd does: from descriptor 3 on, and with its variables for the process that this one becomes.
PASSING = """
import fcntl, os, socket, sys
kind, command = sys.argv[1], sys.argv[2:]
sockets = []
for _ in range(2):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "datagrams" else socket.SOCK_STREAM)
    one.bind(("127.0.0.1", 0))
    if kind not in ("datagrams", "unlistened"):
        one.listen()
    sockets.append(one)
copies = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 20) for one in sockets]
for number, fd in enumerate(copies):
    os.dup2(fd, 3 + number)
process = os.getpid() + (kind == "another")
os.environ.update(LISTEN_PID=str(process), LISTEN_FDS="2", LISTEN_FDNAMES="a:b")
os.execv(sys.executable, [sys.executable, *command])
"""


def passing(kind: str) -> Sequence[str]:
    return [sys.executable, "-c", PASSING, kind, *PROGRAM[1:]]


async def urls(server: Running, number: int) -> list[str]:
    return [await server.url() for _ in range(number)]


@pytest.fixture
def files(tmp_path: Path) -> str:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_bytes(b"here")
    return str(tmp_path / "files")


async def get_over(path: Path) -> bytes:
    async with (
        trio_h2.connect("http://localhost", unix_path=path) as session,
        session.request("GET", "/a") as stream,
    ):
        return await read_all(stream)


# -- as they are written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("localhost:80", Bind("localhost", 80)),
        ("192.0.2.1:0", Bind("192.0.2.1", 0)),
        ("[::1]:65535", Bind("::1", 65535)),
        ("[fe80::1%eth0]:1", Bind("fe80::1%eth0", 1)),
        (":80", Bind(None, 80)),
        ("*:80", Bind(None, 80)),
        ("[::]:80", Bind(None, 80)),
        ("0.0.0.0:80", Bind("0.0.0.0", 80)),
    ],
)
def test_hosts_and_ports(text: str, bind: Bind) -> None:
    assert parse_bind(text) == bind


@pytest.mark.parametrize(
    "text", ["", "80", "host", "host:", "::1:80", "host:65536", "host:x", "[::1]", "[a:1", "a b:²"]
)
def test_what_is_no_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_bind(text)


def test_hosts_with_brackets() -> None:
    assert tcp_bind("[::1]", 1) == Bind("::1", 1)
    assert tcp_bind("::", 1) == Bind(None, 1)


@pytest.mark.parametrize(
    ("text", "path", "mode"),
    [
        ("a", "a", None),
        ("/a b:660", "/a b", 0o660),
        ("a:0600", "a", 0o600),
        ("a:1", "a:1", None),
        ("a:888", "a:888", None),
    ],
)
def test_paths_and_modes(text: str, path: str, mode: int | None) -> None:
    assert parse_unix(text) == Bind(path=path, mode=mode)


@pytest.mark.parametrize("text", ["", ":", "x", "-1", "²", "99999999999"])
def test_what_is_no_descriptor(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_descriptor(text)


def test_what_is_no_path() -> None:
    with pytest.raises(ValueError, match="PATH:MODE"):
        parse_unix("")


# -- TCP -----------------------------------------------------------------------------------------------------------


@ALONE_AND_WORKERS
@pytest.mark.parametrize("where", [["--host", "::"], ["--bind", ":0"], ["--bind", "*:0"]])
async def test_every_address_of_both_families(where: list[str], workers: list[str], files: str) -> None:
    async with running("serve", files, *where, *workers) as server:
        url = await server.url()
        assert url.startswith("http://localhost:")
        port = url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            assert await fetch(f"http://{host}:{port}/a", "--fail") == 0


async def test_every_address_of_one_family(files: str) -> None:
    async with running("serve", files, "--host", "0.0.0.0") as server:
        port = (await server.url()).rpartition(":")[2]
        assert await fetch(f"http://127.0.0.1:{port}/a", "--fail") == 0
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("::1", int(port))


@ALONE_AND_WORKERS
async def test_several(workers: list[str], files: str) -> None:
    binds = ["--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--host", "localhost"]
    async with running("serve", files, *binds, *workers) as server:
        found = await urls(server, 3)
        assert [url.rpartition(":")[0] for url in found] == ["http://localhost", "http://127.0.0.1", "http://[::1]"]
        for url in found:
            assert await fetch(f"{url}/a", "--fail") == 0
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


async def test_one_that_fails_leaves_none_open(files: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    done = await run("serve", files, "--unix", str(path), "--bind", "192.0.2.1:1")
    done.failed(1, "cannot listen on 192.0.2.1, port 1")
    assert not path.exists()


async def test_the_throw_away_certificate_is_for_all_of_them(files: str, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    binds = ["--bind", "127.0.0.2:0", "--bind", "localhost:0"]
    async with running("serve", files, *binds, "--self-signed", "--write-ca", str(ca)) as server:
        for url in await urls(server, 2):
            assert await fetch(f"{url}/a", "--ca", str(ca), "--fail") == 0


# -- Unix sockets --------------------------------------------------------------------------------------------------


@ALONE_AND_WORKERS
async def test_a_unix_socket(workers: list[str], files: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with running("serve", files, "--unix", f"{path}:640", *workers) as server:
        assert await server.line() == f"Listening on unix:{path}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for _ in range(5):
            assert await get_over(path) == b"here"
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0
    assert not path.exists()


async def test_one_that_was_left_behind_is_replaced(files: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with running("serve", files, "--unix", str(path)) as server:
        await server.line()
        assert await get_over(path) == b"here"
        # Another server must not take it away, nor this one that of another one.
        (await run("serve", files, "--unix", str(path))).failed(1, f"cannot listen on {path}", "in use")
        assert await get_over(path) == b"here"
        path.unlink()
        path.write_bytes(b"something else")
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0
    assert path.read_bytes() == b"something else"
    (await run("serve", files, "--unix", str(path))).failed(1, "cannot listen on", "in use")


# -- descriptors ---------------------------------------------------------------------------------------------------


@ALONE_AND_WORKERS
async def test_sockets_that_systemd_passes(workers: list[str], files: str) -> None:
    async with running("serve", files, *workers, program=passing("listening")) as server:
        for url in await urls(server, 2):
            assert url.startswith("http://127.0.0.1:")
            assert await fetch(f"{url}/a", "--fail") == 0
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


async def test_sockets_that_are_for_another_process(files: str) -> None:
    """LISTEN_PID says for whom they are."""
    async with running("serve", files, program=passing("another")) as server:
        assert (await server.url()).startswith("http://localhost:")


@pytest.mark.parametrize("kind", ["datagrams", "unlistened"])
async def test_sockets_that_do_not_fit(kind: str, files: str) -> None:
    async with running("serve", files, program=passing(kind)) as server:
        (await server.ended()).failed(2, "cannot listen on descriptor 3", "no listening TCP or Unix socket")


@ALONE_AND_WORKERS
async def test_an_inherited_descriptor(workers: list[str], files: str) -> None:
    argv = ["serve", files, "--fd", "4", "--bind", "localhost:0", *workers]
    async with running(*argv, program=passing("another")) as server:
        first, second = await urls(server, 2)
        assert first.startswith("http://127.0.0.1:")
        assert second.startswith("http://localhost:")
        for url in (first, second):
            assert await fetch(f"{url}/a", "--fail") == 0


async def test_what_is_no_socket(files: str) -> None:
    (await run("serve", files, "--fd", "0")).failed(2, "descriptor 0")
    (await run("serve", files, "--fd", "999")).failed(2, "descriptor 999", os.strerror(9))


async def test_what_an_app_starts_gets_none_of_them(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import os, subprocess, sys\n"
        'PROGRAM = \'import os; print([k for k in os.environ if k[:7] == "LISTEN_"], end=" "); os.fstat(3)\'\n'
        "async def handle(stream):\n"
        "    child = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, close_fds=False)\n"
        "    await stream.respond(body=child.stdout + child.stderr[-40:])\n"
    )
    async with running("serve", "--app", f"{app}:handle", program=passing("listening")) as server:
        url = await server.url()
        async with trio_h2.connect(url) as session, session.request("GET") as stream:
            said = await read_all(stream)
    assert said.startswith(b"[] ")
    assert b"Bad file descriptor" in said
