"""Which stream writes the next DATA frame (RFC 9218 §10).

Streams without a priority signal take turns. A signal gives a stream an urgency (0 first, 7 last, 3 by default), and
says whether its content is useful piece by piece: incremental streams of one urgency take turns, the others go one
after the other in the order of their ids. Between the two kinds of one urgency, turns alternate.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from .._checks import check_int

DEFAULT_URGENCY = 3
_URGENCIES = frozenset("01234567")


@dataclass(slots=True, frozen=True)
class Priority:
    """How much a response matters (RFC 9218 §4).

    Attributes:
        urgency: 0 (first) to 7 (last).
        incremental: whether the content is useful piece by piece, so that it shares its turn with others.

    Raises:
        TypeError: *urgency* is no int, or *incremental* no bool.
        ValueError: *urgency* is out of range.
    """

    urgency: int = DEFAULT_URGENCY
    incremental: bool = False

    def __post_init__(self) -> None:
        check_int("urgency", self.urgency, 0, 7)
        if not isinstance(self.incremental, bool):
            raise TypeError(f"incremental must be a bool, not {self.incremental!r}")

    def __str__(self) -> str:
        """The value of a ``priority`` field, e.g. ``"u=1, i"``."""
        return f"u={self.urgency}, i" if self.incremental else f"u={self.urgency}"


UNSIGNALLED = Priority(DEFAULT_URGENCY, incremental=True)
"""What a stream without any priority signal gets: its turn."""


def parse_priority(value: str) -> Priority:
    """Reads a ``priority`` field value; what it does not say or says wrongly keeps its default (RFC 9218 §4)."""
    urgency, incremental = DEFAULT_URGENCY, False
    for member in value.split(","):
        key, _, text = member.partition(";")[0].strip(" \t").partition("=")
        if key == "u":  # RFC 9651 §4.2.2: of a repeated key, the last value counts
            urgency = int(text) if text in _URGENCIES else DEFAULT_URGENCY
        elif key == "i":
            incremental = text in ("", "?1")
    return Priority(urgency, incremental)


class _Level:
    """The ready streams of one urgency."""

    __slots__ = ("ordered", "ordered_next", "turns")

    def __init__(self) -> None:
        self.ordered: list[int] = []
        self.turns: dict[int, None] = {}
        self.ordered_next = True

    def next(self) -> int:
        if self.ordered and (self.ordered_next or not self.turns):
            self.ordered_next = False
            return self.ordered[0]
        self.ordered_next = True
        stream_id = next(iter(self.turns))
        del self.turns[stream_id]
        self.turns[stream_id] = None
        return stream_id


class Scheduler:
    """The streams of one session that have a body to send and a window to send it in."""

    __slots__ = ("_levels", "_priorities", "ready")

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self.ready: dict[int, Priority] = {}
        """The streams that can write."""
        self._priorities: dict[int, Priority] = {}

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self.ready

    def __len__(self) -> int:
        return len(self.ready)

    def prioritize(self, stream_id: int, priority: Priority) -> None:
        """Gives a stream a priority, from its next frame on."""
        self._priorities[stream_id] = priority
        if stream_id in self.ready:
            self.remove(stream_id)
            self.add(stream_id)

    def forget(self, stream_id: int) -> None:
        """The stream has closed."""
        if stream_id in self._priorities:
            del self._priorities[stream_id]
        if stream_id in self.ready:
            self.remove(stream_id)

    def add(self, stream_id: int) -> None:
        """The stream can write."""
        if stream_id in self.ready:
            return
        priority = self._priorities.get(stream_id, UNSIGNALLED)
        self.ready[stream_id] = priority
        level = self._levels.setdefault(priority.urgency, _Level())
        if priority.incremental:
            level.turns[stream_id] = None
        else:
            insort(level.ordered, stream_id)

    def remove(self, stream_id: int) -> None:
        """The stream has nothing to write, or no window."""
        priority = self.ready.pop(stream_id, None)
        if priority is None:
            return
        level = self._levels[priority.urgency]
        if priority.incremental:
            del level.turns[stream_id]
        else:
            level.ordered.remove(stream_id)
        if not level.turns and not level.ordered:
            del self._levels[priority.urgency]

    def next(self) -> int | None:
        """Returns the stream whose turn it is, or ``None``; it stays ready."""
        if not self._levels:
            return None
        return self._levels[min(self._levels)].next()
