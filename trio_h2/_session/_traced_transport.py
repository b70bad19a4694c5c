"""The transport of a session that instruments look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from ._write_watch import WriteWatch


class ByteTrace(Protocol):
    """Who wants to see the bytes."""

    write_watch: WriteWatch

    def sent(self, data: bytes | bytearray | memoryview) -> None:
        """The transport is given bytes."""

    def received(self, data: bytes) -> None:
        """Bytes came."""


class TracedTransport(trio.abc.Stream):
    """Passes everything on, and lets a trace see it.

    Args:
        below: the transport; closed with this one.
        trace: who looks.
    """

    def __init__(self, below: trio.abc.Stream, trace: ByteTrace) -> None:
        self._below = below
        self._trace = trace

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends as the transport below does."""
        self._trace.sent(data)
        watch = self._trace.write_watch
        watch.begin(trio.current_time())
        try:
            await self._below.send_all(data)
        finally:
            watch.end(trio.current_time())

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receives as the transport below does."""
        data = await self._below.receive_some(max_bytes)
        if data:
            self._trace.received(bytes(data))
        return data

    async def wait_send_all_might_not_block(self) -> None:
        """Waits as the transport below does."""
        await self._below.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the transport below."""
        await self._below.aclose()
