"""The interface of what looks at sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

# At run time, for `typing.get_type_hints`: the public module that they belong to may never be imported.
from ._outgoing import OutgoingRequest  # noqa: TC001
from ._seen import (  # noqa: TC001
    Frame,
    MessagePart,
    PingAnswer,
    SessionEnd,
    SessionInfo,
    Stall,
    StreamEnd,
    StreamInfo,
    Window,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from .._wire._headers import Headers


class Instrument:
    """Looks at sessions: what is in ``instruments`` of a configuration is told all that happens on its sessions.

    Override what you want to know; here the methods do nothing. They are called at once, by the tasks of the session,
    so they must be quick and cannot wait. One that raises is logged and not called again (`disabled`); the session goes
    on. Without instruments, nothing of this is done, and nothing is paid for.

    *now* is the time in seconds of Trio's clock (`trio.current_time`).
    """

    disabled = False
    """Whether it has raised, and is called no more."""

    # -- sessions, of both versions --------------------------------------------------------------------------------

    def session_started(self, session: SessionInfo, now: float) -> None:
        """A session has begun. Over TLS its handshake is done."""

    def session_ended(self, session: SessionInfo, end: SessionEnd, now: float) -> None:
        """A session has ended, and its transport is closed. It comes last."""

    # -- frames, and what stands for them over HTTP/1.1 ------------------------------------------------------------

    def frame_sent(self, session: SessionInfo, frame: Frame, now: float) -> None:
        """HTTP/2: a frame was given to the transport."""

    def frame_received(self, session: SessionInfo, frame: Frame, now: float) -> None:
        """HTTP/2: a frame came, right or wrong; nobody has judged it yet."""

    def part_sent(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        """HTTP/1.1: a part of a response was framed."""

    def part_received(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        """HTTP/1.1: a part of a request came."""

    # -- streams, of both versions ---------------------------------------------------------------------------------

    def stream_opened(self, session: SessionInfo, stream: StreamInfo, now: float) -> None:
        """A stream has opened on the wire, or was promised."""

    def stream_closed(self, session: SessionInfo, stream: StreamInfo, end: StreamEnd, now: float) -> None:
        """A stream has ended on the wire; each that was opened does so once."""

    # -- what makes them slow --------------------------------------------------------------------------------------

    def window_updated(self, session: SessionInfo, window: Window, now: float) -> None:
        """HTTP/2: a window has another size now."""

    def stalled(self, session: SessionInfo, stall: Stall, now: float) -> None:
        """A stream, or the session, cannot go on."""

    def resumed(self, session: SessionInfo, stall: Stall, now: float) -> None:
        """It can again, or is over; each stall ends so once."""

    def ping_answered(self, session: SessionInfo, ping: PingAnswer, now: float) -> None:
        """HTTP/2: a PING was answered, by either side."""

    # -- in tasks of the application -------------------------------------------------------------------------------

    def request_begun(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        """A client is about to send a request: the place to add fields to it. Runs in the task that asked for it."""

    def request_sent(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        """It has a stream now, of `OutgoingRequest.stream_id`; `stream_opened` follows when it is on the wire."""

    def request_failed(self, session: SessionInfo, request: OutgoingRequest, error: BaseException, now: float) -> None:
        """It was never sent: the peer takes no more, say, or the task was cancelled while it waited."""

    def handling(
        self, session: SessionInfo, stream_id: int, headers: Headers, now: float
    ) -> AbstractContextManager[object] | None:
        """Returns a block to run a server's handler in, if it wants one. What the handler raises passes through it."""
        return None
