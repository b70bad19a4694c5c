"""What servers listen on: TCP ports and Unix sockets."""

from __future__ import annotations

import errno
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import trio

from .._checks import check_int
from .._util import host_and_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

_FREE_PORT_ATTEMPTS = 20
_UNIX_BACKLOG = 128


async def open_listeners(port: int, host: str | bytes | None, backlog: int | None) -> list[trio.SocketListener]:
    """Opens the TCP listeners; a free port (0) is the same for every address of *host*."""
    check_port(port)
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


def check_port(port: object) -> None:
    """Checks a port to listen on; `getaddrinfo` would take it modulo 65536."""
    check_int("port", port, 0, 65_535)


def check_mode(mode: int | None) -> None:
    """Checks who may connect to a Unix socket."""
    if mode is not None:
        check_int("mode", mode, 0, 0o777)


@asynccontextmanager
async def unix_listener(
    path: str | os.PathLike[str], *, mode: int | None, backlog: int | None
) -> AsyncGenerator[tuple[trio.SocketListener, str], None]:
    """Listens on a Unix socket, which the end of the block closes and removes; gives the listener and its name."""
    check_mode(mode)
    name = os.fspath(path)
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await sock.bind(name)
        made = os.stat(name)
    except BaseException:
        sock.close()
        raise
    try:
        if mode is not None:
            os.chmod(name, mode)  # nobody can connect before it listens
        sock.listen(backlog if backlog is not None else _UNIX_BACKLOG)
        yield trio.SocketListener(sock), f"unix:{name}"
    finally:
        sock.close()
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(name), made):  # else it is another server's by now
                os.unlink(name)


def urls_of(
    scheme: str, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]], host: str | bytes | None
) -> list[str]:
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
        urls[f"{scheme}://{host_and_port(name, address[1])}"] = None
    return list(urls)
