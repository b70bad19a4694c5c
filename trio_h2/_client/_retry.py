"""Which requests are sent again, how often, and after how long."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .. import H2Error, Initiator, SessionError, StreamResetError
from .._checks import check_bool, check_grace, check_int
from .._field_docs import describe_fields
from .._values import Value

if TYPE_CHECKING:
    from collections.abc import Collection

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
"""Methods of which RFC 9110 §9.2.2 says that "the intended effect on the server of multiple identical requests with
that method is the same as the effect for a single such request"."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Retry(Value):
    """Which requests a client sends again by itself: by default only those that the server has not processed.

    A body that can be made only once (an async iterable) is never sent again after the first of it was taken.
    """

    attempts: int = 3
    """How often a request is sent again at most, 0 for never. A server that leaves after it has answered others of the
    same session (GOAWAY after so many requests) does not count: its next session goes on where this one ended."""
    idempotent: bool = False
    """Whether idempotent requests (GET, HEAD, OPTIONS, PUT, DELETE …) are also sent again after a session was lost, or
    the server reset their stream, before a response: then nobody knows whether they were processed."""
    statuses: Collection[int] = frozenset()
    """Statuses of responses to idempotent requests after which they are sent again, e.g. ``{429, 502, 503, 504}``. The
    last response is returned, whatever it is."""
    backoff: float = 0.2
    """Seconds before the first repetition; each further one waits twice as long, and a random part of it less."""
    max_backoff: float = 10.0
    """Seconds that one wait takes at most, if the server does not ask for more."""
    max_retry_after: float = 60.0
    """Seconds that a server may ask for with ``retry-after``; if it asks for more, its response is returned."""

    def __post_init__(self) -> None:
        check_int("attempts", self.attempts, 0)
        check_bool("idempotent", self.idempotent)
        for status in self.statuses:
            check_int("a status to retry", status, 400, 599)
        object.__setattr__(self, "statuses", frozenset(self.statuses))
        for name in "backoff", "max_backoff", "max_retry_after":
            check_grace(name, getattr(self, name))

    def wants_after_error(self, error: Exception, method: str) -> bool:
        """Whether a request that failed so may be sent again."""
        if isinstance(error, H2Error):
            if error.retryable:
                return True
            # Of a stream that this side reset, nothing better would come the next time.
            lost = isinstance(error, SessionError) or (
                isinstance(error, StreamResetError) and error.initiator is Initiator.REMOTE
            )
            return self.idempotent and lost and method in IDEMPOTENT
        return isinstance(error, OSError)  # the connection was never made

    def wants_after_status(self, status: int, method: str) -> bool:
        """Whether a request that was answered so may be sent again."""
        return status in self.statuses and method in IDEMPOTENT

    def pause(self, number: int) -> float:
        """Returns how many seconds to wait before the repetition of this *number*, from 1 on."""
        longest = min(self.max_backoff, self.backoff * 2.0 ** min(number - 1, 60))
        return longest * random.uniform(0.5, 1.0)


def retry_after(value: str | None) -> float | None:
    """Returns the seconds that ``retry-after`` asks for (RFC 9110 §10.2.3), ``None`` if it says nothing right."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:10])
    import email.utils  # rarely needed, and slow to import

    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
