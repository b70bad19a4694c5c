"""Budgets against abuse: rapid reset, MadeYouReset, and floods of frames that move nothing forward.

RFC 9113 §10.5: "An endpoint that doesn't monitor use of these features exposes itself to a risk of denial of
service." Every limit is a token bucket, so that bursts of honest clients pass, and names itself when it is exceeded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._codes import ErrorCode
from ._config import ServerConfig
from ._failure import SessionFaultError

if TYPE_CHECKING:
    from ._config import SessionConfig

WRITING_READS = 16
"""Output that was not taken for so many reads waits for the peer. A writer that the transport does not hold up has its
turn between two reads, or after a few of them where there is TLS below."""


class TokenBucket:
    """Allows *burst* events at once and *rate* more per second. Time is passed in.

    Args:
        burst: see above.
        rate: see above.
        name: of both in the reason: their options begin with it.
        where: these are set.
        what: there was too much of.
    """

    __slots__ = ("_burst", "_name", "_rate", "_stamp", "_tokens", "_what", "_where")

    def __init__(self, burst: int, rate: float, *, name: str, where: str, what: str) -> None:
        self._burst = burst
        self._rate = rate
        self._tokens = float(burst)
        self._stamp = 0.0
        self._name = name
        self._where = where
        self._what = what

    def spend(self, now: float, cost: int = 1) -> None:
        """Counts an event at time *now* (seconds), or as many as it is worth.

        Raises:
            SessionFaultError: ENHANCE_YOUR_CALM, the budget is exhausted.
        """
        if now > self._stamp:
            self._tokens = min(self._burst, self._tokens + (now - self._stamp) * self._rate)
            self._stamp = now
        if self._tokens < cost:
            limit = f"{self._name}_burst={self._burst} at once and {self._name}_rate={self._rate:g} per second"
            reason = f"{self._what}: more than {limit} ({self._where})"
            raise SessionFaultError(ErrorCode.ENHANCE_YOUR_CALM, reason)
        self._tokens -= cost

    def refund(self, count: int) -> bool:
        """Allows *count* more events at once, up to the burst; returns whether that is reached."""
        self._tokens = min(self._burst, self._tokens + count)
        return self._tokens >= self._burst


class Guard:
    """The budgets of one session."""

    __slots__ = (
        "_config",
        "_first_reply_read",
        "_invalid",
        "_max_invalid",
        "_max_rejected",
        "_max_replies",
        "_overhead",
        "_rejected",
        "_replies",
        "_resets",
        "reads",
        "spent",
    )

    def __init__(self, config: SessionConfig) -> None:
        self._resets = TokenBucket(
            config.reset_burst,
            config.reset_rate,
            name="reset",
            where=config.where,
            what="too many streams were reset",
        )
        self._overhead = TokenBucket(
            config.overhead_burst,
            config.overhead_rate,
            name="overhead",
            where=config.where,
            what="too many frames that move nothing forward",
        )
        self._config = config
        self._max_replies = config.max_queued_replies
        self._max_invalid = config.max_session_invalid_frames if isinstance(config, ServerConfig) else math.inf
        self._max_rejected = config.max_session_rejected_streams if isinstance(config, ServerConfig) else math.inf
        self._invalid = self._rejected = 0
        self._replies = self._first_reply_read = 0
        self.reads: int = 0
        """How often bytes were received; kept by whoever receives them."""
        self.spent: bool = False
        """Whether frames that move nothing forward have come which nothing has made good for yet."""

    def count_reset(self, now: float) -> None:
        """Counts a stream reset by the peer, or by us because of what the peer did (CVE-2023-44487, CVE-2025-8671)."""
        self._resets.spend(now)

    def count_invalid(self) -> None:
        """Counts a frame that was wrong, though only for its stream.

        Raises:
            SessionFaultError: ENHANCE_YOUR_CALM, there were too many on this session.
        """
        self._invalid += 1
        if self._invalid > self._max_invalid:
            raise SessionFaultError(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"too many invalid frames: more than {self._config.named('max_session_invalid_frames')}",
            )

    def count_rejected(self) -> None:
        """Counts a stream for which there was no room.

        Raises:
            SessionFaultError: ENHANCE_YOUR_CALM, there were too many on this session.
        """
        self._rejected += 1
        if self._rejected > self._max_rejected:
            raise SessionFaultError(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"too many streams were rejected: more than {self._config.named('max_session_rejected_streams')}",
            )

    def count_overhead(self, now: float, cost: int = 1) -> None:
        """Counts a frame that moves nothing forward: PING, SETTINGS, PRIORITY, empty DATA, frames on closed streams.

        A large one makes more work than a small one, and counts as several.
        """
        self.spent = True
        self._overhead.spend(now, cost)

    def progress(self, frames: int) -> None:
        """Something moved forward, which honestly brings up to *frames* small or late frames of the peer with it."""
        if self.spent:
            self.spent = not self._overhead.refund(frames)

    def count_reply(self) -> None:
        """Counts an automatic reply put into the output.

        That replies wait says nothing of the peer when they have had no chance to be written: a burst in one read is
        a matter of the other budgets.

        Raises:
            SessionFaultError: ENHANCE_YOUR_CALM, the peer makes us answer without reading the answers.
        """
        if not self._replies:
            self._first_reply_read = self.reads
        self._replies += 1
        if self._replies > self._max_replies and self.reads - self._first_reply_read >= WRITING_READS:
            raise SessionFaultError(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"the peer does not read our replies: more than {self._config.named('max_queued_replies')} wait for it",
            )

    def replies_taken(self) -> None:
        """The output was handed to the transport."""
        self._replies = 0
