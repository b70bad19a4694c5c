"""A stream as its session sees it: both sides, what was sent and received, and what ends it.

An application has a `Stream`, which holds this. The session's reader, writer and watcher and its handler tasks use the
names here; they are not part of the API. Nothing here waits, so that all of it can happen between two checkpoints.

The words for ends are those of ARCHITECTURE.md, "What ends what": `end` (it is over, or broke: settle everything),
`reset` (RST_STREAM), `close` (the application is done with it, as with a TCP socket), `discard` (it is given up at
once). `Outbox.finish` is our END_STREAM.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from .._util import Latch
from .._wire._codes import ErrorCode, Initiator
from .._wire._failure import Cause, SessionFailure, StreamFailure
from .._wire._schedule import DEFAULT_WEIGHT
from ._inbox import Inbox
from ._outbox import Outbox
from ._whose import Whose

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from .._wire._headers import Headers
    from .._wire._schedule import Priority
    from ._port import StreamPort, StreamSession
    from ._promise import Promise
    from ._request import RequestView
    from ._response import ResponseInbox

logger = logging.getLogger("trio_h2.stream")


class StreamCore:
    """The state of one stream. What only some streams have is held: a response, a handler's scope, a promise."""

    __slots__ = (
        "__weakref__",
        "_refused",
        "aborted",
        "cancel_on_reset",
        "closed",
        "end_after_headers",
        "failure",
        "id",
        "idle_timeout",
        "inbox",
        "on_closed",
        "on_idle",
        "on_priority",
        "outbox",
        "over",
        "port",
        "priority",
        "priority_fixed",
        "promise",
        "reads_until",
        "received_headers",
        "request",
        "response",
        "rst_code",
        "scope",
        "sent_headers",
        "sent_informational",
        "sent_trailers",
        "session",
        "trailers",
        "weight",
        "whose",
    )

    def __init__(self, port: StreamPort, stream_id: int) -> None:
        self.port: StreamPort = port
        self.session: StreamSession = port.session
        self.id: int = stream_id
        self.whose: Whose = Whose()
        self.inbox: Inbox = Inbox(port, stream_id, self.whose)
        self.outbox: Outbox = Outbox(port, stream_id, self.whose)
        self.idle_timeout: float = port.config.stream_idle_timeout
        self.on_idle: Callable[[], object] | None = None
        """Called when nothing has happened for `idle_timeout`, instead of the reset with CANCEL."""
        self.request: RequestView | None = None
        """The request that the peer has sent, or that was promised."""
        self.response: ResponseInbox | None = None
        """Where the response comes in, if this side waits for one."""
        self.promise: Promise | None = None
        """Whose push this is, if this side pushes it."""
        self.scope: trio.CancelScope | None = None
        """The scope of the stream's handler."""
        self.cancel_on_reset: bool = False
        """Whether the handler is cancelled when the stream breaks."""
        self.priority: Priority | None = None
        """What the client has said of the response since its request."""
        self.on_priority: Callable[[Priority], object] | None = None
        """Called when the client says how much the response matters now."""
        self.priority_fixed: bool = False
        """Our own priority holds, whatever the client says."""
        self.sent_headers: Headers | None = None
        self.sent_informational: list[Headers] | None = None
        self.sent_trailers: Headers | None = None
        self.received_headers: Headers | None = None
        self.end_after_headers: bool = False
        self.trailers: Headers | None = None
        self.rst_code: ErrorCode | int | None = None
        self.aborted: bool = False
        self.failure: StreamFailure | SessionFailure | None = None
        """What broke it."""
        self.weight: int = DEFAULT_WEIGHT
        self.closed: bool = False
        """The application is done with it, by `close` or `discard`."""
        self.over: Latch = Latch()
        """Both sides have ended on the wire, or the session is over."""
        self.on_closed: list[Callable[[], object]] | None = None
        """What is called then."""
        self.reads_until: int | None = None
        """How many bytes of an unwanted request may come before it is refused; see `StreamPort.rest_unwanted`."""
        self._refused = False
        """The server answered a request that expected 100, and does not want its body."""

    def __repr__(self) -> str:
        return f"<Stream #{self.id}>"

    @property
    def alive(self) -> bool:
        """Whether the stream is still open on the wire, in at least one direction."""
        return self.id in self.port.engine.streams and self.port.failure is None

    @property
    def end_framed(self) -> bool:
        """Whether our side was framed to its end, and nothing of it dropped."""
        if self.outbox.unwanted:
            return False
        # Where that is the end of the stream, too, the outbox hears of it a moment later.
        return self.outbox.framed_end or (self.over.is_set and self.failure is None)

    # -- what the peer says ----------------------------------------------------------------------------------------

    def informational_received(self, headers: Headers) -> None:
        """An interim response came."""
        assert self.response is not None
        self.response.informational_received(headers)
        if headers.status == 100:
            self.outbox.release()

    def response_received(self, headers: Headers, *, end_stream: bool) -> None:
        """The final response came."""
        assert self.response is not None
        self.received_headers = headers
        self.end_after_headers = end_stream
        self.response.received(headers)
        if self.outbox.held and headers.status >= 400:
            # RFC 9110 §10.1.1: 417 means "that the response chain does not support expectations", and other errors
            # tell that the body would be in vain.
            self._refused = True
            self.outbox.discard()
        else:
            self.outbox.release()

    def data_received(self, data: bytes) -> None:
        """Body bytes came."""
        if self.inbox.deliver(data):
            return
        if self.outbox.reset_after_end is None:
            self.refuse_rest(ErrorCode.CANCEL)
        elif self.reads_until is not None:
            wire = self.port.engine.streams.get(self.id)
            if wire is not None and wire.received_length > self.reads_until:
                self.stop_reading()

    def remote_ended(self, trailers: Headers | None = None) -> None:
        """The peer ended its side."""
        self.trailers = trailers
        self.inbox.end()
        if self._refused:  # without its body, the request can only be ended so
            self.reset(ErrorCode.CANCEL, Initiator.LOCAL, "the server did not want the body of the request")
        elif not self.outbox.framed_end and self.response is not None and self._sends_in_vain():
            self.outbox.discard()
            self.reset(ErrorCode.NO_ERROR, Initiator.LOCAL, "the response ended before the request")

    def _sends_in_vain(self) -> bool:
        """Whether the rest of a request may be left out, now that its response has ended.

        RFC 9113 §8.1: "A server can send a complete response prior to the client sending an entire request if the
        response does not depend on any portion of the request that has not been sent and received." A program that goes
        on sending by itself after a 2xx may have its reasons: each side of a stream ends for itself.
        """
        assert self.received_headers is not None
        if self.received_headers.status >= 300:
            return True
        connect = self.sent_headers is not None and self.sent_headers[":method"] == "CONNECT"
        return self.outbox.ended and not connect

    def priority_updated(self, priority: Priority) -> None:
        """The client says how much the response matters now."""
        self.priority = priority
        if not self.priority_fixed:
            self.port.prioritize(self.id, priority)
        if self.on_priority is not None:
            try:
                self.on_priority(priority)
            except Exception:  # a hook must not end its session
                logger.exception("%r: the hook for its priority raised", self)

    def refuse_rest(self, code: ErrorCode) -> None:
        """Nobody reads what the peer still sends: RST_STREAM, though not before what we have to send is framed."""
        outbox = self.outbox
        if outbox.reset_after_end is not None or not self.alive or self.port.engine.remote_ended(self.id):
            return
        if outbox.ended:
            outbox.reset_after_end = code
            if outbox.framed_end:
                self.port.rest_unwanted(self.id, code)
        else:
            self.reset(code, Initiator.LOCAL, "the stream was closed on this side")

    def stop_reading(self) -> None:
        """The client has had its chance to see the response before its request is refused, or there is none."""
        code = self.outbox.reset_after_end
        assert code is not None
        self.reset(code, Initiator.LOCAL, "the stream was closed on this side")

    def idled(self) -> None:
        """Nothing has happened for `idle_timeout`."""
        if self.on_idle is None:
            reason = f"no frame was sent or received on the stream for idle_timeout={self.idle_timeout:g} s"
            self.reset(ErrorCode.CANCEL, Initiator.LIBRARY, reason)
            return
        try:
            self.on_idle()
        except Exception:  # a hook must not end its session
            logger.exception("%r: on_idle raised", self)
            self.reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "on_idle raised")

    # -- the end ---------------------------------------------------------------------------------------------------

    def reset(self, code: int, initiator: Initiator, reason: str, *, cancel: bool = True) -> None:
        """Ends both sides at once with RST_STREAM (RFC 9113 §6.4); does nothing if the stream has ended already.

        Args:
            code: what RST_STREAM says.
            initiator: who wants it.
            reason: why.
            cancel: whether the stream's handler is cancelled, unless this was its own wish. Not if something that it
                asked for failed: that is raised there.
        """
        if not self.alive:
            return
        self.end(StreamFailure(self.id, code, initiator, reason), cancel=cancel)
        self.port.engine.reset(self.id, code)
        self.port.wake_writer()

    def close(self, *, refuse: ErrorCode | None = None) -> None:
        """The application is done with the stream, as with a TCP socket: what is whole still goes out, the rest is
        reset with CANCEL, and what is unread is discarded.

        Args:
            refuse: what RST_STREAM tells a peer that has not ended its side when we have ended ours; ``None`` gives it
                ``linger_timeout`` to do so.
        """
        outbox = self.outbox
        if refuse is not None and outbox.ended and not self.over.is_set:
            self.refuse_rest(refuse)
        if not self.closed:
            self.closed = True
            unfinished = not outbox.ended and self.alive
            whole = unfinished and self.sent_headers is not None and outbox.complete and not outbox.busy
            outbox.close()
            if unfinished:
                if whole:
                    outbox.finish()
                else:
                    self.reset(ErrorCode.CANCEL, Initiator.LOCAL, "the stream was closed on this side")
            self.inbox.close()
            if refuse is None and self.alive and not self.port.engine.remote_ended(self.id):
                self.port.linger(self)
        if self.response is not None:
            self.response.close()

    def discard(self, error: BaseException | None = None) -> None:
        """Gives the stream up at once: RST_STREAM unless both sides have ended; never END_STREAM.

        Args:
            error: why, if something is wrong: INTERNAL_ERROR instead of CANCEL, and the cause of what is raised.
        """
        if error is not None and not self.closed:
            self.inbox.destroyed_by = self.outbox.destroyed_by = error
        self.closed = True
        self.outbox.close()
        code = ErrorCode.CANCEL if error is None else ErrorCode.INTERNAL_ERROR
        self.reset(code, Initiator.LOCAL, "the stream was cancelled on this side")
        self.inbox.close()
        if self.response is not None:
            self.response.close()

    def end(self, failure: StreamFailure | SessionFailure | None = None, *, cancel: bool = True) -> None:
        """The stream is over: *failure* broke it, or (``None``) both sides have ended on the wire.

        A stream that broke by RST_STREAM of either side is over on the wire in the same step: that follows.
        """
        if failure is None:
            if self.rst_code is None:
                self.rst_code = self.outbox.reset_after_end or ErrorCode.NO_ERROR
            self.over.set()
            self.on_idle = self.on_priority = None  # they may well refer back
            if self.on_closed is not None:
                self._call_on_closed()
            return
        if self.promise is not None:
            if isinstance(failure, StreamFailure):
                failure = replace(failure, refused=False, retryable=False)  # a refused push is not to be repeated
            self.promise.turn.set()  # a task that waits to respond need not any more
        ours_ended, own = self.outbox.framed_end, False
        if not self.outbox.ended:
            self.aborted = True
        wanted_no_more = False
        if isinstance(failure, StreamFailure):
            self.rst_code = failure.code
            own = failure.initiator is Initiator.LOCAL
            wanted_no_more = (
                failure.initiator is Initiator.REMOTE
                and failure.code == ErrorCode.NO_ERROR
                and self.inbox.ended.is_set
                and self.inbox.failure is None
            )
        else:
            if self.rst_code is None:
                self.rst_code = (None if failure.cause is Cause.CLOSED else failure.code) or ErrorCode.CANCEL
            self.over.set()
            self.on_idle = self.on_priority = None
        if wanted_no_more:
            if not ours_ended:
                self.outbox.discard()
        else:
            if self.failure is None:
                self.failure = failure
            self.outbox.end(failure)
            self.inbox.end(failure)
        if self.response is not None:
            self.response.end(failure)
        if self.on_closed is not None and self.over.is_set:
            self._call_on_closed()
        if cancel and self.cancel_on_reset and not own and not ours_ended:
            self.cancel()

    def call_when_closed(self, hook: Callable[[], object]) -> None:
        """Calls *hook* when the stream is over, or now if it is."""
        if self.on_closed is None:
            self.on_closed = []
        self.on_closed.append(hook)
        if self.over.is_set:
            self._call_on_closed()

    def _call_on_closed(self) -> None:
        hooks, self.on_closed = self.on_closed, None
        for hook in hooks or ():
            try:
                hook()
            except Exception:  # a hook must not end its session
                logger.exception("%r: a hook for its end raised", self)

    def cancel(self) -> None:
        """Cancels the stream's handler."""
        if self.scope is not None:
            self.scope.cancel()
