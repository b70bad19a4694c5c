"""What the words of a command line ask for: URLs, header fields and trust, checked before anything is sent."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import trio_h2

from .._url import request_target
from .._util import bracketed
from ._errors import CommandError, UsageError, reason

if TYPE_CHECKING:
    import ssl

_SCHEME = re.compile(r"[^/?#]*://")
_PROXY_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)  # a password may have "://" in it, too
_PORTS = {"http": 80, "https": 443}  # what an origin leaves out
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class Target:
    """Where one request goes."""

    url: str
    """As it was given."""
    origin: str
    """Scheme, host and port: targets with the same one share a session."""
    path: str
    """Path and query, percent-encoded."""

    @property
    def is_tls(self) -> bool:
        """Whether the session is to be encrypted."""
        return self.origin.startswith("https://")

    @property
    def whole(self) -> str:
        """The URL as a request names it."""
        return self.origin + self.path

    @property
    def file_name(self) -> str:
        """What `-O` calls a file with its body: the end of the path, in which no other folder can hide.

        Raises:
            UsageError: there is none, or none that can be used.
        """
        try:
            name = unquote(self.path.partition("?")[0].rpartition("/")[2], errors="strict")
        except UnicodeDecodeError:
            name = ""
        if name in ("", ".", "..") or not name.isprintable() or any(sign in name for sign in "/\\:"):
            raise UsageError(f"-O: the URL {self.url} does not end with the name of a file; -o FILE gives one")
        return name


def parse_target(url: str) -> Target:
    """Reads a URL; without a scheme it is an https one.

    Raises:
        UsageError: it is not right.
    """
    full = url if _SCHEME.match(url) else f"https://{url.removeprefix('//')}"
    try:
        parts = urlsplit(full)
        scheme = parts.scheme.lower()
        # This only checks the URL: nothing is done before the block is entered. As an http one, it needs no CAs.
        trio_h2.connect(f"http{full[5:]}" if scheme == "https" else full)
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        raise UsageError(str(exc)) from exc
    if "@" in parts.netloc:
        raise UsageError(f"no user name or password in a URL, please: send -H 'authorization: …' to {host}")
    path = quote(request_target(full), safe=_ASCII)
    origin = f"{scheme}://{bracketed(host)}"
    if port is not None and port != _PORTS[scheme]:
        origin += f":{port}"
    return Target(url, origin, path)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and who we are to it."""

    target: Target
    credentials: tuple[str, str] | None


def parse_proxy(url: str) -> Proxy:
    """Reads the URL of a proxy, perhaps with user name and password; without a scheme it is an https one.

    Raises:
        UsageError: it is not right.
    """
    found = _PROXY_SCHEME.match(url)
    scheme = found[0] if found is not None else ""
    user_info, at, host = url.removeprefix(scheme or "//").rpartition("@")
    target = parse_target(scheme + host)
    if target.path != "/":
        raise UsageError(f"--proxy takes a URL without a path, not {scheme}{host}")
    if not at:
        return Proxy(target, None)
    user, _, password = user_info.partition(":")
    try:
        user, password = unquote(user, errors="strict"), unquote(password, errors="strict")
    except UnicodeDecodeError:
        raise UsageError("--proxy: user name and password must be UTF-8, percent-encoded") from None
    if ":" in user:  # RFC 7617 §2
        raise UsageError(f"--proxy: a user name cannot have a colon in it, like {user!r}")
    return Proxy(target, (user, password))


def parse_headers(lines: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Reads header fields of the form ``name: value``.

    Raises:
        UsageError: one is not right.
    """
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"a header field must look like 'name: value', not {line!r}")
        fields.append((name, os.fsencode(value.strip(" \t"))))
    try:
        trio_h2.Headers(fields)
    except ValueError as exc:
        raise UsageError(str(exc)) from exc
    return fields


def parse_user(user: str) -> bytes:
    """Returns the value of ``authorization`` for a user and a password (RFC 7617 §2)."""
    return b"Basic " + base64.b64encode(os.fsencode(user))


def trusting(ca: str | None, *, insecure: bool, allow_http1: bool = True) -> ssl.SSLContext:
    """Makes the context for `--ca` and `--insecure`.

    Raises:
        CommandError: the file of authorities is no good.
    """
    try:
        return trio_h2.client_ssl_context(ca, verify=not insecure, allow_http1=allow_http1)
    except ValueError as exc:
        raise CommandError(str(exc)) from exc
    except OSError as exc:
        raise CommandError(f"cannot read {ca}: {reason(exc)}") from exc
