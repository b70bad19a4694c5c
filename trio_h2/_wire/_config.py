"""Limits and timeouts of a session, with the defaults of each role; validated once, when they are made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .._checks import check_bool, check_grace, check_int, check_networks, check_seconds, check_timeout
from .._field_docs import describe_fields
from .._trace._instrument import Instrument
from .._values import Value
from ._padding import PaddingStrategy

_C = TypeVar("_C", bound="SessionConfig")

MIB = 1024 * 1024
MAX_WINDOW = 2**31 - 1
"""RFC 9113 §6.9.1: "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets." """
TRUSTED_UNIX = "unix"
"""The word for whoever connects to a Unix socket, in ``trusted_proxies``."""
FORWARDED_FIELDS = (None, "x-forwarded", "forwarded")
DEFAULT_WINDOW = 65_535
"""RFC 9113 §6.9.2: the window of a new connection, and of a stream until SETTINGS say otherwise."""


def _check_int(config: SessionConfig, low: int, high: int, *names: str) -> None:
    for name in names:
        check_int(name, getattr(config, name), low, high)


def _check_timeouts(config: SessionConfig, *names: str) -> None:
    """Checks timeouts, which 0 and ``None`` turn off."""
    for name in names:
        object.__setattr__(config, name, check_timeout(name, getattr(config, name)))


def _check_graces(config: SessionConfig, *names: str) -> None:
    """Checks times that something still gets: 0 is none, and ``None`` no limit."""
    for name in names:
        value: object = getattr(config, name)
        object.__setattr__(config, name, math.inf if value is None else check_grace(name, value))


def _check_numbers(config: SessionConfig, unit: str, *names: str) -> None:
    for name in names:
        check_seconds(name, getattr(config, name), unit)


def _check_instruments(given: object) -> tuple[Instrument, ...]:
    """Returns them as a tuple.

    Raises:
        TypeError: they are something else.
    """
    if isinstance(given, Instrument):
        raise TypeError(f"instruments must be several, like ({given!r},): one alone needs the comma")
    if not isinstance(given, Iterable):
        raise TypeError(f"instruments must be an iterable of Instrument, not {given!r}")
    found: list[Instrument] = []
    for one in given:
        if not isinstance(one, Instrument):
            raise TypeError(f"instruments must be made of Instrument, not {one!r}")
        found.append(one)
    return tuple(found)


@describe_fields
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SessionConfig(Value):
    """What `ClientConfig` and `ServerConfig` have in common. Sizes are bytes, timeouts seconds.

    Timeouts are turned off by 0, ``None`` and `math.inf`, and read as `math.inf` then. Of the times that something
    still gets, which their descriptions call a grace, 0 gives none at all, and ``None`` and `math.inf` set no limit.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a value is out of range, or the windows do not fit the receive budget.
    """

    stream_window: int = 128 * 1024
    """SETTINGS_INITIAL_WINDOW_SIZE: the bytes that a peer may send on one stream before the application reads."""
    receive_budget: int = 0
    """The hard bound of received, unread body bytes of one session; also its connection window. 0: it
    follows from the windows that must fit: 32 MiB, or more if ``max_concurrent_streams`` x ``stream_window`` is."""
    max_frame_size: int = 16_384
    """SETTINGS_MAX_FRAME_SIZE: the bytes of the largest frame payload the peer may send."""
    max_header_list_size: int = 65_535
    """SETTINGS_MAX_HEADER_LIST_SIZE: uncompressed bytes of one header list, 32 added per field. The 1xx responses
    to one request may have so many together."""
    max_header_fields: int = 128
    """Fields of one header list, pseudo-headers included."""
    header_table_size: int = 4096
    """SETTINGS_HEADER_TABLE_SIZE: the bytes of the HPACK table for what we receive."""
    max_encoder_table_size: int = 4096
    """The bytes of the HPACK table for what we send, whatever larger one the peer allows."""
    max_session_memory: int | None = None
    """Held + queued + header-block bytes + tables; above it new streams are refused. ``None``: budget + 16 MiB."""
    max_send_header_block_length: int | None = None
    """Compressed bytes of one header block that we send; a larger one fails its stream, see `FrameError`. ``None``: no
    limit. Not measured is what the library answers by itself, with 100, 431 or 500."""
    padding: PaddingStrategy = PaddingStrategy.NONE
    """How HEADERS, PUSH_PROMISE and DATA are padded."""
    peer_max_concurrent_streams: int = 100
    """Streams of ours that may be open at once until the peer's SETTINGS name a number: requests, or pushes."""
    max_queued_control: int = 64 * 1024
    """Control bytes waiting for the transport above which `respond` and its like wait."""
    max_queued_replies: int = 1000
    """PING and SETTINGS acknowledgements, resets and such waiting for a peer that does not read them. How many may be
    asked for in one burst is not limited by this, but by ``overhead_burst`` and ``reset_burst``."""
    max_outstanding_pings: int = 10
    """`Session.ping` calls without an answer; one more raises."""
    reset_burst: int = 1000
    """Streams reset by the peer, or by its mistakes, that are tolerated at once (rapid reset, MadeYouReset)."""
    reset_rate: float = 33.0
    """Further such resets tolerated per second."""
    overhead_burst: int = 10_000
    """Frames that move nothing forward (PING, SETTINGS, PRIORITY, empty DATA …) tolerated at once. A frame of more than
    64 bytes counts as several."""
    overhead_rate: float = 1000.0
    """Further such frames tolerated per second."""
    handshake_timeout: float = 10.0
    """Seconds from the transport's start to the peer's preface and SETTINGS; for TLS, its handshake."""
    settings_timeout: float = 10.0
    """Seconds from our SETTINGS to their acknowledgement."""
    ping_interval: float = 60.0
    """Seconds of silence of the peer after which a keep-alive PING is sent."""
    ping_timeout: float = 20.0
    """Seconds of silence after that PING, or one of `Session.ping`, which ends the session."""
    tcp_keepalive_idle: float = 45.0
    """Seconds of silence on a TCP connection after which the system begins to probe whether the peer's host is there
    (SO_KEEPALIVE); 0 leaves that off. This and the next three are for the sockets that `connect` opens and a
    server accepts, as far as the system has them. The system counts whole seconds."""
    tcp_keepalive_interval: float = 15.0
    """Seconds from one such probe to the next; more than 0."""
    tcp_keepalive_count: int = 3
    """So many probes without an answer break the connection."""
    tcp_user_timeout: float = 90.0
    """Seconds that the peer's host may leave what was sent without acknowledgement, or take nothing, before the system
    breaks the connection (TCP_USER_TIMEOUT). HTTP/1.1 is exempt, where a client may pause so."""
    idle_timeout: float = math.inf
    """Seconds without a stream after which the session ends gracefully."""
    stream_idle_timeout: float = math.inf
    """Seconds without a frame on a stream after which it is reset with CANCEL, see `Stream.idle_timeout`."""
    drain_timeout: float = 30.0
    """Seconds: the grace that `aclose()` gives running streams."""
    close_timeout: float = 1.0
    """Seconds: how long GOAWAY and the transport's own goodbye may take when a session ends; more than 0, or nothing
    could be said."""
    linger_timeout: float = 5.0
    """Seconds, a grace after `Stream.aclose()`: how long the peer may take to end its side before RST_STREAM."""
    instruments: Sequence[Instrument] = ()
    """What looks at the sessions: `trio_h2.instruments` has some, and your own are made from `Instrument`. They are
    kept as a tuple. Without any, nothing is paid for them."""
    _budget_follows: bool = dataclasses.field(default=False, init=False, repr=False, compare=False)
    """Whether the receive budget was not given; `evolve` then works it out anew."""

    def __post_init__(self) -> None:
        _check_int(self, 0, MAX_WINDOW, "stream_window")
        _check_int(self, 16_384, 2**24 - 1, "max_frame_size")
        _check_int(self, 0, 2**32 - 1, "max_header_list_size", "header_table_size")
        _check_int(self, 4, 2**31, "max_header_fields")
        _check_int(self, 0, 1024 * 1024, "max_encoder_table_size")
        if self.max_session_memory is not None:
            _check_int(self, 1, 2**63, "max_session_memory")
        if self.max_send_header_block_length is not None:
            _check_int(self, 1, 2**31, "max_send_header_block_length")
        if not isinstance(self.padding, PaddingStrategy):
            raise TypeError(f"padding must be a PaddingStrategy, not {self.padding!r}")
        _check_int(self, 1, 2**31, "max_queued_control", "max_queued_replies", "reset_burst", "overhead_burst")
        _check_int(self, 1, 2**31, "max_outstanding_pings")
        _check_int(self, 1, 2**32 - 1, "peer_max_concurrent_streams")
        _check_timeouts(self, "handshake_timeout", "settings_timeout", "ping_interval", "ping_timeout")
        _check_timeouts(self, "idle_timeout", "stream_idle_timeout", "tcp_keepalive_idle", "tcp_user_timeout")
        _check_graces(self, "drain_timeout", "linger_timeout")
        _check_numbers(self, "frames per second", "reset_rate", "overhead_rate")
        _check_numbers(self, "seconds", "close_timeout", "tcp_keepalive_interval")
        _check_int(self, 1, 127, "tcp_keepalive_count")
        object.__setattr__(self, "instruments", _check_instruments(self.instruments))
        if self.receive_budget == 0 and not isinstance(self.receive_budget, bool):
            object.__setattr__(self, "_budget_follows", True)
            object.__setattr__(self, "receive_budget", min(self._fitting_budget(), MAX_WINDOW))
        _check_int(self, DEFAULT_WINDOW, MAX_WINDOW, "receive_budget")
        streams = self.guaranteed_streams
        if streams * self.stream_window > self.receive_budget:
            raise ValueError(
                f"max_concurrent_streams {streams} x stream_window {self.stream_window} = "
                f"{streams * self.stream_window} bytes is more than the receive_budget of {self.receive_budget}: "
                f"stalled streams could starve the others"
            )

    def _fitting_budget(self) -> int:
        """Returns the receive budget (bytes) that the other values ask for."""
        return max(32 * MIB, self.stream_window)

    @property
    def guaranteed_streams(self) -> int:
        """The number of streams whose initial window the receive budget must cover."""
        return 1

    @property
    def session_memory(self) -> int:
        """`max_session_memory` with its default filled in, in bytes."""
        if self.max_session_memory is not None:
            return self.max_session_memory
        return self.receive_budget + 16 * MIB

    def named(self, option: str, value: int | None = None) -> str:
        """Returns an option as reasons name it: its value, or *value* if that has changed, and where it is set."""
        return f"{option}={getattr(self, option) if value is None else value} ({self.where})"

    def timeout(self, option: str) -> str:
        """The same of a timeout."""
        return f"{option}={getattr(self, option):g} s ({self.where})"

    @property
    def where(self) -> str:
        """Where its options are set, as reasons tell it."""
        return f"set in {type(self).__name__}"

    def evolve(self: _C, **changes: object) -> _C:
        """Returns a copy with some values changed, validated like a new one.

        A receive budget that was not given follows the change.
        """
        if self._budget_follows:
            changes.setdefault("receive_budget", 0)
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # validated by __post_init__


