"""Servers on this machine, for clients in Python and others, as blocks."""

from __future__ import annotations

import pathlib
import ssl
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio_h2

from .._util import construct
from ._block import Block
from ._certs import ThrowawayAuthority
from ._handler_watch import HandlerWatch
from ._local_server import LocalServer
from ._local_tls_server import LocalTlsServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Unpack

    from ._options import ServerOptions

# Of a test that is over. That of `open_server`, 5 s, is for clients that do not know.
_GRACE = 1.0


def plain_server(
    handler: trio_h2.Handler, *, raise_handler_errors: bool = True, **options: Unpack[ServerOptions]
) -> Block[LocalServer]:
    """Serves cleartext HTTP/2 on a free port of localhost; ``async with`` gives a `LocalServer`.

    Clients have to know that it is HTTP/2: `trio_h2.connect` does, curl with ``--http2-prior-knowledge``.

    Leaving the block ends the server: what runs may finish within a second. An exception of the block's body leaves it
    as it is; what a handler has raised leaves the block, too.

    The sockets are real. An autojump clock takes the wait for another process for idleness, and jumps to the next
    timeout: leave it out of tests with other programs, and test timeouts in memory, with `session_pair`.

    Example::

        async with plain_server(handler) as server, server.connect() as session:
            async with session.request("GET", "/") as stream: ...

    Args:
        handler: The handler of requests, as for `trio_h2.serve_tcp`.
        raise_handler_errors: As for `session_pair`.
        **options: Those of `trio_h2.open_server` without ``path``, ``mode`` and ``ssl_context``; ``grace`` is 1 s. See
            `ServerOptions`.

    Raises:
        TypeError, ValueError: An argument is not allowed.

    Entering the block raises `OSError` if the port cannot be bound.
    """
    watch = HandlerWatch(handler, raise_errors=raise_handler_errors)
    opened = trio_h2.open_server(watch, **_with_defaults(options))

    @asynccontextmanager
    async def block() -> AsyncGenerator[LocalServer, None]:
        async with opened as server:
            yield LocalServer(server)

    return watch.around(construct(Block, block()))


def tls_server(
    handler: trio_h2.Handler,
    *,
    authority: ThrowawayAuthority | None = None,
    client_certificates: ssl.VerifyMode = ssl.CERT_NONE,
    raise_handler_errors: bool = True,
    **options: Unpack[ServerOptions],
) -> Block[LocalTlsServer]:
    """Serves HTTP/2 over TLS on a free port of localhost; ``async with`` gives a `LocalTlsServer`.

    That has all that clients need: its URL, a context for clients in Python, the file of the certificate authority for
    others, and certificates for clients that show one. Otherwise like `plain_server`.

    Example::

        async with tls_server(handler) as server:
            async with trio_h2.connect(server.url, ssl_context=server.client_ssl_context) as session: ...
            await trio.run_process(["curl", "--cacert", server.ca_file, server.url])

    Args:
        handler: The handler of requests, as for `trio_h2.serve_tcp`.
        authority: What makes its certificate, which is for localhost by default.
        client_certificates: Mutual TLS: whether clients must show a certificate of *authority* (`ssl.CERT_REQUIRED`),
            may (`ssl.CERT_OPTIONAL`), or are not asked for one. `LocalTlsServer.client_certificate` makes them, and
            ``stream.transport.peer_certificate_fields`` tells the handler.
        raise_handler_errors: As for `session_pair`.
        **options: As for `plain_server`. With ``allow_http1=True``, ALPN offers HTTP/1.1, too.

    Raises:
        TypeError, ValueError: An argument is not allowed.
        RuntimeError: trustme isn't installed.

    Entering the block raises `OSError` if the port cannot be bound.
    """
    if authority is not None and not isinstance(authority, ThrowawayAuthority):
        raise TypeError(f"authority must be a ThrowawayAuthority, not {authority!r}")
    issuer = ThrowawayAuthority() if authority is None else authority
    watch = HandlerWatch(handler, raise_errors=raise_handler_errors)
    alpn = ("h2", "http/1.1") if options.get("allow_http1") else ("h2",)
    context = issuer.server_context(alpn, client_certificates=client_certificates)
    opened = trio_h2.open_server(watch, ssl_context=context, **_with_defaults(options))

    @asynccontextmanager
    async def block() -> AsyncGenerator[LocalTlsServer, None]:
        with tempfile.TemporaryDirectory(prefix="trio_h2-") as directory:
            async with opened as server:
                yield LocalTlsServer(server, issuer, pathlib.Path(directory))

    return watch.around(construct(Block, block()))


def _with_defaults(options: ServerOptions) -> ServerOptions:
    return {"grace": _GRACE, **options}
