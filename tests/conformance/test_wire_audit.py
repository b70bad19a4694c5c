"""The audit that follows every conformance test finds what it is there to find."""

from __future__ import annotations

import hpack
import pytest

from tests.conformance.wire_audit import PREFACE, audit
from trio_h2.testing import FrameFlag, FrameType, pack_frame

SETTINGS = pack_frame(FrameType.SETTINGS, 0, 0, b"")
REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
END = FrameFlag.END_STREAM


def _headers(stream_id: int, fields: list[tuple[str, str]], flags: int = 0) -> bytes:
    block = hpack.Encoder().encode(fields, huffman=False)
    # Without the table: every call has an encoder of its own.
    block = b"\x20" + block
    return pack_frame(FrameType.HEADERS, flags | FrameFlag.END_HEADERS, stream_id, block)


def _promise(stream_id: int, promised: int, fields: list[tuple[str, str]]) -> bytes:
    payload = promised.to_bytes(4, "big") + b"\x20" + hpack.Encoder().encode(fields, huffman=False)
    return pack_frame(FrameType.PUSH_PROMISE, FrameFlag.END_HEADERS, stream_id, payload)


def _client(*frames: bytes) -> list[str]:
    return audit(PREFACE + SETTINGS + b"".join(frames), client=True)


def _server(*frames: bytes) -> list[str]:
    return audit(SETTINGS + b"".join(frames), client=False)


