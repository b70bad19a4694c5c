"""TCP's own keep-alive: how the system finds out that a host is gone which has said nothing.

A PING asks the peer's program, and some servers take many PINGs for an attack; these probes ask its system only, and
cost the peer nothing.
"""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING

from .._stream._proxied import socket_below
from .._tcp import probe_when_silent, set_user_timeout

if TYPE_CHECKING:
    import trio

    from .._wire._config import SessionConfig

_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def keep_alive(transport: trio.abc.Stream, config: SessionConfig) -> None:
    """Has the system watch a TCP connection, as *config* says; does nothing to other transports.

    What the system does not know is left out, and so is a connection that has broken already.
    """
    stream = _tcp_below(transport)
    if stream is not None:
        probe_when_silent(stream, config)
        if config.tcp_user_timeout < math.inf:
            set_user_timeout(stream, config.tcp_user_timeout)


def let_peer_pause(transport: trio.abc.Stream) -> None:
    """Takes ``tcp_user_timeout`` back: with HTTP/1.1, a client pauses a download by taking nothing, and may live."""
    stream = _tcp_below(transport)
    if stream is not None:
        set_user_timeout(stream, math.inf)


def _tcp_below(transport: trio.abc.Stream) -> trio.SocketStream | None:
    stream = socket_below(transport)
    return stream if stream is not None and stream.socket.family in _TCP_FAMILIES else None
