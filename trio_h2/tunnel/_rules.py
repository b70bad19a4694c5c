"""Which targets a proxy may connect to: rules for names, addresses, networks and ports.

A name says nothing about where it leads: whoever owns ``example.com`` can make it resolve to ``127.0.0.1`` or to the
metadata service of a cloud. So a rule for a name allows public addresses only; any other address has to be in a network
that a rule names. What is compared is what is connected to: the addresses are looked up once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from ._target import parse_address, parse_name, plain, shown

if TYPE_CHECKING:
    from ._target import IPAddress, Target

Network: TypeAlias = IPv4Network | IPv6Network

# The special-purpose registries of RFC 6890, as IANA keeps them, and multicast. `IPv4Address.is_global` depends on the
# version of Python.
_NOT_PUBLIC_4: Final = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
_PUBLIC_6: Final = IPv6Network("2000::/3")  # all that is assigned as global unicast
_NOT_PUBLIC_6: Final = tuple(
    # Teredo, ORCHID and others; documentation; 6to4, which leads to an IPv4 address.
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_LOOPBACK_4: Final = IPv4Network("127.0.0.0/8")
_LOOPBACK_6: Final = IPv6Address("::1")
_LOOPBACK_NAMES: Final = frozenset(
    # What hosts files call it, besides "localhost" and what is below that.
    ("localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback")
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an `AllowList`: a name with wildcards or a network, and ports."""

    network: Network | None
    name: str
    """Without a network: ``*``, ``*.example.com``, or a name as `Target.host` has it."""
    ports: tuple[range, ...]

    def has_port(self, port: int) -> bool:
        """Whether the rule is about this port."""
        return any(port in ports for ports in self.ports)

    def has_name(self, host: str) -> bool:
        """Whether the rule is about this name."""
        if self.network is not None:
            return False
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return self.name in ("*", host)

    @property
    def is_for_loopback(self) -> bool:
        """Whether the rule is for a name that leads to this machine, wherever it is looked up.

        RFC 6761 §6.3: of ``localhost`` and the names below it, "name resolution APIs and libraries […] SHOULD always
        return the IP loopback address".
        """
        return self.name in _LOOPBACK_NAMES or f".{self.name}".endswith(".localhost")

    def has_loopback(self, ports: tuple[range, ...]) -> bool:
        """Whether the rule is about addresses of this machine, and about some of these ports."""
        if isinstance(self.network, IPv4Network):
            here = self.network.overlaps(_LOOPBACK_4)
        else:
            here = self.network is not None and _LOOPBACK_6 in self.network
        return here and any(max(a.start, b.start) < min(a.stop, b.stop) for a in self.ports for b in ports)

    def has_address(self, address: IPAddress) -> bool:
        """Whether the rule is about this address."""
        return self.network is not None and address in self.network


