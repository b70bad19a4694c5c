"""Until when something must have happened on streams, for the watcher."""

from __future__ import annotations

import math


class StreamDeadlines:
    """One kind of deadline, for the streams that have it. All get the same number of seconds, so the first is next."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending: dict[int, float] = {}
        """Until when, by stream."""

    def begin(self, stream_id: int, deadline: float) -> float:
        """A stream has until then; returns the deadline."""
        self.pending.pop(stream_id, None)  # the new one comes last
        self.pending[stream_id] = deadline
        return deadline

    def forget(self, stream_id: int) -> None:
        """A stream has closed."""
        self.pending.pop(stream_id, None)

    def next(self) -> float:
        """The next deadline."""
        return next(iter(self.pending.values()), math.inf)

    def due(self, now: float) -> list[int]:
        """Returns the streams whose time is up; they have no deadline any more."""
        due = []
        for stream_id, deadline in self.pending.items():
            if deadline > now:
                break
            due.append(stream_id)
        for stream_id in due:
            del self.pending[stream_id]
        return due
