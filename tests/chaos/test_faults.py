"""Faults of the machine, for real: no descriptors, a full disk, processes that are killed or stopped."""

from __future__ import annotations

import os
import signal
import tempfile
from typing import IO, TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import PROGRAM, read_all, run, running
from trio_h2.compat import request_handler
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Running
    from trio_h2.compat import Request, Response

DESCRIPTORS = 48
FEW_DESCRIPTORS = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *PROGRAM]
FULL = "/dev/full"
"""Linux has it: a disk on which nothing fits."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with a small and a large file."""
    (tmp_path / "small.txt").write_bytes(b"hello")
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(100 * 2**20)
    return tmp_path


async def status_of(session: trio_h2.ClientSession, path: str = "/small.txt") -> int:
    """Returns what a GET is answered with; the body of 200 must be right."""
    async with session.request("GET", path) as stream:
        status = (await stream.receive_response()).status
        if status == 200:
            assert await read_all(stream) == b"hello"
        return status


async def until(session: trio_h2.ClientSession, status: int) -> None:
    """Asks until the answer is *status*: until the server has noticed the state of its machine."""
    with trio.fail_after(10):
        while (found := await status_of(session)) != status:
            assert found in (200, 500)
            await trio.sleep(0.01)


async def ends_in_good_order(server: Running) -> str:
    """Stops the server; returns what it said on stderr."""
    server.signal(signal.SIGTERM)
    ended = await server.ended()
    assert ended.code == 0, ended
    assert "Traceback" not in ended.err
    return ended.err


async def test_a_server_without_descriptors(site: Path) -> None:
    """Connections wait, files are 500 and not 404; when there are descriptors again, all is as before."""
    async with running("serve", str(site), "--host", "127.0.0.1", "--port", "0", program=FEW_DESCRIPTORS) as server:
        url = await server.url()
        port = int(url.rstrip("/").rpartition(":")[2])
        async with trio_h2.connect(url) as session:
            assert await status_of(session) == 200
            idle = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2 * DESCRIPTORS)]
            await until(session, 500)
            assert await status_of(session, "/none") == 500, "whether it exists cannot be told now"
            for transport in idle:
                await transport.aclose()
            await until(session, 200)
            assert await status_of(session, "/none") == 404
        async with trio_h2.connect(url) as session:
            assert await status_of(session) == 200
        told = await ends_in_good_order(server)
    assert "Too many open files" in told


async def test_a_download_that_does_not_fit(site: Path) -> None:
    async with running("serve", str(site), "--host", "127.0.0.1", "--port", "0") as server:
        ended = await run("get", f"{(await server.url()).rstrip('/')}/large.bin", "-o", FULL)
        ended.failed(1, FULL, "No space left on device")
        assert await ends_in_good_order(server) == ""


async def test_an_access_log_that_does_not_fit(site: Path) -> None:
    """Requests are answered all the same."""
    with open(FULL, "wb") as full:  # noqa: ASYNC230 - a device that takes no time
        options = "--host", "127.0.0.1", "--port", "0", "--access-log", "text"
        async with running("serve", str(site), *options, stderr=full.fileno()) as server:
            async with trio_h2.connect(await server.url()) as session:
                for _ in range(3):
                    assert await status_of(session) == 200
            server.signal(signal.SIGTERM)
            assert await server.process.wait() == 0


async def test_an_upload_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """500, and the next request is served; the temporary file is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files: list[IO[bytes]] = []
    real = tempfile.TemporaryFile

    def full(*args: str, **kwargs: str) -> IO[bytes]:
        assert not args
        assert not kwargs
        file = real()
        files.append(file)
        disk = os.open(FULL, os.O_RDWR)
        os.dup2(disk, file.fileno())
        os.close(disk)
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", full)

    async def app(request: Request, response: Response) -> None:
        if request.method == "POST":
            await request.form()
        await response.send_text("fine")

    head = b'--x\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n'
    form = head + bytes(5 * 2**20) + b"\r\n--x--\r\n"
    handler = request_handler(app, max_body_size=2**24)
    async with session_pair(handler, raise_handler_errors=False) as (client, server):
        headers = {"content-type": "multipart/form-data; boundary=x"}
        async with client.request("POST", headers=headers, body=form) as stream:
            assert (await stream.receive_response()).status == 500
        async with client.request("GET") as stream:
            assert (await stream.receive_response()).status == 200
        assert not server.closed
    assert files
    assert all(file.closed for file in files)
    assert not os.listdir(tmp_path)


async def test_a_server_that_is_killed(site: Path) -> None:
    """Whoever reads a body gets a typed error, and no end that looks whole."""
    async with (
        running("serve", str(site), "--host", "127.0.0.1", "--port", "0") as server,
        trio_h2.connect(await server.url()) as session,
    ):
        async with session.request("GET", "/large.bin") as stream:
            assert await stream.receive_some()
            server.signal(signal.SIGKILL)
            with pytest.raises(trio_h2.TransportLostError), trio.fail_after(10):
                await read_all(stream)
        with pytest.raises(trio_h2.SessionError):
            await session.wait_closed()


async def test_a_server_that_is_stopped_and_goes_on(site: Path) -> None:
    """A client with a keep-alive of a second notices; when the server goes on, others are served."""
    async with running("serve", str(site), "--host", "127.0.0.1", "--port", "0") as server:
        url = await server.url()
        config = trio_h2.ClientConfig(ping_interval=0.5, ping_timeout=0.5)
        async with trio_h2.connect(url, config=config) as session:
            assert await status_of(session) == 200
            server.signal(signal.SIGSTOP)
            with pytest.raises(trio_h2.KeepaliveTimeoutError), trio.fail_after(10):
                await status_of(session)
        server.signal(signal.SIGCONT)
        async with trio_h2.connect(url) as session:
            assert await status_of(session) == 200
        assert await ends_in_good_order(server) == ""
