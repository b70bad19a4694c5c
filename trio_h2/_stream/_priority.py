"""Priority signals of a stream: those that order what is sent (RFC 9218), and those of RFC 7540 for old peers."""

from __future__ import annotations

from dataclasses import dataclass

from .._wire._engine import HIGHEST_STREAM_ID
from .._wire._schedule import Priority

PRIORITY = 0x2
DEFAULT_WEIGHT = 16
"""RFC 7540 §5.3.5."""
_EXCLUSIVE = 1 << 31


@dataclass(frozen=True, slots=True)
class Dependency:
    """RFC 7540 §5.3: how much of its parent's share a stream gets."""

    weight: int
    depends_on: int
    exclusive: bool

    def pack(self) -> bytes:
        """Returns the payload of PRIORITY (RFC 7540 §6.3)."""
        parent = self.depends_on | (_EXCLUSIVE if self.exclusive else 0)
        return parent.to_bytes(4, "big") + bytes((self.weight - 1,))


def check_priority(priority: Priority | None) -> None:
    """Raises `TypeError` unless it is a `Priority`."""
    if priority is not None and not isinstance(priority, Priority):
        raise TypeError(f"priority must be a Priority, not {priority!r}")


def dependency_of(stream_id: int, weight: int | None, depends_on: int | None, exclusive: bool) -> Dependency | None:
    """Returns what was asked for in the terms of RFC 7540, ``None`` if nothing was.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a value is out of range, or the stream would depend on itself.
    """
    if not isinstance(exclusive, bool):
        raise TypeError(f"exclusive must be a bool, not {exclusive!r}")
    for name, value, low, high in ("weight", weight, 1, 256), ("depends_on", depends_on, 0, HIGHEST_STREAM_ID):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, not {value!r}")
        if not low <= value <= high:
            raise ValueError(f"{name} must be in {low}..{high}, not {value}")
    if depends_on == stream_id:
        # RFC 7540 §5.3.1: "A stream cannot depend on itself."
        raise ValueError(f"stream {stream_id} cannot depend on itself")
    if weight is None and depends_on is None and not exclusive:
        return None
    return Dependency(DEFAULT_WEIGHT if weight is None else weight, depends_on or 0, exclusive)
