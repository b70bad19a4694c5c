"""Server push as commands: promises that are sent, and what either side allows of them (RFC 9113 §8.4).

What a client must not accept is in `_receive_push.py`. As everywhere in the engine, callers have checked the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._codes import Role, SettingCode
from ._credit import CreditKeeper
from ._flow import StreamCredit
from ._state import Side, WireStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._config import SessionConfig
    from ._failure import SessionFailure
    from ._guard import Guard
    from ._headers import RawField
    from ._shutdown import Shutdown

HIGHEST_STREAM_ID = 2**31 - 1
LATE_FRAMES = 4
"""Frames that may honestly arrive for a stream when it has closed: WINDOW_UPDATE, RST_STREAM, trailers, PRIORITY."""


def nothing_else(scheme: bytes, authority: bytes) -> bool:
    """The server speaks for no other origin than that of the request which a push belongs to."""
    return False


class PushKeeper(CreditKeeper):
    """The part of an engine that is about pushed streams; `Engine` adds the rest."""

    role: Role
    config: SessionConfig
    shutdown: Shutdown
    guard: Guard
    failure: SessionFailure | None
    peer_settings: dict[int, int]
    max_streams: int

    def __init__(self, config: SessionConfig, *, received_pushes: int | None) -> None:
        super().__init__(config, received_pushes=received_pushes)
        self.authoritative: Callable[[bytes, bytes], bool] = nothing_else
        """Whether the server speaks for a ``:scheme`` and ``:authority``, beside the origin of the request that a
        push belongs to; set by those above (RFC 9113 §8.4, RFC 8336)."""

    @property
    def next_stream_id(self) -> int | None:
        """The id of the next stream of ours, or ``None`` when they are used up (RFC 9113 §5.1.1)."""
        highest = self.conn.highest_outbound_stream_id
        following = highest + 2 if highest else 1 if self.role is Role.CLIENT else 2
        return following if following <= HIGHEST_STREAM_ID else None

    @property
    def peer_max_streams(self) -> int:
        """How many streams of ours the peer lets us have open; what is assumed counts until its SETTINGS name a number.

        A client's are its requests, a server's its pushes without those that are only promised.
        """
        return self.peer_settings.get(SettingCode.MAX_CONCURRENT_STREAMS, self.config.peer_max_concurrent_streams)

    # -- on a server -----------------------------------------------------------------------------------------------

    @property
    def push_allowed(self) -> bool:
        """Whether a server may promise streams now: the client's newest ENABLE_PUSH, and it is not leaving.

        Our own GOAWAY is about streams of the client (RFC 9113 §6.8); whether this side is leaving is known above.
        """
        return (
            self.role is Role.SERVER
            and self.failure is None
            and not self.shutdown.peer_is_leaving
            and bool(self.peer_settings.get(SettingCode.ENABLE_PUSH, 1))
            and self.next_stream_id is not None
        )

    def can_promise_on(self, parent_id: int) -> bool:
        """Whether a promise may be sent on a stream.

        RFC 9113 §6.6: "PUSH_PROMISE frames MUST only be sent on a peer-initiated stream that is in either the "open" or
        "half-closed (remote)" state."
        """
        parent = self.streams.get(parent_id)
        return parent is not None and parent_id % 2 == 1 and parent.local is not Side.ENDED

    def has_push_slot(self) -> bool:
        """Whether the client lets us begin the response of one more promised stream now.

        RFC 9113 §8.4.2: "A client can use the SETTINGS_MAX_CONCURRENT_STREAMS setting to limit the number of responses
        that can be concurrently pushed by a server." Promises do not count (§5.1.2).
        """
        return len(self.pushes.open) < self.peer_max_streams

    def push(self, parent_id: int, method: bytes, fields: Sequence[RawField]) -> int:
        """Sends PUSH_PROMISE; the caller has seen `push_allowed` and `can_promise_on`.

        The promised stream takes the commands of a request's response; the first one needs `has_push_slot`.

        Returns:
            The id of the promised stream.
        """
        stream_id = self.next_stream_id
        assert stream_id is not None
        self.conn.promise(parent_id, stream_id, fields)
        stream = WireStream(stream_id, method, StreamCredit(self.initial_window))
        stream.remote = Side.ENDED
        self.reserve(stream)
        self.guard.progress(LATE_FRAMES)
        return stream_id

    # -- on both sides ---------------------------------------------------------------------------------------------

    def reserve(self, stream: WireStream) -> None:
        """A stream was promised."""
        stream.reserved = True
        self.streams[stream.id] = stream
        self.credits[stream.id] = stream.credit
        self.pushes.promise(stream.id)

    def begin_push(self, stream: WireStream) -> None:
        """The response of a promised stream begins, perhaps with an interim one: it counts as open from now on."""
        stream.reserved = False
        self.pushes.respond(stream.id)

    # -- on a client -----------------------------------------------------------------------------------------------

    def has_room_for_push(self) -> bool:
        """Whether the response of one more promised stream may begin: our own limit, and the receive budget.

        The budget has room for all pushes we allow, unless closed streams still hold too many unread octets.
        """
        streams = len(self.pushes.open) + 1
        return streams <= self.max_streams and self.budget.fits(self.requests + streams, self._largest_window)
