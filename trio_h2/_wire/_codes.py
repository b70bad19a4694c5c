"""Numbers of the protocol: error codes, settings and who caused what (RFC 9113 §6.5.2 and §7)."""

from __future__ import annotations

import enum


class ErrorCode(enum.IntEnum):
    """The error codes of RFC 9113 §7, carried by RST_STREAM and GOAWAY."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def error_code(value: int) -> ErrorCode | int:
    """Returns *value* as an `ErrorCode`, or unchanged if it is none.

    RFC 9113 §7: "Unknown or unsupported error codes MUST NOT trigger any special behavior."
    """
    try:
        return ErrorCode(value)
    except ValueError:
        return value


def code_name(value: int) -> str:
    """Returns the RFC's name of an error code, or its number in hexadecimal."""
    code = error_code(value)
    return code.name if isinstance(code, ErrorCode) else hex(value)


class SettingCode(enum.IntEnum):
    """The settings this library understands (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1)."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6
    ENABLE_CONNECT_PROTOCOL = 0x8
    NO_RFC7540_PRIORITIES = 0x9


class Initiator(enum.Enum):
    """Who ended a stream or a session."""

    LOCAL = "local"
    """The application of this side."""
    LIBRARY = "library"
    """This library: a timeout, a limit, or a rule that the peer broke."""
    REMOTE = "remote"
    """The peer."""


class Role(enum.Enum):
    """Which end of a session this is."""

    CLIENT = "client"
    SERVER = "server"
