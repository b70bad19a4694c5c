"""What a stream has received and the application has not taken yet.

Owner: the stream. The session's reader task puts in (`deliver`, `finish`, `fail`) and never waits; one application
task takes out (`receive`). The bytes go through a memory channel without a limit of its own: the flow-control window
that the peer was given bounds them. The channel is made when a body follows, or somebody waits for one; closing it is
the end of the body.

Every octet delivered is accounted exactly once, as taken or as discarded. A chunk that was handed to a waiting task
is in neither place until that task runs again, so `receive` accounts it, and a teardown in between does not see it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._errors import from_failure
from .._util import ConflictDetector, closed_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._wire._failure import SessionFailure, StreamFailure
    from ._port import SessionPort

DEFAULT_RECEIVE = 64 * 1024
"""What `receive_some()` returns at most when it is not told a number of octets."""


class Inbox:
    """The receive side of one stream."""

    __slots__ = (
        "_closed",
        "_conflict",
        "_discarding",
        "_failure",
        "_leftover",
        "_port",
        "_receive",
        "_send",
        "_stream_id",
        "destroyed_by",
        "ended",
    )

    def __init__(self, port: SessionPort, stream_id: int) -> None:
        self._port = port
        self._stream_id = stream_id
        self._send: trio.MemorySendChannel[bytes] | None = None
        self._receive: trio.MemoryReceiveChannel[bytes] | None = None
        self._leftover = memoryview(b"")
        self._conflict = ConflictDetector("another task is receiving from this stream")
        self._failure: StreamFailure | SessionFailure | None = None
        self._discarding = False
        self._closed = False
        self.destroyed_by: BaseException | None = None
        """Why the application destroyed the stream, if it said so."""
        self.ended = trio.Event()
        """Set when nothing more will come: the peer ended its side, or the stream broke."""

    # -- for the reader task ---------------------------------------------------------------------------------------

    def deliver(self, data: bytes) -> bool:
        """Takes body octets; returns ``False`` if the application has closed its side and they went nowhere."""
        if self._discarding:
            self._port._discarded(self._stream_id, len(data))
            return not self._closed
        self._channel()
        assert self._send is not None
        self._send.send_nowait(data)
        return True

    def finish(self) -> None:
        """The peer ended its side."""
        self.ended.set()
        if self._send is not None:
            self._send.close()

    def fail(self, failure: StreamFailure | SessionFailure) -> None:
        """The stream broke before the peer ended its side: what is buffered stays readable, then comes *failure*."""
        if self.ended.is_set():
            return
        self._failure = failure
        self.finish()

    # -- for the application ---------------------------------------------------------------------------------------

    def _channel(self) -> trio.MemoryReceiveChannel[bytes]:
        if self._receive is None:
            self._send, self._receive = trio.open_memory_channel[bytes](math.inf)
            if self.ended.is_set():
                self._send.close()
        return self._receive

    async def receive(self, max_bytes: int | None, about_to_wait: Callable[[], None]) -> bytes:
        """See `Stream.receive_some`; calls *about_to_wait* when nothing is there yet."""
        if max_bytes is None:
            max_bytes = DEFAULT_RECEIVE
        elif isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
            raise TypeError(f"max_bytes must be an int or None, not {max_bytes!r}")
        elif max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        with self._conflict:
            self._check_open()
            await trio.lowlevel.checkpoint()
            self._check_open()
            data = self._take(max_bytes)
            if not data and not self.ended.is_set():
                about_to_wait()
                await self._wait_for_chunk()
                self._check_open()
                data = self._take(max_bytes)
            if not data and self._failure is not None:
                raise from_failure(self._failure)
            return data

    async def _wait_for_chunk(self) -> None:
        try:
            chunk = await self._channel().receive()
        except trio.EndOfChannel:
            return
        if self._discarding:  # closed while the chunk was on its way to this task
            self._port._discarded(self._stream_id, len(chunk))
            return
        self._leftover = memoryview(chunk)

    async def drain(self, about_to_wait: Callable[[], None]) -> None:
        """Discards the body, credits it, and waits for its end, which *about_to_wait* is called before if need be.

        Cancelled: the body is gone, the wait can be repeated.
        """
        with self._conflict:
            self._check_open()
            await trio.lowlevel.checkpoint()
            self._check_open()
            self.discard()
            if not self.ended.is_set():
                about_to_wait()
            await self.ended.wait()
            self._check_open()
            if self._failure is not None:
                raise from_failure(self._failure)

    def _check_open(self) -> None:
        if self._closed:
            raise self.closed_error()

    def closed_error(self) -> trio.ClosedResourceError:
        """Returns what operations on a stream raise that was closed on this side."""
        return closed_here(self.destroyed_by)

    def _take(self, limit: int) -> bytes:
        """Takes up to *limit* octets of what is buffered, and credits them."""
        parts: list[bytes | memoryview] = []
        size = 0
        while size < limit:
            chunk = self._leftover
            if not chunk:
                if self._receive is None:
                    break
                try:
                    chunk = memoryview(self._receive.receive_nowait())
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
            room = limit - size
            parts.append(chunk[:room])
            self._leftover = chunk[room:]
            size += min(len(chunk), room)
        if size:
            self._port._taken(self._stream_id, size)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def discard(self) -> None:
        """Throws away what is unread and whatever still comes, and credits it."""
        self._discarding = True
        size = len(self._leftover)
        self._leftover = memoryview(b"")
        if self._receive is not None:
            while True:
                try:
                    size += len(self._receive.receive_nowait())
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
        if size:
            self._port._discarded(self._stream_id, size)

    def close(self) -> None:
        """The application is done with the receive side; a task that waits here gets `trio.ClosedResourceError`."""
        if self._closed:
            return
        self._closed = True
        self.discard()
        self.ended.set()  # wakes a task in drain()
        if self._receive is not None:
            self._receive.close()

    @property
    def failure(self) -> StreamFailure | SessionFailure | None:
        """What broke the receive side before its end."""
        return self._failure
