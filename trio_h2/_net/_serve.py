"""Servers over TCP, TLS, Unix sockets, any Trio listeners, or one Trio stream."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trio

from .._util import construct, plain_interrupt
from ._contexts import ALPN, ALPN_HTTP1
from ._listening import open_listeners, unix_listener, urls_of
from ._options import checked_options
from ._proxy_protocol import accept_proxied
from ._server import Server, alpn_of, choose, run
from ._tls import unknown_protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from .._http1._connection import Http1Connection
    from .._session._extensions import OriginLike
    from .._session._server import ServerSession, SessionHook
    from .._stream._server import Handler
    from .._wire._config import ServerConfig
    from .._wire._settings import Settings
    from ._options import ErrorHook, UnknownProtocolHook


@trio.lowlevel.enable_ki_protection
async def serve_tcp(
    handler: Handler,
    port: int,
    *,
    host: str | bytes | None = "localhost",
    backlog: int | None = None,
    config: ServerConfig | None = None,
    settings: Settings | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    cancel_handler_on_reset: bool = True,
    allow_http1: bool = False,
    proxy_protocol: bool = False,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP/2 over cleartext TCP, with prior knowledge (RFC 9113 §3.3), until it is shut down.

    Runs *handler* in a task of its own for every stream. Returns after `Server.shutdown` or `Server.aclose`, when the
    last session has ended. Cancelled: ends at once, open streams are reset.

    Args:
        handler: async function that gets a `ServerStream`. It is cancelled when the client resets the stream or is
            lost. When it returns, its body has ended, unless that is short of its ``content-length`` or torn by a
            cancelled `send_all`: then, and when it raises, the stream is reset. So let a deadline that may cut a body
            raise.
        port: the TCP port; 0 binds a free one, the same for every address of *host*.
        host: a name or address; ``None`` listens on every interface.
        backlog: connections that wait to be accepted.
        config: limits and timeouts.
        settings: what the first SETTINGS frame of every session says; goes before what *config* says of the same, and
            may have custom settings.
        on_session: async function that gets every new `ServerSession` before its first stream; handlers inherit its
            context variables. What it raises ends the session with INTERNAL_ERROR.
        on_session_error: called with the `ServerSession` (or ``None``) and the error that ended a connection.
        cancel_handler_on_reset: ``False`` lets handlers run on when their stream is gone.
        allow_http1: serves HTTP/1.1 and HTTP/1.0 clients, too, told by their first bytes. For them *handler* gets an
            `Http1Exchange`, and neither *on_session* nor a `ServerSession` is involved.
        proxy_protocol: every connection begins with a header of the PROXY protocol, version 1 or 2, in which a load
            balancer tells whose it is (`TransportView.peer_address`); others are closed. Only for servers that nobody
            but the load balancer can reach.
        task_status: ``started(server)`` is called with a `Server` when connections are accepted.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: *port* is out of range, or *settings* do not fit.
        OSError: the port cannot be bound.
    """
    options = checked_options(
        handler,
        config=config,
        settings=settings,
        on_session=on_session,
        on_session_error=on_session_error,
        cancel_handler_on_reset=cancel_handler_on_reset,
        allow_http1=allow_http1,
        proxy_protocol=proxy_protocol,
    )
    listeners = await open_listeners(port, host, backlog)
    server = construct(Server, listeners, urls_of("http", listeners, host), options)
    await run(server, task_status=task_status)


