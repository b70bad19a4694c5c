"""Other places to find an origin at, and other origins at this place: ALTSVC (RFC 7838), ORIGIN (RFC 8336).

What a server announces with them is state of nobody but the client that believes it: a session reports it, and keeps
the origin set only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

import idna

from .._address import parse_url
from .._field_docs import describe_fields
from .._url import Url
from .._values import Value
from .._wire._extframes import altsvc_payload
from .._wire._fields import parse_authority

_URL = re.compile(r"(https?)://(?:[^/?#@]*@)?([^/?#@]+)", re.ASCII | re.IGNORECASE)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_ORIGINS = 1000
"""Origins that a client keeps of one session; a server could name any number of them."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AltSvcReceived(Value):
    """The server named alternative services (RFC 7838 §4).

    Attributes:
        alt: the ``Alt-Svc`` field value as it came, e.g. ``'h2=":8000"'``, or ``"clear"``.
        origin: the origin they are for, ``""`` if it is that of the stream's request.
        stream_id: that stream, or 0.
    """

    alt: str
    origin: str
    stream_id: int


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OriginReceived(Value):
    """The server named origins that it answers for on this session (RFC 8336); only on TLS.

    Attributes:
        origins: the entries of the frame as they came, in order.
    """

    origins: list[str]


class HasOrigin(Protocol):
    """Anything that knows its origin."""

    @property
    def origin(self) -> str:
        """The origin, or a URL that has it."""


OriginLike: TypeAlias = Url | HasOrigin
"""A URL whose origin counts, as `connect` takes it, or an object with an ``origin`` that is one."""


def named_origin(url: OriginLike) -> str:
    """Returns the ASCII origin of a URL that an application names: ``https://example.org`` for ``"example.org:443/"``.

    Raises:
        TypeError: *url* is no URL, and has no ``origin`` that is one.
        ValueError: it is not one that `connect` would take.
    """
    if isinstance(url, str):
        return str(parse_url(url))
    if isinstance(getattr(url, "scheme", None), str):
        return str(parse_url(cast("Url", url)))
    origin: object = getattr(url, "origin", None)
    if not isinstance(origin, str):
        raise TypeError(f"an origin must be a URL, as text or an object, or have an origin that is one, not {url!r}")
    return str(parse_url(origin))


def origin_of(text: str) -> str:
    """Returns the ASCII origin of a URL that a peer names: ``https://example.org`` for ``https://example.org:443/foo``.

    RFC 6454 §6.2. Unlike an application, a peer must say the scheme.

    Raises:
        ValueError: it has no origin: it must begin with ``http://`` or ``https://`` and a host.
    """
    match = _URL.match(text)
    if match is None or _UNSAFE.search(text):
        raise ValueError(f"{text!r} has no origin: that is http:// or https://, a host, and perhaps a port")
    scheme = match[1].lower()
    host, colon, port = match[2].rpartition(":")
    if not colon or port.endswith("]"):
        host, port = match[2], ""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as exc:
            raise ValueError(f"{text!r} has no origin: {exc}") from exc
    authority = parse_authority(f"{host}:{port}".lower().encode("utf-8") if port else host.lower().encode("ascii"))
    if authority is None or not authority[0]:
        raise ValueError(f"{text!r} has no origin: its host or port is malformed")
    host, number = authority[0].decode("ascii"), authority[1]
    return f"{scheme}://{host}" if number in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{number}"


def encode_origins(origins: Iterable[OriginLike]) -> list[bytes]:
    """Returns the origins of several URLs as ORIGIN carries them; raises like `named_origin`."""
    if isinstance(origins, str) or not isinstance(origins, Iterable):
        raise TypeError(f"origins must be several, as in [{origins!r}]")
    return [named_origin(origin).encode("ascii") for origin in origins]


def encode_altsvc(alt: str, origin: str, limit: int) -> bytes:
    """Returns the payload of an ALTSVC frame, at most *limit* bytes.

    Raises:
        TypeError: *alt* is no str.
        ValueError: *alt* is not ASCII, or too long.
    """
    if not isinstance(alt, str):
        raise TypeError(f"alt must be a str, not {alt!r}")
    if not alt.isascii():
        raise ValueError(f"alt must be ASCII, not {alt!r}")
    payload = altsvc_payload(alt.encode("ascii"), origin.encode("ascii"))
    if len(payload) > limit:
        raise ValueError(f"alt and origin are too long for one frame: {len(payload)} bytes of at most {limit}")
    return payload


class OriginSet:
    """For which origins a server answers on one session (RFC 8336 §2.3): its own at first."""

    def __init__(self, own: str) -> None:
        self._origins = {own: None}
        self.received: bool = False
        """Whether an ORIGIN frame has come."""

    def add(self, entries: Iterable[str]) -> None:
        """Takes the entries of a received ORIGIN frame; RFC 8336 §2.2: one that is no origin is passed over."""
        self.received = True
        for entry in entries:
            try:
                origin = origin_of(entry)
            except ValueError:
                continue
            if len(self._origins) < MAX_ORIGINS:
                self._origins[origin] = None

    def misdirected(self, url: str) -> None:
        """A request for *url* was answered with 421: the server does not answer for its origin after all."""
        with contextlib.suppress(ValueError):
            self._origins.pop(origin_of(url), None)

    def __contains__(self, origin: str) -> bool:
        try:
            return origin_of(origin) in self._origins
        except ValueError:
            return False

    def speaks_for(self, scheme: bytes, authority: bytes) -> bool:
        """Whether the server answers for this ``:scheme`` and ``:authority`` (RFC 9113 §8.4, RFC 8336 §2.4)."""
        return f"{scheme.decode('latin-1')}://{authority.decode('latin-1')}" in self

    def as_list(self) -> list[str]:
        """Returns the origins, the session's own one first."""
        return list(self._origins)
