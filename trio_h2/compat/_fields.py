"""What may stand in a response, checked at the call that sets it (RFC 9110 §5, RFC 9113 §8.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from trio_h2 import Headers

from .._checks import NOT_FOR_APPLICATIONS, is_int

if TYPE_CHECKING:
    from trio_h2 import HeadersInput

HeaderValue: TypeAlias = str | int | Sequence[str | int]
"""What a header may be set to; a list stands for several fields of one name."""

# Over HTTP/1.1 they are for the server to set.
_CONNECTION: Final = frozenset(name.decode() for name in NOT_FOR_APPLICATIONS)
# RFC 9110 §6.5.1: fields of framing and routing come too late in trailers.
_NOT_IN_TRAILERS: Final = frozenset(("content-length", "host"))

# RFC 8288 §3: a target in angle brackets, then perhaps parameters.
_is_link = re.compile(r"<[^<>\s]+>(?:\s*;\s*\S.*)?").fullmatch


def check_name(name: str) -> str:
    """Returns the name of a field in lower case, which a field may have.

    Raises:
        TypeError: *name* is not `str`.
        ValueError: it has characters that a name may not have, or it is not for applications to set.
    """
    if not isinstance(name, str):
        raise TypeError(f"a header name must be str, not {type(name).__name__}")
    (lower,) = Headers([(name, "")])
    if lower.startswith(":"):
        hint = "; set status_code" if lower == ":status" else ""
        raise ValueError(f"pseudo-header {lower!r} cannot be set like a header{hint}")
    if lower in _CONNECTION:
        raise ValueError(f"header field {lower!r} is about the connection, which the server manages itself")
    return lower


def check_field(name: str, value: HeaderValue) -> tuple[str, HeaderValue]:
    """Returns a field, its name in lower case, a list of values as a list of its own.

    Raises:
        TypeError: the name or a value has the wrong type.
        ValueError: the name or a value has characters that it may not have, or it is not for applications to set.
    """
    lower = check_name(name)
    values = Headers([(lower, value)]).get_all(lower)
    if lower == "content-length":
        if not all(one.isascii() and one.isdecimal() and len(one.lstrip("0")) < 20 for one in values):
            raise ValueError("header field 'content-length' must be a number of bytes, in decimal digits, 19 at most")
        if len({int(one) for one in values}) > 1:
            raise ValueError("header field 'content-length' must not have several values")
    if lower == "te" and any(one.lower() != "trailers" for one in values):
        raise ValueError("header field 'te' may only be 'trailers' (RFC 9113 §8.2.2)")
    if isinstance(value, str | int | bytes | bytearray | memoryview):
        return lower, value
    return lower, list(value)


def check_fields(headers: HeadersInput) -> list[tuple[str, HeaderValue]]:
    """Returns several fields like `check_field`, those that are repeated as one with a list."""
    checked = Headers(headers)
    if isinstance(headers, Mapping) and not isinstance(headers, Headers):
        return [check_field(name, value) for name, value in headers.items()]
    fields: list[tuple[str, HeaderValue]] = []
    for name in checked:
        values = checked.get_all(name)
        fields.append(check_field(name, values if len(values) > 1 else values[0]))
    return fields


def check_trailers(headers: HeadersInput) -> list[tuple[str, HeaderValue]]:
    """Returns the fields of a trailer section.

    Raises:
        TypeError: a name or a value has the wrong type.
        ValueError: a field is malformed, or not allowed in trailers.
    """
    fields = check_fields(headers)
    for name, _ in fields:
        if name in _NOT_IN_TRAILERS:
            raise ValueError(f"header field {name!r} is not allowed in trailers: send it with the headers")
    return fields


def check_links(links: str | Sequence[str]) -> list[str]:
    """Returns the values of ``link`` fields (RFC 8288).

    Raises:
        TypeError: something is not `str`.
        ValueError: there is none, or something is no link.
    """
    several = [links] if isinstance(links, str) else list(links)
    if not several:
        raise ValueError("early hints need at least one link")
    for link in several:
        if not isinstance(link, str):
            raise TypeError(f"a link must be str, not {type(link).__name__}")
        if not _is_link(link):
            raise ValueError(f"{link!r} is no link: it must be like '</style.css>; rel=preload; as=style'")
    return several


def check_status(status: int) -> int:
    """Returns the status of a final response.

    Raises:
        TypeError: it is not an int.
        ValueError: it is not from 200 to 999.
    """
    if not is_int(status):
        raise TypeError(f"the status must be an int, not {type(status).__name__}")
    if not 200 <= status <= 999:
        hint = "; write_continue() and write_early_hints() send 1xx" if 100 <= status <= 199 else ""
        raise ValueError(f"the status of a response must be from 200 to 999, not {status}{hint}")
    return status
