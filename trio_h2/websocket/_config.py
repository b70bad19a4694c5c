"""What a WebSocket may do: sizes and times, and how it compresses."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketConfig:
    """Limits and timeouts of a WebSocket. Sizes are octets, times seconds (`math.inf` = off).

    Raises:
        TypeError, ValueError: a value is not allowed.
    """

    max_message_size: int = 1024 * 1024
    """The largest message that is received, counted after it was inflated; a larger one ends the WebSocket (1009)."""
    close_timeout: float = 5.0
    """How long the closing handshake may take, before the stream is reset."""
    keepalive_interval: float = math.inf
    """How often a ping is sent. The HTTP/2 session has pings of its own, which do not pass through proxies."""
    keepalive_timeout: float = 20.0
    """How long nothing at all may come after such a ping, before the WebSocket is given up."""
    close_on_drain: bool = True
    """Whether a server's WebSocket is closed (1001) when its session begins to shut down."""

    def __post_init__(self) -> None:
        if isinstance(self.max_message_size, bool) or not isinstance(self.max_message_size, int):
            raise TypeError(f"max_message_size must be an int, not {self.max_message_size!r}")
        if not 1 <= self.max_message_size < 2**31:
            raise ValueError(f"max_message_size must be in 1..{2**31 - 1}, not {self.max_message_size}")
        for name in ("close_timeout", "keepalive_interval", "keepalive_timeout"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError(f"{name} must be a number of seconds, not {seconds!r}")
            if not seconds > 0:
                raise ValueError(f"{name} must be more than 0 seconds, not {seconds}")
        if not isinstance(self.close_on_drain, bool):
            raise TypeError(f"close_on_drain must be True or False, not {self.close_on_drain!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflate:
    """Compression of messages: permessage-deflate (RFC 7692), if the other side can do it, too.

    Do not compress messages in which a secret stands beside something that an attacker can choose: their length tells.

    Raises:
        TypeError, ValueError: a value is not allowed.
    """

    max_window_bits: int = 12
    """How far back a message may refer, as a power of two (9 … 15), for what is sent and, if the peer agrees, for what
    is received. More compresses better, and takes memory: about 50 KiB for a WebSocket with 12, 200 KiB with 15."""
    context_takeover: bool = True
    """Whether a message may refer to those before it; without that, nothing is kept between messages."""

    def __post_init__(self) -> None:
        if isinstance(self.max_window_bits, bool) or not isinstance(self.max_window_bits, int):
            raise TypeError(f"max_window_bits must be an int, not {self.max_window_bits!r}")
        if not 9 <= self.max_window_bits <= 15:
            raise ValueError(f"max_window_bits must be in 9..15, not {self.max_window_bits}")
        if not isinstance(self.context_takeover, bool):
            raise TypeError(f"context_takeover must be True or False, not {self.context_takeover!r}")
