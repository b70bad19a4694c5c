"""Deadlines of many requests: a cancel scope for each wait would cost more than sending.

Nearly all of them end before their time, so a wait that begins or ends is a number set at whoever waits, and all are
looked at when the time of the first one has come that there was when they were looked at last.
"""

from __future__ import annotations

import math
from typing import Protocol

import trio

from .._util import interrupt_safe


class Expirable(Protocol):
    """What can take too long."""

    due: float
    """When its time is up; infinite while it waits for nothing."""

    def expire(self) -> None:
        """It is; there may be something else to wait for later."""


@interrupt_safe
class Timers:
    """Tells those whose time is up."""

    def __init__(self) -> None:
        self._watched: set[Expirable] = set()
        self._sleeping_until = math.inf
        self._changed = trio.Event()

    def watch(self, who: Expirable) -> None:
        """*who* has a time that is due, unless that is set back to infinity before, or `forget` called."""
        self._watched.add(who)
        if who.due < self._sleeping_until:
            self._changed.set()

    def forget(self, who: Expirable) -> None:
        """It will not wait again."""
        self._watched.discard(who)

    async def run(self) -> None:
        """Waits for deadlines, until it is cancelled."""
        while True:
            now = trio.current_time()
            late = [who for who in self._watched if who.due <= now]
            for who in late:
                who.due = math.inf
                who.expire()
            self._sleeping_until = min((who.due for who in self._watched), default=math.inf)
            self._changed = trio.Event()
            with trio.move_on_at(self._sleeping_until):
                await self._changed.wait()
