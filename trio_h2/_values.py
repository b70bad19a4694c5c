"""What the small frozen dataclasses of the library have in common: they are equal, and shown, by their fields."""

from __future__ import annotations

import dataclasses


class Value:
    """The base of a ``@dataclass(frozen=True, eq=False, repr=False)``: its comparison, hash and `repr`, written once.

    `dataclass` compiles its methods anew for each class, which took a third of the time of ``import trio_h2``. What is
    compared or hashed for every request or frame has methods of its own instead, which are quicker.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in _fields(self) if field.compare]
        return [getattr(self, name) for name in names] == [getattr(other, name) for name in names]

    def __hash__(self) -> int:
        hashed = (field for field in _fields(self) if (field.compare if field.hash is None else field.hash))
        return hash(tuple([getattr(self, field.name) for field in hashed]))

    def __repr__(self) -> str:
        shown = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in _fields(self) if field.repr)
        return f"{type(self).__qualname__}({shown})"


def _fields(value: object) -> tuple[dataclasses.Field[object], ...]:
    assert dataclasses.is_dataclass(value)
    return dataclasses.fields(value)
