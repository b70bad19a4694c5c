"""RFC 9113 §6.7: PING."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode
from trio_h2.testing import DataFrame, FrameFlag, FrameType, PingFrame

if TYPE_CHECKING:
    from tests.conformance.ends import End


async def test_6_7_ping_is_answered_with_ack_and_the_same_bytes(end: End) -> None:
    for data in (b"\x00" * 8, b"abcdefgh", b"\xff" * 8):
        await end.peer.send_ping(data)
        await end.peer.expect(PingFrame, ack=True, data=data)
    await end.expect_ignored()


async def test_6_7_pings_are_answered_each_and_in_order(end: End) -> None:
    pings = [b"%08d" % number for number in range(20)]
    async with end.peer.batch():
        for data in pings:
            await end.peer.send_ping(data)
    for data in pings:
        await end.peer.expect(PingFrame, ack=True, data=data)
    await end.expect_ignored()


async def test_6_7_ack_is_not_answered(end: End) -> None:
    await end.peer.send_ping(b"unasked!", ack=True)
    await end.expect_ignored()


async def test_6_7_pings_of_ours_have_8_bytes_and_end_with_their_ack(end: End) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.session.ping)
        frame = await end.peer.pick(PingFrame, ack=False)
        assert len(frame.data) == 8
    await end.expect_ignored()


async def test_6_7_ping_is_answered_while_nobody_reads_and_nothing_may_be_sent(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_data(stream_id, bytes(16_384))  # the application does not take it
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.app(stream_id).send_all, bytes(100_000))  # more than the window
        await end.peer.until(DataFrame, stream_id=stream_id)
        await end.settle()
        await end.peer.ping()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("stream_id", [1, 2, 2**31 - 1])
async def test_6_7_ping_on_a_stream_is_a_connection_error(end: End, stream_id: int) -> None:
    await end.peer.send_raw_frame(FrameType.PING, 0, stream_id, bytes(8))
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize("length", [0, 7, 9])
@pytest.mark.parametrize("flags", [0, FrameFlag.ACK])
async def test_6_7_ping_of_another_length_is_a_connection_error(end: End, flags: int, length: int) -> None:
    await end.peer.send_raw_frame(FrameType.PING, flags, 0, bytes(length))
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)
