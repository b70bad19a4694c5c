"""How long nothing may happen in an exchange over HTTP/1.1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._util import Signal

if TYPE_CHECKING:
    from .._util import Arrivals


class IdleClock:
    """Tells when nothing was received or written for so many seconds. Without a timeout, it never does.

    Args:
        arrivals: What has arrived is read before anything counts as idle.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._changed = Signal()
        self._seconds = math.inf
        self._active = 0.0

    def start(self, seconds: float) -> None:
        """Begins anew, with another timeout."""
        self._seconds = seconds
        self._active = trio.current_time()
        self._changed.set()

    def stop(self) -> None:
        """Nothing is idle any more until it is started again."""
        self._seconds = math.inf

    def touch(self) -> None:
        """Something has happened."""
        self._active = trio.current_time()

    async def wait_idle(self) -> None:
        """Waits until nothing has happened for long enough, and begins anew. Deadlines are not moved, but looked at."""
        while True:
            with trio.move_on_at(self._active + self._seconds):
                await self._changed.wait()
                continue
            late = trio.current_time() - (self._active + self._seconds)
            if late >= 0:
                await self._arrivals.caught_up(late)
            if trio.current_time() >= self._active + self._seconds:
                self._active = trio.current_time()
                return
