"""How servers are asked whether they are well."""

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
class HealthCheck(Value):
    """How each server is asked whether it is well: by a GET every few seconds, for as long as the gateway's block.

    One that is not gets no requests; those that it runs go on. If all are not, requests are answered with 503.
    """

    path: str = "/"
    """What is asked for, below the URL of the server."""
    interval: float = 5.0
    """Seconds from one answer to the next question. The first one is asked at once."""
    timeout: float = 2.0
    """Seconds in which the head of the response must be here."""
    healthy: int = 2
    """After how many good answers in a row a server that was out is well again."""
    unhealthy: int = 3
    """After how many bad ones in a row, or none in time, a server is out."""
    statuses: Collection[int] = range(200, 400)
    """Statuses of good answers; from 200 to 399."""
    host: str | None = None
    """The host that is asked for, where it matters; that of the server's URL if not given."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str):
            raise TypeError(f"path must be a str, not {self.path!r}")
        if not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable() or "#" in self.path:
            raise ValueError(f"path must begin with a slash, and be as in a URL, not {self.path!r}")
        check_seconds("interval", self.interval)
        check_seconds("timeout", self.timeout)
        check_int("healthy", self.healthy, 1)
        check_int("unhealthy", self.unhealthy, 1)
        if not isinstance(self.statuses, range):
            object.__setattr__(self, "statuses", frozenset(self.statuses))
        for status in self.statuses:
            check_int("a status of good answers", status, 200, 599)
        if self.host is not None and not isinstance(self.host, str):
            raise TypeError(f"host must be a str, not {self.host!r}")
