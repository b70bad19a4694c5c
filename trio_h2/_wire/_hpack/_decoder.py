"""From field blocks to fields (RFC 7541 §3 and §6)."""

from __future__ import annotations

from typing import Final, final

from ._codes import Field, NeverIndexedHeaderTuple
from ._errors import HeaderListTooLargeError, HpackError
from ._huffman import huffman_decode
from ._integers import decode_long_integer
from ._memory import BlockMemory
from ._table import DEFAULT_CAPACITY, FIELD_OVERHEAD, FIRST_DYNAMIC, STATIC_ENTRIES, DynamicTable

DEFAULT_MAX_LIST_SIZE: Final = 65_536

MAX_SIZE_UPDATES: Final = 16
"""RFC 7541 §4.2 has the sender signal the smallest and the final size, "resulting in at most two dynamic table size
updates". Some send one for each change of our SETTINGS_HEADER_TABLE_SIZE instead, hpack among them, and do no harm."""

_LONG_BLOCK: Final = 2048
"""Bytes of a block that is not remembered."""


@final
class Block:
    """A decoded field block.

    A block that comes again while the dynamic table is unchanged is the same object again: who changed `fields` would
    change what is received later.
    """

    __slots__ = ("checked", "fields", "size")

    def __init__(self, fields: list[Field], size: int) -> None:
        self.fields: list[Field] = fields
        self.size: int = size
        """The size of the list of fields, as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 §6.5.2)."""
        self.checked: object | None = None
        """What was made of the fields. It is kept as long as the block is remembered."""


