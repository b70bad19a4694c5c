"""Reads the frames of one direction a second time, for instruments; it judges nothing.

The engine has read, or made, the same bytes. What is wrong with them is the engine's business; here it only must
not do any harm: whatever a peer sends, memory is bounded, and what cannot be read is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .._wire._codes import SettingCode, error_code
from .._wire._extframes import ALTSVC, ORIGIN, PRIORITY_UPDATE, read_origin
from .._wire._extframes import Dependency as Priorities
from .._wire._frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HAS_PRIORITY,
    HEADER_SIZE,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_MASK,
    WINDOW_UPDATE,
    unpack_header,
    unpack_settings,
)
from .._wire._headers import Headers
from .._wire._hpack import Decoder, HpackError
from ._seen import Dependency, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._seen import Message

_MAX_PAYLOAD: Final = 256 * 1024
"""Bytes of a payload that are looked at; a longer one is passed over."""
_MAX_BLOCK: Final = 1024 * 1024
"""Bytes of a field block, compressed, and decoded as RFC 9113 §6.5.2 counts them."""
_MIN_TABLE: Final = 4096


class FrameTap:
    """The bytes of one direction, as frames.

    Args:
        preface: whether a client's preface comes first (RFC 9113 §3.4).
    """

    def __init__(self, *, preface: bool) -> None:
        self._skip = len(PREFACE) if preface else 0
        """Bytes that still have to be passed over before the next frame."""
        self._header = bytearray()
        self._payload = bytearray()
        self._missing = 0
        """Bytes of the payload that have not come."""
        self._kept = 0
        """How much of the payload is collected."""
        self._frame: Frame | None = None
        """The frame whose payload is coming."""
        self._block = bytearray()
        self._block_lost = False
        """A part of the field block was passed over."""
        self._in_block: list[Frame] = []
        """HEADERS or PUSH_PROMISE without its end, and the CONTINUATION frames that followed."""
        self._decoder = Decoder(_MIN_TABLE, _MAX_BLOCK)
        self._decoder_error: str | None = None

    def allow_table(self, size: int) -> None:
        """The other side allows a larger table for header compression (RFC 7541 §4.2)."""
        if size > self._decoder.max_allowed_table_size:
            self._decoder.max_allowed_table_size = size

    def read(self, data: bytes) -> Iterator[Frame]:
        """Yields the frames that are complete with *data*."""
        position, end = 0, len(data)
        while position < end:
            if self._skip:
                step = min(self._skip, end - position)
                self._skip -= step
                position += step
                continue
            if self._frame is None:
                step = min(HEADER_SIZE - len(self._header), end - position)
                self._header += data[position : position + step]
                position += step
                if len(self._header) < HEADER_SIZE:
                    return
                self._begin()
            else:
                step = min(self._missing, end - position)
                room = self._kept - len(self._payload)
                if room > 0:
                    self._payload += data[position : position + min(step, room)]
                self._missing -= step
                position += step
            if not self._missing:
                yield from self._complete()

    def _begin(self) -> None:
        high, low, kind, flags, stream_id = unpack_header(self._header)
        self._header.clear()
        length = high << 8 | low
        self._frame = Frame(kind, flags, stream_id & STREAM_MASK, length)
        self._missing = length
        if kind == DATA:
            self._kept = 1 if flags & PADDED else 0
        else:
            self._kept = length if length <= _MAX_PAYLOAD else 0

    def _complete(self) -> Iterator[Frame]:
        frame = self._frame
        assert frame is not None
        self._frame = None
        payload = bytes(self._payload)
        self._payload.clear()
        whole = frame.kind == DATA or len(payload) == frame.length
        if frame.kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
            yield from self._field_block(frame, payload, whole=whole)
            return
        if self._in_block:  # a broken rule, which ends the session
            yield from self._leave_block("another frame came before its end")
        if not whole:
            yield frame
            return
        try:
            yield _detailed(frame, payload)
        except (IndexError, ValueError):  # too short for what it must have
            yield frame

    # -- field blocks ----------------------------------------------------------------------------------------------

    def _field_block(self, frame: Frame, payload: bytes, *, whole: bool) -> Iterator[Frame]:
        if frame.kind != CONTINUATION:
            if self._in_block:
                yield from self._leave_block("another frame came before its end")
            self._block.clear()
            self._block_lost = False
            try:
                frame, payload = _block_of(frame, payload)
            except IndexError:
                whole = False
        self._in_block.append(frame)
        if not whole or len(self._block) + len(payload) > _MAX_BLOCK:
            self._block_lost = True
        else:
            self._block += payload
        if frame.flags & END_HEADERS:
            first, *others = self._in_block
            self._in_block = []
            if first.kind != CONTINUATION:
                first = self._decoded(first)
            yield first
            yield from others

    def _decoded(self, frame: Frame) -> Frame:
        if self._block_lost and self._decoder_error is None:
            self._decoder_error = "a field block is too large to be looked at"
        if self._decoder_error is None:
            try:
                headers = Headers.from_raw(self._decoder.decode(bytes(self._block)), flags=frame.flags)
            except HpackError as exc:
                self._decoder_error = str(exc)
            else:
                self._block.clear()
                message = _message(headers) if frame.kind == HEADERS else None
                return replace(frame, headers=headers, message=message)
        self._block.clear()
        return replace(frame, headers_error=self._decoder_error)

    def _leave_block(self, why: str) -> Iterator[Frame]:
        """The field block has no end, so that nothing can be decoded any more."""
        first, *others = self._in_block
        self._in_block = []
        self._decoder_error = self._decoder_error or why
        yield replace(first, headers_error=self._decoder_error)
        yield from others


def _block_of(frame: Frame, payload: bytes) -> tuple[Frame, bytes]:
    """Takes padding, priority fields and the promised id off (RFC 9113 §6.2 and §6.6).

    Raises:
        IndexError: the frame is too short for them.
    """
    start, end = 0, len(payload)
    if frame.flags & PADDED:
        start, end = 1, end - payload[0]
    if frame.kind == PUSH_PROMISE:
        promised = int.from_bytes(payload[start : start + 4], "big") & STREAM_MASK
        frame = replace(frame, promised_stream_id=promised)
        start += 4
    elif frame.flags & HAS_PRIORITY:
        frame = replace(frame, dependency=_dependency(payload[start : start + 5]))
        start += 5
    if start > end:
        raise IndexError
    return frame, payload[start:end]


def _dependency(payload: bytes) -> Dependency:
    read = Priorities.unpack(payload)
    return Dependency(read.depends_on, read.weight, read.exclusive)


def _message(headers: Headers) -> Message:
    if headers.first(b":method") is not None:
        return "request"
    status = headers.first(b":status")
    if status is None:
        return "trailers"
    return "informational" if len(status) == 3 and status.startswith("1") else "response"


def _detailed(frame: Frame, payload: bytes) -> Frame:
    """Returns *frame* with what its payload says.

    Raises:
        IndexError, ValueError: it is too short.
    """
    kind = frame.kind
    if kind == DATA:
        padding = 1 + payload[0] if payload else 0
        return replace(frame, data_length=max(0, frame.length - padding))
    if kind == SETTINGS and frame.length % 6 == 0:
        return replace(frame, settings=tuple((code, value) for code, value in unpack_settings(payload)))
    if kind == WINDOW_UPDATE and frame.length == 4:
        return replace(frame, increment=int.from_bytes(payload, "big") & STREAM_MASK)
    if kind == RST_STREAM and frame.length == 4:
        return replace(frame, error_code=error_code(int.from_bytes(payload, "big")))
    if kind == PING and frame.length == 8:
        return replace(frame, ping=payload)
    if kind == GOAWAY and frame.length >= 8:
        return replace(
            frame,
            last_stream_id=int.from_bytes(payload[:4], "big") & STREAM_MASK,
            error_code=error_code(int.from_bytes(payload[4:8], "big")),
            debug_data=payload[8:],
        )
    if kind == PRIORITY and frame.length == 5:
        return replace(frame, dependency=_dependency(payload))
    if kind == PRIORITY_UPDATE and frame.length >= 4:
        prioritized = int.from_bytes(payload[:4], "big") & STREAM_MASK
        return replace(frame, prioritized_stream_id=prioritized, text=payload[4:].decode("latin-1"))
    if kind == ALTSVC and frame.length >= 2:
        size = int.from_bytes(payload[:2], "big")
        origin, alternatives = payload[2 : 2 + size].decode("latin-1"), payload[2 + size :].decode("latin-1")
        return replace(frame, origins=(origin,) if origin else (), text=alternatives)
    if kind == ORIGIN:
        origins = read_origin(frame.stream_id, frame.flags, payload)
        return frame if origins is None else replace(frame, origins=tuple(origins))
    return frame


def table_size_of(frame: Frame) -> int | None:
    """Returns SETTINGS_HEADER_TABLE_SIZE, if the frame has it."""
    sizes = [value for code, value in frame.settings or () if code == SettingCode.HEADER_TABLE_SIZE]
    return max(sizes) if sizes else None
