"""The head of an HTTP/1.1 request, as HTTP/2 would have said it (RFC 9112 §3, RFC 9113 §8.3.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .._checks import CONNECTION_SPECIFIC, NOT_FOR_APPLICATIONS
from .._wire._fields import NOT_IN_TRAILERS, MalformedMessageError, check_request, check_trailers, field_section_size
from .._wire._headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._wire._config import SessionConfig
    from .._wire._headers import RawField

_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)", re.DOTALL)
_DROPPED: Final = NOT_FOR_APPLICATIONS | {b"host", b"te"}
_USUAL: Final = frozenset((b"keep-alive", b"close"))
"""Values of ``connection`` that name no field but those which are dropped anyway."""
_STAYS: Final = frozenset((b"content-length",))
"""What frames the body stays, whatever a client says of it."""
_NO_HOST: Final = b"no-host.invalid"


class BadMessageError(Exception):
    """Internal: the client sent what is no HTTP, or too much of it; becomes an answer with *status*, and the end."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.fields: list[RawField] = []
        """What could be read of the request."""


@dataclass(slots=True)
class RequestHead:
    """What the head of a request says."""

    headers: Headers
    """With pseudo-headers, without what is about the connection."""
    version: str
    """``"1.1"`` or ``"1.0"``."""
    method: bytes
    bodiless: bool
    """Nothing follows: no body, no trailers, no tunnel."""
    connection_fields: list[RawField]
    """What was left out of *headers*: for whoever switches protocols."""
    dropped: frozenset[bytes]
    """The names of the fields that were left out, in lower case."""
    spelled: Callable[[], Sequence[RawField]]
    """Returns all fields, with names as the client has spelled them."""
    spelled_trailers: Callable[[], Sequence[RawField]] = list
    """Likewise, the trailers."""

    def raw_headers(self) -> list[RawField]:
        """Returns what *headers* has, with names as the client has spelled them."""
        fields = [(name, value) for name, value in self.headers.raw if name[:1] == b":"]
        spelled = self.spelled()
        fields += [(name, value) for name, value in spelled if name.lower() not in self.dropped]
        if "te" in self.headers:
            fields.append((next(name for name, _ in spelled if name.lower() == b"te"), b"trailers"))
        return fields

    def raw_trailers(self) -> list[RawField]:
        """Returns the trailers that were kept, with names as the client has spelled them."""
        unwanted = self.dropped | NOT_IN_TRAILERS
        return [(name, value) for name, value in self.spelled_trailers() if name.lower() not in unwanted]


