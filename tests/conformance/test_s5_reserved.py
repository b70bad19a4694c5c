"""RFC 9113 §5.1 and §5.1.2: reserved streams, which were promised and have no response yet, on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_h2
from tests.conformance.ends import PROMISED
from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame, FrameType, PushPromiseFrame, RstStreamFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, ServerEnd, StartClient, StartServer


async def promised(server: ServerEnd, path: str = "/pushed") -> tuple[int, trio_h2.ServerStream]:
    """Has our server promise a stream, which the peer knows; returns its request's and its own."""
    stream_id = await server.request()
    stream = await server.app(stream_id).push({":path": path})
    await server.peer.expect(PushPromiseFrame, stream_id=stream_id, promised_stream_id=stream.id)
    return stream_id, stream


# ---- reserved (local): our server has promised ----


@both_ways
@pytest.mark.parametrize("kind", [FrameType.HEADERS, FrameType.DATA])
async def test_5_1_messages_on_a_stream_that_we_promised_are_a_connection_error(server: ServerEnd, kind: int) -> None:
    await promised(server)
    if kind == FrameType.HEADERS:
        await server.peer.send_headers(2, server.head())
    else:
        await server.peer.send_data(2, b"data")
    await server.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_housekeeping_on_a_stream_that_we_promised_is_allowed(server: ServerEnd) -> None:
    _, stream = await promised(server)
    await server.peer.send_priority(2)
    await server.peer.send_window_update(2, 1000)
    await server.still_works()
    assert stream.state.name == "reserved (local)"
    await stream.respond(200, body=b"pushed")
    await server.peer.expect_headers(2, status=200, end_stream=False)
    await server.peer.expect_data(2, b"pushed", end_stream=True)


async def test_5_1_rst_stream_ends_a_stream_that_we_promised(server: ServerEnd) -> None:
    _, stream = await promised(server)
    await server.peer.send_rst(2, ErrorCode.CANCEL)
    await server.settle()
    assert stream.state.name == "closed"
    with pytest.raises(trio_h2.StreamResetError):
        await stream.respond(200)
    await server.expect_ignored()


async def test_5_1_we_send_no_data_on_a_stream_that_we_promised(server: ServerEnd) -> None:
    """Nothing but HEADERS, RST_STREAM and PRIORITY; the audit of every other test looks, too."""
    _, stream = await promised(server)
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.send_all(b"early")
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.send_trailers({"x-trailer": "early"})
    await server.peer.expect_nothing()
    _, other = await promised(server, "/other")
    other.reset(ErrorCode.INTERNAL_ERROR)
    await server.peer.expect_rst(other.id, ErrorCode.INTERNAL_ERROR)
    await server.still_works()


@both_ways
@pytest.mark.parametrize("kind", [FrameType.HEADERS, FrameType.DATA])
async def test_5_1_messages_on_a_stream_that_we_push_are_a_stream_error(server: ServerEnd, kind: int) -> None:
    """Once the response has begun, it is "half-closed (remote)"."""
    _, stream = await promised(server)
    await stream.respond(200)
    await server.peer.expect_headers(2, status=200, end_stream=False)
    assert stream.state.name == "half-closed (remote)"
    if kind == FrameType.HEADERS:
        await server.peer.send_headers(2, [("x-trailer", "yes")], end_stream=True)
    else:
        await server.peer.send_data(2, b"data")
    await server.expect_stream_error(2, ErrorCode.STREAM_CLOSED)


# ---- reserved (remote): our client knows of a promise ----


@both_ways
@pytest.mark.parametrize("kind", [FrameType.DATA, FrameType.WINDOW_UPDATE, FrameType.PUSH_PROMISE])
async def test_5_1_wrong_frames_on_a_stream_promised_to_us_are_a_connection_error(taker: ClientEnd, kind: int) -> None:
    await taker.promised()
    if kind == FrameType.DATA:
        await taker.peer.send_data(2, b"data")
    elif kind == FrameType.WINDOW_UPDATE:
        await taker.peer.send_window_update(2, 1000)
    else:
        await taker.peer.send_push_promise(2, 4, PROMISED)
    await taker.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_priority_and_rst_stream_on_a_stream_promised_to_us_are_allowed(taker: ClientEnd) -> None:
    await taker.promised()
    assert taker.pushed[2].state.name == "reserved (remote)"
    await taker.peer.send_priority(2)
    await taker.expect_ignored()
    await taker.peer.send_rst(2, ErrorCode.CANCEL)
    await taker.settle()
    with pytest.raises(trio_h2.StreamResetError):
        await taker.pushed[2].receive_response()
    await taker.expect_ignored()


