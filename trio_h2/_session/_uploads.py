"""Which requests have stopped coming: since when nothing of their body has been received."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import SessionCore

LOOKS = 8
"""How often a request is looked at before it has taken too long: nothing is noted when its bytes come."""


class UploadTimers:
    """The requests of one server session whose body is not complete.

    Each is looked at now and then, and has stopped when nothing has come between so many looks that follow each other,
    though the client could have sent. So it gets its whole time, and an eighth of it more at most.

    Args:
        seconds: how long nothing may come.
    """

    __slots__ = ("_interval", "pending")

    def __init__(self, seconds: float) -> None:
        self._interval = seconds / LOOKS
        self.pending: dict[int, tuple[float, int, int]] = {}
        """When the next look is due, how many bytes had come at the last one, and how many looks found no more."""

    def begin(self, stream_id: int, now: float) -> float:
        """A request has begun; returns when it is looked at."""
        due = now + self._interval
        self.pending[stream_id] = due, 0, 0
        return due

    def forget(self, stream_id: int) -> None:
        """Its stream has closed."""
        self.pending.pop(stream_id, None)

    def next(self) -> float:
        """The next look: all have the same time, so it is that of the first."""
        return next(iter(self.pending.values()), (math.inf, 0, 0))[0]

    def stopped(self, core: SessionCore, now: float) -> list[int]:
        """Looks at those that are due; returns the streams whose requests have stopped, which are forgotten."""
        stopped = []
        while now >= self.next():
            stream_id = next(iter(self.pending))
            _, before, quiet = self.pending.pop(stream_id)
            received = _received(core, stream_id)
            if received is None:
                continue
            quiet = quiet + 1 if received == before else 0
            if not _may_send(core, stream_id):
                quiet = -1  # its turn comes later than this look
            if quiet < LOOKS:
                self.pending[stream_id] = now + self._interval, received, quiet
            else:
                stopped.append(stream_id)
        return stopped


def _received(core: SessionCore, stream_id: int) -> int | None:
    """Returns how many bytes of a body have come; ``None`` if there is nothing to wait for any more.

    Once its response has begun, an exchange may be a conversation, in which either side says something now and then.
    """
    wire, stream = core.engine.streams.get(stream_id), core.streams.get(stream_id)
    if wire is None or stream is None or wire.remote_ended or stream.sent_headers is not None:
        return None
    return wire.received_length


def _may_send(core: SessionCore, stream_id: int) -> bool:
    """Whether it is the client's turn: it has a window, and does not wait for our 100."""
    stream, engine = core.streams[stream_id], core.engine
    if stream.idle_timeout != math.inf:
        return False  # which knows better what this stream is for
    if engine.inbound_window(stream_id) <= 0 or engine.windows.budget.window <= 0:
        return False
    request = stream.request
    if request is None or engine.streams[stream_id].received_length:
        return True
    waits = "100-continue" in str(request.headers.get("expect", "")).lower()
    return not waits or any(sent.status == 100 for sent in stream.sent_informational or ())
