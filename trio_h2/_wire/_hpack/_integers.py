"""Integers with a prefix (RFC 7541 §5.1)."""

from __future__ import annotations

from typing import Final

from ._errors import HpackError

MAX_CONTINUATION: Final = 5
"""Bytes after the prefix: enough for 32 bits. RFC 7541 §5.1: "Integer encodings that exceed implementation limits --
in value or octet length -- MUST be treated as decoding errors."
"""


def encode_integer(value: int, pattern: int, mask: int) -> bytes:
    """Returns *value* as an integer whose prefix has the bits of *mask*, after the bits of *pattern*."""
    if value < mask:
        return bytes((pattern | value,))
    encoded = bytearray((pattern | mask,))
    value -= mask
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_long_integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """Returns an integer whose prefix has all bits of *mask* set, and where it ends.

    Args:
        block: The field block.
        position: Where the first byte after the prefix is.
        mask: All bits of the prefix.

    Raises:
        HpackError: The integer is too long.
        IndexError: The block ends in it.
    """
    value = mask
    for shift in range(0, 7 * MAX_CONTINUATION, 7):
        byte = block[position]
        position += 1
        if byte < 0x80:
            return value + (byte << shift), position
        value += (byte & 0x7F) << shift
    raise HpackError("an integer is too long")
