"""An instrument that writes down what it is told, in a short form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_h2 import Instrument

if TYPE_CHECKING:
    from trio_h2.instruments import (
        Frame,
        MessagePart,
        OutgoingRequest,
        PingAnswer,
        SessionEnd,
        SessionInfo,
        Stall,
        StreamEnd,
        StreamInfo,
        Window,
    )


class Recorder(Instrument):
    """Keeps all it is told, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.times: list[float] = []
        self.sessions: list[SessionInfo] = []
        self.session_ends: list[SessionEnd] = []
        self.sent: list[Frame] = []
        self.received: list[Frame] = []
        self.parts_sent: list[MessagePart] = []
        self.parts_received: list[MessagePart] = []
        self.opened: list[StreamInfo] = []
        self.closed: list[tuple[StreamInfo, StreamEnd]] = []
        self.windows: list[Window] = []
        self.stalls: list[Stall] = []
        self.resumes: list[Stall] = []
        self.pings: list[PingAnswer] = []
        self.requests: list[OutgoingRequest] = []
        self.failures: list[BaseException] = []

    def _told(self, session: SessionInfo, name: str, now: float) -> None:
        assert session is self.sessions[-1]
        self.names.append(name)
        assert not self.times or now >= self.times[-1]
        self.times.append(now)

    def session_started(self, session: SessionInfo, now: float) -> None:
        self.sessions.append(session)
        self._told(session, "session_started", now)

    def session_ended(self, session: SessionInfo, end: SessionEnd, now: float) -> None:
        self._told(session, "session_ended", now)
        self.session_ends.append(end)

    def frame_sent(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._told(session, f"sent {frame.type_name}", now)
        self.sent.append(frame)

    def frame_received(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._told(session, f"received {frame.type_name}", now)
        self.received.append(frame)

    def part_sent(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._told(session, f"sent {part.part}", now)
        self.parts_sent.append(part)

    def part_received(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._told(session, f"received {part.part}", now)
        self.parts_received.append(part)

    def stream_opened(self, session: SessionInfo, stream: StreamInfo, now: float) -> None:
        self._told(session, "stream_opened", now)
        self.opened.append(stream)

    def stream_closed(self, session: SessionInfo, stream: StreamInfo, end: StreamEnd, now: float) -> None:
        self._told(session, "stream_closed", now)
        self.closed.append((stream, end))

    def window_updated(self, session: SessionInfo, window: Window, now: float) -> None:
        self._told(session, "window_updated", now)
        self.windows.append(window)

    def stalled(self, session: SessionInfo, stall: Stall, now: float) -> None:
        self._told(session, "stalled", now)
        self.stalls.append(stall)

    def resumed(self, session: SessionInfo, stall: Stall, now: float) -> None:
        self._told(session, "resumed", now)
        self.resumes.append(stall)

    def ping_answered(self, session: SessionInfo, ping: PingAnswer, now: float) -> None:
        self._told(session, "ping_answered", now)
        self.pings.append(ping)

    def request_begun(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        self._told(session, "request_begun", now)
        self.requests.append(request)

    def request_sent(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        self._told(session, "request_sent", now)

    def request_failed(self, session: SessionInfo, request: OutgoingRequest, error: BaseException, now: float) -> None:
        self._told(session, "request_failed", now)
        self.failures.append(error)

    # -- questions of tests ----------------------------------------------------------------------------------------

    def window_of(self, stream_id: int, side: str) -> list[tuple[int, str]]:
        """Returns how a window went."""
        return [(one.size, one.cause) for one in self.windows if one.stream_id == stream_id and one.side == side]

    def frames(self, type_name: str, *, sent: bool) -> list[Frame]:
        """Returns the frames of one type."""
        return [frame for frame in (self.sent if sent else self.received) if frame.type_name == type_name]
