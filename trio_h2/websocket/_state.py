"""The state of a WebSocket, and what ends it. Nothing here waits.

It belongs to the block of the WebSocket, whose two tasks (`_service`) and the tasks of the application share it. An end
is one value, `End`, set once, when the first Close frame of either side is decided on or the stream breaks; what it
says may get worse (1006), if the closing handshake does not come to its end.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import trio

import trio_h2

from ._errors import WebSocketBrokenError, WebSocketClosedError, WebSocketClosedHereError
from ._framing import Failed, FramingEvent, PeerClosed, Pinged, Ponged, Received

if TYPE_CHECKING:
    from ._config import WebSocketConfig
    from ._framing import Framing

READ_AHEAD: Final = 64 * 1024
"""Octets of messages that are received and not taken, from which on nothing more is read from the stream."""
MESSAGE_COST: Final = 128
"""What a message takes beside its octets."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, ABNORMAL, INTERNAL_ERROR = 1000, 1001, 1002, 1005, 1006, 1011


@dataclass(frozen=True, slots=True)
class End:
    """How a WebSocket ended, or is ending."""

    code: int
    reason: str
    initiator: trio_h2.Initiator
    here: bool
    """Whether this side closed it, in good order."""
    cause: BaseException | None = None
    failure: str = ""
    """What went wrong, if something did."""

    def error(self) -> WebSocketClosedError:
        """Returns a new exception for it."""
        kind = WebSocketClosedHereError if self.here else WebSocketBrokenError
        who = "this side" if self.here else "the peer"
        said = f"{self.code} ({self.reason[:64]})" if self.reason else str(self.code)
        message = self.failure or f"{who} closed the WebSocket with {said}"
        error = kind(message, close_code=self.code, close_reason=self.reason, initiator=self.initiator)
        error.__cause__ = self.cause
        return error


@dataclass(slots=True)
class PingWaiter:
    """A task that waits for a pong."""

    settled: trio.Event
    sent_at: float = math.nan
    answered_at: float = math.nan


