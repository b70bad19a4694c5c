"""Transports that behave badly: in crumbs, at random, stalling, cut, or silent.

Each wraps a stream and can wrap another of these. Each is a `trio.abc.HalfCloseableStream` exactly if
the stream below is one, so code that asks for that sees the truth.
"""

from __future__ import annotations

import random
import types
from typing import Self, cast

import trio

from ._memory import Turn, checked_max_bytes


class FaultyStream(trio.abc.Stream):
    """The base: passes everything through.

    Subclasses override `_send` and `_receive`, which are called for one task at a time.

    Args:
        transport: The stream below, which the wrapper owns from now on.
    """

    def __new__(cls, transport: trio.abc.Stream, *args: object, **options: object) -> Self:
        """Adds half-closing to the class if the stream below has it."""
        if isinstance(transport, trio.abc.HalfCloseableStream):
            cls = cast("type[Self]", _half_closeable(cls))
        return super().__new__(cls)

    def __init__(self, transport: trio.abc.Stream) -> None:
        self.transport = transport
        self._sending = Turn("sending on")
        self._receiving = Turn("receiving from")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends bytes, badly."""
        with self._sending():
            await self._send(memoryview(data))

    async def wait_send_all_might_not_block(self) -> None:
        """Waits as the stream below does."""
        with self._sending():
            await self._wait_sendable()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes, badly."""
        max_bytes = checked_max_bytes(max_bytes)
        with self._receiving():
            return await self._receive(max_bytes)

    async def send_eof(self) -> None:
        """Ends the sending direction.

        Raises:
            TypeError: The stream below cannot do that.
        """
        if not isinstance(self.transport, trio.abc.HalfCloseableStream):
            raise TypeError(f"{self.transport!r} cannot be half-closed")
        with self._sending():
            await self.transport.send_eof()

    async def aclose(self) -> None:
        """Closes the stream below."""
        await self.transport.aclose()

    async def _send(self, data: memoryview) -> None:
        await self.transport.send_all(data)

    async def _wait_sendable(self) -> None:
        await self.transport.wait_send_all_might_not_block()

    async def _receive(self, max_bytes: int | None) -> bytes:
        return bytes(await self.transport.receive_some(max_bytes))


_half_closeable_classes: dict[type[FaultyStream], type[FaultyStream]] = {}


def _half_closeable(cls: type[FaultyStream]) -> type[FaultyStream]:
    """Returns the same class, but a `trio.abc.HalfCloseableStream`."""
    if issubclass(cls, trio.abc.HalfCloseableStream):
        return cls
    if cls not in _half_closeable_classes:
        made = types.new_class(cls.__name__, (cls, trio.abc.HalfCloseableStream))
        made.__module__, made.__doc__ = cls.__module__, cls.__doc__
        _half_closeable_classes[cls] = made
    return _half_closeable_classes[cls]


class TrickleStream(FaultyStream):
    """Moves at most a few bytes at a time, so that every message arrives in pieces.

    Args:
        transport: The stream below.
        receive_bytes: The most that one `receive_some` returns; None for no limit.
        send_bytes: The most that is sent below at once; None for no limit.
    """

    def __init__(
        self, transport: trio.abc.Stream, *, receive_bytes: int | None = 1, send_bytes: int | None = 1
    ) -> None:
        super().__init__(transport)
        self._receive_bytes = checked_max_bytes(receive_bytes)
        self._send_bytes = checked_max_bytes(send_bytes)

    async def _send(self, data: memoryview) -> None:
        size = self._send_bytes or len(data)
        # At least once: also an empty send has to be a checkpoint and to notice a closed stream.
        for start in range(0, len(data) or 1, size or 1):
            await self.transport.send_all(data[start : start + size])

    async def _receive(self, max_bytes: int | None) -> bytes:
        return await super()._receive(_smaller(max_bytes, self._receive_bytes))


class ChaosStream(FaultyStream):
    """Splits at random, waits at random, and does the same again with the same seed.

    The two directions have their own sources of randomness, so what one does depends only on its own
    calls.

    Args:
        transport: The stream below.
        seed: Where the randomness starts.
        max_chunk: The most bytes that are moved at once. Small pieces are as likely as large ones.
        max_delay: The longest random wait, in seconds of Trio's clock; use it with an autojump clock.
    """

    def __init__(
        self, transport: trio.abc.Stream, seed: int, *, max_chunk: int = 16_384, max_delay: float = 0.0
    ) -> None:
        super().__init__(transport)
        self._max_chunk = max_chunk
        self._max_delay = max_delay
        self._send_random = random.Random(f"send {seed}")
        self._receive_random = random.Random(f"receive {seed}")

    async def _send(self, data: memoryview) -> None:
        while True:
            await self._dawdle(self._send_random)
            size = self._size(self._send_random)
            await self.transport.send_all(data[:size])
            data = data[size:]
            if not data:
                return

    async def _receive(self, max_bytes: int | None) -> bytes:
        # Waiting afterwards would lose bytes when it is cancelled.
        await self._dawdle(self._receive_random)
        return await super()._receive(_smaller(max_bytes, self._size(self._receive_random)))

    def _size(self, source: random.Random) -> int:
        return int(self._max_chunk ** source.random())

    async def _dawdle(self, source: random.Random) -> None:
        for _ in range(source.choice((0, 0, 1, 3))):
            await trio.lowlevel.checkpoint()
        if self._max_delay and source.random() < 0.5:
            await trio.sleep(source.uniform(0, self._max_delay))


def _smaller(max_bytes: int | None, limit: int | None) -> int | None:
    given = [number for number in (max_bytes, limit) if number is not None]
    return min(given, default=None)
