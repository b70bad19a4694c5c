"""Parts of a representation: the ``range`` field, and what a 206 response is made of (RFC 9110 §14, §15.3.7).

Who asks for odd ranges gets the whole: RFC 9110 §14.2: "A server that supports range requests MAY ignore or reject a
Range header field that contains an invalid ranges-specifier (Section 14.1.1), a ranges-specifier with more than two
overlapping ranges, or a set of many small ranges that are not listed in ascending order, since these are indications of
either a broken client or a deliberate denial-of-service attack".
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

MAX_RANGES = 16
"""More than so many in one request are ignored."""
_GAP = 80
"""RFC 9110 §15.3.7.2: ranges "that are separated by a gap that is smaller than the overhead of sending multiple parts"
may be sent as one; about what a part's head takes."""
_HUGE = 10**18

_specifier = re.compile(r"bytes[ \t]*=(.*)", re.IGNORECASE | re.DOTALL).fullmatch
_spec = re.compile(r"([0-9]+)-([0-9]*)|-([0-9]+)").fullmatch


@dataclass(frozen=True, slots=True)
class Span:
    """Some bytes of a file: from *start* on, *length* of them, at least one."""

    start: int
    length: int

    @property
    def stop(self) -> int:
        """The position behind the last byte."""
        return self.start + self.length

    def content_range(self, size: int) -> str:
        """Returns the ``content-range`` of this span, of *size* bytes (RFC 9110 §14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_range(value: str | None, size: int) -> list[Span] | None:
    """Returns the spans that a ``range`` field asks for, in the order in which they are sent.

    Args:
        value: the field.
        size: bytes of the whole representation.

    Returns:
        ``None`` if the field is not there or to be ignored: the whole is the answer. No spans at all if none can be
        satisfied: 416 is.
    """
    specifier = None if value is None else _specifier(value)
    if specifier is None:
        return None
    # RFC 9110 §5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements".
    elements = [element.strip(" \t") for element in specifier[1].split(",")]
    specs = [element for element in elements if element]
    if not specs or len(specs) > MAX_RANGES or len(elements) > 2 * MAX_RANGES:
        return None
    spans: list[Span] = []
    for spec in specs:
        match = _spec(spec)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            length = min(_number(suffix), size)
            span = Span(size - length, length)
            if not size and _number(suffix):
                return None  # the whole of nothing was asked for, which no content-range can say
        else:
            start, end = _number(first), _number(last) if last else _HUGE
            if end < start:
                return None
            span = Span(start, min(end + 1, size) - start)
        if span.length > 0:
            spans.append(span)
    if sum(span.length for span in spans) > size:
        return None  # they overlap by as much as the whole
    return _coalesced(spans)


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 18 else _HUGE


def _coalesced(spans: list[Span]) -> list[Span]:
    """Returns them as they are; or, if some overlap or nearly touch, in ascending order and these joined."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if joined and span.start < joined[-1].stop + _GAP:
            last = joined.pop()
            joined.append(Span(last.start, max(last.stop, span.stop) - last.start))
        else:
            joined.append(span)
    return spans if len(joined) == len(spans) else joined


@dataclass(frozen=True, slots=True)
class Multipart:
    """The content of a 206 with several spans (RFC 9110 §14.6)."""

    content_type: str
    parts: list[bytes | tuple[int, int]]
    """Bytes as they are, and spans of the file."""
    length: int


def multipart(spans: list[Span], size: int, content_type: str) -> Multipart:
    """Returns how several spans of a file are sent as ``multipart/byteranges``."""
    boundary = secrets.token_hex(16)  # so that no file can contain it on purpose
    parts: list[bytes | tuple[int, int]] = []
    between = ""
    for span in spans:
        head = (
            f"{between}--{boundary}\r\ncontent-type: {content_type}\r\n"
            f"content-range: {span.content_range(size)}\r\n\r\n"
        )
        parts += [head.encode("latin-1"), (span.start, span.length)]
        between = "\r\n"
    parts.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    length = sum(len(part) if isinstance(part, bytes) else part[1] for part in parts)
    return Multipart(f"multipart/byteranges; boundary={boundary}", parts, length)