class WebSocketState:
    """What the tasks of a WebSocket share."""

    def __init__(self, stream: trio_h2.Stream, framing: Framing, config: WebSocketConfig) -> None:
        self._stream = stream
        self._framing = framing
        self._config = config
        self._end: End | None = None
        self._over = trio.Event()
        """Nothing more will be sent or received."""
        # -- what was received
        self._messages: deque[Received] = deque()
        self._held = 0
        self._arrived = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._heard = trio.Event()
        """Something came; the keep-alive makes a new one to wait for."""
        self._eof = trio.Event()
        self._peer_closed = trio.Event()
        """The peer's Close frame came, or it need not be waited for."""
        self._deaf = False
        """What comes is thrown away."""
        # -- what is to be sent
        self._message_lock = trio.StrictFIFOLock()
        """Held for a whole message."""
        self._frame_lock = trio.StrictFIFOLock()
        """Held for one frame: control frames may come between the fragments of a message."""
        self._pong: bytes | None = None
        self._keepalive_ping: bytes | None = None
        self._close_frame: tuple[int, str] | None = None
        self._close_sent = False
        self._control = trio.lowlevel.ParkingLot()
        self._deadline = trio.CancelScope()
        """Of the task that sends control frames; it gets a deadline when the closing handshake begins."""
        self._pings: dict[bytes, PingWaiter] = {}

    # -- what was received -----------------------------------------------------------------------------------------

    @property
    def _full(self) -> bool:
        """Whether the application should take some messages before more is read."""
        return self._held >= READ_AHEAD and self._end is None

    def _is_closing(self) -> bool:
        """Whether a Close frame is to be sent, or was."""
        return self._close_frame is not None

    def _handle(self, event: FramingEvent) -> None:
        """Acts on what the peer sent."""
        if isinstance(event, Received):
            if self._end is None:
                self._messages.append(event)
                self._held += event.size + MESSAGE_COST
                self._arrived.unpark()
        elif isinstance(event, Pinged):
            # RFC 6455 §5.5.3: an endpoint that has not answered earlier pings "MAY elect to send a Pong frame for only
            # the most recently processed Ping frame", which keeps a flood of them from growing anything.
            self._pong = event.payload
            self._control.unpark()
        elif isinstance(event, Ponged):
            self._answered(event.payload)
        elif isinstance(event, PeerClosed):
            self._closed_by_peer(event)
        else:
            self._failed(event)

    def _take(self) -> str | bytes | None:
        """Takes the oldest message."""
        if not self._messages:
            return None
        received = self._messages.popleft()
        self._held -= received.size + MESSAGE_COST
        if not self._full:
            self._room.unpark()
        return received.message

    def _answered(self, payload: bytes) -> None:
        """A Pong came. It answers the pings before its own, too (RFC 6455 §5.5.3)."""
        # RFC 6455 §5.5.3: "A Pong frame MAY be sent unsolicited": it answers no ping that still waits for its turn.
        if payload not in self._pings or math.isnan(self._pings[payload].sent_at):
            return
        for sent, waiter in list(self._pings.items()):
            waiter.answered_at = trio.current_time()
            waiter.settled.set()
            del self._pings[sent]
            if sent == payload:
                return

    # -- the end ---------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._end is not None:
            raise self._end.error()

    def _begin_close(self, code: int, reason: str) -> None:
        """This side closes; does nothing if the end has begun already."""
        if self._end is None:
            self._messages.clear()
            self._held = 0
            self._conclude(End(code, reason, trio_h2.Initiator.LOCAL, here=True), code, reason)

    def _go_away(self) -> None:
        """The session drains: what was received may still be taken."""
        if self._end is None:
            self._conclude(End(GOING_AWAY, "", trio_h2.Initiator.LIBRARY, here=True), GOING_AWAY, "")

    def _closed_by_peer(self, event: PeerClosed) -> None:
        self._deaf = True
        self._peer_closed.set()
        # RFC 6455 §5.5.1: "When sending a Close frame in response, the endpoint typically echos the status code it
        # received."
        self._conclude(End(event.code, event.reason, trio_h2.Initiator.REMOTE, here=False), event.code, "")

    def _failed(self, event: Failed) -> None:
        """RFC 6455 §7.1.7: an endpoint that fails the connection sends a Close frame, and does "not continue to attempt
        to process data".
        """
        self._deaf = True
        self._peer_closed.set()
        library = trio_h2.Initiator.LIBRARY
        end = End(event.code, event.reason, library, here=False, failure=f"the peer was cut off: {event.reason}")
        self._conclude(end, event.code, _cut_reason(event.reason))

    def _conclude(self, end: End, code: int, reason: str) -> None:
        """The end begins: a Close frame is sent, unless one was."""
        if self._end is None:
            self._end = end
        if self._close_frame is None:
            self._close_frame = (code, reason)
            self._deadline.deadline = trio.current_time() + self._config.close_timeout
        self._wake_all()

    def _broke(self, cause: BaseException | None, failure: str) -> None:
        """The stream is of no use any more, or not worth waiting for: it is reset unless it has ended."""
        if self._over.is_set():
            return
        end = self._end
        if end is None:
            self._end = End(ABNORMAL, "", trio_h2.Initiator.REMOTE, here=False, cause=cause, failure=failure)
        elif end.here and not end.failure and not (self._close_sent and self._peer_closed.is_set()):
            self._end = replace(end, code=ABNORMAL, reason="", cause=cause, failure=f"{end.error()}, but {failure}")
        self._stream.reset(trio_h2.ErrorCode.CANCEL)
        self._finish()

    def _abort(self) -> None:
        """This side gives up at once."""
        if not self._over.is_set():
            if self._end is None:
                failure = "this side left the WebSocket without closing it"
                self._end = End(ABNORMAL, "", trio_h2.Initiator.LOCAL, here=True, failure=failure)
            self._broke(None, "it was cut short on this side")

    def _finish(self) -> None:
        self._over.set()
        self._deaf = True
        self._deadline.cancel()
        self._wake_all()

    def _wake_all(self) -> None:
        for waiter in self._pings.values():
            waiter.settled.set()
        self._pings.clear()
        self._arrived.unpark_all()
        self._room.unpark_all()
        self._control.unpark_all()


def _cut_reason(reason: str) -> str:
    """RFC 6455 §5.5: a control frame has at most 125 octets, two of which are the code."""
    return reason.encode()[:123].decode(errors="ignore")
