"""Header compression with its traps closed: a table that stays small, and blocks that are read in linear time.

Private parts of hpack that are used here are covered by contract tests (tests/wire/test_contract.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpack import Decoder, Encoder
from hpack.hpack import decode_integer

if TYPE_CHECKING:
    from hpack import HeaderTuple

_LONG_BLOCK = 2048


class CappedEncoder(Encoder):
    """An HPACK encoder whose table stays small whatever the peer allows: hpack searches it linearly."""

    max_table_size = 4096

    @property
    def header_table_size(self) -> int:
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        value = min(value, self.max_table_size)
        if value == self.header_table.maxsize:
            return  # hpack would forget that an earlier change has not been signalled yet
        self.header_table.maxsize = value
        self.table_size_changes.append(value)


class LinearDecoder(Decoder):
    """An HPACK decoder that copies each literal once; hpack copies all the rest of the block for every literal.

    That makes a block of 200 kB with thousands of tiny literals cost more than a second.
    """

    def _decode_literal(self, data: bytes | memoryview, should_index: bool) -> tuple[HeaderTuple, int]:
        if len(data) > _LONG_BLOCK:
            data = data[: _literal_length(data, 6 if should_index else 4)]
        return super()._decode_literal(data, should_index)


def _literal_length(data: bytes | memoryview, prefix_bits: int) -> int:
    """Returns the octets of the literal that *data* begins with (RFC 7541 §6.2)."""
    name_index, size = decode_integer(data, prefix_bits)
    if not name_index:
        length, consumed = decode_integer(data[size:], 7)
        size += consumed + length
    length, consumed = decode_integer(data[size:], 7)
    return size + consumed + length
