"""The tables that fields are looked up in: the static one, and the dynamic one of a decoder (RFC 7541 §2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from ._codes import Field

FIELD_OVERHEAD: Final = 32
"""RFC 7541 §4.1: "The size of an entry is the sum of its name's length in octets (as defined in Section 5.2), its
value's length in octets, and 32."
"""

DEFAULT_CAPACITY: Final = 4096
"""Of a dynamic table, before anyone changes it (RFC 9113 §6.5.2)."""

Entry: TypeAlias = "tuple[Field, int]"
"""A field and its size."""


def field_size(field: Field) -> int:
    """Returns the size of a field, in a table as in a list (RFC 9113 §6.5.2 counts them the same)."""
    return FIELD_OVERHEAD + len(field[0]) + len(field[1])


# RFC 7541, Appendix A, in order: names with their values, of which most have the empty one.
_STATIC: Final = """
:authority=|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204
:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset=|accept-encoding=gzip, deflate
accept-language=|accept-ranges=|accept=|access-control-allow-origin=|age=|allow=|authorization=|cache-control=
content-disposition=|content-encoding=|content-language=|content-length=|content-location=|content-range=
content-type=|cookie=|date=|etag=|expect=|expires=|from=|host=|if-match=|if-modified-since=|if-none-match=|if-range=
if-unmodified-since=|last-modified=|link=|location=|max-forwards=|proxy-authenticate=|proxy-authorization=|range=
referer=|refresh=|retry-after=|server=|set-cookie=|strict-transport-security=|transfer-encoding=|user-agent=|vary=|via=
www-authenticate=
"""


def _read_static() -> list[Entry]:
    entries: list[Entry] = []
    for word in _STATIC.strip().replace("\n", "|").split("|"):
        name, _, value = word.encode("ascii").partition(b"=")
        entries.append(((name, value), field_size((name, value))))
    return entries


_entries: Final = _read_static()

FIRST_DYNAMIC: Final = len(_entries) + 1
"""RFC 7541 §2.3.3: "Indices strictly greater than the length of the static table refer to elements in the dynamic
table"; the first one is its newest entry.
"""

STATIC_ENTRIES: Final[dict[int, Entry]] = dict(enumerate(_entries, 1))
STATIC_FIELDS: Final[dict[Field, int]] = {field: index for index, (field, _) in STATIC_ENTRIES.items()}
STATIC_NAMES: Final[dict[bytes, int]] = {}
"""The first index of each name."""
for _index, (_field, _) in STATIC_ENTRIES.items():
    STATIC_NAMES.setdefault(_field[0], _index)


class DynamicTable:
    """A dynamic table (RFC 7541 §2.3.2): first in, first out, and bounded.

    Entries are numbered from 1 on, in the order in which they were added, and are looked up by number: the entry with
    the index ``i`` has the number ``offset - i``.
    """

    __slots__ = ("_oldest", "capacity", "entries", "offset", "size")

    def __init__(self) -> None:
        self.capacity = DEFAULT_CAPACITY
        """RFC 7541 §4.2: the bound of `size`."""
        self.entries: dict[int, Entry] = {}
        self.size = 0
        self.offset = FIRST_DYNAMIC
        self._oldest = 1

    def add(self, field: Field, size: int) -> None:
        """Adds a field of *size*; the oldest entries make room (RFC 7541 §4.4)."""
        if size > self.capacity:
            # RFC 7541 §4.4: "an attempt to add an entry larger than the maximum size causes the table to be emptied of
            # all existing entries and results in an empty table."
            self._evict_to(0)
            return
        if self.size + size > self.capacity:
            self._evict_to(self.capacity - size)
        self.size += size
        self.entries[self.offset - FIRST_DYNAMIC + 1] = (field, size)
        self.offset += 1

    def resize(self, capacity: int) -> None:
        """Sets the capacity; the oldest entries go if it is too small for them (RFC 7541 §4.3)."""
        self.capacity = capacity
        self._evict_to(capacity)

    def _evict_to(self, size: int) -> None:
        """Evicts the oldest entries until the others have no more than *size*."""
        while self.size > size:
            self.forget_entry(self._oldest)
            self._oldest += 1

    def forget_entry(self, number: int) -> Field:
        """Takes one entry out and returns its field."""
        field, size = self.entries.pop(number)
        self.size -= size
        return field
