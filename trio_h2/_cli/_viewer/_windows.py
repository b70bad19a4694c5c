"""Flow-control windows over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ._series import Series, merge_levels

if TYPE_CHECKING:
    from ._budget import Budget

    Side = Literal["send", "receive"]


class Windows:
    """Both windows of a stream, or of a session.

    Args:
        budget: how many changes are kept.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._sides: dict[Side, Series] = {}

    def changed(self, side: Side, time: int, window: int) -> None:
        """Notes what may still be sent, or received."""
        series = self._sides.get(side)
        if series is None:
            series = self._sides[side] = Series(self._budget, merge_levels)
        series.add((time, time, window, window, window))

    def page_data(self) -> dict[str, list[int]]:
        """Returns them for the page: numbers are start, end, lowest, highest, last."""
        return {side: [number for point in series.points for number in point] for side, series in self._sides.items()}
