"""How much is asked of another server when one has failed."""

from __future__ import annotations

from dataclasses import dataclass

from .._checks import check_grace, check_int
from .._field_docs import describe_fields
from .._values import Value


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Retries(Value):
    """Which requests are given to another server, or once more to the only one, and how many.

    Only what was not processed for sure: there was no connection, or the server said so (REFUSED_STREAM, GOAWAY); and
    only if the body is still here as a whole. What happens in the life of a connection, which a server may end after
    any request, is the client's business, and counts for nothing here.

    When all servers are in trouble, requests that are repeated are what they need least. So repetitions are bounded by
    a share of all requests: each request adds *share* to a reserve, each repetition takes 1.
    """

    attempts: int = 3
    """How often one request is repeated at most; 0 for never."""
    share: float = 0.2
    """Repetitions for each request, in the long run: 0 to 1."""
    reserve: int = 100
    """Repetitions beyond that in a row: what the reserve has at first, and at most."""
    pause: float = 0.2
    """Seconds before a server is asked again that has failed this request already; each further time twice as long."""

    def __post_init__(self) -> None:
        check_int("attempts", self.attempts, 0)
        check_grace("share", self.share)
        if self.share > 1:
            raise ValueError(f"share must be in 0..1, not {self.share:g}")
        check_int("reserve", self.reserve, 0)
        check_grace("pause", self.pause)
