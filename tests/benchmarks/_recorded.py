"""The frames that scripted peers send, made before measuring begins."""

from __future__ import annotations

import struct

import hpack
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME = 16_384
SETS = ("small", "browser-like", "every path different")
"""The kinds of header lists: few fields, many fields, and many fields of which one differs each time."""

DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4

_LITERAL_PATH = b"\x04"
"""RFC 7541 §6.2.2: a literal without indexing whose name is that of entry 4, `:path`."""
_LITERAL_ETAG = b"\x0f\x13"
"""The same for entry 34, `etag`."""
_HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)

_PSEUDO = [(":method", "GET"), (":scheme", "https"), (":authority", "www.example.com")]
_CHROME = [
    ("sec-ch-ua", '"Chromium";v="138", "Not.A/Brand";v="8", "Google Chrome";v="138"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    ),
    ("accept", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "no-cors"),
    ("sec-fetch-dest", "image"),
    ("referer", "https://www.example.com/catalogue/summer"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("cookie", "session=7f3a1c9e5b2d4860a1b2c3d4e5f60718"),
    ("cookie", "consent=all; theme=dark; seen=4"),
    ("priority", "u=2, i"),
]
_REST = {
    "small": [("user-agent", "benchmark")],
    "browser-like": _CHROME,
    "every path different": _CHROME,
}
_ANSWER = [
    (":status", "200"),
    ("content-type", "text/plain"),
    ("content-length", "13"),
    ("date", "Tue, 01 Jul 2025 12:00:00 GMT"),
]
_MORE_ANSWER = [
    ("server", "benchmark"),
    ("cache-control", "public, max-age=31536000, immutable"),
    ("last-modified", "Mon, 30 Jun 2025 08:15:00 GMT"),
    ("vary", "accept-encoding"),
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
]
BODY = b"hello, world\n"


def path(header_set: str, number: int) -> str:
    """Returns the path of request *number*."""
    return {"small": "/", "browser-like": "/images/summer/bicycle.webp"}.get(
        header_set, f"/items/{number}?page={number}"
    )


def sent_request(header_set: str) -> list[tuple[str, str]]:
    """Returns the fields that our own client sends, beyond method and path."""
    return _REST[header_set]


def sent_response(header_set: str, number: int) -> list[tuple[str, str]]:
    """Returns the fields of response *number* of our own server; it adds content-length and date itself."""
    fields = [(":status", "200"), ("content-type", "text/plain")]
    if header_set != "small":
        fields += _MORE_ANSWER
    if header_set == "every path different":
        fields.append(("etag", f'"{number:016x}"'))
    return fields


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Returns one frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream_id) + payload


def settings(**values: int) -> bytes:
    """Returns a SETTINGS frame."""
    codes = {"max_concurrent_streams": 3, "initial_window_size": 4}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", codes[name], value) for name, value in values.items()))


def window_update(stream_id: int, increment: int) -> bytes:
    """Returns a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream_id, struct.pack(">I", increment))


def wide_open(*, max_concurrent_streams: int | None = None) -> bytes:
    """Returns the SETTINGS and the WINDOW_UPDATE of a peer that never holds us back."""
    limits = {} if max_concurrent_streams is None else {"max_concurrent_streams": max_concurrent_streams}
    return settings(initial_window_size=2**31 - 1, **limits) + window_update(0, 2**31 - 1 - 65_535)


def requests(header_set: str, count: int, *, flags: int = END_STREAM | END_HEADERS, method: str = "GET") -> list[bytes]:
    """Returns the HEADERS frames of *count* requests on the streams 1, 3, 5 …"""
    encoder = hpack.Encoder()
    pseudo = [(":method", method), *_PSEUDO[1:]]
    rest = _REST[header_set]
    block = b""
    frames = []
    for number in range(count):
        if number < 2 or header_set == "every path different":  # the second block is the first without new entries
            block = encoder.encode(pseudo) + _path(path(header_set, number)) + encoder.encode(rest)
        frames.append(frame(HEADERS, flags, 2 * number + 1, block))
    return frames


def responses(header_set: str, count: int) -> list[bytes]:
    """Returns the blocks of *count* responses, in the order in which they must be sent."""
    encoder = hpack.Encoder()
    fields = _ANSWER if header_set == "small" else _ANSWER + _MORE_ANSWER
    blocks = []
    for number in range(count):
        if number < 2 or header_set == "every path different":
            block = encoder.encode(fields)
            if header_set == "every path different":
                block += _LITERAL_ETAG + _text(f'"{number:016x}"')
            blocks.append(block)
        else:
            blocks.append(blocks[-1])
    return blocks


def _path(text: str) -> bytes:
    return b"\x84" if text == "/" else _LITERAL_PATH + _text(text)


def _text(text: str) -> bytes:
    coded = _HUFFMAN.encode(text.encode())
    assert len(coded) < 127
    return bytes([0x80 | len(coded)]) + coded
