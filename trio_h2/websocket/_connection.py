"""A WebSocket below its messages: frames, control frames, the closing handshake, and its tasks.

`WebSocket` and `MessageWriter` are what applications see of it. It belongs to the block of the WebSocket, whose tasks
(`WebSocketTasks`) run `read`, `send_control` and, if somebody needs them, `keep_alive` and `go_away`; the tasks of the
application send messages.

The reader does not wait for the application, as long as no more than `READ_AHEAD` bytes of messages wait to be taken:
pings are answered while nobody receives. From then on it reads no more, the stream's window closes, and the peer has to
wait. It never waits for the sender of control frames, which may have to wait for the peer's window.

An end is one value, `End`, set once, when the first Close frame of either side is decided on or the stream breaks; what
it says may get worse (1006), if the closing handshake does not come to its end.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import trio

import trio_h2

from .._util import Arrivals
from ._ending import ABNORMAL, GOING_AWAY, End
from ._errors import WebSocketClosedError
from ._framing import MAX_REASON, Failed, FramingEvent, PeerClosed, Pinged, Ponged, Received
from ._inbox import MessageInbox
from ._pings import Pings

if TYPE_CHECKING:
    from collections.abc import Generator

    from ._config import WebSocketConfig
    from ._framing import Framing

_READ_SIZE: Final = 16 * 1024
_WORK_AT_ONCE: Final = 32 * 1024
"""How much is done for what was received (`MessageGuard.work`) before other tasks may run: 8 frames if they are empty,
which takes about a quarter of a millisecond."""
_MOST_PONGS: Final = 64
"""How many pings are answered that came while no pong could be sent: the most recent ones."""
_KEEPALIVE_PAYLOAD: Final = b"keep-alive"
_HTTP1_KEEPALIVE_SECONDS: Final = 30.0


class WebSocketConnection:
    """What the tasks of a WebSocket share.

    Args:
        stream: Carries the frames.
        framing: Makes and reads them.
        config: Limits and timeouts.
    """

    def __init__(self, stream: trio_h2.Stream, framing: Framing, config: WebSocketConfig) -> None:
        self.stream = stream
        self.framing = framing
        self.config = config
        by_default = _HTTP1_KEEPALIVE_SECONDS if isinstance(stream, trio_h2.Http1Exchange) else math.inf
        interval = config.keepalive_interval
        self.keepalive_interval: float = by_default if interval is None else interval
        """Seconds between two pings; `math.inf` if none are sent."""
        self.end: End | None = None
        """How it ended, or is ending."""
        self.over: trio.Event = trio.Event()
        """Nothing more will be sent or received."""
        # -- what was received
        self.inbox: MessageInbox = MessageInbox()
        self._heard = trio.Event()
        """Something came; the keep-alive makes a new one to wait for."""
        self._arrivals = Arrivals()
        self._eof = trio.Event()
        self._peer_closed = trio.Event()
        """The peer's Close frame came, or it need not be waited for."""
        self._discarding = False
        """What comes is thrown away."""
        # -- what is to be sent
        self.message_lock: trio.StrictFIFOLock = trio.StrictFIFOLock()
        """Held for a whole message."""
        self.frame_lock: trio.StrictFIFOLock = trio.StrictFIFOLock()
        """Held for one frame: control frames may come between the fragments of a message."""
        self._data_frames = 0
        """How many were sent."""
        self._pings = Pings()
        self._pongs: deque[bytes] = deque(maxlen=_MOST_PONGS)
        """The payloads of pings that are to be answered."""
        self._keepalive_ping: bytes | None = None
        self._keepalive_sent = trio.Event()
        """The ping of the keep-alive is framed; it makes a new one to wait for."""
        self._close_frame: tuple[int, str] | None = None
        self._close_sent = False
        self._control = trio.lowlevel.ParkingLot()
        self._deadline = trio.CancelScope()
        """Of the task that sends control frames; it gets a deadline when the closing handshake begins."""

    def check_open(self) -> None:
        """Raises what the end was, if it has ended.

        Raises:
            WebSocketClosedError: it has.
        """
        if self.end is not None:
            raise self.end.error(self.stream)

    # -- for the application's tasks -------------------------------------------------------------------------------

    async def send_message(self, message: str | bytes) -> None:
        """Sends a whole message, see `WebSocket.send_message`."""
        self.check_open()
        async with self.message_lock:
            self.check_open()
            frames = self.framing.message(message)
            with self._all_or_nothing():
                for frame in frames:
                    async with self.frame_lock:
                        self.check_open()
                        await self._transmit(frame)
                        self._data_frames += 1

    async def send_fragment(self, part: str | bytes, *, final: bool) -> None:
        """Sends a part of a message; who does holds the message lock. Cancelled: the stream is reset."""
        try:
            async with self.frame_lock:
                self.check_open()
                await self._transmit(self.framing.fragment(part, final=final))
        except WebSocketClosedError:
            raise
        except BaseException:
            self.abort()
            raise

    @contextmanager
    def _all_or_nothing(self) -> Generator[None, None, None]:
        """Frames that are sent in here belong together: who is cancelled between them resets the stream."""
        before = self._data_frames
        try:
            yield
        except WebSocketClosedError:
            raise
        except BaseException:
            self.framing.forget_sent()
            if self._data_frames != before:
                self.abort()
            raise

    async def _transmit(self, frame: bytes) -> None:
        try:
            await self.stream.send_all(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._broke(exc, "its stream broke")
            self.check_open()
            raise AssertionError("a WebSocket that broke is not open") from exc
        finally:
            if self.stream.torn:
                self.abort()

    async def ping(self, payload: bytes) -> float:
        """Sends a ping, waits for the answer, and returns the seconds between, see `WebSocket.ping`."""
        self.check_open()
        waiter = self._pings.add(payload)
        try:
            async with self.frame_lock:
                self.check_open()
                waiter.sent_at = trio.current_time()
                await self._transmit(self.framing.ping(payload))
            await waiter.settled.wait()
        finally:
            self._pings.remove(payload, waiter)
        if math.isnan(waiter.answered_at):
            self.check_open()
        return waiter.answered_at - waiter.sent_at

    async def close(self, code: int, reason: str = "") -> None:
        """Closes it, see `WebSocket.aclose`."""
        if self.end is None:
            self.inbox.clear()
            self._conclude(End(code, reason, trio_h2.Initiator.LOCAL, here=True), code, reason)
        try:
            await trio.lowlevel.checkpoint()
            await self.over.wait()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Gives up at once: the stream is reset unless all is over."""
        if not self.over.is_set():
            if self.end is None:
                failure = "this side left the WebSocket without closing it"
                self.end = End(ABNORMAL, "", trio_h2.Initiator.LOCAL, here=True, failure=failure)
            self._broke(None, "it was cut short on this side")

    # -- the reader ------------------------------------------------------------------------------------------------

    async def read(self) -> None:
        """Receives until the peer's end."""
        try:
            while data := await self.stream.receive_some(_READ_SIZE):
                self._heard.set()
                self._arrivals.count += 1
                if not self._discarding:
                    self.framing.receive(data)
                    await self.handle_events()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._broke(exc, "its stream broke")
            return
        self._eof.set()
        if not self._peer_closed.is_set():
            # RFC 8441 §5: the end of the stream is "analogous" to that of a TCP connection: here, one that comes too
            # early.
            error = EOFError("the stream has ended")
            self._broke(error, "the peer ended the stream without closing the WebSocket", lost=True)

    async def handle_events(self) -> None:
        """Acts on what was received; waits while too many messages wait to be taken."""
        done = self.framing.work
        while not self._discarding:
            await self.inbox.wait_room()
            event = self.framing.next()
            if event is None:
                return
            self._handle(event)
            if self.framing.work - done >= _WORK_AT_ONCE:
                await trio.lowlevel.checkpoint()
                done = self.framing.work

    def _handle(self, event: FramingEvent) -> None:
        if isinstance(event, Received):
            self.inbox.put(event)
        elif isinstance(event, Pinged):
            # RFC 6455 §5.5.3: an endpoint that has not answered earlier pings "MAY elect to send a Pong frame for only
            # the most recently processed Ping frame". Peers wait for the answer to each of them all the same, so only
            # a flood is answered like that.
            self._pongs.append(event.payload)
            self._control.unpark()
        elif isinstance(event, Ponged):
            self._pings.answered(event.payload)
        elif isinstance(event, PeerClosed):
            self._closed_by_peer(event)
        elif isinstance(event, Failed):
            self._failed(event)

    def _closed_by_peer(self, event: PeerClosed) -> None:
        self._discarding = True
        self._peer_closed.set()
        # RFC 6455 §5.5.1: "When sending a Close frame in response, the endpoint typically echos the status code it
        # received."
        self._conclude(End(event.code, event.reason, trio_h2.Initiator.REMOTE, here=False), event.code, "")

    def _failed(self, event: Failed) -> None:
        """RFC 6455 §7.1.7: an endpoint that fails the connection sends a Close frame, and does "not continue to attempt
        to process data".
        """
        self._discarding = True
        self._peer_closed.set()
        library = trio_h2.Initiator.LIBRARY
        end = End(event.code, event.reason, library, here=False, failure=f"the peer was cut off: {event.reason}")
        self._conclude(end, event.code, event.reason.encode()[:MAX_REASON].decode(errors="ignore"))

    # -- the sender of control frames ------------------------------------------------------------------------------

    async def send_control(self) -> None:
        """Sends pongs, and in the end the Close frame and the end of the stream."""
        try:
            with self._deadline:
                try:
                    await self._send_pongs()
                    await self._close_stream()
                    self._finish()
                except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                    self._broke(exc, "its stream broke")
            self._broke(None, f"the closing handshake took more than close_timeout={self.config.close_timeout:g} s")
        finally:
            self.abort()  # if another task has crashed; otherwise it is over already

    async def _send_pongs(self) -> None:
        while not self._is_closing():
            if not self._pongs and self._keepalive_ping is None:
                await self._control.park()
                continue
            async with self.frame_lock:
                if self._is_closing():
                    return
                frames, sent = b"".join(map(self.framing.pong, self._pongs)), None
                self._pongs.clear()
                if (payload := self._keepalive_ping) is not None:
                    self._keepalive_ping = None
                    frames += self.framing.ping(payload)
                    sent = self._keepalive_sent
                await self.stream.send_all(frames)
                if sent is not None:
                    sent.set()

    def _is_closing(self) -> bool:
        """Whether a Close frame is to be sent, or was."""
        return self._close_frame is not None

    async def _close_stream(self) -> None:
        async with self.frame_lock:
            assert self._close_frame is not None
            await self.stream.send_all(self.framing.close(*self._close_frame))
            self._close_sent = True
        await self._peer_closed.wait()
        # RFC 6455 §5.5.1: "After both sending and receiving a Close message, an endpoint considers the WebSocket
        # connection closed and MUST close the underlying TCP connection."
        await self.stream.send_eof()
        await self._eof.wait()

    # -- tasks that not everybody needs ----------------------------------------------------------------------------

    async def keep_alive(self) -> None:
        """Pings now and then, and gives up when nothing comes at all.

        The peer's time begins when the ping is written: not while its window or the transport holds it back.
        """
        timeout = self.config.keepalive_timeout
        while not self.over.is_set():
            await trio.sleep(self.keepalive_interval)
            self._heard = trio.Event()
            self._keepalive_ping = _KEEPALIVE_PAYLOAD
            self._keepalive_sent = trio.Event()
            self._control.unpark()
            await self._keepalive_sent.wait()
            await self.stream.wait_written()
            with trio.move_on_after(timeout) as scope:
                await self._heard.wait()
            if not self._heard.is_set():
                await self._arrivals.caught_up(trio.current_time() - scope.deadline)
            # While our own application takes nothing, the answer may have come and not been read.
            if not self._heard.is_set() and not self.inbox.full:
                problem = f"nothing came for keepalive_timeout={timeout:g} s after a ping"
                self._broke(trio.TooSlowError(problem), problem, lost=True)

    async def go_away(self) -> None:
        """Closes when the session begins to shut down; what was received may still be taken."""
        await self.stream.session.wait_draining()
        # If the stream is closed, the session has not begun to shut down, but broke.
        if not self.stream.closed and self.end is None:
            self._conclude(End(GOING_AWAY, "", trio_h2.Initiator.LIBRARY, here=True), GOING_AWAY, "")

    # -- the end ---------------------------------------------------------------------------------------------------

    def _conclude(self, end: End, code: int, reason: str) -> None:
        """The end begins: a Close frame is sent, unless one was."""
        if self.end is None:
            self.end = end
        if self._close_frame is None:
            self._close_frame = (code, reason)
            self._deadline.deadline = trio.current_time() + self.config.close_timeout
        self._wake_all()

    def _broke(self, cause: BaseException | None, failure: str, *, lost: bool = False) -> None:
        """The stream is of no use any more, or not worth waiting for: it is reset unless it has ended.

        A server's handler whose client is *lost*, before either side has closed, is cancelled like one whose client
        resets: it may be waiting for something else, and would do so for ever.
        """
        if self.over.is_set():
            return
        end = self.end
        if end is None:
            self.end = End(ABNORMAL, "", trio_h2.Initiator.REMOTE, here=False, cause=cause, failure=failure)
        elif end.here and not end.failure and not (self._close_sent and self._peer_closed.is_set()):
            self.end = replace(end, code=ABNORMAL, reason="", cause=cause, failure=f"{end.message}, but {failure}")
        self._finish()  # whoever waits for the WebSocket is told what happened, and not only cancelled
        if lost and end is None and isinstance(self.stream, trio_h2.ServerStream):
            self.stream.reset(trio_h2.ErrorCode.CANCEL, cancel_handler=True)
        else:
            self.stream.reset(trio_h2.ErrorCode.CANCEL)

    def _finish(self) -> None:
        self.over.set()
        self._discarding = True
        self._deadline.cancel()
        self._wake_all()

    def _wake_all(self) -> None:
        self._pings.give_up()
        self.inbox.close()
        self._control.unpark_all()
