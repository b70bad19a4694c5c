"""What `send_all` waits for, and what is left of it when it is cancelled, refused or overtaken by the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, pair, scripted_client, scripted_server
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame, HeadersFrame, RstStreamFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_WINDOW = 65_535


async def _request(peer: ScriptedPeer) -> int:
    return (await peer.expect_headers()).stream_id


# -- waiting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("D1", "D6")
async def test_it_returns_when_the_last_byte_is_framed(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = await _request(peer)
        done = trio.Event()

        async def send() -> None:
            await stream.send_all(bytes(_WINDOW + 10))
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            assert stream.buffer_size == 10
            await peer.send_window_update(stream_id, 10)
            await peer.ping()
            assert not done.is_set()  # the session's window is empty, too
            await peer.send_window_update(0, 9)
            await peer.ping()
            assert stream.buffer_size == 1
            await peer.send_window_update(0, 1)
            await trio.testing.wait_all_tasks_blocked()
            assert done.is_set()
        assert stream.buffer_size == 0


async def test_it_waits_for_the_transport(autojump_clock: MockClock) -> None:
    settings = {SettingCode.INITIAL_WINDOW_SIZE: 2**24}
    async with scripted_server(settings=settings, capacity=1000) as (client, peer):
        await peer.send_window_update(0, 2**24)
        async with client.request("POST", end_stream=False) as stream:
            stream_id = await _request(peer)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, bytes(400_000))
                await trio.testing.wait_all_tasks_blocked()
                assert 100_000 < stream.buffer_size < 400_000 - 60_000
                received = 0
                while received < 400_000:
                    received += len((await peer.expect_data(stream_id)).data)


@pytest.mark.parametrize("half", [3, 10_000])  # framed at once, and by the writer
async def test_more_than_the_announced_length_is_refused(half: int, autojump_clock: MockClock) -> None:
    """At the call, with nothing of it sent; what fits is still taken."""
    headers = {"content-length": 2 * half}
    async with scripted_server() as (client, peer), client.request("POST", headers=headers, end_stream=False) as stream:
        stream_id = await _request(peer)
        await stream.send_all(bytes(half))
        reason = f"content-length is {2 * half}, with this the body would have {2 * half + 1} bytes"
        with pytest.raises(trio_h2.LocalProtocolError, match=reason):
            await stream.send_all(bytes(half + 1))
        assert stream.buffer_size == 0
        await stream.send_all(bytes(half))
        await stream.send_eof()
        assert await peer.collect_body(stream_id) == bytes(2 * half)


async def test_no_byte_is_taken_where_content_is_not_allowed(autojump_clock: MockClock) -> None:
    refused: list[str] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(204)
        await stream.send_all(b"")
        with pytest.raises(trio_h2.LocalProtocolError) as caught:
            await stream.send_all(b"x")
        refused.append(str(caught.value))

    async with scripted_client(handler) as (_, peer):
        await peer.expect_headers(await peer.request(), status=204, end_stream=True)
    assert refused == ["a response with status 204 has no content (stream 1)"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_it_takes_whatever_is_like_bytes(
    autojump_clock: MockClock, kind: type[bytes] | type[bytearray] | type[memoryview]
) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        await stream.send_all(kind(b"abc"))
        await stream.send_all(kind(b""))
        await stream.send_eof()
        stream_id = await _request(peer)
        assert await peer.collect_body(stream_id) == b"abc"


@pytest.mark.parity("K1")
async def test_it_takes_nothing_else(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        with pytest.raises(TypeError):
            await stream.send_all(cast("bytes", "abc"))
        with pytest.raises(TypeError):
            await stream.send_all(cast("bytes", 3))
        await stream.send_all(b"abc")
        await peer.expect_data(await _request(peer), b"abc")


async def test_a_frame_is_not_larger_than_a_batch(autojump_clock: MockClock) -> None:
    """However large the frames are that the peer takes: another stream wants its turn."""
    settings = {SettingCode.INITIAL_WINDOW_SIZE: 2**24, SettingCode.MAX_FRAME_SIZE: 2**24 - 1}
    async with scripted_server(settings=settings) as (client, peer):
        await peer.send_window_update(0, 2**24)
        async with client.request("PUT", body=bytes(10**6)):
            stream_id = await _request(peer)
            await peer.collect_body(stream_id)
        sizes = [len(frame.data) for frame in peer.frames if isinstance(frame, DataFrame)]
        assert max(sizes) == 65_536
        await peer.until(RstStreamFrame, stream_id=stream_id)


async def test_room_is_waited_for(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = await _request(peer)
        with trio.testing.assert_checkpoints():
            await stream.wait_send_all_might_not_block()
        await stream.send_all(bytes(_WINDOW))
        room = trio.Event()

        async def wait() -> None:
            await stream.wait_send_all_might_not_block()
            room.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await peer.send_window_update(stream_id, 1)
            await trio.testing.wait_all_tasks_blocked()
            assert not room.is_set()  # nothing on the session yet
            await peer.send_window_update(0, 1)
            await trio.testing.wait_all_tasks_blocked()
            assert room.is_set()


@pytest.mark.parametrize("how", ["aclose", "abandon", "reset", "peer", "session"])
async def test_whatever_ends_the_stream_wakes_who_waits_for_room(autojump_clock: MockClock, how: str) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        stream_id = await _request(peer)
        await stream.send_all(bytes(_WINDOW))
        ours = how in ("aclose", "abandon")

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError if ours else trio_h2.H2Error):
                await stream.wait_send_all_might_not_block()

        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                if how == "aclose":
                    await stream.aclose()
                elif how == "abandon":
                    await trio.aclose_forcefully(stream)
                elif how == "reset":
                    stream.reset()
                elif how == "peer":
                    await peer.send_rst(stream_id, ErrorCode.CANCEL)
                else:
                    await peer.aclose()
        await stream.aclose()


# -- cancelled ---------------------------------------------------------------------------------------------------------


async def test_cancelled_before_a_frame_it_never_happened(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = await _request(peer)
        await stream.send_all(bytes(_WINDOW))
        with trio.move_on_after(1) as scope:
            await stream.send_all(b"never")
        assert scope.cancelled_caught
        assert stream.buffer_size == 0
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.send_all(b"never")
        assert scope.cancelled_caught
        await peer.send_window_update(stream_id, 100)
        await peer.send_window_update(0, 100)
        await stream.send_all(b"then")
        await stream.send_eof()
        assert await peer.collect_body(stream_id) == bytes(_WINDOW) + b"then"


async def test_what_never_happened_does_not_count(autojump_clock: MockClock) -> None:
    length = {"content-length": _WINDOW + 5}
    async with scripted_server() as (client, peer), client.request("POST", headers=length, end_stream=False) as stream:
        stream_id = await _request(peer)
        await stream.send_all(bytes(_WINDOW))
        with trio.move_on_after(1):
            await stream.send_all(b"12345")
        assert not stream.torn
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, b"67890")
            await trio.testing.wait_all_tasks_blocked()
            await peer.send_window_update(stream_id, 5)
            await peer.send_window_update(0, 5)
        await stream.send_eof()
        assert await peer.collect_body(stream_id) == bytes(_WINDOW) + b"67890"


async def test_cancelled_in_the_middle_it_tears_the_body(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        stream_id = await _request(peer)
        with trio.move_on_after(1) as scope:
            await stream.send_all(bytes(_WINDOW + 1))
        assert scope.cancelled_caught
        assert stream.torn
        for send in (stream.send_eof, stream.wait_send_all_might_not_block):
            with pytest.raises(trio_h2.LocalProtocolError, match=r"only reset\(\) or aclose\(\)"):
                await send()
        with pytest.raises(trio_h2.LocalProtocolError, match="incomplete"):
            await stream.send_all(b"")
        with pytest.raises(trio_h2.LocalProtocolError, match="incomplete"):
            await stream.send_trailers({"a": "b"})
        await peer.send_window_update(0, 100)
        await peer.send_window_update(stream_id, 100)
        received = 0
        while received < _WINDOW:  # whole frames, and no END_STREAM
            received += len((await peer.expect_data(stream_id, end_stream=False)).data)
        await peer.expect_nothing()
        await stream.aclose()
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)


async def test_all_framed_while_the_cancellation_is_on_its_way(autojump_clock: MockClock) -> None:
    """The task is told that it was cancelled, so it may send again: a body with both must not look complete."""
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        stream_id = await _request(peer)
        await stream.send_all(bytes(_WINDOW))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, b"x")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()  # delivered when the task runs next; until then the window opens
            client._core.engine.windows.send_window += 1
            client._core.engine.streams[stream_id].send_window += 1
            assert not stream._core.outbox.frame()
        with pytest.raises(trio_h2.LocalProtocolError, match="incomplete"):
            await stream.send_eof()
        await stream.aclose()
        peer._limits.ours.grant(0, 1)
        peer._limits.ours.grant(stream_id, 1)
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.CANCEL)


async def test_a_handler_that_left_a_torn_body_resets(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        with trio.move_on_after(1):
            await stream.send_all(bytes(10**6))

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=200)
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.INTERNAL_ERROR)
        assert not any(isinstance(frame, DataFrame) and frame.end_stream for frame in peer.frames)


async def test_every_cancelled_stream_leaves_the_others_whole(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        total = 0
        async for chunk in stream:
            total += len(chunk)
            await trio.sleep(0.01)
        await stream.respond(body=b"%d" % total)

    async with pair(handler) as (client, _server), trio.open_nursery() as nursery:

        async def cancelled(seconds: float) -> None:
            with trio.move_on_after(seconds):
                async with client.request("POST", end_stream=False) as stream:
                    await stream.send_all(bytes(10**6))
                    await trio.sleep_forever()

        async def whole() -> None:
            async with client.request("POST", body=bytes(10**6)) as stream:
                assert await stream.receive_some() == b"1000000"

        for index in range(20):
            nursery.start_soon(cancelled, index / 50)
            nursery.start_soon(whole)


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("K2")
async def test_the_end_is_said_once(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = await _request(peer)
        with trio.testing.assert_checkpoints():
            await stream.send_all(b"abc")
        with trio.testing.assert_checkpoints():
            await stream.send_all(b"")
        with trio.testing.assert_checkpoints():
            await stream.send_eof()
        with trio.testing.assert_checkpoints():
            await stream.send_eof()
        for send in (stream.send_all(b"x"), stream.send_trailers({}), stream.wait_send_all_might_not_block()):
            with pytest.raises(trio.ClosedResourceError):
                await send
        await peer.expect_data(stream_id, b"abc")
        await peer.expect_data(stream_id, b"", end_stream=True)
        await peer.expect_nothing()


async def test_after_the_own_end_no_reset_matters(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = await _request(peer)
        await stream.send_eof()
        await peer.send_rst(stream_id, ErrorCode.INTERNAL_ERROR)
        await peer.ping()
        await stream.send_eof()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")


async def test_a_request_that_was_sent_whole_takes_no_more(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", body=b"all") as stream:
        for data in (b"", b"more"):
            with pytest.raises(trio_h2.LocalProtocolError, match="has ended"):
                await stream.send_all(data)
        with pytest.raises(trio_h2.LocalProtocolError, match="has ended"):
            await stream.send_trailers({"a": "b"})
        await stream.send_eof()
        stream_id = await _request(peer)
        await peer.expect_data(stream_id, b"all", end_stream=True)
        await peer.expect_nothing()


async def test_the_last_frame_of_a_given_body_is_the_end(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("POST", body=bytes(20_000)):
            stream_id = await _request(peer)
            assert len((await peer.expect_data(stream_id, end_stream=False)).data) == 16_384
            assert len((await peer.expect_data(stream_id, end_stream=True)).data) == 20_000 - 16_384
        async with client.request("POST"):
            headers = await peer.until(HeadersFrame, end_stream=True)
            assert headers.get("content-length") == "0"


async def test_a_body_given_at_first_goes_before_what_is_sent(autojump_clock: MockClock) -> None:
    body = bytes(_WINDOW) + b"a"
    async with scripted_server() as (client, peer), client.request("POST", body=body, end_stream=False) as stream:
        stream_id = await _request(peer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, b"b")
            received = 0
            while received < _WINDOW:
                received += len((await peer.expect_data(stream_id)).data)
            await peer.send_window_update(0, 100)
            await peer.send_window_update(stream_id, 100)
        await stream.send_eof()
        assert await peer.collect_body(stream_id) == b"ab"


@pytest.mark.parity("K4", "K5")
async def test_the_peers_reset_refuses_what_is_sent(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, cancel_handler_on_reset=False) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        stream = await exchanges.next()
        await stream.respond(200)
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await peer.ping()
        for send in (stream.send_all(b""), stream.send_all(b"x"), stream.send_eof(), stream.send_trailers({})):
            with pytest.raises(trio_h2.StreamResetError, match="CANCEL"):
                await send
        exchanges.finish()
