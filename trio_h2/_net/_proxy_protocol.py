"""The PROXY protocol, versions 1 and 2: how a load balancer tells whose connection it passes on.

Its specification is "The PROXY protocol" by Willy Tarreau. The header comes before everything else, TLS included. Who
may connect here may say what it likes in it: it is for servers that only the load balancer can reach.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

import trio

from .._errors import HandshakeError
from .._stream._proxied import ProxiedStream, ProxyHeader
from .._wire._codes import Initiator

if TYPE_CHECKING:
    from .._wire._config import ServerConfig

SIGNATURE_1: Final = b"PROXY "
SIGNATURE_2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_LINE: Final = 107
"""Bytes of the longest line of version 1, its end included (section 2.1)."""
_FIXED: Final = 16
"""Bytes of version 2 before the addresses (section 2.2)."""
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6, _UNIX = 0x11, 0x21, 0x31
_SIZES: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216}
_UNKNOWN = ProxyHeader(None, None)
_READ_SIZE: Final = 64 * 1024


class _MalformedError(Exception):
    """These bytes are no header."""


async def accept_proxied(transport: trio.abc.Stream, config: ServerConfig) -> ProxiedStream:
    """Receives the header, be it byte by byte.

    Cancelled: some of it is gone, so *transport* must be closed.

    Raises:
        HandshakeError: there was none, not within ``handshake_timeout``, or a malformed one. *transport* is closed.
    """
    try:
        return await _receive(transport, config)
    except BaseException:
        with trio.move_on_after(config.close_timeout, shield=True):
            await trio.aclose_forcefully(transport)
        raise


async def _receive(transport: trio.abc.Stream, config: ServerConfig) -> ProxiedStream:
    data = b""
    with trio.move_on_after(config.handshake_timeout):
        while True:
            try:
                more = await transport.receive_some(_READ_SIZE)
            except trio.BrokenResourceError as exc:
                raise HandshakeError("the connection broke in its PROXY header", initiator=Initiator.REMOTE) from exc
            if not more:
                raise HandshakeError("the connection ended in its PROXY header", initiator=Initiator.REMOTE)
            data += more
            try:
                parsed = parse(data)
            except _MalformedError as exc:
                reason = f"the connection does not begin with a header of the PROXY protocol: {exc}"
                raise HandshakeError(reason, initiator=Initiator.REMOTE) from None
            if parsed is not None:
                header, size = parsed
                return ProxiedStream(transport, header, data[size:])
    seconds = config.handshake_timeout
    raise HandshakeError(f"no whole PROXY header came within {seconds:g} seconds", initiator=Initiator.LIBRARY)


def parse(data: bytes) -> tuple[ProxyHeader, int] | None:
    """Reads a header.

    Returns:
        What it says, and its size in bytes; ``None`` if more has to come.

    Raises:
        _MalformedError: nothing that could come would make it one.
    """
    if data[: len(SIGNATURE_2)] == SIGNATURE_2[: len(data)]:
        return _parse_2(data)
    if data[: len(SIGNATURE_1)] == SIGNATURE_1[: len(data)]:
        return _parse_1(data)
    raise _MalformedError(f"{data[:16]!r}")


def _parse_1(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\r\n", 0, MAX_LINE)
    if end < 0:
        if len(data) >= MAX_LINE:
            raise _MalformedError("a line that does not end")
        return None
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        # Section 2.1: "the receiver must ignore anything presented before the CRLF is found."
        return _UNKNOWN, end + 2
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise _MalformedError(f"{data[:end]!r}")
    family = IPv4Address if words[1] == b"TCP4" else IPv6Address
    try:
        source, destination = (str(family(word.decode("ascii"))) for word in words[2:4])
        ports = [_port(word) for word in words[4:]]
    except (AddressValueError, ValueError):
        raise _MalformedError(f"{data[:end]!r}") from None
    return ProxyHeader((source, ports[0]), (destination, ports[1])), end + 2


def _port(word: bytes) -> int:
    if not word.isdigit() or (len(word) > 1 and word.startswith(b"0")) or int(word) > 65_535:
        raise ValueError(word)
    return int(word)


def _parse_2(data: bytes) -> tuple[ProxyHeader, int] | None:
    if len(data) < _FIXED:
        return None
    command, family, size = struct.unpack_from("!BBH", data, len(SIGNATURE_2))
    if command not in (_LOCAL, _PROXY):
        raise _MalformedError(f"version and command are {command:#x}")
    known = _SIZES.get(family) if command == _PROXY else None
    if known is not None and size < known:
        raise _MalformedError(f"{size} bytes are too few for addresses of family {family:#x}")
    if len(data) < _FIXED + size:
        return None
    block = data[_FIXED : _FIXED + (known or 0)]
    # LOCAL is the load balancer itself, as in a health check. Of other families, and of what follows the addresses,
    # section 2.2 says that the receiver may ignore it.
    return (_UNKNOWN if known is None else _addresses(family, block)), _FIXED + size


def _addresses(family: int, block: bytes) -> ProxyHeader:
    if family == _UNIX:
        source, destination = (part.partition(b"\0")[0] for part in (block[:108], block[108:]))
        return ProxyHeader(source or None, destination or None)
    kind, width = (socket.AF_INET, 4) if family == _TCP4 else (socket.AF_INET6, 16)
    hosts = [socket.inet_ntop(kind, block[at : at + width]) for at in (0, width)]
    ports = struct.unpack_from("!HH", block, 2 * width)
    return ProxyHeader((hosts[0], ports[0]), (hosts[1], ports[1]))
