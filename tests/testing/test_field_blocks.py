"""Header fields as tests write them, and how a block of them is cut into frames."""

from __future__ import annotations

import hpack
import pytest

from trio_h2.testing._field_blocks import field_pair, split_block


def test_text_is_sent_as_latin_1() -> None:
    assert field_pair(("x-név", "é")) == (b"x-n\xe9v", b"\xe9")
    assert field_pair((b"x", b"\xff")) == (b"x", b"\xff")
    assert not isinstance(field_pair(("x", "y")), hpack.NeverIndexedHeaderTuple)
    assert isinstance(field_pair(hpack.NeverIndexedHeaderTuple("x", "y")), hpack.NeverIndexedHeaderTuple)


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        (None, [b"abc", b"defgh", b"ij"]),
        (4, [b"abcd", b"efgh", b"ij"]),
        ([1, 0, 2], [b"a", b"", b"bc", b"defgh", b"ij"]),
        ([20], [b"abcdefghij"]),
    ],
)
def test_how_a_block_is_cut(split: int | list[int] | None, parts: list[bytes]) -> None:
    """The first frame has 2 bytes less room, for padding and priority; what *split* does not say fills frames of 5."""
    assert split_block(b"abcdefghij", split, 5, 2) == parts


def test_there_is_at_least_one_part() -> None:
    assert split_block(b"", 4, 5, 2) == [b""]
    assert split_block(b"ab", None, 1, 3) == [b"", b"a", b"b"], "no room beside the padding"
    with pytest.raises(ValueError, match="split must be at least 1"):
        split_block(b"ab", 0, 5, 2)
