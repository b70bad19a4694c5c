"""What a client begins with on a port that speaks TLS: a ClientHello, or a request in clear text.

RFC 8446 §4.1.2 has the ClientHello, §5.1 the records around it. OpenSSL reads it as well, and checks it; here it is
only looked at, for what Python does not tell. What cannot be read here is left to OpenSSL to refuse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._sniff import PREFACE

if TYPE_CHECKING:
    import trio

_READ_SIZE: Final = 64 * 1024
_MAX_SIZE: Final = 16 * 1024
"""Bytes that are looked at; a ClientHello of a browser has 2 KiB, a request line seldom more than 8."""
_MAX_RECORDS: Final = 8
"""Records that a ClientHello is looked for in; it fits into one."""
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0
_NAME: Final = re.compile(rb"[A-Za-z0-9._-]{1,255}")
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}"
_METHOD: Final = re.compile(rb"%b( |$)" % _TOKEN)
_REQUEST_LINE: Final = re.compile(rb"%b \S+ HTTP/1\.[01]\r?\n" % _TOKEN)


class FirstBytes:
    """What a client begins with, as far as it was received.

    Attributes:
        data: the bytes.
    """

    def __init__(self) -> None:
        self.data = b""

    async def receive(self, transport: trio.abc.Stream) -> None:
        """Receives until it is known what the client speaks: a whole ClientHello, a whole request line, or neither.

        Cancelled: what was received is in `data`.

        Raises:
            trio.BrokenResourceError: the transport broke.
        """
        while self._is_open():
            more = await transport.receive_some(_READ_SIZE)
            if not more:
                return
            self.data += more

    def _is_open(self) -> bool:
        data = self.data
        if not data:
            return True
        if len(data) > _MAX_SIZE:
            return False
        if data[0] == _HANDSHAKE:
            return _handshake_message(data) is None
        if len(data) < len(PREFACE) and PREFACE.startswith(data):
            return True
        return b"\n" not in data and _METHOD.match(data) is not None and not self.is_http2

    @property
    def in_clear_text(self) -> bool:
        """Whether this is HTTP without TLS, of any version."""
        return self.is_http2 or _REQUEST_LINE.match(self.data) is not None

    @property
    def is_http2(self) -> bool:
        """Whether this is HTTP/2 without TLS."""
        return self.data.startswith(PREFACE)

    @property
    def server_name(self) -> str | None:
        """The name that the client asks for (RFC 6066 §3), in lower case; ``None`` without one."""
        message = _handshake_message(self.data)
        if not message:
            return None
        try:
            return _server_name(_Bytes(message))
        except _TooShortError:
            return None


class _TooShortError(Exception):
    """There is less than a length says."""


class _Bytes:
    """Bytes that are read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        if len(self._data) - self._at < size:
            raise _TooShortError
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Bytes:
        """Takes what has its length before it, in so many bytes."""
        return _Bytes(self.take(self.number(size)))


def _handshake_message(data: bytes) -> bytes | None:
    """Returns the first message of the handshake, without its head; ``None`` if more must come, empty if it is none."""
    records, message = _Bytes(data), b""
    try:
        for _ in range(_MAX_RECORDS):
            if records.number(1) != _HANDSHAKE:
                return b""
            records.take(2)  # §5.1: the version of the record layer "MUST be ignored for all purposes"
            message += records.take(records.number(2))
            if message and message[0] != _CLIENT_HELLO:
                return b""
            size = int.from_bytes(message[1:4], "big")
            if len(message) >= 4 + size:
                return message[4 : 4 + size]
    except _TooShortError:
        return None
    return b""


def _server_name(hello: _Bytes) -> str | None:
    hello.take(2 + 32)  # legacy_version, random
    hello.vector(1)  # legacy_session_id
    hello.vector(2)  # cipher_suites
    hello.vector(1)  # legacy_compression_methods
    extensions = hello.vector(2)
    while extensions:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            names = body.vector(2)
            while names:
                kind, name = names.number(1), names.take(names.number(2))
                if kind == _HOST_NAME:
                    return name.decode("ascii").lower() if _NAME.fullmatch(name) else None
    return None
