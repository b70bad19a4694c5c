"""Reaching a target: its addresses, and a TCP connection to one of those that were given, and to no other."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from .._util import host_and_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._target import IPAddress, Target

    SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]

_HEAD_START: Final = 0.25
"""RFC 8305 §5: how long an attempt goes on alone, in seconds: "One recommended value for a default delay is 250
milliseconds." """
_ABORT: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address of a target, as the socket wants it."""

    address: IPAddress
    family: int
    sockaddr: SocketAddress

    port: int

    def __str__(self) -> str:
        return host_and_port(self.address, self.port)


async def resolve(target: Target) -> list[Candidate]:
    """Returns the addresses of a target, in the order in which they should be tried. An address is its own.

    Raises:
        OSError: the name has none, or cannot be looked up.
    """
    found = await trio.socket.getaddrinfo(target.host, target.port, type=trio.socket.SOCK_STREAM)
    candidates: dict[SocketAddress, Candidate] = {}
    for family, _, _, _, sockaddr in found:
        host = str(sockaddr[0]).partition("%")[0]  # the zone is in the socket address, as a number
        candidates.setdefault(sockaddr, Candidate(ip_address(host), family, sockaddr, target.port))
    return _interleaved(list(candidates.values()))


def _interleaved(candidates: list[Candidate]) -> list[Candidate]:
    """RFC 8305 §4: "whichever address family is first in the list should be followed by an endpoint of the other"."""
    first = [one for one in candidates if one.family == candidates[0].family]
    second = [one for one in candidates if one.family != candidates[0].family]
    mixed = [one for both in zip(first, second, strict=False) for one in both]
    shorter = min(len(first), len(second))
    return [*mixed, *first[shorter:], *second[shorter:]]


async def dial(candidates: Sequence[Candidate]) -> tuple[trio.SocketStream, Candidate]:
    """Connects to the first address that answers; the next one is tried when one fails or takes long (RFC 8305).

    Cancelled: nothing stays open.

    Args:
        candidates: at least one.

    Returns:
        The connection, and to whom.

    Raises:
        OSError: none answered; the error of the first.
    """
    errors: dict[int, OSError] = {}
    reached: list[tuple[trio.SocketStream, Candidate]] = []

    @trio.lowlevel.enable_ki_protection
    async def attempt(number: int, failed: trio.Event) -> None:
        try:
            connection = await _connect(candidates[number])
        except OSError as exc:
            errors[number] = exc
            failed.set()
            return
        if reached:
            connection.socket.close()  # both answered in the same moment
        reached.append((connection, candidates[number]))
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for number in range(len(candidates)):
                failed = trio.Event()
                nursery.start_soon(attempt, number, failed)
                with trio.move_on_after(_HEAD_START):
                    await failed.wait()
    except BaseException:
        for connection, _ in reached[:1]:
            abort(connection)
        raise
    if not reached:
        raise errors[min(errors)]
    return reached[0]


async def _connect(candidate: Candidate) -> trio.SocketStream:
    sock = trio.socket.socket(candidate.family, trio.socket.SOCK_STREAM)
    try:
        await sock.connect(candidate.sockaddr)
        return trio.SocketStream(sock)
    except BaseException:
        sock.close()
        raise


def abort(connection: trio.SocketStream) -> None:
    """Closes a TCP connection with a reset, so that the other side does not take what it has for all there is."""
    sock = connection.socket
    try:
        sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _ABORT)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.EBADF):  # it is reset already (macOS), or closed
            raise
    finally:
        sock.close()
