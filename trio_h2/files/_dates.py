"""Dates as HTTP writes them (RFC 9110 §5.6.7), in whole seconds since 1970."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime
from email.utils import formatdate

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# RFC 9110 §5.6.7: "A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date formats."
_FORMATS = (
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) (?P<month>[A-Z][a-z]{{2}}) (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-(?P<month>[A-Z][a-z]{{2}})-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


def format_date(seconds: float) -> str:
    """Returns a date as ``Sun, 06 Nov 1994 08:49:37 GMT``, rounded down."""
    return formatdate(int(seconds // 1), usegmt=True)


def parse_date(text: str | None, *, now: float) -> int | None:
    """Reads a date in any of the three formats.

    Args:
        text: the field.
        now: the present, in seconds since 1970, by which years of two digits are understood.

    Returns:
        ``None`` if there is none, or it is none.
    """
    match = None if text is None else next((m for form in _FORMATS if (m := form.fullmatch(text))), None)
    if match is None or match["month"] not in _MONTHS:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        # "Recipients of a timestamp value in rfc850-date format, which uses a two-digit year, MUST interpret a
        # timestamp that appears to be more than 50 years in the future as representing the most recent year in the
        # past that had the same last two digits."
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    second = min(int(match["second"]), 59)  # a leap second is as good as the one before
    try:
        date = datetime(
            year, _MONTHS[match["month"]], int(match["day"]), int(match["hour"]), int(match["minute"]), second, 0, UTC
        )
    except ValueError:
        return None
    return calendar.timegm(date.timetuple())
