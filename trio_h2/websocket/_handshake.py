"""The fields of the opening handshake (RFC 6455 §4, RFC 8441 §5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

import trio_h2

from .._checks import CONNECTION_SPECIFIC
from ._errors import WebSocketHandshakeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._extensions import Agreement

OriginCheck: TypeAlias = Callable[[str], bool]
"""What says whether pages of an origin may open a WebSocket; ``""`` is a client that tells no origin."""

VERSION: Final = "13"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_OURS: Final = {"content-length", *(name.decode() for name in CONNECTION_SPECIFIC)}


@dataclass(frozen=True, slots=True)
class Opening:
    """What the opening handshake said."""

    path: str
    headers: trio_h2.Headers
    """Of the other side."""
    subprotocol: str | None
    agreement: Agreement | None
    """How both sides compress, if they do."""


class RefusalError(WebSocketHandshakeError):
    """Internal: a server refuses the handshake, with a status and a sentence for the client."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def checked_subprotocols(subprotocols: Iterable[str]) -> list[str]:
    """Returns the names as a list.

    Raises:
        TypeError: it is a single `str`, or something in it is none.
        ValueError: a name is no token, or there twice.
    """
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols must be an iterable of names, not one str")
    names = list(subprotocols)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the name of a subprotocol must be a str, not {name!r}")
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"the name of a subprotocol must be a word like 'chat.v2', not {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"a subprotocol is named twice: {names}")
    return names


def checked_headers(headers: trio_h2.HeadersInput | None, *, client: bool) -> trio_h2.Headers:
    """Returns further fields for one side of the handshake.

    Raises:
        TypeError, ValueError: a field is not allowed.
    """
    fields = trio_h2.Headers({} if headers is None else headers)
    pseudo = (":authority", ":scheme") if client else ()
    for name in fields:
        if name in _NOT_OURS:
            # RFC 9110 §9.3.6: a server "MUST NOT send any Transfer-Encoding or Content-Length header fields in a 2xx
            # (Successful) response to CONNECT". The others are about one connection of HTTP/1.1.
            raise ValueError(f"header field {name!r} cannot stand in the handshake of a WebSocket")
        if name.startswith("sec-websocket-") or (name.startswith(":") and name not in pseudo):
            raise ValueError(f"header field {name!r} belongs to the handshake; there are arguments for what it says")
    return fields


def offered_subprotocols(headers: trio_h2.Headers) -> list[str]:
    """Returns the names in ``sec-websocket-protocol``, in order.

    Raises:
        ValueError: it is malformed. RFC 6455 §4.1: the elements "MUST all be unique strings".
    """
    names = [name.strip() for value in headers.get_all("sec-websocket-protocol") for name in value.split(",")]
    if len(set(names)) < len(names) or not all(_TOKEN.fullmatch(name) for name in names):
        raise ValueError("sec-websocket-protocol is malformed")
    return names


def origin_check(allowed: OriginCheck | Iterable[str] | None) -> OriginCheck | None:
    """Returns a function that tells whether an origin may connect; ``None`` stands for the server's own.

    Raises:
        TypeError: it is neither a function nor an iterable of origins.
    """
    if allowed is None or callable(allowed):
        return allowed
    if isinstance(allowed, str):
        raise TypeError("check_origin must be an iterable of origins like 'https://example.com', not one str")
    origins = set(allowed)
    for origin in origins:
        if not isinstance(origin, str):
            raise TypeError(f"an origin must be a str, not {origin!r}")
    known = {origin.lower().rstrip("/") for origin in origins}
    return lambda origin: origin.lower() in known


def is_own_origin(origin: str, scheme: str, authority: str) -> bool:
    """Whether a page of *origin* comes from the same host and port as the WebSocket that it opens.

    A page that came in the clear is none of a server with TLS, since anybody on its way may have written it. The
    reverse holds for servers behind a proxy that takes TLS off.
    """
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    if page.scheme not in ("http", "https") or (page.scheme, scheme) == ("http", "https") or not authority:
        return False
    default = ":443" if page.scheme == "https" else ":80"
    return page.netloc.lower().removesuffix(default) == authority.lower().removesuffix(default)
