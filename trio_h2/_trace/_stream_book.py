"""What is booked of one stream while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._wire._codes import Initiator
from ._seen import StreamEnd

if TYPE_CHECKING:
    from typing import Literal

    from .._wire._codes import ErrorCode
    from ._seen import StreamInfo


class StreamBook:
    """One stream that is open on the wire.

    Args:
        info: what is known from its beginning.
        send_window: what this side may send on it.
        receive_window: what the peer may.
    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "first_byte",
        "info",
        "local_ended",
        "receive_window",
        "remote_ended",
        "reset_reason",
        "reset_why",
        "send_window",
        "status",
    )

    def __init__(self, info: StreamInfo, send_window: int = 0, receive_window: int = 0) -> None:
        self.info = info
        self.send_window = send_window
        self.receive_window = receive_window
        self.local_ended = False
        self.remote_ended = False
        self.status: int | None = None
        self.first_byte: float | None = None
        self.bytes_sent = 0
        self.bytes_received = 0
        self.reset_why: Initiator | None = None
        """Who of this side wanted the reset."""
        self.reset_reason: str | None = None

    def response(self, status: str | None, now: float) -> None:
        """The head of the final response was sent, or came."""
        if self.first_byte is None:
            self.first_byte = now - self.info.opened_at
            self.status = int(status) if status is not None and status.isascii() and status.isdigit() else None

    def end(
        self,
        how: Literal["complete", "reset", "session"],
        by: Initiator,
        now: float,
        *,
        code: ErrorCode | int | None = None,
        reason: str | None = None,
    ) -> StreamEnd:
        """Returns how it ended."""
        if by is Initiator.LOCAL and how == "reset":
            by, reason = self.reset_why or by, self.reset_reason or reason
        return StreamEnd(
            *(how, by, code, reason, self.status, self.bytes_sent, self.bytes_received),
            *(now - self.info.opened_at, self.first_byte),
        )
