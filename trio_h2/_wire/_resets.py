"""Which closed streams were reset, and by whom: it decides what a late frame on one of them is (RFC 9113 §5.1)."""

from __future__ import annotations

MAX_REMEMBERED_RESETS = 4096
"""Streams whose reset is remembered, for each side. What arrives for older ones is answered with RST_STREAM."""


class Resets:
    """The streams of one session that ended with RST_STREAM instead of END_STREAM."""

    __slots__ = ("_by_peer", "_forgotten", "by_us")

    def __init__(self) -> None:
        self.by_us: dict[int, int] = {}
        """Streams that we reset or refused, and how many bytes of DATA the peer may have under way for each: late
        frames on them are dropped in silence."""
        self._by_peer: dict[int, None] = {}
        self._forgotten = 0

    def add_ours(self, stream_id: int, window: int) -> None:
        """We reset a stream; *window* bytes of DATA may be under way."""
        self.by_us[stream_id] = max(0, window)
        if len(self.by_us) > MAX_REMEMBERED_RESETS:
            self._forget(self.by_us)

    def add_theirs(self, stream_id: int) -> None:
        """The peer reset a stream."""
        self._by_peer[stream_id] = None
        if len(self._by_peer) > MAX_REMEMBERED_RESETS:
            self._forget(self._by_peer)

    def _forget(self, streams: dict[int, int] | dict[int, None]) -> None:
        oldest = next(iter(streams))
        del streams[oldest]
        self._forgotten = max(self._forgotten, oldest)

    def ended_on_both_sides(self, stream_id: int) -> bool:
        """Whether a closed stream is known to have ended with END_STREAM of both sides."""
        return stream_id > self._forgotten and stream_id not in self.by_us and stream_id not in self._by_peer
