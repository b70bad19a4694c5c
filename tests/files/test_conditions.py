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
STRONG = Validators('"a"', THEN, strong=True, dated=True)
WEAK = Validators('W/"a"', THEN, strong=False, dated=False)
REPLACED = Validators('"a"', THEN, strong=True, dated=False)
UNKNOWN = Validators(None, None, strong=False, dated=False)
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


def test_a_date_does_not_tell_replaced_files_apart() -> None:
    """The client may have got its part before the file was replaced by one with the same time of modification."""
    assert not if_range(Headers({"if-range": DATE}), REPLACED, now=NOW)
    assert if_range(Headers({"if-range": '"a"'}), REPLACED, now=NOW)


def test_a_file_without_validators() -> None:
    """RFC 9110 §13.1.3 and §13.1.4: dates are to be ignored if there is no date of modification."""
    for name in ("if-match", "if-none-match"):
        assert evaluate(Headers({name: '"a"'}), UNKNOWN, now=NOW) is (FAILED if name == "if-match" else SEND)
    assert evaluate(Headers({"if-none-match": "*"}), UNKNOWN, now=NOW) is NOT_MODIFIED
    for name in ("if-modified-since", "if-unmodified-since"):
        for date in (format_date(0), DATE, format_date(NOW)):
            assert evaluate(Headers({name: date}), UNKNOWN, now=NOW) is SEND
    for value in ('"a"', DATE, "None"):
        assert not if_range(Headers({"if-range": value}), UNKNOWN, now=NOW)
    assert UNKNOWN.fields == {}


CHANGED = THEN * 10**9 + 123_456_789


def status(mtime_ns: int = CHANGED, size: int = 5, *, ctime_ns: int | None = None, inode: int = 1) -> os.stat_result:
    """A file that was written at *mtime_ns*, or that was given this time at *ctime_ns*."""
    ctime_ns = mtime_ns if ctime_ns is None else ctime_ns
    mtime, ctime = mtime_ns // 10**9, ctime_ns // 10**9
    # The fields with fractions come behind those that tuples have.
    return os.stat_result(
        (0o100644, inode, 1, 1, 0, 0, size, mtime, mtime, ctime),
        {"st_mtime": mtime_ns / 10**9, "st_mtime_ns": mtime_ns, "st_ctime_ns": ctime_ns},
    )


@pytest.mark.parametrize("given_back", [False, True])
def test_a_tag_is_strong_when_the_file_has_settled(given_back: bool) -> None:
    changed = int((NOW - 0.9) * 10**9)
    just_now = status(CHANGED if given_back else changed, ctime_ns=changed)
    weak, strong = Validators.of(just_now, now=NOW), Validators.of(just_now, now=NOW + 1)
    assert weak.etag is not None
    assert weak.etag.startswith('W/"')
    assert not weak.strong
    assert strong.strong
    assert weak.etag == f"W/{strong.etag}", "what a client has stays fresh"


def test_what_changes_a_tag() -> None:
    """A file of the same size and time of modification is another one all the same (``cp -p``, ``rsync -t``)."""
    tags = {
        Validators.of(status(), now=NOW).etag,
        Validators.of(status(CHANGED + 1), now=NOW).etag,
        Validators.of(status(size=6), now=NOW).etag,
        Validators.of(status(ctime_ns=CHANGED + 1), now=NOW).etag,
        Validators.of(status(inode=2), now=NOW).etag,
        Validators.of(status(), coding="gzip", now=NOW).etag,
        Validators.of(status(), coding="br", now=NOW).etag,
    }
    assert len(tags) == 7
    assert None not in tags
    assert Validators.of(status(), now=NOW).etag == Validators.of(status(), now=NOW + 1000).etag


def test_a_date_is_strong_if_nothing_was_changed_after_it() -> None:
    assert Validators.of(status(), now=NOW).dated
    assert not Validators.of(status(ctime_ns=CHANGED + 10**9), now=NOW).dated


def test_a_file_system_that_keeps_no_time_of_change() -> None:
    """FAT and read-only images show the time of modification instead, which anybody can set."""
    kept = Validators.of(status(THEN * 10**9), now=NOW)
    assert kept.etag is not None
    assert kept.etag.startswith('W/"')
    assert (kept.strong, kept.dated, kept.modified) == (False, False, THEN)


def test_a_system_that_keeps_no_time_of_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows ``st_ctime`` is when the file was made."""
    monkeypatch.setattr("trio_h2.files._conditions._CHANGES_ARE_DATED", False)
    kept = Validators.of(status(ctime_ns=CHANGED - 10**12), now=NOW)
    assert kept.etag is not None
    assert kept.etag.startswith('W/"')
    assert (kept.strong, kept.dated) == (False, False)


@pytest.mark.parametrize("second", [-1, 0, 1, 315_532_800, 499_162_500])
def test_times_that_are_none(second: int) -> None:
    """What container images, Nix, ZIP and npm say of every file is no date of modification."""
    in_an_image = Validators.of(status(second * 10**9), now=NOW)
    assert (in_an_image.fields, in_an_image.strong) == ({}, False)
    unpacked = Validators.of(status(second * 10**9, ctime_ns=CHANGED), now=NOW)
    assert unpacked.strong
    assert list(unpacked.fields) == ["etag"]
    assert not unpacked.dated
    just_now = Validators.of(status(second * 10**9, ctime_ns=int(NOW * 10**9)), now=NOW)
    assert list(just_now.fields) == ["etag"]


def test_no_file_is_from_the_future() -> None:
    """RFC 9110 §8.8.2.1."""
    validators = Validators.of(status(int(NOW + 100) * 10**9, ctime_ns=CHANGED), now=NOW)
    assert validators.modified == int(NOW)
    assert validators.fields["last-modified"] == format_date(NOW)
    assert not validators.strong
    assert Validators.of(status(THEN * 10**9 + 999_999_999), now=NOW).fields["last-modified"] == DATE
