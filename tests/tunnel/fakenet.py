"""A network that is not there: names, addresses, and what happens to those who connect, through Trio's own hooks."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Literal, cast

import trio
import trio.testing

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Found = list[
        tuple[Literal[socket.AddressFamily.AF_INET], socket.SocketKind, int, str, tuple[str, int]]
        | tuple[
            Literal[socket.AddressFamily.AF_INET6],
            socket.SocketKind,
            int,
            str,
            tuple[str, int, int, int] | tuple[int, bytes],
        ]
    ]

LINGER_RESET = struct.pack("ii", 1, 0)


class FakeNet(trio.abc.HostnameResolver, trio.abc.SocketFactory):
    """Install it with `install`; sockets and names of this run of Trio are its own from then on."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        """What names resolve to; others do not exist."""
        self.looked_up: list[str] = []
        self.hangs_up: set[str] = set()
        """Names whose resolver never answers."""
        self.errors: dict[str, int] = {}
        """Addresses that fail, with the error."""
        self.black_holes: set[str] = set()
        """Addresses that never answer."""
        self.delays: dict[str, float] = {}
        """Addresses that answer after so many seconds."""
        self.dialled: list[str] = []
        """``address:port`` of every attempt, in order."""
        self.sockets: list[FakeSocket] = []

    def install(self) -> None:
        """Puts it into the place of the real network, for this run of Trio."""
        trio.socket.set_custom_hostname_resolver(self)
        trio.socket.set_custom_socket_factory(self)

    @property
    def open_sockets(self) -> int:
        """How many sockets are not closed."""
        return sum(not sock.closed for sock in self.sockets)

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Found:
        """Looks a name up."""
        assert host is not None
        name = host.decode("ascii")
        self.looked_up.append(name)
        await trio.lowlevel.checkpoint()
        if name in self.hangs_up:
            await trio.sleep_forever()
        if name not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        number = int(cast("int", port))
        found: Found = []
        for address in self.names[name]:
            if ":" in address:
                found.append((socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, number, 0, 0)))
            else:
                found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, number)))
        return found

    async def getnameinfo(self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int) -> tuple[str, str]:
        """Nobody asks."""
        raise NotImplementedError

    def socket(self, family: int = 0, type: int = 0, proto: int = 0) -> FakeSocket:
        """Makes a socket."""
        sock = FakeSocket(self, family)
        self.sockets.append(sock)
        return sock


class FakeSocket(trio.socket.SocketType):
    """One end of a connection to an address of the fake network; the other end is `far`."""

    def __init__(self, net: FakeNet, family: int) -> None:
        self._net = net
        self._family = family
        self._near, self.far = trio.testing.memory_stream_pair()
        self.closed = False
        self.was_reset = False
        self.options: dict[tuple[int, int], object] = {}
        """What was set, by level and option."""

    @property
    def type(self) -> socket.SocketKind:
        """The kind of socket."""
        return socket.SOCK_STREAM

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802 - the name that Trio gives it
        """Whether the end was sent."""
        return False

    def setsockopt(self, level: int, option: int, value: object = None, length: int | None = None) -> None:
        """Notes it, and that closing the socket will be a reset."""
        self.options[level, option] = value
        if option == socket.SO_LINGER:
            self.was_reset = value == LINGER_RESET

    def close(self) -> None:
        """Closes it."""
        self.closed = True
        self._near.send_stream.close()
        self._near.receive_stream.close()

    async def connect(self, address: tuple[object, ...]) -> None:
        """Does what the network says."""
        host, port = str(address[0]), address[1]
        assert (":" in host) == (self._family == socket.AF_INET6)
        self._net.dialled.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        try:
            await trio.sleep(self._net.delays.get(host, 0.0))
            if host in self._net.black_holes:
                await trio.sleep_forever()
        except trio.Cancelled:
            self.close()  # as Trio's own sockets do
            raise
        if host in self._net.errors:
            number = self._net.errors[host]
            raise OSError(number, os.strerror(number))

    async def recv(self, size: int, flags: int = 0) -> bytes:
        """Receives bytes."""
        try:
            return bytes(await self._near.receive_some(size))
        except trio.BrokenResourceError:
            raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None

    async def send(self, data: Buffer, flags: int = 0) -> int:
        """Sends bytes."""
        octets = bytes(memoryview(data))
        try:
            await self._near.send_all(octets)
        except trio.BrokenResourceError:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
        return len(octets)

    def shutdown(self, flag: int) -> None:
        """Sends the end."""
        self._near.send_stream.close()