@trio.lowlevel.enable_ki_protection
async def serve_ssl_over_tcp(
    handler: Handler,
    port: int,
    ssl_context: ssl.SSLContext,
    *,
    host: str | bytes | None = "localhost",
    backlog: int | None = None,
    config: ServerConfig | None = None,
    settings: Settings | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    on_unknown_protocol: UnknownProtocolHook | None = None,
    cancel_handler_on_reset: bool = True,
    allow_http1: bool = False,
    proxy_protocol: bool = False,
    origins: Iterable[OriginLike] = (),
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP/2 over TLS, agreed on by ALPN (RFC 9113 §3.2), until it is shut down; otherwise like `serve_tcp`.

    Args:
        handler: as for `serve_tcp`, like all other arguments.
        port: the TCP port.
        ssl_context: made by `server_ssl_context`, or your own with ``set_alpn_protocols(["h2"])``, for *allow_http1*
            ``["h2", "http/1.1"]``. Never changed.
        host: a name or address.
        backlog: connections that wait to be accepted.
        config: limits and timeouts.
        settings: what the first SETTINGS say.
        on_session: async function that gets every new session.
        on_session_error: called with the error that ended a connection.
        on_unknown_protocol: async function that gets the `trio.SSLStream` of a client with which ALPN gave nothing we
            serve: neither ``h2`` nor, with *allow_http1*, ``http/1.1`` or nothing at all. It may speak with it for
            ``unknown_protocol_timeout``; then, or when it returns, the connection is closed. By default it is closed
            at once, and *on_session_error* gets an `UnknownProtocolError`.
        cancel_handler_on_reset: whether handlers end with their stream.
        allow_http1: whether HTTP/1.1 is served, too: to clients that choose it, or nothing, by ALPN.
        proxy_protocol: whether every connection begins with a header of the PROXY protocol, before TLS.
        origins: origins that every new TLS session names to its client at once (RFC 8336), as for
            `ServerSession.origin`.
        task_status: ``started(server)``.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: *port* is out of range, *settings* do not fit, an entry of *origins* is no URL, or *ssl_context*
            does not offer by ALPN what is served: HTTP/2, and HTTP/1.1 if and only if there is *allow_http1* (without
            it, *on_unknown_protocol* may take clients of HTTP/1.1); found before the port is bound.
        OSError: the port cannot be bound.
    """
    if not isinstance(ssl_context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {ssl_context!r}")
    options = checked_options(
        handler,
        config=config,
        settings=settings,
        ssl_context=ssl_context,
        on_session=on_session,
        on_session_error=on_session_error,
        on_unknown_protocol=on_unknown_protocol,
        cancel_handler_on_reset=cancel_handler_on_reset,
        allow_http1=allow_http1,
        proxy_protocol=proxy_protocol,
        origins=origins,
    )
    listeners = await open_listeners(port, host, backlog)
    server = construct(Server, listeners, urls_of("https", listeners, host), options)
    await run(server, task_status=task_status)


@trio.lowlevel.enable_ki_protection
async def serve_unix(
    handler: Handler,
    path: str | os.PathLike[str],
    *,
    mode: int | None = None,
    backlog: int | None = None,
    config: ServerConfig | None = None,
    settings: Settings | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    cancel_handler_on_reset: bool = True,
    allow_http1: bool = False,
    proxy_protocol: bool = False,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves cleartext HTTP/2 on a Unix socket, which is removed at the end; otherwise like `serve_tcp`.

    Args:
        handler: as for `serve_tcp`, like the other arguments.
        path: where the socket is made; nothing may be there.
        mode: who may connect, like ``0o660``; by default what the umask leaves.
        backlog: connections that wait to be accepted.
        config: limits and timeouts.
        settings: what the first SETTINGS say.
        on_session: async function that gets every new session.
        on_session_error: called with the error that ended a connection.
        cancel_handler_on_reset: whether handlers end with their stream.
        allow_http1: whether HTTP/1.1 is served, too.
        proxy_protocol: whether every connection begins with a header of the PROXY protocol.
        task_status: ``started(server)``.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: *mode* is not from 0 to ``0o777``.
        OSError: the socket cannot be made.
    """
    options = checked_options(
        handler,
        config=config,
        settings=settings,
        on_session=on_session,
        on_session_error=on_session_error,
        cancel_handler_on_reset=cancel_handler_on_reset,
        allow_http1=allow_http1,
        proxy_protocol=proxy_protocol,
    )
    async with unix_listener(path, mode=mode, backlog=backlog) as (listener, url):
        server = construct(Server, [listener], [url], options)
        await run(server, task_status=task_status)


@trio.lowlevel.enable_ki_protection
async def serve_listeners(
    handler: Handler,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    *,
    ssl_context: ssl.SSLContext | None = None,
    config: ServerConfig | None = None,
    settings: Settings | None = None,
    on_session: SessionHook | None = None,
    on_session_error: ErrorHook | None = None,
    on_unknown_protocol: UnknownProtocolHook | None = None,
    cancel_handler_on_reset: bool = True,
    allow_http1: bool = False,
    proxy_protocol: bool = False,
    origins: Iterable[OriginLike] = (),
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP/2 on listeners of your own, which are closed at the end; otherwise like `serve_tcp`.

    Args:
        handler: as for `serve_tcp`, like the other arguments.
        listeners: any `trio.abc.Listener` objects whose streams carry HTTP/2.
        ssl_context: TLS to be spoken over the accepted streams; ``None`` takes them as they are.
        config: limits and timeouts.
        settings: what the first SETTINGS say.
        on_session: async function that gets every new session.
        on_session_error: called with the error that ended a connection.
        on_unknown_protocol: over TLS, async function that gets the streams of clients that speak something else.
        cancel_handler_on_reset: whether handlers end with their stream.
        allow_http1: whether HTTP/1.1 is served, too.
        proxy_protocol: whether every connection begins with a header of the PROXY protocol.
        origins: origins that every new TLS session names to its client at once (RFC 8336).
        task_status: ``started(server)``.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an entry of *origins* is no URL, or *ssl_context* does not offer by ALPN what is served, see
            `serve_ssl_over_tcp`.
    """
    options = checked_options(
        handler,
        config=config,
        settings=settings,
        ssl_context=ssl_context,
        on_session=on_session,
        on_session_error=on_session_error,
        on_unknown_protocol=on_unknown_protocol,
        cancel_handler_on_reset=cancel_handler_on_reset,
        allow_http1=allow_http1,
        proxy_protocol=proxy_protocol,
        origins=origins,
    )
    scheme = "http" if ssl_context is None else "https"
    server = construct(Server, listeners, urls_of(scheme, listeners, None), options)
    await run(server, task_status=task_status)


@trio.lowlevel.enable_ki_protection
async def serve_stream(
    handler: Handler,
    transport: trio.abc.Stream,
    *,
    config: ServerConfig | None = None,
    settings: Settings | None = None,
    on_session: SessionHook | None = None,
    cancel_handler_on_reset: bool = True,
    allow_http1: bool = False,
    proxy_protocol: bool = False,
    task_status: trio.TaskStatus[ServerSession | Http1Connection] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves one HTTP/2 session over any Trio stream, which it closes; returns when the session is over.

    A session that the peer or the network broke ends normally here; `ServerSession.wait_closed` tells. Cancelled:
    open streams are reset, the transport is closed.

    Args:
        handler: async function that gets a `ServerStream`, in a task of its own for every stream.
        transport: the bytes below.
        config: limits and timeouts.
        settings: what the first SETTINGS say.
        on_session: async function that gets the session before its first stream. What it raises ends the session and
            is raised here, in a group.
        cancel_handler_on_reset: whether handlers end with their stream.
        allow_http1: whether HTTP/1.1 is served, too.
        proxy_protocol: whether every connection begins with a header of the PROXY protocol.
        task_status: ``started(session)`` is called with the `ServerSession`, or the `Http1Connection`: then not before
            the client has said something.

    Raises:
        TypeError: an argument has the wrong type.
        HandshakeError: with *allow_http1*, the client said too little to tell what it speaks; with *proxy_protocol*,
            there was no header; or *transport* is a `trio.SSLStream` whose ALPN agreed on what is not served
            (`UnknownProtocolError`).
    """
    options = checked_options(
        handler,
        config=config,
        settings=settings,
        on_session=on_session,
        cancel_handler_on_reset=cancel_handler_on_reset,
        allow_http1=allow_http1,
        proxy_protocol=proxy_protocol,
    )
    if not isinstance(transport, trio.abc.Stream):
        raise TypeError(f"transport must be a trio.abc.Stream, not {transport!r}")
    if proxy_protocol:
        transport = await accept_proxied(transport, options.config)
    alpn = alpn_of(transport)
    if alpn not in ((ALPN, "h2c", ALPN_HTTP1) if allow_http1 else (ALPN, "h2c")):
        with trio.move_on_after(options.config.close_timeout, shield=True):
            await trio.aclose_forcefully(transport)
        raise unknown_protocol(alpn)
    connection = await choose(transport, options, options.config, alpn=alpn)
    with plain_interrupt():
        await connection.run(task_status=task_status)
