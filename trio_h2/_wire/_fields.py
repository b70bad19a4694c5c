"""What a received message must look like (RFC 9113 §§8.1–8.3 and 8.5, RFC 8441 §4, RFC 9110 §5).

Everything here is about the header section alone; how many DATA bytes follow is the engine's to count. A
check that fails raises `MalformedMessageError`, which the engine turns into a stream error of type
PROTOCOL_ERROR.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .._checks import CONNECTION_SPECIFIC, NOT_FOR_APPLICATIONS
from ._headers import PLAIN_NAMES, RawField, is_field_name, is_field_value, is_token, show_name
from ._hpack import NeverIndexedHeaderTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REQUEST_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
RESPONSE_PSEUDO: Final = frozenset((b":status",))

is_scheme = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch
# Octets above 0x7f do not belong in a URI but are common in the wild and harmless; a "#" would start a fragment.
_is_path = re.compile(rb"/[^\x00-\x20#\x7f]*").fullmatch
_is_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch
"""Some servers send 600 to 999. RFC 9110 §15: "A client that receives a response with an invalid status code SHOULD
process the response as if it had a 5xx (Server Error) status code." """
# RFC 3986 §3.2 without user-info, which RFC 9113 §8.3.1 forbids: an IP literal or a name, then perhaps a port.
_match_authority = re.compile(
    rb"(\[[A-Za-z0-9\-._~%!$&'()*+,;=:]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::([0-9]{0,5}))?",
).fullmatch
_above_ascii = re.compile(rb"[\x80-\xff]")
#: Whoever receives them may not send them: what is only about a connection, though HTTP/2 does not forbid it.
_NOT_PASSED_ON: Final = NOT_FOR_APPLICATIONS - CONNECTION_SPECIFIC
#: RFC 9110 §6.5.1: fields of framing and routing come too late in trailers. A recipient may discard them.
NOT_IN_TRAILERS: Final = frozenset((b"content-length", b"host"))
_DEFAULT_PORTS: Final = {b"http": 80, b"https": 443}


