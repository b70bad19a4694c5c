"""Receive-side flow control: where every received byte is, and when its credit goes back to the peer.

RFC 9113 §6.9.1 and §6.9.2. One session has one receive budget B, which is also its connection window. For the session
as for every open stream, at all times::

    window (what the peer may still send) + held (received, unread) + owed (read, not yet given back) = target

with target = B for the session, so held <= B is a hard bound. After a shrink, owed is negative for a while. A stream's
credit is owed when the application takes the data. Data that is thrown away is owed, too: `Ledger` keeps count, and
must balance whenever a session ends.

No number of streams that stall with full windows may starve the others. So the targets of all open streams and the
unread bytes of the closed ones together stay within B: `ReceiveBudget.fits` is asked before a stream opens, and
`ReceiveBudget.grow` enlarges windows out of the free rest only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._field_docs import describe_fields
from ._config import MAX_WINDOW

if TYPE_CHECKING:
    from ._stream import WireStream


@describe_fields
@dataclass(slots=True)
class Ledger:
    """Every flow-controlled byte a session has received, padding included: taken, discarded or still held."""

    received: int = 0
    """Bytes of DATA frames that have arrived."""
    taken: int = 0
    """Bytes that the application has read."""
    discarded: int = 0
    """Bytes that nobody will read: padding, and bodies of streams that were reset or closed."""

    @property
    def held(self) -> int:
        """Bytes received which nobody has taken or discarded yet."""
        return self.received - self.taken - self.discarded

    def copy(self) -> Ledger:
        """Returns a snapshot."""
        return Ledger(self.received, self.taken, self.discarded)


class ReceiveBudget:
    """The receive budget of one session and its ledger."""

    __slots__ = ("_announced", "_reserved", "extra", "ledger", "owed", "size", "stranded", "window")

    def __init__(self, budget: int, *, window: int, reserved: int) -> None:
        """Starts with the peer's *window* of a *budget*, of which *reserved* belongs to initial windows (bytes)."""
        self.ledger: Ledger = Ledger()
        self.size: int = budget
        """The budget in bytes."""
        self.window: int = window
        """What the peer may still send, in bytes."""
        self._announced = window
        self.owed: int = budget - window
        """What is neither held nor given back to the peer yet, in bytes."""
        self._reserved = reserved
        self.extra: int = 0
        """What the windows of open streams have grown beyond the initial one, all together, in bytes."""
        self.stranded: int = 0
        """What closed streams still hold unread, in bytes."""

    @property
    def since_update(self) -> int:
        """Bytes received since credit was last given back."""
        return self._announced - self.window

    def receive(self, size: int) -> bool:
        """Books *size* received bytes; returns whether the peer was allowed to send them."""
        if size > self.window:
            return False
        self.window -= size
        self.ledger.received += size
        return True

    def take(self, size: int) -> None:
        """*size* bytes went to the application."""
        self.ledger.taken += size
        self.owed += size

    def discard(self, size: int) -> None:
        """*size* bytes (unread data, padding, data of a dead stream) were thrown away."""
        self.ledger.discarded += size
        self.owed += size

    def give_back(self) -> int:
        """Returns the connection's WINDOW_UPDATE increment that is due now, or 0.

        Due when more is owed than the peer has left: one per half of what is not held. A fixed threshold would starve
        the last reading stream while all the others stall with full windows.
        """
        if self.owed <= 0 or self.owed < self.window:
            return 0
        return self._give_back()

    def _give_back(self) -> int:
        increment, self.owed = self.owed, 0
        self.window += increment
        self._announced = self.window
        return increment

    def resize(self, size: int) -> int:
        """Makes the budget *size* bytes; the caller has seen that the open streams fit.

        A larger one goes to the peer at once. What the peer was given of a larger one before cannot be taken back:
        nothing is given back until it is used up, so held stays within what was ever promised, and ends within *size*.

        Returns:
            The connection's WINDOW_UPDATE increment, or 0.
        """
        grows = size > self.size
        self.owed += size - self.size
        self.size = size
        return self._give_back() if grows and self.owed > 0 else self.give_back()

    def reserve(self, size: int) -> None:
        """Keeps *size* bytes for the initial windows of the streams that the peer may open."""
        self._reserved = size

    def fits(self, streams: int, initial: int) -> bool:
        """Whether *streams* open streams with *initial* bytes of window each fit, beside what is taken otherwise."""
        return streams * initial + self.extra + self.stranded <= self.size

    def room(self, initial: int) -> int | None:
        """How many open streams with *initial* bytes of window each fit; ``None`` if there is no end to it."""
        return (self.size - self.extra - self.stranded) // initial if initial else None

    def spare(self, streams: int, initial: int) -> int:
        """Octets that nobody needs: *streams* are open now with *initial* bytes of window each."""
        return self.size - max(self._reserved, streams * initial) - self.extra - self.stranded

    def grow(self, stream: WireStream, target: int, spare: int) -> int:
        """Enlarges a stream's window towards *target* bytes, by at most *spare*.

        Returns:
            The WINDOW_UPDATE increment for the stream, 0 if nothing is free.
        """
        increment = min(target - stream.target, spare, MAX_WINDOW - stream.target)
        if increment <= 0:
            return 0
        self.extra += increment
        stream.target += increment
        return increment

    def close(self, stream: WireStream, initial: int) -> None:
        """A stream has closed: its window beyond *initial* bytes is free again; its unread bytes still take room."""
        self.extra -= stream.target - initial
        self.stranded += stream.held

    def unstrand(self, size: int) -> None:
        """*size* unread bytes of a closed stream were taken or thrown away."""
        self.stranded -= size
