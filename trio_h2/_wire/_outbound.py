"""From what a user wants to send to fields that may be sent (RFC 9113 §§8.2–8.5, RFC 9110 §§5–8).

Everything is checked here, before the protocol engine sees it: an error inside its HPACK encoder would leave
the dynamic table out of step with the peer's and break the session at the next message. For the same reason
the results are whole lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._checks import NOT_FOR_APPLICATIONS
from ._fields import (
    NOT_IN_TRAILERS,
    REQUEST_PSEUDO,
    RESPONSE_PSEUDO,
    is_connect_target,
    is_path,
    is_scheme,
    needs_authority,
    parse_authority,
    parse_length,
    same_authority,
)
from ._headers import Headers, HeadersInput, RawField, encode_fields, encode_value, is_token, show_name
from ._hpack import NeverIndexedHeaderTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_PSEUDO: Final[frozenset[bytes]] = frozenset()

#: What HTTP/2 has instead of a field that applications do not set.
_INSTEAD: Final = {
    b"transfer-encoding": "HTTP/2 frames every body itself, with or without a content-length",
    b"upgrade": "HTTP/2 has no upgrade; the extended CONNECT method (':protocol') takes its place",
    b"http2-settings": "HTTP/2 sends its settings in frames",
}

#: RFC 7541 §7.1.3 asks to protect credentials, and short secrets above all: those can be guessed by compression.
_ALWAYS_SECRET: Final = frozenset((b"authorization", b"proxy-authorization"))
_SECRET_IF_SHORT: Final = frozenset((b"cookie", b"set-cookie"))
_SHORT: Final = 20

_MAX_REMEMBERED_FIELDS: Final = 24
_MAX_REMEMBERED_SIZE: Final = 1024
_PLAIN_NAMES: Final = frozenset((str,))
_PLAIN_VALUES: Final = frozenset((str, int, bytes))


def request_fields(
    method: str,
    path: str | None,
    scheme: str | None,
    authority: str | None,
    headers: HeadersInput | None,
) -> list[RawField]:
    """Returns the fields of a request, pseudo-headers first.

    Pseudo-headers in *headers* win over *scheme* and *authority*, which are the session's, and over a *path*
    that is `None` or ``/``; but they may not contradict *method* or any other *path*. A ``host`` field stands
    for ``:authority``, into which it is turned. A CONNECT without ``:protocol`` has neither scheme nor path:
    *scheme* is left out, and *authority* must be ``host:port``. (Pass `None` for *authority* where the
    session's must not be the target.)

    Args:
        method: Case-sensitive, like ``GET``.
        path: Path and query, percent-encoded; `None` for ``/``.
        scheme: Used unless *headers* has ``:scheme``.
        authority: Used unless *headers* has ``:authority`` or ``host``.
        headers: The other fields, and perhaps pseudo-headers.

    Raises:
        TypeError: A name or a value has the wrong type.
        ValueError: A field is not allowed, malformed, missing, or contradicts another.
    """
    pseudo, fields = _sort_out({} if headers is None else headers, REQUEST_PSEUDO, "a request")
    given_method = _pseudo_value(b":method", method)
    if pseudo.setdefault(b":method", given_method) != given_method:
        raise ValueError("':method' in the headers contradicts the method of the request")
    if not is_token(given_method):
        raise ValueError(f"method {method!r} is not allowed: a method is a word like GET, without spaces")
    protocol = pseudo.get(b":protocol")
    if given_method == b"CONNECT":
        # RFC 9110 §9.3.6: a CONNECT has no content; what is sent on it belongs to the tunnel.
        if any(name == b"content-length" for name, _ in fields):
            raise ValueError("header field 'content-length' is not allowed in a CONNECT: a tunnel has no length")
    elif protocol is not None:
        raise ValueError("':protocol' is for the method CONNECT only (RFC 8441)")
    if protocol is not None and not is_token(protocol):
        raise ValueError("':protocol' must be a word like websocket")

    given_path = None if path is None else _pseudo_value(b":path", path)
    if given_path not in (None, b"/", pseudo.get(b":path", given_path)):
        raise ValueError("':path' in the headers contradicts the path of the request")
    if given_method == b"CONNECT" and protocol is None:
        # RFC 9113 §8.5: "The ':scheme' and ':path' pseudo-header fields MUST be omitted."
        if b":scheme" in pseudo or b":path" in pseudo or given_path not in (None, b"/"):
            raise ValueError("a CONNECT has no ':scheme' and no ':path', only ':authority' (host:port)")
        fields = _settle_authority(pseudo, fields, b"", authority)
        if not is_connect_target(pseudo.get(b":authority", b"")):
            raise ValueError("a CONNECT needs the ':authority' it is to reach, as host:port")
        return _finish((b":method", b":authority"), pseudo, fields, headers)

    if scheme is not None:
        pseudo.setdefault(b":scheme", _pseudo_value(b":scheme", scheme))
    given_scheme = pseudo.get(b":scheme", b"")
    if not is_scheme(given_scheme):
        raise ValueError("':scheme' is missing or not allowed: it is a word like https")
    target = pseudo.setdefault(b":path", b"/" if given_path is None else given_path)
    if not (target.isascii() and is_path(target, given_method)):
        raise ValueError(
            "':path' must begin with '/' and be percent-encoded ASCII without spaces and '#' (or '*' for OPTIONS)",
        )
    fields = _settle_authority(pseudo, fields, given_scheme, authority)
    host = parse_authority(pseudo.get(b":authority", b""))
    if not (host and host[0]) and (needs_authority(given_scheme) or protocol is not None):
        raise ValueError("':authority' is missing or without a host: it is host or host:port")
    return _finish((b":method", b":scheme", b":authority", b":path", b":protocol"), pseudo, fields, headers)


def response_fields(headers: HeadersInput | int | None) -> list[RawField]:
    """Returns the fields of a final response, ``:status`` (200 unless given) first.

    Args:
        headers: The fields, perhaps with ``:status``; or a status alone.

    Raises:
        TypeError: A name or a value has the wrong type.
        ValueError: A field is not allowed or malformed, or the status is not from 200 to 999.
    """
    if isinstance(headers, bool):
        raise TypeError("the headers of a response, or its status, cannot be a bool")
    if isinstance(headers, int):
        headers = {":status": headers}
    pseudo, fields = _sort_out({} if headers is None else headers, RESPONSE_PSEUDO, "a response")
    status = pseudo.setdefault(b":status", b"200")
    # RFC 9110 §15: more than 599 is "invalid", but a gateway passes on what it has received.
    if not (len(status) == 3 and status.isdigit() and b"200" <= status <= b"999"):
        hint = "; send_informational() sends 1xx" if status[:1] == b"1" else ""
        raise ValueError(
            f"':status' of a final response must be a number from 200 to 999, not {show_name(status)}{hint}"
        )
    if status == b"204":
        _refuse_length(fields, "in a 204 response, which has no body")
    return _finish((b":status",), pseudo, fields, headers)


def informational_fields(status: int, headers: HeadersInput | None) -> list[RawField]:
    """Returns the fields of an interim response (1xx).

    Raises:
        TypeError: A name or a value has the wrong type.
        ValueError: The status is 101 or not from 100 to 199, or a field is not allowed or malformed.
    """
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"the status must be an int, not {type(status).__name__}")
    if not 100 <= status <= 199:
        raise ValueError(f"the status of an informational response must be from 100 to 199, not {status}")
    if status == 101:
        # RFC 9113 §8.6: "HTTP/2 removes support for the 101 (Switching Protocols) informational status code".
        raise ValueError("status 101 does not exist in HTTP/2; the extended CONNECT method takes its place")
    pseudo, fields = _sort_out({} if headers is None else headers, RESPONSE_PSEUDO, "an informational response")
    encoded = b"%d" % status
    if pseudo.setdefault(b":status", encoded) != encoded:
        raise ValueError("':status' in the headers contradicts the status of the informational response")
    _refuse_length(fields, "in an informational response, which has no body")
    return _finish((b":status",), pseudo, fields, headers)


def trailer_fields(headers: HeadersInput) -> list[RawField]:
    """Returns the fields of a trailer section.

    Raises:
        TypeError: A name or a value has the wrong type.
        ValueError: A field is not allowed, as every pseudo-header, or malformed.
    """
    _, fields = _sort_out(headers, _NO_PSEUDO, "trailers")
    for name, _ in fields:
        if name in NOT_IN_TRAILERS:
            raise ValueError(f"header field {show_name(name)} is not allowed in trailers: send it with the headers")
    return _finish((), {}, fields, headers)


def content_length_of(fields: Iterable[RawField]) -> int | None:
    """Returns the content-length in *fields*, or `None` if there is none.

    Raises:
        ValueError: It is not a number, or repeated with another value.
    """
    length: int | None = None
    for name, value in fields:
        if name == b"content-length":
            number = parse_length(value)
            if number is None:
                raise ValueError("header field 'content-length' must be a number of bytes, in decimal digits")
            if length is not None and length != number:
                raise ValueError("header field 'content-length' is repeated with another value")
            length = number
    return length


def plain_key(headers: object) -> tuple[object, ...] | None:
    """Returns what tells headers apart by which something may be remembered; ``None`` for what is not.

    The types belong to it: `True` is refused as a value, but equals 1. And names in bytes hash like those in `str`,
    though ``python -bb`` does not let the two be compared.
    """
    if type(headers) is dict:
        names: Iterable[object] = headers
        types = tuple(map(type, headers.values()))
        items: Iterable[object] = headers.items()
    elif type(headers) is list or type(headers) is tuple:
        if not all(type(pair) is tuple and len(pair) == 2 for pair in headers):
            return None
        names = [name for name, _ in headers]
        types = tuple([type(value) for _, value in headers])
        items = headers
    elif type(headers) is Headers:  # which a gateway passes on again and again
        raw = headers.raw
        plain = len(raw) <= _MAX_REMEMBERED_FIELDS and all(type(field) is tuple for field in raw)
        return (Headers, *raw) if plain else None
    else:
        return (type(headers), headers) if headers is None or type(headers) is int else None
    if len(types) > _MAX_REMEMBERED_FIELDS or not _PLAIN_NAMES.issuperset(map(type, names)):
        return None
    return (types, *items) if _PLAIN_VALUES.issuperset(types) else None


def may_be_remembered(fields: Iterable[RawField]) -> bool:
    """Whether fields are few and short, and none of them is a secret."""
    size = 0
    for field in fields:
        if isinstance(field, NeverIndexedHeaderTuple) or field[0] in _SECRET_IF_SHORT:
            return False
        size += len(field[0]) + len(field[1])
    return size <= _MAX_REMEMBERED_SIZE


def _sort_out(
    headers: HeadersInput,
    known: frozenset[bytes],
    where: str,
) -> tuple[dict[bytes, bytes], list[RawField]]:
    """Returns the pseudo-headers and the other fields, each checked by itself."""
    pseudo: dict[bytes, bytes] = {}
    fields: list[RawField] = []
    has_length = False
    for field in encode_fields(headers):
        name, value = field
        if name[:1] == b":":
            if name not in known:
                allowed = ", ".join(sorted(map(repr, (name.decode("ascii") for name in known)))) or "none"
                raise ValueError(f"pseudo-header {show_name(name)} is not allowed in {where} (allowed: {allowed})")
            if name in pseudo:
                raise ValueError(f"pseudo-header {show_name(name)} is given twice")
            pseudo[name] = value
            continue
        if name in NOT_FOR_APPLICATIONS:
            hint = _INSTEAD.get(name, "HTTP/2 manages the connection itself")
            raise ValueError(f"header field {show_name(name)} is not allowed in HTTP/2: leave it out; {hint}")
        if name == b"te" and value.lower() != b"trailers":
            raise ValueError("header field 'te' may only be 'trailers' in HTTP/2")
        has_length = has_length or name == b"content-length"
        if name in _ALWAYS_SECRET or (name in _SECRET_IF_SHORT and len(value) < _SHORT):
            field = NeverIndexedHeaderTuple(name, value)
        fields.append(field)
    if has_length:
        content_length_of(fields)
    return pseudo, fields


def _pseudo_value(name: bytes, value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{show_name(name)} must be str, not {type(value).__name__}")
    return encode_value(name, value)


def _settle_authority(
    pseudo: dict[bytes, bytes],
    fields: list[RawField],
    scheme: bytes,
    authority: str | None,
) -> list[RawField]:
    """Puts ``:authority`` in place and takes ``host`` away, which may say the same but nothing else.

    RFC 9113 §8.3.1: "Clients that generate HTTP/2 requests directly MUST use the ':authority' pseudo-header
    field to convey authority information", and "MUST NOT generate a request with a Host header field that
    differs from" it.
    """
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1:
        raise ValueError("header field 'host' is given twice")
    if hosts:
        if not same_authority(pseudo.setdefault(b":authority", hosts[0]), hosts[0], scheme):
            raise ValueError("header field 'host' contradicts ':authority'; leave it out")
        fields = [field for field in fields if field[0] != b"host"]
    elif authority is not None:
        pseudo.setdefault(b":authority", _pseudo_value(b":authority", authority))
    chosen = pseudo.get(b":authority")
    if chosen == b"":
        del pseudo[b":authority"]  # nothing to convey; whether something was needed is judged by the caller
    elif chosen is not None and parse_authority(chosen) is None:
        raise ValueError("':authority' must be host or host:port in ASCII, without user name, spaces and path")
    return fields


def _refuse_length(fields: list[RawField], where: str) -> None:
    # RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
    # (Informational) or 204 (No Content)."
    if any(name == b"content-length" for name, _ in fields):
        raise ValueError(f"header field 'content-length' is not allowed {where}")


def _finish(
    order: tuple[bytes, ...],
    pseudo: dict[bytes, bytes],
    fields: list[RawField],
    headers: HeadersInput | None,
) -> list[RawField]:
    """Returns pseudo-headers and fields as one list, with what must never be indexed (RFC 7541 §7.1.3) marked."""
    all_fields: list[RawField] = [(name, pseudo[name]) for name in order if name in pseudo]
    if isinstance(headers, Headers) and headers.sensitive:
        secret = {name.encode("ascii") for name in headers.sensitive}
        all_fields = [NeverIndexedHeaderTuple(*field) if field[0] in secret else field for field in all_fields]
    all_fields += fields
    return all_fields
