"""What the streams of both roles have in common, as applications see it: bytes both ways, trailers, reset, close.

The state is in the `StreamCore`, which the session's tasks know, too. Everything here belongs to the application's
tasks, one per direction at a time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from .._checks import check_hook, check_int, check_timeout
from .._content import DEFAULT_MAX_BODY_SIZE, check_encoding, decode_json, decode_text
from .._errors import from_failure, headers_too_large
from .._util import NoPublicConstructor, interrupt_safe
from .._wire._codes import ErrorCode, Initiator
from .._wire._extframes import PRIORITY
from .._wire._failure import StreamFailure
from .._wire._headers import Headers
from .._wire._outbound import trailer_fields
from .._wire._schedule import Priority
from ._inbox import DEFAULT_RECEIVE
from ._priority import check_not_itself, check_priority, check_signalled, dependency_of
from ._state import stream_state
from ._whole import WholeBody, body_too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from .._content import JSONValue
    from .._wire._headers import HeadersInput, RawField
    from ._core import StreamCore
    from ._port import StreamSession
    from ._state import StreamState
    from ._transport import TransportView


@interrupt_safe
class Stream(trio.abc.HalfCloseableStream, metaclass=NoPublicConstructor):
    """One HTTP/2 stream: a bidirectional, half-closeable `trio.abc.HalfCloseableStream` with headers and trailers.

    Made by sessions only. One task may send while another receives; a second task in the same direction gets
    `trio.BusyResourceError`. As an ``async with`` block: left normally, the stream is closed like by `aclose`; left
    by an exception, it is reset with CANCEL at once.
    """

    def __init__(self, core: StreamCore) -> None:
        self._core = core
        core.whose.belongs_to(self)
        self._on_idle: Callable[[Stream], object] | None = None
        self._whole: WholeBody | None = None
        self._iterated = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} #{self._core.id}>"

    # -- where it is -----------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The stream identifier (RFC 9113 §5.1.1)."""
        return self._core.id

    @property
    def session(self) -> StreamSession:
        """The session of this stream: how a handler learns that it drains, for instance.

        It stays the same when the stream or the session is over, though there is nothing left to do with it then.
        """
        return self._core.session

    @property
    def transport(self) -> TransportView:
        """What is below the session, to look at: addresses, certificates, what ALPN agreed on."""
        return self._core.port.transport

    @property
    def pending(self) -> bool:
        """Whether the stream has no id yet: never, for only `ClientRequest` blocks wait for one."""
        return False

    @property
    def state(self) -> StreamState:
        """The stream on the wire (RFC 9113 §5.1): state, windows, weights. A snapshot."""
        core = self._core
        return stream_state(core.port.engine, core.id, core.weight, over=core.port.failure is not None)

    @property
    def closed(self) -> bool:
        """Whether the stream is over on the wire: both sides have ended, it was reset, or its session is over."""
        return self._core.over.is_set

    @property
    def destroyed(self) -> bool:
        """Whether the stream is over on the wire and given up on this side, so that nothing can be done with it."""
        return self._core.closed and self._core.over.is_set

    @property
    def aborted(self) -> bool:
        """Whether the stream broke while our side was still open, whoever broke it."""
        return self._core.aborted

    @property
    def rst_code(self) -> ErrorCode | int | None:
        """``None`` while it is open, then the code of the RST_STREAM that ended it; NO_ERROR on a normal end.

        If its session broke under it: the session's code, or CANCEL where that tells nothing.
        """
        return self._core.rst_code

    # -- what was sent and received --------------------------------------------------------------------------------

    @property
    def buffer_size(self) -> int:
        """Bytes accepted for sending that are not framed yet."""
        return self._core.outbox.buffered

    @property
    def body_sent(self) -> int:
        """Bytes of the body accepted for sending so far, `buffer_size` included; none of what HEAD drops."""
        return self._core.outbox.accepted

    @property
    def body_framed(self) -> int:
        """Bytes of the body that are in DATA frames, or in what HTTP/1.1 has instead: nothing can withdraw them."""
        return self._core.outbox.framed

    @property
    def end_framed(self) -> bool:
        """Whether what this side sends is framed to its end, END_STREAM included; a reset is no such end."""
        return self._core.end_framed

    @property
    def torn(self) -> bool:
        """Whether a cancelled `Stream.send_all` has left what was sent incomplete, so that only ``reset`` and
        ``aclose`` remain.
        """
        return self._core.outbox.torn

    @property
    def send_unwanted(self) -> bool:
        """Whether the peer wants nothing more of this side, so that what is sent is silently dropped.

        So it is after the peer's complete message and its RST_STREAM(NO_ERROR) (RFC 9113 §8.1); for a client also when
        a complete response with status 300 or more came before the end of the request, and when it answered ``expect:
        100-continue`` with 400 or more; for a server in answer to HEAD, from `respond` on. A loop that sends a large
        or endless body looks here.
        """
        return self._core.outbox.unwanted or self._core.outbox.content_dropped

    @property
    def readable(self) -> bool:
        """Whether `receive_some` has something to return, the end of the body included, or to raise: it would not wait
        for the peer.
        """
        return self._core.inbox.ready or (self._whole is not None and self._whole.left)

    @property
    def body_ended(self) -> bool:
        """Whether all of the peer's body was received and taken, to its end: `receive_some` would return ``b""``."""
        return self._core.inbox.drained and not (self._whole is not None and self._whole.left)

    @property
    def sent_headers(self) -> Headers | None:
        """The headers that were sent: of the request, or of the final response; ``None`` before."""
        return self._core.sent_headers

    @property
    def sent_info_headers(self) -> list[Headers]:
        """The 1xx responses that were sent, in order; a client sends none."""
        return list(self._core.sent_informational or ())

    @property
    def sent_trailers(self) -> Headers | None:
        """The trailers handed over for sending, ``None`` before."""
        return self._core.sent_trailers

    @property
    def trailers(self) -> Headers | None:
        """The trailers that were received, ``None`` before; `receive_trailers` waits for them."""
        return self._core.trailers

    @property
    def end_after_headers(self) -> bool:
        """Whether the peer ended its side with its headers: no body and no trailers."""
        return self._core.end_after_headers

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The received headers (of the request, or of the final response) as pairs, in order, with duplicates."""
        return [] if self._core.received_headers is None else self._core.received_headers.raw

    @property
    def raw_trailers(self) -> list[tuple[bytes, bytes]]:
        """The received `trailers` as pairs, in order, with duplicates; empty before they came."""
        return [] if self._core.trailers is None else self._core.trailers.raw

    @property
    def flags(self) -> int:
        """The flags of the HEADERS frame with those headers (RFC 9113 §6.2), as a number; 0 before it came."""
        return 0 if self._core.received_headers is None else self._core.received_headers.flags

    # -- its end ---------------------------------------------------------------------------------------------------

    async def wait_closed(self) -> None:
        """Waits until the stream is over on the wire, in both directions; what was received stays readable.

        Cancelled: nothing happened.

        Raises:
            StreamResetError: it was reset, though not by this side.
            SessionError: its session broke.
            trio.ClosedResourceError: this side destroyed it because of an error, which is the cause.
        """
        await trio.lowlevel.checkpoint()
        await self._core.over.wait()
        if self._core.inbox.destroyed_by is not None:
            raise self._core.inbox.closed_error()
        broken = self._core.failure
        if broken is None or broken.initiator is Initiator.LOCAL:
            return
        raise from_failure(broken, stream=self)

    def call_when_closed(self, hook: Callable[[], object]) -> None:
        """Lets *hook* be called, once, when the stream is `closed`: at once if it is already.

        It is called from a task of the session, must not wait, and should be quick. What it raises is logged. What was
        sent and received can be asked for then as before. Several hooks are called in the order in which they came.

        Args:
            hook: A function without arguments.

        Raises:
            TypeError: *hook* is no function.
        """
        if not callable(hook):
            raise TypeError(f"hook must be a function, not {hook!r}")
        self._core.call_when_closed(hook)

    # -- receiving -------------------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives body bytes, giving the peer credit for them.

        Cancelled: nothing is lost.

        Args:
            max_bytes: at most this many bytes; ``None``: what is buffered, up to 64 KiB.

        Returns:
            At least one byte, or ``b""`` at the end of the body (RFC 9113 §8.1).

        Raises:
            StreamResetError: the stream was reset before its end; what was received before is returned first.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream. trio.BusyResourceError: another task is receiving.
        """
        whole = self._whole
        if whole is not None and whole.left:  # by a read() that was cancelled, or found too much
            limit = DEFAULT_RECEIVE if max_bytes is None else check_int("max_bytes", max_bytes, 1)
            await trio.lowlevel.checkpoint()
            return whole.take(limit)
        return await self._core.inbox.receive(max_bytes, self._about_to_wait)

    def receive_some_nowait(self, max_bytes: int | None = None) -> bytes:
        """Receives body bytes that are here already, as `receive_some` does.

        Args:
            max_bytes: at most this many bytes; ``None``: what is buffered, up to 64 KiB.

        Returns:
            At least one byte, or ``b""`` at the end of the body.

        Raises:
            trio.WouldBlock: `receive_some` would wait for the peer; nothing was taken.
            TypeError, ValueError, StreamResetError, SessionError, trio.ClosedResourceError, trio.BusyResourceError: as
                `receive_some`.
        """
        whole = self._whole
        if whole is not None and whole.left:
            return whole.take(DEFAULT_RECEIVE if max_bytes is None else check_int("max_bytes", max_bytes, 1))
        return self._core.inbox.receive_nowait(max_bytes)

    async def __anext__(self) -> bytes:
        if self._iterated and self.body_ended:
            raise StopAsyncIteration  # at once: the piece before was the checkpoint
        data = await self.receive_some()
        if not data:
            raise StopAsyncIteration
        self._iterated = True
        return data

    async def read(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE) -> bytes:
        """Waits for the whole body, or what is left of it, and returns it; another call returns the same again.

        On a client it waits for the response first; raises what that raises, and looks at no status. What is too large
        by its ``content-length`` is refused before any of it is read, and before 100 asks for it. Gives the peer credit
        for what it takes, as `receive_some` does.

        Cancelled: nothing is lost; the call can be repeated, or `receive_some` takes what was collected.

        Args:
            max_size: the bytes that are not too many, 1 MiB by default.

        Raises:
            BodyTooLargeError: there are more. Unless a handler catches it, the client gets 413.
            TypeError, ValueError: *max_size* is no int, or negative.
            StreamResetError: the stream was reset before the end of the body.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream. trio.BusyResourceError: another task is receiving.
        """
        check_int("max_size", max_size, 0)
        if self._whole is None:
            self._whole = WholeBody()
        body = self._whole.known
        if body is not None:
            await trio.lowlevel.checkpoint()
            return body
        await self._wait_for_message()
        length = self._announced_length()
        if length is not None and length > max_size:
            raise body_too_large(max_size, self)
        return await self._whole.collect(self._core.inbox, self._about_to_wait, max_size, self)

    async def text(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE, encoding: str | None = None) -> str:
        """Waits for the whole body, as `read` does, and returns it as text.

        Cancelled: as `read`.

        Args:
            max_size: the bytes that are not too many, 1 MiB by default.
            encoding: the charset of the text; by default the one that ``content-type`` names, UTF-8 if it names none.

        Raises:
            BodyDecodeError: the charset is not known (the client of a handler that does not catch it gets 415), or the
                body is not in it (400).
            TypeError, ValueError: *encoding* is no codec of text, or *max_size* is no int, or negative.
            BodyTooLargeError, StreamResetError, SessionError, trio.ClosedResourceError, trio.BusyResourceError: as
                `read`.
        """
        if encoding is not None:
            check_encoding(encoding)
        body = await self.read(max_size=max_size)
        assert self._core.received_headers is not None
        return decode_text(body, self._core.received_headers, encoding, self)

    async def json(self, *, max_size: int = DEFAULT_MAX_BODY_SIZE) -> JSONValue:
        """Waits for the whole body, as `read` does, and returns what it says as JSON, whatever ``content-type`` says.

        Cancelled: as `read`.

        Args:
            max_size: the bytes that are not too many, 1 MiB by default.

        Raises:
            BodyDecodeError: it is not JSON (RFC 8259). Unless a handler catches it, the client gets 400.
            BodyTooLargeError, StreamResetError, SessionError, trio.ClosedResourceError, trio.BusyResourceError: as
                `read`.
        """
        return decode_json(await self.read(max_size=max_size), self)

    async def _wait_for_message(self) -> None:
        """Waits for the headers before the body, if they are not there yet."""

    def _announced_length(self) -> int | None:
        """Returns how many bytes the body has that comes, if the peer has told."""
        headers = self._core.received_headers
        if headers is None or self._core.end_after_headers:
            return None
        length = headers.first(b"content-length")
        return None if length is None else int(length)

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
        if self._whole is not None:
            self._whole.clear()
        await self._core.inbox.drain(self._about_to_wait)
        return self._core.trailers

    def _about_to_wait(self) -> None:
        """A task is about to wait for the peer's body."""

    # -- sending ---------------------------------------------------------------------------------------------------

    def _check_can_send(self) -> None:
        """Raises what keeps the application from sending body bytes now."""
        self._core.outbox.check()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends body bytes; returns when the last of them is in a frame on its way to the transport.

        Waits for the stream's window, the session's window and the transport. Cancelled: if no byte was framed,
        nothing happened; otherwise the body is torn, and only `reset` and `aclose` remain, which both send
        RST_STREAM.

        Args:
            data: bytes, bytes-like.

        Raises:
            StreamResetError: the stream was reset. If the peer wants no more, and says so without an error, the bytes
                are silently dropped instead: see `send_unwanted`.
            SessionError: the session broke.
            LocalProtocolError: the send side has ended, is torn, or content-length would be exceeded.
            trio.ClosedResourceError: this side closed the stream or sent its end.
            trio.BusyResourceError: another task is sending.
        """
        self._check_can_send()
        await self._core.outbox.send(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until the windows have room; raises like `send_all`. Cancelled: nothing happened."""
        self._check_can_send()
        await self._core.outbox.wait_room()

    async def wait_written(self) -> None:
        """Waits until the transport has taken what was sent so far, or never will. Cancelled: nothing happened.

        `send_all` returns earlier, when its last byte is in a frame. A body given to `respond` or a request counts as
        far as the peer's window has let it into frames.
        """
        await self._core.port.wait_written()

    async def send_eof(self) -> None:
        """Ends the send side (END_STREAM); the receive side stays open. A second call does nothing.

        Cancelled: nothing happened.

        Raises:
            LocalProtocolError: the body is shorter than its content-length, or torn.
            StreamResetError: the stream was reset.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the stream. trio.BusyResourceError: another task is sending.
        """
        core, outbox = self._core, self._core.outbox
        with outbox.turn:
            if outbox.ended and not core.closed:
                await trio.lowlevel.checkpoint()
                outbox.closed = True
                return
            self._check_can_send()
            await core.port.control_room()
            self._check_can_send()
            outbox.finish()
            outbox.closed = True

    async def send_trailers(self, headers: HeadersInput) -> None:
        """Ends the send side with trailers, after what was sent before.

        In answer to HEAD, and with status 204, 205 and 304, they are dropped: such a response ends with its headers.
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
        core = self._core
        with core.outbox.turn:
            self._check_can_send_trailers()
            await core.port.control_room()
            self._check_can_send_trailers()
            if not core.outbox.ended:
                self._check_section(fields)
                core.outbox.finish(fields)
            core.sent_trailers = Headers.from_raw(fields)

    def _check_can_send_trailers(self) -> None:
        self._check_can_send()

    def _check_section(self, fields: Sequence[RawField]) -> None:
        core, engine = self._core, self._core.port.engine
        too_large = engine.section_too_large(fields)
        if too_large is not None:
            raise headers_too_large(too_large, core.id, stream=self)
        reason = engine.block_too_large(fields)
        if reason is not None:
            core.port.frame_not_sent(core.id, reason)
            failure = StreamFailure(core.id, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, reason)
            raise from_failure(failure, stream=self)

    # -- priority --------------------------------------------------------------------------------------------------

    @property
    def priority(self) -> Priority:
        """How much the response matters to the client, as far as it has said: on a server what the latest
        PRIORITY_UPDATE says (RFC 9218 §7.1), else the ``priority`` field of the request, else the default.

        On a client it is what this side has said, by the request or by `prioritize`. Over HTTP/1.1 only the field can
        tell. A server's own `prioritize` does not change it.
        """
        said = self._core.priority
        if said is None:
            field = self._request_headers().get("priority")
            said = Priority() if field is None else Priority.parse(field)
        return said

    def _request_headers(self) -> Headers:
        """Returns the headers of the request, whoever has sent it."""
        request = self._core.request
        headers = self._core.sent_headers if request is None else request.headers
        assert headers is not None
        return headers

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
        on a server it holds against whatever the client says, now and later. Streams of one urgency share what this
        side may send by their *weight*: one of 256 gets as much as sixteen of 16.

        The other arguments, and the weight unless *silent*, make a PRIORITY frame (RFC 7540 §6.3), which RFC 9113
        §5.3.2 deprecates: for old peers. A client needs ``ClientConfig(rfc7540_priorities=True)`` for that.

        Args:
            priority: urgency, and whether the content is incremental.
            weight: 1 … 256; 16 by default.
            depends_on: the id of the parent stream; 0 by default.
            exclusive: whether the stream becomes the parent of its parent's other streams.
            silent: tells the peer nothing.

        Raises:
            TypeError: an argument has the wrong type, or none is given.
            ValueError: *weight* or *depends_on* is out of range, or is this stream; or this client has told the server
                that it does not use these.
        """
        core = self._core
        check_priority(priority)
        dependency = dependency_of(weight, depends_on, exclusive)
        check_not_itself(dependency, core.id)
        if priority is None and dependency is None:
            raise TypeError("prioritize() needs a Priority, or a weight, depends_on or exclusive")
        if dependency is not None and not silent:
            check_signalled(core.port.config)
        if not core.alive:
            return
        if priority is not None:
            core.port.prioritize(core.id, priority)
            self._signal_priority(priority, silent=silent)
        if dependency is not None:
            core.weight = dependency.weight
            if weight is not None:
                core.port.weigh(core.id, weight)
            if not silent:
                core.port.engine.send_extension(PRIORITY, core.id, dependency.pack())
                core.port.wake_writer()

    def _signal_priority(self, priority: Priority, *, silent: bool) -> None:
        """Tells whom it concerns, beside our own scheduler."""

    # -- idling ---------------------------------------------------------------------------------------------------

    @property
    def idle_timeout(self) -> float:
        """Seconds without a frame sent or received on the stream, of whatever kind, after which it is reset with CANCEL
        (`StreamResetError` here), or `on_idle` is called; 0 and ``None`` turn it off, which reads as `math.inf`.

        Set at any time, it counts anew from then. By default ``stream_idle_timeout`` of the configuration.
        """
        return self._core.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        seconds = check_timeout("idle_timeout", seconds)
        core = self._core
        core.idle_timeout = seconds
        if core.alive:
            core.port.set_idle_timeout(core.id, seconds)

    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None:
        """Sets `idle_timeout` and `on_idle` in one go, for a hook that needs no argument.

        Sessions, connections, requests, responses and servers have the same method.

        Args:
            seconds: the time; 0 and ``None`` turn it off.
            on_idle: called instead of the reset; ``None`` lets the stream be reset.

        Raises:
            TypeError, ValueError: *seconds* is no number, or negative; *on_idle* is no function.
        """
        check_hook("on_idle", on_idle)
        self.idle_timeout = seconds
        self.on_idle = None if on_idle is None else lambda _: on_idle()

    @property
    def on_idle(self) -> Callable[[Stream], object] | None:
        """A function to call with the stream when `idle_timeout` is over, instead of the reset with CANCEL; ``None``,
        the default, resets.

        The time then begins anew. It is called from a task of the session and must not wait. If it raises, that is
        logged and the stream reset with INTERNAL_ERROR.
        """
        return self._on_idle

    @on_idle.setter
    def on_idle(self, hook: Callable[[Stream], object] | None) -> None:
        check_hook("on_idle", hook)
        self._on_idle = hook
        self._core.on_idle = None if hook is None or self._core.over.is_set else partial(hook, self)

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
        check_int("code", code, 0, 2**32 - 1)
        self._core.reset(code, Initiator.LOCAL, "the stream was reset on this side")

    async def aclose(self) -> None:
        """Closes the stream like a TCP socket: never waits for the peer.

        Ends the send side with END_STREAM if its headers were sent and its content-length is met, else resets with
        CANCEL. Unread data is discarded and credited; if the peer goes on sending, or does not end its side within
        ``linger_timeout``, the stream is reset. Idempotent. Cancelled: the stream is reset with CANCEL at once.
        """
        try:
            await trio.lowlevel.checkpoint()
        except BaseException:
            self._core.discard()
            raise
        self._core.close()

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
        self._core.discard(error)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the stream; if the block raised, resets it with CANCEL at once."""
        if exc is None:
            await self.aclose()
        else:
            self._core.discard()
