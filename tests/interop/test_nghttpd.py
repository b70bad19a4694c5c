"""Our client against nghttpd, in cleartext with prior knowledge and over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB, body, sha256
from tests.interop.fetching import checked_session, download_sum, echo_sum, fetch, receive_sum
from tests.interop.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

MAX_STREAMS = 10


@pytest.fixture(params=["h2c", "tls"])
async def url(
    request: pytest.FixtureRequest, peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path
) -> AsyncGenerator[str, None]:
    """nghttpd: pads its frames, adds a trailer, allows few streams, and would push if it might."""
    tls = request.param == "tls"
    (tmp_path / "small").write_bytes(b"from nghttpd\n")
    (tmp_path / "large").write_bytes(body(50 * MIB))
    port = free_port()
    options = [
        "--address=127.0.0.1",
        f"--htdocs={tmp_path}",
        f"--max-concurrent-streams={MAX_STREAMS}",
        "--echo-upload",
        "--padding=100",
        "--trailer=x-end: yes",
        "--push=/small=/large",
    ]
    files = [tls_files.key, tls_files.certificate] if tls else ["--no-tls"]
    async with running(peers.program("nghttpd"), *options, str(port), *files) as program:
        await program.wait_for_port(port)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"


@pytest.fixture
async def session(url: str, tls_files: TlsFiles) -> AsyncGenerator[trio_h2.ClientSession, None]:
    async with checked_session(url, tls_files) as session:
        yield session


async def test_get(session: trio_h2.ClientSession) -> None:
    response = await fetch(session, "/small")
    assert (response.status, response.body) == (200, b"from nghttpd\n")
    assert response.headers["content-length"] == str(len(response.body))
    assert response.trailers is not None
    assert dict(response.trailers) == {"x-end": "yes"}
    assert response.rst_code == trio_h2.ErrorCode.NO_ERROR


async def test_head_and_missing_file(session: trio_h2.ClientSession) -> None:
    head = await fetch(session, "/small", method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "13", b"")
    assert (await fetch(session, "/nothing")).status == 404


async def test_settings_and_ping(session: trio_h2.ClientSession) -> None:
    result = await session.ping(b"01234567")
    assert result.payload == b"01234567"
    assert session.peer_settings.max_concurrent_streams == MAX_STREAMS
    await session.update_settings(trio_h2.Settings(initial_window_size=100_000))
    assert session.local_settings.initial_window_size == 100_000
    assert (await fetch(session, "/small")).status == 200


async def test_upload_is_echoed(session: trio_h2.ClientSession) -> None:
    sent = body(300_000)
    assert (await fetch(session, "/anything", method="POST", body=sent)).body == sent


async def test_large_upload_is_echoed(session: trio_h2.ClientSession) -> None:
    assert await echo_sum(session, "/anything", 20 * MIB) == (20 * MIB, sha256(20 * MIB))


async def test_large_download(session: trio_h2.ClientSession) -> None:
    assert await download_sum(session, "/large") == (50 * MIB, sha256(50 * MIB))


async def test_more_requests_than_the_server_takes_at_a_time(session: trio_h2.ClientSession) -> None:
    """300 requests at once, of which 10 may be open: none is refused, and never more are open."""
    finished = 0
    most = 0

    async def get() -> None:
        nonlocal finished, most
        async with session.request("GET", "/small") as stream:
            most = max(most, session.statistics().open_streams)
            assert (await stream.receive_response()).status == 200
            assert b"".join([chunk async for chunk in stream]) == b"from nghttpd\n"
        finished += 1

    await session.ping()  # the server's limit has come
    async with trio.open_nursery() as nursery:
        for _ in range(300):
            nursery.start_soon(get)
    assert finished == 300
    assert 1 < most <= MAX_STREAMS


async def test_nothing_is_pushed(session: trio_h2.ClientSession) -> None:
    """nghttpd pushes /large with /small unless SETTINGS_ENABLE_PUSH is 0, so next to nothing may arrive."""
    await fetch(session, "/small")
    await session.ping()
    assert session.statistics().ledger.received < 1000


async def test_download_given_up(session: trio_h2.ClientSession) -> None:
    async with session.request("GET", "/large") as stream:
        assert len(await stream.receive_some(1000)) > 0
    assert (await fetch(session, "/small")).status == 200
    assert session.statistics().open_streams == 0


async def test_slow_reader_holds_up_nobody_else(session: trio_h2.ClientSession) -> None:
    """A body that nobody reads fills its own window; 50 others go by, then it is read to its end."""
    async with session.request("GET", "/large") as slow:
        await slow.receive_response()
        for _ in range(50):
            assert (await fetch(session, "/small")).status == 200
        assert await receive_sum(slow) == (50 * MIB, sha256(50 * MIB))
