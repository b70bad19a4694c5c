"""What the streams of both roles have in common: bytes in, bytes out, trailers, reset and close.

State: the receive side is in the `Inbox`, the send side in the `Outbox`. The session's reader task calls the methods
with an underscore, and waits for none of them; the rest belongs to the application's tasks, one per direction at a
time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .._errors import LocalProtocolError, from_failure
from .._wire._codes import ErrorCode, Initiator
from .._wire._config import check_number
from .._wire._failure import StreamFailure
from .._wire._headers import Headers
from .._wire._outbound import trailer_fields
from ._priority import PRIORITY, check_priority, dependency_of
from ._view import StreamView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from .._wire._failure import SessionFailure
    from .._wire._headers import HeadersInput, RawField
    from .._wire._schedule import Priority
    from ._port import SessionPort


logger = logging.getLogger("trio_h2.stream")


class Stream(StreamView):
    """One HTTP/2 stream: a bidirectional, half-closeable `trio.abc.HalfCloseableStream` with headers and trailers.

    Made by sessions only. One task may send while another receives; a second task in the same direction gets
    `trio.BusyResourceError`. As an ``async with`` block: left normally, the stream is closed like by `aclose`; left
    by an exception, it is reset with CANCEL at once.
    """

    def __init__(self, port: SessionPort, stream_id: int) -> None:
        super().__init__(port, stream_id)
        self._framed_at_linger = 0
        self.on_idle: Callable[[Stream], object] | None = None
        """Called (as a plain function, from a task of the session) when `idle_timeout` is over, instead of the reset
        with CANCEL; the time then begins anew. If it raises, that is logged and the stream reset with INTERNAL_ERROR.
        """

    @property
    def _alive(self) -> bool:
        """Whether the stream is still open on the wire, in at least one direction."""
        return self._id in self._port._engine.streams and self._port._failure is None

    # -- receiving -------------------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives body octets, giving the peer credit for them.

        Cancelled: nothing is lost.

        Args:
            max_bytes: at most this many octets; ``None``: what is buffered, up to 64 KiB.

        Returns:
            At least one octet, or ``b""`` at the end of the body (RFC 9113 §8.1).

        Raises:
            StreamResetError: the stream was reset before its end; what was received before is returned first.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream. trio.BusyResourceError: another task is receiving.
        """
        return await self._inbox.receive(max_bytes, self._about_to_wait)

    async def receive_trailers(self) -> Headers | None:
        """Waits for the end of the body, discarding (and crediting) what is unread, and returns the trailers.

        Cancelled: the body that arrived so far is gone; the call can be repeated.

        Returns:
            The trailers, or ``None`` if the peer sent none (RFC 9113 §8.1).

        Raises:
            StreamResetError: the stream was reset before its end.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream. trio.BusyResourceError: another task is receiving.
        """
        await self._inbox.drain(self._about_to_wait)
        return self._trailers

    def _about_to_wait(self) -> None:
        """A task is about to wait for the peer's body."""

    # -- sending ---------------------------------------------------------------------------------------------------

    def _check_can_send(self) -> None:
        """Raises what keeps the application from sending body octets now."""
        self._outbox.check()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends body octets; returns when the last of them is in a frame on its way to the transport.

        Waits for the stream's window, the session's window and the transport. Cancelled: if no octet was framed,
        nothing happened; otherwise the body is torn, and only `reset` and `aclose` remain, which both send
        RST_STREAM.

        Args:
            data: octets, bytes-like.

        Raises:
            StreamResetError: the stream was reset. After a complete response and RST_STREAM(NO_ERROR) the octets are
                silently dropped instead: the peer has what it wants.
            SessionError: the session broke.
            LocalProtocolError: the send side has ended, is torn, or content-length would be exceeded.
            trio.ClosedResourceError: this side closed the stream or sent its end.
            trio.BusyResourceError: another task is sending.
        """
        self._check_can_send()
        await self._outbox.send(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until the windows have room; raises like `send_all`. Cancelled: nothing happened."""
        self._check_can_send()
        await self._outbox.wait_room()

    async def send_eof(self) -> None:
        """Ends the send side (END_STREAM); the receive side stays open. A second call does nothing.

        Cancelled: nothing happened.

        Raises:
            LocalProtocolError: the body is shorter than its content-length, or torn.
            StreamResetError: the stream was reset.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream. trio.BusyResourceError: another task is sending.
        """
        with self._outbox.exclusive():
            if self._outbox.ended and not self._closed:
                await trio.lowlevel.checkpoint()
                self._outbox.closed = True
                return
            self._check_can_send()
            await self._port._control_room()
            self._check_can_send()
            self._outbox.finish()
            self._outbox.closed = True

    async def send_trailers(self, headers: HeadersInput) -> None:
        """Ends the send side with trailers, after what was sent before.

        Cancelled: nothing happened.

        Args:
            headers: the trailer fields; pseudo-headers are refused (RFC 9113 §8.1).

        Raises:
            ValueError: a field is not allowed.
            LocalProtocolError: there are no headers before them, the send side has ended, or the body is short.
            StreamResetError: the stream was reset.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream. trio.BusyResourceError: another task is sending.
        """
        fields = trailer_fields(headers)
        with self._outbox.exclusive():
            self._check_can_send_trailers()
            await self._port._control_room()
            self._check_can_send_trailers()
            self._check_section(fields)
            self._outbox.finish(fields)
            self._sent_trailers = Headers.from_raw(fields)

    def _check_can_send_trailers(self) -> None:
        self._check_can_send()

    def _check_section(self, fields: Sequence[RawField]) -> None:
        too_large = self._port._engine.section_too_large(fields)
        if too_large is not None:
            raise LocalProtocolError(too_large, stream_id=self._id)
        reason = self._port._engine.block_too_large(fields)
        if reason is not None:
            # Its frames cannot be sent, and the peer would wait for them: the stream is over.
            self._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, reason)
            raise from_failure(StreamFailure(self._id, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, reason))

    # -- priority --------------------------------------------------------------------------------------------------

    def prioritize(
        self,
        priority: Priority | None = None,
        *,
        weight: int | None = None,
        depends_on: int | None = None,
        exclusive: bool = False,
        silent: bool = False,
    ) -> None:
        """Says how much this stream matters, from its next frame on. Never waits; does nothing once it has ended.

        A *priority* orders what this side sends. A client also tells the server, with PRIORITY_UPDATE (RFC 9218 §7.1);
        on a server it holds against whatever the client says, now and later. The other arguments make a PRIORITY
        frame (RFC 7540 §6.3), which RFC 9113 §5.3.2 deprecates: for old peers.

        Args:
            priority: urgency, and whether the content is incremental.
            weight: 1 … 256; 16 by default.
            depends_on: the id of the parent stream; 0 by default.
            exclusive: whether the stream becomes the parent of its parent's other streams.
            silent: tells the peer nothing.

        Raises:
            TypeError: an argument has the wrong type, or none is given.
            ValueError: *weight* or *depends_on* is out of range, or is this stream.
        """
        check_priority(priority)
        dependency = dependency_of(self._id, weight, depends_on, exclusive)
        if priority is None and dependency is None:
            raise TypeError("prioritize() needs a Priority, or a weight, depends_on or exclusive")
        if not self._alive:
            return
        if priority is not None:
            self._port._prioritize(self._id, priority)
            self._signal_priority(priority, silent=silent)
        if dependency is not None:
            self._weight = dependency.weight
            if not silent:
                self._port._engine.send_extension(PRIORITY, self._id, dependency.pack())
                self._port._wake_writer()

    def _signal_priority(self, priority: Priority, *, silent: bool) -> None:
        """Tells whom it concerns, beside our own scheduler."""

    # -- inactivity ------------------------------------------------------------------------------------------------

    @property
    def idle_timeout(self) -> float:
        """Seconds without a frame sent or received on the stream, of whatever kind, after which it is reset with CANCEL
        (`StreamResetError` here), or `on_idle` is called; `math.inf` turns it off.

        Set at any time, it counts anew from then. By default ``stream_idle_timeout`` of the configuration.
        """
        return self._idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float) -> None:
        check_number("idle_timeout", seconds)
        self._idle_timeout = seconds
        if self._alive:
            self._port._set_idle_timeout(self._id, seconds)

    def set_idle_timeout(self, seconds: float, on_idle: Callable[[], object] | None = None) -> None:
        """Sets `idle_timeout` and `on_idle` in one go, for a hook that needs no argument.

        Args:
            seconds: the time; `math.inf` turns it off.
            on_idle: called instead of the reset; ``None`` lets the stream be reset.

        Raises:
            TypeError, ValueError: *seconds* is no number, or not more than 0.
        """
        self.idle_timeout = seconds
        self.on_idle = None if on_idle is None else lambda _: on_idle()

    def _idle(self) -> None:
        """Nothing has happened for ``idle_timeout``. For the watcher task."""
        if self.on_idle is None:
            reason = f"no frame was sent or received on the stream for idle_timeout={self._idle_timeout:g} s"
            self._reset(ErrorCode.CANCEL, Initiator.LIBRARY, reason)
            return
        try:
            self.on_idle(self)
        except Exception:  # a hook must not end its session
            logger.exception("%r: on_idle raised", self)
            self._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "on_idle raised")

    # -- the end ---------------------------------------------------------------------------------------------------

    def reset(self, code: int = ErrorCode.NO_ERROR) -> None:
        """Ends both sides at once with RST_STREAM (RFC 9113 §6.4). What was received stays readable.

        Does nothing if the stream has ended already.

        Args:
            code: an error code, 0 … 2³²-1.

        Raises:
            TypeError: *code* is no int.
            ValueError: *code* is out of range.
        """
        if isinstance(code, bool) or not isinstance(code, int):
            raise TypeError(f"code must be an int, not {code!r}")
        if not 0 <= code < 2**32:
            raise ValueError(f"code must be in 0..{2**32 - 1}, not {code}")
        self._reset(code, Initiator.LOCAL, "the stream was reset on this side")

    def _reset(self, code: int, initiator: Initiator, reason: str) -> None:
        if not self._alive:
            return
        self._fail(StreamFailure(self._id, code, initiator, reason))
        self._port._engine.reset(self._id, code)
        self._port._wake_writer()

    async def aclose(self) -> None:
        """Closes the stream like a TCP socket: never waits for the peer.

        Ends the send side with END_STREAM if its headers were sent and its content-length is met, else resets with
        CANCEL. Unread data is discarded and credited; if the peer goes on sending, or does not end its side within
        ``linger_timeout``, the stream is reset. Idempotent. Cancelled: the stream is reset with CANCEL at once.
        """
        try:
            await trio.lowlevel.checkpoint()
        except BaseException:
            self._abandon()
            raise
        self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        outbox = self._outbox
        whole = self._may_end() and outbox.complete and not outbox.busy
        outbox.close()
        if self._alive and not outbox.ended:
            if whole:
                outbox.finish()
            else:
                self._reset(ErrorCode.CANCEL, Initiator.LOCAL, "the stream was closed on this side")
        self._inbox.close()
        if self._alive and not self._port._engine.remote_ended(self._id):
            self._linger()

    def _linger(self) -> None:
        """The peer has some time to end its side, as long as our own end is not there either."""
        self._framed_at_linger = self._outbox.framed
        self._port._linger(self._id)

    def _lingered(self) -> None:
        """That time is over. What we sent before the close may still be on its way: if it moves, it goes on."""
        if self._outbox.framed > self._framed_at_linger and not self._outbox.framed_end:
            self._linger()
        else:
            self._reset(ErrorCode.CANCEL, Initiator.LIBRARY, "the peer did not end a stream closed on this side")

    def _may_end(self) -> bool:
        """Whether END_STREAM makes sense: our headers are out."""
        return True

    def destroy(self, error: BaseException | None = None) -> None:
        """Ends the stream at once, and drops (and credits) what is unread. Never blocks; a second call does nothing.

        Sends RST_STREAM unless both sides have ended: CANCEL, or INTERNAL_ERROR if there is an *error*. Every pending
        and later operation raises `trio.ClosedResourceError`, with *error* as its cause.

        Args:
            error: why.

        Raises:
            TypeError: *error* is no exception.
        """
        if error is not None and not isinstance(error, BaseException):
            raise TypeError(f"error must be an exception or None, not {error!r}")
        self._abandon(error)

    def _abandon(self, error: BaseException | None = None) -> None:
        """Gives the stream up at once: RST_STREAM(CANCEL) unless both sides have ended; never END_STREAM."""
        if error is not None and not self._closed:
            self._inbox.destroyed_by = self._outbox.destroyed_by = error
        self._closed = True
        self._outbox.close()
        code = ErrorCode.CANCEL if error is None else ErrorCode.INTERNAL_ERROR
        self._reset(code, Initiator.LOCAL, "the stream was cancelled on this side")
        self._inbox.close()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the stream; if the block raised, resets it with CANCEL at once."""
        if exc is None:
            await self.aclose()
        else:
            self._abandon()

    # -- for the session -------------------------------------------------------------------------------------------

    def _destroy(self, failure: SessionFailure) -> None:
        """The session was destroyed with an error, which every operation raises; what is unread is thrown away."""
        self._fail(failure)
        self._inbox.discard()
        if self._alive:
            self._rst_code = failure.code or ErrorCode.CANCEL
            self._port._engine.reset(self._id, self._rst_code)

    def _data_received(self, data: bytes) -> None:
        if not self._inbox.deliver(data) and self._outbox.reset_after_end is None:
            self._refuse_rest(ErrorCode.CANCEL)

    def _refuse_rest(self, code: ErrorCode) -> None:
        """Nobody reads what the peer still sends: RST_STREAM, though not before what we have to send is framed."""
        if not self._alive or self._port._engine.remote_ended(self._id):
            return
        if self._outbox.ended and not self._outbox.framed_end:
            self._outbox.reset_after_end = code
        else:
            self._reset(code, Initiator.LOCAL, "the stream was closed on this side")

    def _remote_ended(self, trailers: Headers | None = None) -> None:
        self._trailers = trailers
        self._inbox.finish()

    def _fail(self, failure: StreamFailure | SessionFailure) -> None:
        """The stream broke, by RST_STREAM of either side or with its session."""
        wanted_no_more = (
            isinstance(failure, StreamFailure)
            and failure.initiator is Initiator.REMOTE
            and failure.code == ErrorCode.NO_ERROR
            and self._inbox.ended.is_set()
            and self._inbox.failure is None
        )
        self._note_failure(failure, harmless=wanted_no_more)
        if wanted_no_more:
            self._outbox.stop()
            return
        self._outbox.fail(failure)
        self._inbox.fail(failure)
