"""The inner side of a session: its state, what its streams and its tasks tell it, and what ends it.

Who owns what. The *owner block* (`connect`, `serve_stream`) opens the nursery and leaves it; the service tasks
(`_services.py`) run in it. All state here is touched synchronously: nothing is awaited between reading the engine's
state and acting on it.

How it ends. `_failure` says why, for ever; `_over` is set at the same time, and the service scope gets a deadline.
Expected failures (peer, network, protocol) are state that every waiter raises from; only bugs travel through the
nursery. There are three ways: `_fail` (it broke), `_check_drained` (either side wanted to leave, and nothing runs any
more), `_cut` (this side ends it now, whatever runs).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .._util import NoPublicConstructor, forget_frames
from .._wire._codes import ErrorCode, Initiator, Role
from .._wire._engine import Engine
from .._wire._failure import Cause, SessionFailure
from .._wire._schedule import Scheduler
from . import _reader
from ._extensions import AltSvcReceived
from ._happenings import Happenings
from ._pings import DRAIN_PAYLOAD, Pings
from ._updates import SettingsUpdates
from ._watcher import Watcher
from ._writer import Writer

if TYPE_CHECKING:
    from .._stream._base import Stream
    from .._stream._outbox import Outbox
    from .._wire._config import SessionConfig
    from .._wire._events import (
        AltSvcAnnounced,
        InformationalReceived,
        OriginsAnnounced,
        PriorityUpdated,
        RequestReceived,
        ResponseReceived,
    )
    from .._wire._schedule import Priority

logger = logging.getLogger("trio_h2.session")


class SessionCore(metaclass=NoPublicConstructor):
    """A session as its own parts see it; `Session` adds what the application sees."""

    _role: Role

    def __init__(self, transport: trio.abc.Stream, config: SessionConfig, *, label: str) -> None:
        self._transport = transport
        self._config = config
        self._label = label
        self._engine = Engine(self._role, config, self._stream_closed)
        self._streams: dict[int, Stream] = {}
        self._scheduler = Scheduler()
        self._writer = Writer(self._engine, self._scheduler)
        self._failure: SessionFailure | None = None
        self._over = trio.Event()
        self._closed = trio.Event()
        self._draining = trio.Event()
        self._leaving = False
        """This side drains: `shutdown` was called."""
        self._goaway_final = False
        """The last GOAWAY, the one with the real id, is in the output."""
        self._lets_peer_finish = False
        """What we sent last matters to the peer, so the transport is read until the peer has closed it."""
        self._write_error: BaseException | None = None
        self._pings = Pings()
        self._updates = SettingsUpdates()
        self._happenings = Happenings()
        self._room_wanted: dict[int, Outbox] = {}
        self._watcher = Watcher(self._role, config)
        self._service_scope = trio.CancelScope(shield=True)
        self._engine.start()  # first of all: the preface comes before any request
        self._writer.wake()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._label}>"

    @property
    def config(self) -> SessionConfig:
        """The limits and timeouts of this session."""
        return self._config

    @property
    def _running_handlers(self) -> int:
        return 0

    @property
    def _waiting_for_slot(self) -> int:
        return 0

    # -- for the streams: see SessionPort --------------------------------------------------------------------------

    def _wake_writer(self) -> None:
        self._writer.wake()

    def _body_ready(self, stream_id: int, outbox: Outbox) -> None:
        self._writer.body_ready(stream_id, outbox)

    def _body_gone(self, stream_id: int) -> None:
        self._writer.body_gone(stream_id)

    def _taken(self, stream_id: int, size: int) -> None:
        self._engine.take(stream_id, size)
        self._credit_changed()

    def _discarded(self, stream_id: int, size: int) -> None:
        self._engine.discard(stream_id, size)
        self._credit_changed()

    def _credit_changed(self) -> None:
        if self._engine.output_size:
            self._writer.wake()
        self._slots_changed()

    async def _control_room(self) -> None:
        await self._writer.room(self._config.max_queued_control)

    def _want_room(self, stream_id: int, outbox: Outbox) -> None:
        self._room_wanted[stream_id] = outbox

    def _notify_room(self) -> None:
        wanted, self._room_wanted = self._room_wanted, {}
        for outbox in wanted.values():
            outbox.window_opened()

    def _set_idle_timeout(self, stream_id: int, timeout: float) -> None:
        self._watcher.stream_timeout(self._engine, stream_id, timeout)

    def _prioritize(self, stream_id: int, priority: Priority) -> None:
        self._scheduler.prioritize(stream_id, priority)

    def _linger(self, stream_id: int) -> None:
        self._watcher.linger(stream_id)

    def _lingered(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream._lingered()

    def _out_of_patience(self, stream_id: int) -> None:
        raise AssertionError("only a server's requests wait for a handler")

    # -- for the reader --------------------------------------------------------------------------------------------

    def _request_received(self, event: RequestReceived) -> None:
        raise AssertionError("a client gets no requests")

    def _response_received(self, event: ResponseReceived) -> None:
        raise AssertionError("a server gets no responses")

    def _informational_received(self, event: InformationalReceived) -> None:
        raise AssertionError("a server gets no responses")

    def _altsvc_announced(self, event: AltSvcAnnounced) -> None:
        self._happenings.tell(AltSvcReceived(event.alt, event.origin, event.stream_id))

    def _origins_announced(self, event: OriginsAnnounced) -> None:
        raise AssertionError("a server gets no origins")

    def _priority_updated(self, event: PriorityUpdated) -> None:
        raise AssertionError("a client gets no PRIORITY_UPDATE")

    def _settings_changed(self) -> None:
        self._slots_changed()

    def _slots_changed(self, *, for_ever: bool = False) -> None:
        """Streams may be opened again, or (``for_ever``) never again."""

    def _output_taken(self) -> None:
        """The engine's output is on its way to the transport, so there is room for more."""
        self._watcher.streams_active(self._engine)
        self._slots_changed()

    def _settings_acknowledged(self) -> None:
        self._updates.acknowledged()
        if self._engine.settings_pending:
            self._watcher.settings_sent()
        else:
            self._watcher.settings_acknowledged()

    def _ping_acknowledged(self, payload: bytes) -> None:
        if self._pings.acknowledged(payload) or payload != DRAIN_PAYLOAD:
            return
        if self._draining.is_set() and not self._goaway_final:
            self._goaway_final = True
            self._engine.goaway(ErrorCode.NO_ERROR)

    def _peer_leaving(self) -> None:
        self._draining.set()
        self._slots_changed(for_ever=True)
        self._wake_writer()  # which looks whether all is said

    def _stream_opened(self, stream: Stream) -> None:
        self._streams[stream.id] = stream
        self._watcher.busy()
        self._set_idle_timeout(stream.id, stream.idle_timeout)

    def _stream_closed(self, stream_id: int) -> None:
        """A stream has ended on the wire, in both directions."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            stream._wire_closed()
        self._writer.body_gone(stream_id)
        self._scheduler.forget(stream_id)
        self._room_wanted.pop(stream_id, None)
        self._watcher.forget(stream_id)
        self._slots_changed()
        self._check_idle()

    def _check_idle(self) -> None:
        if not self._streams and not self._running_handlers:
            self._watcher.idle()
            self._check_drained()

    def _check_drained(self) -> None:
        """Ends the session gracefully when either side wants to leave, nothing runs any more, and all is written.

        The writer asks, too, whenever it has written everything: what a slow peer has not been sent yet is no less
        under way than a stream that is open.
        """
        if not self._draining.is_set() or self._failure is not None:
            return
        if self._streams or self._running_handlers or not self._writer.flushed:
            return
        leaving = self._engine.shutdown
        if self._leaving:
            if not (self._goaway_final or leaving.peer_is_leaving):
                return
            failure = _closed_here()
        else:
            failure = SessionFailure(
                Cause.GOAWAY,
                leaving.received_code,
                Initiator.REMOTE,
                "the peer has left the session (GOAWAY)",
                retryable=True,  # of whatever is asked for from now on
                debug_data=leaving.received_debug,
            )
        self._lets_peer_finish = self._role is Role.SERVER  # it may still be reading the last response
        self._finish(failure)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def _write_failed(self, error: BaseException) -> None:
        """Nothing more can be written. What the peer said before it closed may still be unread, and matters."""
        self._writer.stop()
        self._write_error = error
        if self._failure is None:
            await trio.sleep(self._config.close_timeout)
        self._transport_lost("the transport broke", error)

    def _transport_lost(self, reason: str, error: BaseException | None) -> None:
        self._writer.stop()
        error = error or self._write_error
        if self._leaving and not self._streams and not self._running_handlers:
            self._finish(_closed_here())  # the peer understood that we leave, and was faster
        else:
            forget_frames(error)
            self._fail(_reader.lost(self, reason, error))

    def _fail(self, failure: SessionFailure) -> None:
        """The session broke: everything that waits raises, everything that comes later, too."""
        if self._failure is not None:
            return
        log = logger.warning if failure.code == ErrorCode.ENHANCE_YOUR_CALM else logger.debug
        log("%s: %s (%s)", self._label, failure.reason, failure.cause.value)
        # It should learn from GOAWAY why, unless it does not listen any more.
        self._lets_peer_finish = failure.initiator is Initiator.LIBRARY and failure.cause is not Cause.KEEPALIVE
        self._finish(failure)

    def _cut(self, failure: SessionFailure | None = None) -> None:
        """This side ends the session now: open streams are reset with CANCEL, GOAWAY follows."""
        if self._failure is not None:
            return
        failure = failure or _closed_here()
        for stream in list(self._streams.values()):
            if failure.error is None:
                stream._abandon()
            else:
                stream._destroy(failure)
        self._finish(failure)

    def _finish(self, failure: SessionFailure) -> None:
        """Sets the session's end, wakes everyone who waits, and bounds what is left to do."""
        if self._failure is not None:
            return
        code = (failure.code if failure.cause is Cause.CLOSED else None) or ErrorCode.NO_ERROR
        if failure.cause in (Cause.CLOSED, Cause.GOAWAY) and (code or not self._goaway_final):
            self._goaway_final = True
            self._engine.goaway(code)
        self._engine.fail(failure)
        self._failure = failure
        for stream in list(self._streams.values()):
            stream._fail(failure)
        self._streams.clear()
        for stream_id in list(self._engine.streams):
            self._engine.close_stream(stream_id)  # what is unread can still be read
        self._draining.set()
        self._over.set()
        self._pings.fail()
        self._updates.fail()
        self._slots_changed(for_ever=True)
        self._writer.wake()
        self._service_scope.deadline = trio.current_time() + self._config.close_timeout

    def _release(self) -> None:
        """Everything has ended: lets go of what refers back here, so that nothing waits for the garbage collector."""
        self._room_wanted.clear()
        self._engine.release()
        self._closed.set()


def _closed_here() -> SessionFailure:
    return SessionFailure(Cause.CLOSED, ErrorCode.NO_ERROR, Initiator.LOCAL, "this session was closed on this side")
