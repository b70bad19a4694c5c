"""GOAWAY in both directions (RFC 9113 §6.8): which streams go on, which were never processed.

GOAWAY is not the end of a session. h2 takes it for one, in both directions, so this state is ours.
"""

from __future__ import annotations

from ._codes import ErrorCode

LAST_POSSIBLE_ID = 2**31 - 1
"""RFC 9113 §6.8: a first GOAWAY with this id announces the shutdown and refuses nothing yet."""


class Shutdown:
    """What was said with GOAWAY, by either side of one session."""

    __slots__ = ("received_code", "received_debug", "received_last_id", "sent_last_id")

    def __init__(self) -> None:
        self.sent_last_id: int | None = None
        self.received_last_id: int | None = None
        self.received_code: ErrorCode | int = ErrorCode.NO_ERROR
        self.received_debug: bytes = b""

    @property
    def peer_is_leaving(self) -> bool:
        """Whether the peer sent GOAWAY: no new streams may be opened."""
        return self.received_last_id is not None

    def receive(self, last_stream_id: int, code: ErrorCode | int, debug_data: bytes) -> int:
        """Books a GOAWAY of the peer; returns the last id that counts.

        RFC 9113 §6.8: "Endpoints MUST NOT increase the value they send in the last stream identifier": a larger one
        is not believed, since the streams above the smaller one have been given up already.
        """
        if self.received_last_id is not None:
            last_stream_id = min(last_stream_id, self.received_last_id)
        self.received_last_id = last_stream_id
        self.received_code = code
        self.received_debug = debug_data
        return last_stream_id

    def send(self, last_stream_id: int) -> int:
        """Books a GOAWAY of ours; returns the last id to put into it (never more than before)."""
        if self.sent_last_id is not None:
            last_stream_id = min(last_stream_id, self.sent_last_id)
        self.sent_last_id = last_stream_id
        return last_stream_id

    def refuses(self, stream_id: int) -> bool:
        """Whether a stream of the peer's is above what our GOAWAY promised to process."""
        return self.sent_last_id is not None and stream_id > self.sent_last_id
