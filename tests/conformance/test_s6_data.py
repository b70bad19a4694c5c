"""RFC 9113 §6.1: DATA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode
from trio_h2.testing import DataFrame, FrameFlag, FrameType

if TYPE_CHECKING:
    from tests.conformance.ends import End, Start


@pytest.mark.parametrize("flags", [0, FrameFlag.END_STREAM, FrameFlag.PADDED])
@pytest.mark.parametrize("payload", [b"", b"\x00data"])
async def test_6_1_data_on_stream_0_is_a_connection_error(end: End, payload: bytes, flags: int) -> None:
    if not payload and flags == FrameFlag.PADDED:
        payload = b"\x00"
    await end.peer.send_raw_frame(FrameType.DATA, flags, 0, payload)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("state", ["half_closed_remote", "closed"])
async def test_6_1_data_on_a_stream_that_was_ended_is_a_stream_error(end: End, state: str) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_data(stream_id, b"more")
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)


@both_ways
@pytest.mark.parametrize("payload", [b"\x01", b"\x04abc", b"\xff" + bytes(254), b"\x05\x00\x00\x00\x00"])
async def test_6_1_padding_as_long_as_the_payload_is_a_connection_error(end: End, payload: bytes) -> None:
    stream_id = await end.open()
    await end.peer.send_raw_frame(FrameType.DATA, FrameFlag.PADDED, stream_id, payload)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize("padding", [0, 1, 255])
@pytest.mark.parametrize("data", [b"", b"data"])
async def test_6_1_padding_is_taken_off(end: End, data: bytes, padding: int) -> None:
    stream_id = await end.open()
    await end.peer.send_data(stream_id, data, padding=padding)
    await end.peer.send_data(stream_id, b" and more", end_stream=True, padding=padding)
    await end.settle()
    await end.expect_body(stream_id, data + b" and more")
    await end.expect_ignored()


async def test_6_1_padding_does_not_count_for_content_length(end: End) -> None:
    stream_id = await end.receive_message(end.head(("content-length", "4")), end_stream=False)
    await end.peer.send_data(stream_id, b"data", end_stream=True, padding=20)
    await end.settle()
    await end.expect_body(stream_id, b"data")
    await end.expect_ignored()


async def test_6_1_padding_counts_against_the_windows(start: Start) -> None:
    """100 bytes of window are used up by 1 of data, 98 of padding and 1 of pad length."""
    async with start(config={"stream_window": 100}) as end:
        stream_id = await end.open()
        await end.peer.send_data(stream_id, bytes(40))  # less than half: not credited yet
        await end.settle()
        assert await end.app(stream_id).receive_some() == bytes(40)
        await end.peer.send_data(stream_id, b"x", padding=59)
        await end.expect_stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)


async def test_6_1_padding_is_credited(start: Start) -> None:
    """All that the peer has spent on a stream comes back, though the application gets one byte of a hundred."""
    async with start(config={"stream_window": 1000}) as end:
        stream_id = await end.open()
        for _ in range(100):
            await end.peer.send_data(stream_id, b"x", padding=98)
            await end.settle()
            assert await end.app(stream_id).receive_some() == b"x"
            await end.peer.ping()
            assert end.peer.send_window(stream_id) >= 500
        ledger = end.session.statistics().ledger
        assert (ledger.taken, ledger.discarded) == (100, 9900)


async def test_6_1_data_we_send_is_on_an_open_stream_and_ends_it(end: End) -> None:
    stream_id = await end.send_message()
    await end.app(stream_id).send_all(b"first")
    await end.app(stream_id).send_all(b"")
    await end.app(stream_id).send_all(b"second")
    await end.app(stream_id).send_eof()
    await end.settle()
    assert await end.peer.collect_body(stream_id) == b"firstsecond"
    frames = [frame for frame in end.peer.frames if isinstance(frame, DataFrame)]
    assert [frame.end_stream for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert {frame.pad_length for frame in frames} == {None}
