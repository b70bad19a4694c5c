"""Which requests may go over a session with another origin (RFC 9113 §9.1.1, RFC 8336 §2.4)."""

from __future__ import annotations

import ipaddress
import math
from typing import TYPE_CHECKING, Final

import trio

from ._pooled_session import PooledSession

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .._address import Origin
    from ._dialer import Dialer
    from ._lane import Lane

_LOOKUP_SECONDS: Final = 60.0
"""How long the addresses of a host are believed."""
_MAX_KNOWN: Final = 1000
"""How many hosts and origins are remembered."""


class _Lookup:
    """The addresses of one host, looked up by one task at a time."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.until = -math.inf
        self.addresses: Collection[str] = ()


class Coalescing:
    """Finds sessions for origins that have none of their own.

    Args:
        dialer: knows the ways to origins, which must be the same.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._lookups: dict[Origin, _Lookup] = {}
        self._separate: set[Origin] = set()

    def separate(self, origin: Origin) -> None:
        """A request to *origin* was answered with 421: it gets sessions of its own from now on."""
        if len(self._separate) >= _MAX_KNOWN:
            self._separate.clear()
        self._separate.add(origin)

    async def take(self, lane: Lane, lanes: Iterable[Lane]) -> PooledSession | None:
        """Returns a session with another origin for a request to *lane*, which must give it back; else ``None``.

        May look up addresses; cancelled, nothing is taken.

        Args:
            lane: whom the request is for.
            lanes: whose sessions are looked at.
        """
        if not self._may_share(lane):
            return None
        origin = lane.origin
        lanes = list(lanes)
        found = self._named(origin, lanes)
        if found is None and self._undecided(origin, lanes):
            addresses = await self._addresses(origin)
            if not self._may_share(lane):
                return None
            found = self._named(origin, lanes) or next(
                (pooled for pooled in self._undecided(origin, lanes) if _address(pooled) in addresses), None
            )
        if found is not None:
            found.take()
        return found

    def _may_share(self, lane: Lane) -> bool:
        return lane.origin.scheme == "https" and not (lane.http1 or lane.has_its_own or lane.origin in self._separate)

    def _named(self, origin: Origin, lanes: Iterable[Lane]) -> PooledSession | None:
        """Returns a session whose server has named *origin* in an ORIGIN frame."""
        name = str(origin)
        return next((pooled for pooled in self._covering(origin, lanes) if name in _origin_set(pooled)), None)

    def _undecided(self, origin: Origin, lanes: Iterable[Lane]) -> list[PooledSession]:
        """Returns the sessions that would do if the addresses were the same.

        RFC 8336 §2.4: once it has got an ORIGIN frame, a client "MUST NOT consider a connection to be authoritative
        for an origin not present in the Origin Set".
        """
        return [
            pooled
            for pooled in self._covering(origin, lanes)
            if not pooled.session.origin_received
            and pooled.lane.origin.port == origin.port
            and _address(pooled) is not None
        ]

    def _covering(self, origin: Origin, lanes: Iterable[Lane]) -> list[PooledSession]:
        """Returns the sessions that have room, go the same way, and have a certificate that is valid for *origin*."""
        proxy = self._dialer.proxy(origin)
        return [
            pooled
            for other in lanes
            if other.origin.scheme == "https" and other.origin != origin and self._dialer.proxy(other.origin) is proxy
            for pooled in other.pooled
            if isinstance(pooled, PooledSession)
            and not pooled.leaving
            and pooled.room > 0
            and covers(pooled.session.transport.peer_certificate_fields, origin.host)
        ]

    async def _addresses(self, origin: Origin) -> Collection[str]:
        lookup = self._lookups.get(origin)
        if lookup is None:
            if len(self._lookups) >= _MAX_KNOWN:
                self._lookups.clear()
            lookup = self._lookups[origin] = _Lookup()
        async with lookup.lock:
            if lookup.until < trio.current_time():
                try:
                    found = await trio.socket.getaddrinfo(origin.host, origin.port, type=trio.socket.SOCK_STREAM)
                except OSError:
                    found = []  # whoever connects will be told
                lookup.addresses = frozenset(str(address[0]) for *_, address in found)
                lookup.until = trio.current_time() + _LOOKUP_SECONDS
        return lookup.addresses


def _origin_set(pooled: PooledSession) -> Collection[str]:
    return pooled.session.origin_set or ()


def _address(pooled: PooledSession) -> str | None:
    """Returns the IP address that a session is connected to, ``None`` if that is not known."""
    address = pooled.session.transport.peer_address
    return str(address[0]) if isinstance(address, tuple) else None


def covers(certificate: dict[str, object] | None, host: str) -> bool:
    """Whether a verified certificate is valid for a host (RFC 9525 §6.3, §6.4).

    Args:
        certificate: its fields, empty if nobody has verified it.
        host: a name or an IP address.
    """
    names = (certificate or {}).get("subjectAltName", ())
    assert isinstance(names, tuple)
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        host = host.removesuffix(".").lower()
        return any(kind == "DNS" and _matches(name.removesuffix(".").lower(), host) for kind, name in names)
    return any(kind == "IP Address" and _is_address(name, address) for kind, name in names)


def _matches(pattern: str, host: str) -> bool:
    # RFC 9525 §6.3: a wildcard is "the complete left-most DNS label", and stands for one label.
    if pattern.startswith("*."):
        return pattern.count(".") > 1 and host.partition(".")[2] == pattern[2:]
    return pattern == host


def _is_address(text: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(text) == address
    except ValueError:
        return False
