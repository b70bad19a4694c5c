"""Which stream writes the next DATA frame (RFC 9218 §10).

Streams without a priority signal take turns. A signal gives a stream an urgency (0 first, 7 last, 3 by default), and
says whether its content is useful piece by piece: incremental streams of one urgency take turns, the others go one
after the other in the order of their ids. Between the two kinds of one urgency, turns alternate.

A stream that was given a weight takes turns, whatever else was said of it, and weights say how many: a stream of weight
256 gets sixteen times as many as one of weight 16, which is that of a stream without one. That is stride scheduling: a
turn takes the longer of a common clock, the smaller the weight is, and whose turn begins first is next.
"""

from __future__ import annotations

import re
from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._checks import check_int
from .._values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_URGENCY = 3
DEFAULT_WEIGHT = 16
"""RFC 7540 §5.3.5."""
_is_urgency = re.compile("0{0,14}[0-7]", re.ASCII).fullmatch
"""An Integer (RFC 9651 §3.3.1) from 0 to 7; it may have 15 digits."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A String (RFC 9651 §3.3.3)."""


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Priority(Value):
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

    @classmethod
    def parse(cls, text: str) -> Priority:
        """Reads the value of a ``priority`` field, or of several, joined by commas (RFC 9218 §§4 and 5).

        What it does not say keeps its default, 3 and ``False``; so does what it says wrongly, for unknown members,
        "priority parameter values that are out of range, or values of unexpected types" are to be ignored.

        Args:
            text: The value, e.g. ``"u=1, i"``.

        Raises:
            TypeError: *text* is no str.
        """
        if not isinstance(text, str):
            raise TypeError(f"the value of a priority field must be a str, not {text!r}")
        return parse_priority(text)

    def __str__(self) -> str:
        """The value of a ``priority`` field, e.g. ``"u=1, i"``."""
        return f"u={self.urgency}, i" if self.incremental else f"u={self.urgency}"


UNSIGNALLED = Priority(DEFAULT_URGENCY, incremental=True)
"""What a stream without any priority signal gets: its turn."""


def parse_priority(value: str) -> Priority:
    """Reads a ``priority`` field value; what it does not say or says wrongly keeps its default (RFC 9218 §4)."""
    urgency, incremental = DEFAULT_URGENCY, False
    if '"' in value:  # nothing that is quoted concerns us, though it may have commas
        value = _QUOTED.sub('""', value)
    for member in value.split(","):
        key, _, text = member.partition(";")[0].strip(" \t").partition("=")
        if key == "u":  # RFC 9651 §4.2.2: of a repeated key, the last value counts
            urgency = int(text) if _is_urgency(text) else DEFAULT_URGENCY
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

    def next(self, weights: _Weights) -> int:
        if self.ordered and (self.ordered_next or not self.turns):
            self.ordered_next = False
            return self.ordered[0]
        self.ordered_next = True
        stream_id = weights.next(self.turns) if weights.given else next(iter(self.turns))
        del self.turns[stream_id]
        self.turns[stream_id] = None
        return stream_id


class _Weights:
    """Weights, and how far each stream has got with its turns. Without weights, it is not asked."""

    __slots__ = ("_clock", "_free_at", "given")

    def __init__(self) -> None:
        self.given: dict[int, int] = {}
        self._clock = 0.0
        self._free_at: dict[int, float] = {}
        """When the next turn of a stream may begin, even if it was not ready in between."""

    def next(self, turns: Iterable[int]) -> int:
        """Returns the stream whose turn begins first; of several, the first one."""
        clock, free_at = self._clock, self._free_at
        stream_id = min(turns, key=lambda one: max(free_at.get(one, clock), clock))
        self._clock = max(free_at.get(stream_id, clock), clock)
        free_at[stream_id] = self._clock + 1 / self.given.get(stream_id, DEFAULT_WEIGHT)
        return stream_id

    def forget(self, stream_id: int) -> None:
        """The stream has closed."""
        self.given.pop(stream_id, None)
        self._free_at.pop(stream_id, None)
        if not self.given:
            self._free_at.clear()


class Scheduler:
    """The streams of one session that have a body to send and a window to send it in."""

    __slots__ = ("_levels", "_priorities", "_weights", "ready")

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._weights = _Weights()
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

    def weigh(self, stream_id: int, weight: int) -> None:
        """Gives a stream a weight, 1 … 256, from its next frame on."""
        self._weights.given[stream_id] = weight
        if stream_id in self.ready:
            self.remove(stream_id)
            self.add(stream_id)

    def forget(self, stream_id: int) -> None:
        """The stream has closed."""
        if self._weights.given:
            self._weights.forget(stream_id)
        if stream_id in self._priorities:
            del self._priorities[stream_id]
        if stream_id in self.ready:
            self.remove(stream_id)

    def add(self, stream_id: int) -> None:
        """The stream can write."""
        if stream_id in self.ready:
            return
        priority = self._priorities.get(stream_id, UNSIGNALLED)
        if not priority.incremental and stream_id in self._weights.given:
            priority = Priority(priority.urgency, incremental=True)
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
        return self._levels[min(self._levels)].next(self._weights)
