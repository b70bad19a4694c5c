"""How much of a trace is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._series import Series

MAX_SESSIONS = 1000
MAX_STREAMS = 20_000
"""Of all sessions together, like what follows."""
MAX_MARKS = 20_000
MAX_HEADER_TEXT = 12_000_000
"""Characters of header names and values. Sections that are the same are kept once."""
MAX_VALUE = 2000
"""Characters of one value."""
MAX_POINTS = 400_000
_LARGEST_SERIES = 4096
_SMALLEST_SERIES = 8


class Budget:
    """Shares out what a page may hold, so that a browser can draw it and a long trace does not fill the memory."""

    def __init__(self) -> None:
        self.sessions = MAX_SESSIONS
        self.streams = MAX_STREAMS
        self.marks = MAX_MARKS
        self.header_text = MAX_HEADER_TEXT
        self.series_limit = _LARGEST_SERIES
        """How many points a series may have. Sinks as the number of all points grows."""
        self._points = 0
        self._series: list[Series] = []

    def add_series(self, series: Series) -> None:
        """Begins to look after a series."""
        self._series.append(series)

    def count_points(self, number: int) -> None:
        """Notes that there are so many more points, or fewer."""
        self._points += number
        if self._points > MAX_POINTS and self.series_limit > _SMALLEST_SERIES:
            self.series_limit //= 2
            for series in self._series:
                series.thin_out()
