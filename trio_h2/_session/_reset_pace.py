"""How fast a client may give up requests, so that its server does not take it for an attack (CVE-2023-44487)."""

from __future__ import annotations

import math

_ROUNDING = 1e-6
"""Whoever has waited for the time that it was told must not be told to wait for nothing."""


class ResetPace:
    """Counts the streams that a client resets. When it has been too many, new requests wait, one after the other.

    Servers end a session over more than some number of resets at once, and some more per second: nghttp2, Node and
    this library over 1000 and 33. What is under way may always be reset: only what comes next is slowed down.

    Args:
        burst: resets at once.
        rate: further ones per second.
    """

    __slots__ = ("_burst", "_left", "_rate", "_stamp", "spent")

    def __init__(self, burst: int, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = float(burst)
        self._stamp = 0.0
        self.spent = False
        """Whether there were resets that time has not made good for yet."""

    def count(self, now: float) -> None:
        """A stream was reset at time *now* (seconds)."""
        self._refill(now)
        self._left -= 1
        self.spent = True

    def seconds(self, now: float) -> float:
        """How long the next request must wait."""
        self._refill(now)
        if not self.spent or self._left > 1 - _ROUNDING:
            return 0.0
        return (1 - self._left) / self._rate

    def _refill(self, now: float) -> None:
        if not self.spent:
            self._left = float(self._burst)
        elif now > self._stamp:
            self._left += (now - self._stamp) * self._rate if self._rate < math.inf else math.inf
            if self._left >= self._burst:
                self._left = float(self._burst)
                self.spent = False
        self._stamp = now
