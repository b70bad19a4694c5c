"""Tells HTTP/2 from HTTP/1.1 by the first bytes of a cleartext connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .._errors import HandshakeError
from .._wire._codes import Initiator

if TYPE_CHECKING:
    from .._wire._config import ServerConfig

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113 §3.4: what a client begins with, "selected so that a large proportion of HTTP/1.1 or HTTP/1.0 servers and
intermediaries do not attempt to process further frames"."""
_READ_SIZE: Final = 64 * 1024


async def sniff(transport: trio.abc.Stream, config: ServerConfig) -> tuple[bool, bytes]:
    """Receives until it is known what the client speaks, be it byte by byte.

    Cancelled: what was received is gone, so *transport* must be closed.

    Returns:
        Whether it is HTTP/2, and what was received.

    Raises:
        HandshakeError: the client said nothing, or not enough, within ``handshake_timeout``, or the transport broke.
    """
    data = b""
    with trio.move_on_after(config.handshake_timeout) as scope:
        while len(data) < len(PREFACE) and PREFACE.startswith(data):
            try:
                more = await transport.receive_some(_READ_SIZE)
            except trio.BrokenResourceError as exc:
                raise HandshakeError(
                    "the connection broke before the first request", initiator=Initiator.REMOTE
                ) from exc
            if not more:
                raise HandshakeError("the client closed the connection at once", initiator=Initiator.REMOTE)
            data += more
    if scope.cancelled_caught:
        seconds = config.handshake_timeout
        raise HandshakeError(f"the client sent nothing for {seconds:g} seconds", initiator=Initiator.LIBRARY)
    return data.startswith(PREFACE), data
