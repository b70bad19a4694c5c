"""The frames of RFC 9113 §6 as a scripted peer sees them: packed without any check, parsed strictly.

Nothing here that knows the protocol comes from the rest of the package: the numbers are copied from the RFC once more,
so that a mistake in the engine's own numbers shows.

Packing takes every number as given, so that a test can send what no correct implementation would.
Parsing is done by hyperframe and is the opposite: whatever the other side may not send is an
`AssertionError`, because in a test that is the bug one is looking for.
"""

from __future__ import annotations

import dataclasses
import enum
import struct
from typing import ClassVar

import hyperframe.exceptions
import hyperframe.frame as wire

from .._field_docs import describe_fields

CLIENT_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What every client sends first (RFC 9113 §3.4)."""

FRAME_HEADER_LENGTH = 9


class FrameType(enum.IntEnum):
    """The frame types of RFC 9113 §6, RFC 7838, RFC 8336 and RFC 9218."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    ALTSVC = 0xA
    ORIGIN = 0xC
    PRIORITY_UPDATE = 0x10


class SettingCode(enum.IntEnum):
    """The settings of RFC 9113 §6.5.2, RFC 8441 §3 and RFC 9218 §2.1."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6
    ENABLE_CONNECT_PROTOCOL = 0x8
    NO_RFC7540_PRIORITIES = 0x9


# RFC 9113 §7, in the order of the codes from 0 on.
_ERROR_NAMES = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"),
    *("STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"),
    *("CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)


class FrameFlag(enum.IntFlag):
    """The frame flags of RFC 9113 §6. ACK and END_STREAM are the same bit on different frames."""

    NONE = 0x0
    END_STREAM = 0x1
    ACK = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


def pack_frame(
    type: int,
    flags: int,
    stream_id: int,
    payload: bytes = b"",
    *,
    length: int | None = None,
) -> bytes:
    """Returns a frame as bytes. Nothing is checked; *length* replaces the payload's real length.

    *stream_id* has 32 bits here: the highest one is the reserved bit of RFC 9113 §4.1.
    """
    size = len(payload) if length is None else length
    header = struct.pack(">BHBBL", size >> 16 & 0xFF, size & 0xFFFF, type, flags, stream_id)
    return header + payload


@describe_fields
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """The deprecated priority signal of RFC 9113 §5.3.2. *weight* is the real weight, 1 to 256."""

    depends_on: int = 0
    """The id of the parent stream."""
    weight: int = 16
    """1 to 256."""
    exclusive: bool = False
    """Whether the stream becomes the parent of its parent's other streams."""

    def pack(self) -> bytes:
        """Returns the five bytes of the signal."""
        return struct.pack(">LB", self.depends_on | self.exclusive << 31, self.weight - 1 & 0xFF)


@describe_fields
@dataclasses.dataclass(slots=True, repr=False)
class Frame:
    """A received frame; each type has a subclass with its decoded parts."""

    type: int
    """The number of the frame type, see `FrameType`."""
    flags: int
    """All flag bits as they came, see `FrameFlag`."""
    stream_id: int
    """The stream, 0 for the connection."""
    payload: bytes
    """The whole payload, padding included."""

    _hidden: ClassVar[frozenset[str]] = frozenset({"type", "flags", "payload", "fragment", "continuations"})

    def __repr__(self) -> str:
        parts = [
            f"{field.name}={_show(field.name, getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if field.name not in self._hidden
        ]
        return f"{self.__class__.__name__}({', '.join(parts)})"


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class DataFrame(Frame):
    """DATA (RFC 9113 §6.1). *pad_length* is None if the frame isn't padded."""

    data: bytes
    """The content, without padding."""
    end_stream: bool
    """Whether it is the sender's last frame on the stream."""
    pad_length: int | None
    """The bytes of padding; ``None`` without the flag PADDED."""

    @property
    def flow_controlled_length(self) -> int:
        """The bytes that count against the windows: all of the payload, padding included."""
        return len(self.payload)


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class ContinuationFrame(Frame):
    """CONTINUATION (RFC 9113 §6.10). It is seen in the log only: its bytes belong to a block."""

    fragment: bytes
    """Its part of the encoded block."""
    end_headers: bool
    """Whether the block ends with it."""


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class _FieldBlockFrame(Frame):
    """A frame that starts a field block. It is handed out when the block is complete."""

    fragment: bytes
    """This frame's own part of the encoded block."""
    end_headers: bool
    """Whether the block ends with this frame; if not, it goes on in `continuations`."""
    pad_length: int | None
    """The bytes of padding; ``None`` without the flag PADDED."""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    """The decoded fields in order; those that came as never indexed are ``hpack.NeverIndexedHeaderTuple``."""
    continuations: list[ContinuationFrame] = dataclasses.field(default_factory=list)
    """The frames with the other parts."""

    def get(self, name: str) -> str | None:
        """Returns the first value of a field, decoded as latin-1, or None if there is no such field."""
        wanted = name.encode("latin-1")
        return next((value.decode("latin-1") for key, value in self.fields if key == wanted), None)


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class HeadersFrame(_FieldBlockFrame):
    """HEADERS (RFC 9113 §6.2) with the fields of its whole block, over CONTINUATION if need be."""

    end_stream: bool
    """Whether the sender's side of the stream ends with the block."""
    priority: Priority | None
    """The priority signal; ``None`` without the flag PRIORITY."""

    @property
    def status(self) -> int | None:
        """The `:status`, or None in a request or in trailers."""
        value = self.get(":status")
        return None if value is None else int(value)


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class PushPromiseFrame(_FieldBlockFrame):
    """PUSH_PROMISE (RFC 9113 §6.6) with the fields of its whole block."""

    promised_stream_id: int
    """The id of the stream that is promised."""


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class PriorityFrame(Frame):
    """PRIORITY (RFC 9113 §6.3)."""

    priority: Priority
    """The signal."""


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class RstStreamFrame(Frame):
    """RST_STREAM (RFC 9113 §6.4)."""

    code: int
    """The error code."""


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class SettingsFrame(Frame):
    """SETTINGS (RFC 9113 §6.5)."""

    ack: bool
    """Whether it acknowledges settings of the other side."""
    settings: dict[int, int]
    """The values by the numbers of the settings."""


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class PingFrame(Frame):
    """PING (RFC 9113 §6.7)."""

    ack: bool
    """Whether it answers a PING."""
    data: bytes
    """Its eight bytes."""


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class GoAwayFrame(Frame):
    """GOAWAY (RFC 9113 §6.8)."""

    last_stream_id: int
    """The highest id that the sender has processed, or may process yet."""
    code: int
    """The error code."""
    debug: bytes
    """The debug data."""