@describe_fields
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ServerConfig(SessionConfig):
    """Limits and timeouts of server sessions. Sizes are bytes, timeouts seconds; `SessionConfig` says what 0 means."""

    max_concurrent_streams: int = 128
    """SETTINGS_MAX_CONCURRENT_STREAMS; running handlers count, even when their stream is gone."""
    idle_timeout: float = 120.0
    """Seconds without a stream after which the session ends gracefully."""
    max_session_invalid_frames: int = 1000
    """Frames with a mistake that cost the client a stream; after so many on one session, the next one ends it."""
    max_session_rejected_streams: int = 100
    """Streams refused because there were too many, or too much memory was used; after so many, the next one ends the
    session. Those that the client opens before it has acknowledged our SETTINGS do not count."""
    handler_timeout: float = math.inf
    """Seconds: how long one handler may run before its stream is reset with CANCEL."""
    goaway_timeout: float = 2.0
    """Seconds, a grace: how long the client may take to answer the PING of a drain, before the GOAWAY that refuses
    further streams goes out without an answer."""
    handler_wait_timeout: float = 1.0
    """Seconds, a grace: how long a request may wait for a handler whose stream is gone to end, before it is refused."""
    body_timeout: float = 120.0
    """Seconds: how long nothing may come of the body of a request, though there is room for it, before it is answered
    with 408 and given up. Over HTTP/2, that counts until the response has begun; a stream with an ``idle_timeout`` has
    that instead, and tunnels have none. Calls of gRPC that stream their requests slowly want more."""
    upload_grace_bytes: int = 256 * 1024
    """How much of a request that nobody reads is still received, and thrown away, when its response has ended, before
    RST_STREAM(NO_ERROR) refuses the rest: clients that are busy sending would lose the response. 0 refuses it at once.
    Over HTTP/1.1 the connection closes after so many bytes."""
    upload_grace_timeout: float = 1.0
    """Seconds, a grace: how long it is received, see ``upload_grace_bytes``; over HTTP/1.1 ``linger_timeout``
    counts."""
    send_date: bool = True
    """Whether responses carry a ``date`` field."""
    auto_continue: bool = True
    """Whether the first wait for the body of a request sends the 100 that its client waits for (RFC 9110 §10.1.1).
    Otherwise only `ServerStream.send_continue` does, or ``write_continue`` of a response; a handler that waits for the
    body without it waits until the client has lost its patience."""
    enable_connect_protocol: bool = False
    """SETTINGS_ENABLE_CONNECT_PROTOCOL: whether clients may send an extended CONNECT (RFC 8441), as for WebSocket."""
    last_request_timeout: float = 1.0
    """Seconds, a grace while a server shuts down: how long an HTTP/1.1 connection without a request may take to begin
    one more, and a connection in its handshake to finish it. 0 closes them at once."""
    allow_half_open: bool = False
    """Over HTTP/1.1 without TLS: whether a client that ends its side still waits for its response, as ``nc`` does.
    Otherwise it has left, as a client behind a proxy has whose connection the proxy closes, and its handler is
    cancelled. Over TLS, which cannot end one side alone, it always has left."""
    max_connections: int | None = None
    """Connections that a server serves at once, of whatever kind and those in their handshake included; further ones
    wait to be accepted, and are refused by nobody but the system when ``backlog`` of them wait. ``None``: no limit."""
    unknown_protocol_timeout: float = 10.0
    """Seconds: how long ``on_unknown_protocol`` may take before its connection is closed."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks or addresses of proxies, such as ``"10.0.0.0/8"``, and ``"unix"`` for whoever connects to a Unix socket:
    on their connections ``X-Forwarded-For``, ``X-Forwarded-Proto`` and ``Forwarded`` (RFC 7239) tell
    `ServerStream.peer_address` and `ServerStream.scheme`. From others these fields are fields like any other. Any
    iterable is taken."""
    forwarded_field: str | None = None
    """Which of them count: ``"x-forwarded"`` or ``"forwarded"``, the ones that the proxies write. ``None``: those that
    are there; where both are, as far as they agree, for a proxy may pass on the other kind as a client made it up."""

    def __post_init__(self) -> None:
        _check_int(self, 0, 2**32 - 1, "max_concurrent_streams")
        if self.max_connections is not None:
            _check_int(self, 1, 2**31, "max_connections")
        _check_timeouts(self, "handler_timeout", "unknown_protocol_timeout", "body_timeout")
        _check_graces(self, "goaway_timeout", "handler_wait_timeout", "upload_grace_timeout", "last_request_timeout")
        _check_int(self, 0, 2**31, "max_session_invalid_frames", "max_session_rejected_streams", "upload_grace_bytes")
        object.__setattr__(
            self, "trusted_proxies", check_networks("trusted_proxies", self.trusted_proxies, TRUSTED_UNIX)
        )
        if self.forwarded_field not in FORWARDED_FIELDS:
            raise ValueError(
                f"forwarded_field must be 'x-forwarded', 'forwarded' or None, not {self.forwarded_field!r}"
            )
        check_bool("auto_continue", self.auto_continue)
        check_bool("enable_connect_protocol", self.enable_connect_protocol)
        check_bool("allow_half_open", self.allow_half_open)
        SessionConfig.__post_init__(self)

    def _fitting_budget(self) -> int:
        return max(32 * MIB, self.max_concurrent_streams * self.stream_window)

    @property
    def guaranteed_streams(self) -> int:
        """The number of streams whose initial window the receive budget must cover."""
        return self.max_concurrent_streams


