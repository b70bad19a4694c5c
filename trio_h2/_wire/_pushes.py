"""The pushed streams of one session: which are only promised, which are open (RFC 9113 §§5.1 and 8.4).

RFC 9113 §5.1.2: "Streams that are in the "open" state or in either of the "half-closed" states count toward the maximum
number of streams that an endpoint is permitted to open. […] Streams in either of the "reserved" states do not count
toward the stream limit." So promises have a limit of their own.
"""

from __future__ import annotations


class Pushes:
    """Ids of pushed streams that are not closed.

    Args:
        limit: on a client, how many may be open at once; ``None`` on a server, which receives no bodies on them.
    """

    __slots__ = ("limit", "open", "reserved")

    def __init__(self, limit: int | None) -> None:
        self.limit: int | None = limit
        """The largest number of open pushes that our settings allow, or will."""
        self.reserved: set[int] = set()
        """Promised, and without any header section of the response."""
        self.open: set[int] = set()
        """Those that count against the limit of concurrent streams."""

    def __len__(self) -> int:
        return len(self.reserved) + len(self.open)

    @property
    def windows(self) -> int:
        """How many receive windows are kept for pushes, those that are used already included."""
        return 0 if self.limit is None else max(self.limit, len(self.open))

    def promise(self, stream_id: int) -> None:
        """A stream was promised."""
        self.reserved.add(stream_id)

    def respond(self, stream_id: int) -> None:
        """The response of a promised stream has begun."""
        self.reserved.remove(stream_id)
        self.open.add(stream_id)

    def close(self, stream_id: int) -> None:
        """A stream has closed, whichever it was."""
        self.reserved.discard(stream_id)
        self.open.discard(stream_id)
