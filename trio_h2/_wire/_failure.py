"""What ended a stream or a session, as values.

The public exceptions are made from these, a fresh one for every raise: an exception instance that several tasks
raise would collect all their tracebacks and keep their frames alive.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .._values import Value

if TYPE_CHECKING:
    from ._codes import ErrorCode, Initiator


class Cause(enum.Enum):
    """Which of the public session errors a `SessionFailure` becomes."""

    PROTOCOL = "protocol"
    """The peer broke a rule, or one of the limits that guard against abuse."""
    GOAWAY = "goaway"
    """The peer announced with GOAWAY that it is leaving."""
    KEEPALIVE = "keepalive"
    """The peer stopped answering."""
    SETTINGS_TIMEOUT = "settings-timeout"
    """The peer did not acknowledge our SETTINGS in time."""
    HANDSHAKE = "handshake"
    """The peer does not speak HTTP/2, or did not start to in time."""
    LOST = "lost"
    """The transport broke or ended."""
    CLOSED = "closed"
    """This side closed the session."""


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class StreamFailure(Value):
    """Why one stream is over before its time."""

    stream_id: int | None
    code: ErrorCode | int
    initiator: Initiator
    reason: str
    retryable: bool = False
    refused: bool = False
    """The peer did not process the stream at all (RFC 9113 §8.7)."""
    debug_data: bytes = b""


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class SessionFailure(Value):
    """Why a session is over."""

    cause: Cause
    code: ErrorCode | int | None
    """What was said with GOAWAY, by either side; ``None`` if nothing was."""
    initiator: Initiator
    reason: str
    retryable: bool = False
    debug_data: bytes = b""
    error: BaseException | None = None
    """The transport's own error, which the public one is raised from."""


class OversizedSection(NamedTuple):
    """A header section that the peer would not take."""

    size: int
    """In bytes, as RFC 9113 §6.5.2 counts them."""
    limit: int
    """The peer's SETTINGS_MAX_HEADER_LIST_SIZE."""


class SessionFaultError(Exception):
    """Internal: a connection error (RFC 9113 §5.4.1) found while frames are read; becomes a `SessionFailure`."""

    def __init__(self, code: ErrorCode, reason: str, cause: Cause = Cause.PROTOCOL) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.cause = cause


class StreamFaultError(Exception):
    """Internal: a stream error (RFC 9113 §5.4.2) found while a frame is read; becomes RST_STREAM."""

    def __init__(self, stream_id: int, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.stream_id = stream_id
        self.code = code
        self.reason = reason


class StreamRejectedError(StreamFaultError):
    """Internal: the peer did nothing wrong on this stream, there is only no room for it."""
