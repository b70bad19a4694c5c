"""A running server: its listeners, its connections, and how it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .._errors import HandshakeError, from_failure
from .._session._base import checked_grace
from .._session._server import ServerSession
from .._util import NoPublicConstructor
from ._tls import wrap_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from .._session._server import Handler, SessionHook
    from .._wire._config import ServerConfig

    ErrorHook: TypeAlias = Callable[[ServerSession | None, Exception], object]

logger = logging.getLogger("trio_h2.server")


class Server(metaclass=NoPublicConstructor):
    """A server that accepts connections; the ``serve_*`` functions hand it to ``task_status.started()``."""

    def __init__(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        urls: Sequence[str],
        handler: Handler,
        config: ServerConfig,
        *,
        ssl_context: ssl.SSLContext | None,
        on_session: SessionHook | None,
        on_session_error: ErrorHook | None,
        cancel_handler_on_reset: bool,
        origins: Sequence[bytes] = (),
    ) -> None:
        self._listeners = list(listeners)
        self._urls = list(urls)
        self._port = _port_of(listeners)
        self._handler = handler
        self._config = config
        self._ssl_context = ssl_context
        self._on_session = on_session
        self._on_session_error = on_session_error
        self._cancel_handler_on_reset = cancel_handler_on_reset
        self._origins = origins
        self._sessions: dict[ServerSession, None] = {}
        self._handshakes: set[trio.CancelScope] = set()
        self._accepting = trio.CancelScope()
        self._draining = False
        self._done = trio.Event()

    @property
    def listeners(self) -> list[trio.abc.Listener[trio.abc.Stream]]:
        """What the server accepts connections on."""
        return list(self._listeners)

    @property
    def port(self) -> int:
        """The TCP port of the first listener.

        Raises:
            RuntimeError: the server does not listen on TCP.
        """
        if self._port is None:
            raise RuntimeError("this server does not listen on a TCP port")
        return self._port

    @property
    def urls(self) -> list[str]:
        """Where the server can be reached, for people."""
        return list(self._urls)

    @property
    def sessions(self) -> list[ServerSession]:
        """The live sessions."""
        return list(self._sessions)

    def shutdown(self) -> None:
        """Stops accepting, and lets every session finish what it has begun. Never waits; idempotent.

        Connections that are still in their TLS handshake are dropped: nothing was accepted on them.
        """
        self._draining = True
        self._accepting.cancel()
        for scope in self._handshakes:
            scope.cancel()
        for session in self.sessions:
            session.shutdown()

    async def aclose(self, grace: float | None = None) -> None:
        """Shuts down gracefully: `shutdown`, waits up to *grace* seconds, then cuts what still runs.

        Idempotent. Cancelled: everything is cut at once.

        Args:
            grace: seconds; by default the configuration's ``drain_timeout``.

        Raises:
            TypeError: *grace* is no int or float.
            ValueError: *grace* is negative or not a number.
            RuntimeError: called from one of the server's own handlers, which it would wait for.
        """
        grace = checked_grace(grace, self._config)
        for session in self._sessions:
            session._handlers.refuse_inside()
        try:
            self.shutdown()
            with trio.move_on_after(grace):
                await self._done.wait()
        finally:
            for session in self.sessions:
                session._cut()
        await self._done.wait()

    async def _run(self, *, task_status: trio.TaskStatus[Server]) -> None:
        try:
            async with trio.open_nursery() as connections:
                with self._accepting:
                    task_status.started(self)
                    await trio.serve_listeners(self._connection, self._listeners, handler_nursery=connections)
        finally:
            self._done.set()

    async def _connection(self, transport: trio.abc.Stream) -> None:
        """Serves one connection; whatever happens to it touches no other."""
        session: ServerSession | None = None
        try:
            ready = await self._handshake(transport)
            if ready is None:
                return
            session = make_session(
                self._handler,
                ready,
                self._config,
                on_session=self._on_session,
                cancel_handler_on_reset=self._cancel_handler_on_reset,
                origins=self._origins,
            )
            self._sessions[session] = None
            if self._draining:
                session.shutdown()
            await session._run(task_status=trio.TASK_STATUS_IGNORED)
            failure = session._failure
            # Many clients that are done close their sockets with octets unread, which TCP makes a reset: no news.
            if failure is not None and not session._lost_nothing(failure):
                self._report(session, from_failure(failure))
        except HandshakeError as exc:
            logger.info("a connection could not be served: %s", exc)
            self._report(None, exc)
        except BaseExceptionGroup as group:  # one of the two places that supervise: no connection may end the server
            errors, others = group.split(Exception)
            try:
                if errors is not None:
                    self._connection_failed(session, errors)
                if others is not None:  # Cancelled, say, which belongs to a scope outside
                    raise others from None
            finally:
                del errors, others  # their tracebacks know this frame
        except Exception as exc:
            self._connection_failed(session, exc)
        finally:
            if session is not None:
                del self._sessions[session]

    def _connection_failed(self, session: ServerSession | None, error: Exception) -> None:
        logger.error("a connection ended with an error", exc_info=error)
        self._report(session, error)

    async def _handshake(self, transport: trio.abc.Stream) -> trio.abc.Stream | None:
        """Does the TLS handshake, if there is one; ``None`` if the server ended first."""
        if self._ssl_context is None:
            return transport
        with trio.CancelScope() as scope:
            if self._draining:
                scope.cancel()
            self._handshakes.add(scope)
            try:
                return await wrap_server(transport, self._ssl_context, timeout=self._config.handshake_timeout)
            finally:
                self._handshakes.discard(scope)
        return None

    def _report(self, session: ServerSession | None, error: Exception) -> None:
        if self._on_session_error is None:
            return
        try:
            self._on_session_error(session, error)
        except Exception:
            logger.exception("on_session_error raised")


def _port_of(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> int | None:
    for listener in listeners:
        if isinstance(listener, trio.SocketListener):
            address: object = listener.socket.getsockname()
            if isinstance(address, tuple):
                return int(address[1])
    return None


def make_session(
    handler: Handler,
    transport: trio.abc.Stream,
    config: ServerConfig,
    *,
    on_session: SessionHook | None,
    cancel_handler_on_reset: bool,
    origins: Sequence[bytes] = (),
) -> ServerSession:
    """Makes the session of one connection, named after the peer."""
    return ServerSession._create(
        transport,
        config,
        label=peer_name(transport),
        handler=handler,
        on_session=on_session,
        cancel_handler_on_reset=cancel_handler_on_reset,
        origins=origins if isinstance(transport, trio.SSLStream) else (),
    )


def peer_name(transport: trio.abc.Stream) -> str:
    """Returns a name of the other end, for logs and task names."""
    if isinstance(transport, trio.SSLStream):
        return peer_name(transport.transport_stream)
    if isinstance(transport, trio.SocketStream):
        try:
            address: object = transport.socket.getpeername()
        except OSError:
            return "a lost peer"
        if isinstance(address, tuple):
            host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
            return f"{host}:{address[1]}"
        return "a Unix socket"
    return type(transport).__name__
