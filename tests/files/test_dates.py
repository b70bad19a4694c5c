"""Dates in three formats (RFC 9110 §5.6.7)."""

from __future__ import annotations

import pytest

from trio_h2.files._dates import format_date, parse_date

NOW = 1_800_000_000  # in January 2027
EXAMPLE = 784_111_777


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_the_examples(text: str) -> None:
    assert parse_date(text, now=NOW) == EXAMPLE


def test_years_of_two_digits() -> None:
    assert parse_date("Friday, 01-Jan-77 00:00:00 GMT", now=NOW) == 3_376_684_800, "50 years from now"
    assert parse_date("Sunday, 01-Jan-78 00:00:00 GMT", now=NOW) == 252_460_800, "more than that: in the past"


@pytest.mark.parametrize(
    "text",
    [
        None,
        *("", "0", "yesterday", "784111777", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 UTC"),
        *("Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT"),
        *("Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT"),
        *("sun, 06 nov 1994 08:49:37 gmt", "Sun, 06 Nov 1994 08:49:37 GMT, x", "Sun Nov    08:49:37 1994"),
    ],
)
def test_no_dates(text: str | None) -> None:
    assert parse_date(text, now=NOW) is None


def test_a_leap_second() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT", now=NOW) == 1_483_228_799


@pytest.mark.parametrize("seconds", [0, EXAMPLE, EXAMPLE + 0.999, NOW, 4_000_000_000])
def test_there_and_back(seconds: float) -> None:
    assert parse_date(format_date(seconds), now=NOW) == int(seconds)


def test_format() -> None:
    assert format_date(EXAMPLE + 0.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_date(-0.5) == "Wed, 31 Dec 1969 23:59:59 GMT"
