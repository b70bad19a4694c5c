"""The dynamic table of an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._table import FIRST_DYNAMIC, DynamicTable

if TYPE_CHECKING:
    from ._codes import Field


class SearchTable(DynamicTable):
    """A dynamic table that is searched by field and by name, in constant time."""

    __slots__ = ("names", "numbers")

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[Field, int] = {}
        """The number of the newest entry with this field."""
        self.names: dict[bytes, int] = {}
        """The number of the newest entry with this name."""

    def add(self, field: Field, size: int) -> None:
        super().add(field, size)
        if size <= self.capacity:
            self.numbers[field] = self.names[field[0]] = self.offset - FIRST_DYNAMIC

    def forget_entry(self, number: int) -> Field:
        field = super().forget_entry(number)
        if self.numbers[field] == number:
            del self.numbers[field]
        if self.names[field[0]] == number:
            del self.names[field[0]]
        return field

    def copy(self) -> SearchTable:
        """Returns a table with the same entries, which goes its own way from now on."""
        copy = SearchTable()
        copy.capacity = self.capacity
        copy.entries = self.entries.copy()
        copy.size = self.size
        copy.offset = self.offset
        copy._oldest = self._oldest
        copy.numbers = self.numbers.copy()
        copy.names = self.names.copy()
        return copy
