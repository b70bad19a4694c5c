"""Frames as text, in the manner of nghttp."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from trio_h2 import Instrument, SettingCode, code_name

from ._redaction import SECRET_FIELDS, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from trio_h2 import Headers

    from .._trace._seen import Frame, MessagePart, SessionEnd, SessionInfo, Stall, StreamEnd, StreamInfo

_INDENT = " " * 10
_OPENING = {"request": "Open new stream", "response": "First response header", "informational": "Interim response"}


class FrameDump(Instrument):
    """Writes each frame as text, in the manner of nghttp, with the seconds since the first one.

    It is what ``trio-h2 get -v`` prints. Of HTTP/1.1, it shows the parts of messages.

    Args:
        write: takes a text of one or more lines, each of which ends with a newline; stderr by default.
        redact: header fields whose values are left out, or ``"all"``, as for `QlogTrace`.

    Raises:
        ValueError: *redact* is another string.
    """

    def __init__(self, write: Callable[[str], object] | None = None, *, redact: Iterable[str] = SECRET_FIELDS) -> None:
        self._write = write
        self._redaction = Redaction(redact)
        self._zero: float | None = None
        self._session: SessionInfo | None = None

    def _say(self, session: SessionInfo, now: float, what: str, details: Iterable[str] = ()) -> None:
        if self._zero is None:
            self._zero = now
        lines = []
        if session is not self._session:
            if self._session is not None:  # with one session, there is nothing to tell apart
                lines.append(f"session {session.number} ({session.label}):")
            self._session = session
        lines.append(f"[{now - self._zero:7.3f}] {what}")
        lines += [f"{_INDENT}{detail}" for detail in details]
        text = "".join(f"{_printable(line)}\n" for line in lines)
        if self._write is not None:
            self._write(text)
        elif sys.stderr is not None:
            sys.stderr.write(text)

    def session_started(self, session: SessionInfo, now: float) -> None:
        known = [session.peer, session.tls.version if session.tls is not None else None, session.alpn]
        told = ", ".join(one for one in known if one is not None)
        self._say(session, now, f"Connected: {session.label} ({told})")

    def session_ended(self, session: SessionInfo, end: SessionEnd, now: float) -> None:
        self._say(session, now, f"Closed: {end.reason}")

    def frame_sent(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._frame(session, "send", frame, now)

    def frame_received(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._frame(session, "recv", frame, now)

    def part_sent(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._part(session, "send", part, now)

    def part_received(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._part(session, "recv", part, now)

    def stream_closed(self, session: SessionInfo, stream: StreamInfo, end: StreamEnd, now: float) -> None:
        if end.how != "complete":
            why = end.reason or ("" if end.error_code is None else code_name(end.error_code))
            self._say(session, now, f"stream {stream.stream_id} was cut ({end.by.value}): {why}")

    def stalled(self, session: SessionInfo, stall: Stall, now: float) -> None:
        self._say(session, now, f"stalled <{stall.side} {stall.limit}, stream_id={stall.stream_id}>")

    def resumed(self, session: SessionInfo, stall: Stall, now: float) -> None:
        seconds = 0.0 if stall.duration is None else stall.duration
        what = f"resumed <{stall.side} {stall.limit}, stream_id={stall.stream_id}> after {seconds:.3f} s"
        self._say(session, now, what)

    def _frame(self, session: SessionInfo, verb: str, frame: Frame, now: float) -> None:
        head = f"<length={frame.length}, flags=0x{frame.flags:02x}, stream_id={frame.stream_id}>"
        self._say(session, now, f"{verb} {frame.type_name} frame {head}", self._details(frame))

    def _details(self, frame: Frame) -> Iterator[str]:
        if frame.flags:
            yield f"; {' | '.join(frame.flag_names)}"
        if frame.settings:
            yield f"(niv={len(frame.settings)})"
            for code, value in frame.settings:
                yield f"[{_setting(code)}(0x{code:02x}):{value}]"
        if frame.dependency is not None:
            first = frame.dependency
            yield f"(dep_stream_id={first.depends_on}, weight={first.weight}, exclusive={int(first.exclusive)})"
        if frame.increment is not None:
            yield f"(window_size_increment={frame.increment})"
        if frame.ping is not None:
            yield f"(opaque_data={frame.ping.hex()})"
        if frame.promised_stream_id is not None:
            yield f"(promised_stream_id={frame.promised_stream_id})"
        if frame.debug_data is not None:
            error = f"error_code={_code(frame.error_code)}"
            data = frame.debug_data.decode("utf-8", "backslashreplace")
            yield f"(last_stream_id={frame.last_stream_id}, {error}, opaque_data({len(frame.debug_data)})=[{data}])"
        elif frame.error_code is not None:
            yield f"(error_code={_code(frame.error_code)})"
        if frame.prioritized_stream_id is not None:
            yield f"(prioritized_stream_id={frame.prioritized_stream_id}, priority_field_value=[{frame.text}])"
        elif frame.text is not None or frame.origins is not None:
            yield f"([{', '.join(frame.origins or ())}], [{frame.text or ''}])"
        if frame.message is not None and frame.message in _OPENING:
            yield f"; {_OPENING[frame.message]}"
        if frame.headers_error is not None:
            yield f"; the fields cannot be read: {frame.headers_error}"
        yield from self._fields(frame.headers)

    def _part(self, session: SessionInfo, verb: str, part: MessagePart, now: float) -> None:
        if part.part == "data":
            self._say(session, now, f"{verb} data <length={part.length}, exchange={part.stream_id}>")
            return
        what = "end" if part.part == "end" else str(part.message)
        first = [f"{part.method} {part.target}"] if part.method is not None else []
        if part.status is not None:
            first = [f"{part.status}"]
        self._say(session, now, f"{verb} {what} <exchange={part.stream_id}>", [*first, *self._fields(part.headers)])

    def _fields(self, headers: Headers | None) -> Iterator[str]:
        if headers is not None:
            for name, value, hidden, _ in self._redaction.fields(headers):
                shown = f"<{len(value)} bytes, left out>" if hidden else value.decode("utf-8", "backslashreplace")
                yield f"{name}: {shown}"


def _setting(code: int) -> str:
    try:
        return f"SETTINGS_{SettingCode(code).name}"
    except ValueError:
        return "UNKNOWN"


def _code(code: int | None) -> str:
    return "?" if code is None else f"{code_name(code)}(0x{code:02x})"


def _printable(line: str) -> str:
    """A peer must not move the cursor of a terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in line)
