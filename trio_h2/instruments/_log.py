"""What happens on sessions, in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from trio_h2 import Instrument, code_name

if TYPE_CHECKING:
    from .._trace._seen import Frame, MessagePart, PingAnswer, SessionEnd, SessionInfo, Stall, StreamEnd, StreamInfo


class LogInstrument(Instrument):
    """Writes sessions, streams, stalls and pings to `logging`, one line each; on request frames, too.

    Header fields are not in it, but for method, path and status.

    Args:
        logger: where to; ``logging.getLogger("trio_h2.instruments")`` by default.
        level: of its lines.
        frames: whether each frame gets a line (HTTP/1.1: each part of a message).
        slow: stalls of so many seconds or more are warnings when they are over; ``None``: none is.
    """

    def __init__(
        self,
        logger: logging.Logger | None = None,
        *,
        level: int = logging.DEBUG,
        frames: bool = False,
        slow: float | None = 1.0,
    ) -> None:
        self._logger = logging.getLogger("trio_h2.instruments") if logger is None else logger
        self._level = level
        self._frames = frames
        self._slow = slow

    def session_started(self, session: SessionInfo, now: float) -> None:
        tls = "" if session.tls is None else f" over {session.tls.version}"
        self._log("%s: session begun: HTTP/%s%s", session.label, session.http_version, tls)

    def session_ended(self, session: SessionInfo, end: SessionEnd, now: float) -> None:
        self._log(
            "%s: session ended after %d streams, %d bytes sent, %d received: %s",
            *(session.label, end.streams, end.bytes_sent, end.bytes_received, end.reason),
        )

    def frame_sent(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._frame(session, "sent", frame)

    def frame_received(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._frame(session, "received", frame)

    def part_sent(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._part(session, "sent", part)

    def part_received(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._part(session, "received", part)

    def stream_opened(self, session: SessionInfo, stream: StreamInfo, now: float) -> None:
        self._log("%s: stream %d opened: %s", session.label, stream.stream_id, _request(stream))

    def stream_closed(self, session: SessionInfo, stream: StreamInfo, end: StreamEnd, now: float) -> None:
        code = "" if end.error_code is None else f" with {code_name(end.error_code)}"
        self._log(
            "%s: stream %d %s%s (%s): %s, status %s, %d bytes sent, %d received, %.3f s",
            *(session.label, stream.stream_id, end.how, code, end.by.value, _request(stream)),
            *("-" if end.status is None else end.status, end.bytes_sent, end.bytes_received, end.duration),
        )

    def stalled(self, session: SessionInfo, stall: Stall, now: float) -> None:
        self._log("%s: stream %d stalls: %s, %s", session.label, stall.stream_id, stall.side, stall.limit)

    def resumed(self, session: SessionInfo, stall: Stall, now: float) -> None:
        seconds = 0.0 if stall.duration is None else stall.duration
        level = logging.WARNING if self._slow is not None and seconds >= self._slow else self._level
        what = "%s: stream %d was stalled for %.3f s: %s, %s"
        self._logger.log(level, what, session.label, stall.stream_id, seconds, stall.side, stall.limit)

    def ping_answered(self, session: SessionInfo, ping: PingAnswer, now: float) -> None:
        self._log("%s: PING (%s) answered after %.3f s", session.label, ping.by.value, ping.round_trip)

    def _frame(self, session: SessionInfo, verb: str, frame: Frame) -> None:
        if self._frames:
            self._log(
                "%s: %s %s on stream %d, %d bytes, %s",
                *(session.label, verb, frame.type_name, frame.stream_id, frame.length),
                " ".join(frame.flag_names) or "no flags",
            )

    def _part(self, session: SessionInfo, verb: str, part: MessagePart) -> None:
        if self._frames:
            what = part.part if part.message is None else f"{part.message} {part.part}"
            self._log("%s: %s %s of exchange %d, %d bytes", session.label, verb, what, part.stream_id, part.length)

    def _log(self, message: str, *arguments: object) -> None:
        self._logger.log(self._level, message, *arguments)


def _request(stream: StreamInfo) -> str:
    if stream.headers is None:
        return "?"
    method, path = stream.headers.first(b":method"), stream.headers.first(b":path")
    target = path or stream.headers.first(b":authority") or ""
    return f"{method} {target}".encode("ascii", "backslashreplace").decode("ascii")
