"""Servers over TCP, TLS, Unix sockets, any Trio listeners, or one Trio stream."""

from __future__ import annotations

import contextlib
import errno
import os
import ssl
from typing import TYPE_CHECKING

import trio

from .._session._extensions import encode_origins
from .._wire._config import ServerConfig
from ._contexts import check_server_context
from ._server import Server, make_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._session._extensions import OriginLike
    from .._session._server import Handler, ServerSession, SessionHook
    from ._server import ErrorHook

_FREE_PORT_ATTEMPTS = 20


def _checked(
    handler: Handler,
    config: ServerConfig | None,
    on_session: SessionHook | None,
    on_session_error: ErrorHook | None = None,
) -> ServerConfig:
    """Checks what all servers have in common; returns the configuration."""
    if not callable(handler):
        raise TypeError(f"handler must be an async function, not {handler!r}")
    for name, hook in (("on_session", on_session), ("on_session_error", on_session_error)):
        if hook is not None and not callable(hook):
            raise TypeError(f"{name} must be a function, not {hook!r}")
    if config is None:
        return ServerConfig()
    if not isinstance(config, ServerConfig):
        raise TypeError(f"config must be a ServerConfig, not {config!r}")
    return config


async def serve_tcp(
    handler: Handler,
    port: int,
    *,
    host: str | bytes | None = "localhost",
    backlog: int | None = None,
    config: ServerConfig | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    cancel_handler_on_reset: bool = True,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP/2 over cleartext TCP, with prior knowledge (RFC 9113 §3.3), until it is shut down.

    Runs *handler* in a task of its own for every stream. Returns after `Server.shutdown` or `Server.aclose`, when the
    last session has ended. Cancelled: ends at once, open streams are reset.

    Args:
        handler: async function that gets a `ServerStream`. It is cancelled when the client resets the stream or is
            lost.
        port: the TCP port; 0 binds a free one, the same for every address of *host*.
        host: a name or address; ``None`` listens on every interface.
        backlog: connections that wait to be accepted.
        config: limits and timeouts.
        on_session: async function that gets every new `ServerSession` before its first stream; handlers inherit its
            context variables.
        on_session_error: called with the `ServerSession` (or ``None``) and the error that ended a connection.
        cancel_handler_on_reset: ``False`` lets handlers run on when their stream is gone.
        task_status: ``started(server)`` is called with a `Server` when connections are accepted.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: *port* is out of range.
        OSError: the port cannot be bound.
    """
    config = _checked(handler, config, on_session, on_session_error)
    listeners = await _open_listeners(port, host, backlog)
    server = Server._create(
        listeners,
        _urls("http", listeners, host),
        handler,
        config,
        ssl_context=None,
        on_session=on_session,
        on_session_error=on_session_error,
        cancel_handler_on_reset=cancel_handler_on_reset,
    )
    await server._run(task_status=task_status)


async def serve_ssl_over_tcp(
    handler: Handler,
    port: int,
    ssl_context: ssl.SSLContext,
    *,
    host: str | bytes | None = "localhost",
    backlog: int | None = None,
    config: ServerConfig | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    cancel_handler_on_reset: bool = True,
    origins: Iterable[OriginLike] = (),
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP/2 over TLS, agreed on by ALPN (RFC 9113 §3.2), until it is shut down; otherwise like `serve_tcp`.

    Args:
        handler: as for `serve_tcp`, like all other arguments.
        port: the TCP port.
        ssl_context: made by `server_ssl_context`, or your own with ``set_alpn_protocols(["h2"])``. Never changed.
        host: a name or address.
        backlog: connections that wait to be accepted.
        config: limits and timeouts.
        on_session: async function that gets every new session.
        on_session_error: called with the error that ended a connection.
        cancel_handler_on_reset: whether handlers end with their stream.
        origins: origins that every new TLS session names to its client at once (RFC 8336), see `ServerSession.origin`.
        task_status: ``started(server)``.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: *port* is out of range, an entry of *origins* has no origin, or *ssl_context* does not offer HTTP/2
            by ALPN; found before the port is bound.
        OSError: the port cannot be bound.
    """
    config = _checked(handler, config, on_session, on_session_error)
    named = encode_origins(origins)
    if not isinstance(ssl_context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {ssl_context!r}")
    check_server_context(ssl_context)
    listeners = await _open_listeners(port, host, backlog)
    server = Server._create(
        listeners,
        _urls("https", listeners, host),
        handler,
        config,
        ssl_context=ssl_context,
        on_session=on_session,
        on_session_error=on_session_error,
        cancel_handler_on_reset=cancel_handler_on_reset,
        origins=named,
    )
    await server._run(task_status=task_status)


async def serve_unix(
    handler: Handler,
    path: str | os.PathLike[str],
    *,
    backlog: int | None = None,
    config: ServerConfig | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    cancel_handler_on_reset: bool = True,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves cleartext HTTP/2 on a Unix socket, which is removed at the end; otherwise like `serve_tcp`.

    Args:
        handler: as for `serve_tcp`, like the other arguments.
        path: where the socket is made; nothing may be there.
        backlog: connections that wait to be accepted.
        config: limits and timeouts.
        on_session: async function that gets every new session.
        on_session_error: called with the error that ended a connection.
        cancel_handler_on_reset: whether handlers end with their stream.
        task_status: ``started(server)``.

    Raises:
        TypeError: an argument has the wrong type.
        OSError: the socket cannot be made.
    """
    config = _checked(handler, config, on_session, on_session_error)
    name = os.fspath(path)
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await sock.bind(name)
    except BaseException:
        sock.close()
        raise
    try:
        sock.listen(backlog if backlog is not None else 128)
        server = Server._create(
            [trio.SocketListener(sock)],
            [f"unix:{name}"],
            handler,
            config,
            ssl_context=None,
            on_session=on_session,
            on_session_error=on_session_error,
            cancel_handler_on_reset=cancel_handler_on_reset,
        )
        await server._run(task_status=task_status)
    finally:
        sock.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


async def serve_listeners(
    handler: Handler,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    *,
    ssl_context: ssl.SSLContext | None = None,
    config: ServerConfig | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    cancel_handler_on_reset: bool = True,
    origins: Iterable[OriginLike] = (),
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP/2 on listeners of your own, which are closed at the end; otherwise like `serve_tcp`.

    Args:
        handler: as for `serve_tcp`, like the other arguments.
        listeners: any `trio.abc.Listener` objects whose streams carry HTTP/2.
        ssl_context: TLS to be spoken over the accepted streams; ``None`` takes them as they are.
        config: limits and timeouts.
        on_session: async function that gets every new session.
        on_session_error: called with the error that ended a connection.
        cancel_handler_on_reset: whether handlers end with their stream.
        origins: origins that every new TLS session names to its client at once (RFC 8336).
        task_status: ``started(server)``.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an entry of *origins* has no origin, or *ssl_context* does not offer HTTP/2 by ALPN.
    """
    config = _checked(handler, config, on_session, on_session_error)
    named = encode_origins(origins)
    if ssl_context is not None:
        check_server_context(ssl_context)
    server = Server._create(
        listeners,
        _urls("http" if ssl_context is None else "https", listeners, None),
        handler,
        config,
        ssl_context=ssl_context,
        on_session=on_session,
        on_session_error=on_session_error,
        cancel_handler_on_reset=cancel_handler_on_reset,
        origins=named,
    )
    await server._run(task_status=task_status)


async def serve_stream(
    handler: Handler,
    transport: trio.abc.Stream,
    *,
    config: ServerConfig | None = None,
    on_session: SessionHook | None = None,
    cancel_handler_on_reset: bool = True,
    task_status: trio.TaskStatus[ServerSession] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves one HTTP/2 session over any Trio stream, which it closes; returns when the session is over.

    A session that the peer or the network broke ends normally here; `ServerSession.wait_closed` tells. Cancelled:
    open streams are reset, the transport is closed.

    Args:
        handler: async function that gets a `ServerStream`, in a task of its own for every stream.
        transport: the bytes below.
        config: limits and timeouts.
        on_session: async function that gets the session before its first stream. What it raises ends the session and
            is raised here, in a group.
        cancel_handler_on_reset: whether handlers end with their stream.
        task_status: ``started(session)`` is called with the `ServerSession`.

    Raises:
        TypeError: an argument has the wrong type.
    """
    config = _checked(handler, config, on_session)
    if not isinstance(transport, trio.abc.Stream):
        raise TypeError(f"transport must be a trio.abc.Stream, not {transport!r}")
    session = make_session(
        handler, transport, config, on_session=on_session, cancel_handler_on_reset=cancel_handler_on_reset
    )
    await session._run(task_status=task_status)


async def _open_listeners(port: int, host: str | bytes | None, backlog: int | None) -> list[trio.SocketListener]:
    """Opens the TCP listeners; a free port (0) is the same for every address of *host*."""
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be an int, not {port!r}")
    if not 0 <= port <= 65_535:  # getaddrinfo() would take it modulo 65536
        raise ValueError(f"port must be in 0..65535, not {port}")
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    if port != 0 or len(listeners) < 2:
        return listeners
    for attempt in range(_FREE_PORT_ATTEMPTS):
        free: int = listeners[0].socket.getsockname()[1]
        for listener in listeners:
            listener.socket.close()
        try:
            return await trio.open_tcp_listeners(free, host=host, backlog=backlog)
        except OSError as exc:  # taken on one of the other addresses
            if exc.errno != errno.EADDRINUSE or attempt == _FREE_PORT_ATTEMPTS - 1:
                raise
        listeners = await trio.open_tcp_listeners(0, host=host, backlog=backlog)
    raise AssertionError("the loop returns or raises")


def _urls(scheme: str, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]], host: str | bytes | None) -> list[str]:
    """Returns a URL for every distinct address that is listened on."""
    urls: dict[str, None] = {}
    for listener in listeners:
        if not isinstance(listener, trio.SocketListener):
            continue
        address: object = listener.socket.getsockname()
        if not isinstance(address, tuple):
            continue
        name = host.decode("ascii") if isinstance(host, bytes) else host
        if name is None:
            name = "localhost" if address[0] in ("0.0.0.0", "::") else str(address[0])
        if ":" in name:
            name = f"[{name}]"
        urls[f"{scheme}://{name}:{address[1]}"] = None
    return list(urls)
