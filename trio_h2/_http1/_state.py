"""The state of an HTTP/1.1 connection: what an application sees of it, and what ends it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._errors import from_failure
from .._stream._transport import TransportView
from .._util import NoPublicConstructor, Signal, construct, forget_frames
from .._wire._codes import ErrorCode, Initiator
from .._wire._failure import Cause, SessionFailure
from ._closing import close_abruptly
from ._wire import Http1Wire

if TYPE_CHECKING:
    from .._session._supervision import Handler
    from .._stream._outbox import Outbox
    from .._wire._config import ServerConfig
    from ._exchange import Http1Exchange


class Http1State(metaclass=NoPublicConstructor):
    """The part of `Http1Connection` that says how far it has got, and ends it."""

    def __init__(
        self,
        transport: trio.abc.Stream,
        config: ServerConfig,
        *,
        label: str,
        handler: Handler,
        cancel_handler_on_reset: bool,
        early: bytes = b"",
    ) -> None:
        self._transport = transport
        self._early = early
        """Octets that were received already."""
        self._config = config
        self._label = label
        self._handler = handler
        self._cancel_handler_on_reset = cancel_handler_on_reset
        self._view = construct(TransportView, transport, cleartext=None)
        scheme = b"https" if self._view.encrypted else b"http"
        self._engine = Http1Wire(config, scheme, self._stream_closed)
        self._exchange: Http1Exchange | None = None
        self._handler_task: trio.lowlevel.Task | None = None
        self._failure: SessionFailure | None = None
        self._ready: Outbox | None = None
        """The outbox with octets to frame."""
        self._held = 0
        """Octets of the request that are received and not read."""
        self._dropped = 0
        """Octets of the request that nobody wanted."""
        self._eof = False
        """The reader has ended."""
        self._deaf = False
        """What comes is thrown away: only the client's end matters."""
        self._moved = trio.lowlevel.ParkingLot()
        self._output = Signal()
        self._idle_changed = Signal()
        self._idle_seconds = math.inf
        self._active = 0.0
        self._writing = False
        self._half_closed = False
        """The end of a tunnel is written."""
        self._write_scope = trio.CancelScope()
        self._reading = trio.CancelScope()
        """Of the reader, as long as it lives."""
        self._read_scope = trio.CancelScope()
        """Of what the reader is receiving."""
        self._head_scope: trio.CancelScope | None = None
        self._scope = trio.CancelScope()
        self._draining = trio.Event()
        self._over = trio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._label}>"

    # -- for the application ---------------------------------------------------------------------------------------

    @property
    def config(self) -> ServerConfig:
        """The limits and timeouts of this connection."""
        return self._config

    @property
    def transport(self) -> TransportView:
        """The bytes below, for looking only."""
        return self._view

    @property
    def encrypted(self) -> bool:
        """Whether the connection speaks TLS."""
        return self._view.encrypted

    @property
    def alpn_protocol(self) -> str | None:
        """What ALPN agreed on: ``"http/1.1"``, or ``None`` where it gave nothing or there is no TLS."""
        return self._view.alpn_protocol

    @property
    def closed(self) -> bool:
        """Whether no further request is taken."""
        return self._draining.is_set()

    @property
    def draining(self) -> bool:
        """Whether the connection will end with the current request."""
        return self._draining.is_set()

    async def wait_draining(self) -> None:
        """Waits until the connection takes no further request, or is over."""
        await self._draining.wait()

    async def wait_closed(self) -> None:
        """Waits until the connection is over and its transport is closed.

        Raises:
            SessionError: it broke in the middle of an exchange.
        """
        await self._over.wait()
        if self._failure is not None and self._failure.cause is not Cause.CLOSED:
            raise from_failure(self._failure)

    def shutdown(self) -> None:
        """Lets the current request finish, whose response will say ``connection: close``. Never waits; idempotent."""
        self._draining.set()
        self._engine.close_after = True
        self._moved.unpark_all()

    def destroy(self, error: Exception | None = None, code: ErrorCode | int | None = None) -> None:
        """Ends the connection at once; what is under way raises `trio.ClosedResourceError`, with *error* as its cause.

        Never waits; idempotent. HTTP/1.1 has no way to say *code*.
        """
        if error is not None and not isinstance(error, Exception):
            raise TypeError(f"error must be an exception, not {error!r}")
        reason = "this connection was destroyed"
        self._cut(SessionFailure(Cause.CLOSED, None, Initiator.LOCAL, reason, error=error))

    # -- the end ---------------------------------------------------------------------------------------------------

    def _lost(self, reason: str, error: BaseException | None) -> None:
        """The client is gone."""
        self._eof = self._deaf = True
        forget_frames(error)
        if self._exchange is not None and self._exchange._alive:
            self._fail(SessionFailure(Cause.LOST, None, Initiator.REMOTE, reason, error=error))
        if self._failure is None:
            self._engine.aborted = True
        self._output.set()  # for the writer to end
        self._moved.unpark_all()

    def _fail(self, failure: SessionFailure) -> None:
        if self._failure is None:
            self._failure = failure
            self._draining.set()
            if self._exchange is not None:
                self._exchange._fail(failure)

    def _cut(self, failure: SessionFailure | None = None) -> None:
        """This side ends the connection now, whatever runs."""
        if not self._over.is_set():
            reason = "this connection was closed on this side"
            self._fail(failure or SessionFailure(Cause.CLOSED, None, Initiator.LOCAL, reason))
        if self._exchange is not None:
            self._exchange._scope.cancel()
        self._draining.set()
        self._scope.cancel()

    def _release(self) -> None:
        """All has ended: lets go of what refers back here, so that nothing waits for the garbage collector."""
        self._exchange = self._ready = None
        self._engine.release()
        self._over.set()

    def _refuse_own_handlers(self) -> None:
        """Raises `RuntimeError` inside a handler of this connection."""
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None and self._handler_task is not None:
            if task is self._handler_task:
                raise RuntimeError("aclose() waits for the handlers, so a handler cannot call it; call shutdown()")
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None

    async def _close_abruptly(self) -> None:
        cut = self._exchange is not None and not self._exchange._outbox.framed_end
        await close_abruptly(self._transport, self._config.close_timeout, cut=cut)

    @property
    def _alive(self) -> bool:
        """Whether something can still be sent."""
        return not self._engine.aborted and (self._failure is None or self._failure.cause is Cause.PROTOCOL)

    def _stream_closed(self, stream_id: int) -> None:
        """Both sides of the exchange have ended on the wire."""
        if self._exchange is not None and self._exchange.id == stream_id:
            self._exchange._wire_closed()
        self._ready = None
        self._moved.unpark_all()
