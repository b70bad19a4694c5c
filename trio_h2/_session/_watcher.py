"""The task that knows the time: every deadline of a session that no caller's cancel scope could hold.

The peer's first SETTINGS and its acknowledgements of ours, keep-alive, idle sessions, closed streams that linger, the
second GOAWAY of a drain. Deadlines that move with every byte are not moved: when one comes up, it is looked at again. A
session that is over has no deadlines any more but that of its goodbye, which is not kept here.

Deadlines judge the peer, never ourselves. When one comes up, what has arrived is read first (`Arrivals`). And an answer
is waited for from the moment its frame was written (`Answer`, `WriteMarks`). A transport that takes nothing at all is a
matter of the keep-alive and of a drain alone: their PINGs have no more time to be written than to be answered.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from .._util import Arrivals, interrupt_safe
from .._wire._codes import ErrorCode, Initiator, Role
from .._wire._failure import Cause, SessionFailure
from ._answer import Answer
from ._deadlines import StreamDeadlines
from ._stream_idle import StreamTimers
from ._uploads import UploadTimers

if TYPE_CHECKING:
    from collections.abc import Generator

    from .._stream._core import StreamCore
    from .._wire._config import SessionConfig
    from .._wire._engine import Engine
    from ._core import SessionCore
    from ._write_marks import WriteMarks

KEEPALIVE_PAYLOAD = b"\xffkeep-h2"
"""The PING of the keep-alive; beside it, the application's pings have a limit of their own."""


