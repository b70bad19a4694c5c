"""What the sessions of both roles have in common: the stream table, the service tasks, and what ends a session.

Who owns what. The *owner block* (`connect`, `serve_stream`) opens the nursery and leaves it; three service tasks run
in it, shielded so that they outlive the block's body by the moment that GOAWAY needs: the reader, the writer, the
watcher. All state here is touched synchronously: nothing is awaited between reading the engine's state and acting on
it.

How it ends. `_failure` says why, for ever; `_over` is set at the same time, and the service scope gets a deadline.
Expected failures (peer, network, protocol) are state that every waiter raises from; only bugs travel through the
nursery.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import trio

from .._errors import LocalProtocolError, from_failure
from .._util import NoPublicConstructor
from .._wire._codes import ErrorCode, Initiator, Role
from .._wire._engine import Engine
from .._wire._failure import Cause, SessionFailure
from .._wire._schedule import Scheduler
from .._wire._settings import Settings
from .._wire._shutdown import LAST_POSSIBLE_ID
from . import _reader
from ._pings import DRAIN_PAYLOAD, PingResult, Pings
from ._statistics import SessionStatistics
from ._watcher import Watcher
from ._writer import Writer

if TYPE_CHECKING:
    from .._stream._base import Stream
    from .._stream._outbox import Outbox
    from .._wire._config import SessionConfig
    from .._wire._events import InformationalReceived, RequestReceived, ResponseReceived

logger = logging.getLogger("trio_h2.session")


class Session(metaclass=NoPublicConstructor):
    """One HTTP/2 connection (RFC 9113 §1: a session here, never "connection").

    Made by `connect` and by the ``serve_*`` functions.
    """

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
        self._goaway_final = False
        self._pings = Pings()
        self._settings_waiters: deque[trio.Event | None] = deque([None])  # the first SETTINGS has no caller
        self._room_wanted: dict[int, Outbox] = {}
        self._watcher = Watcher(self)
        self._service_scope = trio.CancelScope(shield=True)
        self._engine.start()  # first of all: the preface comes before any request
        self._writer.wake()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._label}>"

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def config(self) -> SessionConfig:
        """The limits and timeouts of this session."""
        return self._config

    @property
    def closed(self) -> bool:
        """Whether the session takes no new streams: it is closing, closed or broken."""
        return self._failure is not None or self._draining.is_set()

    @property
    def draining(self) -> bool:
        """Whether the session has begun to shut down; long handlers should come to their end."""
        return self._draining.is_set()

    @property
    def local_settings(self) -> Settings:
        """Our settings that are in force: an update counts from its acknowledgement (RFC 9113 §6.5.3)."""
        return _as_settings(self._engine.local_settings)

    @property
    def peer_settings(self) -> Settings:
        """What the peer's SETTINGS said so far."""
        return _as_settings(self._engine.peer_settings)

    @property
    def transport(self) -> trio.abc.Stream:
        """The bytes below, for looking (addresses, certificates): reading, writing or closing it breaks the session."""
        return self._transport

    def statistics(self) -> SessionStatistics:
        """Returns a snapshot of what the session holds and may do."""
        engine = self._engine
        return SessionStatistics(
            open_streams=len(engine.streams),
            running_handlers=self._running_handlers,
            waiting_for_slot=self._waiting_for_slot,
            ledger=engine.budget.ledger.copy(),
            receive_budget=engine.budget.size,
            receive_window=engine.budget.window,
            send_window=engine.connection_window,
            queued_body=engine.queued_body,
            queued_output=engine.output_size,
            memory=engine.memory,
        )

    @property
    def _running_handlers(self) -> int:
        return 0

    @property
    def _waiting_for_slot(self) -> int:
        return 0

    # -- what the application can do -------------------------------------------------------------------------------

    async def ping(self, payload: bytes | None = None) -> PingResult:
        """Sends a PING and waits for its answer (RFC 9113 §6.7).

        Cancelled: the PING counts as outstanding until it is answered.

        Args:
            payload: 8 octets; unique ones by default.

        Returns:
            The round-trip time in seconds, and the payload.

        Raises:
            TypeError: *payload* is not bytes-like.
            ValueError: *payload* does not have 8 octets.
            LocalProtocolError: ``max_outstanding_pings`` have no answer yet; nothing was sent.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        if payload is None:
            payload = self._pings.next_payload()
        elif not isinstance(payload, (bytes, bytearray, memoryview)):
            raise TypeError(f"payload must be bytes-like, not {payload!r}")
        payload = bytes(payload)
        if len(payload) != 8:
            raise ValueError(f"payload must have 8 octets, not {len(payload)}")
        self._check_usable()
        if len(self._pings) >= self._config.max_outstanding_pings:
            raise LocalProtocolError(f"{len(self._pings)} pings have no answer yet (max_outstanding_pings)")
        await trio.lowlevel.checkpoint_if_cancelled()
        pending = self._pings.add(payload)
        self._engine.ping(payload)
        self._wake_writer()
        await pending.done.wait()
        if pending.answered is None:
            self._check_usable()
        assert pending.answered is not None
        return PingResult(pending.answered - pending.sent, payload)

    async def update_settings(self, settings: Settings) -> None:
        """Changes settings of ours; returns when the peer has acknowledged exactly this change.

        Several updates may be asked for at once; they go out one after the other. Cancelled: the update goes out
        anyway.

        Args:
            settings: only the fields that are given are sent.

        Raises:
            ValueError: the change breaks the receive budget, or withdraws extended CONNECT (RFC 8441 §3).
            SettingsTimeoutError: the peer did not acknowledge within ``settings_timeout``.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        values = settings.as_dict()
        self._check_settings(settings)
        self._check_usable()
        await trio.lowlevel.checkpoint_if_cancelled()
        in_flight = self._engine.settings_pending
        done = trio.Event()
        self._settings_waiters.append(done)
        self._engine.update_settings(values)
        if not in_flight:
            self._watcher.settings_sent()
        self._wake_writer()
        await done.wait()
        if done in self._settings_waiters:  # woken by the session's end
            self._check_usable()

    def _check_settings(self, settings: Settings) -> None:
        window = settings.initial_window_size
        if window is None:
            window = self._engine.initial_window
        streams = self._window_streams(settings)
        if streams * window > self._config.receive_budget:
            raise ValueError(
                f"max_concurrent_streams {streams} x initial_window_size {window} is more than the receive_budget of "
                f"{self._config.receive_budget} octets"
            )
        if settings.enable_connect_protocol is False and self.local_settings.enable_connect_protocol:
            raise ValueError("enable_connect_protocol cannot be withdrawn once it was announced (RFC 8441 §3)")

    def _window_streams(self, settings: Settings) -> int:
        """The number of streams whose initial windows the receive budget must cover."""
        return self._config.guaranteed_streams

    def shutdown(self) -> None:
        """Begins to drain: no new streams, running ones finish, then the session closes (RFC 9113 §6.8).

        A server says so in two steps, GOAWAY with the highest id, a PING round trip, GOAWAY with the real one, so
        that no request under way is lost. Never waits; idempotent.
        """
        if self._draining.is_set() or self._over.is_set():
            return
        self._draining.set()
        if self._role is Role.SERVER:
            self._engine.goaway(ErrorCode.NO_ERROR, LAST_POSSIBLE_ID)
            self._engine.ping(DRAIN_PAYLOAD)
        else:
            self._engine.goaway(ErrorCode.NO_ERROR)
            self._goaway_final = True
        self._wake_writer()
        self._slots_changed(for_ever=True)
        self._check_drained()

    async def aclose(self, grace: float | None = None) -> None:
        """Shuts down gracefully: drains, waits up to *grace* seconds for running streams, then cuts what is left.

        Idempotent. Cancelled: everything is cut at once.

        Args:
            grace: seconds; by default the configuration's ``drain_timeout``.

        Raises:
            RuntimeError: called from one of the session's own handlers, which it would wait for.
        """
        self._refuse_own_handlers()
        if grace is None:
            grace = self._config.drain_timeout
        try:
            self.shutdown()
            with trio.move_on_after(grace):
                await self._over.wait()
        finally:
            self._cut()
        await self._closed.wait()

    def _refuse_own_handlers(self) -> None:
        """Raises `RuntimeError` inside a handler of this session."""

    async def wait_closed(self) -> None:
        """Waits until the session is over and its transport is closed.

        Raises:
            SessionError: it broke, rather than being closed by this side or gracefully by the peer.
        """
        await self._closed.wait()
        failure = self._failure
        if failure is not None and not self._is_clean(failure):
            raise from_failure(failure)

    async def wait_draining(self) -> None:
        """Waits until the session begins to shut down, or is over."""
        await self._draining.wait()

    @staticmethod
    def _is_clean(failure: SessionFailure) -> bool:
        """Whether nothing was lost: closed here, or by the peer with no stream under way and no error to tell."""
        return failure.cause is Cause.CLOSED or (failure.retryable and not failure.code)

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise from_failure(self._failure)

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

    def _linger(self, stream_id: int) -> None:
        self._watcher.linger(stream_id)

    def _lingered(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream._reset(ErrorCode.CANCEL, Initiator.LIBRARY, "the peer did not end a stream closed on this side")

    # -- for the reader --------------------------------------------------------------------------------------------

    def _request_received(self, event: RequestReceived) -> None:
        raise AssertionError("a client gets no requests")

    def _response_received(self, event: ResponseReceived) -> None:
        raise AssertionError("a server gets no responses")

    def _informational_received(self, event: InformationalReceived) -> None:
        raise AssertionError("a server gets no responses")

    def _settings_changed(self) -> None:
        self._slots_changed()

    def _slots_changed(self, *, for_ever: bool = False) -> None:
        """Streams may be opened again, or (``for_ever``) never again."""

    def _settings_acknowledged(self) -> None:
        waiter = self._settings_waiters.popleft()
        if waiter is not None:
            waiter.set()
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
            self._check_drained()

    def _peer_leaving(self) -> None:
        self._slots_changed(for_ever=True)
        self._check_drained()

    def _stream_opened(self, stream: Stream) -> None:
        self._streams[stream.id] = stream
        self._watcher.busy()

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
        """Ends the session gracefully when either side wants to leave and nothing runs any more."""
        if self._streams or self._running_handlers or self._over.is_set():
            return
        leaving = self._engine.shutdown
        if leaving.peer_is_leaving:
            self._finish(
                SessionFailure(
                    Cause.GOAWAY,
                    leaving.received_code,
                    Initiator.REMOTE,
                    "the peer has left the session (GOAWAY)",
                    retryable=True,  # of whatever is asked for from now on
                    debug_data=leaving.received_debug,
                )
            )
        elif self._draining.is_set() and self._goaway_final:
            self._finish(_closed_here())

    # -- the end ---------------------------------------------------------------------------------------------------

    def _transport_lost(self, reason: str, error: BaseException | None) -> None:
        if self._failure is None:
            self._fail(_reader.lost(self, reason, error))
        self._writer.stopped = True

    def _fail(self, failure: SessionFailure) -> None:
        """The session broke: everything that waits raises, everything that comes later, too."""
        if self._failure is not None:
            return
        log = logger.warning if failure.code == ErrorCode.ENHANCE_YOUR_CALM else logger.debug
        log("%s: %s (%s)", self._label, failure.reason, failure.cause.value)
        self._engine.fail(failure)
        self._finish(failure)

    def _cut(self) -> None:
        """This side ends the session now: open streams are reset with CANCEL, GOAWAY follows."""
        if self._failure is not None:
            return
        for stream in list(self._streams.values()):
            stream._abandon()
        self._finish(_closed_here())

    def _finish(self, failure: SessionFailure) -> None:
        """Sets the session's end, wakes everyone who waits, and bounds what is left to do."""
        if self._failure is not None:
            return
        if not self._goaway_final and failure.cause in (Cause.CLOSED, Cause.GOAWAY):
            self._goaway_final = True
            self._engine.goaway(ErrorCode.NO_ERROR)
        self._failure = failure
        for stream in list(self._streams.values()):
            stream._fail(failure)
        self._draining.set()
        self._over.set()
        self._pings.fail()
        for waiter in self._settings_waiters:
            if waiter is not None:
                waiter.set()
        self._slots_changed(for_ever=True)
        self._writer.wake()
        self._service_scope.deadline = trio.current_time() + 2 * self._config.close_timeout

    # -- the service tasks -----------------------------------------------------------------------------------------

    async def _run_services(self) -> None:
        """Runs reader, writer and watcher until the session is over, then says goodbye and closes the transport.

        Shielded, because it must outlive a cancelled body by that goodbye; `_finish` gives the shield its deadline.
        """
        timeout = self._config.close_timeout
        try:
            with self._service_scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._writer.run, self, name=f"trio_h2 writer {self._label}")
                    reading = trio.Event()
                    nursery.start_soon(self._read, reading, name=f"trio_h2 reader {self._label}")
                    nursery.start_soon(self._watcher.run, name=f"trio_h2 watcher {self._label}")
                    await self._over.wait()
                    with trio.move_on_after(timeout):
                        await self._writer.flushed()
                        if self._failure is not None and self._failure.cause is Cause.PROTOCOL:
                            # A transport closed with unread bytes may drop our GOAWAY: let the peer finish first.
                            await self._end_transport_writing()
                            await reading.wait()
                    nursery.cancel_scope.cancel()
                await self._transport.aclose()
        finally:
            if self._failure is None:  # a bug ended a service task
                self._cut()
            self._writer.stopped = True
            with trio.CancelScope(deadline=-1, shield=True):  # already expired: closes by force, cannot wait
                await self._transport.aclose()
            self._engine.release()
            self._closed.set()

    async def _read(self, done: trio.Event) -> None:
        await _reader.read(self)
        done.set()

    async def _end_transport_writing(self) -> None:
        if isinstance(self._transport, trio.abc.HalfCloseableStream):
            try:
                await self._transport.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                self._writer.stopped = True


def _closed_here() -> SessionFailure:
    return SessionFailure(Cause.CLOSED, ErrorCode.NO_ERROR, Initiator.LOCAL, "this session was closed on this side")


def _as_settings(values: dict[int, int]) -> Settings:
    return Settings.unpack(
        b"".join(code.to_bytes(2, "big") + value.to_bytes(4, "big") for code, value in values.items())
    )
