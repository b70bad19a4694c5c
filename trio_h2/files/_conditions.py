"""Validators, and the conditions that requests put on them (RFC 9110 §8.8 and §13)."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._dates import format_date, parse_date

if TYPE_CHECKING:
    import os

    from trio_h2 import Headers

_SETTLED = 1.0
"""Seconds. A file system's clock ticks in steps, so a file that has changed just now may change again unnoticed."""

_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# RFC 9110 §5.6.1.2: elements of lists may be empty.
_tags = re.compile(rf"[ \t,]*{_ENTITY_TAG}(?:[ \t]*,[ \t,]*{_ENTITY_TAG})*[ \t,]*").fullmatch
_tag = re.compile(_ENTITY_TAG)


class Verdict(enum.Enum):
    """What becomes of a request."""

    SEND = enum.auto()
    """The method is performed."""
    NOT_MODIFIED = enum.auto()
    """304: the client has it already."""
    FAILED = enum.auto()
    """412: it is not what the client takes it for."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a representation from another."""

    etag: str
    modified: int
    """In whole seconds since 1970; never in the future."""
    strong: bool
    """Whether both change whenever a byte does."""

    @classmethod
    def of(cls, status: os.stat_result, *, coding: str = "", now: float) -> Validators:
        """Makes the validators of a file.

        RFC 9110 §8.8.1: "A strong validator is representation metadata that changes value whenever a change occurs to
        the representation data that would be observable in the content of a 200 (OK) response to GET." Time and size
        do, unless the file changes twice within a tick of the clock: so they are strong once it has settled.

        Args:
            status: the file's.
            coding: the content coding of this file; each has a tag of its own (RFC 9110 §8.8.3.3).
            now: the present, in seconds since 1970.
        """
        strong = now - status.st_mtime >= _SETTLED
        tag = f"{status.st_mtime_ns:x}-{status.st_size:x}{'-' if coding else ''}{coding}"
        # RFC 9110 §8.8.2.1: "An origin server with a clock MUST NOT generate a Last-Modified date that is later than
        # the server's time of message origination (Date)."
        modified = min(status.st_mtime_ns // 10**9, int(now))  # st_mtime would round up
        return cls(f'"{tag}"' if strong else f'W/"{tag}"', modified, strong)

    @property
    def last_modified(self) -> str:
        """The time as a date."""
        return format_date(self.modified)


def evaluate(request: Headers, current: Validators, *, now: float) -> Verdict:
    """Evaluates what GET and HEAD are conditional on, in the order of RFC 9110 §13.2.2; `if_range` comes after it."""
    if "if-match" in request:
        if not _matches(request, "if-match", current.etag, strongly=True):
            return Verdict.FAILED
    else:
        date = parse_date(_only(request, "if-unmodified-since"), now=now)
        if date is not None and current.modified > date:
            return Verdict.FAILED
    if "if-none-match" in request:
        matches = _matches(request, "if-none-match", current.etag, strongly=False)
        return Verdict.NOT_MODIFIED if matches else Verdict.SEND
    date = parse_date(_only(request, "if-modified-since"), now=now)
    return Verdict.NOT_MODIFIED if date is not None and current.modified <= date else Verdict.SEND


def if_range(request: Headers, current: Validators, *, now: float) -> bool:
    """Whether a range may be sent, so that it fits what the client has (RFC 9110 §13.1.5)."""
    values = request.get_all("if-range")
    if not values:
        return True
    value = values[0]
    if len(values) > 1 or not current.strong:
        return False
    if '"' in value:
        return value == current.etag
    # RFC 9110 §8.8.2.2: a date is weak unless it is known that nothing changed twice in its second.
    return now - current.modified >= 1 + _SETTLED and parse_date(value, now=now) == current.modified


def _only(request: Headers, name: str) -> str | None:
    """RFC 9110 §13.1.3: the field is to be ignored if it "has more than one member"."""
    values = request.get_all(name)
    return values[0] if len(values) == 1 else None


def _matches(request: Headers, name: str, etag: str, *, strongly: bool) -> bool:
    value = ", ".join(request.get_all(name))
    if value.strip(" \t") == "*":
        return True
    if _tags(value) is None:
        return False
    if strongly:
        return not etag.startswith("W/") and etag in _tag.findall(value)
    return etag.removeprefix("W/") in (tag.removeprefix("W/") for tag in _tag.findall(value))