class MalformedMessageError(Exception):
    """A received header section is malformed. Internal: users see the stream error that it becomes.

    Attributes:
        reason: What is wrong, with names but without values: those may be secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class MessageHead:
    """What the checks learn about a message on the way."""

    method: bytes | None
    status: int | None
    protocol: bytes | None
    content_length: int | None
    normal: bool = dataclasses.field(default=True, compare=False)
    """Whether all of it may be sent as it is, by whoever passes it on; see `normal_request` and `normal_response`."""


def check_request(raw: Sequence[RawField], *, extended_connect: bool = False) -> MessageHead:
    """Checks the header section of a request.

    Args:
        raw: The decoded fields in order.
        extended_connect: Whether we announced SETTINGS_ENABLE_CONNECT_PROTOCOL.

    Raises:
        MalformedMessageError: It breaks a rule.
    """
    pseudo, regular = _split(raw, REQUEST_PSEUDO)
    length, host, normal = _check_regular(regular)
    method = pseudo.get(b":method")
    scheme = pseudo.get(b":scheme")
    authority = pseudo.get(b":authority")
    path = pseudo.get(b":path")
    protocol = pseudo.get(b":protocol")
    if method is None:
        raise MalformedMessageError("':method' is missing")
    if not is_token(method):
        raise MalformedMessageError("':method' is not a token")
    if protocol is not None:
        if not extended_connect:
            raise MalformedMessageError("':protocol' without SETTINGS_ENABLE_CONNECT_PROTOCOL")
        if method != b"CONNECT":
            raise MalformedMessageError("':protocol' with a method other than CONNECT")
        if not is_token(protocol):
            raise MalformedMessageError("':protocol' is not a token")
        if not authority or authority[:1] == b":":
            raise MalformedMessageError("':authority' is missing from an extended CONNECT, or without a host")
    elif method == b"CONNECT":
        # RFC 9113 §8.5: "The ':scheme' and ':path' pseudo-header fields MUST be omitted."
        if scheme is not None or path is not None:
            raise MalformedMessageError("':scheme' or ':path' in a CONNECT")
        if authority is None or not is_connect_target(authority):
            raise MalformedMessageError("':authority' of a CONNECT is not host:port")
        if host is not None and host.lower() != authority.lower():
            raise MalformedMessageError("'host' is not ':authority'")
        return MessageHead(method, None, None, None, normal and length is None)
    if scheme is None or not is_scheme(scheme):
        raise MalformedMessageError("':scheme' is missing or not a scheme")
    if path is None or not is_path(path, method):
        raise MalformedMessageError("':path' is missing or not a path")
    _check_authority(scheme, authority, host)
    normal = normal and path.isascii()
    if protocol is not None:
        # RFC 9110 §9.3.6: a CONNECT has no content; what flows on an extended one (RFC 8441) belongs to the tunnel.
        return MessageHead(method, None, protocol, None, normal and length is None)
    return MessageHead(method, None, None, _content_length(length), normal)


def check_response(raw: Sequence[RawField]) -> MessageHead:
    """Checks the header section of a response, interim (1xx) or final.

    The request decides what a content-length means: of the answer to a HEAD, and of 304, nothing follows; on
    a 2xx answer to a CONNECT it is to be ignored (RFC 9110 §§8.6 and 9.3.6).

    Raises:
        MalformedMessageError: It breaks a rule.
    """
    pseudo, regular = _split(raw, RESPONSE_PSEUDO)
    length, _, normal = _check_regular(regular)
    status = pseudo.get(b":status")
    if status is None:
        raise MalformedMessageError("':status' is missing")
    if not _is_status(status):
        raise MalformedMessageError("':status' is not a number from 100 to 999")
    if status == b"101":
        # RFC 9113 §8.6: "HTTP/2 removes support for the 101 (Switching Protocols) informational status code".
        raise MalformedMessageError("':status' is 101, which HTTP/2 does not have")
    number = int(status)
    return MessageHead(None, number, None, _content_length(length), normal and not (length and _without_length(number)))


def _without_length(status: int) -> bool:
    """Whether a response has no content, and so no content-length, whatever it says.

    RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
    (Informational) or 204 (No Content)"; §15.3.6 on 205: "a server MUST NOT generate content".
    """
    return status < 200 or status in (204, 205)


def normal_request(raw: Sequence[RawField], head: MessageHead) -> list[RawField]:
    """Returns a checked request as it may be sent by whoever passes it on.

    Bytes beyond ASCII in ``:path`` are percent-encoded: they do not belong in a URI (RFC 3986 §2). What is about
    another connection is left out, and so is the content-length of a CONNECT, which means nothing (RFC 9110 §9.3.6).
    """
    unwanted = _NOT_PASSED_ON | {b"content-length"} if head.method == b"CONNECT" else _NOT_PASSED_ON
    return [_encoded_path(field) if field[0] == b":path" else field for field in raw if field[0] not in unwanted]


def _encoded_path(field: RawField) -> RawField:
    encoded = (field[0], percent_encoded(field[1]))
    return NeverIndexedHeaderTuple(*encoded) if isinstance(field, NeverIndexedHeaderTuple) else encoded


def normal_response(raw: Sequence[RawField], status: int) -> list[RawField]:
    """Returns a checked response, interim or final, as it may be sent by whoever passes it on."""
    unwanted = _NOT_PASSED_ON | {b"content-length"} if _without_length(status) else _NOT_PASSED_ON
    return [field for field in raw if field[0] not in unwanted]


def normal_trailers(raw: Sequence[RawField]) -> list[RawField]:
    """Returns checked trailers as they may be sent by whoever passes them on."""
    return [field for field in raw if field[0] not in NOT_IN_TRAILERS and field[0] not in _NOT_PASSED_ON]


def percent_encoded(path: bytes) -> bytes:
    """Returns a path, and what else a URI has, with bytes beyond ASCII percent-encoded."""
    return path if path.isascii() else _above_ascii.sub(lambda byte: b"%%%02X" % byte[0][0], path)


def check_trailers(raw: Sequence[RawField]) -> bool:
    """Checks a trailer section. A content-length in it means nothing (RFC 9110 §6.5.1) and is not looked at.

    Returns:
        Whether all of it may be sent as it is, by whoever passes it on; see `normal_trailers`.

    Raises:
        MalformedMessageError: It breaks a rule.
    """
    # RFC 9113 §8.1: "Trailers MUST NOT include pseudo-header fields".
    if raw and raw[0][0][:1] == b":":
        raise MalformedMessageError(f"pseudo-header {show_name(raw[0][0])} in trailers")
    length, host, normal = _check_regular(raw)
    return normal and length is None and host is None


def field_section_size(raw: Iterable[RawField]) -> int:
    """Returns the size that SETTINGS_MAX_HEADER_LIST_SIZE bounds.

    RFC 9113 §6.5.2: "the uncompressed size of field lines, including the length of the name and value in
    units of octets plus an overhead of 32 octets for each field line."
    """
    size = 0
    for name, value in raw:
        size += len(name) + len(value) + 32
    return size


def parse_length(value: bytes) -> int | None:
    """Returns a content-length, or `None` if it is not one: RFC 9110 §8.6, 1*DIGIT.

    "a recipient MUST anticipate potentially large decimal numerals": none with more than 19 digits is
    believed.
    """
    if not value.isdigit() or (len(value) > 19 and len(value.lstrip(b"0")) > 19):
        return None
    return int(value[-19:])


def is_path(path: bytes, method: bytes) -> bool:
    """Whether *path* can be a ``:path``: RFC 9113 §8.3.1, path and query, or ``*`` for an OPTIONS."""
    return _is_path(path) is not None or (path == b"*" and method == b"OPTIONS")


@lru_cache(maxsize=256)
def parse_authority(authority: bytes) -> tuple[bytes, int | None] | None:
    """Returns host (perhaps empty) and port of an authority, or `None` if it is not one, or has user-info."""
    match = _match_authority(authority)
    if match is None:
        return None
    host, port = match.groups()
    if not port:
        return host, None
    number = int(port)
    return None if number > 0xFFFF else (host, number)


def is_connect_target(authority: bytes) -> bool:
    """Whether a plain CONNECT can name *authority*: RFC 9113 §8.5, host and port, neither of them empty."""
    target = parse_authority(authority)
    return target is not None and bool(target[0]) and bool(target[1])


def same_authority(first: bytes, second: bytes, scheme: bytes) -> bool:
    """Whether two authorities name the same: RFC 9113 §8.3.1 has them normalised as in RFC 3986 §6.2."""
    if first == second:
        return True
    first, second = first.lower(), second.lower()
    if first == second:
        return True
    one, other = parse_authority(first), parse_authority(second)
    if one is None or other is None or one[0] != other[0]:
        return False
    default = _DEFAULT_PORTS.get(scheme.lower())
    return (default if one[1] is None else one[1]) == (default if other[1] is None else other[1])


def request_origin(raw: Iterable[RawField]) -> tuple[bytes, bytes]:
    """Returns ``:scheme`` and ``:authority`` of a checked request; what is missing is empty."""
    pseudo = {name: value for name, value in raw if name[:1] == b":"}
    return pseudo.get(b":scheme", b""), pseudo.get(b":authority", b"")


def needs_authority(scheme: bytes) -> bool:
    """Whether URIs of this scheme always have an authority that is not empty (RFC 9110 §4.2)."""
    return scheme.lower() in _DEFAULT_PORTS


def _split(raw: Sequence[RawField], known: frozenset[bytes]) -> tuple[dict[bytes, bytes], Sequence[RawField]]:
    """Returns the pseudo-headers at the beginning, and the rest, in which `_check_regular` finds late ones."""
    pseudo: dict[bytes, bytes] = {}
    for name, value in raw:
        if name not in known:
            if name[:1] == b":":
                raise MalformedMessageError(f"pseudo-header {show_name(name)} does not belong here")
            break
        if name in pseudo:
            raise MalformedMessageError(f"pseudo-header {show_name(name)} is repeated")
        pseudo[name] = value
    return pseudo, raw[len(pseudo) :]


def _check_regular(fields: Sequence[RawField]) -> tuple[list[bytes] | None, bytes | None, bool]:
    """Checks the fields after the pseudo-headers; returns the values of content-length (if any) and of host, and
    whether none of them is only about a connection.
    """
    lengths: list[bytes] | None = None
    host: bytes | None = None
    normal = True
    for name, value in fields:
        if not is_field_value(value):
            raise MalformedMessageError(f"the value of {show_name(name)} has characters it may not have")
        if name in PLAIN_NAMES:
            continue
        if name == b"host":
            if host is not None:
                raise MalformedMessageError("'host' is repeated")
            host = value
        elif name == b"content-length":
            if lengths is None:
                lengths = []
            lengths.append(value)
        elif name in CONNECTION_SPECIFIC:
            # RFC 9113 §8.2.2: "Any message containing connection-specific header fields MUST be treated as
            # malformed".
            raise MalformedMessageError(f"{show_name(name)} is connection-specific")
        elif name == b"te":
            if value.lower() != b"trailers":
                raise MalformedMessageError("'te' is not 'trailers'")
        elif not is_field_name(name):
            if name[:1] == b":":
                # RFC 9113 §8.3: "All pseudo-header fields MUST appear in a field block before all regular field
                # lines."
                raise MalformedMessageError(f"pseudo-header {show_name(name)} after regular fields")
            raise MalformedMessageError(f"{show_name(name)} is not a field name in lower case")
        elif name in _NOT_PASSED_ON:
            normal = False
    return lengths, host, normal


def _content_length(values: list[bytes] | None) -> int | None:
    if values is None:
        return None
    length = parse_length(values[0])
    if length is None:
        raise MalformedMessageError("'content-length' is not a number")
    for value in values[1:]:
        # RFC 9110 §8.6: repeated values that are the same may be taken as one.
        if parse_length(value) != length:
            raise MalformedMessageError("'content-length' is repeated with another value")
    return length


def _check_authority(scheme: bytes, authority: bytes | None, host: bytes | None) -> None:
    if authority is not None and host is not None and not same_authority(authority, host, scheme):
        # RFC 9113 §8.3.1: "A server SHOULD treat a request as malformed if it contains a Host header field that
        # identifies an entity that differs from the entity in the ':authority' pseudo-header field."
        raise MalformedMessageError("'host' is not ':authority'")
    source = host if authority is None else authority
    if source is not None:
        target = parse_authority(source)
        if target is None:
            raise MalformedMessageError("':authority' or 'host' is not host[:port]")
        if target[0]:
            return
    if needs_authority(scheme):
        # RFC 9110 §4.2.1, on URIs with an empty host: "A recipient that processes such a URI reference MUST reject it
        # as invalid."
        raise MalformedMessageError("':authority' and 'host' are missing, or without a host")
