"""What the engine reports after it has read bytes.

Slotted but not frozen: one is made per frame, and freezing costs more than it protects here. Users never see these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ._codes import ErrorCode
    from ._failure import SessionFailure, StreamFailure
    from ._headers import Headers
    from ._schedule import Priority


@dataclass(slots=True)
class RequestReceived:
    """A client opened a stream (server only)."""

    stream_id: int
    headers: Headers
    end_stream: bool


@dataclass(slots=True)
class RequestAnswered:
    """A client opened a stream, which has been answered to its end; what it still sends is not wanted (server only)."""

    stream_id: int


@dataclass(slots=True)
class PushPromised:
    """The server promised a response on ``promised_id`` to a request that it made itself (client only, RFC 9113 §8.4).

    What follows for ``promised_id`` are the events of a response.
    """

    stream_id: int
    """The stream of the request that it belongs to."""
    promised_id: int
    headers: Headers

    @property
    def flags(self) -> int:
        """The flags of the PUSH_PROMISE frame (RFC 9113 §6.6)."""
        return self.headers.flags


@dataclass(slots=True)
class ResponseReceived:
    """The final response headers (client only)."""

    stream_id: int
    headers: Headers
    end_stream: bool


@dataclass(slots=True)
class InformationalReceived:
    """A 1xx response (client only)."""

    stream_id: int
    headers: Headers


@dataclass(slots=True)
class TrailersReceived:
    """Trailers; they always end the peer's side of the stream."""

    stream_id: int
    headers: Headers


@dataclass(slots=True)
class DataReceived:
    """Body bytes, without padding (which has been credited already), and perhaps the end of the peer's side.

    Not one per frame: small frames that were read together come together.
    """

    stream_id: int
    data: bytes
    end_stream: bool


@dataclass(slots=True)
class StreamFailed:
    """A stream is over: reset by the peer, by a rule the peer broke, or never processed (GOAWAY)."""

    stream_id: int
    failure: StreamFailure


@dataclass(slots=True)
class StreamClosed:
    """Both sides of a stream have ended, or it was reset; it no longer counts against any limit."""

    stream_id: int


@dataclass(slots=True)
class WindowOpened:
    """More may be sent: on one stream, or (``stream_id`` 0) on any of them."""

    stream_id: int


@dataclass(slots=True)
class SettingsReceived:
    """The peer's settings changed, and were acknowledged."""

    changed: dict[int, int]


@dataclass(slots=True)
class SettingsAcknowledged:
    """The peer acknowledged our oldest unacknowledged SETTINGS, which are in force from now on."""

    values: dict[int, int]


@dataclass(slots=True)
class PingReceived:
    """A PING, already answered."""

    payload: bytes


@dataclass(slots=True)
class PingAcknowledged:
    """The answer to one of our PINGs."""

    payload: bytes


@dataclass(slots=True)
class GoAwayReceived:
    """The peer takes no streams above ``last_stream_id``; those at or below it go on (RFC 9113 §6.8)."""

    last_stream_id: int
    code: ErrorCode | int
    debug_data: bytes


@dataclass(slots=True)
class AltSvcAnnounced:
    """ALTSVC (client only, RFC 7838 §4): of *origin* on stream 0, else of the stream's own origin."""

    alt: str
    origin: str
    stream_id: int


@dataclass(slots=True)
class OriginsAnnounced:
    """ORIGIN (client only, RFC 8336)."""

    origins: list[str]


@dataclass(slots=True)
class PriorityUpdated:
    """PRIORITY_UPDATE for an open stream (server only, RFC 9218 §7.1)."""

    stream_id: int
    priority: Priority


@dataclass(slots=True)
class SessionFailed:
    """A connection error: GOAWAY is in the output, nothing more will be read."""

    failure: SessionFailure


Event: TypeAlias = (
    RequestReceived
    | RequestAnswered
    | PushPromised
    | ResponseReceived
    | InformationalReceived
    | TrailersReceived
    | DataReceived
    | StreamFailed
    | StreamClosed
    | WindowOpened
    | SettingsReceived
    | SettingsAcknowledged
    | PingReceived
    | PingAcknowledged
    | GoAwayReceived
    | AltSvcAnnounced
    | OriginsAnnounced
    | PriorityUpdated
    | SessionFailed
)
