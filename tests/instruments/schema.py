"""Reads a trace, and holds each record against what docs/tracing.md says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Kinds: TypeAlias = tuple[type, ...]
Fields: TypeAlias = dict[str, Kinds]

TEXT: Kinds = (str,)
NUMBER: Kinds = (int, float)
FLAG: Kinds = (bool,)
LIST: Kinds = (list,)
RECORD: Kinds = (dict,)
MAYBE_TEXT: Kinds = (str, type(None))
LOCAL, REMOTE, LIBRARY = "local", "remote", "library"

_STALL: Fields = {"stream_id": NUMBER, "side": TEXT, "limit": TEXT, "since": NUMBER}
EVENTS: dict[str, tuple[Fields, Fields]] = {
    # name: (fields that must be there, fields that may be)
    "session_started": (
        {"role": TEXT, "label": TEXT, "alpn": MAYBE_TEXT},
        {"peer": TEXT, "local": TEXT, "tls": RECORD},
    ),
    "session_ended": (
        {"reason": TEXT, "by": TEXT, "clean": FLAG, "streams": NUMBER, "bytes_sent": NUMBER, "bytes_received": NUMBER},
        {"error_code": TEXT},
    ),
    "stream_opened": (
        {"stream_id": NUMBER, "by": TEXT, "kind": TEXT},
        {
            "method": TEXT,
            "scheme": TEXT,
            "authority": TEXT,
            "path": TEXT,
            "protocol": TEXT,
            "associated_stream_id": NUMBER,
        },
    ),
    "stream_closed": (
        {
            "stream_id": NUMBER,
            "how": TEXT,
            "by": TEXT,
            "bytes_sent": NUMBER,
            "bytes_received": NUMBER,
            "duration": NUMBER,
        },
        {"error_code": TEXT, "reason": TEXT, "status": NUMBER, "first_byte": NUMBER},
    ),
    "window_updated": ({"stream_id": NUMBER, "side": TEXT, "window": NUMBER, "cause": TEXT}, {}),
    "stalled": (_STALL, {"waiting": NUMBER}),
    "resumed": ({**_STALL, "duration": NUMBER}, {"waiting": NUMBER, "ended": FLAG}),
    "ping_acknowledged": ({"payload": TEXT, "by": TEXT, "round_trip": NUMBER}, {}),
    "head_received": (
        {"stream_id": NUMBER, "kind": TEXT, "headers": LIST},
        {"method": TEXT, "target": TEXT, "status": NUMBER},
    ),
    "head_sent": ({"stream_id": NUMBER, "kind": TEXT, "status": NUMBER, "headers": LIST}, {}),
    "data_received": ({"stream_id": NUMBER, "length": NUMBER}, {}),
    "data_sent": ({"stream_id": NUMBER, "length": NUMBER}, {}),
    "end_received": ({"stream_id": NUMBER, "trailers": LIST}, {}),
    "end_sent": ({"stream_id": NUMBER, "trailers": LIST}, {}),
}
_FRAMES: dict[str, tuple[Fields, Fields]] = {
    "DATA": ({"data_length": NUMBER}, {}),
    "HEADERS": (
        {},
        {
            "headers": LIST,
            "headers_error": TEXT,
            "kind": TEXT,
            "depends_on": NUMBER,
            "weight": NUMBER,
            "exclusive": FLAG,
        },
    ),
    "PUSH_PROMISE": ({"promised_stream_id": NUMBER}, {"headers": LIST, "headers_error": TEXT}),
    "CONTINUATION": ({}, {}),
    "RST_STREAM": ({"error_code": TEXT}, {}),
    "SETTINGS": ({"settings": LIST}, {}),
    "PING": ({"payload": TEXT}, {}),
    "GOAWAY": ({"last_stream_id": NUMBER, "error_code": TEXT, "debug_data": TEXT}, {}),
    "WINDOW_UPDATE": ({"increment": NUMBER}, {}),
    "PRIORITY": ({"depends_on": NUMBER, "weight": NUMBER, "exclusive": FLAG}, {}),
    "PRIORITY_UPDATE": ({"prioritized_stream_id": NUMBER, "priority": TEXT}, {}),
    "ALTSVC": ({"origin": TEXT, "value": TEXT}, {}),
    "ORIGIN": ({"origins": LIST}, {}),
}
_WORDS = {
    "role": {"client", "server"},
    "by": {LOCAL, REMOTE, LIBRARY},
    "how": {"complete", "reset", "session"},
    "side": {"send", "receive"},
    "limit": {"stream_window", "session_window", "transport", "peer_streams"},
    "cause": {"opened", "data", "window_update", "settings"},
    "kind": {"request", "push", "response", "informational", "trailers"},
}


@dataclass
class Event:
    """One record of a trace."""

    time: float
    name: str
    group: str
    data: dict[str, object]


def read(path: Path) -> tuple[dict[str, object], list[Event]]:
    """Returns header and events of a trace, each of which was checked."""
    raw = path.read_bytes()
    assert raw.startswith(b"\x1e")
    assert raw.endswith(b"\n")
    records: list[dict[str, object]] = [json.loads(record) for record in raw[1:].split(b"\x1e")]
    assert raw.count(b"\n") == len(records), "one line for each record"
    header, *rest = records
    _check_header(header)
    events = []
    started: set[str] = set()
    last = 0.0
    for record in rest:
        assert set(record) == {"time", "name", "group_id", "data"}
        time, name, group, data = (record[key] for key in ("time", "name", "group_id", "data"))
        assert isinstance(time, (int, float))
        assert isinstance(name, str)
        assert isinstance(group, str)
        assert isinstance(data, dict)
        assert time >= last - 0.002
        last = time
        if name.endswith(":session_started"):
            assert group not in started
            started.add(group)
        assert group in started
        _check_event(name, data)
        events.append(Event(time, name, group, data))
    return header, events


def _check_header(header: dict[str, object]) -> None:
    assert header["file_schema"] == "urn:ietf:params:qlog:file:sequential"
    assert header["serialization_format"] == "application/qlog+json-seq"
    assert set(header) <= {"file_schema", "serialization_format", "title", "trace"}
    trace = header["trace"]
    assert isinstance(trace, dict)
    assert set(trace) == {"vantage_point", "common_fields", "event_schemas"}
    assert trace["vantage_point"]["type"] in ("client", "server", "unknown")
    assert trace["common_fields"]["time_format"] == "relative_to_epoch"
    assert set(trace["common_fields"]["reference_time"]) == {"clock_type", "epoch", "wall_clock_time"}


def _check_event(name: str, data: dict[str, object]) -> None:
    category, _, kind = name.partition(":")
    assert category in ("http2", "http1")
    if kind in ("frame_sent", "frame_received"):
        assert category == "http2"
        required: Fields = {"frame_type": TEXT, "stream_id": NUMBER, "length": NUMBER, "flags": LIST}
        frame_type = data["frame_type"]
        assert isinstance(frame_type, str)
        own, optional = _FRAMES.get(frame_type, ({}, {}))
        required |= own
        if frame_type == "HEADERS":
            assert ("headers" in data) != ("headers_error" in data)
    else:
        required, optional = EVENTS[kind]
    assert set(required) <= set(data) <= {*required, *optional}, (name, data)
    for key, value in data.items():
        kinds = {**required, **optional}[key]
        assert isinstance(value, kinds), (name, key, value)
        if key in _WORDS and kind != "session_ended":
            assert value in _WORDS[key], (name, key, value)
    for key in ("headers", "trailers"):
        fields = data.get(key, [])
        assert isinstance(fields, list)
        for field in fields:
            assert len({"value", "value_bytes", "redacted"} & set(field)) == 1
            assert set(field) <= {"name", "value", "value_bytes", "redacted", "never_indexed"}
