"""What a WebSocket may do: sizes and times, and how it compresses."""

from __future__ import annotations

from dataclasses import dataclass

from .._checks import check_bool, check_int, check_timeout
from .._field_docs import describe_fields


@describe_fields
@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketConfig:
    """Limits and timeouts of a WebSocket. Sizes are bytes, times seconds; 0, ``None`` and `math.inf` turn a time off,
    but for ``keepalive_interval``, where ``None`` leaves it to the HTTP version.

    Raises:
        TypeError, ValueError: a value is not allowed.
    """

    max_message_size: int = 1024 * 1024
    """The bytes of the largest message that is received, counted after it was inflated; a larger one ends the WebSocket
    (1009)."""
    max_fragments: int = 16_384
    """How many fragments a message may come in, empty ones included; more end the WebSocket (1008)."""
    close_timeout: float = 5.0
    """Seconds: how long the closing handshake may take, before the stream is reset."""
    keepalive_interval: float | None = None
    """Seconds: how often a ping is sent. By default every 30 s over HTTP/1.1, where nothing else tells that a peer has
    vanished and proxies cut what is silent for a minute; never over HTTP/2, whose sessions have pings of their own.
    Those do not pass through proxies, however."""
    keepalive_timeout: float = 20.0
    """Seconds: how long nothing at all may come after such a ping was written, before the WebSocket is given up."""
    close_on_drain: bool = True
    """Whether a server's WebSocket is closed (1001) when its session begins to shut down."""

    def __post_init__(self) -> None:
        check_int("max_message_size", self.max_message_size, 1, 2**31 - 1)
        check_int("max_fragments", self.max_fragments, 1, 2**31 - 1)
        names = ["close_timeout", "keepalive_timeout"]
        if self.keepalive_interval is not None:
            names.append("keepalive_interval")
        for name in names:
            object.__setattr__(self, name, check_timeout(name, getattr(self, name)))
        check_bool("close_on_drain", self.close_on_drain)


@describe_fields
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
        check_int("max_window_bits", self.max_window_bits, 9, 15)
        check_bool("context_takeover", self.context_takeover)
