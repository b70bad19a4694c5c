"""When a server that fails is left alone for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._checks import check_int, check_seconds
from .._field_docs import describe_fields
from .._values import Value

if TYPE_CHECKING:
    from collections.abc import Collection


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ejection(Value):
    """When a server that fails is left alone for a while, which needs no health checks.

    It fails when it cannot be reached, takes too long, breaks the rules, or is lost before its response is whole; not
    when the client leaves. After its time it gets one request; if that fails, too, it is out for twice as long. The
    last server is never left alone: one that may work is better than none.
    """

    failures: int = 3
    """After how many failures in a row."""
    seconds: float = 1.0
    """For how long, the first time; each further time is twice as long, until it has answered a request."""
    max_seconds: float = 60.0
    """For how long at most."""
    statuses: Collection[int] = frozenset()
    """Statuses of responses that count as failures, e.g. ``{502, 503, 504}``. They are passed on all the same."""

    def __post_init__(self) -> None:
        check_int("failures", self.failures, 1)
        check_seconds("seconds", self.seconds)
        check_seconds("max_seconds", self.max_seconds)
        if self.max_seconds < self.seconds:
            raise ValueError(f"max_seconds must be at least seconds={self.seconds:g}, not {self.max_seconds:g}")
        for status in self.statuses:
            check_int("a status that counts as a failure", status, 400, 599)
        object.__setattr__(self, "statuses", frozenset(self.statuses))

    def time_out(self, times: int) -> float:
        """Returns for how long a server is left alone.

        Args:
            times: how often it was already, in a row.
        """
        return min(self.max_seconds, self.seconds * 2.0 ** min(times, 60))
