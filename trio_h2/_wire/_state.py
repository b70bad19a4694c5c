"""One stream as the wire sees it (RFC 9113 §5.1).

The RFC's seven states are the product of two sides, each of which goes one way only::

    IDLE ──headers──▶ OPEN ──END_STREAM──▶ ENDED

"open" is OPEN/OPEN, "half-closed (local)" is ENDED here and not there, "closed" is ENDED/ENDED, and RST_STREAM ends
both sides at once. A side is still IDLE while its final header section is missing: a request is answered with any
number of 1xx responses before the response leaves IDLE (§8.1).

A pushed stream never has more than one side: the other one is ENDED from its promise on. Until the first header
section of the response it is *reserved* (§8.4), and counts against no limit of open streams.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._flow import StreamCredit


class Side(enum.IntEnum):
    """How far one direction of a stream is."""

    IDLE = 0
    OPEN = 1
    ENDED = 2


@dataclass(slots=True)
class WireStream:
    """State of one stream that is not closed yet. Owned by the engine; everything above it goes by stream id."""

    id: int
    method: bytes
    credit: StreamCredit
    local: Side = Side.IDLE
    remote: Side = Side.IDLE
    reserved: bool = False
    """Promised, and without any header section of its response yet: "reserved (local)" on a server, "reserved
    (remote)" on a client (RFC 9113 §5.1)."""
    origin: tuple[bytes, bytes] = (b"", b"")
    """``:scheme`` and ``:authority`` of a request of ours, which a push may be compared with."""
    received_length: int = 0
    expected_length: int | None = None
    """The peer's content-length, if it must agree with the body."""
    body_forbidden: bool = False
    """What we receive must not have content: the answer to HEAD, 204 or 304 (RFC 9110 §6.4.1)."""
    interim_size: int = 0
    """Octets of the interim responses so far, counted like a header list."""
    tunnel: bool = False
    """What we receive belongs to the tunnel of a CONNECT (RFC 9113 §8.5)."""

    @property
    def closed(self) -> bool:
        """Whether both sides have ended."""
        return self.local is Side.ENDED and self.remote is Side.ENDED
