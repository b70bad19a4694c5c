"""Sessions of both roles, as the application sees them; the inner side is in `_core.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._checks import bytes_of, check_grace, check_hook, check_int, check_timeout
from .._errors import LocalProtocolError, from_failure
from .._util import NoPublicConstructor, interrupt_safe
from .._wire._codes import ErrorCode, Initiator, error_code
from .._wire._config import MAX_WINDOW
from .._wire._failure import Cause, SessionFailure
from .._wire._settings import MAX_SETTINGS, Settings
from .._wire._shutdown import LAST_POSSIBLE_ID
from .._wire._tuning import PROBE_PAYLOAD
from ._ending import is_clean
from ._events import DEFAULT_CAPACITY, Subscription
from ._pings import DRAIN_PAYLOAD, PingResult
from ._state import SessionState
from ._statistics import SessionStatistics
from ._watcher import KEEPALIVE_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._stream._transport import TransportView
    from .._wire._codes import Role
    from .._wire._config import SessionConfig
    from ._core import SessionCore

_RESERVED_PAYLOADS = frozenset({DRAIN_PAYLOAD, KEEPALIVE_PAYLOAD, PROBE_PAYLOAD})


@interrupt_safe
class Session(metaclass=NoPublicConstructor):
    """One HTTP/2 connection (RFC 9113 §1: a session here, never "connection").

    Made by `connect` and by the ``serve_*`` functions.
    """

    def __init__(self, core: SessionCore) -> None:
        self._core = core

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.label}>"

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def config(self) -> SessionConfig:
        """The limits and timeouts of this session."""
        return self._core.config

    @property
    def role(self) -> Role:
        """Which end of the session this is."""
        return self._core.role

    @property
    def connecting(self) -> bool:
        """Always ``False``: whoever gets to see a session sees it connected.

        Connecting is what happens while the block of `connect` is being entered.
        """
        return False

    @property
    def transport(self) -> TransportView:
        """The bytes below, to look at (addresses, certificates); reading, writing and closing are refused."""
        return self._core.transport

    @property
    def encrypted(self) -> bool:
        """Whether the session speaks TLS."""
        return self._core.transport.encrypted

    @property
    def alpn_protocol(self) -> str | None:
        """What ALPN agreed on, ``None`` where it gave nothing; ``"h2c"`` in cleartext."""
        return self._core.transport.alpn_protocol

    @property
    def destroyed(self) -> bool:
        """Whether the session is over, and unusable, for whatever reason; `Session.closed` comes before."""
        return self._core.ending.failure is not None

    @property
    def state(self) -> SessionState:
        """A snapshot of the session's windows, ids, output and header tables."""
        engine = self._core.engine
        budget = engine.windows.budget
        deflate, inflate = engine.table_sizes
        return SessionState(
            effective_local_window_size=budget.size,
            effective_recv_data_length=budget.since_update,
            next_stream_id=engine.next_stream_id,
            local_window_size=budget.window,
            last_proc_stream_id=engine.newest_received_id,
            remote_window_size=engine.connection_window,
            outbound_queue_size=self._core.writer.queued_frames,
            deflate_dynamic_table_size=deflate,
            inflate_dynamic_table_size=inflate,
        )

    @property
    def closed(self) -> bool:
        """Whether the session takes no new streams: either side is leaving, or it is over."""
        return self._core.ending.draining.is_set()

    @property
    def draining(self) -> bool:
        """Whether either side has begun to shut down; what takes long should come to its end."""
        return self._core.ending.draining.is_set()

    @property
    def idle_timeout(self) -> float:
        """Seconds without a stream, and without any frame but PINGs, after which the session ends gracefully.

        Starts as the configuration's; may be set, 0 and ``None`` turn it off, which reads as `math.inf`. What the
        session has idled already counts.
        """
        return self._core.watcher.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._core.watcher.set_idle_timeout(check_timeout("idle_timeout", seconds))

    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None:
        """Sets `idle_timeout` and `on_idle` in one go, for a hook that needs no argument.

        Streams, requests, responses and servers have the same method.

        Args:
            seconds: the time; 0 and ``None`` turn it off.
            on_idle: called instead of the graceful end; ``None`` lets the session end.

        Raises:
            TypeError, ValueError: *seconds* is no number, or negative; *on_idle* is no function.
        """
        check_hook("on_idle", on_idle)
        self.idle_timeout = seconds
        self.on_idle = None if on_idle is None else lambda _: on_idle()

    @property
    def on_idle(self) -> Callable[[Session], object] | None:
        """A function to call with the session when it has idled; ``None``, the default, ends it gracefully.

        It decides: `Session.shutdown` ends the session after all, `Session.destroy` at once; if it does nothing, the
        session stays and its time begins anew. It must not wait. What it raises ends the session like any other bug.
        """
        return self._core.on_idle

    @on_idle.setter
    def on_idle(self, hook: Callable[[Session], object] | None) -> None:
        check_hook("on_idle", hook)
        self._core.on_idle = hook

    @property
    def local_settings(self) -> Settings:
        """Our settings that are in force: an update counts from its acknowledgement (RFC 9113 §6.5.3)."""
        return Settings.from_dict(self._core.engine.local_settings)

    @property
    def peer_settings(self) -> Settings:
        """What the peer's SETTINGS said so far."""
        return Settings.from_dict(self._core.engine.peer_settings)

    @property
    def remote_settings(self) -> Settings:
        """The peer's settings: all that its SETTINGS said so far; another name of `peer_settings`."""
        return self.peer_settings

    @property
    def pending_settings_ack(self) -> bool:
        """Whether SETTINGS of ours, the first or those of `update_settings`, are not acknowledged yet."""
        return self._core.engine.settings_pending

    def statistics(self) -> SessionStatistics:
        """Returns a snapshot of what the session holds and may do."""
        core, engine = self._core, self._core.engine
        return SessionStatistics(
            open_streams=len(core.streams),
            running_handlers=len(core.handlers),
            waiting_for_slot=len(core.slots),
            ledger=engine.windows.budget.ledger.copy(),
            receive_budget=engine.windows.budget.size,
            receive_window=engine.windows.budget.window,
            send_window=engine.connection_window,
            queued_body=engine.queued_body,
            queued_output=engine.output_size,
            memory=engine.memory,
        )

    def subscribe(self, *, capacity: int = DEFAULT_CAPACITY) -> Subscription:
        """Subscribes to what happens to the session from this call on: ``with`` ends it, ``async for`` waits.

        ::

            with session.subscribe() as events:
                async for event in events:
                    match event:
                        case trio_h2.GoAwayReceived(code=code, debug_data=reason): ...

        The iteration ends when the session is over. Nothing is stored for a session without a subscriber.

        Args:
            capacity: Events kept for this subscriber; more drop the oldest, see `Subscription.dropped`.

        Raises:
            TypeError, ValueError: *capacity* is no int, or less than 1.
        """
        return self._core.events.subscribe(capacity)

    # -- what the application can do -------------------------------------------------------------------------------

    async def ping(self, payload: bytes | None = None) -> PingResult:
        """Sends a PING and waits for its answer (RFC 9113 §6.7).

        A peer that then sends nothing at all for ``ping_timeout`` ends the session, as with a PING of the keep-alive,
        unless that is off (``ping_interval=math.inf``). Cancelled: the PING counts as outstanding until it is answered.

        Args:
            payload: 8 bytes; unique ones by default.

        Returns:
            The round-trip time in seconds, and the payload.

        Raises:
            TypeError: *payload* is not bytes-like.
            ValueError: *payload* does not have 8 bytes, or is one that the library uses itself.
            LocalProtocolError: ``max_outstanding_pings`` have no answer yet; nothing was sent.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        core = self._core
        payload = core.pings.next_payload() if payload is None else bytes_of("payload", payload)
        if len(payload) != 8:
            raise ValueError(f"payload must have 8 bytes, not {len(payload)}")
        if payload in _RESERVED_PAYLOADS:
            raise ValueError(f"the library itself sends PINGs with the payload {payload!r}")
        core.check_usable()
        if len(core.pings) >= core.config.max_outstanding_pings:
            raise LocalProtocolError(
                f"{len(core.pings)} pings have no answer yet (max_outstanding_pings)", session=self
            )
        await trio.lowlevel.checkpoint_if_cancelled()
        pending = core.pings.add(payload)
        core.marks.add(pending.written)
        core.engine.ping(payload)
        core.watcher.pinged()
        core.wake_writer()
        with core.watcher.waiting():
            await pending.done.wait()
        if pending.answered is None:
            core.check_usable()
        assert pending.answered is not None
        return PingResult(pending.answered - pending.sent, payload)

    async def update_settings(self, settings: Settings) -> None:
        """Changes settings of ours; returns when the peer has acknowledged exactly this change.

        Several updates may be asked for at once; they go out one after the other. Cancelled: the update goes out
        anyway.

        Args:
            settings: only the fields that are given are sent.

        Raises:
            TypeError: *settings* is no `Settings`.
            ValueError: the change has more settings than fit a frame (2730), breaks the receive budget, or withdraws
                extended CONNECT (RFC 8441 §3).
            SettingsTimeoutError: the peer did not acknowledge within ``settings_timeout``.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        if not isinstance(settings, Settings):
            raise TypeError(f"settings must be Settings, not {settings!r}")
        values = settings.as_dict()
        if len(values) > MAX_SETTINGS:
            raise ValueError(f"one SETTINGS frame holds at most {MAX_SETTINGS} settings, not {len(values)}")
        core = self._core
        core.engine.check_settings(values)
        core.check_usable()
        await trio.lowlevel.checkpoint_if_cancelled()
        update = core.updates.add()
        if not core.engine.settings_pending:
            core.watcher.settings_sent()
        core.engine.update_settings(values)
        core.watcher.active()
        core.wake_writer()
        await update.done.wait()
        if not update.acknowledged:
            core.check_usable()

    def set_local_window_size(self, size: int) -> None:
        """Sets the receive window of the session, which is also its receive budget, for as long as it lasts.

        A larger one is told to the peer at once. What the peer was given of a larger one before cannot be taken back:
        it is used up first, as far as the peer does. Never waits.

        Args:
            size: bytes.

        Raises:
            TypeError: *size* is no int.
            ValueError: *size* is out of range, or too small for the streams that the peer may open, each with its
                window full.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        core = self._core
        check_int("size", size, 0, MAX_WINDOW)
        core.check_usable()
        core.engine.set_receive_budget(size)
        core.credit_changed()

    async def goaway(
        self,
        code: ErrorCode | int = ErrorCode.NO_ERROR,
        last_stream_id: int | None = None,
        debug_data: bytes | bytearray | memoryview = b"",
    ) -> None:
        """Sends GOAWAY and goes on: the peer opens no new streams, those that are open finish (RFC 9113 §6.8).

        `shutdown` and `aclose` say GOAWAY themselves; this is for what they do not say. The session stays open, also
        when the last stream has ended. Cancelled: nothing is sent.

        Args:
            code: why.
            last_stream_id: the highest stream of the peer that is processed; by default the newest it has opened.
            debug_data: whatever may help the peer's people; must fit one frame.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: *code* has more than 32 bits, *last_stream_id* more than 31, or *debug_data* is too long.
            LocalProtocolError: *last_stream_id* is higher than in an earlier GOAWAY.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        check_int("code", code, 0, 2**32 - 1)
        if last_stream_id is not None:
            check_int("last_stream_id", last_stream_id, 0, LAST_POSSIBLE_ID)
        debug_data = bytes_of("debug_data", debug_data)
        core = self._core
        self._check_debug_data(debug_data)
        core.check_usable()
        await core.control_room()
        core.check_usable()
        self._check_debug_data(debug_data)  # the peer may accept less by now
        sent = core.engine.shutdown.sent_last_id
        if last_stream_id is not None and sent is not None and last_stream_id > sent:
            # RFC 9113 §6.8: "Endpoints MUST NOT increase the value they send in the last stream identifier".
            reason = f"last_stream_id {last_stream_id} is higher than the {sent} of an earlier GOAWAY"
            raise LocalProtocolError(reason, session=self)
        core.engine.goaway(code, last_stream_id, debug_data)
        core.watcher.active()
        core.wake_writer()

    def _check_debug_data(self, debug_data: bytes) -> None:
        room = self._core.engine.max_outbound_frame_size - 8  # beside the id and the code
        if len(debug_data) > room:
            raise ValueError(f"debug_data has {len(debug_data)} bytes, the peer accepts at most {room}")

    def destroy(self, error: Exception | None = None, code: ErrorCode | int | None = None) -> None:
        """Ends the session at once: resets every stream, sends GOAWAY, closes the transport without waiting for anyone.

        Every pending and later operation of the session and its streams, and a request that waits its turn, raises
        `trio.ClosedResourceError`, with *error* as its cause; so does `wait_closed`, if there is an error. Never waits;
        idempotent.

        Args:
            error: why; ``None`` if nothing is wrong.
            code: what GOAWAY says; by default INTERNAL_ERROR with an error, else NO_ERROR.

        Raises:
            TypeError: *error* is no exception, or *code* no int.
            ValueError: *code* has more than 32 bits.
        """
        if error is not None and not isinstance(error, Exception):
            raise TypeError(f"error must be an exception, not {error!r}")
        if code is None:
            code = ErrorCode.NO_ERROR if error is None else ErrorCode.INTERNAL_ERROR
        else:
            code = error_code(check_int("code", code, 0, 2**32 - 1))
        failure = SessionFailure(Cause.CLOSED, code, Initiator.LOCAL, "this session was destroyed", error=error)
        self._core.ending.discard(failure)

    def shutdown(self) -> None:
        """Begins to drain: no new streams, running ones finish, then the session closes (RFC 9113 §6.8).

        A server says so in two steps, GOAWAY with the highest id, a PING round trip, GOAWAY with the real one, so
        that no request under way is lost; one step is enough while the client has not said anything yet. A client that
        does not answer the PING gets the second GOAWAY after ``goaway_timeout``. Never waits; idempotent.
        """
        self._core.ending.drain()

    async def aclose(self, grace: float | None = None) -> None:
        """Shuts down gracefully: drains, waits up to *grace* seconds for running streams, then cuts what is left.

        Idempotent. Cancelled: everything is cut at once.

        Args:
            grace: seconds; by default the configuration's ``drain_timeout``.

        Raises:
            TypeError: *grace* is no int or float.
            ValueError: *grace* is negative or not a number.
            RuntimeError: called from one of the session's own handlers, which it would wait for.
        """
        core, ending = self._core, self._core.ending
        grace = core.config.drain_timeout if grace is None else check_grace("grace", grace)
        core.handlers.refuse_inside()
        try:
            ending.drain()
            with trio.move_on_after(grace):
                await ending.over.wait()
                await core.handlers.wait_ended()
        finally:
            ending.discard()
        await ending.closed.wait()
        await core.handlers.wait_ended()  # a session that broke may have some left

    async def wait_closed(self) -> None:
        """Waits until the session is over and its transport is closed.

        Raises:
            SessionError: it broke, or the peer's GOAWAY told of an error; not if this side closed it, or the peer did
                so gracefully.
            trio.ClosedResourceError: this side destroyed it with an error, which is the cause; or a bug ended it, which
                comes out of the block that owns the session.
        """
        await self._core.ending.closed.wait()
        failure = self._core.ending.failure
        if failure is not None and not is_clean(failure):
            raise from_failure(failure, session=self)

    async def wait_draining(self) -> None:
        """Waits until either side begins to shut down, or the session is over."""
        await self._core.ending.draining.wait()
