"""Sessions that answer streams: one supervised handler task per stream."""

from __future__ import annotations

import contextvars
import logging
from typing import TYPE_CHECKING, cast

import trio

from .._errors import SessionError, StreamError
from .._stream._server import ServerStream
from .._wire._codes import ErrorCode, Initiator, Role
from .._wire._schedule import parse_priority
from ._base import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from .._stream._port import SessionPort
    from .._wire._config import ServerConfig
    from .._wire._events import RequestReceived
    from .._wire._settings import Settings

    Handler: TypeAlias = Callable[[ServerStream], Awaitable[object]]
    SessionHook: TypeAlias = Callable[["ServerSession"], Awaitable[object]]

logger = logging.getLogger("trio_h2.server")


class ServerSession(Session):
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
    ) -> None:
        super().__init__(transport, config, label=label)
        self._handler = handler
        self._on_session = on_session
        self._cancel_handler_on_reset = cancel_handler_on_reset
        self._handler_timeout = config.handler_timeout
        self._nursery: trio.Nursery | None = None
        self._context: contextvars.Context | None = None
        self._waiting: list[ServerStream] = []
        self._handlers: dict[ServerStream, trio.lowlevel.Task | None] = {}

    async def _run(self, *, task_status: trio.TaskStatus[ServerSession]) -> None:
        """Runs the session to its end: services around, handlers inside."""
        async with trio.open_nursery() as services:
            services.start_soon(self._run_services, name=f"trio_h2 session {self._label}")
            try:
                if self._on_session is not None:
                    await self._on_session(self)
                self._context = contextvars.copy_context()
                async with trio.open_nursery() as handlers:
                    self._nursery = handlers
                    for stream in self._waiting:
                        self._start_handler(stream)
                    self._waiting.clear()
                    task_status.started(self)
                    await self._over.wait()
            finally:
                self._nursery = None
                self._cut()

    # -- handlers --------------------------------------------------------------------------------------------------

    def _request_received(self, event: RequestReceived) -> None:
        stream = ServerStream._create(cast("SessionPort", self), event.stream_id, event.headers)
        stream._cancel_on_reset = self._cancel_handler_on_reset
        self._handlers[stream] = None
        self._stream_opened(stream)
        priority = event.headers.get("priority")
        if priority is not None:
            self._scheduler.prioritize(stream.id, parse_priority(priority))
        if event.end_stream:
            stream._remote_ended()
        if self._context is None:
            self._waiting.append(stream)
        else:
            self._start_handler(stream)

    def _start_handler(self, stream: ServerStream) -> None:
        if self._nursery is None:
            self._handler_over(stream)
            return
        assert self._context is not None
        name = f"trio_h2 {stream.method} {stream.path or stream.authority} #{stream.id}"
        # A task copies the context of whoever starts it: that of on_session, not of the reader.
        self._context.run(lambda nursery: nursery.start_soon(self._handle, stream, name=name), self._nursery)

    async def _handle(self, stream: ServerStream) -> None:
        """Runs the handler of one stream; whatever it does, the session goes on (RFC 9113 §5.4.2)."""
        self._handlers[stream] = trio.lowlevel.current_task()
        scope = stream._scope
        scope.deadline = trio.current_time() + self._handler_timeout
        error: Exception | None = None
        returned = False
        try:
            with scope:
                await self._handler(stream)
                returned = True
        except Exception as exc:  # one of the two places that supervise: a handler must not end its session
            error = exc
        finally:
            try:
                if error is not None:
                    self._handler_raised(stream, error)
                elif returned:
                    self._handler_returned(stream)
                else:
                    stream._abandon()
            finally:
                error = None
                self._handler_over(stream)

    def _handler_over(self, stream: ServerStream) -> None:
        stream._closed = True
        stream._inbox.close()
        del self._handlers[stream]
        self._engine.handler_done(stream.id)
        self._check_idle()

    def _handler_returned(self, stream: ServerStream) -> None:
        outbox = stream._outbox
        if not stream._alive:
            return
        if not stream.headers_sent:
            logger.error(
                "%s: the handler of %s %s returned without a response", self._label, stream.method, stream.path
            )
            self._respond_500(stream)
        elif not outbox.ended:
            if not outbox.complete:
                logger.error("%s: the handler of %s %s left its body short", self._label, stream.method, stream.path)
                stream._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler left its body incomplete")
                return
            outbox.finish()
        self._unwanted_rest(stream)

    def _handler_raised(self, stream: ServerStream, error: Exception) -> None:
        if isinstance(error, (StreamError, SessionError)) and not stream._alive:
            logger.debug("%s: the stream of %s %s ended first: %s", self._label, stream.method, stream.path, error)
            return
        logger.error("%s: the handler of %s %s raised", self._label, stream.method, stream.path, exc_info=error)
        if not stream._alive:
            return
        if not stream.headers_sent:
            self._respond_500(stream)
            self._unwanted_rest(stream)
        elif not stream._outbox.framed_end:
            stream._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "the handler failed")

    def _respond_500(self, stream: ServerStream) -> None:
        self._engine.send_response(stream.id, [(b":status", b"500"), (b"content-length", b"0")], end_stream=True)
        stream._outbox.ended = stream._outbox.framed_end = True
        self._wake_writer()

    def _unwanted_rest(self, stream: ServerStream) -> None:
        """RFC 9113 §8.1: after a complete response the server may ask the client to stop sending, with NO_ERROR."""
        if not stream._alive or stream._inbox.ended.is_set():
            return
        if stream._outbox.framed_end:
            self._engine.reset(stream.id, ErrorCode.NO_ERROR)
            self._wake_writer()
        else:
            stream._outbox.reset_after_end = ErrorCode.NO_ERROR

    # -- for the base ----------------------------------------------------------------------------------------------

    @property
    def _running_handlers(self) -> int:
        return len(self._handlers)

    def _window_streams(self, settings: Settings) -> int:
        streams = settings.max_concurrent_streams
        return super()._window_streams(settings) if streams is None else streams

    def _refuse_own_handlers(self) -> None:
        running = set(self._handlers.values())
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None:
            if task in running:
                raise RuntimeError("aclose() waits for the handlers, so a handler cannot call it; call shutdown()")
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None

    def _cut(self) -> None:
        if self._failure is None:
            for stream in list(self._handlers):
                stream._scope.cancel()
        super()._cut()
