"""Since when nothing happens on each stream that has an idle timeout.

The engine collects the streams that frames were sent or received on; what it collected is booked with the time here.
Streams without a timeout cost nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._wire._engine import Engine


class StreamTimers:
    """The idle timeouts of one session's streams. Times are seconds of Trio's clock."""

    def __init__(self) -> None:
        self.timeouts: dict[int, float] = {}
        self._deadlines: dict[int, float] = {}
        self._in_batch: set[int] = set()
        """Those with frames in the batch that is being written."""

    def set(self, engine: Engine, stream_id: int, timeout: float, now: float) -> float:
        """Gives a stream a timeout, which counts from *now*; returns its deadline."""
        if timeout == math.inf:
            self.forget(stream_id)
            return math.inf
        engine.watch_streams()
        self.timeouts[stream_id] = timeout
        self._deadlines[stream_id] = now + timeout
        return self._deadlines[stream_id]

    def forget(self, stream_id: int) -> None:
        """A stream has closed, or has no timeout any more."""
        if self.timeouts.pop(stream_id, None) is not None:
            del self._deadlines[stream_id]

    def book(self, engine: Engine, now: float) -> None:
        """Frames were sent or received at time *now*, on the streams that the engine has collected."""
        touched = engine.touched
        if not touched:
            return
        for stream_id in touched & self.timeouts.keys():
            self._deadlines[stream_id] = now + self.timeouts[stream_id]
        touched.clear()

    def taken(self, engine: Engine, now: float) -> None:
        """The writer took all frames of the output."""
        touched = engine.touched
        if touched:
            self._in_batch = touched & self.timeouts.keys()
            self.book(engine, now)

    def written(self, now: float) -> None:
        """The transport has taken them: only now have they been sent."""
        for stream_id in self._in_batch & self.timeouts.keys():
            self._deadlines[stream_id] = now + self.timeouts[stream_id]
        self._in_batch.clear()

    def next(self) -> float:
        """The next deadline; it can have moved on when it comes."""
        return min(self._deadlines.values(), default=math.inf)

    def due(self, now: float) -> list[int]:
        """Returns the streams whose time is up; it begins anew for each."""
        due = [stream_id for stream_id, deadline in self._deadlines.items() if deadline <= now]
        for stream_id in due:
            self._deadlines[stream_id] = now + self.timeouts[stream_id]
        return due
