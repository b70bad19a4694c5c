"""RFC 9113 §5.1: what may be received in each state of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.conformance.feeds import both_ways, whole_only
from trio_h2 import ErrorCode, SettingCode, StreamResetError
from trio_h2.testing import FrameFlag, FrameType, Priority, RstStreamFrame, SettingsFrame, WindowUpdateFrame

if TYPE_CHECKING:
    from tests.conformance.ends import End, ServerEnd, Start

DATA = pytest.param(FrameType.DATA, 0, b"data", id="data")
EMPTY_DATA = pytest.param(FrameType.DATA, FrameFlag.END_STREAM, b"", id="empty-data")
RST_STREAM = pytest.param(FrameType.RST_STREAM, 0, b"\x00\x00\x00\x08", id="rst-stream")
WINDOW_UPDATE = pytest.param(FrameType.WINDOW_UPDATE, 0, b"\x00\x00\x10\x00", id="window-update")
PRIORITY = pytest.param(FrameType.PRIORITY, 0, Priority().pack(), id="priority")
PUSH_PROMISE = pytest.param(
    FrameType.PUSH_PROMISE, FrameFlag.END_HEADERS, b"\x00\x00\x00\x02\x82\x87\x84\x41\x01a", id="push-promise"
)
CONTINUATION = pytest.param(FrameType.CONTINUATION, FrameFlag.END_HEADERS, b"\x88", id="continuation")


# ---- idle ----


@both_ways
@pytest.mark.parametrize("stream_id", [1001, 1000])
@pytest.mark.parametrize(
    ("kind", "flags", "payload"), [DATA, EMPTY_DATA, RST_STREAM, WINDOW_UPDATE, PUSH_PROMISE, CONTINUATION]
)
async def test_5_1_frames_on_an_idle_stream_are_a_connection_error(
    end: End, stream_id: int, kind: FrameType, flags: int, payload: bytes
) -> None:
    await end.open()
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("stream_id", [1000, 1001])
async def test_5_1_priority_on_an_idle_stream_is_allowed(end: End, stream_id: int) -> None:
    await end.peer.send_priority(stream_id, Priority(depends_on=3))
    await end.expect_ignored()


@pytest.mark.parametrize("end_stream", [False, True])
async def test_5_1_headers_on_an_idle_stream_of_the_server_are_a_connection_error(end: End, end_stream: bool) -> None:
    await end.open()
    await end.peer.send_headers(2, end.head(), end_stream=end_stream)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_headers_on_an_idle_stream_open_it(server: ServerEnd) -> None:
    await server.peer.send_headers(7, server.head())
    await server.settle()
    assert server.handled == [7]
    await server.app(7).respond(200, body=b"seven")
    await server.peer.expect_headers(7, status=200)
    await server.peer.expect_data(7, b"seven", end_stream=True)


# ---- open, half-closed (local) ----


@pytest.mark.parametrize("state", ["open", "half_closed_local"])
async def test_5_1_every_frame_may_be_received_while_the_peer_has_not_ended(end: End, state: str) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_priority(stream_id)
    await end.peer.send_window_update(stream_id, 1000)
    await end.peer.send_data(stream_id, b"some ")
    await end.peer.send_raw_frame(0xFA, 0, stream_id, b"unknown")
    await end.peer.send_data(stream_id, b"data")
    await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True)
    await end.settle()
    await end.expect_body(stream_id, b"some data")
    trailers = await end.app(stream_id).receive_trailers()
    assert trailers is not None
    assert trailers["x-trailer"] == "yes"
    await end.expect_ignored()


async def test_5_1_credit_is_given_while_only_the_peer_sends(start: Start) -> None:
    """half-closed (local): "Providing flow-control credit using WINDOW_UPDATE frames is necessary"."""
    async with start(config={"stream_window": 1000}) as end:
        stream_id = await end.half_closed_local()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.expect_body, stream_id, bytes(3000))
            await end.peer.send_body(stream_id, bytes(3000))
        assert _credit_frames(end, stream_id)


def _credit_frames(end: End, stream_id: int) -> list[WindowUpdateFrame]:
    return [f for f in end.peer.frames if isinstance(f, WindowUpdateFrame) and f.stream_id == stream_id]


# ---- half-closed (remote) ----


@both_ways
@pytest.mark.parametrize(("kind", "flags", "payload"), [DATA, EMPTY_DATA])
async def test_5_1_data_after_the_end_is_a_stream_error(end: End, kind: FrameType, flags: int, payload: bytes) -> None:
    stream_id = await end.half_closed_remote()
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)
    with pytest.raises(StreamResetError) as caught:
        await end.app(stream_id).send_all(b"too late")
    assert caught.value.code == ErrorCode.STREAM_CLOSED


@pytest.mark.parametrize("end_stream", [False, True])
@pytest.mark.parametrize("trailers", [False, True])
async def test_5_1_headers_after_the_end_are_a_stream_error(end: End, trailers: bool, end_stream: bool) -> None:
    stream_id = await end.half_closed_remote()
    fields = [("x-trailer", "yes")] if trailers else end.head()
    await end.peer.send_headers(stream_id, fields, end_stream=end_stream)
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)


async def test_5_1_end_stream_on_headers_counts_as_the_end(end: End) -> None:
    stream_id = await end.receive_message(end.head(), end_stream=True)
    await end.peer.send_data(stream_id, b"more", end_stream=True)
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)


@pytest.mark.parametrize(("kind", "flags", "payload"), [WINDOW_UPDATE, PRIORITY])
async def test_5_1_housekeeping_after_the_end_is_allowed(end: End, kind: FrameType, flags: int, payload: bytes) -> None:
    stream_id = await end.half_closed_remote()
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_ignored()
    await end.app(stream_id).send_all(b"still open")
    await end.peer.expect_data(stream_id, b"still open")


async def test_5_1_reset_after_the_end_is_allowed(end: End) -> None:
    stream_id = await end.half_closed_remote()
    await end.peer.send_rst(stream_id, ErrorCode.CANCEL)
    await end.expect_ignored()
    with pytest.raises(StreamResetError):
        await end.app(stream_id).send_all(b"too late")


async def test_5_1_what_the_peer_sent_before_a_stream_error_is_not_lost(end: End) -> None:
    stream_id = await end.open()
    async with end.peer.batch():
        await end.peer.send_data(stream_id, b"whole", end_stream=True)
        await end.peer.send_data(stream_id, b"too much")
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)
    await end.expect_body(stream_id, b"whole")


# ---- closed ----


@both_ways
@pytest.mark.parametrize("state", ["closed", "reset_by_peer"])
@pytest.mark.parametrize(("kind", "flags", "payload"), [DATA, EMPTY_DATA])
async def test_5_1_data_on_a_closed_stream_is_a_stream_error(
    end: End, state: str, kind: FrameType, flags: int, payload: bytes
) -> None:
    """Our choice: a connection error is allowed as well. One RST_STREAM for all of it."""
    stream_id = await end.in_state(state)
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)


async def test_5_1_headers_on_a_stream_that_has_ended_are_a_connection_error(end: End) -> None:
    """RFC 7540 §5.1 demands it of every frame after END_STREAM; RFC 9113 leaves it to the endpoint."""
    stream_id = await end.in_state("closed")
    await end.peer.send_headers(stream_id, end.head(), end_stream=True)
    await end.expect_connection_error(ErrorCode.STREAM_CLOSED)


async def test_5_1_headers_on_a_stream_that_the_peer_has_reset_are_a_stream_error(end: End) -> None:
    """Our choice, as above: the session goes on."""
    stream_id = await end.in_state("reset_by_peer")
    await end.peer.send_headers(stream_id, end.head(), end_stream=True)
    await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True)
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)


@pytest.mark.parametrize("state", ["closed", "reset_by_us", "reset_by_peer"])
@pytest.mark.parametrize(("kind", "flags", "payload"), [WINDOW_UPDATE, RST_STREAM, PRIORITY])
async def test_5_1_late_housekeeping_on_a_closed_stream_is_allowed(
    end: End, state: str, kind: FrameType, flags: int, payload: bytes
) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_ignored()


async def test_5_1_everything_on_a_stream_that_we_reset_is_discarded(end: End) -> None:
    stream_id = await end.reset_by_us()
    await end.peer.send_data(stream_id, b"under way")
    await end.peer.send_window_update(stream_id, 1000)
    await end.peer.send_priority(stream_id)
    await end.peer.send_raw_frame(0xFA, 0, stream_id, b"unknown")
    await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True)
    await end.peer.send_rst(stream_id)
    await end.expect_ignored()


@whole_only
async def test_5_1_data_on_a_stream_that_we_reset_is_credited(start: Start) -> None:
    """The same bytes 10 times over: without credit for them the connection's window would be used up."""
    async with start(config={"receive_budget": 65_535, "stream_window": 511}) as end:
        for _ in range(10):
            stream_id = await end.reset_by_us()
            for _ in range(31):
                await end.peer.send_data(stream_id, bytes(511))
            await end.peer.ping()
        assert end.peer.send_window() > 16_384
        ledger = end.session.statistics().ledger
        assert ledger.received == ledger.discarded == 10 * 31 * 511


