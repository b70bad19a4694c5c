"""What instruments are told, as values. Times and durations are seconds, sizes bytes.

In all of them, *local* and *sent* mean this side, *remote* and *received* the peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from .._field_docs import describe_fields
from .._values import Value

if TYPE_CHECKING:
    from .._wire._codes import ErrorCode, Initiator, Role
    from .._wire._headers import Headers

Side: TypeAlias = Literal["send", "receive"]
"""Who may not send, or send again: this side, or the peer."""
Message: TypeAlias = Literal["request", "informational", "response", "trailers"]
"""What header fields are."""
WindowCause: TypeAlias = Literal["opened", "data", "window_update", "settings"]
"""What moved a window: it is new, DATA, WINDOW_UPDATE, or SETTINGS_INITIAL_WINDOW_SIZE."""
Limit: TypeAlias = Literal["stream_window", "session_window", "transport", "peer_streams"]
"""What does not let something go on, see `Stall`."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TlsInfo(Value):
    """What TLS agreed on."""

    version: str | None
    """Like ``"TLSv1.3"``."""
    cipher: str | None
    """The name of the cipher."""
    server_name: str | None
    """The name that the client has asked for."""


@describe_fields
@dataclass(frozen=True, eq=False)
class SessionInfo:
    """One session, for an instrument that sees many: the same object each time, so it can be the key of a dict."""

    number: int
    """Counts the sessions of the process, from 1 on."""
    role: Role
    """Which end of it this side is."""
    http_version: Literal["2", "1.1"]
    """What the session speaks."""
    label: str
    """What the log calls it: a client's origin, or a server's peer."""
    peer: str | None
    """The peer's address, like ``"127.0.0.1:443"``, or a Unix path; ``None`` without a socket."""
    local: str | None
    """This side's address."""
    alpn: str | None
    """What ALPN agreed on; ``"h2c"`` in clear text; ``None`` if nothing did."""
    tls: TlsInfo | None
    """``None`` in clear text."""
    scheme: str
    """``"https"`` or ``"http"``."""
    authority: str | None
    """Host and port that a client has connected to; ``None`` on a server."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SessionEnd(Value):
    """How a session ended."""

    reason: str
    """Why, in words."""
    by: Initiator
    """Who ended it."""
    clean: bool
    """It ended in good order: nothing was lost, nothing broke."""
    error_code: ErrorCode | int | None
    """What was said with GOAWAY, if anything was."""
    streams: int
    """How many streams there were, or exchanges of HTTP/1.1."""
    bytes_sent: int
    """Of all that the transport took, or was to take."""
    bytes_received: int
    """Of all that came from it."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dependency(Value):
    """The priority fields of RFC 7540 §5.3."""

    depends_on: int
    """The stream that is its parent; 0 for none."""
    weight: int
    """1 … 256."""
    exclusive: bool
    """Whether it is to be the only child of its parent."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame(Value):
    """One frame as it was on the wire (RFC 9113 §4.1). What only some types have is ``None`` in the others.

    Bytes of bodies are not in it.
    """

    kind: int
    """The number of its type."""
    flags: int
    """As a number."""
    stream_id: int
    """0 for the session."""
    length: int
    """Bytes of its payload, padding included."""
    data_length: int | None = None
    """DATA: bytes without padding."""
    headers: Headers | None = None
    """HEADERS, PUSH_PROMISE: the fields of the whole block, those in CONTINUATION frames included."""
    headers_error: str | None = None
    """HEADERS, PUSH_PROMISE: why the fields are not known."""
    message: Message | None = None
    """HEADERS: what the fields are."""
    dependency: Dependency | None = None
    """PRIORITY, and HEADERS with that flag."""
    promised_stream_id: int | None = None
    """PUSH_PROMISE."""
    error_code: ErrorCode | int | None = None
    """RST_STREAM, GOAWAY."""
    last_stream_id: int | None = None
    """GOAWAY."""
    debug_data: bytes | None = None
    """GOAWAY."""
    settings: tuple[tuple[int, int], ...] | None = None
    """SETTINGS: numbers and values."""
    ping: bytes | None = None
    """PING: its eight bytes."""
    increment: int | None = None
    """WINDOW_UPDATE."""
    prioritized_stream_id: int | None = None
    """PRIORITY_UPDATE."""
    text: str | None = None
    """PRIORITY_UPDATE: the priority. ALTSVC: the alternatives."""
    origins: tuple[str, ...] | None = None
    """ORIGIN: all of them. ALTSVC: the one it is for, if it names one."""

    @property
    def type_name(self) -> str:
        """The RFC's name of its type, or the number in hexadecimal."""
        return FRAME_NAMES.get(self.kind, hex(self.kind))

    @property
    def flag_names(self) -> list[str]:
        """The RFC's names of its flags, or their numbers in hexadecimal."""
        known = _FLAG_NAMES.get(self.kind, {})
        bits = (1 << bit for bit in range(8))
        return [known.get(bit, hex(bit)) for bit in bits if self.flags & bit]


