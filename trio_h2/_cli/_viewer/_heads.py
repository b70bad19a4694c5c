"""Header sections as the page has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._budget import MAX_VALUE
from ._fields import Fields

if TYPE_CHECKING:
    from ._budget import Budget

    # Name; value, `None` if it was removed; what else there is to say.
    Field = tuple[str, str | None, str]


class Heads:
    """All header sections of a trace, each kept once. Streams refer to them by number.

    Args:
        budget: how much text there is room for.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._numbers: dict[tuple[Field, ...], int] = {}
        self.left_out = 0
        """How many found no room."""

    def add(self, fields: list[object]) -> int | None:
        """Keeps a section; returns its number, or `None` if there is no room."""
        section = tuple(_field(Fields(field)) for field in fields)
        number = self._numbers.get(section)
        if number is not None:
            return number
        size = sum(len(name) + len(value or "") + len(note) for name, value, note in section)
        if size > self._budget.header_text:
            self.left_out += 1
            return None
        self._budget.header_text -= size
        return self._numbers.setdefault(section, len(self._numbers))

    def sections(self) -> list[tuple[Field, ...]]:
        """Returns all of them, in the order of their numbers."""
        return list(self._numbers)


def _field(field: Fields) -> Field:
    notes = []
    value = field.text("value")
    if value is None and (value := field.text("value_bytes")) is not None:
        notes.append("not UTF-8; in hexadecimal")
    if value is None:
        length = field.integer("redacted")
        notes.append("removed" if length is None else f"{_bytes(length)} removed")
    elif len(value) > MAX_VALUE:
        notes.append(f"{len(value) - MAX_VALUE} more characters left out")
        value = value[:MAX_VALUE]
    if field.flag("never_indexed"):
        notes.append("never indexed")
    return (field.text("name") or "", value, ", ".join(notes))


def _bytes(number: int) -> str:
    return "1 byte" if number == 1 else f"{number} bytes"
