"""The inner side of a server's session: one supervised handler task per stream, and the pushes of these."""

from __future__ import annotations

import contextvars
import logging
import math
import weakref
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

import trio

from .._stream._core import StreamCore
from .._stream._promise import Promise
from .._stream._refused_request import RefusedRequest, tell_refused
from .._stream._request import RequestView
from .._stream._server import ServerStream
from .._util import construct, interrupt_safe, interruptible
from .._wire._codes import ErrorCode, Initiator, Role, code_name
from .._wire._events import PriorityUpdated, RequestAnswered, RequestReceived, SettingsReceived, StreamFailed
from .._wire._extframes import ORIGIN, origin_payloads
from .._wire._failure import Cause, SessionFailure, StreamFailure
from .._wire._headers import Headers
from .._wire._schedule import parse_priority
from ._core import SessionCore
from ._pushes import SentPushes
from ._reader import RULES
from ._server import ServerSession
from ._services import run_services
from ._supervision import supervise
from ._work import SessionWork, Ts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from .._stream._server import Handler
    from .._wire._config import ServerConfig
    from .._wire._headers import RawField
    from ._base import Session
    from ._core import Rules
    from ._server import SessionHook


logger = logging.getLogger("trio_h2.server")
session_logger = logging.getLogger("trio_h2.session")


