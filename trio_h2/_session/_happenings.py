"""What happens to a session beside its streams, for those who want to know: typed events, and who listens.

Nothing is stored for a session without a subscriber. What a subscriber has not taken is bounded: the oldest happenings
make room for new ones, and are counted. Whoever must not miss anything uses the operations themselves: the errors they
raise do not depend on any of this.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._util import ConflictDetector, NoPublicConstructor, construct
from ._extensions import AltSvcReceived, OriginReceived

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from .._wire._codes import ErrorCode
    from .._wire._settings import Settings

DEFAULT_CAPACITY = 100


@dataclass(slots=True, frozen=True)
class FrameError:
    """A frame of ours could not be sent: a header block that is larger than ``max_send_header_block_length``.

    Its stream is reset, and the stream's operations raise `StreamResetError`; the session goes on. A request that was
    never given a stream has none to reset: the call raises `LocalProtocolError`, and nothing was sent. What belongs to
    no stream is measured before it is accepted, and refused with `ValueError`.
    """

    type: int
    """The type of the frame (RFC 9113 §6): 0x1 for HEADERS."""
    code: ErrorCode | int
    """What the RST_STREAM says, or would have said."""
    stream_id: int | None
    """The stream, which is over; ``None`` if the request was never given one."""


@dataclass(slots=True, frozen=True)
class GoAwayReceived:
    """The peer sent GOAWAY: it takes no streams above ``last_stream_id``; those up to it finish (RFC 9113 §6.8)."""

    last_stream_id: int
    code: ErrorCode | int
    debug_data: bytes
    """Whatever the peer wanted to tell; untrusted input."""


@dataclass(slots=True, frozen=True)
class LocalSettingsAcknowledged:
    """The peer acknowledged SETTINGS of ours, which are in force only now (RFC 9113 §6.5.3)."""

    changed: Settings
    """What that one SETTINGS frame said; all that is in force is `Session.local_settings`."""


@dataclass(slots=True, frozen=True)
class RemoteSettingsReceived:
    """SETTINGS of the peer arrived, were applied and acknowledged."""

    changed: Settings
    """What that one SETTINGS frame said; all that is in force is `Session.remote_settings`."""


@dataclass(slots=True, frozen=True)
class PingReceived:
    """The peer sent a PING, which has been answered already; answers to our own PINGs are no happenings."""

    payload: bytes


@dataclass(slots=True, frozen=True)
class SessionIdle:
    """Nothing happened for ``idle_timeout`` seconds; what comes of it is `Session.on_idle`'s to say."""

    idle_timeout: float


@dataclass(slots=True, frozen=True)
class SessionClosed:
    """The session is over; always the last happening."""

    error: Exception | None
    """What broke it, as `Session.wait_closed` raises it; ``None`` after a graceful end."""


SessionHappening: TypeAlias = (
    AltSvcReceived
    | FrameError
    | GoAwayReceived
    | LocalSettingsAcknowledged
    | OriginReceived
    | PingReceived
    | RemoteSettingsReceived
    | SessionClosed
    | SessionIdle
)
"""Everything that a subscription can bring."""


class Subscription(metaclass=NoPublicConstructor):
    """The happenings of one session from `Session.subscribe` on: ``with`` ends it, ``async for`` waits for the next.

    Iteration ends when the session is over, after what has not been taken yet. Without ``with`` the subscription lasts
    as long as the session.
    """

    def __init__(self, subscribers: dict[Subscription, None], capacity: int) -> None:
        self._subscribers = subscribers
        self._capacity = capacity
        self._waiting: deque[SessionHappening] = deque()
        self._changed = trio.lowlevel.ParkingLot()
        self._turn = ConflictDetector("another task waits for the happenings of this subscription")
        self._dropped = 0
        self._session_over = False
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many happenings were lost because nobody took them in time."""
        return self._dropped

    def close(self) -> None:
        """Ends the subscription; what was not taken is thrown away. Idempotent."""
        self._closed = True
        self._subscribers.pop(self, None)
        self._waiting.clear()
        self._changed.unpark_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionHappening:
        """Waits for the next happening. Cancelled: it is not lost.

        Raises:
            StopAsyncIteration: the session is over, and everything was taken.
            trio.ClosedResourceError: the subscription was closed.
            trio.BusyResourceError: another task waits already.
        """
        with self._turn:
            await trio.lowlevel.checkpoint()
            while not self._waiting:
                if self._closed:
                    raise trio.ClosedResourceError("this subscription was closed")
                if self._session_over:
                    raise StopAsyncIteration
                await self._changed.park()
            return self._waiting.popleft()

    def _tell(self, happening: SessionHappening) -> None:
        if len(self._waiting) >= self._capacity:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(happening)
        self._changed.unpark_all()

    def _end(self) -> None:
        self._session_over = True
        self._changed.unpark_all()


class Happenings:
    """Who wants to know what happens to one session."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscription, None] = {}
        self._over = False

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscribers)

    def subscribe(self, capacity: int) -> Subscription:
        """Returns a new subscription; one of a session that is over has nothing to tell."""
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise TypeError(f"capacity must be an int, not {capacity!r}")
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        subscription = construct(Subscription, self._subscribers, capacity)
        if self._over:
            subscription._end()
        else:
            self._subscribers[subscription] = None
        return subscription

    def tell(self, happening: SessionHappening) -> None:
        """Tells everyone who listens."""
        for subscription in self._subscribers:
            subscription._tell(happening)

    def end(self, error: Exception | None) -> None:
        """The session is over; lets go of the subscribers, who keep what they have not taken."""
        self.tell(SessionClosed(error))
        for subscription in self._subscribers:
            subscription._end()
        self._subscribers.clear()
        self._over = True
