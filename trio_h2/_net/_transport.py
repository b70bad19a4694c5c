"""The transport below a client's session: TCP or a Unix socket, with TLS over it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._address import parse_url
from .._util import interruptible, plain_interrupt
from .._wire._config import ClientConfig
from ._contexts import client_ssl_context
from ._keepalive import keep_alive
from ._tls import wrap_client

if TYPE_CHECKING:
    import os
    import ssl

    from .._address import Origin
    from .._url import Url

Transport: TypeAlias = trio.abc.Stream | Callable[[str], Awaitable[trio.abc.Stream]]
"""What a client speaks over: any Trio stream, or an async function that makes one, given the URL's origin."""


async def open_transport(
    url: Url,
    *,
    transport: Transport | None = None,
    ssl_context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    config: ClientConfig | None = None,
) -> trio.abc.Stream:
    """Connects to a server as `connect` does, and leaves to you what to speak: for clients that know HTTP/1.1 as well.

    For ``https`` the result is a `trio.SSLStream`, whose ``selected_alpn_protocol()`` says what the server has chosen:
    ``"h2"`` for ``connect(url, transport=…)``, or what else *ssl_context* offers. Cancelled: what was opened is closed.

    Args:
        url: whom to talk to, as in `connect`.
        transport: what to use instead of a new TCP connection, as in `connect`; TLS is spoken over it for ``https``.
        ssl_context: for ``https``; by default one that verifies against the system's CAs and offers ``h2`` and
            ``http/1.1``. Never changed.
        server_hostname: the name the certificate must have; the URL's host by default.
        config: its ``handshake_timeout`` and ``tcp_…`` count.

    Raises:
        TypeError, ValueError: an argument is not allowed.
        OSError: the connection cannot be made.
        HandshakeError: TLS failed, or is too weak for the HTTP/2 that was chosen.
    """
    origin = parse_url(url)
    if ssl_context is None and origin.scheme == "https":
        ssl_context = client_ssl_context(allow_http1=True)
    return await transport_to(
        origin,
        config or ClientConfig(),
        transport=transport,
        ssl_context=ssl_context if origin.scheme == "https" else None,
        server_hostname=server_hostname,
        any_protocol=True,
    )


async def transport_to(
    origin: Origin,
    config: ClientConfig,
    *,
    transport: Transport | None = None,
    unix_path: str | bytes | os.PathLike[str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    any_protocol: bool = False,
) -> trio.abc.Stream:
    """Connects to *origin*, by several addresses if it has them, and does the TLS handshake.

    Cancelled: what was opened is closed.

    Args:
        origin: whom to talk to.
        config: has the timeouts.
        transport: what to use instead of a new connection, see `connect`.
        unix_path: the path of a Unix socket to connect to instead.
        ssl_context: speaks TLS, if there is one.
        server_hostname: the name that the certificate must have; the host of *origin* by default.
        any_protocol: whether ALPN may choose something else than HTTP/2, or nothing.

    Raises:
        OSError: the connection cannot be made.
        HandshakeError: TLS or its ALPN failed.
    """
    with plain_interrupt():  # connecting tries several addresses, in a nursery
        below = await _open(origin, config, transport, unix_path)
    if ssl_context is None:
        return below
    return await wrap_client(
        below,
        ssl_context,
        origin.host if server_hostname is None else server_hostname,
        timeout=config.handshake_timeout,
        any_protocol=any_protocol,
    )


async def _open(
    origin: Origin, config: ClientConfig, transport: Transport | None, unix_path: str | bytes | os.PathLike[str] | None
) -> trio.abc.Stream:
    if unix_path is not None:
        return await trio.open_unix_socket(unix_path)
    if transport is None:
        opened = await trio.open_tcp_stream(origin.host, origin.port)
        keep_alive(opened, config)
        return opened
    if isinstance(transport, trio.abc.Stream):
        try:
            await trio.lowlevel.checkpoint()
        except BaseException:
            await trio.aclose_forcefully(transport)
            raise
        return transport
    made = await interruptible(transport, str(origin))
    if not isinstance(made, trio.abc.Stream):
        raise TypeError(f"transport must return a trio.abc.Stream, not {made!r}")
    return made