@interrupt_safe
class ServerCore(SessionCore):
    """The inner side of a `ServerSession`: also the `PushPort` of its streams."""

    role = Role.SERVER
    session: ServerSession

    def __init__(
        self,
        below: trio.abc.Stream,
        config: ServerConfig,
        *,
        label: str,
        handler: Handler,
        on_session: SessionHook | None,
        cancel_handler_on_reset: bool,
        origins: Sequence[bytes] = (),
        settings: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__(below, config, label=label, settings=settings)
        self._handler = handler
        self._supervised = handler if self.trace is None else self.trace.handler(handler)
        """The same, in the blocks of instruments."""
        self._on_session = on_session
        self._cancel_handler_on_reset = cancel_handler_on_reset
        self._handler_timeout = config.handler_timeout
        self._handler_wait_timeout = config.handler_wait_timeout
        self._body_timeout = config.body_timeout
        self.watcher.limit_uploads(config.body_timeout)
        self._upload_grace_bytes = config.upload_grace_bytes
        self._upload_grace_timeout = config.upload_grace_timeout
        self.goaway_timeout: float = config.goaway_timeout
        self.nursery: trio.Nursery | None = None
        """Where the handlers run."""
        self._services: trio.Nursery | None = None
        """Where the service tasks run, and the application's own."""
        self.work: SessionWork = SessionWork(label)
        self._context: contextvars.Context | None = None
        self._hook_scope = trio.CancelScope()
        self.queue: dict[int, StreamCore] = {}
        """Streams whose handlers are not started yet: `on_session` has not returned, or as many run as may."""
        self._told_of_handlers = False
        self._ending = False
        """No handler will be started any more."""
        self.pushes: SentPushes = SentPushes()
        self.pushes_were_allowed: bool = False
        """Whether the client has ever allowed pushes, by its SETTINGS or by having none that forbid them."""
        self.announced: dict[str, None] = {}
        """The origins that were named to the client, in order."""
        self.engine.on_refused = self._refused
        self.session = construct(ServerSession, self)
        self.whose: weakref.ref[Session] = weakref.ref(self.session)
        if origins:
            self.send_origins(origins)

    def send_origins(self, origins: Sequence[bytes]) -> None:
        """Sends ORIGIN frames (RFC 8336)."""
        self.announced.update(dict.fromkeys(origin.decode("ascii") for origin in origins))
        for payload in origin_payloads(origins, self.engine.max_outbound_frame_size):
            self.engine.send_extension(ORIGIN, 0, payload)
        self.wake_writer()

    async def run(self, *, task_status: trio.TaskStatus[ServerSession]) -> None:
        """Runs the session to its end: services around, handlers inside."""
        session = self.session  # it may be over, and released, before the hook has returned
        async with trio.open_nursery() as services:
            self._services = services
            services.start_soon(run_services, self, name=f"trio_h2 session {self.label}")
            try:
                if self._on_session is not None:
                    with self._hook_scope:
                        await self._run_hook(self._on_session, session)
                self._context = contextvars.copy_context()
                async with trio.open_nursery() as handlers:
                    self.nursery = handlers
                    try:
                        self.start_handlers()
                        task_status.started(session)
                        await self.ending.over.wait()
                    finally:
                        self.refuse_queued()  # a nursery that is being left may refuse new tasks
            finally:
                self.nursery = self._context = self._services = None
                self.refuse_queued()
                self.ending.discard()

    async def _run_hook(self, hook: SessionHook, session: ServerSession) -> None:
        try:
            await interruptible(hook, session)
        except (Exception, BaseExceptionGroup) as exc:
            if isinstance(exc, Exception) or exc.subgroup(Exception) is not None:
                # As with a handler that fails: what was asked for is not refused as if it could be asked for again.
                self._bug("on_session raised")
            raise

    def start_soon(self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts, name: str | None) -> None:
        """Starts a task of the application, see `ServerSession.start_soon`."""
        self.check_usable()
        assert self._services is not None  # nobody sees the session before it runs
        self.work.start_soon(self._services, self._work_failed, function, *args, name=name)

    def _work_failed(self) -> None:
        self._bug("a task of start_soon raised")

    def _bug(self, reason: str) -> None:
        """The application has a bug that is not one of a handler."""
        self.ending.discard(SessionFailure(Cause.CLOSED, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, reason))

    # -- handlers --------------------------------------------------------------------------------------------------

    def start_handlers(self) -> None:
        """Starts handlers while fewer run than streams are allowed: a reset frees no place until its handler has ended.

        Those that have to wait are no more than streams may be open, since one that is reset leaves the queue.
        """
        while self.queue and not self._ending and self.nursery is not None and self._context is not None:
            if len(self.handlers) - len(self.queue) >= self.engine.max_streams:
                return
            stream_id = next(iter(self.queue))
            stream = self.queue.pop(stream_id)
            self.watcher.started(stream_id)
            assert stream.request is not None
            name = f"trio_h2 {stream.request.method} {stream.request.target} #{stream_id}"
            # A task copies the context of whoever starts it: that of on_session, not of the reader.
            self._context.run(self._spawn, self.nursery, stream, name)

    def _spawn(self, nursery: trio.Nursery, stream: StreamCore, name: str) -> None:
        nursery.start_soon(self._handle, stream, name=name)

    async def _handle(self, stream: StreamCore) -> None:
        self.handlers.started(stream)
        returned = False
        try:
            exchange = construct(ServerStream, stream, self)
            returned = await supervise(exchange, stream, self._supervised, self.label, self._handler_timeout)
        finally:
            if self.pushes.by_parent:
                self.pushes.settle(stream.id, returned=returned)
            self._handler_ended(stream)

    def _handler_ended(self, stream: StreamCore) -> None:
        # Nobody will read or send any more. RFC 9113 §8.1: "A server MAY request that the client abort transmission of
        # a request without error by sending a RST_STREAM with an error code of NO_ERROR after sending a complete
        # response".
        stream.close(refuse=ErrorCode.NO_ERROR)
        self.handlers.remove(stream)
        self.engine.handler_done(stream.id)
        if self.queue:
            self.start_handlers()
        if not self.streams and not self.handlers.running:
            self.check_idle()

    def _leave_queue(self, stream_id: int) -> None:
        stream = self.queue.pop(stream_id, None)
        if stream is not None:
            self._handler_ended(stream)

    def refuse_queued(self) -> None:
        """The session ends: RFC 9113 §8.7 tells "that the stream is being closed prior to any processing"."""
        self._ending = True
        for stream in list(self.queue.values()):
            self._refuse(stream, "the server is ending")
            self._leave_queue(stream.id)

    def _refuse(self, stream: StreamCore, reason: str) -> None:
        """Refuses a request whose handler was not started."""
        if stream.alive:
            assert stream.received_headers is not None
            self._refused(stream.received_headers.raw, None, ErrorCode.REFUSED_STREAM, reason)
        stream.reset(ErrorCode.REFUSED_STREAM, Initiator.LIBRARY, reason)

    def _refused(self, fields: list[RawField], status: int | None, code: ErrorCode | None, reason: str) -> None:
        """A request was answered without a handler. How many there can be is bounded by the budget for resets."""
        refused = RefusedRequest(Headers.from_raw(fields), status, code, reason, "2.0", self.transport)
        answer = f"status {status}" if code is None else code_name(code)
        session_logger.info("%s: %s was refused with %s: %s", self.label, refused, answer, reason)
        tell_refused(self._handler, refused)

    def queued_too_long(self, stream_id: int) -> None:
        """A request has waited too long for its handler to be started."""
        stream = self.queue[stream_id]
        assert stream.request is not None
        log = logger.debug if self._told_of_handlers else logger.warning  # a peer must not fill the log
        self._told_of_handlers = True
        log(
            "%s: %s %s is refused, since max_concurrent_streams=%d handlers run, some without a stream",
            *(self.label, stream.request.method, stream.request.target, self.engine.max_streams),
        )
        self._refuse(stream, "too many handlers have not ended")

    def rest_unwanted(self, stream_id: int, code: int) -> None:
        """The response has ended, and nobody reads the rest of the request: some of it is thrown away first.

        RFC 9113 §8.1: "Clients MUST NOT discard responses as a result of receiving such a RST_STREAM", but those that
        are busy sending do, if it comes along with the response.
        """
        stream = self.streams.get(stream_id)
        if stream is None or code != ErrorCode.NO_ERROR or not self._upload_grace_bytes:
            super().rest_unwanted(stream_id, code)
            return
        stream.reads_until = self.engine.streams[stream_id].received_length + self._upload_grace_bytes
        begin = partial(self.watcher.read_on, stream_id, self._upload_grace_timeout)
        if self.writer.flushed:
            begin(trio.current_time())
        else:
            self._when_written(begin)

    def upload_stopped(self, stream_id: int) -> None:
        """Nothing has come of a request's body for ``body_timeout``.

        RFC 9110 §15.5.9: 408 tells "that the server did not receive a complete request message within the time that it
        was prepared to wait."
        """
        stream = self.streams[stream_id]
        assert stream.request is not None
        seconds = self._body_timeout
        reason = f"nothing of the request came for body_timeout={seconds:g} s (set in ServerConfig)"
        logger.info("%s: %s %s: %s (408)", self.label, stream.request.method, stream.request.target, reason)
        stream.end(StreamFailure(stream_id, ErrorCode.NO_ERROR, Initiator.LIBRARY, reason))
        fields = [(b":status", b"408"), (b"content-length", b"0")]
        stream.sent_headers = Headers.from_raw(fields)
        self.engine.send_response(stream_id, fields, end_stream=True)
        self.engine.reset(stream_id, ErrorCode.NO_ERROR)
        self.wake_writer()

    # -- pushes: see PushPort --------------------------------------------------------------------------------------

    def push_obstacle(self) -> str | None:
        """Returns what keeps pushes from being made now, and what no handler could know before; ``None`` if nothing."""
        if self.ending.draining.is_set():
            return "the session is being shut down, so the client takes no pushes"
        if self.engine.next_stream_id is None:
            return "the stream ids of this session are used up"
        return None if self.engine.push_allowed else "the client allows no pushes any more (SETTINGS_ENABLE_PUSH)"

    def push(self, parent: StreamCore, fields: Sequence[RawField]) -> StreamCore:
        """Sends a promise, which has been checked; returns its stream.

        A promise goes out at once, since "streams in either of the "reserved" states do not count toward the stream
        limit" (RFC 9113 §5.1.2). Its response makes it count, so that waits in line while the client allows no further
        one. If there is an obstacle, nothing goes out, and the stream is one that the client does not want.
        """
        obstacle = self.push_obstacle()
        stream_id = 0 if obstacle is not None else self.engine.push(parent.id, fields[0][1], fields)  # the method first
        stream = StreamCore(self, stream_id)
        headers = Headers.from_raw(list(fields))
        stream.request = RequestView(headers)
        stream.received_headers = headers
        stream.end_after_headers = True
        stream.promise = Promise(parent.id)
        if obstacle is not None:
            session_logger.debug("%s: the push of %s is dropped: %s", self.label, stream.request.target, obstacle)
            stream.remote_ended()
            stream.end(StreamFailure(stream_id, ErrorCode.NO_ERROR, Initiator.REMOTE, obstacle))
            stream.end()
            return stream
        self.stream_opened(stream)
        stream.remote_ended()
        priority = headers.get("priority")
        if priority is not None:
            self.prioritize(stream.id, parse_priority(priority))
        self.pushes.add(stream, parent.id)
        self.wake_writer()
        return stream

    async def wait_push_turn(self, stream: StreamCore) -> None:
        """A checkpoint, which waits until the first headers on a promised stream may be sent, or none are wanted."""
        if not self._is_reserved(stream):  # an interim response has been sent before
            await self.control_room()
            return
        assert stream.promise is not None
        turn = stream.promise.turn
        try:
            await self.slots.wait_turn(turn, self._has_slot, partial(self._is_reserved, stream))
        finally:
            self.slots.leave(turn)

    def _is_reserved(self, stream: StreamCore) -> bool:
        """Whether a response may still begin; `respond` finds out what is wrong if not."""
        wire = self.engine.streams.get(stream.id)
        return wire is not None and wire.reserved

    def _has_slot(self) -> bool:
        return self.engine.has_push_slot() and self.engine.output_size <= self.config.max_queued_control

    # -- the rules of a server -------------------------------------------------------------------------------------

    def _request(self, event: RequestReceived) -> None:
        headers = event.headers
        stream = StreamCore(self, event.stream_id)
        stream.request = RequestView(headers)
        stream.received_headers = headers
        stream.end_after_headers = event.end_stream
        stream.scope = trio.CancelScope()
        stream.cancel_on_reset = self._cancel_handler_on_reset
        self.handlers.add(stream)
        self.stream_opened(stream)
        if headers.first(b"priority") is not None:
            self.prioritize(stream.id, parse_priority(headers["priority"]))
        if event.end_stream:
            stream.remote_ended()
        elif stream.request.method != "CONNECT" and self._body_timeout < math.inf:
            self.watcher.upload_begun(stream.id)
        self.queue[stream.id] = stream
        self.start_handlers()
        if self._ending:
            self.refuse_queued()
        elif stream.id in self.queue and self.nursery is not None:
            self.watcher.queued(stream.id, self._handler_wait_timeout)

    def _answered(self, event: RequestAnswered) -> None:
        """A request was answered without a handler, before its body: that is treated as after any other response."""
        stream = StreamCore(self, event.stream_id)
        self.stream_opened(stream)
        self.engine.handler_done(stream.id)
        stream.outbox.end_with_headers()
        stream.close(refuse=ErrorCode.NO_ERROR)

    def _stream_failed(self, event: StreamFailed) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        failure = event.failure
        if failure.initiator is Initiator.LIBRARY and stream.request is not None:
            what = f"{stream.request.method} {stream.request.target}"
            when = " after the response" if stream.outbox.framed_end else ""
            session_logger.info(
                "%s: %s was reset with %s%s: %s", self.label, what, code_name(failure.code), when, failure.reason
            )
        stream.end(failure)

    def _settings_received(self, event: SettingsReceived) -> None:
        RULES[SettingsReceived](self, event)
        # Asked at each SETTINGS, since requests come after the first ones: they are the client's preface.
        self.pushes_were_allowed = self.pushes_were_allowed or self.engine.push_allowed

    def _priority_updated(self, event: PriorityUpdated) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.priority_updated(event.priority)

    rules: ClassVar[Rules] = cast(  # each rule gets the events of its own type only
        "Rules",
        {
            **RULES,
            RequestReceived: _request,
            RequestAnswered: _answered,
            StreamFailed: _stream_failed,
            SettingsReceived: _settings_received,
            PriorityUpdated: _priority_updated,
        },
    )

    # -- for the base ----------------------------------------------------------------------------------------------

    def settings_acknowledged(self) -> None:
        """The client acknowledged SETTINGS of ours."""
        super().settings_acknowledged()
        self.start_handlers()  # max_concurrent_streams may be larger now

    def stream_closed(self, stream_id: int) -> None:
        """A stream has ended on the wire, in both directions."""
        if self.pushes.by_parent:
            stream = self.streams.get(stream_id)
            if stream is not None and stream.promise is not None:
                self.pushes.remove(stream_id, stream.promise.parent_id)
        super().stream_closed(stream_id)
        if stream_id in self.queue:
            self._leave_queue(stream_id)

    def ended(self, failure: SessionFailure) -> None:
        """The session is over, and its streams, too: settles the rest."""
        super().ended(failure)
        self.refuse_queued()
        self._hook_scope.cancel()
        self.work.cancel()