@interrupt_safe
class Watcher:
    """The deadlines of one session. Knows the session only while its task runs, so that no cycle keeps it alive.

    Args:
        role: of this side.
        config: of the session; its first SETTINGS are about to go into the output.
        marks: tell when a frame was written.
    """

    def __init__(self, role: Role, config: SessionConfig, marks: WriteMarks) -> None:
        self._watches_always = role is Role.SERVER
        self._config = config
        self._marks = marks
        self._arrivals = Arrivals()
        now = trio.current_time()
        self._heard = now
        self._ping: Answer | None = None
        """The answer to the PING of the keep-alive; anything that comes will do."""
        self._preface_deadline = now + config.handshake_timeout
        self._settings: Answer | None = None
        """The acknowledgement of our SETTINGS."""
        self._writing_since: float | None = None
        """Since when the transport has not taken a batch."""
        self._took_more_than_pings = False
        """Whether that has other frames than PINGs."""
        self._busy_since = now
        self._idle_since: float | None = now
        self._waiters = 0
        """Tasks that wait for something of the peer which no stream stands for."""
        self.idle_timeout: float = config.idle_timeout
        self._leaving = False
        self._drain: Answer | None = None
        """The answer to the PING of a drain."""
        self._lingering: dict[int, tuple[float, int]] = {}
        """Until when, and how many bytes of the body were framed when that began."""
        self._queued: dict[int, float] = {}
        self._expectations = StreamDeadlines()
        """Until when bodies are held for the server's 100."""
        self._uploads = UploadTimers(math.inf)
        self._unwanted = StreamDeadlines()
        """Until when requests that nobody reads may come to their end."""
        self._stream_timers = StreamTimers()
        self._sleeping_until = -math.inf
        self._changed = trio.Event()
        self.settings_sent()

    # -- what happened ---------------------------------------------------------------------------------------------

    def heard(self, now: float) -> None:
        """The peer sent something: it lives."""
        self._arrivals.count += 1
        self._heard = now
        self._ping = None

    def settings_seen(self) -> None:
        """The peer's SETTINGS have come."""
        self._preface_deadline = math.inf

    def settings_sent(self) -> None:
        """SETTINGS of ours went into the output."""
        self._settings = answer = Answer(self._config.settings_timeout)
        self._expect_answer(answer)

    def settings_acknowledged(self) -> None:
        """No SETTINGS of ours are without acknowledgement."""
        self._settings = None

    def busy(self) -> None:
        """The session has a stream, after it had none."""
        if self._idle_since is None:
            return
        self._idle_since = None
        self._busy_since = trio.current_time()
        self._expect(self._ping_due())

    @contextmanager
    def waiting(self) -> Generator[None, None, None]:
        """While a task waits for the peer, that is reason enough to watch it, as an open stream is."""
        if not self._waiters and self._idle_since is not None:
            self._busy_since = trio.current_time()
        self._waiters += 1
        self._expect(self._ping_due())
        try:
            yield
        finally:
            self._waiters -= 1

    def pinged(self) -> None:
        """A PING of the application goes into the output: it is as good as one of the keep-alive."""
        if self._ping is None and self._config.ping_interval < math.inf:
            self._await_pong(trio.current_time())

    def _await_pong(self, now: float) -> None:
        self._ping = answer = Answer(self._config.ping_timeout, now)
        self._expect_answer(answer)
        self._expect(answer.due)

    def idle(self) -> None:
        """The session has no streams any more."""
        self._idle_since = trio.current_time()
        self._expect(self._idle_due())

    def active(self) -> None:
        """Frames other than PINGs were sent or received: a session without streams is not idle either."""
        if self._idle_since is not None:
            self._idle_since = trio.current_time()

    def set_idle_timeout(self, seconds: float) -> None:
        """Changes how long a session may idle; what it has idled already counts."""
        self.idle_timeout = seconds
        self._expect(self._idle_due())

    def leaving(self) -> None:
        """The session drains: that it idles says nothing new."""
        self._leaving = True

    def drain_asked(self, seconds: float) -> None:
        """The PING of a drain went into the output. It has no more time to be written than to be answered."""
        self._drain = answer = Answer(seconds, trio.current_time())
        self._expect_answer(answer)
        self._expect(answer.due)

    def drain_settled(self) -> None:
        """The last GOAWAY went into the output."""
        self._drain = None

    def linger(self, stream: StreamCore) -> None:
        """The application closed a stream which the peer has not ended: it has some time to, as long as our own end is
        not there either.
        """
        deadline = trio.current_time() + self._config.linger_timeout
        self._lingering[stream.id] = deadline, stream.outbox.framed
        self._expect(deadline)

    def linger_from(self, stream_id: int, now: float) -> None:
        """What we sent before the close is written: the peer's time begins only now."""
        if stream_id in self._lingering:
            _, framed = self._lingering.pop(stream_id)
            self._lingering[stream_id] = now + self._config.linger_timeout, framed

    def queued(self, stream_id: int, seconds: float) -> None:
        """A request waits for its handler to be started, for *seconds* at most, the same for all."""
        self._queued[stream_id] = trio.current_time() + seconds
        self._expect(self._queued[stream_id])

    def started(self, stream_id: int) -> None:
        """It need not wait any longer."""
        self._queued.pop(stream_id, None)

    def holds(self, stream_id: int, seconds: float) -> None:
        """The request that goes into the output now holds its body for *seconds* at most, the same for all."""

        def written(now: float) -> None:
            self._expect(self._expectations.begin(stream_id, now + seconds))

        self._marks.add(written)

    def limit_uploads(self, seconds: float) -> None:
        """For so long nothing of a request's body may come, on a session that has just begun."""
        self._uploads = UploadTimers(seconds)

    def upload_begun(self, stream_id: int) -> None:
        """A request has come whose body is still to come."""
        self._expect(self._uploads.begin(stream_id, trio.current_time()))

    def read_on(self, stream_id: int, seconds: float, now: float) -> None:
        """A request that nobody reads has *seconds* from now on to come to its end, the same for all."""
        self._expect(self._unwanted.begin(stream_id, now + seconds))

    def forget(self, stream_id: int) -> None:
        """A stream has closed."""
        if self._uploads.pending:
            self._uploads.forget(stream_id)
        if self._unwanted.pending:
            self._unwanted.forget(stream_id)
        if self._expectations.pending:
            self._expectations.forget(stream_id)
        if self._stream_timers.timeouts:
            self._stream_timers.forget(stream_id)
        if self._lingering:
            self._lingering.pop(stream_id, None)
        if self._queued:
            self._queued.pop(stream_id, None)

    def stream_timeout(self, engine: Engine, stream_id: int, timeout: float) -> None:
        """From now on a stream may have no frames for so many seconds."""
        self._expect(self._stream_timers.set(engine, stream_id, timeout, trio.current_time()))

    def taken(self, engine: Engine) -> None:
        """The writer took all that was in the output."""
        now = trio.current_time()
        self._writing_since = now
        self._took_more_than_pings = engine.output.took_more_than_pings
        if engine.touched:
            self._stream_timers.taken(engine, now)
        if not self._watches_always and self._idle_since is not None:
            self._expect(self._ping_due())

    def written(self, now: float) -> None:
        """The transport has taken it."""
        self._writing_since = None
        if self._took_more_than_pings and self._idle_since is not None:
            self._idle_since = now
        if self._stream_timers.timeouts:
            self._stream_timers.written(now)

    def streams_active(self, engine: Engine) -> None:
        """Frames were received."""
        if engine.touched:
            self._stream_timers.book(engine, trio.current_time())

    # -- the task --------------------------------------------------------------------------------------------------

    def _expect(self, deadline: float) -> None:
        if deadline < self._sleeping_until:
            self._changed.set()

    def _expect_answer(self, answer: Answer) -> None:
        """An answer is due some time after the frame was written that goes into the output now."""

        def written(now: float) -> None:
            answer.written(now)
            self._expect(answer.due)

        self._marks.add(written)

    async def run(self, core: SessionCore) -> None:
        """Acts on every deadline as it comes, until the session is over or the task cancelled."""
        while core.ending.failure is None:
            self._changed = trio.Event()
            self._sleeping_until = self._next_deadline()
            with trio.move_on_at(self._sleeping_until):
                await self._changed.wait()
            now = trio.current_time()
            if now >= self._peer_due():
                await self._arrivals.caught_up(now - self._sleeping_until)
                now = trio.current_time()
            if core.ending.failure is None:
                self._act(core, now)

    # Each moment has one expression, which both the sleep and the act compare with: rounding must not part them, or
    # the task would wake too early for ever.

    def _ping_due(self) -> float:
        """A server watches its clients always, a client its server only while somebody waits for it."""
        if self._ping is not None:
            return math.inf
        if self._watches_always or self._idle_since is None or self._waiters:
            return max(self._heard, self._busy_since) + self._config.ping_interval
        if self._writing_since is not None:
            return max(self._heard, self._writing_since) + self._config.ping_interval
        return math.inf

    def _answer_due(self) -> float:
        return math.inf if self._ping is None else self._ping.due

    def _settings_due(self) -> float:
        return math.inf if self._settings is None else self._settings.due

    def _idle_due(self) -> float:
        return math.inf if self._idle_since is None or self._leaving else self._idle_since + self.idle_timeout

    def _drain_due(self) -> float:
        return math.inf if self._drain is None else self._drain.due

    # Each of these has the same time, so the first one is next.

    def _linger_due(self) -> float:
        return next(iter(self._lingering.values()), (math.inf, 0))[0]

    def _queue_due(self) -> float:
        return next(iter(self._queued.values()), math.inf)

    def _peer_due(self) -> float:
        """When something is over that what has arrived may change."""
        return min(
            self._preface_deadline,
            self._settings_due(),
            self._answer_due(),
            self._idle_due(),
            self._drain_due(),
            self._linger_due(),
            self._expectations.next(),
            self._unwanted.next(),
            self._uploads.next(),
            self._stream_timers.next(),
        )

    def _next_deadline(self) -> float:
        return min(self._peer_due(), self._ping_due(), self._queue_due())

    def _act(self, core: SessionCore, now: float) -> None:
        config = self._config
        if now >= self._preface_deadline:
            reason = f"the peer sent no SETTINGS within {config.timeout('handshake_timeout')}"
            _end(core, Cause.HANDSHAKE, ErrorCode.SETTINGS_TIMEOUT, reason)
        elif now >= self._settings_due():
            limit = config.timeout("settings_timeout")
            reason = f"the peer did not acknowledge our SETTINGS within {limit}"
            _end(core, Cause.SETTINGS_TIMEOUT, ErrorCode.SETTINGS_TIMEOUT, reason)
        elif now >= self._answer_due():
            reason = f"the peer sent nothing within {config.timeout('ping_timeout')} of a PING"
            _end(core, Cause.KEEPALIVE, None, reason)
        else:
            if now >= self._ping_due():
                self._await_pong(now)
                core.engine.ping(KEEPALIVE_PAYLOAD)
                core.wake_writer()
            while now >= self._linger_due():
                self._linger_over(core, next(iter(self._lingering)))
            while now >= self._queue_due():
                stream_id = next(iter(self._queued))
                del self._queued[stream_id]
                core.queued_too_long(stream_id)
            for stream_id in self._expectations.due(now):
                stream = core.streams.get(stream_id)
                if stream is not None:
                    stream.outbox.release()
            for stream_id in self._uploads.stopped(core, now):
                core.upload_stopped(stream_id)
            for stream_id in self._unwanted.due(now):
                stream = core.streams.get(stream_id)
                if stream is not None:
                    stream.stop_reading()
            for stream_id in self._stream_timers.due(now):
                stream = core.streams.get(stream_id)  # a hook may have ended another one
                if stream is not None:
                    stream.idled()
            if now >= self._idle_due():
                self._idle_since = now
                core.idled()
            if now >= self._drain_due():
                core.ending.drain_settled()

    def _linger_over(self, core: SessionCore, stream_id: int) -> None:
        """What we sent before the close may still be on its way: if it moves, the stream goes on."""
        _, framed = self._lingering.pop(stream_id)
        stream = core.streams.get(stream_id)
        if stream is None:
            return
        if stream.outbox.framed > framed and not stream.outbox.framed_end:
            self.linger(stream)
        else:
            limit = self._config.timeout("linger_timeout")
            reason = f"the peer did not end a stream closed on this side within {limit}"
            stream.reset(ErrorCode.CANCEL, Initiator.LIBRARY, reason)


def _end(core: SessionCore, cause: Cause, code: ErrorCode | None, reason: str) -> None:
    core.ending.end(SessionFailure(cause, code, Initiator.LIBRARY, reason))
