"""Cuts the received bytes into frames, refusing what is wrong from the 9-byte header on (RFC 9113 §4).

What is judged here is the shape of frames: sizes, stream ids that a type must or must not have, padding, and that field
blocks are contiguous. What a frame means is the business of the receiver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._codes import ErrorCode
from ._extframes import Dependency
from ._failure import Cause, SessionFaultError
from ._frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HAS_PRIORITY,
    HEADER_SIZE,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_MASK,
    WINDOW_UPDATE,
    unpack_header,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEED_STREAM: Final = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_FORBID_STREAM: Final = frozenset({SETTINGS, PING, GOAWAY})
_FIELD_BLOCK: Final = frozenset({HEADERS, PUSH_PROMISE, CONTINUATION})
_EXACT_LENGTH: Final = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_HTTP1: Final = b"HTTP/"
_ALERTS: Final = frozenset(bytes((21, 3, minor, 0, 2)) for minor in range(5))
"""RFC 8446 §5.1: how the record of an alert begins, whatever the version; it has two bytes (§6). As a frame it would be
larger than a megabyte, and no SETTINGS."""

MAX_BLOCK_FRAMES = 64
"""Frames of one field block; CONTINUATION has no limit of its own (RFC 9113 §6.10, CVE-2024-27316)."""
MAX_BLOCK_SIZE = 256 * 1024
"""Compressed bytes of one field block."""


class Frame:
    """One received frame, without padding; a field block is one frame, however many CONTINUATION frames it took."""

    __slots__ = ("dependency", "flags", "kind", "payload", "promised_id", "size", "stream_id")

    def __init__(self, kind: int, flags: int, stream_id: int, payload: bytes, size: int) -> None:
        self.kind = kind
        """The type in its header, see `_frames`."""
        self.flags = flags
        self.stream_id = stream_id
        self.payload = payload
        """Without padding; of HEADERS and PUSH_PROMISE the field block alone."""
        self.size = size
        """Bytes of payload as they came, which is what counts for flow control (RFC 9113 §6.9.1)."""
        self.dependency: Dependency | None = None
        """The priority fields of HEADERS (RFC 7540 §6.2)."""
        self.promised_id = 0
        """Of PUSH_PROMISE."""


class FrameReader:
    """Turns bytes into frames. Once it has raised, it is of no more use.

    Args:
        preface: what has to come before the first frame; empty on a client.
        where: the limits are set, as reasons tell it.
    """

    __slots__ = (
        "_block",
        "_block_parts",
        "_block_size",
        "_first",
        "_foreign_possible",
        "_list_size",
        "_max_block_frames",
        "_max_block_size",
        "_needed",
        "_preface",
        "_rest",
        "_where",
        "max_frame_size",
    )

    def __init__(self, *, preface: bytes, where: str = "set in SessionConfig") -> None:
        self.max_frame_size: int = 16_384
        """The largest payload we take, in bytes."""
        self._rest = bytearray()
        self._needed = HEADER_SIZE
        """How much there must be of the rest before it is worth looking at it again."""
        self._preface = preface
        self._first = True
        self._block: Frame | None = None
        self._block_parts: list[bytes] = []
        self._block_size = 0
        self._max_block_size = MAX_BLOCK_SIZE
        self._max_block_frames = MAX_BLOCK_FRAMES
        self._foreign_possible = not preface
        self._list_size = 0
        self._where = where

    @property
    def mid_frame(self) -> bool:
        """Whether an unfinished frame or field block is buffered: an end of the transport here cuts it."""
        return bool(self._rest) or self._block is not None

    @property
    def buffered(self) -> int:
        """Bytes of unfinished frames and field blocks."""
        return len(self._rest) + self._block_size

    def allow_header_list(self, size: int) -> None:
        """Makes room for header lists of *size* bytes: compressed, they are no larger."""
        self._list_size = size
        self._max_block_size = max(MAX_BLOCK_SIZE, size)
        self._max_block_frames = MAX_BLOCK_FRAMES * self._max_block_size // MAX_BLOCK_SIZE

    def read(self, data: bytes) -> Iterator[Frame]:
        """Yields the frames that are complete with *data*, one after the other: what the first of them changes (the
        largest frame we take, say) holds for the next.

        Raises:
            SessionFaultError: a connection error; the frames before it have been yielded.
        """
        if self._first:
            data = self._begin(data)
        start, end = 0, len(data)
        rest = self._rest
        while rest:
            # What is incomplete is collected until its frame is there, and nothing of what follows it, so that each
            # byte is copied once, however small the pieces in which a large frame arrives.
            missing = self._needed - len(rest)
            if end - start < missing:
                rest += data[start:] if start else data
                return
            rest += data[start : start + missing]
            start += missing
            high, low, kind, flags, stream_id = unpack_header(rest)
            length = high << 8 | low
            stream_id &= STREAM_MASK
            if len(rest) < HEADER_SIZE + length:  # the header is there now
                self._check_header(length, kind, flags, stream_id)
                self._needed = HEADER_SIZE + length
                continue
            if not length:
                self._check_header(length, kind, flags, stream_id)
            with memoryview(rest) as view:
                payload = bytes(view[HEADER_SIZE:])
            rest.clear()
            self._needed = HEADER_SIZE
            frame = self._frame(kind, flags, stream_id, payload, length)
            if frame is not None:
                yield frame
        while end - start >= HEADER_SIZE:
            high, low, kind, flags, stream_id = unpack_header(data, start)
            length = high << 8 | low
            stream_id &= STREAM_MASK
            if kind > HEADERS or not stream_id or length > self.max_frame_size or self._first or self._block:
                self._check_header(length, kind, flags, stream_id)
            stop = start + HEADER_SIZE + length
            if stop > end:
                self._needed = HEADER_SIZE + length
                break
            frame = self._frame(kind, flags, stream_id, data[start + HEADER_SIZE : stop], length)
            start = stop
            if frame is not None:
                yield frame
        if start < end:
            rest += data[start:]

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes, length: int) -> Frame | None:
        """Returns a frame whose header was checked; ``None`` if it only continues a field block."""
        self._first = False
        frame = Frame(kind, flags, stream_id, payload, length)
        if kind == DATA:
            if flags & PADDED:
                _unpad(frame, 0)
            return frame
        return self._assemble(frame) if kind in _FIELD_BLOCK else frame

    def _begin(self, data: bytes) -> bytes:
        """Looks at what comes before the first frame; returns *data* without it."""
        if self._preface:
            size = min(len(self._preface), len(data))
            if data[:size] != self._preface[:size]:
                # RFC 9113 §3.4: "Clients and servers MUST treat an invalid connection preface as a connection error
                # of type PROTOCOL_ERROR."
                raise SessionFaultError(
                    ErrorCode.PROTOCOL_ERROR, "the client did not send the HTTP/2 preface", Cause.HANDSHAKE
                )
            self._preface = self._preface[size:]
            return data[size:]
        if self._foreign_possible and data:
            beginning = (bytes(self._rest[:5]) + data[:5])[:5]
            if beginning == _HTTP1:
                raise SessionFaultError(
                    ErrorCode.PROTOCOL_ERROR,
                    "the server answered with HTTP/1, it does not speak HTTP/2",
                    Cause.HANDSHAKE,
                )
            if beginning in _ALERTS:
                raise SessionFaultError(
                    ErrorCode.INADEQUATE_SECURITY,
                    "the server answered with an alert of TLS, so it seems to speak TLS: use https://",
                    Cause.HANDSHAKE,
                )
            self._foreign_possible = len(beginning) < 5 and any(one.startswith(beginning) for one in (_HTTP1, *_ALERTS))
        return data

    def _check_header(self, length: int, kind: int, flags: int, stream_id: int) -> None:
        """Everything that can be refused before the payload is here."""
        if self._first and (kind != SETTINGS or flags & ACK):
            # RFC 9113 §3.4: the client's preface "MUST be followed by a SETTINGS frame", and a server's SETTINGS frame
            # "MUST be the first frame the server sends in the HTTP/2 connection".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS", Cause.HANDSHAKE)
        if length > self.max_frame_size:
            # RFC 9113 §4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size
            # defined in SETTINGS_MAX_FRAME_SIZE".
            raise SessionFaultError(
                ErrorCode.FRAME_SIZE_ERROR,
                f"frame of {length} bytes, more than max_frame_size={self.max_frame_size} ({self._where})",
            )
        if self._block is not None and (kind != CONTINUATION or stream_id != self._block.stream_id):
            # RFC 9113 §4.3: "Each field block is processed as a discrete unit. Field blocks MUST be transmitted as a
            # contiguous sequence of frames".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "a field block was interrupted by another frame")
        if self._block is None and kind == CONTINUATION:
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without a field block before it")
        if (kind in _NEED_STREAM and not stream_id) or (kind in _FORBID_STREAM and stream_id):
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"frame type {kind} on stream {stream_id}")
        wrong = _EXACT_LENGTH.get(kind, length) != length
        if kind == SETTINGS:
            # RFC 9113 §6.5: SETTINGS are six bytes each, and an acknowledgement has none.
            wrong = length % 6 != 0 or bool(length and flags & ACK)
        elif kind == GOAWAY:
            wrong = length < 8
        if wrong:
            raise SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, f"frame type {kind} with {length} bytes")

    def _assemble(self, frame: Frame) -> Frame | None:
        """Collects a field block; returns its HEADERS or PUSH_PROMISE frame when the block is complete."""
        if frame.kind == HEADERS:
            if frame.flags & (PADDED | HAS_PRIORITY):
                _read_headers(frame)
        elif frame.kind == PUSH_PROMISE:
            _read_push_promise(frame)
        if self._block is None:
            if frame.flags & END_HEADERS:
                return frame
            self._block = frame
        self._block_parts.append(frame.payload)
        self._block_size += len(frame.payload)
        frames, size = self._max_block_frames, self._max_block_size
        if len(self._block_parts) > frames or self._block_size > size:
            most = f"{size} bytes" if self._block_size > size else f"{frames} frames"
            limit = f"max_header_list_size={self._list_size} ({self._where})"
            reason = f"field block of more than {most}, which {limit} allows"
            raise SessionFaultError(ErrorCode.ENHANCE_YOUR_CALM, reason)
        if not frame.flags & END_HEADERS:
            return None
        block = self._block
        block.payload = b"".join(self._block_parts)
        self._block, self._block_parts, self._block_size = None, [], 0
        return block


def _read_headers(frame: Frame) -> None:
    """Takes padding and priority fields off HEADERS (RFC 9113 §6.2)."""
    fixed = 5 if frame.flags & HAS_PRIORITY else 0
    if frame.flags & PADDED:
        _unpad(frame, fixed)
    elif frame.size < fixed:
        raise _too_short()
    if fixed:
        frame.dependency = Dependency.unpack(frame.payload)
        frame.payload = frame.payload[5:]


def _read_push_promise(frame: Frame) -> None:
    """Takes padding and the promised id off PUSH_PROMISE (RFC 9113 §6.6)."""
    if frame.flags & PADDED:
        _unpad(frame, 4)
    elif frame.size < 4:
        raise _too_short()
    # RFC 9113 §6.6: the promised id is an "unsigned 31-bit integer".
    frame.promised_id = int.from_bytes(frame.payload[:4], "big") & STREAM_MASK
    if frame.promised_id % 2 or not frame.promised_id:
        # RFC 9113 §5.1.1: streams "initiated by the server MUST use even-numbered stream identifiers", and 0 is none.
        raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"PUSH_PROMISE of stream {frame.promised_id}")
    frame.payload = frame.payload[4:]


def _unpad(frame: Frame, fixed: int) -> None:
    """Takes the padding off a frame with *fixed* bytes of other fields before its content."""
    payload = frame.payload
    if len(payload) < 1 + fixed:
        raise _too_short()
    end = len(payload) - payload[0]
    if end < 1 + fixed:
        # RFC 9113 §6.1 and §6.2: "If the length of the padding is the length of the frame payload or greater, the
        # recipient MUST treat this as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
        raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    frame.payload = payload[1:end]


def _too_short() -> SessionFaultError:
    return SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, "frame too short for its fields")
