"""What a stream has received and the application has not taken yet.

Owner: the stream. The session's reader task puts in (`deliver`, `end`) and never waits; one application task takes out
(`receive`). Chunks go through a memory channel without a limit of its own: the flow-control window that the peer was
given bounds them. The channel is made when a second chunk comes before the first was taken, or when a task waits for
one: a body that has come whole with its headers needs none. Closing the channel is the end of the body.

Every byte delivered is accounted exactly once, as taken or as discarded. A chunk that was handed to a waiting task
is in neither place until that task runs again, so `receive` accounts it, and a teardown in between does not see it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._checks import check_int
from .._errors import from_failure
from .._util import Latch, closed_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._wire._failure import SessionFailure, StreamFailure
    from ._port import StreamPort
    from ._whose import Whose

DEFAULT_RECEIVE = 64 * 1024
"""What `receive_some()` returns at most when it is not told a number of bytes."""


class Inbox:
    """The receive side of one stream."""

    __slots__ = (
        "_busy",
        "_chunk",
        "_discarding",
        "_port",
        "_receive",
        "_send",
        "_stream_id",
        "closed",
        "destroyed_by",
        "ended",
        "failure",
        "whose",
    )

    def __init__(self, port: StreamPort, stream_id: int, whose: Whose) -> None:
        self._port = port
        self._stream_id = stream_id
        self.whose: Whose = whose
        self._chunk: bytes | memoryview = b""
        """What is taken first; what the channel holds came after it."""
        self._send: trio.MemorySendChannel[bytes] | None = None
        self._receive: trio.MemoryReceiveChannel[bytes] | None = None
        self._busy = False
        self._discarding = False
        self.closed: bool = False
        """The application is done with this side."""
        self.failure: StreamFailure | SessionFailure | None = None
        """What broke the receive side before its end."""
        self.destroyed_by: BaseException | None = None
        """Why the application destroyed the stream, if it said so."""
        self.ended: Latch = Latch()
        """Set when nothing more will come: the peer ended its side, or the stream broke."""

    # -- for the reader task ---------------------------------------------------------------------------------------

    def deliver(self, data: bytes) -> bool:
        """Takes body bytes, at least one; returns ``False`` if the application has closed its side and they went
        nowhere.
        """
        if self._discarding:
            self._port.discarded(self._stream_id, len(data))
            return not self.closed
        if self._send is None:
            if not self._chunk:
                self._chunk = data
                return True
            self._open_channel()
            assert self._send is not None
        self._send.send_nowait(data)
        return True

    def end(self, failure: StreamFailure | SessionFailure | None = None) -> None:
        """Nothing more will come: the peer ended its side, or the stream broke before that.

        What is buffered stays readable, then comes *failure*.
        """
        if self.ended.is_set:
            return
        self.failure = failure
        self.ended.set()
        if self._send is not None:
            self._send.close()

    # -- for the application ---------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """See `Stream.readable`."""
        return self.ended.is_set or self.closed or not self._is_empty()

    @property
    def drained(self) -> bool:
        """See `Stream.body_ended`."""
        return self.ended.is_set and self.failure is None and not self.closed and self._is_empty()

    def _open_channel(self) -> trio.MemoryReceiveChannel[bytes]:
        self._send, self._receive = trio.open_memory_channel[bytes](math.inf)
        return self._receive

    async def receive(self, max_bytes: int | None, about_to_wait: Callable[[], None]) -> bytes:
        """See `Stream.receive_some`; calls *about_to_wait* when nothing is there yet."""
        limit = DEFAULT_RECEIVE if max_bytes is None else check_int("max_bytes", max_bytes, 1)
        self._enter()
        try:
            if self._is_empty() and not self.ended.is_set:
                await trio.lowlevel.checkpoint_if_cancelled()
                about_to_wait()
                await self._wait_for_chunk()
            else:
                await trio.lowlevel.checkpoint()
            return self._received(limit)
        finally:
            self._busy = False

    def receive_nowait(self, max_bytes: int | None) -> bytes:
        """See `Stream.receive_some_nowait`."""
        limit = DEFAULT_RECEIVE if max_bytes is None else check_int("max_bytes", max_bytes, 1)
        self._enter()
        try:
            if self._is_empty() and not self.ended.is_set:
                raise trio.WouldBlock
            return self._received(limit)
        finally:
            self._busy = False

    def _received(self, limit: int) -> bytes:
        """Returns what there is, or nothing at the end; raises why there is nothing."""
        if self.closed:
            raise self.closed_error()
        data = self._take(limit)
        if not data and self.failure is not None:
            raise from_failure(self.failure, stream=self.whose.stream)
        return data

    def _enter(self) -> None:
        """Begins an operation that no other task may be in."""
        if self._busy:
            raise trio.BusyResourceError("another task is receiving from this stream")
        if self.closed:
            raise self.closed_error()
        self._busy = True

    def _is_empty(self) -> bool:
        if self._chunk:
            return False
        if self._receive is not None:
            try:
                self._chunk = self._receive.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return True
        return not self._chunk

    async def _wait_for_chunk(self) -> None:
        channel = self._receive or self._open_channel()
        try:
            chunk = await channel.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):  # `close` closes it, too
            return
        if self._discarding:  # closed while the chunk was on its way to this task
            self._port.discarded(self._stream_id, len(chunk))
            return
        self._chunk = chunk

    async def drain(self, about_to_wait: Callable[[], None]) -> None:
        """Discards the body, credits it, and waits for its end, which *about_to_wait* is called before if need be.

        Cancelled: the body is gone, the wait can be repeated.
        """
        self._enter()
        try:
            await trio.lowlevel.checkpoint()
            if self.closed:
                raise self.closed_error()
            self.discard()
            if not self.ended.is_set:
                about_to_wait()
            await self.ended.wait()
            if self.closed:
                raise self.closed_error()
            if self.failure is not None:
                raise from_failure(self.failure, stream=self.whose.stream)
        finally:
            self._busy = False

    def closed_error(self) -> trio.ClosedResourceError:
        """Returns what operations on a stream raise that was closed on this side."""
        return closed_here(self.destroyed_by)

    def _take(self, limit: int) -> bytes:
        """Takes up to *limit* bytes of what is buffered, and credits them."""
        chunk = self._chunk
        size = len(chunk)
        if self._receive is None and size <= limit:
            if not size:
                return b""
            self._chunk = b""
            self._port.taken(self._stream_id, size)
            return bytes(chunk)
        parts: list[bytes | memoryview] = []
        size = 0
        while size < limit and not self._is_empty():
            view = memoryview(self._chunk)
            part = view[: limit - size]
            self._chunk = view[len(part) :]
            parts.append(part)
            size += len(part)
        if size:
            self._port.taken(self._stream_id, size)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def discard(self) -> None:
        """Throws away what is unread and whatever still comes, and credits it."""
        self._discarding = True
        if not self._chunk and self._receive is None:
            return
        size = 0
        while not self._is_empty():
            size += len(self._chunk)
            self._chunk = b""
        if size:
            self._port.discarded(self._stream_id, size)

    def close(self) -> None:
        """The application is done with the receive side; a task that waits here gets `trio.ClosedResourceError`."""
        if self.closed:
            return
        self.closed = True
        if self._chunk or self._receive is not None:
            self.discard()
        self._discarding = True
        self.ended.set()  # wakes a task in drain()
        if self._receive is not None:
            self._receive.close()
            self._receive = None
