"""Streams that stall, break or go silent when the test says so, also for tasks that wait in them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_h2.testing import BlackHoleStream, CuttingStream, StallableStream, memory_transports

# ---- Stalling ----


async def test_stalled_receive_keeps_what_comes_meanwhile() -> None:
    left, right = memory_transports()
    stream = StallableStream(right)
    received = []

    async def receive() -> None:
        received.append(await stream.receive_some(2))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        stream.stall_receive()
        await left.send_all(b"abc")
        await wait_all_tasks_blocked()
        assert received == []
        stream.resume()
    assert received == [b"ab"]
    assert await stream.receive_some() == b"c"


async def test_stalled_receive_can_be_cancelled_without_loss() -> None:
    left, right = memory_transports()
    stream = StallableStream(right)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive_some)
        await wait_all_tasks_blocked()
        stream.stall_receive()
        await left.send_all(b"abc")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await left.send_eof()
    stream.resume_receive()
    assert await stream.receive_some(1) == b"a"
    assert await stream.receive_some(5) == b"bc"
    assert await stream.receive_some() == b""


async def test_bytes_on_their_way_do_not_count_for_a_later_stall() -> None:
    left, right = memory_transports(4)
    stream = StallableStream(left)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, b"abcdefgh")
        await wait_all_tasks_blocked()  # with four bytes that found no room
        stream.stall_send(after=2)
        assert await right.receive_some() == b"abcd"
        assert await right.receive_some() == b"efgh"
        nursery.start_soon(stream.send_all, b"ijkl")
        await wait_all_tasks_blocked()
        assert await right.receive_some() == b"ij"
        await wait_all_tasks_blocked()
        stream.resume_send()
        assert await right.receive_some() == b"kl"


async def test_stalled_send_goes_on_where_it_stood() -> None:
    left, right = memory_transports()
    stream = StallableStream(left)
    stream.stall_send(after=3)
    await stream.send_all(b"a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, b"bcdef")
        await wait_all_tasks_blocked()
        assert await right.receive_some() == b"abc"
        stream.stall_send()
        await wait_all_tasks_blocked()
        assert right.unread == 0
        stream.resume_send()
    assert await right.receive_some() == b"def"


async def test_stalling_one_direction_leaves_the_other_alone() -> None:
    left, right = memory_transports()
    stream = StallableStream(left)
    stream.stall_send()
    await right.send_all(b"in")
    assert await stream.receive_some() == b"in"
    stream.resume()
    stream.stall_receive()
    await stream.send_all(b"out")
    assert await right.receive_some() == b"out"


@pytest.mark.parametrize("operation", ["send_all", "receive_some", "wait_send_all_might_not_block"])
async def test_closing_a_stalled_stream_wakes_its_tasks(operation: str) -> None:
    left, _ = memory_transports()
    stream = StallableStream(left)
    stream.stall_send()
    stream.stall_receive()

    async def use() -> None:
        with pytest.raises(trio.ClosedResourceError):
            match operation:
                case "send_all":
                    await stream.send_all(b"x")
                case "receive_some":
                    await stream.receive_some()
                case _:
                    await stream.wait_send_all_might_not_block()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(use)
        await wait_all_tasks_blocked()
        await stream.aclose()


# ---- Cutting ----


async def test_end_after_some_octets_leaves_sending_alone() -> None:
    left, right = memory_transports()
    stream = CuttingStream(right, receive_limit=4)
    await left.send_all(b"abcdef")
    assert await stream.receive_some(3) == b"abc"
    assert await stream.receive_some() == b"d"
    assert await stream.receive_some() == b""
    assert await stream.receive_some() == b""
    await stream.send_all(b"still here")
    assert await left.receive_some() == b"still here"
    assert not stream.is_cut


async def test_error_after_some_octets_breaks_everything() -> None:
    left, right = memory_transports()
    stream = CuttingStream(right, receive_limit=4, error=True)
    await left.send_all(b"abcdef")
    assert await stream.receive_some() == b"abcd"
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")
    assert await left.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await left.send_all(b"x")


async def test_send_limit_delivers_exactly_that_many_octets() -> None:
    left, right = memory_transports()
    stream = CuttingStream(left, send_limit=5)
    await stream.send_all(b"abc")
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"defg")
    assert await right.receive_some() == b"abcde"
    assert await right.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"h")
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_eof()
    with pytest.raises(trio.BrokenResourceError):
        await stream.wait_send_all_might_not_block()


@pytest.mark.parametrize("error", [False, True])
async def test_cutting_wakes_whoever_waits(error: bool) -> None:
    left, right = memory_transports(capacity=1)
    stream = CuttingStream(left, error=error)

    async def receive() -> None:
        if error:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        else:
            assert await stream.receive_some() == b""

    async def send() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"too long")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        await stream.cut()
    assert stream.is_cut
    assert await right.receive_some() == b"t"
    assert await right.receive_some() == b""


async def test_after_closing_a_cut_stream_it_is_simply_closed() -> None:
    left, _ = memory_transports()
    stream = CuttingStream(left, receive_limit=0)
    await stream.cut()
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


# ---- Silence ----


async def test_a_black_hole_swallows_both_directions(autojump_clock: trio.testing.MockClock) -> None:
    left, right = memory_transports()
    stream = BlackHoleStream(left)
    await right.send_all(b"heard")
    assert await stream.receive_some() == b"heard"
    await stream.send_all(b"before")
    stream.go_silent()
    assert stream.is_silent
    await stream.send_all(b"after")
    await stream.wait_send_all_might_not_block()
    await stream.send_eof()
    assert await right.receive_some() == b"before"
    await right.send_all(b"unheard")
    await right.aclose()
    with trio.move_on_after(1000) as scope:
        await stream.receive_some()
    assert scope.cancelled_caught
    assert stream.swallowed == 5


@pytest.mark.parametrize("ending", ["data", "end"])
async def test_a_waiting_receive_hears_nothing_either(ending: str) -> None:
    left, right = memory_transports()
    stream = BlackHoleStream(left)

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        stream.go_silent()
        if ending == "data":
            await right.send_all(b"unheard")
        else:
            await right.aclose()
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        await stream.aclose()


async def test_a_full_black_hole_blocks_the_sender(autojump_clock: trio.testing.MockClock) -> None:
    left, _ = memory_transports()
    stream = BlackHoleStream(left, send_capacity=10)
    stream.go_silent()
    await stream.send_all(bytes(10))
    with trio.move_on_after(1000) as scope:
        await stream.wait_send_all_might_not_block()
    assert scope.cancelled_caught
    with trio.move_on_after(1000) as scope:
        await stream.send_all(b"x")
    assert scope.cancelled_caught


async def test_before_it_is_silent_a_full_transport_is_felt(autojump_clock: trio.testing.MockClock) -> None:
    left, _right = memory_transports(capacity=1)
    stream = BlackHoleStream(left, send_capacity=10)
    await stream.send_all(b"x")
    with trio.move_on_after(1000) as scope:
        await stream.wait_send_all_might_not_block()
    assert scope.cancelled_caught
