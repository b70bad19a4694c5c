"""What a stream may ask of its connection, so that streams need not import sessions.

There are two views of it. `StreamSession` is what users of a stream get as ``stream.session``: a `Session`, or an
`Http1Connection`. `StreamPort` is the inner object that these hold: the streams' side of a connection. Its names are
public to this library, and not part of its API. Both HTTP versions implement it, and mypy checks that they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .._wire._codes import ErrorCode
    from .._wire._config import SessionConfig
    from .._wire._failure import OversizedSection, SessionFailure
    from .._wire._headers import RawField
    from .._wire._schedule import Priority
    from ._core import StreamCore
    from ._outbox import Outbox
    from ._transport import TransportView


HEADERS = 0x1
PUSH_PROMISE = 0x5
"""Types of frames, RFC 9113 §§6.2 and 6.6."""


class StreamSession(Protocol):
    """The session as the user of a stream sees it; it is a `Session` with more to it."""

    @property
    def config(self) -> SessionConfig:
        """Limits and timeouts."""

    @property
    def transport(self) -> TransportView:
        """The bytes below, for looking only."""

    @property
    def encrypted(self) -> bool:
        """Whether the session speaks TLS."""

    @property
    def alpn_protocol(self) -> str | None:
        """What ALPN agreed on; ``"h2c"`` in cleartext."""

    @property
    def closed(self) -> bool:
        """Whether the session takes no new streams."""

    @property
    def draining(self) -> bool:
        """Whether the session has begun to shut down."""

    async def wait_draining(self) -> None:
        """Waits until the session begins to shut down, or is over."""

    async def wait_closed(self) -> None:
        """Waits until the session is over."""

    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None:
        """Says how long the session may have no stream; *on_idle* is called instead of ending it. 0: no limit."""

    def shutdown(self) -> None:
        """Begins to drain."""

    def destroy(self, error: Exception | None = None, code: ErrorCode | int | None = None) -> None:
        """Ends the session at once."""


class OpenStream(Protocol):
    """A stream that is open on the wire."""

    @property
    def state(self) -> str:
        """The state's name in RFC 9113 §5.1."""

    @property
    def local_ended(self) -> bool:
        """Whether nothing more can be sent."""

    @property
    def remote_ended(self) -> bool:
        """Whether nothing more can be received."""

    @property
    def reserved(self) -> bool:
        """Whether it is only promised."""

    received_length: int
    """Bytes of the body that have come."""


class StreamEngine(Protocol):
    """What streams ask of the protocol below: of `Engine`, or of its like for HTTP/1.1."""

    @property
    def streams(self) -> Mapping[int, OpenStream]:
        """The streams that are open on the wire."""

    queued_body: int
    """Bytes that all outboxes hold."""
    copied_body: int
    """Those of them that the library has copied."""

    @property
    def next_stream_id(self) -> int | None:
        """The id of the next stream of ours, ``None`` if there can be none."""

    @property
    def push_allowed(self) -> bool:
        """Whether the peer takes pushes."""

    def remote_ended(self, stream_id: int) -> bool:
        """Whether the peer's side of a stream has ended."""

    def sendable(self, stream_id: int) -> int:
        """How many bytes the next `send_data` may have."""

    def stream_window(self, stream_id: int) -> int:
        """What may be sent on a stream."""

    def inbound_window(self, stream_id: int) -> int:
        """What the peer may send on a stream."""

    def section_too_large(self, fields: Sequence[RawField]) -> OversizedSection | None:
        """The sizes if the peer does not take so many fields."""

    def block_too_large(self, fields: Sequence[RawField]) -> str | None:
        """What is wrong if we do not send so many."""

    def send_response(self, stream_id: int, fields: Sequence[RawField], *, end_stream: bool) -> None:
        """Sends the final response headers."""

    def send_informational(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Sends a 1xx response."""

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end_stream: bool) -> None:
        """Sends body bytes, and perhaps the end."""

    def send_trailers(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Ends our side with trailers."""

    def send_extension(self, kind: int, stream_id: int, payload: bytes) -> None:
        """Sends a frame that moves no state machine."""

    def reset(self, stream_id: int, code: int) -> None:
        """Ends both sides."""


class StreamPort(Protocol):
    """A connection as its streams see it."""

    @property
    def engine(self) -> StreamEngine:
        """The protocol below."""

    @property
    def failure(self) -> SessionFailure | None:
        """Why the connection is over, if it is."""

    @property
    def session(self) -> StreamSession:
        """What the users of a stream see of it."""

    @property
    def config(self) -> SessionConfig:
        """Limits and timeouts."""

    @property
    def transport(self) -> TransportView:
        """The bytes below, for looking only."""

    async def wait_written(self) -> None:
        """A checkpoint, which waits until all that is framed has been written, or will never be."""

    def wake_writer(self) -> None:
        """Something was put into the engine's output."""

    @property
    def frames_at_once(self) -> bool:
        """Whether a few bytes may be framed at once: no body waits for its turn, and little waits to be written."""

    def body_ready(self, stream_id: int, outbox: Outbox, /) -> None:
        """A stream has body bytes to frame."""

    def body_gone(self, stream_id: int, /) -> None:
        """A stream has no body bytes to frame any more."""

    def frame_not_sent(self, stream_id: int | None, reason: str, kind: int = HEADERS) -> None:
        """A frame cannot be sent: tells the subscribers, and resets its stream if it has one."""

    def taken(self, stream_id: int, size: int) -> None:
        """The application took received bytes."""

    def discarded(self, stream_id: int, size: int) -> None:
        """Received bytes were thrown away."""

    async def control_room(self) -> None:
        """A checkpoint, which waits while too many control bytes are queued (``max_queued_control``)."""

    def want_room(self, stream_id: int, outbox: Outbox) -> None:
        """A task waits for the session's window to open."""

    def set_idle_timeout(self, stream_id: int, timeout: float) -> None:
        """From now on a stream may have no frames for so many seconds."""

    def prioritize(self, stream_id: int, priority: Priority, /) -> None:
        """Gives the DATA of a stream another place."""

    def weigh(self, stream_id: int, weight: int, /) -> None:
        """Gives the DATA of a stream another share of that of its urgency."""

    def rest_unwanted(self, stream_id: int, code: int) -> None:
        """Our side has ended, and nobody reads what the peer still sends: RST_STREAM, now or after a while."""

    def linger(self, stream: StreamCore) -> None:
        """The application has closed a stream whose peer has not ended its side, and has some time to."""


class PushPort(Protocol):
    """What a server's stream needs for pushing; connections without server push have no such thing."""

    pushes_were_allowed: bool
    """Whether the client has ever allowed pushes."""

    def push_obstacle(self) -> str | None:
        """Returns what keeps pushes from being made now, and what no handler could know before; ``None`` if nothing."""

    def push(self, parent: StreamCore, fields: Sequence[RawField]) -> StreamCore:
        """Sends a promise, which has been checked; returns its stream, one that is over if there is an obstacle."""

    async def wait_push_turn(self, stream: StreamCore) -> None:
        """A checkpoint, which waits until the first headers on a promised stream may be sent, or none are wanted."""
