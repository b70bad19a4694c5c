"""A server as a block, for programs that do something else beside serving: tests above all."""

from __future__ import annotations

import os
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from .._checks import check_grace
from .._util import NoPublicConstructor, construct, interrupt_safe, plain_interrupt, unwrap_body_error
from .._values import Value
from ._listening import check_mode, check_port, open_listeners, unix_listener, urls_of
from ._options import checked_options
from ._server import Server, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from .._session._extensions import OriginLike
    from .._session._server import SessionHook
    from .._stream._server import Handler
    from .._wire._config import ServerConfig
    from .._wire._settings import Settings
    from ._options import ErrorHook, ServerOptions, UnknownProtocolHook

_LOCALHOST = "localhost"


def open_server(
    handler: Handler,
    port: int = 0,
    *,
    host: str | bytes | None = _LOCALHOST,
    path: str | os.PathLike[str] | None = None,
    mode: int | None = None,
    backlog: int | None = None,
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
    grace: float | None = 5.0,
) -> OpenServer:
    """Prepares a server; ``async with`` starts it and gives a `Server`, which accepts connections from then on.

    ::

        async with trio_h2.open_server(handler) as server:
            async with trio_h2.connect(server.url) as session: ...

    Leaving the block in good order ends the server as ``server.aclose(grace)`` does: it accepts no more, what runs may
    finish, and what is left after *grace* seconds is cut. Leaving it by an exception, or being cancelled, ends it at
    once. An exception of the block's body leaves it as it is, not wrapped in a group. No handler can end the server,
    whatever it raises; one that is shut down inside the block has ended when its last connection has.

    For a program that does nothing but serve, `serve_tcp` and its siblings are shorter.

    Args:
        handler: async function that gets a `ServerStream`, see `serve_tcp`.
        port: the TCP port; 0, the default, binds a free one, which `Server.port` and `Server.url` tell.
        host: a name or address; ``None`` listens on every interface.
        path: a Unix socket to serve on instead, see `serve_unix`; nothing may be there.
        mode: who may connect to that socket, like ``0o660``; by default what the umask leaves.
        backlog: connections that wait to be accepted.
        ssl_context: speaks TLS with it, see `serve_ssl_over_tcp`; ``None`` serves cleartext.
        config: limits and timeouts.
        settings: what the first SETTINGS say, see `serve_tcp`.
        on_session: async function that gets every new session, see `serve_tcp`.
        on_session_error: called with the `ServerSession` (or ``None``) and the error that ended a connection.
        on_unknown_protocol: over TLS, async function that gets the streams of clients that speak something else.
        cancel_handler_on_reset: ``False`` lets handlers run on when their stream is gone.
        allow_http1: whether HTTP/1.1 and HTTP/1.0 are served, too, see `serve_tcp`.
        proxy_protocol: whether every connection begins with a header of the PROXY protocol.
        origins: over TLS, origins that every new session names to its client at once (RFC 8336).
        grace: seconds that running streams get when the block is left in good order; ``None`` for the configuration's
            ``drain_timeout``.

    Returns:
        A block; nothing has been done yet.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, two exclude each other, or *ssl_context* does not offer by ALPN what is
            served.

    Entering the block raises `OSError` if the port, or the socket, cannot be bound.
    """
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext or None, not {ssl_context!r}")
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
    if ssl_context is None:
        for name, given in (("on_unknown_protocol", on_unknown_protocol is not None), ("origins", options.origins)):
            if given:
                raise ValueError(f"{name} is for servers with TLS; give an ssl_context, too")
    check_port(port)
    check_mode(mode)
    if path is None:
        if mode is not None:
            raise ValueError(f"mode={mode:#o} is for a Unix socket; give its path, too")
    elif not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a str or a path, not {path!r}")
    elif port or host != _LOCALHOST:
        raise ValueError(f"path={os.fspath(path)!r} excludes port={port!r} and host={host!r}")
    if grace is not None:
        check_grace("grace", grace)
    return construct(OpenServer, _Place(port, host, path, mode, backlog), options, grace)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Place(Value):
    """What to listen on."""

    port: int
    host: str | bytes | None
    path: str | os.PathLike[str] | None
    mode: int | None
    backlog: int | None


@interrupt_safe
class OpenServer(metaclass=NoPublicConstructor):
    """The block of one server: ``async with open_server(…) as server``. Use it once."""

    _made_by = "open_server() makes it"

    def __init__(self, place: _Place, options: ServerOptions, grace: float | None) -> None:
        self._place = place
        self._options = options
        self._grace = grace
        self._block: AbstractAsyncContextManager[Server] | None = None

    async def __aenter__(self) -> Server:
        """Listens."""
        if self._block is not None:
            raise RuntimeError("a block of open_server can be entered only once; call open_server() again")
        self._block = self._run()
        with plain_interrupt():
            return await self._block.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Ends the server."""
        assert self._block is not None
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[Server, None]:
        # Bound outside the nursery, which would put what that raises into a group.
        async with self._listening() as server, trio.open_nursery() as nursery:
            await nursery.start(run, server)
            yield server
            await server.aclose(self._grace)

    @asynccontextmanager
    async def _listening(self) -> AsyncGenerator[Server, None]:
        place, options = self._place, self._options
        if place.path is None:
            listeners = await open_listeners(place.port, place.host, place.backlog)
            scheme = "http" if options.ssl_context is None else "https"
            yield construct(Server, listeners, urls_of(scheme, listeners, place.host), options)
        else:
            async with unix_listener(place.path, mode=place.mode, backlog=place.backlog) as (listener, url):
                yield construct(Server, [listener], [url], options)
