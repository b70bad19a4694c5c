"""A JSON object of a trace, of which nothing is certain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import ItemsView

# Numbers in the page are those of JavaScript, which has integers up to 2**53.
_LARGEST = 2.0**53


class Fields:
    """Looks fields up; one that is missing, or has another type than asked for, is `None`.

    Args:
        values: what was read; anything but an object is taken for an empty one.
    """

    __slots__ = ("_values",)

    def __init__(self, values: object) -> None:
        self._values: dict[str, object] = values if isinstance(values, dict) else {}

    def text(self, name: str) -> str | None:
        """Returns a string."""
        value = self._values.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        """Returns a number that can be reckoned with."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # Compared first: an int may be too large for a float.
        return float(value) if -_LARGEST <= value <= _LARGEST and math.isfinite(value) else None

    def integer(self, name: str) -> int | None:
        """Returns a whole number."""
        value = self.number(name)
        return None if value is None else int(value)

    def flag(self, name: str) -> bool:
        """Whether it is there, and true."""
        return self._values.get(name) is True

    def fields(self, name: str) -> Fields:
        """Returns an object within this one."""
        return Fields(self._values.get(name))

    def each(self, name: str) -> list[object]:
        """Returns the items of a list."""
        value = self._values.get(name)
        return value if isinstance(value, list) else []

    def has(self, name: str) -> bool:
        """Whether there is such a field, of whatever type."""
        return name in self._values

    def items(self) -> ItemsView[str, object]:
        """Returns all names with their values."""
        return self._values.items()
