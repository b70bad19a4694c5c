"""The line of those that wait for the peer to allow another stream (RFC 9113 §5.1.2): first come, first served.

Requests on a client, the responses to pushes on a server. Cancellable anywhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._util import Signal


def _until_woken() -> float:
    return math.inf


class SlotLine:
    """Who waits, in the order they came; only the first may look whether there is a slot.

    There is nothing to give back: whoever waits leaves the line in the same step in which it opens its stream, or is
    cancelled.

    Args:
        tell: is told how many wait, whenever somebody comes or goes.
    """

    def __init__(self, tell: Callable[[int], object] | None = None) -> None:
        self._tell = tell
        self.line: list[Signal] = []
        """Those who wait."""

    def __len__(self) -> int:
        return len(self.line)

    def wake(self) -> None:
        """A slot may have become free: the first in line looks."""
        if self.line:
            self.line[0].set()

    def wake_all(self) -> None:
        """No slot will ever become free: all look, and raise."""
        for ticket in self.line:
            ticket.set()

    async def wait_turn(
        self,
        ticket: Signal,
        has_slot: Callable[[], bool],
        check: Callable[[], bool],
        pause: Callable[[], float] = _until_woken,
    ) -> None:
        """Queues *ticket* and waits until it is first and a slot is free; `leave` must follow in any case.

        Args:
            ticket: what whoever waits is woken by.
            has_slot: whether there is a slot.
            check: returns whether a slot is still wanted; raises if there will never be one again.
            pause: after how many seconds the first in line looks again, though nobody has woken it.
        """
        self.line.append(ticket)
        if self._tell is not None:
            self._tell(len(self.line))
        await trio.lowlevel.checkpoint()
        while check():
            first = self.line[0] is ticket
            if first and has_slot():
                return
            with trio.move_on_after(pause() if first else math.inf):
                await ticket.wait()

    def leave(self, ticket: Signal) -> None:
        """Whoever waited has a slot, or has given up; the next one may look."""
        self.line.remove(ticket)
        if self._tell is not None:
            self._tell(len(self.line))
        self.wake()
