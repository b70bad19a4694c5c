"""Validators, and the conditions that requests put on them (RFC 9110 §8.8 and §13)."""

from __future__ import annotations

import enum
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._dates import format_date, parse_date

if TYPE_CHECKING:
    from trio_h2 import Headers

_SETTLED = 1.0
"""Seconds. A file system's clock ticks in steps, so a file that has changed just now may change again unnoticed."""
_PLACEHOLDERS = frozenset((0, 1, 315_532_800, 499_162_500))
"""Times, in seconds, that tools for reproducible archives give to all files: container images and package stores the
first two, ZIP archives their first moment (1980-01-01), npm 1985-10-26 08:15. Nothing was changed then."""
_CHANGES_ARE_DATED = os.name != "nt"
"""Whether ``st_ctime`` is when a file was last changed. On Windows it is when it was made."""

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

    etag: str | None
    """``None`` if nothing that the file system knows would tell two states apart."""
    modified: int | None
    """In whole seconds since 1970; never in the future. ``None`` if it is not known."""
    strong: bool
    """Whether the tag changes whenever a byte does."""
    dated: bool
    """Whether `modified` is when the file was changed last in any way."""

    @classmethod
    def of(cls, status: os.stat_result, *, coding: str = "", now: float) -> Validators:
        """Makes the validators of a file.

        RFC 9110 §8.8.1: "A strong validator is representation metadata that changes value whenever a change occurs to
        the representation data that would be observable in the content of a 200 (OK) response to GET." The time of
        modification alone does not: ``cp -p``, ``rsync -t`` and container images set it. The time of the last change
        of the inode does, which nobody can set, unless the file changes twice within a tick of the clock: so a tag is
        strong once that has settled.

        Args:
            status: the file's.
            coding: the content coding of this file; each has a tag of its own (RFC 9110 §8.8.3.3).
            now: the present, in seconds since 1970.
        """
        changed, modified = status.st_ctime_ns, status.st_mtime_ns
        # File systems that keep no time of change (FAT, images such as squashfs) show the time of modification in its
        # place, in whole seconds.
        is_dated = _CHANGES_ARE_DATED and not (changed == modified and changed % 10**9 == 0)
        strong = is_dated and now - max(changed, modified) / 10**9 >= _SETTLED
        second = modified // 10**9  # st_mtime would round up
        known = second > 0 and second not in _PLACEHOLDERS
        # RFC 9110 §8.8.2.1: "An origin server with a clock MUST NOT generate a Last-Modified date that is later than
        # the server's time of message origination (Date)."
        date = min(second, int(now)) if known else None
        if not (is_dated or known):
            return cls(None, None, strong=False, dated=False)
        # Hashed: the number of an inode is nobody's business.
        state = f"{modified:x}-{changed:x}-{status.st_ino:x}-{status.st_size:x}-{coding}"
        tag = f'"{hashlib.blake2b(state.encode("ascii"), digest_size=12).hexdigest()}"'
        return cls(tag if strong else f"W/{tag}", date, strong, strong and date == changed // 10**9)

    @property
    def fields(self) -> dict[str, str]:
        """As fields of a response: ``etag`` and ``last-modified``, those that there are."""
        fields = self.etag_field
        if self.modified is not None:
            fields["last-modified"] = format_date(self.modified)
        return fields

    @property
    def etag_field(self) -> dict[str, str]:
        """``etag`` as a field of a response, if there is one."""
        return {} if self.etag is None else {"etag": self.etag}


def evaluate(request: Headers, current: Validators, *, now: float) -> Verdict:
    """Evaluates what GET and HEAD are conditional on, in the order of RFC 9110 §13.2.2; `if_range` comes after it."""
    if "if-match" in request:
        if not _matches(request, "if-match", current.etag, strongly=True):
            return Verdict.FAILED
    else:
        # RFC 9110 §13.1.4: to be ignored "if the resource does not have a modification date available".
        date = parse_date(_only(request, "if-unmodified-since"), now=now)
        if date is not None and current.modified is not None and current.modified > date:
            return Verdict.FAILED
    if "if-none-match" in request:
        matches = _matches(request, "if-none-match", current.etag, strongly=False)
        return Verdict.NOT_MODIFIED if matches else Verdict.SEND
    date = parse_date(_only(request, "if-modified-since"), now=now)
    if date is None or current.modified is None:  # RFC 9110 §13.1.3 says the same of this field
        return Verdict.SEND
    return Verdict.NOT_MODIFIED if current.modified <= date else Verdict.SEND


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
    if current.modified is None or not current.dated:
        return False  # it was replaced since, perhaps after the client has got it
    # RFC 9110 §8.8.2.2: a date is weak unless it is known that nothing changed twice in its second.
    return now - current.modified >= 1 + _SETTLED and parse_date(value, now=now) == current.modified


def _only(request: Headers, name: str) -> str | None:
    """RFC 9110 §13.1.3: the field is to be ignored if it "has more than one member"."""
    values = request.get_all(name)
    return values[0] if len(values) == 1 else None


def _matches(request: Headers, name: str, etag: str | None, *, strongly: bool) -> bool:
    value = ", ".join(request.get_all(name))
    if value.strip(" \t") == "*":
        return True
    if etag is None or _tags(value) is None:
        return False
    if strongly:
        return not etag.startswith("W/") and etag in _tag.findall(value)
    return etag.removeprefix("W/") in (tag.removeprefix("W/") for tag in _tag.findall(value))