async def test_5_1_headers_open_a_stream_promised_to_us(taker: ClientEnd) -> None:
    """It is "half-closed (local)" at once; every frame may come then, and credit goes on."""
    await taker.promised()
    await taker.peer.send_headers(2, [(":status", "103")])
    await taker.settle()
    assert taker.pushed[2].state.name == "half-closed (local)"
    await taker.peer.send_headers(2, [(":status", "200")])
    await taker.peer.send_window_update(2, 1000)
    await taker.peer.send_priority(2)
    await taker.peer.send_data(2, b"pushed", padding=3)
    await taker.peer.send_headers(2, [("x-trailer", "yes")], end_stream=True)
    stream = taker.pushed[2]
    assert (await stream.receive_response()).status == 200
    assert b"".join([chunk async for chunk in stream]) == b"pushed"
    assert stream.state.name == "closed"
    await taker.expect_ignored()


async def test_5_1_a_stream_promised_to_us_is_reset_and_nothing_else(taker: ClientEnd) -> None:
    await taker.promised()
    with pytest.raises(trio_h2.LocalProtocolError):
        await taker.pushed[2].send_all(b"data")
    taker.pushed[2].reset(ErrorCode.CANCEL)
    await taker.peer.expect_rst(2, ErrorCode.CANCEL)
    await taker.peer.send_headers(2, [(":status", "200")])
    await taker.peer.send_data(2, b"under way", end_stream=True)
    await taker.expect_ignored()


async def test_5_1_1_promised_streams_that_were_jumped_over_are_closed(taker: ClientEnd) -> None:
    await taker.promised(6)
    await taker.peer.send_headers(4, [(":status", "200")], end_stream=True)
    await taker.expect_stream_error(4, ErrorCode.STREAM_CLOSED)


# ---- §5.1.2: what counts against the limit ----


async def test_5_1_2_we_begin_no_more_pushed_responses_than_the_peer_allows(start_server: StartServer) -> None:
    """Promises do not count, responses do, until they have ended."""
    async with start_server(settings={SettingCode.MAX_CONCURRENT_STREAMS: 1}) as server:
        stream_id = await server.request()
        first, second = [await server.app(stream_id).push({":path": path}) for path in ("/1", "/2")]
        for stream in first, second:
            await server.peer.expect(PushPromiseFrame, promised_stream_id=stream.id)
        await first.respond(200)
        await server.peer.expect_headers(first.id, status=200, end_stream=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.respond, 200)
            await wait_all_tasks_blocked()
            await server.peer.expect_nothing()
            await first.send_eof()
            await server.peer.expect_data(first.id, b"", end_stream=True)
            await server.peer.expect_headers(second.id, status=200, end_stream=False)
        await second.send_eof()
        await server.peer.expect(DataFrame, stream_id=second.id, end_stream=True)
        await server.still_works()


async def test_5_1_2_pushed_responses_over_our_limit_are_a_stream_error(start_taker: StartClient) -> None:
    async with start_taker(config={"max_concurrent_pushes": 1}) as taker:
        parent_id = await taker.promised()
        await taker.peer.send_push_promise(parent_id, 4, PROMISED)
        await taker.peer.send_headers(2, [(":status", "200")])
        await taker.peer.send_headers(4, [(":status", "200")])
        await taker.expect_stream_error(4, ErrorCode.REFUSED_STREAM)
        await taker.peer.send_data(2, b"pushed", end_stream=True)
        await taker.settle()
        assert b"".join([chunk async for chunk in taker.pushed[2]]) == b"pushed"


@pytest.mark.parity("H9")
async def test_5_1_2_promises_over_our_limit_are_refused(start_taker: StartClient) -> None:
    async with start_taker(config={"max_reserved_remote_streams": 1}) as taker:
        parent_id = await taker.promised()
        await taker.peer.send_push_promise(parent_id, 4, PROMISED)
        await taker.expect_stream_error(4, ErrorCode.REFUSED_STREAM)
        assert list(taker.pushed) == [2]
        assert [frame.stream_id for frame in taker.peer.frames if isinstance(frame, RstStreamFrame)] == [4]