def test_audit_accepts_what_is_right() -> None:
    assert _client() == _server() == []
    assert (
        _client(
            _headers(1, REQUEST),
            pack_frame(FrameType.DATA, FrameFlag.PADDED, 1, b"\x02data\x00\x00"),
            _headers(1, [("x-trailer", "yes")], END),
            pack_frame(FrameType.WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01"),
            pack_frame(FrameType.RST_STREAM, 0, 1, bytes(4)),
            _headers(3, [(":method", "CONNECT"), (":authority", "a:1")]),
            pack_frame(FrameType.GOAWAY, 0, 0, bytes(8)),
        )
        == []
    )
    assert (
        _server(
            _headers(1, [(":status", "103")]),
            _headers(1, [(":status", "200")]),
            pack_frame(FrameType.DATA, END, 1, b"data"),
            pack_frame(FrameType.GOAWAY, 0, 0, b"\x7f\xff\xff\xff" + bytes(4)),
            pack_frame(FrameType.GOAWAY, 0, 0, bytes(8)),
        )
        == []
    )
    pushes = _promise(1, 2, REQUEST) + _promise(1, 4, REQUEST) + _promise(1, 8, REQUEST)
    pushes += _headers(4, [(":status", "200")]) + pack_frame(FrameType.DATA, END, 4, b"data")
    assert _server(pushes, pack_frame(FrameType.RST_STREAM, 0, 2, bytes(4)), _headers(8, [(":status", "103")])) == []
    assert _client(_headers(1, REQUEST), pack_frame(FrameType.RST_STREAM, 0, 2, bytes(4))) == []


def test_audit_wants_the_preface_first() -> None:
    assert "§3.4" in audit(SETTINGS, client=True)[0]
    assert "§3.4" in audit(PREFACE + pack_frame(FrameType.PING, 0, 0, bytes(8)), client=True)[0]
    assert "§3.4" in audit(pack_frame(FrameType.SETTINGS, FrameFlag.ACK, 0, b""), client=False)[0]


WRONG_FRAMES = {
    "reserved-bit": ("§4.1", pack_frame(FrameType.PING, 0, 0x8000_0000, bytes(8))),
    "unused-flag": ("§4.1", pack_frame(FrameType.PING, 0x2, 0, bytes(8))),
    "unused-flags-of-goaway": ("§4.1", pack_frame(FrameType.GOAWAY, 0x1, 0, bytes(8))),
    "ping-length": ("§4.2", pack_frame(FrameType.PING, 0, 0, bytes(7))),
    "interrupted-block": (
        "§4.3",
        pack_frame(FrameType.HEADERS, 0, 1, b"") + pack_frame(FrameType.PING, 0, 0, bytes(8)),
    ),
    "data-after-end": ("§5.1", _headers(1, [(":status", "200")], END) + pack_frame(FrameType.DATA, END, 1, b"")),
    "credit-after-reset": (
        "§5.1",
        pack_frame(FrameType.RST_STREAM, 0, 1, bytes(4)) + pack_frame(FrameType.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
    ),
    "second-reset": ("§5.1", 2 * pack_frame(FrameType.RST_STREAM, 0, 1, bytes(4))),
    "data-on-connection": ("§6", pack_frame(FrameType.DATA, 0, 0, b"data")),
    "settings-on-stream": ("§6", pack_frame(FrameType.SETTINGS, 0, 1, b"")),
    "padding": ("§6.1", pack_frame(FrameType.DATA, FrameFlag.PADDED, 1, b"\x02data\x00\x01")),
    "settings-ack": ("§6.5", pack_frame(FrameType.SETTINGS, FrameFlag.ACK, 0, bytes(6))),
    "settings-length": ("§6.5", pack_frame(FrameType.SETTINGS, 0, 0, bytes(7))),
    "enable-push": ("§6.5.2", pack_frame(FrameType.SETTINGS, 0, 0, b"\x00\x02\x00\x00\x00\x01")),
    "window-size": ("§6.5.2", pack_frame(FrameType.SETTINGS, 0, 0, b"\x00\x04\x80\x00\x00\x00")),
    "frame-size": ("§6.5.2", pack_frame(FrameType.SETTINGS, 0, 0, b"\x00\x05\x00\x00\x00\x01")),
    "goaway-grows": (
        "§6.8",
        pack_frame(FrameType.GOAWAY, 0, 0, bytes(8)) + pack_frame(FrameType.GOAWAY, 0, 0, b"\0\0\0\1" + bytes(4)),
    ),
    "no-increment": ("§6.9", pack_frame(FrameType.WINDOW_UPDATE, 0, 0, bytes(4))),
    "continuation": ("§6.10", pack_frame(FrameType.CONTINUATION, FrameFlag.END_HEADERS, 1, b"")),
}


@pytest.mark.parametrize(("section", "frames"), WRONG_FRAMES.values(), ids=WRONG_FRAMES.keys())
def test_audit_finds_wrong_frames(section: str, frames: bytes) -> None:
    complaints = _server(frames)
    assert complaints
    assert complaints[0].startswith(section + ":")


WRONG_REQUESTS = {
    "name": ("§8.2.1", [*REQUEST, ("X-Upper", "case")]),
    "value": ("§8.2.1", [*REQUEST, ("x-name", "a\nb")]),
    "connection": ("§8.2.2", [*REQUEST, ("connection", "close")]),
    "te": ("§8.2.2", [*REQUEST, ("te", "gzip")]),
    "late-pseudo": ("§8.3", [*REQUEST[:3], ("x-name", "value"), REQUEST[3]]),
    "repeated": ("§8.3", [*REQUEST, REQUEST[0]]),
    "undefined": ("§8.3.1", [*REQUEST, (":version", "2")]),
    "status": ("§8.3.1", [*REQUEST, (":status", "200")]),
    "incomplete": ("§8.3.1", REQUEST[:3]),
    "empty": ("§8.3.1", [*REQUEST[:3], (":path", "")]),
    "host": ("§8.3.1", [*REQUEST, ("host", "b")]),
    "connect": ("§8.3.1", [(":method", "CONNECT"), *REQUEST[1:]]),
}


@pytest.mark.parametrize(("section", "fields"), WRONG_REQUESTS.values(), ids=WRONG_REQUESTS.keys())
def test_audit_finds_wrong_requests(section: str, fields: list[tuple[str, str]]) -> None:
    complaints = _client(_headers(1, fields, END))
    assert complaints
    assert complaints[0].startswith(section + ":")


@pytest.mark.parametrize("status", [None, "99", "101", "abc", "1000"])
def test_audit_finds_wrong_responses(status: str | None) -> None:
    fields = [("x-name", "value")] if status is None else [(":status", status)]
    assert any(text.startswith("§8.3.2:") for text in _server(_headers(1, fields)))


def test_audit_finds_wrong_sequences_of_headers() -> None:
    assert _server(_headers(1, [(":status", "103")], END))[0].startswith("§8.1:")
    assert _server(_headers(1, [(":status", "200")]), _headers(1, [(":status", "200")], END))[0].startswith("§8.1:")
    assert _client(_headers(1, REQUEST), _headers(1, [("x-trailer", "yes")]))[0].startswith("§8.1:")


def test_audit_finds_wrong_streams_of_a_client() -> None:
    assert _client(_headers(2, REQUEST, END))[0].startswith("§5.1.1:")
    assert _client(_headers(5, REQUEST, END), _headers(3, REQUEST, END))[0].startswith("§5.1.1:")
    assert _client(pack_frame(FrameType.RST_STREAM, 0, 1, bytes(4)))[0].startswith("§5.1:")
    assert _client(_headers(1, REQUEST), pack_frame(FrameType.PUSH_PROMISE, 4, 1, b"\0\0\0\2"))[0].startswith("§8.4:")


def test_audit_finds_wrong_pushes() -> None:
    promise = _promise(1, 2, REQUEST)
    assert _server(_promise(2, 4, REQUEST))[-1].startswith("§8.4.1:")
    assert _server(_promise(1, 3, REQUEST))[0].startswith("§6.6:")
    assert _server(promise, promise)[0].startswith("§6.6:")
    assert _server(_headers(1, [(":status", "200")], END), promise)[0].startswith("§5.1:")
    assert _server(promise, pack_frame(FrameType.DATA, 0, 2, b""))[0].startswith("§5.1:")
    assert _server(promise, pack_frame(FrameType.WINDOW_UPDATE, 0, 2, b"\0\0\0\1"))[0].startswith("§5.1:")
    assert _server(promise, _headers(4, [(":status", "200")], END))[0].startswith("§5.1:")
    assert _server(_promise(1, 2, [(":method", "POST"), *REQUEST[1:]]))[0].startswith("§8.4:")
    assert _server(_promise(1, 2, [*REQUEST, ("content-length", "1")]))[0].startswith("§8.4:")
    assert _server(_promise(1, 2, [*REQUEST[:2], REQUEST[3]]))[0].startswith("§8.4:")
    assert _server(_promise(1, 2, REQUEST[:3]))[0].startswith("§8.3.1:")
