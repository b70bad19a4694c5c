"""When something could not go on, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._series import Series, merge_amounts

if TYPE_CHECKING:
    from ._budget import Budget


class Stalls:
    """The stalls of a stream, or of a session as a whole: which side stood still, at which limit, from when to when.

    Args:
        budget: how many are kept.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._since: dict[tuple[str, str], int] = {}
        self._spans: dict[tuple[str, str], Series] = {}

    def begin(self, side: str, limit: str, time: int) -> None:
        """Notes that something stands still."""
        if len(self._since) < _MAX_KINDS:
            self._since.setdefault((side, limit), time)

    def end(self, side: str, limit: str, time: int) -> None:
        """Notes that it goes on; without a beginning, nothing happens."""
        since = self._since.pop((side, limit), None)
        if since is None:
            return
        spans = self._spans.get((side, limit))
        if spans is None:
            if len(self._spans) >= _MAX_KINDS:
                return
            spans = self._spans[side, limit] = Series(self._budget, merge_amounts)
        spans.add((since, max(time, since), max(time - since, 0), 1, 0))

    def since(self, side: str, limit: str) -> int | None:
        """Returns when it came to stand still, if it does at that limit."""
        return self._since.get((side, limit))

    def stands(self, side: str) -> bool:
        """Whether it stands still at any limit of a side."""
        return any(stalled == side for stalled, _ in self._since)

    def end_all(self, time: int) -> None:
        """Ends those that never went on: the trace is over."""
        for side, limit in list(self._since):
            self.end(side, limit, time)

    def page_data(self) -> list[dict[str, object]]:
        """Returns them for the page: numbers are start, end, time stood still, how many."""
        return [
            {"side": side, "limit": limit, "spans": [number for point in spans.points for number in point[:4]]}
            for (side, limit), spans in self._spans.items()
        ]


_MAX_KINDS = 16
"""There are six; a trace may say anything."""
