"""RFC 9113 §6.9 and §6.9.1: WINDOW_UPDATE and the windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.conformance.feeds import both_ways, whole_only
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import FrameType, PingFrame, WindowUpdateFrame

if TYPE_CHECKING:
    from tests.conformance.ends import End, Start

MAX_WINDOW = 2**31 - 1


# ---- §6.9 ----


@both_ways
@pytest.mark.parametrize("payload", [b"\x00\x00\x00\x00", b"\x80\x00\x00\x00"], ids=["zero", "reserved-bit"])
@pytest.mark.parametrize("state", ["open", "half_closed_remote", "half_closed_local"])
async def test_6_9_increment_of_0_on_a_stream_is_a_stream_error(end: End, state: str, payload: bytes) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0, stream_id, payload)
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("payload", [b"\x00\x00\x00\x00", b"\x80\x00\x00\x00"], ids=["zero", "reserved-bit"])
async def test_6_9_increment_of_0_on_the_connection_is_a_connection_error(end: End, payload: bytes) -> None:
    await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0, 0, payload)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 3, 5, 100])
@pytest.mark.parametrize("on_stream", [False, True])
async def test_6_9_window_update_of_another_length_is_a_connection_error(
    end: End, on_stream: bool, length: int
) -> None:
    stream_id = await end.open() if on_stream else 0
    await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0, stream_id, b"\x01" * length)
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("state", ["half_closed_remote", "half_closed_local", "closed", "reset_by_us", "reset_by_peer"])
async def test_6_9_window_update_after_the_end_is_no_error(end: End, state: str) -> None:
    stream_id = await end.in_state(state)
    for increment in (1, 1000, 1_000_000):
        await end.peer.send_window_update(stream_id, increment)
    await end.expect_ignored()


async def test_6_9_frames_without_flow_control_are_accepted_though_all_windows_are_used_up(start: Start) -> None:
    async with start(config={"stream_window": 0}) as end:
        stream_id = await end.open()
        await end.peer.ping()
        assert end.peer.send_window(stream_id) == 0
        await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True)
        trailers = await end.app(stream_id).receive_trailers()
        assert trailers is not None
        another = await end.receive_message(end.head())
        await end.settle()
        await end.expect_body(another, b"")
        await end.peer.ping()


async def test_6_9_frames_without_flow_control_are_sent_though_we_may_send_no_data(start: Start) -> None:
    async with start(settings={SettingCode.INITIAL_WINDOW_SIZE: 0}) as end:
        stream_id = await end.send_message()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.app(stream_id).send_all, b"data")
            nursery.start_soon(end.session.ping)
            await end.peer.pick(PingFrame, ack=False)
            await end.send_message({"x-other": "yes"}, end_stream=True)
            await end.peer.expect_nothing()
            await end.peer.send_window_update(stream_id, 4)
            await end.peer.expect_data(stream_id, b"data")


@pytest.mark.parametrize("state", ["half_closed_remote", "closed", "reset_by_us", "reset_by_peer"])
@pytest.mark.parametrize("padding", [None, 99])
async def test_6_9_data_in_error_counts_for_the_connection_and_is_credited(
    end: End, state: str, padding: int | None
) -> None:
    stream_id = await end.in_state(state)
    before = end.session.statistics()
    for _ in range(3):
        await end.peer.send_data(stream_id, bytes(900), padding=padding)
    await end.settle()
    after = end.session.statistics()
    size = 3 * (900 if padding is None else 1000)
    assert after.ledger.received - before.ledger.received == size
    assert after.ledger.held == 0
    assert after.receive_window == before.receive_window - size  # counted, and owed until half of it is used


@whole_only
async def test_6_9_data_in_error_does_not_use_up_the_connection(start: Start) -> None:
    async with start(config={"receive_budget": 65_535, "stream_window": 511}) as end:
        for state in ("half_closed_remote", "closed", "reset_by_us", "reset_by_peer"):
            stream_id = await end.in_state(state)
            for _ in range(50):
                await end.peer.send_data(stream_id, bytes(1500))
                await end.settle()
                while end.peer.send_window() < 16_384:
                    await end.peer.receive_frame()


# ---- §6.9.1: what we send ----


@pytest.mark.parametrize("window", [0, 1, 10])
async def test_6_9_1_we_respect_the_window_of_a_stream(start: Start, window: int) -> None:
    async with start(settings={SettingCode.INITIAL_WINDOW_SIZE: window}) as end:
        stream_id = await end.send_message()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.app(stream_id).send_all, bytes(30))
            if window:
                await end.peer.expect_data(stream_id, bytes(window))
            await end.peer.expect_nothing()
            await end.peer.send_window_update(0, 1000)  # that of the connection alone is not enough
            await end.peer.expect_nothing()
            await end.peer.send_window_update(stream_id, 7)
            await end.peer.expect_data(stream_id, bytes(7))
            await end.peer.expect_nothing()
            await end.peer.send_window_update(stream_id, 1000)
            await end.peer.expect_data(stream_id, bytes(30 - 7 - window))


@whole_only
async def test_6_9_1_we_respect_the_window_of_the_connection(start: Start) -> None:
    async with start(settings={SettingCode.INITIAL_WINDOW_SIZE: 100_000}) as end:
        first, second = await end.send_message(), await end.send_message()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.app(first).send_all, bytes(50_000))
            nursery.start_soon(end.app(second).send_all, bytes(50_000))
            received = 0
            while received < 65_535:
                received += len((await end.peer.expect_data()).data)
            await end.peer.expect_nothing()
            await end.peer.send_window_update(first, 100_000)  # that of a stream alone is not enough
            await end.peer.expect_nothing()
            await end.peer.send_window_update(0, 1)
            await end.peer.expect_data(None, b"\x00")
            await end.peer.expect_nothing()
            await end.peer.send_window_update(0, 100_000)
            while received < 99_999:
                received += len((await end.peer.expect_data()).data)


async def test_6_9_1_the_end_is_sent_though_the_windows_are_used_up(start: Start) -> None:
    """An empty DATA frame with END_STREAM needs no space in either window."""
    async with start(settings={SettingCode.INITIAL_WINDOW_SIZE: 0}) as end:
        stream_id = await end.send_message()
        await end.app(stream_id).send_eof()
        await end.peer.expect_data(stream_id, b"", end_stream=True)


async def test_6_9_1_the_end_is_received_though_the_windows_are_used_up(start: Start) -> None:
    async with start(config={"stream_window": 4}) as end:
        stream_id = await end.open()
        await end.peer.send_data(stream_id, b"1234")
        await end.peer.send_data(stream_id, b"", end_stream=True)
        await end.settle()
        await end.expect_body(stream_id, b"1234")
        await end.peer.expect_nothing()


async def test_6_9_1_frame_headers_are_not_counted(start: Start) -> None:
    async with start(config={"stream_window": 10}) as end:
        stream_id = await end.open()
        for _ in range(10):
            await end.peer.send_data(stream_id, b"x")
        await end.peer.send_data(stream_id, b"", end_stream=True)
        await end.settle()
        await end.expect_body(stream_id, b"x" * 10)
        await end.peer.expect_nothing()


# ---- §6.9.1: windows over 2^31-1 ----


@both_ways
@pytest.mark.parametrize("steps", [[MAX_WINDOW], [MAX_WINDOW - 65_535, 1], [2**30, 2**30]])
@pytest.mark.parametrize("state", ["open", "half_closed_remote"])
async def test_6_9_1_window_overflow_on_a_stream_is_a_stream_error(end: End, state: str, steps: list[int]) -> None:
    stream_id = await end.in_state(state)
    for increment in steps:
        await end.peer.send_window_update(stream_id, increment)
    await end.expect_stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)


@pytest.mark.parametrize("steps", [[MAX_WINDOW], [MAX_WINDOW - 65_535, 1], [2**30, 2**30]])
async def test_6_9_1_window_overflow_on_the_connection_is_a_connection_error(end: End, steps: list[int]) -> None:
    for increment in steps:
        await end.peer.send_window_update(0, increment)
    await end.expect_connection_error(ErrorCode.FLOW_CONTROL_ERROR)


async def test_6_9_1_windows_may_be_as_large_as_2_31_minus_1(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_window_update(0, MAX_WINDOW - 65_535)
    await end.peer.send_window_update(stream_id, MAX_WINDOW - 65_535)
    await end.peer.expect_nothing()
    assert end.session.statistics().send_window == MAX_WINDOW
    await end.still_works()


@whole_only
@pytest.mark.parametrize("budget", [65_535, MAX_WINDOW])
async def test_6_9_1_our_own_windows_stay_within_2_31_minus_1(start: Start, budget: int) -> None:
    """`ScriptedPeer` fails at any WINDOW_UPDATE that overflows; here is the largest budget there can be."""
    window = budget // 128
    async with start(config={"receive_budget": budget, "stream_window": window}) as end:
        await end.peer.ping()
        assert end.peer.send_window() == budget
        stream_id = await end.open()
        await end.peer.send_data(stream_id, bytes(min(window, 16_384)), end_stream=True)
        await end.settle()
        await end.expect_body(stream_id, bytes(min(window, 16_384)))
        await end.peer.ping()


# ---- §6.9.1: a peer that sends too much ----


@pytest.mark.parametrize("size", [1, 100])
async def test_6_9_1_more_than_the_window_of_a_stream_is_a_stream_error(start: Start, size: int) -> None:
    """Our choice; RFC 9113 allows either kind of error. The bytes are credited, for the connection."""
    async with start(config={"stream_window": 1000}) as end:
        stream_id = await end.open()
        await end.peer.send_data(stream_id, bytes(1000))
        await end.peer.send_data(stream_id, bytes(size))
        await end.expect_stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)
        assert await end.app(stream_id).receive_some() == bytes(1000)
        ledger = end.session.statistics().ledger
        assert ledger.held == 0
        assert ledger.discarded == size


@whole_only
async def test_6_9_1_more_than_the_window_of_the_connection_is_a_connection_error(start: Start, role: str) -> None:
    """Our choice, too. Four streams hold all but 13107 bytes of what may be under way on all of them."""
    config: dict[str, object] = {"receive_budget": 65_535, "stream_window": 13_107}
    if role == "server":
        config["max_concurrent_streams"] = 5
    async with start(config=config) as end:
        closed = await end.closed()
        for _ in range(4):
            await end.peer.send_data(await end.open(), bytes(13_107))
        await end.peer.ping()
        assert end.peer.send_window() == 13_107
        await end.peer.send_data(closed, bytes(13_108))
        await end.expect_connection_error(ErrorCode.FLOW_CONTROL_ERROR)


@whole_only
async def test_6_9_1_credit_of_ours_comes_in_both_windows_and_not_in_crumbs(start: Start) -> None:
    async with start(config={"stream_window": 1000, "receive_budget": 128_000}) as end:
        stream_id = await end.open()
        for _ in range(200):
            await end.peer.send_data(stream_id, bytes(400))
            await end.settle()
            assert await end.app(stream_id).receive_some() == bytes(400)
            await end.peer.ping()
        updates = [frame for frame in end.peer.frames if isinstance(frame, WindowUpdateFrame)]
        for window_id in (0, stream_id):
            increments = [frame.increment for frame in updates if frame.stream_id == window_id]
            assert increments
            assert min(increments) >= 500
