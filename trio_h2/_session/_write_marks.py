"""Who wants to know when frames of ours have been written, because an answer is expected from then on.

A frame is first in the engine's output, then in a batch that the writer took, then with the transport. A transport that
takes nothing can hold a batch back for long; so far the peer has not been asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Mark: TypeAlias = Callable[[float], None]
    """Is told when the frame was written, in seconds of Trio's clock."""


class WriteMarks:
    """The marks of one session, in the order of its frames."""

    def __init__(self) -> None:
        self._queued: list[Mark] = []
        self._taken: list[Mark] = []

    def add(self, mark: Mark) -> None:
        """A frame went into the output, or is about to in this step."""
        self._queued.append(mark)

    def add_to_batch(self, mark: Mark) -> None:
        """Something is in the batch that is being written."""
        self._taken.append(mark)

    def discard(self, mark: Mark) -> None:
        """Nobody wants to know any more."""
        for marks in (self._queued, self._taken):
            if mark in marks:
                marks.remove(mark)

    def taken(self) -> None:
        """The writer took all that was in the output."""
        if self._queued:
            self._taken += self._queued
            self._queued.clear()

    def written(self, now: float) -> None:
        """The transport has taken the batch."""
        if self._taken:
            marks, self._taken = self._taken, []
            for mark in marks:
                mark(now)

    def end(self, now: float) -> None:
        """Nothing will be written any more: nobody need wait."""
        self.taken()
        self.written(now)
