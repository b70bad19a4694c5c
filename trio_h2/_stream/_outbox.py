"""What a stream has to send and the writer has not framed yet.

Owner: the stream. Application tasks put in; the session's writer task takes out, one DATA frame at a time (`frame`),
when the transport is ready for it. Nothing here waits for the peer but `send`, whose chunk leaves as soon as windows
and transport let it. A cancelled `send` withdraws what is not framed, so the wire only ever sees whole frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._checks import Snapshot, view_of
from .._errors import LocalProtocolError, from_failure
from .._util import ConflictDetector, closed_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._wire._failure import SessionFailure, StreamFailure
    from .._wire._headers import RawField
    from ._port import StreamPort
    from ._whose import Whose

DIRECT_SIZE = 4 * 1024
"""Up to so many bytes are framed at once, if nothing else waits for its turn, instead of by the writer."""
FRAME_SIZE = 64 * 1024
"""The most bytes in one DATA frame, however large frames the peer takes: other streams want their turn."""


class _Chunk:
    """Bytes of one `send`, or of a body handed over as a whole (``done`` is ``None``)."""

    __slots__ = ("copied", "done", "fixed", "offset", "view")

    def __init__(self, view: memoryview, done: trio.Event | None) -> None:
        self.view: memoryview = view
        self.copied: bool = type(view.obj) is Snapshot
        """Whether the bytes are our own copy, so that dropping them frees memory."""
        self.fixed: bool = self.copied or type(view.obj) is bytes
        """Whether they cannot change, so that they need not be copied before they are written."""
        self.offset: int = 0
        self.done: trio.Event | None = done


class Outbox:
    """The send side of one stream."""

    __slots__ = (
        "_accepted",
        "_chunks",
        "_failure",
        "_lenient",
        "_port",
        "_promised",
        "_room",
        "_stream_id",
        "_torn",
        "_trailers",
        "_without_content",
        "closed",
        "content_dropped",
        "destroyed_by",
        "ended",
        "framed",
        "framed_end",
        "held",
        "reset_after_end",
        "turn",
        "unwanted",
        "whose",
    )

    def __init__(self, port: StreamPort, stream_id: int, whose: Whose) -> None:
        self._port = port
        self._stream_id = stream_id
        self.whose: Whose = whose
        self._chunks: list[_Chunk] = []
        self.turn: ConflictDetector = ConflictDetector("another task is sending on this stream")
        """A block that only one task may be in: the one that sends."""
        self._promised: int | None = None
        self._accepted = 0
        self._torn = False
        self._lenient = False
        self._failure: StreamFailure | SessionFailure | None = None
        self._room: trio.Event | None = None
        self._trailers: Sequence[RawField] | None = None
        self._without_content: int | None = None
        self.destroyed_by: BaseException | None = None
        """Why the application destroyed the stream, if it said so."""
        self.framed: int = 0
        """Bytes that are in frames."""
        self.closed: bool = False
        """The application closed its side, see `close`."""
        self.ended: bool = False
        """Nothing more will be accepted; the end follows what is queued."""
        self.held: bool = False
        """What is accepted waits for the peer's 100 (RFC 9110 §10.1.1), see `release`."""
        self.framed_end: bool = False
        """The end is framed."""
        self.reset_after_end: int | None = None
        """The code of a RST_STREAM that follows our END_STREAM: the rest of the request is not wanted (RFC 9113
        §8.1)."""
        self.content_dropped: bool = False
        """What is sent is dropped, since it answers HEAD."""
        self.unwanted: bool = False
        """The peer does not want the rest, see `discard`."""

    # -- putting in ------------------------------------------------------------------------------------------------

    def promise(self, length: int | None) -> None:
        """Our headers carry this content-length (bytes), which the body must have."""
        self._promised = length

    def end_with_headers(self) -> None:
        """The headers carry END_STREAM."""
        self.ended = self.framed_end = True

    def forbid_content(self, status: int) -> None:
        """The headers carry END_STREAM, since content is not allowed (204, 205, 304): `send` takes no byte."""
        self._without_content = status
        self._promised = 0
        self._lenient = True
        self.end_with_headers()

    def drop_content(self) -> None:
        """Our side has ended, but nobody need know: what is sent from now on is accepted and dropped."""
        self.content_dropped = True
        self._promised = None
        self._lenient = True
        self.end_with_headers()

    @property
    def buffered(self) -> int:
        """Bytes accepted and not yet framed."""
        return sum(len(chunk.view) - chunk.offset for chunk in self._chunks)

    @property
    def accepted(self) -> int:
        """Bytes accepted so far."""
        return self._accepted

    @property
    def complete(self) -> bool:
        """Whether the body, as far as it was accepted, may be ended: nothing is torn, and content-length is met."""
        return not self._torn and (self._promised is None or self._promised == self._accepted)

    @property
    def torn(self) -> bool:
        """Whether a cancelled `send` was partly framed: the body is incomplete for good."""
        return self._torn

    def check(self) -> None:
        """Raises what keeps the application from sending now."""
        if self.closed:
            raise closed_here(self.destroyed_by)
        if self._failure is not None:
            raise from_failure(self._failure, stream=self.whose.stream)
        if self._torn:
            raise LocalProtocolError(
                "a cancelled send_all left the body incomplete; only reset() or aclose() remain",
                stream_id=self._stream_id,
                stream=self.whose.stream,
            )
        if self.ended and not self._lenient:
            raise LocalProtocolError(
                "the send side of this stream has ended", stream_id=self._stream_id, stream=self.whose.stream
            )

    def queue(self, data: bytes | bytearray | memoryview, done: trio.Event | None = None) -> _Chunk | None:
        """Accepts bytes, to be framed in their turn; returns their chunk, ``None`` if there is nothing to frame."""
        view = view_of("data", data).cast("B")
        total = self._accepted + len(view)
        if self._promised is not None and total > self._promised:
            reason = f"content-length is {self._promised}, with this the body would have {total} bytes"
            if self._without_content is not None:
                reason = f"a response with status {self._without_content} has no content"
            raise LocalProtocolError(reason, stream_id=self._stream_id, stream=self.whose.stream)
        if self._lenient or not view:
            return None
        self._accepted += len(view)
        chunk = _Chunk(view, done)
        self._chunks.append(chunk)
        self._book(chunk, len(view))
        self._port.body_ready(self._stream_id, self)
        return chunk

    def _book(self, chunk: _Chunk, size: int) -> None:
        """So many bytes of a chunk are queued, or (less than 0) are not any more."""
        engine = self._port.engine
        engine.queued_body += size
        if chunk.copied:
            engine.copied_body += size

    def send_whole(self, content: bytes, length: int | None) -> None:
        """Accepts the whole body and the end; our headers carry *length* as content-length (bytes)."""
        self._promised = length
        if not self._frame_at_once(content, end_stream=True):
            self.queue(content)
            self.finish()

    def _frame_at_once(self, data: bytes | bytearray | memoryview, *, end_stream: bool) -> bool:
        """Frames a few bytes without the writer; returns whether that was possible.

        Nothing is overtaken by it: no body waits for its turn, and little is in the output.
        """
        size = len(data)
        port = self._port
        if not 0 < size <= DIRECT_SIZE or self._chunks or self.held or self._lenient or not port.frames_at_once:
            return False
        if self._promised is not None and self._accepted + size > self._promised:
            return False
        engine = port.engine
        if engine.sendable(self._stream_id) < size:
            return False
        self._accepted += size
        self.framed += size
        self.ended = self.ended or end_stream
        engine.send_data(self._stream_id, bytes(data), end_stream=end_stream)
        if end_stream:
            self._end_framed()
        else:
            port.wake_writer()
        return True

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """See `Stream.send_all`."""
        with self.turn:
            self.check()
            await trio.lowlevel.checkpoint_if_cancelled()
            view = view_of("data", data).cast("B")
            if self._frame_at_once(view, end_stream=False):
                await trio.lowlevel.cancel_shielded_checkpoint()
                return
            done = trio.Event()
            chunk = self.queue(data, done)
            if chunk is None:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return
            try:
                await done.wait()
            except BaseException:
                self._withdraw(chunk)
                raise
            if chunk.offset < len(chunk.view):  # the stream ended under it
                self.check()

    def _withdraw(self, chunk: _Chunk) -> None:
        """A cancelled send: what is not framed is not sent; what is framed makes the body incomplete for good.

        Even if all of it was framed between the cancellation and now: who is told that nothing happened sends again.
        """
        if chunk.offset:
            self._torn = True
        if chunk not in self._chunks:
            return
        self._chunks.remove(chunk)
        rest = len(chunk.view) - chunk.offset
        self._book(chunk, -rest)
        if not self._torn:
            self._accepted -= rest
        if not self._chunks:
            self._port.body_gone(self._stream_id)
            self._notify_room()

    def finish(self, trailers: Sequence[RawField] | None = None) -> None:
        """Ends our side after what is queued, with *trailers* or END_STREAM. The caller has asked `check`.

        Raises:
            LocalProtocolError: the body is shorter than its content-length.
        """
        if not self.complete:
            raise LocalProtocolError(
                f"content-length is {self._promised}, but the body has {self._accepted} bytes",
                stream_id=self._stream_id,
                stream=self.whose.stream,
            )
        self.ended = True
        self._trailers = trailers
        if not self._chunks:
            self._flush_end()

    def _flush_end(self) -> None:
        """Frames the end when nothing is queued before it; it needs no window."""
        if not self.ended or self.framed_end:
            return
        engine = self._port.engine
        if self._trailers is None:
            engine.send_data(self._stream_id, b"", end_stream=True)
        else:
            # They were measured when they were accepted, but the table that compresses them may have shrunk since.
            too_large = engine.block_too_large(self._trailers)
            if too_large is not None:
                self._port.frame_not_sent(self._stream_id, too_large)
                return
            engine.send_trailers(self._stream_id, self._trailers)
        self._end_framed()

    def _end_framed(self) -> None:
        self.framed_end = True
        if self.reset_after_end is not None:
            self._port.rest_unwanted(self._stream_id, self.reset_after_end)
        self._port.wake_writer()

    # -- taking out ------------------------------------------------------------------------------------------------

    def frame(self) -> bool:
        """Frames at most one DATA frame; returns whether another one could follow at once. For the writer task."""
        if not self._chunks or self.held:
            return False
        engine = self._port.engine
        chunk = self._chunks[0]
        rest = len(chunk.view) - chunk.offset
        size = min(rest, engine.sendable(self._stream_id), FRAME_SIZE)
        if size == 0:
            return False
        last = size == rest and len(self._chunks) == 1
        end = last and self.ended and self._trailers is None
        part = chunk.view[chunk.offset : chunk.offset + size]
        data = part if chunk.fixed else bytes(part)
        chunk.offset += size
        self.framed += size
        self._book(chunk, -size)
        if size == rest:
            del self._chunks[0]
        engine.send_data(self._stream_id, data, end_stream=end)
        if chunk.done is not None and size == rest:
            chunk.done.set()
        if end:
            self._end_framed()
        elif last:
            self._flush_end()
        if not self._chunks:
            self._notify_room()
        return bool(self._chunks)

    # -- waiting for room ------------------------------------------------------------------------------------------

    async def wait_room(self) -> None:
        """See `Stream.wait_send_all_might_not_block`."""
        with self.turn:
            self.check()
            await trio.lowlevel.checkpoint()
            self.check()
            while self._full():
                if self._room is None:
                    self._room = trio.Event()
                self._port.want_room(self._stream_id, self)
                await self._room.wait()
                self.check()

    def _full(self) -> bool:
        if self.ended or self._failure is not None:
            return False
        return bool(self._chunks) or self.held or self._port.engine.sendable(self._stream_id) == 0

    def _notify_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    def window_opened(self) -> None:
        """More may be sent, on this stream or on the session. For the reader task."""
        self._notify_room()
        if self._chunks:
            self._port.body_ready(self._stream_id, self)

    def release(self) -> None:
        """The peer has answered: what was held may go. For the reader task."""
        if self.held:
            self.held = False
            self.window_opened()

    # -- the end ---------------------------------------------------------------------------------------------------

    def end(self, failure: StreamFailure | SessionFailure) -> None:
        """The stream broke: what is not framed is given up, and whoever waits is woken."""
        if self._failure is None and not self.framed_end:
            self._failure = failure
        self._clear()

    def discard(self) -> None:
        """The peer does not want the rest, and says so without an error: all is dropped, now and later.

        RFC 9113 §8.1: a server may ask to "abort transmission of a request without error by sending a RST_STREAM with
        an error code of NO_ERROR after sending a complete response".
        """
        self.unwanted = True
        self.drop_content()
        self._clear()

    def close(self) -> None:
        """The application closed its side: no task may send any more; what is queued is not given up yet."""
        self.closed = True
        if self._room is not None:
            self._notify_room()

    def _clear(self) -> None:
        """Drops what is queued, and wakes whoever waits for it."""
        for chunk in self._chunks:
            self._book(chunk, chunk.offset - len(chunk.view))
            if chunk.done is not None:
                chunk.done.set()
        if self._chunks:
            self._chunks.clear()
            self._port.body_gone(self._stream_id)
        self._notify_room()

    @property
    def busy(self) -> bool:
        """Whether a task is inside `send` with bytes that are not framed."""
        return any(chunk.done is not None for chunk in self._chunks)
