"""Finds out how large a receive window is worth having: the bandwidth-delay product, measured with PINGs.

When half of a stream's window has been read and is given back, a PING goes out. What arrives until its answer was
permitted by the other half, so it is the product, or as much of it as half a window lets through. Where it is more than
a quarter of the window, the window may be the bottleneck, and doubles; four times the product is the most it grows to.

A whole window may come in one read. Then both halves are given back together with the PING, and the answer overtakes
what they permit. So the product is never less than what one read has brought: that was under way all at once.
"""

from __future__ import annotations

PROBE_PAYLOAD = b"\xffbdp-h2\xff"
"""Tells our probes from the application's PINGs."""


class WindowTuner:
    """Estimates the bandwidth-delay product of one session. Knows no clock: the round trip is the unit of time."""

    __slots__ = ("_least", "_next_probe", "_probing", "_start", "_window", "product")

    def __init__(self) -> None:
        self.product: int = 0
        """The newest estimate in bytes."""
        self._probing = False
        self._start = 0
        self._least = 0
        self._window = 0
        self._next_probe = 0

    def wants_probe(self, received: int, window: int, at_once: int) -> bool:
        """Whether a PING should go out now.

        Args:
            received: the session's total of bytes so far.
            window: the window (bytes) of the stream that was just read by half.
            at_once: how many bytes the newest read has brought.
        """
        if self._probing or received < self._next_probe:
            return False
        self._probing = True
        self._start = received
        self._least = at_once
        self._window = window
        return True

    def acknowledged(self, received: int) -> None:
        """The probe came back when *received* bytes had arrived in total; an answer without a question says nothing.

        A window that was large enough is left alone: the next probe waits until 16 times the product has arrived.
        """
        if not self._probing:
            return
        self._probing = False
        self.product = max(received - self._start, self._least)
        enough = 4 * self.product < self._window
        self._next_probe = received + (16 * max(self.product, 16_384) if enough else 0)

    def target(self, current: int) -> int:
        """Returns the window (bytes) that a stream with the window *current* should have."""
        return max(current, min(2 * current, 4 * self.product))
