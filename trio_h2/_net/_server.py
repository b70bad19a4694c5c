"""A running server: its listeners, its connections, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._checks import check_grace, check_hook, check_timeout
from .._errors import HandshakeError, from_failure
from .._http1._connection import Http1Connection
from .._session._ending import lost_nothing
from .._session._server import ServerSession
from .._stream._below_tls import BelowTls
from .._stream._proxied import proxy_header, socket_below, without_tls
from .._util import NoPublicConstructor, address_name, host_and_port, interrupt_safe, interruptible, plain_interrupt
from ._contexts import ALPN, ALPN_HTTP1
from ._keepalive import keep_alive, let_peer_pause
from ._options import check_context
from ._places import PlacedListener, Places
from ._proxy_protocol import accept_proxied
from ._sniff import sniff
from ._tls import negotiated, say_closed, unknown_protocol, wrap_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from .._http1._core import Http1Core
    from .._session._server_core import ServerCore
    from .._wire._config import ServerConfig
    from ._options import ServerOptions

IdleHook: TypeAlias = Callable[[ServerSession | Http1Connection], object]
"""What servers call with a connection that idles, instead of ending it."""

logger = logging.getLogger("trio_h2.server")


@interrupt_safe
class Server(metaclass=NoPublicConstructor):
    """A server that accepts connections: of a block of `open_server`, or what ``serve_*`` hand to ``started()``."""

    def __init__(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        urls: Sequence[str],
        options: ServerOptions,
    ) -> None:
        self._listeners = list(listeners)
        self._urls = list(urls)
        self._port = _port_of(listeners)
        self._options = options
        self._config = options.config
        self._ssl_context = options.ssl_context
        self._connections: dict[ServerCore | Http1Core, ServerSession | Http1Connection] = {}
        """What is served, and what applications see of it."""
        self._on_idle: IdleHook | None = None
        self._handshakes: set[trio.CancelScope] = set()
        self._hooks: set[trio.CancelScope] = set()
        self._places = Places(options.config.max_connections)
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
    def url(self) -> str:
        """Where the server can be reached: the first of `urls`.

        Raises:
            RuntimeError: the server listens on nothing that has a URL.
        """
        if not self._urls:
            raise RuntimeError("this server listens on nothing that has a URL")
        return self._urls[0]

    @property
    def urls(self) -> list[str]:
        """Where the server can be reached, for people."""
        return list(self._urls)

    @property
    def sessions(self) -> list[ServerSession]:
        """The live HTTP/2 sessions."""
        return [one for one in self._connections.values() if isinstance(one, ServerSession)]

    @property
    def http1_connections(self) -> list[Http1Connection]:
        """The live HTTP/1.1 connections, if the server allows them."""
        return [one for one in self._connections.values() if isinstance(one, Http1Connection)]

    @property
    def idle_timeout(self) -> float:
        """Seconds without a request after which a connection ends, or `on_idle` is called; 0 and ``None`` turn it off,
        which reads as `math.inf`.

        By default ``idle_timeout`` of the configuration; a change is for connections that are accepted afterwards.
        """
        return self._config.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._config = self._config.evolve(idle_timeout=check_timeout("idle_timeout", seconds))

    @property
    def on_idle(self) -> IdleHook | None:
        """A function to call with each connection that has idled, a `ServerSession` or an `Http1Connection`.

        ``None``, the default, ends it. Connections that are accepted afterwards have it as their own `Session.on_idle`,
        which says more.
        """
        return self._on_idle

    @on_idle.setter
    def on_idle(self, hook: IdleHook | None) -> None:
        check_hook("on_idle", hook)
        self._on_idle = hook

    def set_idle_timeout(self, seconds: float | None, on_idle: IdleHook | None = None) -> None:
        """Sets `idle_timeout` and `on_idle` in one go, for connections that are accepted afterwards.

        Args:
            seconds: the time; 0 and ``None`` turn it off.
            on_idle: called with the `ServerSession` or `Http1Connection` that has idled, instead of its end; ``None``
                lets it end.

        Raises:
            TypeError, ValueError: *seconds* is no number, or negative; *on_idle* is no function.
        """
        check_hook("on_idle", on_idle)
        self.idle_timeout = seconds
        self._on_idle = on_idle

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The context of new connections; ``None`` without TLS. See `set_ssl_context`."""
        return self._ssl_context

    def set_ssl_context(self, context: ssl.SSLContext) -> None:
        """Uses another context, with a new certificate say, for connections that are accepted from now on.

        Those that are there go on as they are. Never waits, but reads no files either: `server_ssl_context` does.

        Args:
            context: as for `serve_ssl_over_tcp`, and checked like there: if it raises, nothing has changed.

        Raises:
            TypeError: *context* is no `ssl.SSLContext`.
            ValueError: it does not offer by ALPN what is served.
            RuntimeError: the server does not speak TLS.
        """
        if self._ssl_context is None:
            raise RuntimeError("this server does not speak TLS, so it has no use for an ssl_context")
        check_context(context, self._options)
        self._ssl_context = context

    def stop_accepting(self) -> None:
        """Closes the listeners, and nothing else: connections go on, with as many new streams as they like.

        The ``serve_*`` function returns when the last of them has ended. Never waits; idempotent.
        """
        self._accepting.cancel()

    def shutdown(self) -> None:
        """Stops accepting, and lets every connection finish what it has begun. Never waits; idempotent.

        An HTTP/1.1 connection ends with the response to its current request, which says ``connection: close``. Without
        one it has ``last_request_timeout`` to send one more, which may be on its way; connections that are still in
        their handshake have so long to finish it, and are dropped then.
        """
        self._draining = True
        self.stop_accepting()
        for scope in self._handshakes:
            self._hurry(scope)
        for connection in list(self._connections.values()):
            connection.shutdown()

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
        grace = self._config.drain_timeout if grace is None else check_grace("grace", grace)
        for connection in self._connections:
            connection.refuse_inside()
        try:
            self.shutdown()
            with trio.move_on_after(grace):
                await self._done.wait()
        finally:
            for connection in list(self._connections):
                connection.discard()
            for scope in [*self._handshakes, *self._hooks]:
                scope.cancel()
        await self._done.wait()

    def _hurry(self, handshake: trio.CancelScope) -> None:
        """Bounds a handshake: the server is shutting down, but a request may be on its way."""
        deadline = trio.current_time() + self._config.last_request_timeout
        handshake.deadline = min(handshake.deadline, deadline)

    async def _run(self, *, task_status: trio.TaskStatus[Server]) -> None:
        listeners = [PlacedListener(listener, self._places) for listener in self._listeners]
        try:
            async with trio.open_nursery() as connections:
                with self._accepting:
                    task_status.started(self)
                    await trio.serve_listeners(self._connection, listeners, handler_nursery=connections)
        finally:
            self._done.set()

    async def _connection(self, transport: trio.abc.Stream) -> None:
        """Serves one connection; whatever happens to it touches no other."""
        session: ServerSession | None = None
        keep_alive(transport, self._config)
        try:
            ready = await self._prepare(transport)
            if ready is None:
                return
            user_side = ready.session
            if isinstance(user_side, ServerSession):
                session = user_side
            self._connections[ready] = user_side
            self._watch_idling(user_side)
            try:
                if self._draining:
                    ready.session.shutdown()
                await ready.run(task_status=trio.TASK_STATUS_IGNORED)
            finally:
                del self._connections[ready]
            failure = ready.failure
            # Many clients that are done close their sockets with bytes unread. TCP turns that into a reset: not worth
            # reporting.
            if failure is not None and not lost_nothing(failure):
                self._report(session, from_failure(failure, session=user_side))
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
            self._places.free()

    def _watch_idling(self, connection: ServerSession | Http1Connection) -> None:
        hook = self._on_idle
        if hook is not None:
            connection.on_idle = lambda _: hook(connection)

    def _connection_failed(self, session: ServerSession | None, error: Exception) -> None:
        logger.error("a connection ended with an error", exc_info=error)
        self._report(session, error)

    async def _prepare(self, transport: trio.abc.Stream) -> ServerCore | Http1Core | None:
        """Finds out what the client speaks; ``None`` if the server ended first, or the hook had it."""
        options, config = self._options, self._config
        stream: trio.SSLStream[trio.abc.Stream]
        with trio.CancelScope() as scope:
            if self._draining:
                self._hurry(scope)
            self._handshakes.add(scope)
            try:
                if options.proxy_protocol:
                    transport = await accept_proxied(transport, config)
                context = self._ssl_context
                if context is None:
                    return await choose(transport, options, config, alpn="h2c")
                timeout = config.handshake_timeout
                stream = await wrap_server(transport, context, timeout=timeout, any_protocol=True)
            finally:
                self._handshakes.discard(scope)
        if scope.cancelled_caught:
            return None
        alpn = negotiated(stream).alpn
        if alpn == ALPN or (options.allow_http1 and alpn in (None, ALPN_HTTP1)):
            return await choose(stream, options, config, alpn=alpn)
        await self._unknown_protocol(stream, alpn)
        return None

    async def _unknown_protocol(self, stream: trio.SSLStream[trio.abc.Stream], alpn: str | None) -> None:
        """Leaves a TLS connection without a protocol that we know to the hook, for some time, and closes it."""
        hook, below = self._options.on_unknown_protocol, stream.transport_stream
        assert isinstance(below, BelowTls)
        try:
            if hook is None:
                await say_closed(stream, below)
                raise unknown_protocol(alpn)
            with trio.move_on_after(self._config.unknown_protocol_timeout) as scope:
                self._hooks.add(scope)
                try:
                    await interruptible(hook, stream)
                    await say_closed(stream, below)
                finally:
                    self._hooks.discard(scope)
        finally:
            with trio.move_on_after(self._config.close_timeout, shield=True):
                await trio.aclose_forcefully(below)

    def _report(self, session: ServerSession | None, error: Exception) -> None:
        if self._options.on_session_error is None:
            return
        try:
            self._options.on_session_error(session, error)
        except Exception:
            logger.exception("on_session_error raised")


