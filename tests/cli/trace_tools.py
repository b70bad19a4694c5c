"""Traces for the tests of the viewer, written by hand in the format of `docs/tracing.md`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {
    "file_schema": "urn:ietf:params:qlog:file:sequential",
    "serialization_format": "application/qlog+json-seq",
    "title": "trio-h2 get https://example.test/",
    "trace": {
        "vantage_point": {"type": "client", "name": "trio_h2 0.1.0"},
        "common_fields": {
            "time_format": "relative_to_epoch",
            "reference_time": {"clock_type": "monotonic", "wall_clock_time": "2026-11-30T20:31:49.123Z"},
        },
        "event_schemas": ["urn:trio-h2:qlog:http2-1", "urn:trio-h2:qlog:http1-1"],
    },
}


class TraceText:
    """The text of a trace, made event by event.

    Args:
        header: the first record.
    """

    def __init__(self, header: object = HEADER) -> None:
        self._records = [header]

    def add(self, time: object, name: str, group: object = "c1", /, **data: object) -> None:
        """Adds an event."""
        self._records.append({"time": time, "name": name, "group_id": group, "data": data})

    def h2(self, time: float, name: str, /, **data: object) -> None:
        """Adds an event of the HTTP/2 session `c1`."""
        self.add(time, f"http2:{name}", **data)

    def encode(self) -> bytes:
        """Returns the bytes of the file."""
        return b"".join(b"\x1e" + json.dumps(record).encode() + b"\n" for record in self._records)

    def write(self, path: Path) -> Path:
        """Writes the file; returns its path."""
        path.write_bytes(self.encode())
        return path


def fields(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    """Returns header fields as a trace has them."""
    return [{"name": name, "value": value} for name, value in pairs]


def frame(
    trace: TraceText, time: float, direction: str, frame_type: str, stream_id: int, /, *flags: str, **data: object
) -> None:
    """Adds a frame."""
    common = {"frame_type": frame_type, "stream_id": stream_id, "length": data.get("data_length", 10), "flags": flags}
    trace.h2(time, f"frame_{direction}", **{**common, **data})


def slow_download() -> TraceText:
    """A client with three streams.

    Stream 1 answers after 20 ms and is complete; stream 3 is a download that its application does not read from 100 ms
    to 2100 ms; stream 5 is reset by the server. Then the server sends GOAWAY.
    """
    trace = TraceText()
    trace.h2(
        *(10.0, "session_started"),
        **{"role": "client", "label": "https://example.test", "peer": "192.0.2.7:443", "local": "198.51.100.2:50614"},
        alpn="h2",
        tls={"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "server_name": "example.test"},
    )
    frame(trace, 10.1, "sent", "SETTINGS", 0, settings=[{"name": "INITIAL_WINDOW_SIZE", "value": 65536}])
    trace.h2(10.1, "window_updated", stream_id=0, side="receive", window=1_000_000, cause="opened")
    trace.h2(10.1, "window_updated", stream_id=0, side="send", window=65535, cause="opened")
    frame(trace, 11.0, "received", "SETTINGS", 0, "ACK")
    _small(trace)
    _download(trace)
    _reset(trace)
    frame(trace, 2200.0, "sent", "PING", 0, payload="0123456789abcdef")
    trace.h2(2201.5, "ping_acknowledged", payload="0123456789abcdef", by="local", round_trip=1.5)
    frame(
        *(trace, 2210.0, "received", "GOAWAY", 0),
        **{"last_stream_id": 5, "error_code": "NO_ERROR", "debug_data": "going down for maintenance"},
    )
    trace.h2(
        *(2220.0, "session_ended"),
        **{"reason": "the peer said goodbye", "by": "remote", "clean": True, "error_code": "NO_ERROR"},
        **{"streams": 3, "bytes_sent": 700, "bytes_received": 132_000},
    )
    return trace


def _request(trace: TraceText, time: float, stream_id: int, path: str, *more: tuple[str, str]) -> None:
    pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", "example.test"), (":path", path)]
    trace.h2(
        *(time, "stream_opened"),
        **{"stream_id": stream_id, "by": "local", "kind": "request", "method": "GET", "scheme": "https"},
        **{"authority": "example.test", "path": path},
    )
    flags = ("END_STREAM", "END_HEADERS")
    frame(trace, time, "sent", "HEADERS", stream_id, *flags, kind="request", headers=fields(*pseudo, *more))
    trace.h2(time, "window_updated", stream_id=stream_id, side="receive", window=65536, cause="opened")


def _small(trace: TraceText) -> None:
    _request(trace, 20.0, 1, "/index.html?page=2", ("accept", "text/html"))
    frame(
        trace, 30.0, "received", "HEADERS", 1, "END_HEADERS", kind="informational", headers=fields((":status", "103"))
    )
    headers = fields((":status", "200"), ("content-length", "500"), ("server", "nginx"))
    frame(trace, 40.0, "received", "HEADERS", 1, "END_HEADERS", kind="response", headers=headers)
    frame(trace, 41.0, "received", "DATA", 1, data_length=200)
    frame(trace, 44.0, "received", "DATA", 1, "END_STREAM", data_length=300)
    trace.h2(
        *(44.0, "stream_closed"),
        **{"stream_id": 1, "how": "complete", "by": "remote", "status": 200, "bytes_sent": 0, "bytes_received": 500},
        **{"duration": 24.0, "first_byte": 20.0},
    )


def _download(trace: TraceText) -> None:
    _request(trace, 50.0, 3, "/big.iso", ("cookie", "session=abc"))
    headers = fields((":status", "200"), ("content-length", "131072"))
    frame(trace, 80.0, "received", "HEADERS", 3, "END_HEADERS", kind="response", headers=headers)
    window = 65536
    for number in range(4):
        time = 85.0 + 5 * number
        window -= 16384
        frame(trace, time, "received", "DATA", 3, data_length=16384)
        trace.h2(time, "window_updated", stream_id=3, side="receive", window=window, cause="data")
        trace.h2(time, "window_updated", stream_id=0, side="receive", window=1_000_000 - 65536 + window, cause="data")
    trace.h2(100.0, "stalled", stream_id=3, side="receive", limit="stream_window")
    frame(trace, 2100.0, "sent", "WINDOW_UPDATE", 3, increment=65536)
    trace.h2(2100.0, "resumed", stream_id=3, side="receive", limit="stream_window", duration=2000.0)
    trace.h2(2100.0, "window_updated", stream_id=3, side="receive", window=65536, cause="window_update")
    for number in range(4):
        frame(trace, 2110.0 + number, "received", "DATA", 3, *["END_STREAM"] * (number == 3), data_length=16384)
    trace.h2(
        *(2113.0, "stream_closed"),
        **{"stream_id": 3, "how": "complete", "by": "remote", "status": 200, "bytes_sent": 0, "bytes_received": 131072},
        **{"duration": 2063.0, "first_byte": 30.0},
    )


def _reset(trace: TraceText) -> None:
    _request(trace, 2150.0, 5, "/search?q=secret-query")
    frame(trace, 2180.0, "received", "RST_STREAM", 5, error_code="INTERNAL_ERROR")
    trace.h2(
        *(2180.0, "stream_closed"),
        **{"stream_id": 5, "how": "reset", "by": "remote", "error_code": "INTERNAL_ERROR", "bytes_sent": 0},
        **{"bytes_received": 0, "duration": 30.0},
    )