@final
class Decoder:
    """Decodes the field blocks of one direction of a session.

    After an error its table is out of step with the peer's, and the session must end.

    Args:
        max_table_size: SETTINGS_HEADER_TABLE_SIZE as we allow it. The table begins with 4096 bytes whatever it says, so
            the first block must begin with a size update if it is smaller.
        max_list_size: The hard bound of what one block may decode to, as RFC 9113 §6.5.2 counts it.
    """

    __slots__ = ("_generation", "_max_list_size", "_max_table_size", "_memory", "_table")

    def __init__(self, max_table_size: int = DEFAULT_CAPACITY, max_list_size: int = DEFAULT_MAX_LIST_SIZE) -> None:
        self._table = DynamicTable()
        self._memory: BlockMemory[bytes, Block] = BlockMemory()
        self._max_table_size = max_table_size
        self._max_list_size = max_list_size
        self._generation = 0

    @property
    def max_allowed_table_size(self) -> int:
        """SETTINGS_HEADER_TABLE_SIZE as we allow it. If it is lower than the peer's table, then the next block must
        begin with a size update; so a lower one may be set only after the peer has acknowledged it.
        """
        return self._max_table_size

    @max_allowed_table_size.setter
    def max_allowed_table_size(self, size: int) -> None:
        if size != self._max_table_size:
            self._max_table_size = size
            self._forget()

    @property
    def max_list_size(self) -> int:
        """The hard bound of what one block may decode to, as RFC 9113 §6.5.2 counts it."""
        return self._max_list_size

    @max_list_size.setter
    def max_list_size(self, size: int) -> None:
        if size != self._max_list_size:
            self._max_list_size = size
            self._forget()

    @property
    def size(self) -> int:
        """The bytes in the dynamic table, as RFC 7541 §4.1 counts them."""
        return self._table.size

    @property
    def generation(self) -> int:
        """A number that changes whenever a block might no longer mean what it meant before."""
        return self._generation

    def decode(self, block: bytes) -> list[Field]:
        """Returns the fields of a block, as a list that the caller may change.

        Fields that must never be indexed are of the class `NeverIndexedHeaderTuple`.

        Raises:
            HeaderListTooLargeError: They are larger than `max_list_size`.
            HpackError: The block cannot be decoded.
        """
        return self.decode_entry(block).fields.copy()

    def decode_entry(self, block: bytes) -> Block:
        """Returns a block decoded, the same object as before if it is remembered.

        Raises:
            HeaderListTooLargeError: Its fields are larger than `max_list_size`.
            HpackError: The block cannot be decoded.
        """
        return self._memory.get(block) or self._decode(block)

    def _forget(self) -> None:
        self._memory.clear()
        self._generation += 1

    def _decode(self, block: bytes) -> Block:
        if block and block[0] & 0xE0 == 0x20:
            position = self._read_size_updates(block)
            changed = True
        else:
            position = 0
            changed = False
        table = self._table
        if table.capacity > self._max_table_size:
            # RFC 7541 §4.2: a change of the maximum size "is signaled via a dynamic table size update", which "MUST
            # occur at the beginning of the first header block following the change".
            raise HpackError("the table is larger than we allow, and the block does not begin with a size update")
        try:
            fields, size, inserted, never = self._read_fields(block, position)
        except IndexError:
            raise HpackError("the block ends in the middle of a field") from None
        decoded = Block(fields, size)
        if changed or inserted:
            self._forget()
        elif not never and len(block) <= _LONG_BLOCK:
            # A field that must not be indexed is not remembered either: RFC 7541 §7.1.3 is about what can be learnt by
            # measuring.
            self._memory.keep(block, decoded, size)
        return decoded

    def _read_size_updates(self, block: bytes) -> int:
        """Obeys the size updates at the block's beginning and returns where they end (RFC 7541 §6.3)."""
        position = 0
        end = len(block)
        updates = 0
        while position < end and block[position] & 0xE0 == 0x20:
            size = block[position] & 0x1F
            position += 1
            if size == 0x1F:
                try:
                    size, position = decode_long_integer(block, position, 0x1F)
                except IndexError:
                    raise HpackError("the block ends in the middle of a size update") from None
            if size > self._max_table_size:
                # RFC 7541 §6.3: "A value that exceeds this limit MUST be treated as a decoding error."
                raise HpackError("a size update goes beyond the table size we allow")
            updates += 1
            if updates > MAX_SIZE_UPDATES:
                raise HpackError("too many size updates")
            self._table.resize(size)
        return position

    def _read_fields(self, block: bytes, position: int) -> tuple[list[Field], int, bool, bool]:
        """Returns the fields from *position* on, their size, whether the table was changed, and whether one of them
        must never be indexed.

        Raises:
            IndexError: The block ends in the middle of a field.
        """
        table = self._table
        entries = table.entries
        offset = table.offset
        end = len(block)
        limit = self._max_list_size
        fields: list[Field] = []
        append = fields.append
        total = 0
        inserted = never = False
        while position < end:
            byte = block[position]
            position += 1
            if byte >= 0x80:  # RFC 7541 §6.1: Indexed Header Field
                index = byte & 0x7F
                if index == 0x7F:
                    index, position = decode_long_integer(block, position, 0x7F)
                try:
                    field, size = STATIC_ENTRIES[index] if index < FIRST_DYNAMIC else entries[offset - index]
                except KeyError:
                    raise _no_entry(index) from None
                total += size
                if total > limit:
                    raise _too_large(limit)
                append(field)
                continue

            if byte >= 0x40:  # RFC 7541 §6.2.1: Literal Header Field with Incremental Indexing
                index = byte & 0x3F
                if index == 0x3F:
                    index, position = decode_long_integer(block, position, 0x3F)
            elif byte < 0x20:  # RFC 7541 §6.2.2 and §6.2.3: without Indexing, Never Indexed
                index = byte & 0x0F
                if index == 0x0F:
                    index, position = decode_long_integer(block, position, 0x0F)
            else:
                # RFC 7541 §4.2: "This dynamic table size update MUST occur at the beginning of the first header block
                # following the change to the dynamic table size."
                raise HpackError("a size update after a field")

            if index:
                try:
                    name = (STATIC_ENTRIES[index] if index < FIRST_DYNAMIC else entries[offset - index])[0][0]
                except KeyError:
                    raise _no_entry(index) from None
            else:
                length = block[position]
                position += 1
                huffman = length >= 0x80
                length &= 0x7F
                if length == 0x7F:
                    length, position = decode_long_integer(block, position, 0x7F)
                start = position
                position += length
                name = block[start:position]  # if it is cut, there is no value either
                if huffman:
                    name = huffman_decode(name)

            length = block[position]
            position += 1
            huffman = length >= 0x80
            length &= 0x7F
            if length == 0x7F:
                length, position = decode_long_integer(block, position, 0x7F)
            start = position
            position += length
            if position > end:
                raise IndexError
            value = block[start:position]
            if huffman:
                value = huffman_decode(value)

            size = FIELD_OVERHEAD + len(name) + len(value)
            total += size
            if total > limit:
                raise _too_large(limit)
            if byte >= 0x40:
                field = (name, value)
                append(field)
                table.add(field, size)
                offset = table.offset
                inserted = True
            elif byte >= 0x10:
                append(NeverIndexedHeaderTuple(name, value))
                never = True
            else:
                append((name, value))
        return fields, total, inserted, never


def _no_entry(index: int) -> HpackError:
    # RFC 7541 §2.3.3: "Indices strictly greater than the sum of the lengths of both tables MUST be treated as a
    # decoding error."; §6.1: "The index value of 0 is not used. It MUST be treated as a decoding error if found in an
    # indexed header field representation."
    return HpackError(f"the tables have no entry {index}")


def _too_large(limit: int) -> HeaderListTooLargeError:
    return HeaderListTooLargeError(f"the fields of a block take more than {limit} bytes")
