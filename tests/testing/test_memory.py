"""The transports in memory are real Trio streams, and they push back."""

from __future__ import annotations

import pytest
import trio
from trio.testing import assert_checkpoints, check_half_closeable_stream, wait_all_tasks_blocked

from trio_h2.testing import MemoryTransport, memory_transports


async def _clogged() -> tuple[MemoryTransport, MemoryTransport]:
    left, right = memory_transports(1)
    await left.send_all(b"x")
    await right.send_all(b"x")
    return left, right


@pytest.mark.parametrize("capacity", [None, 1000])
async def test_they_are_half_closeable_streams(capacity: int | None) -> None:
    async def make() -> tuple[MemoryTransport, MemoryTransport]:
        return memory_transports(capacity)

    await check_half_closeable_stream(make, _clogged)


async def test_send_all_waits_until_enough_was_read() -> None:
    left, right = memory_transports(capacity=4)
    sent = trio.Event()

    async def send() -> None:
        await left.send_all(b"0123456789")
        sent.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert (left.unsent, right.unread) == (4, 4)
        assert await right.receive_some(5) == b"0123"
        await wait_all_tasks_blocked()
        assert not sent.is_set()
        assert await right.receive_some() == b"4567"
        await wait_all_tasks_blocked()
        assert sent.is_set()
        assert await right.receive_some() == b"89"
    assert right.unread == 0


async def test_without_a_capacity_nothing_waits() -> None:
    left, right = memory_transports()
    await left.send_all(bytes(10**6))
    assert right.unread == 10**6
    assert left.unread == 0


async def test_each_direction_has_its_own_room() -> None:
    left, right = memory_transports(capacity=3)
    await left.send_all(b"abc")
    await right.send_all(b"def")
    assert await right.receive_some() == b"abc"
    assert await left.receive_some() == b"def"


async def test_cancelled_receive_loses_nothing() -> None:
    left, right = memory_transports()
    with trio.CancelScope() as scope:
        scope.cancel()
        await right.receive_some()
    assert scope.cancelled_caught
    await left.send_all(b"kept")
    with trio.CancelScope() as scope:
        scope.cancel()
        await right.receive_some()
    assert await right.receive_some() == b"kept"


async def test_a_part_is_received_and_an_end_wakes_the_receiver() -> None:
    left, right = memory_transports()
    await left.send_all(b"abcdef")
    assert await right.receive_some(4) == b"abcd"
    assert await right.receive_some(4) == b"ef"
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            assert await right.receive_some() == b""

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await left.send_eof()


async def test_closing_wakes_the_other_ends_sender() -> None:
    left, right = memory_transports(capacity=1)

    async def send() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await left.send_all(b"too long")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        await right.aclose()


async def test_every_call_is_a_checkpoint() -> None:
    left, right = memory_transports()
    with assert_checkpoints():
        await left.send_all(b"")
    with assert_checkpoints():
        await left.send_all(b"x")
    with assert_checkpoints():
        await right.receive_some()
    with assert_checkpoints():
        await left.send_eof()
    with assert_checkpoints():
        await right.receive_some()
    with assert_checkpoints():
        await left.aclose()


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_capacity_must_hold_something(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        memory_transports(capacity)
