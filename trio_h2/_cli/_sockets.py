"""Listening sockets for several processes on one port.

Every worker has sockets of its own, bound with SO_REUSEPORT, and the kernel spreads connections over them. The process
that supervises the workers makes them and keeps them open: what waits in the queue of a worker that died, or is
replaced, is accepted by the next one that gets the same sockets.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import trio

from ._errors import CommandError, UsageError, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

_BACKLOG = 1024
_FREE_PORT_ATTEMPTS = 20


def check_sharing() -> None:
    """Checks that processes can share a port here.

    Raises:
        UsageError: they cannot.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise UsageError("--workers needs a system with SO_REUSEPORT")


async def shared_sockets(host: str, port: int, sets: int) -> list[list[socket.socket]]:
    """Opens sockets that listen on every address of *host*, once for each worker.

    Args:
        host: a name or address.
        port: the TCP port; 0 chooses one that is free on all the addresses.
        sets: how many workers there are.

    Raises:
        CommandError: the port cannot be listened on.
    """
    for attempt in range(_FREE_PORT_ATTEMPTS):
        try:
            addresses = await _free_addresses(host, port)
            return _listen(addresses, sets)
        except OSError as exc:
            if port == 0 and exc.errno == errno.EADDRINUSE and attempt < _FREE_PORT_ATTEMPTS - 1:
                continue  # taken on one of the other addresses
            raise CommandError(f"cannot listen on {host}, port {port}: {reason(exc)}") from exc
    raise AssertionError("the loop returns or raises")


async def _free_addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str | int, ...]]]:
    """Returns the addresses to bind, with one port for all.

    They are bound for a moment without SO_REUSEPORT, because with it this port could belong to another server of the
    same user, and each would get half of the connections.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    addresses = []
    try:
        chosen = 0
        for listener in listeners:
            address: tuple[str | int, ...] = listener.socket.getsockname()
            chosen = chosen or int(address[1])
            addresses.append((listener.socket.family, (address[0], chosen, *address[2:])))
    finally:
        for listener in listeners:
            listener.socket.close()
    return addresses


def _listen(
    addresses: Sequence[tuple[socket.AddressFamily, tuple[str | int, ...]]], sets: int
) -> list[list[socket.socket]]:
    opened: list[list[socket.socket]] = []
    try:
        for _ in range(sets):
            opened.append([])
            for family, address in addresses:
                sock = socket.socket(family, socket.SOCK_STREAM)
                opened[-1].append(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind(address)
                sock.listen(_BACKLOG)
    except BaseException:
        for sockets in opened:
            close_all(sockets)
        raise
    return opened


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Closes this process's copies; what other processes inherited goes on listening."""
    for sock in sockets:
        sock.close()


def adopt(descriptors: Sequence[int]) -> list[trio.SocketListener]:
    """Takes over listening sockets that this process inherited, and passes on to no other."""
    for fd in descriptors:
        os.set_inheritable(fd, False)
    return [trio.SocketListener(trio.socket.from_stdlib_socket(socket.socket(fileno=fd))) for fd in descriptors]
