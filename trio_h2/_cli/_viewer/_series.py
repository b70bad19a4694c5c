"""What happens again and again over time, in a bounded number of points."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._budget import Budget

    # When it begins and ends, in microseconds, and its values.
    Point = tuple[int, int, int, int, int]


class Series:
    """Points in the order of time. When they are too many, close neighbours become one; long gaps stay visible.

    Args:
        budget: says how many are too many.
        merge: makes one point out of two neighbours.
    """

    __slots__ = ("_budget", "_merge", "merged", "points")

    def __init__(self, budget: Budget, merge: Callable[[Point, Point], Point]) -> None:
        self._budget = budget
        self._merge = merge
        self.points: list[Point] = []
        self.merged = False
        """Whether some of the points were several."""
        budget.add_series(self)

    def add(self, point: Point) -> None:
        """Adds a point that begins no earlier than the last one."""
        self.points.append(point)
        self._budget.count_points(1)
        if len(self.points) > self._budget.series_limit:
            self.thin_out()

    def thin_out(self) -> None:
        """Merges neighbours until there are no more points than the budget allows."""
        before = len(self.points)
        while len(self.points) > self._budget.series_limit:
            self._merge_pairs()
            self.merged = True
        if len(self.points) < before:
            self._budget.count_points(len(self.points) - before)

    def _merge_pairs(self) -> None:
        """Merges pairs whose gap is no longer than that of half of them."""
        points = self.points
        gaps = sorted(after[0] - before[1] for before, after in pairwise(points))
        limit = gaps[len(gaps) // 2]
        kept: list[Point] = []
        position = 0
        while position < len(points):
            point = points[position]
            position += 1
            if position < len(points) and points[position][0] - point[1] <= limit:
                point = self._merge(point, points[position])
                position += 1
            kept.append(point)
        self.points = kept


def merge_amounts(one: Point, other: Point) -> Point:
    """Merges spans with amounts: bytes, or time, and how many spans there were."""
    return (one[0], max(one[1], other[1]), one[2] + other[2], one[3] + other[3], 0)


def merge_levels(one: Point, other: Point) -> Point:
    """Merges changes of a level: the lowest and the highest one of that time, and the last one, which lasts."""
    return (one[0], max(one[1], other[1]), min(one[2], other[2]), max(one[3], other[3]), other[4])