async def test_5_1_we_give_no_credit_for_a_stream_that_has_closed(start: Start) -> None:
    async with start(config={"stream_window": 1000}) as end:
        stream_id = await end.half_closed_local()
        await end.peer.send_data(stream_id, bytes(1000), end_stream=True)
        await end.settle()
        await end.expect_body(stream_id, bytes(1000))
        await end.still_works()
        assert _credit_frames(end, stream_id) == []


async def test_5_1_we_send_nothing_on_a_stream_that_we_reset(start: Start) -> None:
    """Neither credit for what had come before, nor what was queued, nor another RST_STREAM."""
    async with start(config={"stream_window": 1000}, settings={SettingCode.INITIAL_WINDOW_SIZE: 1000}) as end:
        stream_id = await end.open()
        await end.peer.send_data(stream_id, bytes(1000))
        await end.settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_and_fail, end, stream_id)
            await end.settle()
            end.app(stream_id).reset(ErrorCode.CANCEL)
        end.app(stream_id).reset(ErrorCode.INTERNAL_ERROR)
        await end.app(stream_id).aclose()
        await end.peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.CANCEL)
        await end.expect_ignored()
        assert _credit_frames(end, stream_id) == []


async def _send_and_fail(end: End, stream_id: int) -> None:
    with pytest.raises(StreamResetError):
        await end.app(stream_id).send_all(bytes(1001))  # more than the window


async def test_5_1_an_ended_stream_takes_nothing_more_from_the_application(end: End) -> None:
    """It "cannot be used for sending frames other than WINDOW_UPDATE, PRIORITY, and RST_STREAM"."""
    stream_id = await end.half_closed_local()
    with pytest.raises(trio.ClosedResourceError):
        await end.app(stream_id).send_all(b"more")
    with pytest.raises(trio.ClosedResourceError):
        await end.app(stream_id).send_trailers({"x-trailer": "yes"})
    await end.app(stream_id).send_eof()
    await end.expect_ignored()


async def test_5_1_settings_acknowledged_do_not_change_late_frames(end: End) -> None:
    """Our choice: no signal turns late frames into connection errors (§5.1 would allow PING and SETTINGS)."""
    stream_id = await end.reset_by_us()
    await end.peer.send_settings()
    await end.peer.pick(SettingsFrame, ack=True)
    await end.peer.ping()
    await end.peer.send_data(stream_id, b"late", end_stream=True)
    await end.expect_ignored()
