"""How the transport of an HTTP/1.1 connection is closed, where that is all the client is told."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import trio

from .._stream._below_tls import below_tls
from .._stream._proxied import socket_below

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._wire._config import ServerConfig


async def close_gracefully(
    transport: trio.abc.Stream,
    wait_ended: Callable[[], Awaitable[None]],
    stop_reading: Callable[[], Awaitable[None]],
    config: ServerConfig,
    *,
    unread: bool,
    announced: bool,
) -> None:
    """Closes *transport* after the last response.

    RFC 9112 §9.6: a server that closes at once, with bytes of the client unread, risks a reset by which the client
    loses the response. "To avoid the TCP reset problem, servers typically close a connection in stages. First, the
    server performs a half-close by closing only the write side of the read/write connection. The server then continues
    to read from the connection until it receives a corresponding close by the client".

    Args:
        transport: the stream.
        wait_ended: waits until the client has closed its side; somebody reads on.
        stop_reading: waits until nobody does.
        config: ``linger_timeout`` bounds the wait if the client was still sending, else ``close_timeout``.
        unread: whether the client was still sending.
        announced: whether a response has told the client that the connection is going to be closed.
    """
    seconds = config.linger_timeout if unread else config.close_timeout
    if isinstance(transport, trio.abc.HalfCloseableStream):
        with trio.move_on_after(seconds), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await transport.send_eof()
            await wait_ended()
    elif isinstance(transport, trio.SSLStream):
        if unread and announced:  # only the client can end it, by what the response says
            with trio.move_on_after(seconds):
                await wait_ended()
        await stop_reading()
        await _close_tls(transport, config, seconds=0 if unread and announced else seconds)
    elif unread:
        with trio.move_on_after(seconds):
            await wait_ended()
    with trio.move_on_after(config.close_timeout), contextlib.suppress(trio.BrokenResourceError):
        await transport.aclose()


async def _close_tls(transport: trio.SSLStream[trio.abc.Stream], config: ServerConfig, *, seconds: float) -> None:
    """Closes what is whole, so that the client can tell it from what is cut.

    RFC 9112 §9.8: "Servers MUST attempt to initiate an exchange of closure alerts with the client before closing the
    connection. A server MAY close the connection after sending a closure alert". So the client's alert is not awaited;
    that it closes is, in stages as in clear text, because TCP could lose the response otherwise.

    Args:
        transport: nobody reads or writes it.
        config: ``close_timeout`` bounds the time that sending takes.
        seconds: how long the client gets to close; what it still sends is thrown away.
    """
    below, tls = transport.transport_stream, below_tls(transport)
    try:
        with trio.move_on_after(config.close_timeout), contextlib.suppress(trio.BrokenResourceError):
            await (transport.unwrap() if tls is None else tls.send_close_notify(transport))
        with trio.move_on_after(seconds), contextlib.suppress(trio.BrokenResourceError):
            if seconds and isinstance(below, trio.abc.HalfCloseableStream):
                await below.send_eof()
                while await below.receive_some():
                    pass
    finally:
        await trio.aclose_forcefully(below)


async def close_abruptly(transport: trio.abc.Stream, seconds: float, *, cut: bool) -> None:
    """Closes *transport* by force, and does nothing if it is closed.

    Args:
        transport: the stream.
        seconds: how long that may take.
        cut: whether a response is cut short. Then TCP is told to reset the connection: to a client that was given no
            length, a mere end would make the body look whole.
    """
    below = socket_below(transport)
    if cut and below is not None:
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Shielded, because the block around may be cancelled as well.
    with trio.move_on_after(seconds, shield=True), contextlib.suppress(trio.BrokenResourceError):
        await trio.aclose_forcefully(transport)