async def run(server: Server, *, task_status: trio.TaskStatus[Server]) -> None:
    """Serves until the server has been shut down, and the last connection has ended."""
    load(http1=server._options.allow_http1)
    with plain_interrupt():
        await server._run(task_status=task_status)


def load(*, http1: bool) -> None:
    """Imports what serves connections before a client waits for it; `import trio_h2` is quicker without it."""
    from .._session import _server_core  # noqa: F401 - see above

    if http1:
        from .._http1 import _core  # noqa: F401 - see above


def _port_of(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> int | None:
    for listener in listeners:
        if isinstance(listener, trio.SocketListener):
            address: object = listener.socket.getsockname()
            if isinstance(address, tuple):
                return int(address[1])
    return None


async def choose(
    transport: trio.abc.Stream, options: ServerOptions, config: ServerConfig, *, alpn: str | None
) -> ServerCore | Http1Core:
    """Makes the session, or the HTTP/1.1 connection, of one transport, named after the peer.

    Args:
        transport: the bytes below; closed if this fails.
        options: what the server was told.
        config: limits and timeouts.
        alpn: what ALPN agreed on; ``"h2c"`` where the first bytes have to tell, if both are possible.

    Raises:
        HandshakeError: the client said too little.
    """
    http2, early = alpn != ALPN_HTTP1 and alpn is not None, b""
    label = peer_name(transport)
    if alpn == "h2c" and options.allow_http1:
        try:
            http2, early = await sniff(transport, config)
        except BaseException:
            with trio.move_on_after(config.close_timeout, shield=True):
                await trio.aclose_forcefully(transport)
            raise
    if not http2:
        from .._http1._core import Http1Core  # see `load`

        let_peer_pause(transport)
        return Http1Core(
            transport,
            config,
            label=label,
            handler=options.handler,
            cancel_handler_on_reset=options.cancel_handler_on_reset,
            early=early,
        )
    from .._session._reader import received
    from .._session._server_core import ServerCore  # see `load`

    session = ServerCore(
        transport,
        config,
        label=label,
        handler=options.handler,
        on_session=options.on_session,
        cancel_handler_on_reset=options.cancel_handler_on_reset,
        origins=options.origins if isinstance(transport, trio.SSLStream) else (),
        settings=options.settings,
    )
    if early:
        if session.trace is not None:
            session.trace.received(early)
        received(session, early)
    return session


def alpn_of(transport: trio.abc.Stream) -> str | None:
    """Returns what ALPN agreed on for a stream that somebody else has made; ``"h2c"`` if the bytes have to tell."""
    if isinstance(transport, trio.SSLStream):
        try:
            return negotiated(transport).alpn or "h2c"
        except trio.NeedHandshakeError:
            return "h2c"
    return "h2c"


def peer_name(transport: trio.abc.Stream) -> str:
    """Returns a name of the other end, for logs and task names: of the client, where a load balancer told it."""
    told = proxy_header(transport)
    if told is not None and isinstance(told.peer_address, tuple):
        return host_and_port(*told.peer_address[:2])
    below = socket_below(transport)
    if below is None:
        return type(without_tls(transport)).__name__
    try:
        address: object = below.socket.getpeername()
    except OSError:
        return "a lost peer"
    return address_name(address) or "a Unix socket"
