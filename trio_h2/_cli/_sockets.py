"""Listening sockets, for one process or for several.

Every worker has TCP sockets of its own, bound with SO_REUSEPORT, and the kernel spreads connections over them. Unix
sockets and inherited ones exist once, and all workers accept from them. The process that supervises the workers makes
them and keeps them open: what waits in the queue of a worker that died, or is replaced, is accepted by the next one
that gets the same sockets.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, NoReturn

import trio

from .._util import host_and_port
from ._binds import Bind, systemd_binds
from ._errors import CommandError, UsageError, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ._args import ListenOptions

_BACKLOG = 1024
_FREE_PORT_ATTEMPTS = 20


def check_sharing() -> None:
    """Checks that processes can share a port here.

    Raises:
        UsageError: they cannot.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise UsageError("--workers needs a system with SO_REUSEPORT")


class ListeningSockets:
    """What is listened on.

    Args:
        sets: how many workers there are; each gets sockets of its own. 1 for a server without.
        shared: whether they are for processes, which share ports.
    """

    def __init__(self, sets: int = 1, *, shared: bool = False) -> None:
        self.sets: list[list[socket.socket]] = [[] for _ in range(sets)]
        """The sockets of each worker."""
        self.urls: list[str] = []
        """Where the server can be reached, for people."""
        self._shared = shared
        self._cleanups: list[Callable[[], object]] = []

    async def open_all(self, options: ListenOptions) -> None:
        """Opens what *options* ask for and what systemd passes on; without either, a free port of localhost.

        Raises:
            CommandError: something cannot be listened on. Then nothing is open.
        """
        scheme = "http" if options.cert is None and not options.self_signed else "https"
        await self.open([*options.binds, *systemd_binds()] or [Bind("localhost", 0)], scheme)

    async def open(self, binds: Iterable[Bind], scheme: str) -> None:
        """Opens all of these.

        Args:
            binds: what to listen on.
            scheme: what begins their URLs.

        Raises:
            CommandError: something cannot be listened on. Then nothing is open.
        """
        try:
            for bind in binds:
                if bind.descriptor is not None:
                    self._add(inherited(bind.descriptor), scheme)
                elif bind.path is not None:
                    self._add(self._unix(bind.path, bind.mode), scheme)
                else:
                    await self._tcp(bind, scheme)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes this process's copies, and removes Unix sockets; what others inherited goes on listening."""
        for sockets in self.sets:
            close_all(sockets)
        for cleanup in self._cleanups:
            cleanup()

    def _add(self, sock: socket.socket, scheme: str) -> None:
        """Gives every worker the same socket."""
        self.sets[0].append(sock)
        for others in self.sets[1:]:
            others.append(sock.dup())
        address: object = sock.getsockname()
        if isinstance(address, tuple):
            self.urls.append(f"{scheme}://{host_and_port(*address[:2])}")
        else:
            self.urls.append(f"unix:{os.fsdecode(address) if isinstance(address, (str, bytes)) else ''}")

    async def _tcp(self, bind: Bind, scheme: str) -> None:
        """Listens on every address of a host, once for each worker, on one port."""
        assert bind.port is not None
        for attempt in range(_FREE_PORT_ATTEMPTS):
            try:
                addresses = await _free_addresses(bind.host, bind.port)
                opened = self._listen(addresses)
            except OSError as exc:
                if bind.port == 0 and exc.errno == errno.EADDRINUSE and attempt < _FREE_PORT_ATTEMPTS - 1:
                    continue  # taken on one of the other addresses
                _refuse(bind, exc)
            for sockets, more in zip(self.sets, opened, strict=True):
                sockets += more
            self.urls.append(bind.url(scheme, int(addresses[0][1][1])))
            return

    def _listen(
        self, addresses: Sequence[tuple[socket.AddressFamily, tuple[str | int, ...]]]
    ) -> list[list[socket.socket]]:
        opened: list[list[socket.socket]] = []
        try:
            for _ in self.sets:
                opened.append([])
                for family, address in addresses:
                    sock = socket.socket(family, socket.SOCK_STREAM)
                    opened[-1].append(sock)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if self._shared:
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

    def _unix(self, path: str, mode: int | None) -> socket.socket:
        """Makes a Unix socket, which is removed at the end; one that nobody listens on any more is replaced."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            sock.bind(path)
            made = os.stat(path)
            self._cleanups.append(lambda: _remove(os.path.abspath(path), made))
            if mode is not None:
                os.chmod(path, mode)  # nobody can connect before it listens
            sock.listen(_BACKLOG)
        except OSError as exc:
            sock.close()
            _refuse(Bind(path=path), exc)
        return sock


async def _free_addresses(host: str | None, port: int) -> list[tuple[socket.AddressFamily, tuple[str | int, ...]]]:
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


def inherited(descriptor: int) -> socket.socket:
    """Takes over a socket that this process was started with, and passes it on to no other.

    Raises:
        UsageError: it is none that connections can be accepted from.
    """
    why = "it is no listening TCP or Unix socket"
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise UsageError(f"cannot listen on descriptor {descriptor}: {reason(exc)}") from exc
    fits = sock.type == socket.SOCK_STREAM and sock.family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if not fits or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise UsageError(f"cannot listen on descriptor {descriptor}: {why}")
    os.set_inheritable(descriptor, False)
    return sock


def _remove_stale(path: str) -> None:
    """Removes a Unix socket that a server has left behind which did not end as it should."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.setblocking(False)
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    os.unlink(path)
                except BlockingIOError:  # somebody listens, and is busy
                    pass


def _remove(path: str, made: os.stat_result) -> None:
    """Removes our Unix socket, unless another server has made its own there meanwhile."""
    with contextlib.suppress(OSError):
        if os.path.samestat(os.stat(path), made):
            os.unlink(path)


def _refuse(bind: Bind, exc: OSError) -> NoReturn:
    raise CommandError(f"cannot listen on {bind}: {reason(exc)}") from exc


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Closes this process's copies; what other processes inherited goes on listening."""
    for sock in sockets:
        sock.close()


def listeners_of(sockets: Sequence[socket.socket]) -> list[trio.SocketListener]:
    """Makes Trio's listeners of sockets, which they own then."""
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]


def adopt(descriptors: Sequence[int]) -> list[trio.SocketListener]:
    """Takes over listening sockets that this process inherited, and passes on to no other."""
    for fd in descriptors:
        os.set_inheritable(fd, False)
    return listeners_of([socket.socket(fileno=fd) for fd in descriptors])
