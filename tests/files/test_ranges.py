"""What a `range` field asks for, and what is sent of it (RFC 9110 §14)."""

from __future__ import annotations

import random
from email import message_from_bytes

import pytest

from trio_h2.files._ranges import MAX_RANGES, Span, multipart, parse_range


def spans(value: str | None, size: int) -> list[tuple[int, int]] | None:
    """Returns (first, last) of each span."""
    found = parse_range(value, size)
    return None if found is None else [(span.start, span.stop - 1) for span in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 9110 §14.1.2, of a representation of 10000 octets
        ("bytes=0-499", [(0, 499)]),
        ("bytes=500-999", [(500, 999)]),
        ("bytes=-500", [(9500, 9999)]),
        ("bytes=9500-", [(9500, 9999)]),
        ("bytes=0-0,-1", [(0, 0), (9999, 9999)]),
        ("bytes= 0-0, 4500-5499, -1000 ", [(0, 0), (4500, 5499), (9000, 9999)]),
        ("bytes=500-600,601-999", [(500, 999)]),
        ("bytes=500-700,601-999", [(500, 999)]),
        # the ends
        ("bytes=0-", [(0, 9999)]),
        ("bytes=9999-", [(9999, 9999)]),
        ("bytes=0-10000", [(0, 9999)]),
        ("bytes=0-99999999999999999999999999", [(0, 9999)]),
        ("bytes=-10000", [(0, 9999)]),
        ("bytes=-99999999999999999999999999", [(0, 9999)]),
        ("bytes=00000000000000000000000007-8", [(7, 8)]),
        ("BYTES=1-2", [(1, 2)]),
        ("bytes=,1-2,,", [(1, 2)]),
        # nothing to be had: 416
        ("bytes=10000-", []),
        ("bytes=10000-10001", []),
        ("bytes=99999999999999999999999999-", []),
        ("bytes=-0", []),
        ("bytes=10000-,-0", []),
        # some of it
        ("bytes=10000-,5-6", [(5, 6)]),
        # not understood: the whole
        (None, None),
        *(
            (text, None)
            for text in ["", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=1", "bytes=1-2-3"]
        ),
        *((text, None) for text in ["bytes=2-1", "bytes=1-2,x", "bytes=--1", "bytes=+1-2", "bytes=1 - 2", "lines=1-2"]),
        *(
            (text, None)
            for text in ["bytes=0x1-2", "bytes=1-2;3-4", "bytes:1-2", "=1-2", "bytes=\u0661-", "bytes=1-2\x00"]
        ),
        # order is kept, unless some are joined
        ("bytes=5000-5001,100-101", [(5000, 5001), (100, 101)]),
        ("bytes=5000-5001,100-101,102-103", [(100, 103), (5000, 5001)]),
        ("bytes=0-1,82-90", [(0, 1), (82, 90)]),
        ("bytes=0-1,81-90", [(0, 90)]),
        # more than the whole
        ("bytes=0-,0-", None),
        ("bytes=0-5000,4000-", None),
    ],
)
def test_ten_thousand_octets(value: str | None, expected: list[tuple[int, int]] | None) -> None:
    assert spans(value, 10_000) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-", []),
        ("bytes=0-0", []),
        ("bytes=-0", []),
        ("bytes=-1", None),
        ("bytes=5-", []),
        ("bytes=0-,-1", None),
    ],
)
def test_nothing(value: str, expected: list[tuple[int, int]] | None) -> None:
    assert spans(value, 0) == expected


def test_many_ranges_get_the_whole() -> None:
    def several(count: int) -> str:
        return "bytes=" + ",".join(f"{1000 * n}-{1000 * n + 1}" for n in range(count))

    found = parse_range(several(MAX_RANGES), 10**6)
    assert found is not None
    assert len(found) == MAX_RANGES
    assert parse_range(several(MAX_RANGES + 1), 10**6) is None
    assert parse_range("bytes=0-1" + "," * 1000, 10**6) is None


def test_any_ranges_cost_no_more_than_the_whole() -> None:
    """Whatever is asked for: within the file, no byte twice, and all that was asked for is in it."""
    chance = random.Random(14)
    for _ in range(3000):
        size = chance.choice([1, 2, 10, 500, 5000])
        asked = []
        for _ in range(chance.randrange(1, 6)):
            first = chance.randrange(size + 2)
            asked.append((first, first + chance.randrange(size)))
        found = parse_range("bytes=" + ",".join(f"{a}-{b}" for a, b in asked), size)
        wanted = {octet for a, b in asked for octet in range(a, b + 1) if octet < size}
        if found is None:
            assert sum(max(0, min(b + 1, size) - a) for a, b in asked) > size
            continue
        octets = [octet for span in found for octet in range(span.start, span.stop)]
        assert len(octets) == len(set(octets))
        assert wanted <= set(octets) <= set(range(size))
        assert bool(wanted) == bool(octets)


def test_several_parts_are_a_message() -> None:
    content = bytes(range(256)) * 4
    several = multipart([Span(0, 10), Span(500, 3)], len(content), "text/plain; charset=utf-8")
    body = b"".join(part if isinstance(part, bytes) else content[part[0] : part[0] + part[1]] for part in several.parts)
    assert len(body) == several.length
    message = message_from_bytes(f"content-type: {several.content_type}\r\n\r\n".encode() + body)
    _, first, second = message.walk()
    assert [first["content-range"], second["content-range"]] == ["bytes 0-9/1024", "bytes 500-502/1024"]
    assert first["content-type"] == "text/plain; charset=utf-8"
    assert body.count(content[500:503] + b"\r\n--") == 1


def test_boundaries_cannot_be_guessed() -> None:
    types = {multipart([Span(0, 1), Span(200, 1)], 300, "a/b").content_type for _ in range(20)}
    assert len(types) == 20
