"""From fields to field blocks (RFC 7541 §3 and §6)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, final

from ._codes import Field, NeverIndexedHeaderTuple
from ._huffman import encoded_size, huffman_encode
from ._integers import encode_integer
from ._memory import MAX_BLOCKS, BlockMemory
from ._search_table import SearchTable
from ._table import DEFAULT_CAPACITY, FIELD_OVERHEAD, STATIC_FIELDS, STATIC_NAMES, field_size

if TYPE_CHECKING:
    from collections.abc import Sequence

VOLATILE: Final = frozenset(
    b""":path age content-digest content-disposition content-length content-location content-md5 content-range digest
    etag expires if-match if-modified-since if-none-match if-range if-unmodified-since last-event-id last-modified
    location range repr-digest set-cookie traceparent tracestate x-request-id""".split(),
)
"""Fields that are another one in every message: in the table they would only drive out those that come again.

``date`` is not one of them: it is the same for a second, in which one entry serves all responses.
"""

_LONG_BLOCK: Final = 1024
"""Bytes of a block that is not remembered."""

# The first bytes of the representations (RFC 7541 §6), and the bits of the index in them.
_INDEXED, _INDEXED_MASK = 0x80, 0x7F
_INCREMENTAL, _INCREMENTAL_MASK = 0x40, 0x3F
_SIZE_UPDATE, _SIZE_UPDATE_MASK = 0x20, 0x1F
_NEVER, _WITHOUT, _LITERAL_MASK = 0x10, 0x00, 0x0F
_HUFFMAN, _LENGTH_MASK = 0x80, 0x7F

_PLAIN: Final[set[type]] = {tuple}
_SHORT_NAME: Final = 64
_LENGTHS: Final = tuple(bytes((length,)) for length in range(256))

_INDEXES: Final = tuple(encode_integer(index, _INDEXED, _INDEXED_MASK) for index in range(192))
"""Indexed fields, ready: a table of 4096 bytes has 128 entries at most."""
_STATIC: Final = {field: _INDEXES[index] for field, index in STATIC_FIELDS.items()}
_STATIC_INCREMENTAL: Final = {
    name: encode_integer(index, _INCREMENTAL, _INCREMENTAL_MASK) for name, index in STATIC_NAMES.items()
}
_STATIC_WITHOUT: Final = {name: encode_integer(index, _WITHOUT, _LITERAL_MASK) for name, index in STATIC_NAMES.items()}
_STATIC_NEVER: Final = {name: encode_integer(index, _NEVER, _LITERAL_MASK) for name, index in STATIC_NAMES.items()}


@final
class Encoder:
    """Encodes the field blocks of one direction of a session.

    A block that was encoded must be sent, and in this order: else the peer's table is out of step with ours.

    Args:
        max_table_size: The bound of our table, whatever the peer allows.
    """

    __slots__ = ("_announced", "_generation", "_latest", "_max_table_size", "_memory", "_smallest", "_table")

    def __init__(self, max_table_size: int = DEFAULT_CAPACITY) -> None:
        self._max_table_size = max_table_size
        self._table = SearchTable()
        self._announced = DEFAULT_CAPACITY
        """The size of the table as the peer knows it."""
        self._smallest = DEFAULT_CAPACITY
        """The smallest size of the table since the last block."""
        self._generation = 0
        self._memory: BlockMemory[tuple[Field, ...], bytes] = BlockMemory()
        self._latest: dict[int, tuple[Sequence[Field], bytes]] = {}
        """Remembered blocks by the address of their tuple, which is kept here so that it stays the tuple's: equal
        fields take longer to find than the same ones.
        """
        self.allow_table_size(DEFAULT_CAPACITY)

    @property
    def size(self) -> int:
        """The bytes in the dynamic table, as RFC 7541 §4.1 counts them."""
        return self._table.size

    @property
    def table_size(self) -> int:
        """The bytes that the dynamic table may have."""
        return self._table.capacity

    @property
    def generation(self) -> int:
        """A number that changes whenever a block might no longer mean what it meant before."""
        return self._generation

    def allow_table_size(self, size: int) -> None:
        """Obeys SETTINGS_HEADER_TABLE_SIZE of the peer; the next block tells what became of our table.

        RFC 7541 §4.2: "In the case that this size is changed more than once in this interval, the smallest maximum
        table size that occurs in that interval MUST be signaled in a dynamic table size update. The final maximum size
        is always signaled, resulting in at most two dynamic table size updates."
        """
        size = min(size, self._max_table_size)
        if size != self._table.capacity:
            self._table.resize(size)
            self._smallest = min(self._smallest, size)
            self._forget()

    def encode(self, fields: Sequence[Field]) -> bytes:
        """Returns a block with these fields. Those of the class `NeverIndexedHeaderTuple` are never indexed.

        The same tuple is encoded faster the next time, an equal sequence somewhat faster.
        """
        latest = self._latest.get(id(fields))
        if latest is not None:
            return latest[1]
        key = tuple(fields)
        # A never-indexed field is equal to one without the mark, so it must not be looked up.
        plain = {*map(type, key)} == _PLAIN
        block = self._memory.get(key) if plain else None
        if block is None:
            generation = self._generation
            block = self._encode(key)
            if not plain or generation != self._generation or len(block) > _LONG_BLOCK:
                return block
            if not self._memory.keep(key, block, sum(map(field_size, key))):
                return block
        if key is fields:  # only an immutable one is the same by address
            if len(self._latest) >= MAX_BLOCKS:
                self._latest.clear()
            self._latest[id(key)] = (key, block)
        return block

    def block_size(self, fields: Sequence[Field]) -> int:
        """Returns the bytes that `encode` would give for these fields, and changes nothing."""
        trial = Encoder(self._max_table_size)
        trial._table = self._table.copy()
        trial._announced = self._announced
        trial._smallest = self._smallest
        return len(trial._encode(fields))

    def _forget(self) -> None:
        self._generation += 1
        self._memory.clear()
        self._latest.clear()

    def _encode(self, fields: Sequence[Field]) -> bytes:
        table = self._table
        parts: list[bytes] = []
        append = parts.append
        changed = False
        if self._smallest < self._announced or table.capacity != self._announced:
            append(self._announce_size())
            changed = True
        numbers = table.numbers
        offset = table.offset
        capacity = table.capacity
        for field in fields:
            if type(field) is not tuple and isinstance(field, NeverIndexedHeaderTuple):
                # RFC 7541 §6.2.3: "Intermediaries MUST use the same representation for encoding this header field."
                name, value = field
                append(_STATIC_NEVER.get(name) or self._name(name, _NEVER, _LITERAL_MASK))
                append(_string(value))
                continue
            indexed = _STATIC.get(field)
            if indexed is not None:
                append(indexed)
                continue
            number = numbers.get(field)
            if number is not None:
                index = offset - number
                append(_INDEXES[index] if index < 192 else encode_integer(index, _INDEXED, _INDEXED_MASK))
                continue
            name, value = field
            size = FIELD_OVERHEAD + len(name) + len(value)
            # A field that takes most of the table would drive out all the others.
            if name in VOLATILE or 4 * size > 3 * capacity:
                append(_STATIC_WITHOUT.get(name) or self._name(name, _WITHOUT, _LITERAL_MASK))
                append(_string(value))
            else:
                append(_STATIC_INCREMENTAL.get(name) or self._name(name, _INCREMENTAL, _INCREMENTAL_MASK))
                append(_string(value))
                table.add((name, value), size)
                offset = table.offset
                changed = True
        if changed:
            self._forget()
        return b"".join(parts)

    def _announce_size(self) -> bytes:
        """Returns the size updates that are due (RFC 7541 §6.3)."""
        updates = b""
        if self._smallest < self._announced:
            self._announced = self._smallest
            updates = encode_integer(self._smallest, _SIZE_UPDATE, _SIZE_UPDATE_MASK)
        if self._table.capacity != self._announced:
            self._announced = self._table.capacity
            updates += encode_integer(self._announced, _SIZE_UPDATE, _SIZE_UPDATE_MASK)
        self._smallest = self._announced
        return updates

    def _name(self, name: bytes, pattern: int, mask: int) -> bytes:
        """Returns how a literal field begins whose name is not in the static table."""
        number = self._table.names.get(name)
        if number is not None:
            return encode_integer(self._table.offset - number, pattern, mask)
        return bytes((pattern,)) + (_short_name(name) if len(name) <= _SHORT_NAME else _string(name))


def _string(data: bytes) -> bytes:
    """Returns *data* as a string literal (RFC 7541 §5.2), in the shorter coding; if both are the same, in the plain
    one, which is decoded faster.
    """
    length = len(data)
    size = encoded_size(data)
    if size < length:
        if size < _LENGTH_MASK:
            return _LENGTHS[_HUFFMAN | size] + huffman_encode(data, size)
        return encode_integer(size, _HUFFMAN, _LENGTH_MASK) + huffman_encode(data, size)
    if length < _LENGTH_MASK:
        return _LENGTHS[length] + data
    return encode_integer(length, 0, _LENGTH_MASK) + data


_short_name: Final = lru_cache(256)(_string)
"""Names come again, in every session. Values are not kept outside of theirs."""
