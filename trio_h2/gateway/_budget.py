"""The reserve of repetitions of some servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._retries import Retries


class Budget:
    """A bucket of tokens: requests put a share of one in, repetitions take one out."""

    __slots__ = ("_most", "_share", "_tokens")

    def __init__(self, retries: Retries) -> None:
        self._share = retries.share
        self._most = float(retries.reserve)
        self._tokens = self._most

    def request(self) -> None:
        """There is a request."""
        if self._tokens < self._most:
            self._tokens = min(self._most, self._tokens + self._share)

    def take(self) -> bool:
        """Takes a token for a repetition, if there is one."""
        # Ten times 0.1 is a little less than 1.
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True
