"""TCP's own keep-alive: how the system finds out that a host is gone which has said nothing.

A PING asks the peer's program, and some servers take many PINGs for an attack; these probes ask its system only, and
cost the peer nothing.
"""

from __future__ import annotations

import contextlib
import math
import socket
from typing import TYPE_CHECKING

import trio

from .._stream._proxied import socket_below

if TYPE_CHECKING:
    from .._wire._config import SessionConfig

_MAX_SECONDS = 32_767
"""What Linux takes for the times between probes."""
_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # macOS has another name for it
_INTERVAL = getattr(socket, "TCP_KEEPINTVL", None)
_COUNT = getattr(socket, "TCP_KEEPCNT", None)
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


def keep_alive(transport: trio.abc.Stream, config: SessionConfig) -> None:
    """Has the system watch a TCP connection, as *config* says; does nothing to other transports.

    What the system does not know is left out, and so is a connection that has broken already.
    """
    stream = _tcp_below(transport)
    if stream is None:
        return
    options: list[tuple[int, int | None, int]] = []
    if config.tcp_keepalive_idle < math.inf:
        options += [
            (socket.IPPROTO_TCP, _IDLE, _seconds(config.tcp_keepalive_idle)),
            (socket.IPPROTO_TCP, _INTERVAL, _seconds(config.tcp_keepalive_interval)),
            (socket.IPPROTO_TCP, _COUNT, config.tcp_keepalive_count),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        ]
    if config.tcp_user_timeout < math.inf:
        options.append((socket.IPPROTO_TCP, _USER_TIMEOUT, math.ceil(min(config.tcp_user_timeout * 1000, 2**31 - 1))))
    for level, option, value in options:
        _set(stream, level, option, value)


def let_peer_pause(transport: trio.abc.Stream) -> None:
    """Takes ``tcp_user_timeout`` back: with HTTP/1.1, a client pauses a download by taking nothing, and may live."""
    stream = _tcp_below(transport)
    if stream is not None:
        _set(stream, socket.IPPROTO_TCP, _USER_TIMEOUT, 0)


def _tcp_below(transport: trio.abc.Stream) -> trio.SocketStream | None:
    stream = socket_below(transport)
    return stream if stream is not None and stream.socket.family in _TCP_FAMILIES else None


def _seconds(seconds: float) -> int:
    """Returns whole seconds, as the system wants them."""
    return math.ceil(min(seconds, _MAX_SECONDS))


def _set(stream: trio.SocketStream, level: int, option: int | None, value: int) -> None:
    if option is not None:
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            stream.setsockopt(level, option, value)
