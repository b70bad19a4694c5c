"""Cuts the received bytes into frames, refusing what is wrong from the 9-byte header on (RFC 9113 §4).

Takes the place of h2's own frame buffer, which buffers a frame of up to 16 MiB before it looks at its size, and turns
some stream errors into connection errors.
"""

from __future__ import annotations

from typing import TypeAlias

from hyperframe.exceptions import HyperframeError, InvalidPaddingError
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame, PushPromiseFrame

from ._codes import ErrorCode
from ._failure import Cause, SessionFaultError, StreamFaultError

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

_NEED_STREAM = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_FORBID_STREAM = frozenset({SETTINGS, PING, GOAWAY})
_EXACT_LENGTH = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_ACK = 0x1

MAX_BLOCK_FRAMES = 64
"""Frames of one field block; CONTINUATION has no limit of its own (RFC 9113 §6.10, CVE-2024-27316)."""
MAX_BLOCK_OCTETS = 256 * 1024
"""Compressed octets of one field block."""

BlockFrame: TypeAlias = HeadersFrame | PushPromiseFrame


class FrameReader:
    """Turns bytes into frames; a field block comes as one frame, however many CONTINUATION frames it took.

    Iterating yields the frames that are complete. `StreamFaultError` instances are yielded in the place of frames
    with an
    error of their stream only; `SessionFaultError` is raised.
    """

    def __init__(self, *, preface: bytes) -> None:
        self.max_frame_size = 16_384
        self._data = bytearray()
        self._preface = preface
        self._block: BlockFrame | None = None
        self._block_parts: list[bytes] = []
        self._block_octets = 0
        self._http1_possible = not preface

    @property
    def mid_frame(self) -> bool:
        """Whether an unfinished frame or field block is buffered: an end of the transport here cuts it."""
        return bool(self._data) or self._block is not None

    @property
    def buffered(self) -> int:
        """Octets of unfinished frames and field blocks."""
        return len(self._data) + self._block_octets

    def add_data(self, data: bytes) -> None:
        """Takes bytes from the transport."""
        self._data += data
        if self._preface:
            size = min(len(self._preface), len(self._data))
            if self._data[:size] != self._preface[:size]:
                # RFC 9113 §3.4: "Clients and servers MUST treat an invalid connection preface as a connection error
                # of type PROTOCOL_ERROR."
                raise SessionFaultError(
                    ErrorCode.PROTOCOL_ERROR, "the client did not send the HTTP/2 preface", Cause.HANDSHAKE
                )
            del self._data[:size]
            self._preface = self._preface[size:]
        if self._http1_possible and self._data:
            if self._data[:5] == b"HTTP/":
                raise SessionFaultError(
                    ErrorCode.PROTOCOL_ERROR,
                    "the server answered with HTTP/1, it does not speak HTTP/2",
                    Cause.HANDSHAKE,
                )
            self._http1_possible = len(self._data) < 5 and b"HTTP/".startswith(self._data)

    def __iter__(self) -> FrameReader:
        return self

    def __next__(self) -> Frame | StreamFaultError:
        while True:
            frame = self._next_frame()
            if frame is not None:
                return frame

    def _next_frame(self) -> Frame | StreamFaultError | None:
        """Reads one frame; ``None`` if it only continued a field block."""
        if self._http1_possible or len(self._data) < 9:
            raise StopIteration
        length = int.from_bytes(self._data[:3], "big")
        kind = self._data[3]
        stream_id = int.from_bytes(self._data[5:9], "big") & 0x7FFF_FFFF
        self._check_header(length, kind, stream_id)
        if len(self._data) < 9 + length:
            raise StopIteration
        fault = self._stream_fault(length, kind, stream_id)
        if fault is not None:
            del self._data[: 9 + length]
            return fault
        frame = self._parse(length)
        del self._data[: 9 + length]
        return self._assemble(frame)

    def _check_header(self, length: int, kind: int, stream_id: int) -> None:
        """Everything that can be refused before the payload is here."""
        if length > self.max_frame_size:
            # RFC 9113 §4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size
            # defined in SETTINGS_MAX_FRAME_SIZE".
            raise SessionFaultError(
                ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} octets, at most {self.max_frame_size} are allowed"
            )
        if self._block is not None and (kind != CONTINUATION or stream_id != self._block.stream_id):
            # RFC 9113 §4.3: "Each field block is processed as a discrete unit. [...] MUST be transmitted as a
            # contiguous
            # sequence of frames".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "a field block was interrupted by another frame")
        if self._block is None and kind == CONTINUATION:
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without a field block before it")
        if (kind in _NEED_STREAM and not stream_id) or (kind in _FORBID_STREAM and stream_id):
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"frame type {kind} on stream {stream_id}")
        if kind == PRIORITY and length != 5:
            return  # RFC 9113 §6.3: a stream error
        wrong = _EXACT_LENGTH.get(kind, length) != length
        if kind == SETTINGS:
            # RFC 9113 §6.5: SETTINGS are six octets each, and an acknowledgement has none.
            wrong = length % 6 != 0 or bool(length and self._data[4] & _ACK)
        elif kind == GOAWAY:
            wrong = length < 8
        if wrong:
            raise SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, f"frame type {kind} with {length} octets")

    def _stream_fault(self, length: int, kind: int, stream_id: int) -> StreamFaultError | None:
        """What is an error of one stream only, but which hyperframe would refuse for the whole connection."""
        if kind == PRIORITY and length != 5:
            return StreamFaultError(stream_id, ErrorCode.FRAME_SIZE_ERROR, f"PRIORITY with {length} octets")
        if kind == WINDOW_UPDATE and not int.from_bytes(self._data[9:13], "big") & 0x7FFF_FFFF:
            # RFC 9113 §6.9: "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window
            # increment of 0 as a stream error [...] of type PROTOCOL_ERROR; errors on the connection flow-control
            # window
            # MUST be treated as a connection error".
            if not stream_id:
                raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            return StreamFaultError(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        return None

    def _parse(self, length: int) -> Frame:
        try:
            frame, _ = Frame.parse_frame_header(memoryview(bytes(self._data[:9])))
            frame.parse_body(memoryview(bytes(self._data[9 : 9 + length])))
        except InvalidPaddingError as exc:
            # RFC 9113 §6.1 and §6.2: "If the length of the padding is the length of the frame payload or greater, the
            # recipient MUST treat this as a connection error of type PROTOCOL_ERROR."
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame") from exc
        except HyperframeError as exc:
            raise SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, f"malformed frame: {exc}") from exc
        return frame

    def _assemble(self, frame: Frame) -> Frame | None:
        """Collects a field block; returns its HEADERS or PUSH_PROMISE frame when the block is complete."""
        if isinstance(frame, ContinuationFrame):
            assert self._block is not None  # checked by _check_header
            self._block_parts.append(frame.data)
        elif isinstance(frame, (HeadersFrame, PushPromiseFrame)):
            if "END_HEADERS" in frame.flags:
                return frame
            self._block = frame
            self._block_parts.append(frame.data)
        else:
            return frame
        self._block_octets += len(frame.data)
        if len(self._block_parts) > MAX_BLOCK_FRAMES or self._block_octets > MAX_BLOCK_OCTETS:
            raise SessionFaultError(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"field block of more than {MAX_BLOCK_FRAMES} frames or {MAX_BLOCK_OCTETS} octets",
            )
        if "END_HEADERS" not in frame.flags:
            return None
        block = self._block
        block.data = b"".join(self._block_parts)
        self._block, self._block_parts, self._block_octets = None, [], 0
        return block
