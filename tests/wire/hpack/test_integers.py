"""Integers with a prefix (RFC 7541 §5.1)."""

from __future__ import annotations

import pytest
from hpack.hpack import encode_integer as judge

from trio_h2._wire._hpack import HpackError
from trio_h2._wire._hpack._integers import decode_long_integer, encode_integer

MASKS = [0x0F, 0x1F, 0x3F, 0x7F]
VALUES = sorted({0, 1, *(mask + delta for mask in [*MASKS, 0xFF] for delta in (-1, 0, 1, 127, 128)), 2**14, 2**32 - 1})


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("value", VALUES)
def test_an_integer_comes_back(value: int, mask: int) -> None:
    data = encode_integer(value, 0, mask)
    assert data == judge(value, mask.bit_length())
    if value < mask:
        assert data == bytes((value,))
    else:
        assert data[0] == mask
        assert decode_long_integer(b"\xff" + data + b"\xff", 2, mask) == (value, 1 + len(data))


def test_the_pattern_is_kept() -> None:
    assert encode_integer(3, 0x80, 0x7F) == b"\x83"
    assert encode_integer(31, 0x20, 0x1F) == b"\x3f\x00"
    assert encode_integer(127 + 128, 0x80, 0x7F) == b"\xff\x80\x01"


@pytest.mark.parametrize("mask", MASKS)
def test_an_integer_may_have_five_bytes_after_its_prefix(mask: int) -> None:
    assert decode_long_integer(b"\x80\x80\x80\x80\x7f", 0, mask) == (mask + (0x7F << 28), 5)
    assert decode_long_integer(b"\x81\x80\x80\x80\x00", 0, mask) == (mask + 1, 5)  # zeros on top are allowed
    with pytest.raises(HpackError, match="too long"):
        decode_long_integer(b"\x80\x80\x80\x80\x80\x00", 0, mask)
    with pytest.raises(HpackError, match="too long"):
        decode_long_integer(b"\xff" * 1000, 0, mask)


@pytest.mark.parametrize("size", range(5))
def test_a_cut_integer_is_an_index_error(size: int) -> None:
    with pytest.raises(IndexError):
        decode_long_integer(b"\x80" * size, 0, 0x7F)
