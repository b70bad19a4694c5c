"""Single things worth a sign of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ._budget import Budget

    Kind = Literal["goaway", "headers", "ping", "priority", "push", "reset", "settings", "other"]

_MAX_TEXT = 1000


class Marks:
    """The marks of a stream, or of a session.

    Args:
        budget: how many are kept.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._marks: list[tuple[int, Kind, str]] = []
        self.left_out = 0

    def add(self, time: int, kind: Kind, text: str) -> None:
        """Sets a mark, with what is to be said of it."""
        if self._budget.marks <= 0:
            self.left_out += 1
            return
        self._budget.marks -= 1
        self._marks.append((time, kind, text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} …"))

    def page_data(self) -> list[tuple[int, Kind, str]]:
        """Returns them for the page."""
        return self._marks