FRAME_NAMES = {
    0x0: "DATA",
    0x1: "HEADERS",
    0x2: "PRIORITY",
    0x3: "RST_STREAM",
    0x4: "SETTINGS",
    0x5: "PUSH_PROMISE",
    0x6: "PING",
    0x7: "GOAWAY",
    0x8: "WINDOW_UPDATE",
    0x9: "CONTINUATION",
    0xA: "ALTSVC",
    0xC: "ORIGIN",
    0x10: "PRIORITY_UPDATE",
}
_FLAG_NAMES = {
    0x0: {0x1: "END_STREAM", 0x8: "PADDED"},
    0x1: {0x1: "END_STREAM", 0x4: "END_HEADERS", 0x8: "PADDED", 0x20: "PRIORITY"},
    0x4: {0x1: "ACK"},
    0x5: {0x4: "END_HEADERS", 0x8: "PADDED"},
    0x6: {0x1: "ACK"},
    0x9: {0x4: "END_HEADERS"},
}


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MessagePart(Value):
    """A part of a message of HTTP/1.1: its head, bytes of its body, or its end."""

    stream_id: int
    """The number of the exchange on its connection, from 1 on."""
    part: Literal["head", "data", "end"]
    """Which part."""
    message: Message | None = None
    """A head: of what."""
    method: str | None = None
    """The head of a request."""
    target: str | None = None
    """The same: path and query, or the authority of a CONNECT."""
    status: int | None = None
    """The head of a response."""
    headers: Headers | None = None
    """A head: the fields without method, target and status. The end: trailers, if there were any."""
    length: int = 0
    """Data: bytes of the body."""


@describe_fields
@dataclass(frozen=True, eq=False)
class StreamInfo:
    """A stream, or one exchange of HTTP/1.1: the same object when it opens and when it closes."""

    stream_id: int
    """Its identifier, or the number of the exchange."""
    by: Initiator
    """Whether it was opened here (``LOCAL``) or by the peer."""
    pushed: bool
    """Whether a server promised it (RFC 9113 §8.4)."""
    headers: Headers | None
    """The request with its pseudo-headers; ``None`` if they could not be read."""
    opened_at: float
    """In seconds of Trio's clock."""
    associated_stream_id: int | None = None
    """On which stream it was promised."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StreamEnd(Value):
    """How a stream ended."""

    how: Literal["complete", "reset", "session"]
    """``"complete"``: both sides ended in good order. ``"reset"``: by RST_STREAM; an exchange of HTTP/1.1, by the end
    of its connection. ``"session"``: the session ended first."""
    by: Initiator
    """Who reset it, or ended last."""
    error_code: ErrorCode | int | None
    """What RST_STREAM said."""
    reason: str | None
    """Why, where this side knows more than the code."""
    status: int | None
    """Of the final response, if there was one."""
    bytes_sent: int
    """Bytes of the body, without padding."""
    bytes_received: int
    """The same of what came."""
    duration: float
    """Since it was opened."""
    first_byte: float | None
    """From its opening to the head of the final response."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Window(Value):
    """A window of flow control has changed (RFC 9113 §5.2)."""

    stream_id: int
    """0 for the session's."""
    side: Side
    """Whose sending it limits."""
    """``"send"``: what this side may still send. ``"receive"``: what the peer may."""
    size: int
    """What is left now; it can be less than 0 (RFC 9113 §6.9.2)."""
    cause: WindowCause
    """What has moved it."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stall(Value):
    """Something cannot go on, or does again.

    ==========  ==================  ================================================================================
    side        limit
    ==========  ==================  ================================================================================
    send        ``stream_window``   body bytes wait, and the peer takes no more of this stream for now
    send        ``session_window``  the same, of the whole session
    send        ``transport``       a write takes more than 5 ms: the network, or the peer's host, takes nothing
    send        ``peer_streams``    requests wait, because the peer allows no further stream
    receive     ``stream_window``   the peer may send no more on this stream, since the application does not read
    receive     ``session_window``  the same, on the whole session
    ==========  ==================  ================================================================================
    """

    stream_id: int
    """0 for the session."""
    side: Side
    """Who cannot go on."""
    limit: Limit
    """Why not."""
    since: float
    """When it began, in seconds of Trio's clock."""
    waiting: int | None = None
    """``peer_streams``: how many requests wait."""
    duration: float | None = None
    """How long it took; ``None`` when it begins."""
    ended: bool = False
    """It is over because the stream or the session is."""


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PingAnswer(Value):
    """A PING was answered (RFC 9113 §6.7)."""

    payload: bytes
    """Its eight bytes."""
    by: Initiator
    """Whose PING it was."""
    round_trip: float
    """From the PING to its answer, as this side saw both."""
