"""Receive-side flow control: where every received octet is, and when its credit goes back to the peer.

RFC 9113 §6.9.1 and §6.9.2. One session has one receive budget B, which is also its connection window. For the session
as for every stream,
at all times::

    window (what the peer may still send) + held (received, unread) + owed (read, not yet given back) = target

with target = B for the session, so held <= B is a hard bound. A stream's credit is owed when the application takes
the data. Data that is thrown away is owed, too: `Ledger` keeps count, and must balance whenever a session ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from ._config import MAX_WINDOW


@dataclass(slots=True)
class Ledger:
    """Every flow-controlled octet a session has received, padding included: taken, discarded or still held."""

    received: int = 0
    taken: int = 0
    discarded: int = 0

    @property
    def held(self) -> int:
        """Octets received which nobody has taken or discarded yet."""
        return self.received - self.taken - self.discarded


@dataclass(slots=True)
class StreamCredit:
    """Receive credit of one stream. ``target`` is the window the peer has when nothing is held or owed."""

    target: int
    held: int = 0
    owed: int = 0

    def give_back(self) -> int:
        """Returns the WINDOW_UPDATE increment that is due now, or 0: one per half window."""
        if self.owed * 2 < self.target or self.owed == 0:
            return 0
        increment, self.owed = self.owed, 0
        return increment


class ReceiveBudget:
    """The receive budget of one session and its ledger."""

    __slots__ = ("_budget", "_extra", "_owed", "_reserved", "_window", "ledger")

    def __init__(self, budget: int, *, window: int, reserved: int) -> None:
        """Starts with the peer's *window* (octets) of a *budget*, of which *reserved* octets belong to initial windows."""
        self.ledger = Ledger()
        self._budget = budget
        self._window = window
        self._owed = budget - window
        self._reserved = reserved
        self._extra = 0

    @property
    def size(self) -> int:
        """The budget in octets."""
        return self._budget

    @property
    def window(self) -> int:
        """What the peer may still send, in octets."""
        return self._window

    def receive(self, size: int) -> bool:
        """Books *size* received octets; returns whether the peer was allowed to send them."""
        if size > self._window:
            return False
        self._window -= size
        self.ledger.received += size
        return True

    def take(self, size: int) -> None:
        """*size* octets went to the application."""
        self.ledger.taken += size
        self._owed += size

    def discard(self, size: int) -> None:
        """*size* octets (unread data, padding, data of a dead stream) were thrown away."""
        self.ledger.discarded += size
        self._owed += size

    def give_back(self) -> int:
        """Returns the connection's WINDOW_UPDATE increment that is due now, or 0.

        Due when more is owed than the peer has left: one per half of what is not held. A fixed threshold would starve
        the last reading stream while all the others stall with full windows.
        """
        if self._owed == 0 or self._owed < self._window:
            return 0
        increment, self._owed = self._owed, 0
        self._window += increment
        return increment

    def fits(self, streams: int, initial: int) -> bool:
        """Whether the budget covers *streams* streams with *initial* octets of window each, beside what others have
        grown.
        """
        return streams * initial + self._extra <= self._budget

    def grow(self, credit: StreamCredit, target: int) -> int:
        """Enlarges a stream's window towards *target* octets, out of the free rest of the budget.

        Returns:
            The WINDOW_UPDATE increment for the stream, 0 if nothing is free.
        """
        free = self._budget - self._reserved - self._extra
        increment = min(target - credit.target, free, MAX_WINDOW - credit.target)
        if increment <= 0:
            return 0
        self._extra += increment
        credit.target += increment
        return increment

    def release(self, credit: StreamCredit, initial: int) -> None:
        """A stream has closed: what its window had grown beyond *initial* octets is free again."""
        self._extra -= max(0, credit.target - initial)
