"""Conditional requests, in the order of RFC 9110 §13.2.2."""

from __future__ import annotations

import os

import pytest

from trio_h2 import Headers
from trio_h2.files._conditions import Validators, Verdict, evaluate, if_range
from trio_h2.files._dates import format_date

NOW = 1_800_000_000.5
THEN = 784_111_777
DATE, EARLIER, LATER = (format_date(THEN + step) for step in (0, -1, 1))
STRONG = Validators('"a"', THEN, strong=True)
WEAK = Validators('W/"a"', THEN, strong=False)
SEND, NOT_MODIFIED, FAILED = Verdict.SEND, Verdict.NOT_MODIFIED, Verdict.FAILED


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, SEND),
        # if-match
        ({"if-match": '"a"'}, SEND),
        ({"if-match": "*"}, SEND),
        ({"if-match": '"b", "a"'}, SEND),
        ({"if-match": ['"b"', '"a"']}, SEND),
        ({"if-match": '"b"'}, FAILED),
        ({"if-match": 'W/"a"'}, FAILED),
        ({"if-match": "a"}, FAILED),
        ({"if-match": '"a", b'}, FAILED),
        ({"if-match": ""}, FAILED),
        # if-unmodified-since
        ({"if-unmodified-since": DATE}, SEND),
        ({"if-unmodified-since": LATER}, SEND),
        ({"if-unmodified-since": EARLIER}, FAILED),
        ({"if-unmodified-since": "never"}, SEND),
        ({"if-unmodified-since": [EARLIER, EARLIER]}, SEND),
        ({"if-match": '"a"', "if-unmodified-since": EARLIER}, SEND),
        ({"if-match": '"b"', "if-unmodified-since": DATE}, FAILED),
        # if-none-match
        ({"if-none-match": '"a"'}, NOT_MODIFIED),
        ({"if-none-match": 'W/"a"'}, NOT_MODIFIED),
        ({"if-none-match": '"b",, W/"a" ,'}, NOT_MODIFIED),
        ({"if-none-match": ['"b"', '"a"']}, NOT_MODIFIED),
        ({"if-none-match": "*"}, NOT_MODIFIED),
        ({"if-none-match": '"b"'}, SEND),
        ({"if-none-match": '"A"'}, SEND),
        ({"if-none-match": "a"}, SEND),
        ({"if-none-match": '"a" "b"'}, SEND),
        ({"if-none-match": 'w/"a"'}, SEND),
        ({"if-none-match": '"b, "a"'}, SEND),
        # if-modified-since
        ({"if-modified-since": DATE}, NOT_MODIFIED),
        ({"if-modified-since": LATER}, NOT_MODIFIED),
        ({"if-modified-since": EARLIER}, SEND),
        ({"if-modified-since": "Sunday, 06-Nov-94 08:49:37 GMT"}, NOT_MODIFIED),
        ({"if-modified-since": "always"}, SEND),
        ({"if-modified-since": [DATE, DATE]}, SEND),
        ({"if-none-match": '"b"', "if-modified-since": LATER}, SEND),
        ({"if-none-match": '"a"', "if-modified-since": EARLIER}, NOT_MODIFIED),
        # both kinds: the first two come first
        ({"if-match": '"b"', "if-none-match": '"a"'}, FAILED),
        ({"if-match": '"a"', "if-none-match": '"a"'}, NOT_MODIFIED),
        ({"if-unmodified-since": EARLIER, "if-modified-since": LATER}, FAILED),
        ({"if-unmodified-since": DATE, "if-modified-since": DATE}, NOT_MODIFIED),
        ({"if-match": '"a"', "if-modified-since": EARLIER}, SEND),
    ],
)
def test_order(fields: dict[str, str | list[str]], verdict: Verdict) -> None:
    assert evaluate(Headers(fields), STRONG, now=NOW) is verdict


def test_a_weak_tag() -> None:
    assert evaluate(Headers({"if-match": 'W/"a"'}), WEAK, now=NOW) is FAILED
    assert evaluate(Headers({"if-match": '"a"'}), WEAK, now=NOW) is FAILED
    assert evaluate(Headers({"if-match": "*"}), WEAK, now=NOW) is SEND
    assert evaluate(Headers({"if-none-match": '"a"'}), WEAK, now=NOW) is NOT_MODIFIED


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, True),
        ('"a"', True),
        (DATE, True),
        ("Sun Nov  6 08:49:37 1994", True),
        *(('"b"', False), ('W/"a"', False), ("*", False), ("a", False), ('"a", "b"', False), ("", False)),
        *((EARLIER, False), (LATER, False)),
    ],
)
def test_if_range(value: str | None, expected: bool) -> None:
    request = Headers({} if value is None else {"if-range": value})
    assert if_range(request, STRONG, now=NOW) is expected


def test_if_range_wants_what_is_strong() -> None:
    for value in ('"a"', 'W/"a"', DATE):
        assert not if_range(Headers({"if-range": value}), WEAK, now=NOW)
    # The second in which it changed is not long over, so it may have changed twice in it.
    assert not if_range(Headers({"if-range": DATE}), STRONG, now=THEN + 1.9)
    assert if_range(Headers({"if-range": DATE}), STRONG, now=THEN + 2)
    assert if_range(Headers({"if-range": '"a"'}), STRONG, now=THEN + 1)
    assert not if_range(Headers({"if-range": ['"a"', '"a"']}), STRONG, now=NOW)


def status(mtime_ns: int, size: int = 5) -> os.stat_result:
    seconds = mtime_ns // 10**9
    # The fields with fractions come behind those that tuples have.
    return os.stat_result(
        (0o100644, 1, 1, 1, 0, 0, size, seconds, seconds, seconds),
        {"st_mtime": mtime_ns / 10**9, "st_mtime_ns": mtime_ns},
    )


def test_a_tag_is_strong_when_the_file_has_settled() -> None:
    just_now = status(int((NOW - 0.9) * 10**9))
    assert not Validators.of(just_now, now=NOW).strong
    assert Validators.of(just_now, now=NOW).etag.startswith('W/"')
    later = Validators.of(just_now, now=NOW + 1)
    assert later.strong
    assert Validators.of(just_now, now=NOW).etag == f"W/{later.etag}", "what a client has stays fresh"


def test_what_changes_a_tag() -> None:
    tags = {
        Validators.of(status(THEN * 10**9, 5), now=NOW).etag,
        Validators.of(status(THEN * 10**9 + 1, 5), now=NOW).etag,
        Validators.of(status(THEN * 10**9, 6), now=NOW).etag,
        Validators.of(status(THEN * 10**9, 5), coding="gzip", now=NOW).etag,
        Validators.of(status(THEN * 10**9, 5), coding="br", now=NOW).etag,
    }
    assert len(tags) == 5


def test_no_file_is_from_the_future() -> None:
    """RFC 9110 §8.8.2.1."""
    validators = Validators.of(status(int(NOW + 100) * 10**9), now=NOW)
    assert validators.modified == int(NOW)
    assert validators.last_modified == format_date(NOW)
    assert not validators.strong
    assert Validators.of(status(THEN * 10**9 + 999_999_999), now=NOW).last_modified == DATE
