"""How long the transport takes to take what is written, for instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .._util import Signal

if TYPE_CHECKING:
    from .._trace._stalls import Stalls

SLOW_WRITE: Final = 0.005
"""Seconds after which a write counts as a stall."""


class WriteWatch:
    """Tells of writes that take long, while they do.

    Args:
        stalls: where they are booked.
    """

    def __init__(self, stalls: Stalls) -> None:
        self._stalls = stalls
        self._writes = 0
        self._began: float | None = None
        self._begun = Signal()

    def begin(self, now: float) -> None:
        """The transport was given something."""
        self._writes += 1
        self._began = now
        self._begun.set()

    def end(self, now: float) -> None:
        """It has taken it, or broke."""
        self._began = None
        self._stalls.set(0, "send", "transport", now, stalled=False)

    async def run(self) -> None:
        """Looks at each write that goes on for some time, until it is cancelled."""
        while True:
            await self._begun.wait()
            write, began = self._writes, self._began
            if began is None:
                continue
            await trio.sleep_until(began + SLOW_WRITE)
            if self._began is not None and self._writes == write:
                self._stalls.set(0, "send", "transport", trio.current_time(), stalled=True, since=began)
