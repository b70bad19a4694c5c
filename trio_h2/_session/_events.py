"""The events of a session beside its streams, and who has subscribed to them.

Nothing is stored for a session without a subscriber. What a subscriber has not taken is bounded: the oldest events make
room for new ones, and are counted. If you must not miss anything, use the operations themselves: the errors they raise
do not depend on any of this.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._checks import check_int
from .._field_docs import describe_fields
from .._util import ConflictDetector, NoPublicConstructor, construct, interrupt_safe
from .._values import Value
from ._extensions import AltSvcReceived, OriginReceived

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from .._wire._codes import ErrorCode
    from .._wire._settings import Settings

DEFAULT_CAPACITY = 100


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class FrameError(Value):
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


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class GoAwayReceived(Value):
    """The peer sent GOAWAY: it takes no streams above ``last_stream_id``; those up to it finish (RFC 9113 §6.8)."""

    last_stream_id: int
    """The highest stream that the peer may still have processed, or may still process."""
    code: ErrorCode | int
    """Why: NO_ERROR for an ordinary departure."""
    debug_data: bytes
    """Whatever the peer wanted to tell; untrusted input."""


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class LocalSettingsAcknowledged(Value):
    """The peer acknowledged SETTINGS of ours, which are in force only now (RFC 9113 §6.5.3)."""

    changed: Settings
    """What that one SETTINGS frame said; all that is in force is `Session.local_settings`."""


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class RemoteSettingsReceived(Value):
    """SETTINGS of the peer arrived, were applied and acknowledged."""

    changed: Settings
    """What that one SETTINGS frame said; all that is in force is `Session.remote_settings`."""


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class PingReceived(Value):
    """The peer sent a PING, which has been answered already; answers to our own PINGs are no events."""

    payload: bytes
    """The 8 bytes of the PING."""


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class SessionIdle(Value):
    """Nothing happened for ``idle_timeout`` seconds; what comes of it is `Session.on_idle`'s to say."""

    idle_timeout: float
    """The seconds of silence, as `Session.idle_timeout` had them."""


@describe_fields
@dataclass(slots=True, frozen=True, eq=False, repr=False)
class SessionClosed(Value):
    """The session is over; always the last event."""

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


class EventQueue:
    """The events that one subscriber has not taken."""

    __slots__ = ("_capacity", "changed", "closed", "dropped", "over", "waiting")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.waiting: deque[SessionHappening] = deque()
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        self.dropped: int = 0
        self.over: bool = False
        """The session is."""
        self.closed: bool = False
        """The subscriber has closed it."""

    def put(self, event: SessionHappening) -> None:
        """Adds one; if there are too many, the oldest one is lost."""
        if len(self.waiting) >= self._capacity:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append(event)
        self.changed.unpark_all()

    def end(self) -> None:
        """The session is over."""
        self.over = True
        self.changed.unpark_all()

    def close(self) -> None:
        """Nobody takes any more."""
        self.closed = True
        self.waiting.clear()
        self.changed.unpark_all()


@interrupt_safe
class Subscription(metaclass=NoPublicConstructor):
    """The events of one session from `Session.subscribe` on: ``with`` ends it, ``async for`` waits for the next.

    Iteration ends when the session is over, after what has not been taken yet. Without ``with`` the subscription lasts
    as long as the session.
    """

    def __init__(self, queue: EventQueue, queues: dict[EventQueue, None]) -> None:
        self._queue = queue
        self._queues = queues
        self._turn = ConflictDetector("another task waits for the events of this subscription")

    @property
    def dropped(self) -> int:
        """How many events were lost because nobody took them in time."""
        return self._queue.dropped

    def close(self) -> None:
        """Ends the subscription; what was not taken is thrown away. Idempotent."""
        self._queues.pop(self._queue, None)
        self._queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionHappening:
        """Waits for the next event. Cancelled: it is not lost.

        Raises:
            StopAsyncIteration: the session is over, and everything was taken.
            trio.ClosedResourceError: the subscription was closed.
            trio.BusyResourceError: another task waits already.
        """
        queue = self._queue
        with self._turn:
            await trio.lowlevel.checkpoint()
            while not queue.waiting:
                if queue.closed:
                    raise trio.ClosedResourceError("this subscription was closed")
                if queue.over:
                    raise StopAsyncIteration
                await queue.changed.park()
            return queue.waiting.popleft()


class Events:
    """The subscriptions to the events of one session."""

    def __init__(self) -> None:
        self._queues: dict[EventQueue, None] = {}
        self._over = False

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._queues)

    def subscribe(self, capacity: int) -> Subscription:
        """Returns a new subscription; one of a session that is over has nothing to tell."""
        check_int("capacity", capacity, 1)
        queue = EventQueue(capacity)
        if self._over:
            queue.end()
        else:
            self._queues[queue] = None
        return construct(Subscription, queue, self._queues)

    def tell(self, event: SessionHappening) -> None:
        """Tells all subscribers."""
        for queue in self._queues:
            queue.put(event)

    def end(self, error: Exception | None) -> None:
        """The session is over; lets go of the subscribers, who keep what they have not taken."""
        self.tell(SessionClosed(error))
        for queue in self._queues:
            queue.end()
        self._queues.clear()
        self._over = True
