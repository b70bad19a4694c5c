"""Our client against nginx over TLS: files, uploads, and sessions that nginx ends while requests run."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB, body, sha256
from tests.interop.fetching import checked_session, download_sum, fetch
from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder, Program

MAX_STREAMS = 8
KEEPALIVE_REQUESTS = 30

_HTTP = """
    http2_max_concurrent_streams {streams};
    server {{
        # With nginx 1.25 and later `http2 on;` is the name of this, and this still works.
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/files;
        keepalive_requests {keepalive_requests};
        location /uploads/ {{ dav_methods PUT DELETE; }}
        location /slow/ {{ alias {folder}/files/; limit_rate 2m; }}
        location /refused {{ return 403; }}
    }}
"""


class Nginx:
    """A running nginx."""

    def __init__(self, program: Program, folder: Path, port: int) -> None:
        self.program = program
        self.files = folder / "files"
        self.url = f"https://127.0.0.1:{port}"

    def reload(self) -> None:
        """Has it start a new worker; the old one ends when its requests are done."""
        os.kill(self.program.pid, signal.SIGHUP)


@pytest.fixture
def keepalive_requests() -> int:
    """How many requests nginx serves on one connection; a test that wants fewer parametrizes this name."""
    return 100_000


@pytest.fixture
async def nginx(
    peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path, keepalive_requests: int
) -> AsyncGenerator[Nginx, None]:
    (tmp_path / "files" / "uploads").mkdir(parents=True)
    (tmp_path / "files" / "small").write_bytes(b"from nginx\n")
    (tmp_path / "files" / "medium").write_bytes(body(4 * MIB))
    (tmp_path / "files" / "large").write_bytes(body(50 * MIB))
    port = free_port()
    http = _HTTP.format(
        folder=tmp_path,
        port=port,
        certificate=tls_files.certificate,
        key=tls_files.key,
        streams=MAX_STREAMS,
        keepalive_requests=keepalive_requests,
    )
    command = nginx_command(peers, tmp_path, http)
    async with running(*command) as program:
        await program.wait_for_port(port)
        yield Nginx(program, tmp_path, port)


@pytest.fixture
async def session(nginx: Nginx, tls_files: TlsFiles) -> AsyncGenerator[trio_h2.ClientSession, None]:
    async with checked_session(nginx.url, tls_files) as session:
        yield session


async def test_get(session: trio_h2.ClientSession) -> None:
    response = await fetch(session, "/small")
    assert (response.status, response.body) == (200, b"from nginx\n")
    assert response.headers["server"].startswith("nginx")
    assert (await fetch(session, "/nothing")).status == 404


async def test_head_and_conditional_get(session: trio_h2.ClientSession) -> None:
    head = await fetch(session, "/small", method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "11", b"")
    unchanged = await fetch(session, "/small", headers={"if-none-match": head.headers["etag"]})
    assert (unchanged.status, unchanged.body) == (304, b"")
    part = await fetch(session, "/small", headers={"range": "bytes=5-9"})
    assert (part.status, part.body) == (206, b"nginx")


async def test_large_download(session: trio_h2.ClientSession) -> None:
    assert await download_sum(session, "/large") == (50 * MIB, sha256(50 * MIB))


async def test_large_upload(session: trio_h2.ClientSession, nginx: Nginx) -> None:
    sent = body(20 * MIB)
    assert (await fetch(session, "/uploads/file", method="PUT", body=sent)).status == 201
    assert (nginx.files / "uploads" / "file").read_bytes() == sent
    assert (await fetch(session, "/uploads/file", method="DELETE")).status == 204


async def test_upload_that_is_refused(session: trio_h2.ClientSession) -> None:
    """nginx responds at once, takes no more of the body, and the session goes on."""
    response = await fetch(session, "/refused", method="POST", body=bytes(20 * MIB))
    assert response.status == 403
    assert (await fetch(session, "/small")).status == 200


async def test_upload_that_expects_100(session: trio_h2.ClientSession, nginx: Nginx) -> None:
    """nginx never sends a 100 over HTTP/2, so the body goes out after a second."""
    async with session.request("PUT", "/uploads/file", body=b"at last", expect_continue=True) as stream:
        assert (await stream.receive_response()).status == 201
        assert stream.informational == []
    assert (nginx.files / "uploads" / "file").read_bytes() == b"at last"


async def test_more_requests_than_the_server_takes_at_a_time(session: trio_h2.ClientSession) -> None:
    sums: list[tuple[int, str]] = []

    async def get() -> None:
        sums.append(await download_sum(session, "/medium"))

    await session.ping()  # the server's limit has come
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(get)
    assert sums == [(4 * MIB, sha256(4 * MIB))] * 40
    assert session.peer_settings.max_concurrent_streams == MAX_STREAMS


async def test_ping(session: trio_h2.ClientSession) -> None:
    assert (await session.ping()).round_trip > 0


@pytest.mark.parametrize("keepalive_requests", [KEEPALIVE_REQUESTS])
async def test_goaway_after_so_many_requests(nginx: Nginx, tls_files: TlsFiles) -> None:
    """After `keepalive_requests` nginx sends GOAWAY: what it has taken finishes, all else is done on new sessions."""
    todo = [f"/small?{n}" for n in range(100)]
    rounds = []
    while todo:
        async with checked_session(nginx.url, tls_files) as session:
            await session.ping()  # its limit on streams has come, so it need not refuse any
            refused = await get_all(session, todo)
        rounds.append(len(todo) - len(refused))
        todo = refused
    assert rounds == [30, 30, 30, 10]


async def get_all(session: trio_h2.ClientSession, paths: list[str]) -> list[str]:
    """Requests all at once; returns those that the server did not process."""
    refused = []
    errors: list[trio_h2.H2Error] = []

    async def get(path: str) -> None:
        try:
            assert (await fetch(session, path)).body == b"from nginx\n"
        except (trio_h2.GoAwayError, trio_h2.StreamRefusedError) as exc:
            errors.append(exc)
            refused.append(path)

    async with trio.open_nursery() as nursery:
        for path in paths:
            nursery.start_soon(get, path)
    assert all(error.retryable for error in errors)
    return refused


async def test_reload_lets_requests_finish(nginx: Nginx, tls_files: TlsFiles) -> None:
    """A reload ends the old worker: GOAWAY, and the download that runs comes to its end."""
    async with checked_session(nginx.url, tls_files) as session:
        async with session.request("GET", "/slow/medium") as stream:
            await stream.receive_response()
            nginx.reload()
            received = b"".join([chunk async for chunk in stream])
        assert received == body(4 * MIB)
        with pytest.raises(trio_h2.GoAwayError) as caught, trio.fail_after(10):
            while True:  # until the worker has seen that nothing runs any more
                await fetch(session, "/small")
        assert caught.value.retryable
    async with checked_session(nginx.url, tls_files) as session:
        assert (await fetch(session, "/small")).status == 200
