"""How the transport of an HTTP/1.1 connection is closed, where that is all the client is told."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._wire._config import ServerConfig


async def close_gracefully(
    transport: trio.abc.Stream, wait_ended: Callable[[], Awaitable[None]], config: ServerConfig, *, unread: bool
) -> None:
    """Closes *transport* after the last response.

    RFC 9112 §9.6: a server that closes at once, with octets of the client unread, risks a reset by which the client
    loses the response. "To avoid the TCP reset problem, servers typically close a connection in stages. First, the
    server performs a half-close by closing only the write side of the read/write connection. The server then continues
    to read from the connection until it receives a corresponding close by the client".

    Args:
        transport: the stream.
        wait_ended: waits until the client has closed its side; somebody reads on.
        config: ``linger_timeout`` bounds that wait if the client was still sending, else ``close_timeout``.
        unread: whether the client was still sending.
    """
    seconds = config.linger_timeout if unread else config.close_timeout
    if isinstance(transport, trio.abc.HalfCloseableStream):
        with trio.move_on_after(seconds), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await transport.send_eof()
            await wait_ended()
    elif unread:  # over TLS only the client can end it, by what the response says
        with trio.move_on_after(seconds):
            await wait_ended()
    with trio.move_on_after(config.close_timeout), contextlib.suppress(trio.BrokenResourceError):
        await transport.aclose()


async def close_abruptly(transport: trio.abc.Stream, seconds: float, *, cut: bool) -> None:
    """Closes *transport* by force, and does nothing if it is closed.

    Args:
        transport: the stream.
        seconds: how long that may take.
        cut: whether a response is cut short. Then TCP is told to reset the connection: to a client that was given no
            length, a mere end would make the body look whole.
    """
    below = transport
    while isinstance(below, trio.SSLStream):
        below = below.transport_stream
    if cut and isinstance(below, trio.SocketStream):
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Shielded, because the block around may be cancelled as well.
    with trio.move_on_after(seconds, shield=True), contextlib.suppress(trio.BrokenResourceError):
        await trio.aclose_forcefully(transport)