def request_head(
    method: bytes,
    target: bytes,
    version: bytes,
    raw: Sequence[RawField],
    spelled: Callable[[], Sequence[RawField]],
    *,
    scheme: bytes,
    config: SessionConfig,
) -> RequestHead:
    """Returns the head of a request, checked as one of HTTP/2 is.

    Args:
        method: from the request line.
        target: likewise: path, URL, ``*`` or ``host:port``.
        version: likewise, as in ``b"1.1"``.
        raw: the fields, names in lower case.
        spelled: returns them with names as the client has spelled them.
        scheme: of the transport: ``https`` or ``http``.
        config: the limits.

    Raises:
        BadMessageError: something is wrong with it.
    """
    if not b"1.0" <= version <= b"1.9":
        raise BadMessageError(505, "the version is not HTTP/1.1 or HTTP/1.0")
    old = version == b"1.0"
    names = [name for name, _ in raw]
    if len(raw) + 3 > config.max_header_fields:  # the four pseudo-headers count, and one is made of host
        raise BadMessageError(431, f"more fields than {config.named('max_header_fields')}")
    if b"transfer-encoding" in names:
        # RFC 9112 §6.1: a message with both "might indicate an attempt to perform request smuggling", and one from
        # HTTP/1.0 must be treated "as if the framing is faulty".
        if b"content-length" in names:
            raise BadMessageError(400, "both transfer-encoding and content-length")
        if old:
            raise BadMessageError(400, "transfer-encoding in HTTP/1.0")
    host = next((value for name, value in raw if name == b"host"), b"")
    fields = [(b":method", method), *_target_fields(method, target, scheme, host)]
    dropped = _DROPPED if b"connection" not in names else _DROPPED | _connection_options(raw)
    fields += [(name, value) for name, value in raw if name not in dropped]
    if any(name == b"te" and b"trailers" in value.lower() for name, value in raw):
        fields.append((b"te", b"trailers"))
    if field_section_size(fields) > config.max_header_list_size:
        raise BadMessageError(431, f"more bytes of fields than {config.named('max_header_list_size')}")
    nameless = old and b"host" not in names and not any(name == b":authority" and value for name, value in fields)
    chunked = b"transfer-encoding" in names
    if method == b"CONNECT" and (chunked or b"content-length" in names):
        raise BadMessageError(400, "a CONNECT with content")  # RFC 9110 §9.3.6: it "does not have content"
    if nameless:  # RFC 9112 §3.2 asks for Host in HTTP/1.1 only
        fields = [field for field in fields if field[0] != b":authority"]
    try:
        checked = check_request([*fields[:1], (b":authority", _NO_HOST), *fields[1:]] if nameless else fields)
    except MalformedMessageError as exc:
        raise BadMessageError(400, exc.reason) from None
    bodiless = not (chunked or checked.content_length or method == b"CONNECT")
    left_out = [(name, value) for name, value in raw if name in CONNECTION_SPECIFIC]
    return RequestHead(
        Headers.from_raw(list(fields)), "1.0" if old else "1.1", method, bodiless, left_out, dropped, spelled
    )


def request_trailers(raw: Sequence[RawField], head: RequestHead, config: SessionConfig) -> Headers | None:
    """Returns the trailers of a request, checked as those of HTTP/2 are; ``None`` if there are none.

    Args:
        raw: the fields, names in lower case.
        head: of the request.
        config: the limits.

    Raises:
        BadMessageError: something is wrong with them.
    """
    try:
        check_trailers(raw)
    except MalformedMessageError as exc:
        raise BadMessageError(400, exc.reason) from None
    if len(raw) > config.max_header_fields:
        raise BadMessageError(431, f"more trailers than {config.named('max_header_fields')}")
    if field_section_size(raw) > config.max_header_list_size:
        raise BadMessageError(431, f"more bytes of trailers than {config.named('max_header_list_size')}")
    kept = [(name, value) for name, value in raw if name not in head.dropped and name not in NOT_IN_TRAILERS]
    return Headers.from_raw(kept) if kept else None


def _connection_options(raw: Sequence[RawField]) -> frozenset[bytes]:
    """Returns the names of the fields that concern this connection alone.

    RFC 9110 §7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and,
    for each connection-option in this field, remove any header or trailer field(s) from the message with the same name
    as the connection-option".
    """
    value = b",".join([value for name, value in raw if name == b"connection"]).lower()
    if value in _USUAL:
        return frozenset()
    return frozenset([one.strip(b" \t") for one in value.split(b",")]) - _STAYS


def _target_fields(method: bytes, target: bytes, scheme: bytes, host: bytes) -> list[RawField]:
    """Returns scheme, authority and path, whichever form the target has (RFC 9112 §3.2)."""
    if method == b"CONNECT":
        return [(b":authority", target)]
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return [(b":scheme", scheme), (b":authority", host), (b":path", target)]
    # RFC 9112 §3.2.2: an origin server "MUST ignore the received Host header field (if any) and instead replace it with
    # the host information of the request-target".
    named, authority, path = absolute.groups()
    if not path.startswith(b"/"):
        path = (b"*" if method == b"OPTIONS" and not path else b"/") + path  # RFC 9112 §3.2.4
    return [(b":scheme", named.lower()), (b":authority", authority), (b":path", path)]
