"""Deadlines of many requests, for the price of a dictionary: a cancel scope for each wait would cost more than sending.

Nearly all of them end before their time, and those of one length end in the order in which they began.
"""

from __future__ import annotations

import math
from typing import Protocol

import trio

from .._util import interrupt_safe


class Expirable(Protocol):
    """What can take too long."""

    def expire(self) -> None:
        """It has."""


@interrupt_safe
class Timers:
    """Tells those whose time is up."""

    def __init__(self) -> None:
        self._lines: dict[float, dict[int, tuple[float, Expirable]]] = {}
        self._sleeping_until = math.inf
        self._changed = trio.Event()

    def begin(self, who: Expirable, seconds: float) -> None:
        """From now on *who* has so many seconds, unless `end` is called before."""
        if seconds == math.inf:
            return
        due = trio.current_time() + seconds
        self._lines.setdefault(seconds, {})[id(who)] = due, who
        if due < self._sleeping_until:
            self._changed.set()

    def end(self, who: Expirable, seconds: float) -> None:
        """It was quick enough."""
        line = self._lines.get(seconds)
        if line is not None:
            line.pop(id(who), None)

    async def run(self) -> None:
        """Waits for deadlines, until it is cancelled."""
        while True:
            now = trio.current_time()
            earliest = math.inf
            for seconds, line in list(self._lines.items()):
                while line:
                    due, who = next(iter(line.values()))
                    if due > now:
                        earliest = min(earliest, due)
                        break
                    del line[id(who)]
                    who.expire()
                if not line:
                    del self._lines[seconds]
            self._sleeping_until = earliest
            self._changed = trio.Event()
            with trio.move_on_at(earliest) if earliest < math.inf else trio.CancelScope():
                await self._changed.wait()
