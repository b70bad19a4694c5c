"""Sessions that answer streams: one supervised handler task per stream."""

from __future__ import annotations

import contextvars
import logging
from typing import TYPE_CHECKING, cast

import trio

from .._errors import LocalProtocolError
from .._stream._server import ServerStream
from .._util import construct
from .._wire._codes import ErrorCode, Initiator, Role
from .._wire._engine import HIGHEST_STREAM_ID
from .._wire._extframes import ALTSVC, ORIGIN, origin_payloads
from .._wire._schedule import parse_priority
from ._extensions import encode_altsvc, encode_origins, origin_of
from ._push_out import PushingSession
from ._services import run_services
from ._supervision import supervise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from .._stream._port import ServerPort
    from .._wire._config import ServerConfig
    from .._wire._events import PriorityUpdated, RequestReceived
    from .._wire._failure import SessionFailure
    from ._extensions import OriginLike
    from ._supervision import Handler

    SessionHook: TypeAlias = Callable[["ServerSession"], Awaitable[object]]

logger = logging.getLogger("trio_h2.server")


class ServerSession(PushingSession):
    """A session on the server's side; made by the ``serve_*`` functions."""

    _role = Role.SERVER

    def __init__(
        self,
        transport: trio.abc.Stream,
        config: ServerConfig,
        *,
        label: str,
        handler: Handler,
        on_session: SessionHook | None,
        cancel_handler_on_reset: bool,
        origins: Sequence[bytes] = (),
    ) -> None:
        super().__init__(transport, config, label=label)
        if origins:
            self._send_origins(origins)
        self._handler = handler
        self._on_session = on_session
        self._cancel_handler_on_reset = cancel_handler_on_reset
        self._handler_timeout = config.handler_timeout
        self._handler_wait_timeout = config.handler_wait_timeout
        self._nursery: trio.Nursery | None = None
        self._context: contextvars.Context | None = None
        self._hook_scope = trio.CancelScope()
        self._queue: dict[int, ServerStream] = {}
        """Streams whose handlers are not started yet: `on_session` has not returned, or as many run as may."""
        self._told_of_handlers = False
        self._ending = False
        """No handler will be started any more."""

    # -- what the application can announce -------------------------------------------------------------------------

    async def altsvc(self, alt: str, origin_or_stream: OriginLike | int) -> None:
        """Names alternative services to the client with an ALTSVC frame (RFC 7838 §4).

        Cancelled: nothing was sent.

        Args:
            alt: an ``Alt-Svc`` field value, ASCII, e.g. ``'h2=":8000"'``; ``"clear"`` withdraws. Not checked further.
            origin_or_stream: whom they are for: a URL, whose origin counts, or an object with an ``origin``; or the id
                of an open stream, for the origin of its request.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: *alt* is not ASCII or too long, there is no origin, or no stream can have that id.
            LocalProtocolError: the stream is not open.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        stream_id, origin = 0, ""
        if isinstance(origin_or_stream, int):
            stream_id = origin_or_stream
            if isinstance(stream_id, bool) or not 0 < stream_id <= HIGHEST_STREAM_ID:
                raise ValueError(f"a stream id is in 1..{HIGHEST_STREAM_ID}, not {stream_id}")
        else:
            origin = origin_of(origin_or_stream)
        encode_altsvc(alt, origin, self._engine.max_outbound_frame_size)
        self._check_usable()
        await self._control_room()
        self._check_usable()
        payload = encode_altsvc(alt, origin, self._engine.max_outbound_frame_size)  # the client may accept less by now
        if stream_id and stream_id not in self._engine.streams:
            raise LocalProtocolError(f"stream {stream_id} is not open", stream_id=stream_id)
        self._engine.send_extension(ALTSVC, stream_id, payload)
        self._wake_writer()

    async def origin(self, *origins: OriginLike) -> None:
        """Names origins that this server answers for on this session, with ORIGIN frames (RFC 8336).

        Clients heed them on TLS only. Cancelled: nothing was sent.

        Args:
            origins: URLs, whose origins count, or objects with an ``origin``. None at all says that there is only
                the one that the client has connected to.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: a URL has no origin.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        entries = encode_origins(origins)
        self._check_usable()
        await self._control_room()
        self._check_usable()
        self._send_origins(entries)

    def _send_origins(self, origins: Sequence[bytes]) -> None:
        for payload in origin_payloads(origins, self._engine.conn.max_outbound_frame_size):
            self._engine.send_extension(ORIGIN, 0, payload)
        self._wake_writer()

    async def _run(self, *, task_status: trio.TaskStatus[ServerSession]) -> None:
        """Runs the session to its end: services around, handlers inside."""
        async with trio.open_nursery() as services:
            services.start_soon(run_services, self, name=f"trio_h2 session {self._label}")
            try:
                if self._on_session is not None:
                    with self._hook_scope:
                        await self._on_session(self)
                self._context = contextvars.copy_context()
                async with trio.open_nursery() as handlers:
                    self._nursery = handlers
                    try:
                        self._start_handlers()
                        task_status.started(self)
                        await self._over.wait()
                    finally:
                        self._refuse_queued()  # a nursery that is being left may refuse new tasks
            finally:
                self._nursery = self._context = None
                self._refuse_queued()
                self._cut()

    # -- handlers --------------------------------------------------------------------------------------------------

    def _request_received(self, event: RequestReceived) -> None:
        stream = construct(
            ServerStream, cast("ServerPort", self), event.stream_id, event.headers, end_stream=event.end_stream
        )
        stream._cancel_on_reset = self._cancel_handler_on_reset
        self._handlers.add(stream)
        self._stream_opened(stream)
        priority = event.headers.get("priority")
        if priority is not None:
            self._scheduler.prioritize(stream.id, parse_priority(priority))
        if event.end_stream:
            stream._remote_ended()
        self._queue[stream.id] = stream
        self._start_handlers()
        if self._ending:
            self._refuse_queued()
        elif stream.id in self._queue and self._nursery is not None:
            self._watcher.queued(stream.id, self._handler_wait_timeout)

    def _priority_updated(self, event: PriorityUpdated) -> None:
        stream = self._streams.get(event.stream_id)
        if isinstance(stream, ServerStream) and not stream._priority_fixed:
            self._scheduler.prioritize(stream.id, event.priority)

    def _start_handlers(self) -> None:
        """Starts handlers while fewer run than streams are allowed: a reset frees no place until its handler has ended.

        Those that have to wait are no more than streams may be open, since one that is reset leaves the queue.
        """
        while self._queue and not self._ending and self._nursery is not None and self._context is not None:
            if len(self._handlers) - len(self._queue) >= self._engine.max_streams:
                return
            stream_id = next(iter(self._queue))
            stream = self._queue.pop(stream_id)
            self._watcher.started(stream_id)
            name = f"trio_h2 {stream.method} {stream._target} #{stream_id}"
            # A task copies the context of whoever starts it: that of on_session, not of the reader.
            self._context.run(self._spawn, self._nursery, stream, name)

    def _refuse_queued(self) -> None:
        """The session ends: RFC 9113 §8.7 tells "that the stream is being closed prior to any processing"."""
        self._ending = True
        for stream in list(self._queue.values()):
            stream._reset(ErrorCode.REFUSED_STREAM, Initiator.LIBRARY, "the server is ending")
            self._leave_queue(stream.id)

    def _out_of_patience(self, stream_id: int) -> None:
        stream = self._queue[stream_id]
        log = logger.debug if self._told_of_handlers else logger.warning  # a peer must not fill the log
        self._told_of_handlers = True
        log(
            "%s: %s %s is refused, since max_concurrent_streams=%d handlers run, some without a stream",
            *(self._label, stream.method, stream._target, self._engine.max_streams),
        )
        stream._reset(ErrorCode.REFUSED_STREAM, Initiator.LIBRARY, "too many handlers have not ended")

    def _leave_queue(self, stream_id: int) -> None:
        stream = self._queue.pop(stream_id, None)
        if stream is not None:
            self._handler_over(stream)

    def _settings_acknowledged(self) -> None:
        super()._settings_acknowledged()
        self._start_handlers()  # max_concurrent_streams may be larger now

    def _stream_closed(self, stream_id: int) -> None:
        super()._stream_closed(stream_id)
        self._leave_queue(stream_id)

    def _spawn(self, nursery: trio.Nursery, stream: ServerStream, name: str) -> None:
        nursery.start_soon(self._handle, stream, name=name)

    async def _handle(self, stream: ServerStream) -> None:
        self._handlers.started(stream)
        returned = False
        try:
            returned = await supervise(stream, self._handler, self._label, self._handler_timeout)
        finally:
            self._settle_pushes(stream, returned=returned)
            self._handler_over(stream)

    def _handler_over(self, stream: ServerStream) -> None:
        stream._handler_over()
        self._handlers.remove(stream)
        self._engine.handler_done(stream.id)
        self._start_handlers()
        self._check_idle()

    # -- for the base ----------------------------------------------------------------------------------------------

    def _finish(self, failure: SessionFailure) -> None:
        super()._finish(failure)
        self._refuse_queued()
        self._hook_scope.cancel()
