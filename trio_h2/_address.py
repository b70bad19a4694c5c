"""URLs, as far as a session needs them: scheme, host and port (RFC 3986 §3, RFC 9113 §8.3.1).

`urllib.parse` is not used: it silently removes tabs and line breaks, accepts any host, and raises for a bad
port only when the port is looked at. Here every URL is either right or refused before anything is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, NoReturn

import idna

from ._url import shown_url, url_text
from ._util import bracketed, host_and_port

if TYPE_CHECKING:
    from ._url import Url

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
"""The schemes that a session can have, and the ports that an authority leaves out."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\s\ud800-\udfff]")
_SCHEME = re.compile(r"([^/?#]*)://")
_HOST = re.compile(r"[a-z0-9._-]+", re.ASCII)
_MAX_HOST = 253
_MAX_LABEL = 63


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL points to: what to connect to, and what to call it in `:scheme` and `:authority`."""

    scheme: str
    """`"http"` or `"https"`."""
    host: str
    """Lower-case ASCII: a name (IDNA-encoded), an IPv4 address or an IPv6 address without brackets."""
    port: int
    """1 to 65535; the scheme's default if the URL named none."""

    @property
    def authority(self) -> str:
        """The `:authority` of requests: without the default port, an IPv6 address in brackets.

        RFC 6874 §4: a client "MUST remove any ZoneID attached to an outgoing URI".
        """
        host = self.host.partition("%")[0]
        return bracketed(host) if self.port == DEFAULT_PORTS[self.scheme] else host_and_port(host, self.port)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_url(url: Url, *, default_scheme: str = "https") -> Origin:
    """Reads the origin out of *url*; user-info, path, query and fragment are ignored.

    Args:
        url: `"https://host:port/…"`, or a bare `"host:port"`; or an object, see `HasScheme`.
        default_scheme: The scheme of a *url* that names none.

    Raises:
        TypeError: *url* or *default_scheme* is neither text nor (for *url*) an object that is one.
        ValueError: *url* or *default_scheme* is not right; the message names the value and what is allowed.
    """
    url = url_text(url)
    if not isinstance(default_scheme, str):
        raise TypeError(f"the default scheme must be a str, not {type(default_scheme).__name__}")
    if default_scheme not in DEFAULT_PORTS:
        raise ValueError(f"bad scheme {default_scheme!r}: only 'http' and 'https' are possible")
    if _UNSAFE.search(url):
        _refuse(url, "white space and control characters are not allowed")

    scheme, rest, has_scheme = default_scheme, url, False
    if match := _SCHEME.match(url):
        scheme, rest, has_scheme = match[1].lower(), url[match.end() :], True
        if scheme not in DEFAULT_PORTS:
            _refuse(url, f"the scheme must be http or https, not {match[1]!r}")
    elif url.startswith("//"):
        rest, has_scheme = url[2:], True
    host, port = _split_authority(url, re.split(r"[/?#]", rest, maxsplit=1)[0], has_scheme=has_scheme)
    return Origin(scheme, host, DEFAULT_PORTS[scheme] if port is None else port)


def _refuse(url: str, why: str, *, cause: Exception | None = None) -> NoReturn:
    raise ValueError(f"bad URL {shown_url(url)}: {why}") from cause


def _split_authority(url: str, authority: str, *, has_scheme: bool) -> tuple[str, int | None]:
    if "\\" in authority:
        # Browsers end the authority there and other clients do not: two readers would see two hosts.
        _refuse(url, "a backslash is not allowed before the path")
    user_info, _, host_port = authority.rpartition("@")
    if not has_scheme and ":" in user_info:
        # "user:password@host" and "mailto:user@host" look the same.
        _refuse(url, "write the scheme too, as in 'https://user:password@host'")
    if host_port.startswith("["):
        literal, bracket, tail = host_port[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            _refuse(url, "an IPv6 address must look like [::1] or [::1]:8443")
        return _ipv6(url, literal), _port(url, tail[1:])
    host, colon, port = host_port.partition(":")
    if ":" in port:
        _refuse(url, "more than one colon: an IPv6 address must be in brackets, as in [::1]:8443")
    if not has_scheme and colon and (not port or host.lower() in DEFAULT_PORTS):
        # Not "http:/host" or "https:8443" for a machine called "http".
        _refuse(url, "it must look like 'https://host:port', 'http://host:port' or 'host:port'")
    return _host(url, host), _port(url, port)


def _port(url: str, text: str) -> int | None:
    if not text:  # RFC 3986 §3.2.3: an empty port means the default one.
        return None
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    if not 1 <= len(digits) <= 5 or int(digits) > 65535:
        _refuse(url, f"the port must be a number from 1 to 65535, not {text!r}")
    return int(digits)


def _ipv6(url: str, literal: str) -> str:
    # RFC 6874 §2 writes the percent sign before a zone as %25; people also write it bare.
    address, percent, zone = literal.partition("%")
    zone = zone.removeprefix("25") if len(zone) > 2 else zone
    if percent and not re.fullmatch(r"[A-Za-z0-9._~-]+", zone):
        _refuse(url, f"{zone!r} is not the zone of an IPv6 address")
    try:
        return str(IPv6Address(address)) + percent + zone
    except AddressValueError as exc:
        _refuse(url, f"{address!r} is not an IPv6 address", cause=exc)


def _host(url: str, host: str) -> str:
    if not host:
        _refuse(url, "it names no host; it must look like 'https://host:port'")
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as exc:
            _refuse(url, f"{host!r} is not an international host name: {exc}", cause=exc)
    host = host.lower()
    if not _HOST.fullmatch(host):
        _refuse(url, f"the host {host!r} may hold only letters, digits, '-', '_' and '.'")
    labels = host.removesuffix(".").split(".")
    if len(host.removesuffix(".")) > _MAX_HOST or not all(1 <= len(label) <= _MAX_LABEL for label in labels):
        # RFC 1035 §2.3.4; the resolver would raise a UnicodeError for these.
        _refuse(url, f"a host has at most {_MAX_HOST} characters, and 1 to {_MAX_LABEL} between two dots")
    if labels[-1].isdigit():
        # No top-level domain is a number, but resolvers read "1.2.3" as 1.2.0.3 and "2130706433" as
        # 127.0.0.1.
        try:
            return str(IPv4Address(host))
        except AddressValueError as exc:
            _refuse(url, f"{host!r} is not an IPv4 address", cause=exc)
    return host
