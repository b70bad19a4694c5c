"""RFC 9113 §6.8: GOAWAY."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.conformance.feeds import whole_only
from trio_h2 import ErrorCode
from trio_h2.testing import FrameType, GoAwayFrame, PingFrame, SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd, Start, StartServer


# ---- Received ----


@pytest.mark.parametrize("stream_id", [1, 2, 2**31 - 1])
async def test_6_8_goaway_on_a_stream_is_a_connection_error(end: End, stream_id: int) -> None:
    await end.peer.send_raw_frame(FrameType.GOAWAY, 0, stream_id, bytes(8))
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_8_no_stream_is_opened_after_goaway(client: ClientEnd) -> None:
    stream_id = await client.open()
    await client.peer.send_goaway(2**31 - 1)
    await client.settle()
    with pytest.raises(trio_h2.GoAwayError) as caught:
        await client.session.open_stream("GET")
    assert caught.value.retryable
    await client.peer.expect_nothing()
    await client.peer.send_data(stream_id, b"still", end_stream=True)
    await client.settle()
    await client.expect_body(stream_id, b"still")


async def test_6_8_requests_that_wait_for_a_slot_are_not_sent_after_goaway(client: ClientEnd) -> None:
    await client.peer.send_settings({0x3: 1})
    await client.peer.pick(SettingsFrame, ack=True)
    stream_id = await client.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect_goaway, client.session)
        await client.peer.expect_nothing()
        await client.peer.send_goaway(stream_id)
    await client.peer.send_rst(stream_id)
    await client.peer.expect_goaway(ErrorCode.NO_ERROR)
    await client.peer.expect_eof()


async def _expect_goaway(session: trio_h2.ClientSession) -> None:
    with pytest.raises(trio_h2.GoAwayError):
        await session.open_stream("GET")


async def test_6_8_streams_up_to_the_last_id_go_on(client: ClientEnd) -> None:
    first, second, third = await client.open(), await client.open(), await client.open()
    await client.peer.send_goaway(second, ErrorCode.NO_ERROR, b"bye")
    await client.settle()
    with pytest.raises(trio_h2.StreamRefusedError) as caught:
        await client.app(third).receive_some()
    assert caught.value.retryable
    for stream_id in (first, second):
        await client.app(stream_id).send_all(b"more")
        await client.peer.expect_data(stream_id, b"more")
        await client.peer.send_data(stream_id, b"answer", end_stream=True)
        await client.settle()
        await client.expect_body(stream_id, b"answer")


async def test_6_8_goaway_with_an_error_lets_streams_finish_too(client: ClientEnd) -> None:
    stream_id = await client.open()
    await client.peer.send_goaway(stream_id, ErrorCode.ENHANCE_YOUR_CALM)
    await client.peer.send_data(stream_id, b"whole", end_stream=True)
    await client.settle()
    await client.expect_body(stream_id, b"whole")


async def test_6_8_frames_on_streams_that_goaway_gave_up_are_processed(client: ClientEnd) -> None:
    """The peer should not send any; if it does, HPACK and the window stay in step."""
    first, second = await client.open(), await client.open()
    await client.peer.send_goaway(first)
    await client.peer.send_data(second, bytes(1000))
    await client.peer.send_headers(second, {"x-new": "8" * 30}, end_stream=True)
    await client.peer.send_headers(first, {"x-new": "8" * 30}, end_stream=True)
    await client.settle()
    trailers = await client.app(first).receive_trailers()
    assert trailers is not None
    assert trailers["x-new"] == "8" * 30
    assert client.session.statistics().ledger.held == 0
    await client.peer.expect_nothing()


async def test_6_8_goaway_of_a_client_lets_its_streams_finish(server: ServerEnd) -> None:
    stream_id = await server.request()
    await server.peer.send_goaway(0)
    await server.settle()
    await server.app(stream_id).respond(200, body=b"whole")
    await server.peer.expect_headers(stream_id, status=200)
    await server.peer.expect_data(stream_id, b"whole", end_stream=True)


async def test_6_8_last_id_that_grows_again_is_not_believed(client: ClientEnd) -> None:
    """Our choice: streams that were given up may have been retried, so they stay given up."""
    first, second = await client.open(), await client.open()
    await client.peer.send_goaway(first)
    await client.peer.send_goaway(2**31 - 1)
    await client.settle()
    with pytest.raises(trio_h2.StreamRefusedError):
        await client.app(second).receive_some()
    await client.peer.expect_nothing()


# ---- Sent ----


async def test_6_8_goaway_precedes_the_end_of_every_session(end: End) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.session.aclose)
        await end.peer.until(GoAwayFrame, code=ErrorCode.NO_ERROR, last_stream_id=0)
        await end.peer.expect_eof()


async def test_6_8_goaway_is_answered_with_goaway_when_nothing_is_left_to_do(end: End) -> None:
    await end.peer.send_goaway()
    await end.peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=0)
    await end.peer.expect_eof()


async def test_6_8_graceful_end_of_a_server_takes_two_steps(server: ServerEnd) -> None:
    stream_id = await server.request()
    server.peer.auto_ack = False
    server.session.shutdown()
    await server.peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=2**31 - 1)
    ping = await server.peer.expect(PingFrame, ack=False)
    under_way = await server.request()  # sent before the client could know
    await server.peer.send_ping(ping.data, ack=True)
    await server.peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=under_way)
    for number in (stream_id, under_way):
        await server.app(number).respond(200, body=b"whole")
        await server.peer.expect_headers(number, status=200)
        await server.peer.expect_data(number, b"whole", end_stream=True)
        await server.peer.send_data(number, end_stream=True)
        await server.settle()
        await server.release(number)
    await server.peer.expect_eof()


async def test_6_8_last_id_never_grows(server: ServerEnd) -> None:
    """A connection error in the middle of a graceful end, after streams that were refused."""
    stream_id = await server.request()
    server.session.shutdown()
    await server.peer.expect_goaway(last_stream_id=2**31 - 1)
    await server.peer.expect_goaway(last_stream_id=stream_id)
    refused = await server.receive_message(server.head())
    await server.peer.ping()
    await server.peer.send_raw_frame(FrameType.PING, 0, 1, bytes(8))
    await server.peer.expect_goaway(ErrorCode.PROTOCOL_ERROR, last_stream_id=stream_id)
    assert refused > stream_id
    assert server.handled == [stream_id]


@whole_only
async def test_6_8_frames_of_streams_above_our_last_id_are_processed(start_server: StartServer) -> None:
    """Their field blocks are decoded and their DATA is credited; otherwise they are ignored."""
    async with start_server(config={"receive_budget": 65_535, "stream_window": 511}) as server:
        stream_id = await server.request()
        server.session.shutdown()
        await server.peer.expect_goaway(last_stream_id=2**31 - 1)
        await server.peer.expect_goaway(last_stream_id=stream_id)
        for _ in range(200):
            ignored = await server.receive_message(server.head(("x-new", "9" * 30)), end_stream=False)
            await server.peer.send_data(ignored, bytes(500), end_stream=True)
            await server.peer.ping()
        assert server.peer.send_window() > 16_384
        await server.peer.send_headers(stream_id, {"x-new": "9" * 30}, end_stream=True)
        trailers = await server.app(stream_id).receive_trailers()
        assert trailers is not None
        assert trailers["x-new"] == "9" * 30
        assert server.handled == [stream_id]
        await server.peer.expect_nothing()


async def test_6_8_last_id_of_a_connection_error_covers_what_the_application_got(start: Start) -> None:
    async with start() as end:
        streams = [await end.open() for _ in range(3)]
        await end.peer.send_raw_frame(FrameType.PING, 0, 1, bytes(8))
        goaway = await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
        # A client counts the streams of the server, which are none.
        assert goaway.last_stream_id == (max(streams) if end.role == "server" else 0)


async def test_6_8_debug_data_of_ours_holds_no_values_of_fields(end: End) -> None:
    """Debug data "could contain security- or privacy-sensitive data": ours names what was wrong, and quotes nothing."""
    stream_id = await end.open()
    await end.peer.send_headers(stream_id, {"authorization": "Basic secret"}, end_stream=True, end_headers=False)
    await end.peer.send_ping()
    goaway = await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
    assert goaway.debug
    assert b"secret" not in goaway.debug
