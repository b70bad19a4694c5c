"""The two windows, of the session and of each stream: nothing leaks, nothing starves, nothing gets stuck (B2–B7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import check_open, pair, scripted_client, scripted_server
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame, HeadersFrame, RstStreamFrame

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_WINDOW = 65_535
_MB = 1_000_000
_SMALL = trio_h2.ClientConfig(stream_window=_WINDOW, receive_budget=4 * _WINDOW)
"""Room for four stalled streams, so a leak of some octets in each of many is noticed."""


async def _size(chunks: AsyncIterable[bytes | bytearray]) -> int:
    return sum([len(chunk) async for chunk in chunks])


async def _send_as_asked(stream: trio_h2.ServerStream) -> None:
    """Sends as many octets as the path says."""
    await stream.respond(200)
    rest = int(stream.path[1:])
    while rest:
        size = min(rest, 100_000)
        await stream.send_all(bytes(size))
        rest -= size


async def _count(stream: trio_h2.ServerStream) -> None:
    """Answers with the number of octets of the request."""
    await stream.respond(body=b"%d" % await _size(stream))


async def _download_10_mb(client: trio_h2.ClientSession) -> None:
    async with client.request("GET", f"/{10 * _MB}") as stream:
        assert await _size(stream) == 10 * _MB


# -- B2 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_first", [True, False])
async def test_b02_one_burst_of_window_updates_wakes_every_upload(
    autojump_clock: MockClock, session_first: bool
) -> None:
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


# -- B3 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parity("C7")
async def test_b03_a_thousand_half_read_downloads_leak_no_window(autojump_clock: MockClock) -> None:
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
async def test_b03_no_other_end_leaks_window_either(autojump_clock: MockClock, how: str) -> None:
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


async def test_b03_half_read_uploads_leak_no_window(autojump_clock: MockClock) -> None:
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


# -- B4 ----------------------------------------------------------------------------------------------------------------


async def test_b04_the_last_download_is_not_starved(autojump_clock: MockClock) -> None:
    """All but one of the streams that a client with its defaults may open stall, their windows full."""
    config = trio_h2.ClientConfig()
    async with pair(_send_as_asked, server_config=trio_h2.ServerConfig(max_concurrent_streams=128)) as (client, _):
        stalled = [await client.open_stream("GET", f"/{config.stream_window}") for _ in range(127)]
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().ledger.held == 127 * config.stream_window
        await _download_10_mb(client)
        for stream in stalled:
            await trio.aclose_forcefully(stream)


async def test_b04_the_last_upload_is_not_starved(autojump_clock: MockClock) -> None:
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


async def test_b04_what_is_held_never_exceeds_the_budget(autojump_clock: MockClock) -> None:
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


# -- B6, B7 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["stream", "session"])
async def test_b06_each_window_counts_for_itself(autojump_clock: MockClock, first: str) -> None:
    size = 100 * _MB if first == "stream" else 1 * _MB
    settings = {SettingCode.MAX_FRAME_SIZE: 2**20}
    async with scripted_server(settings=settings) as (client, peer), client.request("POST", body=bytes(size)) as stream:
        stream_id = (await peer.expect_headers()).stream_id
        windows = [stream_id, 0] if first == "stream" else [0, stream_id]
        await peer.send_window_update(windows[0], size)
        received = 0
        while received < _WINDOW:
            received += len((await peer.expect_data(stream_id)).data)
        await peer.expect_nothing()
        assert received == _WINDOW
        assert stream.buffer_size == size - _WINDOW
        await peer.send_window_update(windows[1], size)
        while received < size:
            frame = await peer.expect_data(stream_id)
            received += len(frame.data)
            assert frame.end_stream is (received == size)


async def test_b07_a_window_that_turns_negative_stops_the_sender(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        await peer.send_window_update(0, 10 * _MB)
        stream_id = (await peer.expect_headers()).stream_id
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, bytes(200_000))
            received = 0
            while received < _WINDOW:
                received += len((await peer.expect_data(stream_id)).data)
            await peer.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 10})
            await peer.ping()
            assert peer._limits.ours.get(stream_id) == 10 - _WINDOW
            await peer.send_window_update(stream_id, _WINDOW - 10)  # back to nothing
            await peer.expect_nothing()
            await peer.send_window_update(stream_id, 5)
            assert len((await peer.expect_data(stream_id)).data) == 5
            await peer.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 300_000})
            while received + 5 < 200_000:
                received += len((await peer.expect_data(stream_id)).data)
        await stream.send_eof()
        await peer.expect_data(stream_id, b"", end_stream=True)


async def test_b07_the_end_needs_no_window(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = (await peer.expect_headers()).stream_id
        await stream.send_all(bytes(_WINDOW))
        await peer.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 0})
        await peer.ping()
        assert client._core.engine.stream_window(stream_id) == -_WINDOW
        await stream.send_all(b"")
        with trio.move_on_after(1) as scope:
            await stream.wait_send_all_might_not_block()
        assert scope.cancelled_caught
        await stream.send_eof()
        await peer.until(DataFrame, data=b"", end_stream=True)


async def test_b07_we_shrink_the_window_ourselves(autojump_clock: MockClock) -> None:
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


async def test_b07_empty_data_where_the_window_is_negative(autojump_clock: MockClock) -> None:
    async with scripted_server(config=_SMALL) as (client, peer), client.request("GET") as stream:
        stream_id = (await peer.expect_headers()).stream_id
        await peer.send_headers(stream_id, {":status": "200"})
        await peer.send_data(stream_id, bytes(1000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.update_settings, trio_h2.Settings(initial_window_size=10))
            await trio.testing.wait_all_tasks_blocked()
            await peer.ping()
        assert peer.send_window(stream_id) == 10 - 1000
        await peer.send_data(stream_id)
        await peer.send_data(stream_id, end_stream=True)
        assert await _size(stream) == 1000


# -- the windows themselves --------------------------------------------------------------------------------------------


async def test_more_than_a_window_is_an_error_of_the_stream(autojump_clock: MockClock) -> None:
    async with scripted_server(config=_SMALL) as (client, peer), client.request("GET") as stream:
        stream_id = (await peer.expect_headers()).stream_id
        await peer.send_headers(stream_id, {":status": "200"})
        await peer.send_body(stream_id, bytes(_WINDOW), end_stream=False)
        await peer.send_data(stream_id, b"!")
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.FLOW_CONTROL_ERROR)
        assert len(await stream.receive_some(_WINDOW)) == _WINDOW
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await stream.receive_some()
        assert caught.value.initiator is trio_h2.Initiator.LIBRARY


async def test_the_windows_are_those_of_the_configuration(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)

    server_config = trio_h2.ServerConfig(max_concurrent_streams=2, stream_window=1_000_000, receive_budget=3_000_000)
    async with scripted_client(handler, config=server_config) as (server, peer):
        await peer.ping()
        assert peer.send_window() == server.statistics().receive_window == 3_000_000
        assert peer._limits.theirs.initial == 1_000_000
    async with scripted_server() as (client, peer):
        await peer.ping()
        assert peer.send_window() == client.statistics().receive_window == 64 * 1024 * 1024
        assert peer._limits.theirs.initial == 512 * 1024
