"""Traces as qlog (draft-ietf-quic-qlog-main-schema), in files of JSON text sequences (RFC 7464)."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import trio

from trio_h2 import Instrument, Role, SettingCode, __version__, code_name

from ._redaction import SECRET_FIELDS, Redaction

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from trio_h2 import Headers

    from .._trace._seen import (
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

logger = logging.getLogger("trio_h2.instruments")

SCHEMAS: Final = ("urn:trio-h2:qlog:http2-1", "urn:trio-h2:qlog:http1-1")
"""What the events of a trace are; ``docs/tracing.md`` says it."""
_RECORD_SEPARATOR: Final = b"\x1e"


class QlogTrace(Instrument):
    """Writes what happens on sessions into a file, which ``trio-h2 view`` shows.

    The file is for this program's sessions of both roles and versions, as many as there are; ``docs/tracing.md`` says
    what is in it. Bytes of bodies are not. It can be read at any time: each record is written whole, at once. If it
    cannot be written any more, on a full disk, say, that is logged, and the sessions go on without it.

    Use it in a ``with`` block, or `close` it.

    Args:
        path: the file, which is made anew, readable by its owner alone.
        title: what the trace shows.
        redact: header fields whose values are left out, or ``"all"``. Fields that must never be indexed (RFC 7541
            §7.1.3) are left out, too, unless this is empty. Nothing else is: a secret in a path is shown.

    Raises:
        OSError: the file cannot be made.
        ValueError: *redact* is another string.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        redact: Iterable[str] = SECRET_FIELDS,
    ) -> None:
        self._redaction = Redaction(redact)
        self._path = os.fspath(path)
        self._file: int | None = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._zero = time.monotonic()
        self._clock: object = None
        self._offset = 0.0
        self._groups: dict[SessionInfo, tuple[str, float]] = {}
        self._write(self._header(title))

    @property
    def path(self) -> str:
        """Where it is written."""
        return self._path

    def close(self) -> None:
        """Ends the trace; what happens from now on is not in it."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def __enter__(self) -> QlogTrace:
        """Returns the trace."""
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def _header(self, title: str | None) -> dict[str, object]:
        zero = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        reference = {"clock_type": "monotonic", "epoch": "unknown", "wall_clock_time": zero}
        return {
            "file_schema": "urn:ietf:params:qlog:file:sequential",
            "serialization_format": "application/qlog+json-seq",
            **({} if title is None else {"title": title}),
            "trace": {
                "vantage_point": {"type": "unknown", "name": f"trio_h2 {__version__}"},
                "common_fields": {"time_format": "relative_to_epoch", "reference_time": reference},
                "event_schemas": list(SCHEMAS),
            },
        }

    # -- records ---------------------------------------------------------------------------------------------------

    def _event(self, session: SessionInfo, name: str, now: float, data: dict[str, object]) -> None:
        group = self._groups.get(session)
        if group is None:  # it began before this trace did
            group = self._new_group(session, now)
        category = "http2" if session.http_version == "2" else "http1"
        millis = round((now + group[1]) * 1000, 3)
        self._write({"time": millis, "name": f"{category}:{name}", "group_id": group[0], "data": data})

    def _new_group(self, session: SessionInfo, now: float) -> tuple[str, float]:
        clock: object = trio.lowlevel.current_clock()
        if clock is not self._clock:  # another run of Trio, whose times begin anywhere
            self._clock = clock
            self._offset = time.monotonic() - self._zero - now
        group = f"{'c' if session.role is Role.CLIENT else 's'}{session.number}", self._offset
        self._groups[session] = group
        return group

    def _write(self, record: dict[str, object]) -> None:
        text = json.dumps(record, separators=(",", ":"))
        data = memoryview(b"%b%b\n" % (_RECORD_SEPARATOR, text.encode("ascii")))
        with self._lock:
            try:
                while data and self._file is not None:
                    data = data[os.write(self._file, data) :]
            except OSError as exc:
                file, self._file = self._file, None
                assert file is not None
                os.close(file)
                logger.error("the trace %s ends here, for it cannot be written: %s", self._path, exc.strerror or exc)

    def _fields(self, headers: Headers | None) -> list[dict[str, object]]:
        if headers is None:
            return []
        return [_field(*field) for field in self._redaction.fields(headers)]

    # -- sessions --------------------------------------------------------------------------------------------------

    def session_started(self, session: SessionInfo, now: float) -> None:
        """Writes it down, as all that follows."""
        data: dict[str, object] = {"role": session.role.value, "label": session.label, "alpn": session.alpn}
        for name, address in (("peer", session.peer), ("local", session.local)):
            if address is not None:
                data[name] = address
        if session.tls is not None:
            tls = session.tls
            data["tls"] = {"version": tls.version, "cipher": tls.cipher, "server_name": tls.server_name}
        self._event(session, "session_started", now, data)

    def session_ended(self, session: SessionInfo, end: SessionEnd, now: float) -> None:
        data: dict[str, object] = {"reason": end.reason, "by": end.by.value, "clean": end.clean}
        if end.error_code is not None:
            data["error_code"] = code_name(end.error_code)
        data |= {"streams": end.streams, "bytes_sent": end.bytes_sent, "bytes_received": end.bytes_received}
        self._event(session, "session_ended", now, data)
        self._groups.pop(session, None)

    # -- frames ----------------------------------------------------------------------------------------------------

    def frame_sent(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._event(session, "frame_sent", now, self._frame(frame))

    def frame_received(self, session: SessionInfo, frame: Frame, now: float) -> None:
        self._event(session, "frame_received", now, self._frame(frame))

    def _frame(self, frame: Frame) -> dict[str, object]:
        data: dict[str, object] = {
            "frame_type": frame.type_name,
            "stream_id": frame.stream_id,
            "length": frame.length,
            "flags": frame.flag_names,
        }
        if frame.headers is not None:
            data["headers"] = self._fields(frame.headers)
        if frame.settings is not None:
            data["settings"] = [{"name": _setting_name(code), "value": value} for code, value in frame.settings]
        if frame.error_code is not None:
            data["error_code"] = code_name(frame.error_code)
        if frame.debug_data is not None:
            data["debug_data"] = frame.debug_data.decode("utf-8", "replace")
        if frame.ping is not None:
            data["payload"] = frame.ping.hex()
        if frame.dependency is not None:
            first = frame.dependency
            data |= {"depends_on": first.depends_on, "weight": first.weight, "exclusive": first.exclusive}
        if frame.type_name == "ALTSVC" and frame.text is not None:
            data |= {"origin": "".join(frame.origins or ()), "value": frame.text}
        elif frame.origins is not None:
            data["origins"] = list(frame.origins)
        elif frame.text is not None:
            data["priority"] = frame.text
        others: dict[str, object] = {
            "data_length": frame.data_length,
            "kind": frame.message,
            "headers_error": frame.headers_error,
            "promised_stream_id": frame.promised_stream_id,
            "last_stream_id": frame.last_stream_id,
            "increment": frame.increment,
            "prioritized_stream_id": frame.prioritized_stream_id,
        }
        data |= {name: value for name, value in others.items() if value is not None}
        return data

    def part_sent(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._event(session, f"{part.part}_sent", now, self._part(part))

    def part_received(self, session: SessionInfo, part: MessagePart, now: float) -> None:
        self._event(session, f"{part.part}_received", now, self._part(part))

    def _part(self, part: MessagePart) -> dict[str, object]:
        data: dict[str, object] = {"stream_id": part.stream_id}
        if part.part == "data":
            return data | {"length": part.length}
        if part.part == "end":
            return data | {"trailers": self._fields(part.headers)}
        target = part.target if part.target is None or not self._redaction.hides(":path") else None
        shown = {"kind": part.message, "method": part.method, "target": target, "status": part.status}
        data |= {name: value for name, value in shown.items() if value is not None}
        return data | {"headers": self._fields(part.headers)}

    # -- streams ---------------------------------------------------------------------------------------------------

    def stream_opened(self, session: SessionInfo, stream: StreamInfo, now: float) -> None:
        data: dict[str, object] = {
            "stream_id": stream.stream_id,
            "by": stream.by.value,
            "kind": "push" if stream.pushed else "request",
        }
        if stream.associated_stream_id is not None:
            data["associated_stream_id"] = stream.associated_stream_id
        for name in ("method", "scheme", "authority", "path", "protocol"):
            value = None if stream.headers is None else stream.headers.first(f":{name}".encode("ascii"))
            if value is not None and not self._redaction.hides(f":{name}"):
                data[name] = value
        self._event(session, "stream_opened", now, data)

    def stream_closed(self, session: SessionInfo, stream: StreamInfo, end: StreamEnd, now: float) -> None:
        data: dict[str, object] = {"stream_id": stream.stream_id, "how": end.how, "by": end.by.value}
        if end.error_code is not None:
            data["error_code"] = code_name(end.error_code)
        for name, value in (("reason", end.reason), ("status", end.status)):
            if value is not None:
                data[name] = value
        data |= {"bytes_sent": end.bytes_sent, "bytes_received": end.bytes_received, "duration": _ms(end.duration)}
        if end.first_byte is not None:
            data["first_byte"] = _ms(end.first_byte)
        self._event(session, "stream_closed", now, data)

    # -- windows, stalls, pings ------------------------------------------------------------------------------------

    def window_updated(self, session: SessionInfo, window: Window, now: float) -> None:
        data: dict[str, object] = {
            "stream_id": window.stream_id,
            "side": window.side,
            "window": window.size,
            "cause": window.cause,
        }
        self._event(session, "window_updated", now, data)

    def stalled(self, session: SessionInfo, stall: Stall, now: float) -> None:
        self._event(session, "stalled", now, self._stall(session, stall))

    def resumed(self, session: SessionInfo, stall: Stall, now: float) -> None:
        data = self._stall(session, stall)
        if stall.duration is not None:
            data["duration"] = _ms(stall.duration)
        if stall.ended:
            data["ended"] = True
        self._event(session, "resumed", now, data)

    def _stall(self, session: SessionInfo, stall: Stall) -> dict[str, object]:
        group = self._groups.get(session)
        since = stall.since + (0.0 if group is None else group[1])
        data: dict[str, object] = {"stream_id": stall.stream_id, "side": stall.side, "limit": stall.limit}
        data["since"] = _ms(since)
        if stall.waiting is not None:
            data["waiting"] = stall.waiting
        return data

    def ping_answered(self, session: SessionInfo, ping: PingAnswer, now: float) -> None:
        data: dict[str, object] = {
            "payload": ping.payload.hex(),
            "by": ping.by.value,
            "round_trip": _ms(ping.round_trip),
        }
        self._event(session, "ping_acknowledged", now, data)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _field(name: str, value: bytes, hidden: bool, never: bool) -> dict[str, object]:
    data: dict[str, object] = {"name": name}
    if hidden:
        data["redacted"] = len(value)
    else:
        try:
            data["value"] = value.decode("utf-8")
        except UnicodeDecodeError:
            data["value_bytes"] = value.hex()
    if never:
        data["never_indexed"] = True
    return data


def _setting_name(code: int) -> str:
    try:
        return SettingCode(code).name
    except ValueError:
        return hex(code)
