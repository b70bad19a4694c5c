"""Where a CONNECT wants to go: one spelling for each host, and no spelling that two readers could read differently.

RFC 9113 §8.5: "The ':authority' pseudo-header field contains the host and port to connect to". A resolver reads more
than that as an address: ``2130706433``, ``0177.0.0.1``, ``0x7f.1`` and ``127.1`` are all this machine. Whoever compared
such a name with a list, and then connected to what it resolves to, would have compared nothing. So they are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

import idna

from .._field_docs import describe_fields
from .._util import host_and_port

IPAddress: TypeAlias = IPv4Address | IPv6Address
"""An address, of either kind."""

_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*):([0-9]{1,5})", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# What the C library takes for a number, and so for a part of an address: decimal, octal, hexadecimal.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_MAX_NAME: Final = 253
_SHOWN: Final = 100


@describe_fields
@dataclass(frozen=True, slots=True)
class Target:
    """A host and a port, in their only spelling here."""

    host: str
    """A name in lower case without a dot at its end, or the text of `address`."""
    port: int
    """1 … 65535."""
    address: IPAddress | None
    """The host, if it is an address; an IPv4 address that was written as an IPv6 one is the IPv4 address."""

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


def parse_target(authority: str) -> Target:
    """Reads ``host:port``.

    Args:
        authority: as it came, or as a user wrote it.

    Raises:
        ValueError: it is not right; the message says what is.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError(f"{shown(authority)} is not host:port")
    port = int(match[2])
    if not 1 <= port <= 65_535:
        raise ValueError(f"the port of {shown(authority)} must be in 1..65535")
    address = parse_address(match[1])
    return Target(parse_name(match[1]) if address is None else str(address), port, address)


def parse_address(host: str) -> IPAddress | None:
    """Returns the address that *host* is, ``None`` if it is a name.

    Raises:
        ValueError: it is an IPv6 address with a mistake or a zone, or an IPv4 address in a spelling that not everybody
            reads the same way.
    """
    if host.startswith("["):
        literal = host[1:-1]
        if "%" in literal:  # RFC 6874: a zone means something on one machine only, which is not the client's
            raise ValueError(f"{shown(host)} has a zone, which means nothing to another machine")
        try:
            return plain(IPv6Address(literal))
        except ValueError:
            raise ValueError(f"{shown(host)} is not an IPv6 address") from None
    name = host.removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2].lower()) is None:
        return None
    # No top-level domain is a number, so this is an address, or meant to be taken for one.
    try:
        return IPv4Address(name)  # which refuses all but four decimal numbers without leading zeros
    except ValueError:
        raise ValueError(f"{shown(host)} is not an IPv4 address as four decimal numbers") from None


def parse_name(host: str) -> str:
    """Returns a host name in lower case, in its ASCII form (IDNA), without a dot at its end.

    Raises:
        ValueError: it is no host name.
    """
    name = host
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise ValueError(f"{shown(host)} is not an international host name") from None
        if parse_address(name) is not None:  # full-width digits, for instance
            raise ValueError(f"{shown(host)} is an address in disguise")
    name = name.lower().removesuffix(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{shown(host)} is not a host name")
    return name


def plain(address: IPAddress) -> IPAddress:
    """Returns the IPv4 address that an IPv6 one stands for (RFC 4291 §2.5.5.2), else the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def shown(text: str) -> str:
    """Returns a text from outside as it can be shown: quoted, ASCII, not too long."""
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
