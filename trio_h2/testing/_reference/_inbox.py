"""What the reference peer has received on one stream, and what of it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_h2 import Headers

    from ._ending import Ending


class Inbox:
    """The received half of a stream. The link fills it; the stream object empties it.

    Attributes:
        stream_id: The stream.
        parent_id: The stream that this one was pushed on, or None.
        request: The request's fields: received by a server, or promised to a client.
        informational: The 1xx responses, in order.
        response: The final response's fields.
        body: What was received and not read.
        discarding: Whether this side has closed the stream, and wants nothing more.
        trailers: The trailers.
        ended: Whether the other side has ended its half.
        ending: Why the stream was over before its time.
        reset_code: The code of the other side's RST_STREAM, also one after the end of everything.
        pushes: What was promised on this stream.
    """

    def __init__(self, stream_id: int, *, request: Headers | None = None, parent_id: int | None = None) -> None:
        self.stream_id = stream_id
        self.parent_id = parent_id
        self.request = request
        self.informational: list[Headers] = []
        self.response: Headers | None = None
        self.body: bytearray = bytearray()
        self.discarding = False
        self.trailers: Headers | None = None
        self.ended = False
        self.ending: Ending | None = None
        self.reset_code: int | None = None
        self.pushes: list[Inbox] = []

    def take(self, max_bytes: int | None) -> bytes:
        """Takes at most so many of the bytes that were received."""
        data = bytes(self.body[:max_bytes])
        del self.body[:max_bytes]
        return data
