"""One session of a trace, of either HTTP version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._fields import Fields
from ._marks import Marks
from ._pings import ping_purpose
from ._senders import Senders
from ._stalls import Stalls
from ._stream_view import StreamView
from ._windows import Windows

if TYPE_CHECKING:
    from ._budget import Budget
    from ._heads import Heads
    from ._stream_view import Direction

_MAX_TEXT = 1000
_TRANSPORT = ("send", "transport")


class SessionView:
    """Sorts the events of a session. Times in it are microseconds since its first one.

    Args:
        name: what the trace calls it.
        start: the time of its first event, in milliseconds since the beginning of the trace.
        heads: where header sections are kept.
        budget: how much is kept.
    """

    def __init__(self, name: str, start: float, heads: Heads, budget: Budget) -> None:
        self._name = name
        self._start = start
        self._heads = heads
        self._budget = budget
        self._last = 0
        self._version: str | None = None
        self._about: dict[str, str] = {}
        self._ending: dict[str, object] | None = None
        self.streams: dict[int, StreamView] = {}
        self._unkept: set[int] = set()
        """Streams that found no room, as far as they are open."""
        self.left_out_streams = 0
        self.marks = Marks(budget)
        self._windows = Windows(budget)
        self._stalls = Stalls(budget)
        self._senders = Senders()

    def add(self, name: str, time: float, data: Fields) -> bool:
        """Takes an event; returns whether it is one that we know."""
        version, _, what = name.partition(":")
        at = max(0, round((time - self._start) * 1000))
        match version, what:
            case "http2", "frame_sent":
                self._frame(at, "sent", data)
            case "http2", "frame_received":
                self._frame(at, "received", data)
            case "http2", "window_updated":
                self._window(at, data)
            case "http2", "ping_acknowledged":
                self._pong(at, data)
            case "http1", "head_received" | "head_sent" | "data_received" | "data_sent" | "end_received" | "end_sent":
                self._message(at, what, data)
            case _, "session_started":
                self._started(data)
            case _, "session_ended":
                self._ended(at, data)
            case _, "stream_opened":
                if stream := self._stream(data.integer("stream_id"), at):
                    stream.opened(at, data)
            case _, "stream_closed":
                self._stream_closed(at, data)
            case _, "stalled" | "resumed":
                self._stalled(at, what, time, data)
            case _:
                return False
        self._last = max(self._last, at)
        self._version = self._version or {"http2": "HTTP/2", "http1": "HTTP/1.1"}.get(version)
        return True

    def over(self) -> None:
        """The trace is over."""
        self._transport_goes_on(self._last)
        self._stalls.end_all(self._last)
        for stream in self.streams.values():
            stream.over(self._last)

    def page_data(self) -> dict[str, object]:
        """Returns it for the page."""
        return {
            "name": self._name,
            "version": self._version,
            **self._about,
            "start": self._start,
            "length": self._last,
            "ending": self._ending,
            "streams": [stream.page_data() for stream in self.streams.values()],
            "left_out": self.left_out_streams,
            "windows": self._windows.page_data(),
            "stalls": self._stalls.page_data(),
            "marks": self.marks.page_data(),
        }

    def _started(self, data: Fields) -> None:
        tls = data.fields("tls")
        for name, text in (
            *((name, data.text(name)) for name in ("role", "label", "peer", "local", "alpn")),
            ("tls", " ".join(text for text in (tls.text("version"), tls.text("cipher")) if text) or None),
            ("server_name", tls.text("server_name")),
        ):
            if text is not None:
                self._about[name] = text[:_MAX_TEXT]

    def _ended(self, at: int, data: Fields) -> None:
        ending: dict[str, object] = {"at": at, "clean": data.flag("clean")}
        for name in ("reason", "by", "error_code"):
            if (text := data.text(name)) is not None:
                ending[name] = text[:_MAX_TEXT]
        for name in ("bytes_sent", "bytes_received"):
            if (number := data.integer(name)) is not None:
                ending[name] = number
        self._ending = ending

    def _stream(self, stream_id: int | None, at: int) -> StreamView | None:
        """Returns the view of a stream, a new one if need be; `None` if it finds no room."""
        if stream_id is None or stream_id <= 0:
            return None
        stream = self.streams.get(stream_id)
        if stream is None and stream_id not in self._unkept:
            if self._budget.streams <= 0:
                self._unkept.add(stream_id)
                self.left_out_streams += 1
                return None
            self._budget.streams -= 1
            stream = self.streams[stream_id] = StreamView(stream_id, at, self._budget)
        return stream

    def _stream_closed(self, at: int, data: Fields) -> None:
        stream_id = data.integer("stream_id")
        if stream_id is None:
            return
        self._unkept.discard(stream_id)
        if stream := self.streams.get(stream_id):
            stream.closed(at, data)

    def _window(self, at: int, data: Fields) -> None:
        stream_id, window = data.integer("stream_id"), data.integer("window")
        stream = self.streams.get(stream_id) if stream_id else None
        if window is None or (stream is None and stream_id != 0):
            return
        windows = self._windows if stream is None else stream.windows
        match data.text("side"):
            case "send":
                windows.changed("send", at, window)
            case "receive":
                windows.changed("receive", at, window)
            case _:
                pass

    def _stalled(self, at: int, what: str, time: float, data: Fields) -> None:
        stream_id, side, limit = data.integer("stream_id"), data.text("side"), data.text("limit")
        if side is None or limit is None or len(side) + len(limit) > _MAX_TEXT:
            return
        stream = self.streams.get(stream_id) if stream_id else None
        if stream is None and stream_id:
            return
        stalls = self._stalls if stream is None else stream.stalls
        if what == "resumed":
            if stream is None and (side, limit) == _TRANSPORT:
                self._transport_goes_on(at)
            stalls.end(side, limit, at)
        else:
            # A write is known to stand still only some time after it has begun.
            since = data.number("since")
            stalls.begin(side, limit, at if since is None else max(0, round((min(since, time) - self._start) * 1000)))

    def _transport_goes_on(self, at: int) -> None:
        """The transport takes something again: until now it has held up the streams whose DATA it did not take."""
        if (since := self._stalls.since(*_TRANSPORT)) is not None:
            for stream in self._senders.held_up(since):
                stream.held_up(*_TRANSPORT, since, at)

    def _pong(self, at: int, data: Fields) -> None:
        round_trip = data.number("round_trip")
        after = "" if round_trip is None else f" after {round_trip:.3f} ms"
        purpose = ping_purpose(data.text("payload"))
        after += f" ({purpose})" if purpose else ""
        if data.text("by") == "remote":
            self.marks.add(at, "ping", f"PING of the peer answered{after}")
        else:
            self.marks.add(at, "ping", f"our PING was answered{after}")

    def _frame(self, at: int, direction: Direction, data: Fields) -> None:
        stream_id = data.integer("stream_id") or 0
        kind = data.text("frame_type")
        flags = data.each("flags")
        stream = self.streams.get(stream_id)
        match kind:
            case "DATA":
                if stream is not None:
                    size = data.integer("data_length")
                    if direction == "sent":
                        self._senders.sent(stream, at)
                    stream.body(at, direction, (data.integer("length") or 0) if size is None else size)
            case "HEADERS":
                stream = self._headers(at, direction, stream_id, data)
            case "PUSH_PROMISE":
                fields = data.each("headers")
                promised = self._stream(data.integer("promised_stream_id"), at)
                if promised is not None:
                    promised.promised(direction, stream_id, self._head(data), fields)
                if stream is not None:
                    stream.marks.add(
                        at, "push", f"PUSH_PROMISE {direction}: stream {data.integer('promised_stream_id')}"
                    )
            case "RST_STREAM":
                marks = self.marks if stream is None else stream.marks
                of = f" for stream {stream_id}" if stream is None else ""
                marks.add(at, "reset", f"RST_STREAM {direction}{of}: {data.text('error_code')}")
            case "GOAWAY":
                self.marks.add(at, "goaway", _goaway(direction, data))
            case "PING":
                if "ACK" not in flags:
                    payload = data.text("payload")
                    text = ping_purpose(payload) or payload
                    self.marks.add(at, "ping", f"PING {direction}" + (f": {text}" if text else ""))
            case "SETTINGS":
                self.marks.add(at, "settings", _settings(direction, data))
            case "PRIORITY_UPDATE" | "PRIORITY":
                self._priority(at, kind, direction, data)
            case "ALTSVC" | "ORIGIN":
                words = [data.text("origin"), data.text("value"), *data.each("origins")]
                text = ", ".join(word for word in words if isinstance(word, str))
                self.marks.add(at, "other", f"{kind} {direction}" + (f": {text}" if text else ""))
            case _:
                pass  # windows have events of their own; what we do not know is not shown
        if "END_STREAM" in flags and stream is not None:
            stream.side_ended(at, direction)

    def _headers(self, at: int, direction: Direction, stream_id: int, data: Fields) -> StreamView | None:
        stream = self._stream(stream_id, at)
        if stream is None:
            return None
        fields = data.each("headers")
        match data.text("kind"):
            case "request":
                stream.requested(direction, self._head(data), fields)
            case "informational":
                stream.informed(at, fields)
            case "response":
                stream.responded(at, self._head(data), fields)
            case "trailers":
                stream.trailed(at, direction, self._head(data))
            case _:
                stream.marks.add(at, "headers", f"HEADERS {direction}")
        if (error := data.text("headers_error")) is not None:
            stream.marks.add(at, "reset", f"HEADERS {direction} that cannot be decoded: {error}")
        return stream

    def _priority(self, at: int, kind: str, direction: Direction, data: Fields) -> None:
        of = data.integer("prioritized_stream_id" if kind == "PRIORITY_UPDATE" else "stream_id")
        if kind == "PRIORITY_UPDATE":
            text = data.text("priority")
        else:
            text = f"weight {data.integer('weight')}, depends on {data.integer('depends_on')}"
        text = f"{kind} {direction}" + (f": {text}" if text else "")
        stream = self.streams.get(of or 0)
        if stream is None:
            self.marks.add(at, "priority", f"{text}, for stream {of}")
        else:
            stream.marks.add(at, "priority", text)

    def _message(self, at: int, what: str, data: Fields) -> None:
        """HTTP/1.1: a head, a piece of a body, or an end."""
        stream = self._stream(data.integer("stream_id"), at)
        if stream is None:
            return
        part, _, done = what.partition("_")
        direction: Direction = "sent" if done == "sent" else "received"
        if part == "data":
            if direction == "sent":
                self._senders.sent(stream, at)
            stream.body(at, direction, data.integer("length") or 0)
        elif part == "end":
            if data.each("trailers"):
                stream.trailed(at, direction, self._heads.add(data.each("trailers")))
            stream.side_ended(at, direction)
        elif data.has("method") or data.has("target"):
            stream.requested(direction, self._head(data), _request_line(data))
        elif data.text("kind") == "informational":
            stream.informed(at, [], data.integer("status"))
        else:
            stream.responded(at, self._head(data), [], data.integer("status"))

    def _head(self, data: Fields) -> int | None:
        return self._heads.add(data.each("headers")) if data.has("headers") else None


def _request_line(data: Fields) -> list[object]:
    return [
        {"name": ":method", "value": data.text("method")},
        {"name": ":path", "value": data.text("target")},
        *({"name": ":authority", "value": host} for host in _host(data)),
    ]


def _host(data: Fields) -> list[str]:
    fields = [Fields(field) for field in data.each("headers")]
    return [value for field in fields if field.text("name") == "host" and (value := field.text("value")) is not None]


def _goaway(direction: Direction, data: Fields) -> str:
    text = f"GOAWAY {direction}: {data.text('error_code')}, last stream {data.integer('last_stream_id')}"
    debug_data = data.text("debug_data")
    return f"{text}, {debug_data}" if debug_data else text


def _settings(direction: Direction, data: Fields) -> str:
    if "ACK" in data.each("flags"):
        return f"SETTINGS acknowledgement {direction}"
    settings = [
        f"{setting.text('name')} = {setting.integer('value')}" for setting in map(Fields, data.each("settings"))
    ]
    return f"SETTINGS {direction}: {', '.join(settings) or 'none'}"
