"""The two windows, of the session and of each stream: nothing leaks, nothing starves, nothing gets stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import check_open, pair, scripted_server
from trio_h2 import ErrorCode
from trio_h2.testing import HeadersFrame

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_WINDOW = 65_535
_MB = 1_000_000
_SMALL = trio_h2.ClientConfig(stream_window=_WINDOW, receive_budget=4 * _WINDOW)
"""Room for four stalled streams, so a leak of some bytes in each of many is noticed."""


async def _size(chunks: AsyncIterable[bytes | bytearray]) -> int:
    return sum([len(chunk) async for chunk in chunks])


async def _send_as_asked(stream: trio_h2.ServerStream) -> None:
    """Sends as many bytes as the path says."""
    await stream.respond(200)
    rest = int(stream.path[1:])
    while rest:
        size = min(rest, 100_000)
        await stream.send_all(bytes(size))
        rest -= size


async def _count(stream: trio_h2.ServerStream) -> None:
    """Answers with the number of bytes of the request."""
    await stream.respond(body=b"%d" % await _size(stream))


async def _download_10_mb(client: trio_h2.ClientSession) -> None:
    async with client.request("GET", f"/{10 * _MB}") as stream:
        assert await _size(stream) == 10 * _MB


# -- nobody is forgotten -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_first", [True, False])
async def test_one_burst_of_window_updates_wakes_every_upload(autojump_clock: MockClock, session_first: bool) -> None:
    async with scripted_server() as (client, peer), trio.open_nursery() as nursery:

        async def upload() -> None:
            async with client.request("PUT", end_stream=False) as stream:
                await stream.send_all(bytes(5 * _MB))
                await stream.send_eof()
                assert (await stream.receive_response()).status == 204

        for _ in range(8):
            nursery.start_soon(upload)
        await trio.testing.wait_all_tasks_blocked()
        ids = range(1, 16, 2)
        async with peer.batch():
            if session_first:
                await peer.send_window_update(0, 41 * _MB)
            for stream_id in ids:
                await peer.send_window_update(stream_id, 5 * _MB)
            if not session_first:
                await peer.send_window_update(0, 41 * _MB)
        for stream_id in ids:
            await peer.pick(HeadersFrame, stream_id=stream_id)
            assert len(await peer.collect_body(stream_id, grant=False)) == 5 * _MB
            await peer.respond(stream_id, 204)


# -- nothing leaks -----------------------------------------------------------------------------------------------------


@pytest.mark.parity("C7")
async def test_a_thousand_half_read_downloads_leak_no_window(autojump_clock: MockClock) -> None:
    async with pair(_send_as_asked, client_config=_SMALL) as (client, _server):

        async def half() -> None:
            for _ in range(20):
                async with client.request("GET", "/10000") as stream:
                    assert len(await stream.receive_some(100)) == 100

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(half)
        assert client.statistics().ledger.held == 0
        assert client.statistics().ledger.taken == 100_000
        await _download_10_mb(client)


@pytest.mark.parametrize("how", ["reset", "content-length", "aclose", "trailers"])
async def test_no_other_end_leaks_window_either(autojump_clock: MockClock, how: str) -> None:
    async with scripted_server(config=_SMALL) as (client, peer):
        for _ in range(200):
            stream = await client.open_stream("GET")
            length = {"content-length": "2999"} if how == "content-length" else {}
            async with peer.batch():
                await peer.send_headers(stream.id, {":status": "200", **length})
                await peer.send_data(stream.id, bytes(1000))
                await peer.send_data(stream.id, bytes(1000), padding=100)
                if how == "reset":
                    await peer.send_rst(stream.id, ErrorCode.INTERNAL_ERROR)
                if how == "content-length":
                    await peer.send_data(stream.id, bytes(1000))
            assert len(await stream.receive_some(10)) == 10
            if how == "trailers":
                await peer.send_headers(stream.id, {"t": "1"}, end_stream=True)
                await stream.receive_trailers()
            if how == "aclose":
                await stream.aclose()
                await peer.send_data(stream.id, bytes(1000), end_stream=True)
            else:
                await trio.aclose_forcefully(stream)
        await peer.ping()
        assert client.statistics().ledger.held == 0
        assert client.statistics().receive_window > 2 * _WINDOW
        async with client.request("GET") as last, trio.open_nursery() as nursery:
            nursery.start_soon(_respond_with_10_mb, peer, last.id)
            assert await _size(last) == 10 * _MB


async def _respond_with_10_mb(peer: ScriptedPeer, stream_id: int) -> None:
    await peer.respond(stream_id, body=bytes(10 * _MB))


async def test_half_read_uploads_leak_no_window(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/half":
            await stream.receive_some(100)
            await stream.respond(413, end_stream=True)
        else:
            await _count(stream)

    config = trio_h2.ServerConfig(max_concurrent_streams=4, stream_window=_WINDOW, receive_budget=4 * _WINDOW)
    async with pair(handler, server_config=config) as (client, server):
        for _ in range(200):
            async with client.request("PUT", "/half", body=bytes(10_000)) as stream:
                assert (await stream.receive_response()).status == 413
        async with client.request("PUT", "/whole", body=bytes(10 * _MB)) as stream:
            assert await stream.receive_some() == b"%d" % (10 * _MB)
        assert server.statistics().ledger.held == 0


# -- nobody starves ----------------------------------------------------------------------------------------------------


async def test_the_last_download_is_not_starved(autojump_clock: MockClock) -> None:
    """All but one of the streams that a client with its defaults may open stall, their windows full."""
    config = trio_h2.ClientConfig()
    async with pair(_send_as_asked, server_config=trio_h2.ServerConfig(max_concurrent_streams=128)) as (client, _):
        stalled = [await client.open_stream("GET", f"/{config.stream_window}") for _ in range(127)]
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().ledger.held == 127 * config.stream_window
        await _download_10_mb(client)
        for stream in stalled:
            await trio.aclose_forcefully(stream)


async def test_the_last_upload_is_not_starved(autojump_clock: MockClock) -> None:
    config = trio_h2.ServerConfig()

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/stalled":
            await trio.sleep_forever()
        await _count(stream)

    async with pair(handler) as (client, server):
        body = bytes(config.stream_window)
        stalled = [
            await client.open_stream("PUT", "/stalled", body=body) for _ in range(config.max_concurrent_streams - 1)
        ]
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().ledger.held == len(stalled) * config.stream_window
        async with client.request("PUT", "/last", body=bytes(10 * _MB)) as stream:
            assert await stream.receive_some() == b"%d" % (10 * _MB)
        for stream in stalled:
            await trio.aclose_forcefully(stream)


async def test_what_is_held_never_exceeds_the_budget(autojump_clock: MockClock) -> None:
    """Also when the windows of the streams, together, would allow more."""
    async with pair(_send_as_asked, client_config=_SMALL) as (client, _server), trio.open_nursery() as nursery:
        largest = 0

        async def slow() -> None:
            nonlocal largest
            async with client.request("GET", "/300000") as stream:
                async for _chunk in stream:
                    largest = max(largest, client.statistics().ledger.held)
                    await trio.sleep(0.01)

        for _ in range(20):
            nursery.start_soon(slow)
    assert 2 * _WINDOW < largest <= 4 * _WINDOW


# -- two windows, also below zero --------------------------------------------------------------------------------------


async def test_we_shrink_the_window_ourselves(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(bytes(600_000))
        await stream.send_trailers({"t": "1"})

    async with pair(handler) as (client, server), client.request("GET") as stream:
        assert len(await stream.receive_some(1000)) == 1000
        await client.update_settings(trio_h2.Settings(initial_window_size=1000))
        check_open(client)
        assert server._core.engine.stream_window(stream.id) < 0
        assert await _size(stream) == 599_000
        assert await stream.receive_trailers() == {"t": "1"}
