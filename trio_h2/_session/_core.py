"""A session as its streams and its tasks see it; applications have a `Session`, which holds this.

Who owns what. The *owner block* (`connect`, `serve_stream`) opens the nursery and leaves it; the service tasks
(`_services.py`) run in it. The parts of a session are here, with public names that are not part of the API: the engine,
the streams, the writer and the watcher, the `Ending`, events, pings, settings, handlers. All state is touched
synchronously: nothing is awaited between reading the engine's state and acting on it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import trio

from .._errors import from_failure
from .._stream._byte_count import ByteCount
from .._stream._forwarded import trusted_proxies
from .._stream._port import HEADERS
from .._stream._transport import TransportView
from .._util import Latch, construct
from .._wire._codes import ErrorCode, Initiator
from .._wire._engine import Engine
from .._wire._schedule import Scheduler
from ._ending import Ending, is_clean
from ._events import Events, FrameError, SessionIdle
from ._handlers import RunningHandlers
from ._pings import DRAIN_PAYLOAD, Pings
from ._slots import SlotLine
from ._updates import SettingsUpdates
from ._watcher import Watcher
from ._write_marks import WriteMarks
from ._writer import Writer

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Coroutine, Mapping
    from typing import TypeAlias

    from .._stream._core import StreamCore
    from .._stream._outbox import Outbox
    from .._wire._codes import Role
    from .._wire._config import SessionConfig
    from .._wire._events import Event
    from .._wire._failure import SessionFailure
    from .._wire._schedule import Priority
    from ._base import Session
    from ._trace import SessionTrace
    from ._write_marks import Mark

    Rules: TypeAlias = Mapping[type[Event], Callable[["SessionCore", Event], None]]
    """What to do about each event of the engine."""


MAX_DIRECT = 32 * 1024
"""Bytes in the output up to which a small body is framed at once."""


class SessionCore:
    """The inner side of one session: a `StreamPort`. `ClientCore` and `ServerCore` add what their roles have.

    Args:
        below: the transport's bytes; the session owns it.
        config: limits and timeouts.
        label: names the session in the log.
        push: whether a client lets the server push.
        settings: what the first SETTINGS say beside or instead of what *config* does, by number.
        authority: what a client has connected to.
    """

    role: ClassVar[Role]
    rules: ClassVar[Rules]
    """What the role does about each event of the engine; see `_reader.py`."""
    session: Session
    """What the application sees of it, until `release`."""
    whose: weakref.ref[Session]
    """The same for errors, which may be raised after it."""
    goaway_timeout: float = math.inf
    """Seconds that the peer has to answer the PING of a drain; only a server sends one."""

    def __init__(
        self,
        below: trio.abc.Stream,
        config: SessionConfig,
        *,
        label: str,
        push: bool = False,
        settings: Mapping[int, int] | None = None,
        authority: str | None = None,
    ) -> None:
        self.below = below
        self.config = config
        self.label = label
        self.count: ByteCount = ByteCount()
        self.transport: TransportView = construct(TransportView, below, self.count, proxies=trusted_proxies(config))
        self.trace: SessionTrace | None = None if not config.instruments else self._traced(authority)
        """What tells the instruments of the session, if there are any."""
        self.tapped: trio.abc.Stream = below if self.trace is None else self.trace.transport
        """The transport as it is read and written: instruments see the bytes on their way."""
        self.engine: Engine = Engine(self.role, config, self.stream_closed, push=push, settings=settings)
        self.streams: dict[int, StreamCore] = {}
        """Those that are open on the wire."""
        self.handlers: RunningHandlers = RunningHandlers()
        self.scheduler: Scheduler = Scheduler()
        self.writer: Writer = self._new_writer()
        self.marks: WriteMarks = WriteMarks()
        self.watcher: Watcher = Watcher(self.role, config, self.marks)
        self.ending: Ending = Ending(self)
        self.failure: SessionFailure | None = None
        """Why the session is over: that of the `ending`, for those that ask often."""
        self.events: Events = Events()
        self.pings: Pings = Pings()
        self.updates: SettingsUpdates = SettingsUpdates()
        self.slots: SlotLine = SlotLine(None if self.trace is None else self.trace.slots_awaited)
        """Requests (client), or responses to pushes (server), that wait for the peer to allow another stream."""
        self.peer_settings_known: Latch = Latch()
        """The peer's first SETTINGS came, or never will."""
        self.on_idle: Callable[[Session], object] | None = None
        self._room_wanted: dict[int, Outbox] = {}
        # What streams call most goes straight to the writer.
        self.wake_writer: Callable[[], None] = self.writer.wake
        self.body_ready: Callable[[int, Outbox], None] = self.writer.body_ready
        self.body_gone: Callable[[int], None] = self.writer.body_gone
        self.control_room: Callable[[], Coroutine[object, None, None]] = self.writer.room
        self.prioritize: Callable[[int, Priority], None] = self.scheduler.prioritize
        self.weigh: Callable[[int, int], None] = self.scheduler.weigh
        self.engine.start()  # first of all: the preface comes before any request
        self.wake_writer()

    def _traced(self, authority: str | None) -> SessionTrace:
        from ._trace import SessionTrace

        config, transport = self.config, self.transport
        return SessionTrace(config.instruments, self.below, transport, self.role, self.label, authority)

    def _new_writer(self) -> Writer:
        if self.trace is None:
            return Writer(self.engine, self.scheduler, self.config.max_queued_control)
        from ._traced_writer import TracedWriter

        return TracedWriter(self.engine, self.scheduler, self.config.max_queued_control, self.trace.body_waits)

    # -- for the streams: see StreamPort ---------------------------------------------------------------------------

    @property
    def frames_at_once(self) -> bool:
        """Whether a few bytes may be framed at once: no body waits for its turn, and little waits to be written."""
        return not self.scheduler.ready and self.engine.output.size <= MAX_DIRECT

    def frame_not_sent(self, stream_id: int | None, reason: str, kind: int = HEADERS) -> None:
        """A frame cannot be sent: tells the subscribers, and resets its stream if it has one."""
        self.events.tell(FrameError(kind, ErrorCode.INTERNAL_ERROR, stream_id))
        stream = None if stream_id is None else self.streams.get(stream_id)
        if stream is not None:  # its frames cannot be sent, and the peer would wait for them
            stream.reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, reason, cancel=False)

    def taken(self, stream_id: int, size: int) -> None:
        """The application took received bytes."""
        engine = self.engine
        engine.windows.take(stream_id, size)
        if engine.output.size:
            self.wake_writer()
        if self.slots.line:
            self.slots.wake()

    def discarded(self, stream_id: int, size: int) -> None:
        """Received bytes were thrown away."""
        self.engine.discard(stream_id, size)
        self.credit_changed()

    def credit_changed(self) -> None:
        """There may be a WINDOW_UPDATE to send, and room for another stream's window."""
        if self.engine.output.size:
            self.wake_writer()
        if self.slots.line:
            self.slots.wake()

    def want_room(self, stream_id: int, outbox: Outbox) -> None:
        """A task waits for the session's window to open."""
        self._room_wanted[stream_id] = outbox

    async def wait_written(self) -> None:
        """A checkpoint, which waits until all that is framed has been written, or will never be."""
        await trio.lowlevel.checkpoint()
        if self.failure is None and not self.writer.flushed:
            written = trio.Event()

            def mark(now: float) -> None:
                written.set()

            self._when_written(mark)
            try:
                await written.wait()
            finally:
                self.marks.discard(mark)

    def _when_written(self, mark: Mark) -> None:
        """Tells when all that is framed has been written, unless it was before."""
        if self.engine.output_size:
            self.marks.add(mark)
        elif self.writer.writing:
            self.marks.add_to_batch(mark)

    def set_idle_timeout(self, stream_id: int, timeout: float) -> None:
        """From now on a stream may have no frames for so many seconds."""
        self.watcher.stream_timeout(self.engine, stream_id, timeout)

    def rest_unwanted(self, stream_id: int, code: int) -> None:
        """Our side has ended, and nobody reads what the peer still sends."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.stop_reading()

    def linger(self, stream: StreamCore) -> None:
        """The application has closed a stream whose peer has not ended its side, and has some time to."""
        self.watcher.linger(stream)
        self._when_written(partial(self.watcher.linger_from, stream.id))

    # -- for the service tasks -------------------------------------------------------------------------------------

    def window_opened(self) -> None:
        """The session's window has opened."""
        wanted, self._room_wanted = self._room_wanted, {}
        for outbox in wanted.values():
            outbox.window_opened()
        self.wake_writer()

    def output_taken(self) -> None:
        """The engine's output is on its way to the transport, so there is room for more."""
        self.marks.taken()
        self.watcher.taken(self.engine)
        self.slots.wake()

    def output_written(self) -> None:
        """The transport has taken it."""
        now = trio.current_time()
        self.marks.written(now)
        self.watcher.written(now)

    def settings_acknowledged(self) -> None:
        """The peer acknowledged SETTINGS of ours."""
        self.updates.acknowledged()
        if self.engine.settings_pending:
            self.watcher.settings_sent()
        else:
            self.watcher.settings_acknowledged()

    def ping_acknowledged(self, payload: bytes) -> None:
        """The peer answered a PING."""
        if not self.pings.acknowledged(payload) and payload == DRAIN_PAYLOAD:
            self.ending.drain_settled()

    def idled(self) -> None:
        """Nothing has happened for ``idle_timeout``."""
        self.events.tell(SessionIdle(self.watcher.idle_timeout))
        if self.on_idle is None:
            seconds, where = self.watcher.idle_timeout, self.config.where
            self.ending.drain(f"the session had no stream for idle_timeout={seconds:g} s ({where})")
        else:
            self.on_idle(self.session)

    def queued_too_long(self, stream_id: int) -> None:
        """A request has waited too long for its handler to be started; only a server's do."""

    def upload_stopped(self, stream_id: int) -> None:
        """Nothing has come of a request's body for too long; only a server has such requests."""

    # -- streams ---------------------------------------------------------------------------------------------------

    def stream_opened(self, stream: StreamCore) -> None:
        """A stream has opened, or was promised."""
        self.streams[stream.id] = stream
        if len(self.streams) == 1:
            self.watcher.busy()
        if stream.idle_timeout != math.inf:
            self.set_idle_timeout(stream.id, stream.idle_timeout)

    def stream_closed(self, stream_id: int) -> None:
        """A stream has ended on the wire, in both directions."""
        stream = self.streams.pop(stream_id, None)
        if stream is not None:
            stream.end()
            if self.trace is not None:
                self.trace.stream_over(stream)
        self.writer.forget(stream_id)
        if self._room_wanted:
            self._room_wanted.pop(stream_id, None)
        self.watcher.forget(stream_id)
        if self.slots.line:
            self.slots.wake()
        if not self.streams and not self.handlers.running:
            self.check_idle()

    def check_idle(self) -> None:
        """A stream or a handler has ended, perhaps the last one."""
        if not self.streams and not self.handlers.running:
            self.watcher.idle()
            self.ending.check_drained()

    def no_more_slots(self) -> None:
        """No stream will be opened any more: all that wait for one look, and raise."""
        self.peer_settings_known.set()
        self.slots.wake_all()

    # -- the end ---------------------------------------------------------------------------------------------------

    def refuse_inside(self) -> None:
        """Raises `RuntimeError` inside a handler of this session."""
        self.handlers.refuse_inside()

    def discard(self) -> None:
        """Ends the session now, whatever runs."""
        self.ending.discard()

    def check_usable(self) -> None:
        """Raises why the session is over, if it is."""
        if self.ending.failure is not None:
            raise from_failure(self.ending.failure, session=self.whose())

    def ended(self, failure: SessionFailure) -> None:
        """The session is over, and its streams, too: settles the rest. For `Ending.end`."""
        self.pings.end()
        self.updates.end()
        self.marks.end(trio.current_time())
        self.no_more_slots()
        self.events.end(None if is_clean(failure) else from_failure(failure, session=self.whose()))

    def release(self) -> None:
        """Everything has ended: lets go of what refers back here, so that nothing waits for the garbage collector."""
        if self.trace is not None:
            self.trace.end(self.failure)
        self._room_wanted.clear()
        self.on_idle = None
        self.engine.release()
        self.ending.release()
        del self.session
