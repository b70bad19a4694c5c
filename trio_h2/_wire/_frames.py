"""Frames as bytes (RFC 9113 §§4 and 6): the numbers of their types and flags, and the 9 bytes before each payload."""

from __future__ import annotations

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113 §3.4: what a client says before its first frame."""

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9
ALTSVC: Final = 0xA
"""RFC 7838 §4."""
ORIGIN: Final = 0xC
"""RFC 8336 §2."""
PRIORITY_UPDATE: Final = 0x10
"""RFC 9218 §7.1."""

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20
"""The flag PRIORITY of HEADERS."""

HEADER_SIZE: Final = 9
STREAM_MASK: Final = 0x7FFF_FFFF
"""RFC 9113 §4.1: the bit before a stream identifier is reserved, and "MUST be ignored when receiving"."""
HIGHEST_STREAM_ID: Final = 2**31 - 1

# The length has 24 bits, for which `struct` has no code: 16 and 8.
_HEADER: Final = struct.Struct(">HBBBL")
pack_header = _HEADER.pack
"""Takes length >> 8, length & 0xFF, type, flags and stream id."""
unpack_header = _HEADER.unpack_from
"""Returns the same; the reserved bit is still in the stream id."""
unpack_settings = struct.Struct(">HL").iter_unpack


def frame_bytes(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Returns one frame (RFC 9113 §4.1)."""
    length = len(payload)
    return pack_header(length >> 8, length & 0xFF, kind, flags, stream_id) + payload
