"""The progress bar of a long transfer, for people: it is drawn only where a terminal shows it."""

from __future__ import annotations

import math
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

LONG_BYTES = 1024 * 1024
LONG_SECONDS = 1.0
_REDRAW_SECONDS = 0.1
_CLEAR = "\r\x1b[K"


class Bar:
    """The bar of all transfers of a command. It shows up once that is long: a megabyte is expected or has come, or a
    second has passed.

    Args:
        count: how many transfers share it; with 1, each has one of its own, one after the other.
        now: the time, in seconds of whatever clock.
        terminal: where to draw; `None` for nowhere.
    """

    def __init__(self, count: int, now: float, terminal: TextIO | None) -> None:
        self._count = count
        self._start = now
        self._terminal = terminal
        self._drawn = -math.inf
        self._begun = 0
        self._ended = 0
        self._expected: int | None = 0
        """What all that have begun have announced; `None` if one of them has not."""
        self.received = 0

    def begin(self, total: int | None, now: float) -> Transfer:
        """Begins a transfer.

        Args:
            total: the bytes to expect, `None` if unknown.
            now: the time.
        """
        if self._count == 1:
            self._start, self.received, self._expected = now, 0, 0
        self._begun += 1
        self._expected = None if total is None or self._expected is None else self._expected + total
        return Transfer(self)

    def advance(self, octets: int, now: float) -> None:
        """Counts what has come; draws if it is time to."""
        self.received += octets
        if self._terminal is None or now - self._drawn < _REDRAW_SECONDS:
            return
        if max(self.received, self._expected or 0) >= LONG_BYTES or now - self._start >= LONG_SECONDS:
            self._drawn = now
            width = shutil.get_terminal_size().columns
            self._terminal.write(_CLEAR + self.line(now, width))
            self._terminal.flush()

    def end(self) -> None:
        """A transfer has ended, one way or the other."""
        self._ended += 1
        if self._count == 1:
            self.clear()

    def clear(self) -> None:
        """Removes the bar, if it was drawn."""
        if self._terminal is not None and self._drawn > -math.inf:
            self._drawn = -math.inf
            self._terminal.write(_CLEAR)
            self._terminal.flush()

    def line(self, now: float, width: int) -> str:
        """Returns what there is to see, at most *width* - 1 characters."""
        rate = self.received / max(now - self._start, 0.001)
        speed = f"{size(rate)}/s"
        done = f"{self._ended} of {self._count} done  " if self._count > 1 else ""
        total = self._expected if self._begun >= self._count else None
        if not total:
            return f"{done}{size(self.received)}  {speed}"[: max(width - 1, 0)]
        share = min(self.received / total, 1.0)
        left = max(math.ceil((total - self.received) / rate) if rate else 0, 0)
        text = f"{share:4.0%}  {size(self.received)} of {size(total)}  {speed}  {left // 60}:{left % 60:02} left"
        text = f"{done}{text}"
        room = min(width - len(text) - 5, 40)
        if room >= 10:
            full = int(share * room)
            text = f"[{'#' * full}{'-' * (room - full)}] {text}"
        return text[: max(width - 1, 0)]


class Transfer:
    """One of the transfers that a bar shows.

    Args:
        bar: shows it.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self.received = 0

    def advance(self, octets: int, now: float) -> None:
        """Counts what has come."""
        self.received += octets
        self._bar.advance(octets, now)

    def end(self) -> None:
        """It has ended, one way or the other."""
        self._bar.end()


def size(octets: float) -> str:
    """Returns a number of bytes for people."""
    if octets < 1024:
        return f"{octets:.0f} B"
    for unit in ("KiB", "MiB"):
        octets /= 1024
        if octets < 1024:
            return f"{octets:.1f} {unit}"
    return f"{octets / 1024:.1f} GiB"


def terminal_for(*, body_on_terminal: bool) -> TextIO | None:
    """Returns where a progress bar can be drawn: on stderr, if it is a terminal and the body is not shown on one."""
    if body_on_terminal or sys.stderr is None or not sys.stderr.isatty():
        return None
    return sys.stderr
