"""RFC 9113 §6.4: RST_STREAM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.conformance.feeds import whole_only
from trio_h2 import ErrorCode
from trio_h2.testing import DataFrame, FrameType, RstStreamFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.CANCEL])
async def test_6_4_rst_stream_on_stream_0_is_a_connection_error(end: End, code: int) -> None:
    await end.peer.send_rst(0, code)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("stream_id", [1, 2, 2**31 - 1])
async def test_6_4_rst_stream_on_an_idle_stream_is_a_connection_error(end: End, stream_id: int) -> None:
    await end.peer.send_rst(stream_id)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 3, 5, 100])
@pytest.mark.parametrize("state", ["open", "closed"])
async def test_6_4_rst_stream_of_another_length_is_a_connection_error(end: End, state: str, length: int) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_raw_frame(FrameType.RST_STREAM, 0, stream_id, bytes(length))
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


async def test_6_4_rst_stream_ends_the_stream_and_nothing_else(end: End) -> None:
    stream_id, other = await end.open(), await end.open()
    await end.peer.send_rst(stream_id, ErrorCode.INTERNAL_ERROR)
    await end.settle()
    with pytest.raises(trio_h2.StreamResetError) as caught:
        await end.app(stream_id).receive_some()
    assert (caught.value.code, caught.value.initiator) == (ErrorCode.INTERNAL_ERROR, trio_h2.Initiator.REMOTE)
    await end.peer.send_data(other, b"data", end_stream=True)
    await end.settle()
    await end.expect_body(other, b"data")
    await end.expect_ignored()


@whole_only
async def test_6_4_nothing_is_sent_after_rst_stream_was_received(end: End) -> None:
    """Neither what the windows held back, nor the end, nor trailers, nor another RST_STREAM, nor credit."""
    stream_id = await end.open()
    await end.peer.send_data(stream_id, bytes(16_000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send_until_reset, end, stream_id)
        received = 0
        while received < 65_535:
            received += len((await end.peer.expect_data(stream_id)).data)
        await end.peer.send_window_update(0, 100_000)
        await end.peer.send_rst(stream_id)
    await end.peer.send_window_update(stream_id, 100_000)
    stream = end.app(stream_id)
    with pytest.raises(trio_h2.StreamResetError):
        await stream.send_trailers({"x-trailer": "yes"})
    with pytest.raises(trio_h2.StreamResetError):
        await stream.send_eof()
    assert await stream.receive_some() == bytes(16_000)
    stream.reset(ErrorCode.CANCEL)
    await stream.aclose()
    await end.peer.expect_nothing(strict=True)
    await end.still_works()


async def _send_until_reset(end: End, stream_id: int) -> None:
    with pytest.raises(trio_h2.StreamResetError):
        await end.app(stream_id).send_all(bytes(100_000))


async def test_6_4_response_that_was_not_sent_yet_is_not_sent_after_rst_stream(server: ServerEnd) -> None:
    stream_id = await server.request()
    await server.peer.send_rst(stream_id)
    await server.settle()
    with pytest.raises(trio_h2.StreamResetError):
        await server.app(stream_id).respond(200, body=b"too late")
    with pytest.raises(trio_h2.StreamResetError):
        await server.app(stream_id).send_informational(103)
    await server.release(stream_id)
    await server.expect_ignored()


async def test_6_4_frames_under_way_when_we_sent_rst_stream_are_processed(end: End) -> None:
    """For their effect on the session: HPACK and the connection's window."""
    stream_id = await end.reset_by_us()
    for _ in range(4):
        await end.peer.send_data(stream_id, bytes(1000), padding=10)
    await end.peer.send_headers(stream_id, {"x-new": "7" * 30}, end_stream=True)
    await end.settle()
    ledger = end.session.statistics().ledger
    assert ledger.received == ledger.discarded == 4 * 1011
    fresh = await end.receive_message(end.head(("x-new", "7" * 30)))
    await end.settle()
    await end.expect_body(fresh, b"")
    await end.expect_ignored()


async def test_6_4_we_send_no_rst_stream_for_a_stream_that_never_opened(client: ClientEnd) -> None:
    """A request that is cancelled while it waits for a slot leaves no trace."""
    await client.peer.send_settings({0x3: 0})
    await client.peer.ping()
    with trio.move_on_after(1) as scope:
        async with client.session.request("GET"):
            raise AssertionError("no stream may open")
    assert scope.cancelled_caught
    await client.peer.expect_nothing()
    await client.peer.send_settings({0x3: 10})
    await client.peer.ping()
    await client.still_works()


async def test_6_4_request_that_is_cancelled_is_reset_once(client: ClientEnd) -> None:
    with trio.move_on_after(1):
        async with client.session.request("GET") as stream:
            await stream.receive_response()
    await client.peer.expect_headers(1, end_stream=True)
    await client.peer.expect_rst(1, ErrorCode.CANCEL)
    await client.expect_ignored()
    assert len([frame for frame in client.peer.frames if isinstance(frame, RstStreamFrame)]) == 1
    assert not [frame for frame in client.peer.frames if isinstance(frame, DataFrame) and frame.stream_id == 1]
