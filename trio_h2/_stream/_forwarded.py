"""Who the client is behind proxies that speak HTTP, as they tell it: `X-Forwarded-*`, or `Forwarded` (RFC 7239).

Every client can send such fields. So they count only on connections of proxies that the configuration names
(``trusted_proxies``), and in a list of addresses only as far as such proxies have written it: it is read from its end,
where each proxy has added whom it got the request from, up to the first address that is none of theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from .._field_docs import describe_fields
from .._values import Value
from .._wire._config import TRUSTED_UNIX, ServerConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._wire._config import SessionConfig
    from .._wire._headers import Headers
    from ._proxied import Address

    IpAddress = IPv4Address | IPv6Address

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What proxies write there; some have the schemes of WebSocket."""
_NODE: Final = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::(?P<port6>[0-9]{1,5}))?|(?P<v4>[0-9.]+)(?::(?P<port4>[0-9]{1,5}))?", re.ASCII
)
_BARE_V6: Final = re.compile(r"[0-9A-Fa-f:.]+")
# RFC 7239 §4: forwarded-pair = token "=" value; value = token / quoted-string (RFC 9110 §5.6).
_PAIR: Final = re.compile(r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*")[ \t]*""")


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ForwardedClient(Value):
    """What trusted proxies say of a client."""

    address: tuple[str, int] | None = None
    """Host and port (0 where it is not told); ``None`` if nothing is said of them."""
    scheme: str | None = None
    """``"https"`` or ``"http"``; ``None`` if nothing is said of it."""


_NOTHING: Final = ForwardedClient()


class TrustedProxies:
    """The proxies that a server believes.

    Args:
        networks: as ``ServerConfig.trusted_proxies``.
        field: as ``ServerConfig.forwarded_field``.
    """

    def __init__(self, networks: Sequence[str], field: str | None) -> None:
        self._unix = TRUSTED_UNIX in networks
        self._networks = [ip_network(network) for network in networks if network != TRUSTED_UNIX]
        self._field = field

    def trust(self, address: Address | None) -> bool:
        """Whether the one at *address* is such a proxy."""
        if isinstance(address, tuple):
            ip = _ip(address[0].partition("%")[0])
            return ip is not None and self._trust_ip(ip)
        return self._unix and address is not None

    def _trust_ip(self, ip: IpAddress) -> bool:
        return any(ip in network for network in self._networks)

    def client(self, headers: Headers) -> ForwardedClient:
        """Returns what the fields of a request say, which such a proxy has sent.

        A proxy that writes the fields of one kind may pass on those of the other as a client has made them up. Where a
        request has both, and nothing says which of them counts, they count as far as they agree.
        """
        x_forwarded = headers.get_all("x-forwarded-for"), headers.get_all("x-forwarded-proto")
        forwarded = headers.get_all("forwarded")
        one = self._x_forwarded(*x_forwarded) if any(x_forwarded) and self._field != "forwarded" else None
        other = self._forwarded(forwarded) if forwarded and self._field != "x-forwarded" else None
        if one is None or other is None:
            return one or other or _NOTHING
        same_host = one.address is not None and other.address is not None and one.address[0] == other.address[0]
        return ForwardedClient(
            (one.address if one.address and one.address[1] else other.address) if same_host else None,
            one.scheme if one.scheme == other.scheme else None,
        )

    def _x_forwarded(self, addresses: list[str], schemes: list[str]) -> ForwardedClient:
        nodes = [node.strip() for node in ",".join(addresses).split(",")] if addresses else []
        named = [scheme.strip() for scheme in ",".join(schemes).split(",")] if schemes else []
        at, address = self._first_untrusted(nodes)
        # Most proxies set one scheme; those that add theirs to a list do so as they do with the address.
        scheme = None if not named else named[at] if len(named) == len(nodes) else named[-1]
        return ForwardedClient(address, _scheme(scheme))

    def _forwarded(self, values: list[str]) -> ForwardedClient:
        elements = _elements(",".join(values))
        at, address = self._first_untrusted([element.get("for", "") for element in elements])
        return ForwardedClient(address, _scheme(elements[at].get("proto")) if elements else None)

    def _first_untrusted(self, nodes: Sequence[str]) -> tuple[int, tuple[str, int] | None]:
        """Reads a list from its end; returns where the client is in it, and its address.

        If all of them are proxies that are trusted, the first one is the client. What is no address ends the list: what
        is before it cannot be believed, and the last proxy that is known is the best that is known.
        """
        at, found = len(nodes) - 1, None
        for index in range(len(nodes) - 1, -1, -1):
            node = _node(nodes[index])
            if node is None:
                break
            ip, port = node
            at, found = index, (str(ip), port)
            if not self._trust_ip(ip):
                break
        return at, found


@lru_cache(maxsize=16)
def _proxies(networks: tuple[str, ...], field: str | None) -> TrustedProxies:
    return TrustedProxies(networks, field)


def trusted_proxies(config: SessionConfig) -> TrustedProxies | None:
    """Returns the proxies that *config* trusts, ``None`` if there are none."""
    if not isinstance(config, ServerConfig) or not config.trusted_proxies:
        return None
    return _proxies(config.trusted_proxies, config.forwarded_field)


def _ip(text: str) -> IpAddress | None:
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    # A socket for both families has clients of IPv4 as ::ffff:192.0.2.1.
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return ip if mapped is None else mapped


def _node(text: str) -> tuple[IpAddress, int] | None:
    """Reads an address, with or without a port; ``None`` if it is none, such as ``unknown`` or a name."""
    match = _NODE.fullmatch(text)
    if match is None:
        ip = _ip(text) if _BARE_V6.fullmatch(text) else None
        return None if ip is None else (ip, 0)
    ip, port = _ip(match["v6"] or match["v4"]), int(match["port6"] or match["port4"] or 0)
    return None if ip is None or port > 65_535 else (ip, port)


def _scheme(text: str | None) -> str | None:
    return None if text is None else _SCHEMES.get(text.lower())


def _elements(text: str) -> list[dict[str, str]]:
    """Reads a value of ``Forwarded`` into its elements; none if it is malformed: a quote may hide where one ends."""
    elements: list[dict[str, str]] = [{}]
    at, size = 0, len(text)
    while at < size:
        if text[at] == ",":
            elements.append({})
        if text[at] in ",; \t":
            at += 1
            continue
        match = _PAIR.match(text, at)
        if match is None or (match.end() < size and text[match.end()] not in ",;"):
            return []
        value = match[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        elements[-1].setdefault(match[1].lower(), value)
        at = match.end()
    return elements
