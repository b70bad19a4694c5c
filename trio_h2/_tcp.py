"""What the system watches TCP connections for: probes of a silent peer's host, and a limit for what it leaves."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from typing import Protocol

    class Watch(Protocol):
        """How a silent peer is probed: see the fields of the same names of `SessionConfig`."""

        @property
        def tcp_keepalive_idle(self) -> float: ...
        @property
        def tcp_keepalive_interval(self) -> float: ...
        @property
        def tcp_keepalive_count(self) -> int: ...


_MAX_SECONDS: Final = 32_767
"""What Linux takes for the times between probes."""
_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # macOS has another name for it
_INTERVAL = getattr(socket, "TCP_KEEPINTVL", None)
_COUNT = getattr(socket, "TCP_KEEPCNT", None)
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


def probe_when_silent(connection: trio.SocketStream, watch: Watch) -> None:
    """Has the system probe whether the peer's host is there (SO_KEEPALIVE), unless that is off.

    What the system does not know is left out, and so is a connection that has broken already.
    """
    if watch.tcp_keepalive_idle < math.inf:
        _set(connection, socket.IPPROTO_TCP, _IDLE, _seconds(watch.tcp_keepalive_idle))
        _set(connection, socket.IPPROTO_TCP, _INTERVAL, _seconds(watch.tcp_keepalive_interval))
        _set(connection, socket.IPPROTO_TCP, _COUNT, watch.tcp_keepalive_count)
        _set(connection, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def set_user_timeout(connection: trio.SocketStream, seconds: float) -> None:
    """How long the peer's host may leave what was sent (TCP_USER_TIMEOUT), where the system has that.

    Args:
        connection: over TCP.
        seconds: `math.inf` leaves it to the system.
    """
    milliseconds = math.ceil(min(seconds * 1000, 2**31 - 1)) if seconds < math.inf else 0
    _set(connection, socket.IPPROTO_TCP, _USER_TIMEOUT, milliseconds)


def reset_when_closed(connection: trio.SocketStream) -> None:
    """Has TCP tell the other side a reset when the connection is closed, so that it does not take what it has for all.

    Args:
        connection: over TCP; another one, or one that has broken already, is left as it is.
    """
    with contextlib.suppress(OSError, trio.ClosedResourceError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _seconds(seconds: float) -> int:
    """Returns whole seconds, as the system wants them."""
    return math.ceil(min(seconds, _MAX_SECONDS))


def _set(connection: trio.SocketStream, level: int, option: int | None, value: int) -> None:
    if option is not None:
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            connection.setsockopt(level, option, value)
