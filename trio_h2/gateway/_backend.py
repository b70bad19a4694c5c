"""One server of a gateway: how it does."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import trio

from ._server_statistics import ServerStatistics

if TYPE_CHECKING:
    import trio_h2

    from ._ejection import Ejection

logger = logging.getLogger("trio_h2.gateway")


class Backend:
    """One server. What it has, what it failed, and whether it may get more.

    Args:
        url: where it is.
        client: asks it.
        ejection: when it is left alone for a while.
    """

    def __init__(self, url: str, client: trio_h2.Client, ejection: Ejection | None) -> None:
        self.url = url
        self.client = client
        self.running = 0
        self.requests = 0
        self.failures = 0
        self.retries = 0
        self.last_error: str | None = None
        self.well = True
        """What its health checks say."""
        self.out_until = -math.inf
        """It is left alone until then."""
        self._ejection = ejection
        self._in_a_row = 0
        self._times_out = 0

    @property
    def on_probation(self) -> bool:
        """Whether it was left alone, and has not answered since."""
        return self._times_out > 0

    def begin(self) -> None:
        """It gets a request."""
        self.running += 1
        self.requests += 1

    def end(self) -> None:
        """A request is over."""
        self.running -= 1

    def failed(self, why: str) -> None:
        """A request has failed, and it is this server's fault.

        Args:
            why: for people.
        """
        self.failures += 1
        self.last_error = why
        self._in_a_row += 1
        ejection, now = self._ejection, trio.current_time()
        if ejection is None or self._in_a_row < ejection.failures or now < self.out_until:
            return
        seconds = ejection.time_out(self._times_out)
        self.out_until = now + seconds
        self._times_out += 1
        logger.warning("%s: left alone for %g s after %d failures: %s", self.url, seconds, self._in_a_row, why)

    def succeeded(self) -> None:
        """A request was answered."""
        self._in_a_row = 0
        if self._times_out and trio.current_time() >= self.out_until:
            self._times_out = 0
            logger.warning("%s: answers again", self.url)

    def found(self, *, well: bool, why: str) -> None:
        """Its health checks say something else than before.

        Args:
            well: whether it is well.
            why: for people.
        """
        self.well = well
        if well:
            self._in_a_row = self._times_out = 0
            self.out_until = -math.inf
        logger.warning("%s: %s: %s", self.url, "well again" if well else "not well", why)

    def statistics(self) -> ServerStatistics:
        """Returns a snapshot."""
        return ServerStatistics(
            url=self.url,
            healthy=self.well and self.out_until <= trio.current_time(),
            running=self.running,
            requests=self.requests,
            failures=self.failures,
            retries=self.retries,
            last_error=self.last_error,
        )
