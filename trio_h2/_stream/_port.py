"""What a stream may ask of its session.

A Protocol, so that streams do not import sessions: sessions are made of streams, not the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._wire._codes import ErrorCode
    from .._wire._config import SessionConfig
    from .._wire._failure import SessionFailure
    from .._wire._headers import RawField
    from .._wire._schedule import Priority
    from .._wire._state import WireStream
    from ._outbox import Outbox
    from ._transport import TransportView


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

    def shutdown(self) -> None:
        """Begins to drain."""

    def destroy(self, error: Exception | None = None, code: ErrorCode | int | None = None) -> None:
        """Ends the session at once."""


class StreamEngine(Protocol):
    """What streams ask of the protocol below: of `Engine`, or of its like for HTTP/1.1."""

    streams: dict[int, WireStream]
    """The streams that are open on the wire."""
    queued_body: int
    """Octets that all outboxes hold."""

    def remote_ended(self, stream_id: int) -> bool:
        """Whether the peer's side of a stream has ended."""

    def sendable(self, stream_id: int) -> int:
        """How many octets the next `send_data` may have."""

    def stream_window(self, stream_id: int) -> int:
        """What may be sent on a stream."""

    def inbound_window(self, stream_id: int) -> int:
        """What the peer may send on a stream."""

    def section_too_large(self, fields: Sequence[RawField]) -> str | None:
        """What is wrong if the peer does not take so many fields."""

    def block_too_large(self, fields: Sequence[RawField]) -> str | None:
        """What is wrong if we do not send so many."""

    def send_response(self, stream_id: int, fields: Sequence[RawField], *, end_stream: bool) -> None:
        """Sends the final response headers."""

    def send_informational(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Sends a 1xx response."""

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end_stream: bool) -> None:
        """Sends body octets, and perhaps the end."""

    def send_trailers(self, stream_id: int, fields: Sequence[RawField]) -> None:
        """Ends our side with trailers."""

    def send_extension(self, kind: int, stream_id: int, payload: bytes) -> None:
        """Sends a frame that moves no state machine."""

    def reset(self, stream_id: int, code: int) -> None:
        """Ends both sides."""


class SessionPort(StreamSession, Protocol):
    """The session as its streams see it."""

    @property
    def _engine(self) -> StreamEngine: ...

    @property
    def _failure(self) -> SessionFailure | None:
        """Why the session is over, if it is."""

    def _wake_writer(self) -> None:
        """Something was put into the engine's output."""

    def _body_ready(self, stream_id: int, outbox: Outbox) -> None:
        """A stream has body octets to frame."""

    def _body_gone(self, stream_id: int) -> None:
        """A stream has no body octets to frame any more."""

    def _taken(self, stream_id: int, size: int) -> None:
        """The application took received octets."""

    def _discarded(self, stream_id: int, size: int) -> None:
        """Received octets were thrown away."""

    async def _control_room(self) -> None:
        """A checkpoint, which waits while too many control octets are queued (``max_queued_control``)."""

    def _want_room(self, stream_id: int, outbox: Outbox) -> None:
        """A task waits for the session's window to open."""

    def _set_idle_timeout(self, stream_id: int, timeout: float) -> None:
        """From now on a stream may have no frames for so many seconds."""

    def _prioritize(self, stream_id: int, priority: Priority) -> None:
        """Gives the DATA of a stream another place."""

    def _linger(self, stream_id: int) -> None:
        """The application has closed a stream whose peer has not ended its side."""