class AllowList:
    """The targets that a proxy connects to.

    A rule is ``HOST:PORTS``. HOST is a name (``example.com``), all names below one (``*.example.com``), any name and
    any public address (``*``), an address (``192.0.2.1``, ``[::1]``) or a network (``10.0.0.0/8``, ``[fd00::]/8``).
    PORTS is a number, a range (``8000-8099``), several of them (``80,443``) or ``*``.

    A rule for a name allows the public addresses that the name resolves to; private ones, loopback, link-local and the
    like need a rule for their address or network, which then allows them under every name.

    Args:
        rules: at least one.

    Raises:
        TypeError: *rules* is one string, or not of strings.
        ValueError: a rule is not right, or can never match, as one for ``localhost`` alone; or there is none.
    """

    def __init__(self, rules: Iterable[str]) -> None:
        if isinstance(rules, str | bytes) or not isinstance(rules, Iterable):
            raise TypeError(f"the rules must be several strings, like ['example.com:443'], not {rules!r}")
        self._texts = tuple(rules)
        self._rules = tuple(_parse_rule(text) for text in self._texts)
        if not self._rules:
            raise ValueError("an allow-list needs at least one rule, like 'example.com:443'")
        for text, rule in zip(self._texts, self._rules, strict=True):
            self._check_reachable(text, rule)

    def __repr__(self) -> str:
        return f"AllowList({list(self._texts)!r})"

    def _check_reachable(self, text: str, rule: Rule) -> None:
        if rule.is_for_loopback and not any(other.has_loopback(rule.ports) for other in self._rules):
            ports = text.strip().rpartition(":")[2]
            raise ValueError(
                f"the rule {shown(text)} can never match: that name is this machine, and a rule for a name allows "
                f"public addresses only; allow 127.0.0.1:{ports} or [::1]:{ports}"
            )

    def names(self, target: Target) -> bool:
        """Whether a rule for names has *target*, if only at a public address."""
        rules = (rule for rule in self._rules if rule.has_port(target.port))
        if target.address is not None:
            return any(rule.name == "*" for rule in rules)
        return any(rule.has_name(target.host) for rule in rules)

    def may_allow(self, target: Target) -> bool:
        """Whether some address of *target* could be allowed, so that looking it up makes sense."""
        if target.address is not None:
            return self.allows(target, target.address)
        return self.names(target) or any(rule.network is not None for rule in self._rules if rule.has_port(target.port))

    def allows(self, target: Target, address: IPAddress) -> bool:
        """Whether *target* may be reached at this address of it."""
        address = plain(address)
        if any(rule.has_address(address) for rule in self._rules if rule.has_port(target.port)):
            return True
        return is_public(address) and self.names(target)


def is_public(address: IPAddress) -> bool:
    """Whether an address belongs to the public internet, rather than to this machine or somebody's own network."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:  # RFC 6052 §2.1: the last 32 bits are the IPv4 address that it leads to
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)
    return not any(address in network for network in _NOT_PUBLIC_4)


def _parse_rule(text: str) -> Rule:
    if not isinstance(text, str):
        raise TypeError(f"a rule must be a string like 'example.com:443', not {text!r}")
    host, colon, ports = text.strip().rpartition(":")
    if not colon or not host or "]" in ports:
        raise ValueError(f"the rule {shown(text)} must be HOST:PORTS, like 'example.com:443' or 'example.com:*'")
    try:
        name, network = _parse_host(host)
        return Rule(network, name, tuple(_parse_ports(part) for part in ports.split(",")))
    except ValueError as exc:
        raise ValueError(f"the rule {shown(text)} is not right: {exc}") from None


def _parse_host(host: str) -> tuple[str, Network | None]:
    if "/" in host:
        return "", _parse_network(host)
    if host == "*":
        return host, None
    if host.startswith("*."):
        if parse_address(host[2:]) is not None:
            raise ValueError("there is nothing below an address")
        return f"*.{parse_name(host[2:])}", None
    if ":" in host and not host.startswith("["):
        raise ValueError("an IPv6 address must be in brackets")
    address = parse_address(host)
    return (parse_name(host), None) if address is None else ("", ip_network(address))


def _parse_network(host: str) -> Network:
    base, _, bits = host.partition("/")
    if base.startswith("["):
        if base.endswith("]"):
            base = base[1:-1]
        elif bits.endswith("]"):
            base, bits = base[1:], bits[:-1]
    elif ":" in base:
        raise ValueError("an IPv6 network must be in brackets")
    if "%" in base:
        raise ValueError("a network has no zone")
    if not (bits.isascii() and bits.isdigit()):
        raise ValueError("a network ends with its length in bits, like 10.0.0.0/8")
    network = ip_network(f"{base}/{bits}")  # which refuses a base with bits outside of the network
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
    return network


def _parse_ports(text: str) -> range:
    if text == "*":
        return range(1, 65_536)
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(number.isascii() and number.isdigit() and 1 <= int(number) <= 65_535 for number in numbers):
        raise ValueError(f"a port must be in 1..65535, a range like 8000-8099, or *, not {shown(text)}")
    if int(numbers[0]) > int(numbers[1]):
        raise ValueError(f"the range of ports {text} is empty")
    return range(int(numbers[0]), int(numbers[1]) + 1)