@describe_fields
@dataclasses.dataclass(slots=True, kw_only=True, repr=False)
class WindowUpdateFrame(Frame):
    """WINDOW_UPDATE (RFC 9113 §6.9)."""

    increment: int
    """The bytes by which the window grows."""


@describe_fields
@dataclasses.dataclass(slots=True, repr=False)
class UnknownFrame(Frame):
    """A frame of another type: an extension (RFC 9113 §5.5). Its content is its payload."""

    _hidden: ClassVar[frozenset[str]] = frozenset({"flags"})


def frame_length(header: bytes) -> int:
    """Returns the payload's length as a frame header announces it."""
    return int.from_bytes(header[:3], "big")


def parse_frame(data: bytes) -> Frame:
    """Returns the one whole frame in *data*.

    Raises:
        AssertionError: RFC 9113 doesn't allow such a frame: wrong length, wrong kind of stream,
            impossible padding.
    """
    try:
        parsed, _ = wire.Frame.parse_frame_header(memoryview(data)[:FRAME_HEADER_LENGTH])
        parsed.parse_body(memoryview(data)[FRAME_HEADER_LENGTH:])
    except hyperframe.exceptions.HyperframeError as exc:
        raise AssertionError(f"the other side sent an invalid frame: {exc} ({data[:64]!r})") from exc
    return _convert(parsed, data)


def _convert(parsed: wire.Frame, data: bytes) -> Frame:
    flags = data[4]
    # data[3] and not parsed.type: hyperframe has types of its own (ALTSVC), we show those as unknown.
    head = (data[3], flags, parsed.stream_id, data[FRAME_HEADER_LENGTH:])
    end_stream = ack = bool(flags & FrameFlag.END_STREAM)
    end_headers = bool(flags & FrameFlag.END_HEADERS)
    match parsed:
        case wire.DataFrame():
            padding = _pad_length(parsed, flags)
            return DataFrame(*head, data=parsed.data, end_stream=end_stream, pad_length=padding)
        case wire.HeadersFrame():
            return HeadersFrame(
                *head,
                fragment=parsed.data,
                end_headers=end_headers,
                end_stream=end_stream,
                pad_length=_pad_length(parsed, flags),
                priority=_priority(parsed) if flags & FrameFlag.PRIORITY else None,
            )
        case wire.PushPromiseFrame():
            return PushPromiseFrame(
                *head,
                fragment=parsed.data,
                end_headers=end_headers,
                pad_length=_pad_length(parsed, flags),
                promised_stream_id=parsed.promised_stream_id,
            )
        case wire.ContinuationFrame():
            return ContinuationFrame(*head, fragment=parsed.data, end_headers=end_headers)
        case wire.PriorityFrame():
            return PriorityFrame(*head, priority=_priority(parsed))
        case wire.RstStreamFrame():
            return RstStreamFrame(*head, code=parsed.error_code)
        case wire.SettingsFrame():
            return SettingsFrame(*head, ack=ack, settings=dict(parsed.settings))
        case wire.PingFrame():
            return PingFrame(*head, ack=ack, data=parsed.opaque_data)
        case wire.GoAwayFrame():
            # The highest bit is reserved: it "MUST be ignored when receiving" (RFC 9113 §4.1).
            last, code = parsed.last_stream_id & 0x7FFF_FFFF, parsed.error_code
            return GoAwayFrame(*head, last_stream_id=last, code=code, debug=parsed.additional_data)
        case wire.WindowUpdateFrame():
            return WindowUpdateFrame(*head, increment=parsed.window_increment)
        case _:
            return UnknownFrame(*head)


def _pad_length(parsed: wire.Padding, flags: int) -> int | None:
    return parsed.pad_length if flags & FrameFlag.PADDED else None


def _priority(parsed: wire.Priority) -> Priority:
    return Priority(depends_on=parsed.depends_on, weight=parsed.stream_weight + 1, exclusive=parsed.exclusive)


def _show(name: str, value: object) -> str:
    """Shows one part of a frame briefly: names for numbers, the start of long bytes."""
    match name, value:
        case "code", int():
            return _ERROR_NAMES[value] if value < len(_ERROR_NAMES) else hex(value)
        case "settings", dict():
            return "{" + ", ".join(f"{_setting_name(key)}: {number}" for key, number in value.items()) + "}"
        case "fields", tuple():
            return "[" + ", ".join(f"{key.decode('latin-1')}={_brief(text)}" for key, text in value) + "]"
        case _, bytes():
            return _brief(value)
        case _:
            return repr(value)


def _brief(data: bytes, limit: int = 40) -> str:
    return repr(data) if len(data) <= limit else f"{data[:limit]!r}… ({len(data)} bytes)"


def _setting_name(identifier: int) -> str:
    return SettingCode(identifier).name if identifier in set(SettingCode) else hex(identifier)
