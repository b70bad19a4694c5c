"""PINGs of the application, and the one that a drain waits for (RFC 9113 §6.7)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import count

import trio

from .._field_docs import describe_fields
from .._values import Value

DRAIN_PAYLOAD = b"\xffdrain\xffh"
"""The PING between the two GOAWAYs of a drain: when it is answered, no stream can be under way that we have not
seen."""


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class PingResult(Value):
    """The answer to a PING: ``round_trip`` in seconds, and the 8 bytes of its ``payload``."""

    round_trip: float
    """Seconds from when the PING was written to its answer."""
    payload: bytes
    """The 8 bytes that were sent, and came back."""


class PendingPing:
    """A PING without an answer yet."""

    __slots__ = ("answered", "done", "sent")

    def __init__(self, sent: float) -> None:
        self.sent: float = sent
        self.answered: float | None = None
        self.done: trio.Event = trio.Event()

    def written(self, now: float) -> None:
        """The transport has taken it. The answer may already be here: the reader can be faster than the writer."""
        if self.answered is None:
            self.sent = now


class Pings:
    """The application's PINGs of one session that have no answer yet."""

    def __init__(self) -> None:
        self._pending: dict[bytes, deque[PendingPing]] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return sum(map(len, self._pending.values()))

    def next_payload(self) -> bytes:
        """Returns 8 bytes that no other PING of this session has."""
        return b"\x00ping" + (next(self._numbers) % 2**24).to_bytes(3, "big")

    def add(self, payload: bytes) -> PendingPing:
        """A PING goes out; its round trip counts from when it is `PendingPing.written`."""
        ping = PendingPing(trio.current_time())
        self._pending.setdefault(payload, deque()).append(ping)
        return ping

    def acknowledged(self, payload: bytes) -> bool:
        """An answer came; returns whether it was one of the application's."""
        pings = self._pending.get(payload)
        if not pings:
            return False
        ping = pings.popleft()
        if not pings:
            del self._pending[payload]
        ping.answered = trio.current_time()
        ping.done.set()
        return True

    def end(self) -> None:
        """The session is over: wakes everyone."""
        for pings in self._pending.values():
            for ping in pings:
                ping.done.set()
        self._pending.clear()
