"""Streams that split and dawdle: still streams, still all bytes, in order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import check_half_closeable_stream

from trio_h2.testing import (
    BlackHoleStream,
    ChaosStream,
    CuttingStream,
    FaultyStream,
    MemoryTransport,
    StallableStream,
    TrickleStream,
    memory_transports,
)

if TYPE_CHECKING:
    from collections.abc import Callable

WRAPPERS: list[Callable[[trio.abc.Stream], FaultyStream]] = [
    FaultyStream,
    lambda stream: TrickleStream(stream, receive_bytes=1000, send_bytes=777),
    lambda stream: ChaosStream(stream, 1),
    StallableStream,
    CuttingStream,
    BlackHoleStream,
    lambda stream: TrickleStream(StallableStream(ChaosStream(stream, 2)), receive_bytes=5000, send_bytes=None),
]


class OneWayClose(trio.abc.Stream):
    """A stream that, like TLS, cannot be closed in one direction."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self.transport.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.transport.aclose()


def _half_closeable(stream: trio.abc.Stream) -> trio.abc.HalfCloseableStream:
    assert isinstance(stream, trio.abc.HalfCloseableStream)
    return stream


@pytest.mark.parametrize("wrap", WRAPPERS)
async def test_they_are_half_closeable_streams(wrap: Callable[[trio.abc.Stream], FaultyStream]) -> None:
    async def make() -> tuple[trio.abc.HalfCloseableStream, trio.abc.HalfCloseableStream]:
        left, right = memory_transports()
        return _half_closeable(wrap(left)), _half_closeable(wrap(right))

    async def make_clogged() -> tuple[trio.abc.HalfCloseableStream, trio.abc.HalfCloseableStream]:
        left, right = memory_transports(1)
        await left.send_all(b"x")
        await right.send_all(b"x")
        return _half_closeable(wrap(left)), _half_closeable(wrap(right))

    await check_half_closeable_stream(make, make_clogged)


@pytest.mark.parametrize("wrap", WRAPPERS)
async def test_they_tell_the_truth_about_half_closing(wrap: Callable[[trio.abc.Stream], FaultyStream]) -> None:
    left, right = memory_transports()
    both, one = wrap(left), wrap(OneWayClose(right))
    assert isinstance(both, trio.abc.HalfCloseableStream)
    assert not isinstance(one, trio.abc.HalfCloseableStream)
    with pytest.raises(TypeError, match="half-closed"):
        await one.send_eof()
    await both.send_eof()
    assert await one.receive_some() == b""


def test_the_name_stays_the_same() -> None:
    left, _ = memory_transports()
    stream = TrickleStream(left)
    assert type(stream).__name__ == "TrickleStream"
    assert isinstance(stream, TrickleStream)
    assert type(stream) is type(TrickleStream(left))


async def test_trickle_receives_one_octet_at_a_time() -> None:
    left, right = memory_transports()
    await left.send_all(b"abc")
    stream = TrickleStream(right)
    assert [await stream.receive_some(100) for _ in range(3)] == [b"a", b"b", b"c"]
    await left.aclose()
    assert await stream.receive_some() == b""


async def test_trickle_sends_one_octet_at_a_time() -> None:
    left, right = memory_transports(capacity=3)
    stream = TrickleStream(left)
    with trio.move_on_after(0) as scope:
        await stream.send_all(b"x")
    assert scope.cancelled_caught

    sizes = []

    class Recorder(FaultyStream):
        async def _send(self, data: memoryview) -> None:
            sizes.append(len(data))
            await super()._send(data)

    await TrickleStream(Recorder(left)).send_all(b"abc")
    assert sizes == [1, 1, 1]
    sizes.clear()
    assert await right.receive_some() == b"abc"
    await TrickleStream(Recorder(left), send_bytes=2).send_all(b"abc")
    assert sizes == [2, 1]


@pytest.mark.parametrize("seed", range(4))
async def test_chaos_delivers_everything_in_order(seed: int, autojump_clock: trio.testing.MockClock) -> None:
    data = random.Random(0).randbytes(100_000)
    left, right = memory_transports(capacity=5000)
    chaos = ChaosStream(left, seed, max_delay=1.0)
    received = bytearray()
    pieces = 0

    async def send() -> None:
        await chaos.send_all(data)
        await chaos.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        reader = ChaosStream(right, seed)
        async for piece in reader:
            received += piece
            pieces += 1
    assert received == data
    assert pieces > 20
    assert trio.current_time() > 0


async def _chaotic_sizes(seed: int) -> list[int]:
    left, right = memory_transports()
    await left.send_all(bytes(50_000))
    await left.aclose()
    return [len(piece) async for piece in ChaosStream(right, seed, max_chunk=1000)]


async def test_the_same_seed_means_the_same_chaos() -> None:
    sizes = await _chaotic_sizes(7)
    assert sizes == await _chaotic_sizes(7)
    assert sizes != await _chaotic_sizes(8)
    assert len(set(sizes)) > 10
    assert max(sizes) <= 1000
    assert min(sizes) < 10


async def test_cancelled_chaos_loses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    left, right = memory_transports()
    chaos = ChaosStream(right, 3, max_delay=1.0)
    data = bytes(range(200))
    await left.send_all(data)
    received = bytearray()
    cancelled = 0
    while len(received) < len(data):
        with trio.move_on_after(0.2) as scope:
            received += await chaos.receive_some(3)
        cancelled += scope.cancelled_caught
    assert received == data
    assert cancelled > 5
