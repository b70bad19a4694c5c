"""Pings that wait for their pongs (RFC 6455 §5.5.2, §5.5.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import trio


@dataclass(slots=True)
class PingWaiter:
    """A task that waits for a pong."""

    settled: trio.Event
    sent_at: float = math.nan
    answered_at: float = math.nan


class Pings:
    """Who waits for the answer to which payload, in the order of sending."""

    def __init__(self) -> None:
        self._waiters: dict[bytes, PingWaiter] = {}

    def add(self, payload: bytes) -> PingWaiter:
        """Returns a new waiter; its ping is still to be sent.

        Raises:
            ValueError: another ping has this payload.
        """
        if payload in self._waiters:
            raise ValueError(f"another ping with the payload {payload!r} is unanswered")
        waiter = self._waiters[payload] = PingWaiter(trio.Event())
        return waiter

    def remove(self, payload: bytes, waiter: PingWaiter) -> None:
        """Nobody waits any more; does nothing if the answer came."""
        if self._waiters.get(payload) is waiter:
            del self._waiters[payload]

    def answered(self, payload: bytes) -> None:
        """A pong came. It answers the pings before its own, too (RFC 6455 §5.5.3)."""
        # RFC 6455 §5.5.3: "A Pong frame MAY be sent unsolicited": it answers no ping that still waits for its turn.
        if payload not in self._waiters or math.isnan(self._waiters[payload].sent_at):
            return
        for sent, waiter in list(self._waiters.items()):
            waiter.answered_at = trio.current_time()
            waiter.settled.set()
            del self._waiters[sent]
            if sent == payload:
                return

    def give_up(self) -> None:
        """No answer will come."""
        for waiter in self._waiters.values():
            waiter.settled.set()
        self._waiters.clear()