@describe_fields
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ClientConfig(SessionConfig):
    """Limits and timeouts of client sessions. Sizes are bytes, timeouts seconds; `SessionConfig` says what 0 means."""

    stream_window: int = 512 * 1024
    """SETTINGS_INITIAL_WINDOW_SIZE: the bytes that the server may send on one stream before the application reads."""
    receive_budget: int = 0
    """The hard bound of received, unread body bytes of one session; also its connection window. 0: it
    follows from the windows that must fit: 64 MiB, or more if ``peer_max_concurrent_streams`` x ``stream_window`` or
    the windows of all pushes are."""
    max_reserved_remote_streams: int = 200
    """Pushed streams that may be promised without having a response yet; promises over it are refused."""
    max_concurrent_pushes: int = 16
    """SETTINGS_MAX_CONCURRENT_STREAMS, which is sent only when push is on: pushed streams that may be open at once.
    The receive budget keeps room for as many windows."""
    ping_interval: float = 300.0
    """Seconds of silence of the server, while streams are open or a request waits for one, after which a keep-alive
    PING is sent. Unless they are told otherwise, gRPC servers end sessions with ENHANCE_YOUR_CALM ("too_many_pings") if
    PINGs come more often than every 300 s. A host that is gone is found earlier by ``tcp_keepalive_idle``."""
    ping_timeout: float = 15.0
    """Seconds of silence after that PING, or one of `Session.ping`, which ends the session."""
    rfc7540_priorities: bool = False
    """Whether ``weight``, ``depends_on`` and ``exclusive`` may be sent. Without it, SETTINGS_NO_RFC7540_PRIORITIES
    tells the server that they are not used (RFC 9218 §2.1), and it ignores them."""
    expect_continue_timeout: float = 1.0
    """Seconds: how long a request with ``expect_continue=True`` holds its body for the server's 100 before it sends it
    anyway: many servers and proxies never send one. Off, it waits for an answer of whatever kind."""
    cancel_burst: int = 800
    """Requests that may be given up with RST_STREAM at once; after them, new ones wait so that no more than
    ``cancel_rate`` per second are given up. Servers end a session over more than they tolerate: nghttp2, Node and this
    library over 1000 at once and 33 per second."""
    cancel_rate: float = 30.0
    """Further ones per second (`math.inf` = requests never wait for that)."""

    def __post_init__(self) -> None:
        _check_int(self, 0, 2**31, "max_reserved_remote_streams")
        _check_timeouts(self, "expect_continue_timeout")
        _check_int(self, 1, 2**31, "cancel_burst")
        _check_numbers(self, "requests per second", "cancel_rate")
        check_bool("rfc7540_priorities", self.rfc7540_priorities)
        _check_int(self, 0, 2**32 - 1, "max_concurrent_pushes")
        SessionConfig.__post_init__(self)

    def check_push(self) -> None:
        """Checks what counts only if the server may push.

        Raises:
            ValueError: the windows of one request and of all pushes do not fit the receive budget.
        """
        pushes, window = self.max_concurrent_pushes, self.stream_window
        if (1 + pushes) * window > self.receive_budget:
            raise ValueError(
                f"(1 request + max_concurrent_pushes {pushes}) x stream_window {window} = {(1 + pushes) * window} "
                f"bytes is more than the receive_budget of {self.receive_budget}: stalled pushes could starve the "
                f"requests"
            )

    def _fitting_budget(self) -> int:
        streams = max(self.peer_max_concurrent_streams, 1 + self.max_concurrent_pushes)
        return max(64 * MIB, streams * self.stream_window)

    @property
    def guaranteed_streams(self) -> int:
        """The number of streams whose initial window the receive budget must cover; more wait for a slot."""
        if self.stream_window == 0:
            return self.peer_max_concurrent_streams
        return max(1, min(self.peer_max_concurrent_streams, self.receive_budget // self.stream_window))
