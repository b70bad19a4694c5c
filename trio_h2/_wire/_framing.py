"""Cuts the received bytes into frames, refusing what is wrong from the 9-byte header on (RFC 9113 §4).

Takes the place of h2's own frame buffer, which buffers a frame of up to 16 MiB before it looks at its size, and turns
some stream errors into connection errors.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from hyperframe.exceptions import HyperframeError, InvalidDataError, InvalidPaddingError
from hyperframe.frame import (
    ContinuationFrame,
    ExtensionFrame,
    Frame,
    HeadersFrame,
    PushPromiseFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from ._codes import ErrorCode
from ._failure import Cause, SessionFaultError, StreamFaultError

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

_NEED_STREAM = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_FORBID_STREAM = frozenset({SETTINGS, PING, GOAWAY})
_EXACT_LENGTH = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_ACK = 0x1
_PADDED = 0x8
_PRIORITY = 0x20
_SETTING = struct.Struct(">HL")

MAX_BLOCK_FRAMES = 64
"""Frames of one field block; CONTINUATION has no limit of its own (RFC 9113 §6.10, CVE-2024-27316)."""
MAX_BLOCK_OCTETS = 256 * 1024
"""Compressed octets of one field block."""

BlockFrame: TypeAlias = HeadersFrame | PushPromiseFrame


class ReceivedSettings(SettingsFrame):
    """A SETTINGS frame with all its pairs in order; hyperframe keeps only the last value of a repeated setting.

    RFC 9113 §6.5.3: "The values in the SETTINGS frame MUST be processed in the order they appear".
    """

    def __init__(self, payload: bytes, *, ack: bool) -> None:
        super().__init__(0, flags=("ACK",) if ack else ())
        self.pairs: list[tuple[int, int]] = list(_SETTING.iter_unpack(payload))


class FrameReader:
    """Turns bytes into frames; a field block comes as one frame, however many CONTINUATION frames it took.

    Iterating yields the frames that are complete. `StreamFaultError` instances are yielded in the place of frames with
    an error of their stream only; `SessionFaultError` is raised, and then the reader is of no more use.
    """

    def __init__(self, *, preface: bytes) -> None:
        self.max_frame_size = 16_384
        self._data = bytearray()
        self._preface = preface
        self._first = True
        self._block: BlockFrame | None = None
        self._block_parts: list[bytes] = []
        self._block_octets = 0
        self._max_block_octets = MAX_BLOCK_OCTETS
        self._max_block_frames = MAX_BLOCK_FRAMES
        self._http1_possible = not preface

    @property
    def mid_frame(self) -> bool:
        """Whether an unfinished frame or field block is buffered: an end of the transport here cuts it."""
        return bool(self._data) or self._block is not None

    @property
    def buffered(self) -> int:
        """Octets of unfinished frames and field blocks."""
        return len(self._data) + self._block_octets

    def allow_header_list(self, size: int) -> None:
        """Makes room for header lists of *size* octets: compressed, they are no larger."""
        self._max_block_octets = max(MAX_BLOCK_OCTETS, size)
        self._max_block_frames = MAX_BLOCK_FRAMES * self._max_block_octets // MAX_BLOCK_OCTETS

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
        data = self._data
        if self._http1_possible or len(data) < 9:
            raise StopIteration
        length = int.from_bytes(data[:3], "big")
        kind, flags = data[3], data[4]
        stream_id = int.from_bytes(data[5:9], "big") & 0x7FFF_FFFF
        self._check_header(length, kind, flags, stream_id)
        end = 9 + length
        if len(data) < end:
            raise StopIteration
        self._first = False
        header, payload = bytes(data[:9]), bytes(data[9:end])
        del data[:end]
        if kind == SETTINGS:
            return ReceivedSettings(payload, ack=bool(flags & _ACK))
        if kind == WINDOW_UPDATE:
            return _window_update(payload, stream_id)
        if kind > CONTINUATION:  # not ours to judge: an ALTSVC or ORIGIN that is malformed is to be ignored
            return ExtensionFrame(kind, stream_id, flags, payload)
        return _priority_fault(payload, kind, stream_id) or self._assemble(_parse(header, payload))

    def _check_header(self, length: int, kind: int, flags: int, stream_id: int) -> None:
        """Everything that can be refused before the payload is here."""
        if self._first and (kind != SETTINGS or flags & _ACK):
            # RFC 9113 §3.4: the client's preface "MUST be followed by a SETTINGS frame", and a server's SETTINGS frame
            # "MUST be the first frame the server sends in the HTTP/2 connection".
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS", Cause.HANDSHAKE)
        if length > self.max_frame_size:
            # RFC 9113 §4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size
            # defined in SETTINGS_MAX_FRAME_SIZE".
            raise SessionFaultError(
                ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} octets, at most {self.max_frame_size} are allowed"
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
            # RFC 9113 §6.5: SETTINGS are six octets each, and an acknowledgement has none.
            wrong = length % 6 != 0 or bool(length and flags & _ACK)
        elif kind == GOAWAY:
            wrong = length < 8
        if wrong:
            raise SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, f"frame type {kind} with {length} octets")

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
        if len(self._block_parts) > self._max_block_frames or self._block_octets > self._max_block_octets:
            raise SessionFaultError(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"field block of more than {self._max_block_frames} frames or {self._max_block_octets} octets",
            )
        if "END_HEADERS" not in frame.flags:
            return None
        block = self._block
        block.data = b"".join(self._block_parts)
        self._block, self._block_parts, self._block_octets = None, [], 0
        return block


def frame_flags(frame: Frame) -> int:
    """Returns the flags of a frame as the number in its header (RFC 9113 §4.1)."""
    flags = 0
    for name, bit in frame.defined_flags:
        if name in frame.flags:
            flags |= bit
    return flags


def _window_update(payload: bytes, stream_id: int) -> Frame | StreamFaultError:
    increment = int.from_bytes(payload, "big") & 0x7FFF_FFFF  # the reserved bit is ignored; hyperframe refuses it
    if not increment:
        # RFC 9113 §6.9: "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window
        # increment of 0 as a stream error (Section 5.4.2) of type PROTOCOL_ERROR; errors on the connection
        # flow-control window MUST be treated as a connection error".
        if not stream_id:
            raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        return StreamFaultError(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
    return WindowUpdateFrame(stream_id, increment)


def _priority_fault(payload: bytes, kind: int, stream_id: int) -> StreamFaultError | None:
    """What is wrong with a PRIORITY frame; only its own stream suffers."""
    if kind == PRIORITY:
        if len(payload) != 5:
            # RFC 9113 §6.3: "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error
            # (Section 5.4.2) of type FRAME_SIZE_ERROR."
            return StreamFaultError(stream_id, ErrorCode.FRAME_SIZE_ERROR, f"PRIORITY with {len(payload)} octets")
        if int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF == stream_id:
            # RFC 7540 §5.3.1: "A stream cannot depend on itself. An endpoint MUST treat this as a stream error
            # (Section 5.4.2) of type PROTOCOL_ERROR." RFC 9113 only says that nobody should send priorities any more.
            return StreamFaultError(stream_id, ErrorCode.PROTOCOL_ERROR, "the stream depends on itself")
    return None


def _parse(header: bytes, payload: bytes) -> Frame:
    kind, flags = header[3], header[4]
    padded = flags & _PADDED and kind in (HEADERS, PUSH_PROMISE)
    if padded:
        payload = _without_padding(payload, 4 if kind == PUSH_PROMISE else 5 if flags & _PRIORITY else 0)
        header = header[:4] + bytes([flags & ~_PADDED]) + header[5:]
    try:
        frame, _ = Frame.parse_frame_header(memoryview(header))
        frame.parse_body(memoryview(payload))
    except InvalidPaddingError as exc:
        raise _padding_fault() from exc
    except InvalidDataError as exc:  # a number that is never right, as an odd stream in PUSH_PROMISE
        raise SessionFaultError(ErrorCode.PROTOCOL_ERROR, f"malformed frame: {exc}") from exc
    except HyperframeError as exc:
        raise SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, f"malformed frame: {exc}") from exc
    if padded:
        frame.flags.add("PADDED")  # as it came
    return frame


def _without_padding(payload: bytes, fixed: int) -> bytes:
    """Takes the padding off a frame that starts a field block, with *fixed* octets of other fields before the block.

    hyperframe forgets those when it looks whether the padding fits, and refuses padding that leaves an empty block.
    """
    if len(payload) < 1 + fixed:
        raise SessionFaultError(ErrorCode.FRAME_SIZE_ERROR, "frame too short for its fields")
    end = len(payload) - payload[0]
    if end < 1 + fixed:
        raise _padding_fault()
    return payload[1:end]


def _padding_fault() -> SessionFaultError:
    # RFC 9113 §6.1 and §6.2: "If the length of the padding is the length of the frame payload or greater, the recipient
    # MUST treat this as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
    return SessionFaultError(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
