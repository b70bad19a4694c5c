"""The Huffman code of strings (RFC 7541 §5.2)."""

from __future__ import annotations

import random

import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from trio_h2._wire._hpack import HpackError
from trio_h2._wire._hpack._codes import CODES, EOS
from trio_h2._wire._hpack._huffman import encoded_size, huffman_decode, huffman_encode

JUDGE = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def pack(digits: str) -> bytes:
    """Returns binary digits, of which there must be whole bytes, as bytes."""
    assert len(digits) % 8 == 0
    return int(digits, 2).to_bytes(len(digits) // 8, "big") if digits else b""


def padded(digits: str, fill: str = "1") -> bytes:
    return pack(digits + fill * (-len(digits) % 8))


@pytest.mark.parametrize("symbol", range(256))
def test_each_byte(symbol: int) -> None:
    """Alone, repeated, and behind each number of bits that another one can leave in a byte."""
    for data in bytes((symbol,)), bytes((symbol,)) * 9, *(b"0" * count + bytes((symbol,)) + b"z" for count in range(8)):
        encoded = huffman_encode(data, encoded_size(data))
        assert encoded == JUDGE.encode(data)
        assert encoded == padded("".join(CODES[byte] for byte in data))
        assert huffman_decode(encoded) == data


def test_random_strings() -> None:
    rng = random.Random(7541)
    for _ in range(2000):
        data = rng.randbytes(rng.randrange(1, 80))
        encoded = huffman_encode(data, encoded_size(data))
        assert encoded == JUDGE.encode(data)
        assert huffman_decode(encoded) == data


def test_nothing() -> None:
    assert encoded_size(b"") == 0
    assert huffman_decode(b"") == b""


@pytest.mark.parametrize("bits", range(1, 8))
def test_padding(bits: int) -> None:
    """Some text leaves each number of bits to pad; only ones are right."""
    text = next(
        text
        for count in range(20)
        for text in [b"a" * count + b"\x00"]
        if sum(len(CODES[b]) for b in text) % 8 == 8 - bits
    )
    digits = "".join(CODES[byte] for byte in text)
    assert huffman_decode(pack(digits + "1" * bits)) == text
    for wrong in range(2**bits - 1):
        padding = format(wrong, f"0{bits}b")
        try:
            decoded = huffman_decode(pack(digits + padding))
        except HpackError:
            continue
        assert decoded != text  # a code of five bits and more fits in, and is a letter then
        assert bits >= 5


def test_padding_of_a_byte_and_more_is_refused() -> None:
    """RFC 7541 §5.2: "A padding strictly longer than 7 bits MUST be treated as a decoding error." """
    for text in b"", b"a", b"hello", b"\x00":
        right = padded("".join(CODES[byte] for byte in text))
        assert huffman_decode(right) == text
        for extra in b"\xff", b"\xff\xff", b"\xff\xff\xff":
            with pytest.raises(HpackError):
                huffman_decode(right + extra)


def test_eos_in_a_string_is_refused() -> None:
    """RFC 7541 §5.2; before, after and between other symbols, and nothing behind it makes it right again."""
    for before in "", CODES[ord("a")], CODES[0]:
        for after in "", CODES[ord("a")], CODES[ord("a")] * 40:
            with pytest.raises(HpackError):
                huffman_decode(padded(before + CODES[EOS] + after))


def test_a_cut_code_is_refused() -> None:
    with pytest.raises(HpackError):
        huffman_decode(pack((CODES[0] + CODES[1])[:32]))


def test_no_error_tells_what_was_received() -> None:
    with pytest.raises(HpackError) as caught:
        huffman_decode(b"secret\xff\xff\xff\xff")
    assert "secret" not in str(caught.value)
