"""An answer that the peer owes us."""

from __future__ import annotations

import math


class Answer:
    """The answer to one frame of ours: it is due some time after the frame was written, and not before.

    Args:
        timeout: how many seconds the peer has.
        asked: from when they count as long as the frame cannot be written; `math.inf` if that is not the peer's fault.
    """

    __slots__ = ("_since", "_timeout")

    def __init__(self, timeout: float, asked: float = math.inf) -> None:
        self._timeout = timeout
        self._since = asked

    def written(self, now: float) -> None:
        """The transport has taken the frame."""
        self._since = now

    @property
    def due(self) -> float:
        """When the peer's time is up."""
        return self._since + self._timeout
