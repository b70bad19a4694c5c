"""Messages into frames and back, sans-IO: wsproto without its handshake (RFC 6455 §5, §6)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from .._checks import is_int
from ._guard import MessageGuard

if TYPE_CHECKING:
    from ._extensions import Agreement

FRAGMENT_SIZE: Final = 64 * 1024
"""Larger messages are cut, so that a pong need not wait for the whole of one."""
MAX_CONTROL: Final = 125
"""RFC 6455 §5.5: bytes in a control frame."""
MAX_REASON: Final = MAX_CONTROL - 2
"""RFC 6455 §5.5.1: bytes of the reason in a Close frame, beside the code."""


@dataclass(slots=True)
class Received:
    """A whole message."""

    message: str | bytes
    size: int
    """In bytes."""


class Fragment:
    """A part of a message, or of a frame, that is not whole yet."""


@dataclass(slots=True)
class Pinged:
    """The peer wants a pong."""

    payload: bytes


@dataclass(slots=True)
class Ponged:
    """The peer has answered a ping, or says that it lives."""

    payload: bytes


@dataclass(slots=True)
class PeerClosed:
    """The peer's Close frame: nothing follows it."""

    code: int
    reason: str


@dataclass(slots=True)
class Failed:
    """The peer broke a rule or a limit: nothing more can be understood."""

    code: int
    reason: str


FramingEvent: TypeAlias = Received | Fragment | Pinged | Ponged | PeerClosed | Failed


_FRAGMENT: Final = Fragment()


class Framing:
    """One side's frames: bytes in, events out; commands in, bytes out."""

    def __init__(self, *, client: bool, max_message_size: int, max_fragments: int, agreement: Agreement | None) -> None:
        self._guard = MessageGuard(max_message_size, max_fragments, agreement)
        self._connection = Connection(ConnectionType.CLIENT if client else ConnectionType.SERVER, [self._guard])
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        self._text = io.StringIO()
        self._binary = bytearray()

    # -- receiving -------------------------------------------------------------------------------------------------

    @property
    def work(self) -> int:
        """What was done so far for what was received, in bytes: see `MessageGuard.work`."""
        return self._guard.work

    def receive(self, data: bytes) -> None:
        """Takes bytes, of which `next` makes events."""
        self._connection.receive_data(data)

    def next(self) -> FramingEvent | None:
        """Returns the next event, ``None`` if more bytes are needed.

        No more than one frame is parsed and inflated, so that whoever asks can let other tasks run between two of
        them. After `PeerClosed` and `Failed`, ask no more.
        """
        state = self._connection.state
        for event in self._connection.events():
            if isinstance(event, TextMessage):
                self._text.write(event.data)
                if event.message_finished:
                    text, self._text = self._text.getvalue(), io.StringIO()
                    return Received(text, self._guard.last_size)
                return _FRAGMENT
            elif isinstance(event, BytesMessage):
                self._binary += event.data
                if event.message_finished:
                    data, self._binary = bytes(self._binary), bytearray()
                    return Received(data, self._guard.last_size)
                return _FRAGMENT
            elif isinstance(event, Ping):
                return Pinged(bytes(event.payload))
            elif isinstance(event, Pong):
                return Ponged(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                if self._connection.state is state:  # wsproto reports its own objections in the same way
                    return Failed(int(event.code), self._objection(event))
                return PeerClosed(self._guard.close_code or int(event.code), event.reason or "")
        return None

    def _objection(self, event: CloseConnection) -> str:
        if event.code == CloseReason.MESSAGE_TOO_BIG:
            return f"the message has more than {self._max_message_size} bytes"
        if event.code == CloseReason.POLICY_VIOLATION:
            return f"the message has more than max_fragments={self._max_fragments} fragments"
        if event.code == CloseReason.INVALID_FRAME_PAYLOAD_DATA:
            return "the text is not UTF-8, or what was deflated cannot be inflated"
        return event.reason or "a rule of RFC 6455 was broken"

    # -- sending ---------------------------------------------------------------------------------------------------

    def message(self, message: str | bytes) -> list[bytes]:
        """Returns the frames of a whole message."""
        starts = range(0, len(message) or 1, FRAGMENT_SIZE)
        return [
            self.fragment(message[start : start + FRAGMENT_SIZE], final=start + FRAGMENT_SIZE >= len(message))
            for start in starts
        ]

    def fragment(self, part: str | bytes, *, final: bool) -> bytes:
        """Returns a frame with a part of a message; all parts must be of the same type."""
        if isinstance(part, str):
            return bytes(self._connection.send(TextMessage(data=part, message_finished=final)))
        return bytes(self._connection.send(BytesMessage(data=part, message_finished=final)))

    def forget_sent(self) -> None:
        """The frames of the last message are not sent."""
        self._guard.forget_sent()

    def ping(self, payload: bytes) -> bytes:
        """Returns a Ping frame."""
        return bytes(self._connection.send(Ping(payload=payload)))

    def pong(self, payload: bytes) -> bytes:
        """Returns a Pong frame."""
        return bytes(self._connection.send(Pong(payload=payload)))

    def close(self, code: int, reason: str) -> bytes:
        """Returns a Close frame; after it, nothing may be sent. 1005 makes one without a code."""
        if code == CloseReason.NO_STATUS_RCVD:
            return bytes(self._connection.send(CloseConnection(code=CloseReason.NO_STATUS_RCVD)))
        return bytes(self._connection.send(CloseConnection(code=code, reason=reason)))


def check_message(message: str | bytes | bytearray | memoryview) -> str | bytes:
    """Returns a message, or a part of one, as it can be sent.

    Raises:
        TypeError: it is neither text nor bytes.
        ValueError: it has surrogates.
    """
    if isinstance(message, str):
        if not message.isascii():
            message.encode()
        return message
    if not isinstance(message, bytes | bytearray | memoryview):
        raise TypeError(f"a message must be str, or bytes-like, not {type(message).__name__}")
    return bytes(message)


def check_close(code: int, reason: str) -> None:
    """Raises what is wrong with the code and reason of a Close frame.

    Raises:
        TypeError, ValueError: one of them is not allowed.
    """
    if not is_int(code):
        raise TypeError(f"code must be an int, not {code!r}")
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ValueError(f"code must be in 1000..1003, 1007..1014 or 3000..4999 (RFC 6455 §7.4), not {code}")
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a str, not {reason!r}")
    if len(reason.encode()) > MAX_REASON:
        raise ValueError(f"reason must have at most {MAX_REASON} bytes in UTF-8, not {len(reason.encode())}")
