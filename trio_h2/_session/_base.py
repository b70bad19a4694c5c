"""Sessions of both roles, as the application sees them; the inner side is in `_core.py`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._errors import LocalProtocolError, from_failure
from .._wire._codes import ErrorCode, Initiator, Role, error_code
from .._wire._config import MAX_WINDOW
from .._wire._failure import Cause, SessionFailure
from .._wire._settings import MAX_SETTINGS, Settings
from .._wire._shutdown import LAST_POSSIBLE_ID
from .._wire._tuning import PROBE_PAYLOAD
from ._happenings import DEFAULT_CAPACITY, Subscription
from ._idling import IdlingSession
from ._pings import DRAIN_PAYLOAD, PingResult
from ._statistics import SessionStatistics
from ._watcher import KEEPALIVE_PAYLOAD

if TYPE_CHECKING:
    from .._wire._config import SessionConfig

_RESERVED_PAYLOADS = frozenset({DRAIN_PAYLOAD, KEEPALIVE_PAYLOAD, PROBE_PAYLOAD})


class Session(IdlingSession):
    """One HTTP/2 connection (RFC 9113 §1: a session here, never "connection").

    Made by `connect` and by the ``serve_*`` functions.
    """

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the session takes no new streams: either side is leaving, or it is over."""
        return self._draining.is_set()

    @property
    def draining(self) -> bool:
        """Whether either side has begun to shut down; what takes long should come to its end."""
        return self._draining.is_set()

    @property
    def local_settings(self) -> Settings:
        """Our settings that are in force: an update counts from its acknowledgement (RFC 9113 §6.5.3)."""
        return Settings.from_dict(self._engine.local_settings)

    @property
    def peer_settings(self) -> Settings:
        """What the peer's SETTINGS said so far."""
        return Settings.from_dict(self._engine.peer_settings)

    @property
    def remote_settings(self) -> Settings:
        """The peer's settings: all that its SETTINGS said so far; another name of `peer_settings`."""
        return self.peer_settings

    @property
    def pending_settings_ack(self) -> bool:
        """Whether SETTINGS of ours, the first or those of `update_settings`, are not acknowledged yet."""
        return self._engine.settings_pending

    def statistics(self) -> SessionStatistics:
        """Returns a snapshot of what the session holds and may do."""
        engine = self._engine
        return SessionStatistics(
            open_streams=len(self._streams),
            running_handlers=len(self._handlers),
            waiting_for_slot=self._waiting_for_slot,
            ledger=engine.budget.ledger.copy(),
            receive_budget=engine.budget.size,
            receive_window=engine.budget.window,
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
            capacity: happenings kept for this subscriber; more drop the oldest, see `Subscription.dropped`.

        Raises:
            TypeError, ValueError: *capacity* is no int, or less than 1.
        """
        return self._happenings.subscribe(capacity)

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
            ValueError: *payload* does not have 8 octets, or is one that the library uses itself.
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
        if payload in _RESERVED_PAYLOADS:
            raise ValueError(f"the library itself sends PINGs with the payload {payload!r}")
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
        self._engine.check_settings(values)
        self._check_usable()
        await trio.lowlevel.checkpoint_if_cancelled()
        update = self._updates.add()
        if not self._engine.settings_pending:
            self._watcher.settings_sent()
        self._engine.update_settings(values)
        self._watcher.active()
        self._wake_writer()
        await update.done.wait()
        if not update.acknowledged:
            self._check_usable()

    def set_local_window_size(self, size: int) -> None:
        """Sets the receive window of the session, which is also its receive budget, for as long as it lasts.

        A larger one is told to the peer at once. What the peer was given of a larger one before cannot be taken back:
        it is used up first, as far as the peer does. Never waits.

        Args:
            size: octets.

        Raises:
            TypeError: *size* is no int.
            ValueError: *size* is out of range, or too small for the streams that the peer may open, each with its
                window full.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        checked_number("size", size, MAX_WINDOW)
        self._check_usable()
        self._engine.set_receive_budget(size)
        self._credit_changed()

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
        checked_number("code", code, 2**32 - 1)
        if last_stream_id is not None:
            checked_number("last_stream_id", last_stream_id, LAST_POSSIBLE_ID)
        if not isinstance(debug_data, (bytes, bytearray, memoryview)):
            raise TypeError(f"debug_data must be bytes-like, not {debug_data!r}")
        debug_data = bytes(debug_data)
        self._check_debug_data(debug_data)
        self._check_usable()
        await self._control_room()
        self._check_usable()
        self._check_debug_data(debug_data)  # the peer may accept less by now
        sent = self._engine.shutdown.sent_last_id
        if last_stream_id is not None and sent is not None and last_stream_id > sent:
            # RFC 9113 §6.8: "Endpoints MUST NOT increase the value they send in the last stream identifier".
            raise LocalProtocolError(f"last_stream_id {last_stream_id} is higher than the {sent} of an earlier GOAWAY")
        self._engine.goaway(code, last_stream_id, debug_data)
        self._watcher.active()
        self._wake_writer()

    def _check_debug_data(self, debug_data: bytes) -> None:
        room = self._engine.max_outbound_frame_size - 8  # beside the id and the code
        if len(debug_data) > room:
            raise ValueError(f"debug_data has {len(debug_data)} octets, the peer accepts at most {room}")

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
            code = error_code(checked_number("code", code, 2**32 - 1))
        self._cut(SessionFailure(Cause.CLOSED, code, Initiator.LOCAL, "this session was destroyed", error=error))

    def shutdown(self) -> None:
        """Begins to drain: no new streams, running ones finish, then the session closes (RFC 9113 §6.8).

        A server says so in two steps, GOAWAY with the highest id, a PING round trip, GOAWAY with the real one, so
        that no request under way is lost; one step is enough while the client has not said anything yet. Never
        waits; idempotent.
        """
        if self._leaving or self._over.is_set():
            return
        self._leaving = True
        self._draining.set()
        self._watcher.leaving()
        if self._role is Role.SERVER and self._engine.peer_settings_seen:
            self._engine.goaway(ErrorCode.NO_ERROR, LAST_POSSIBLE_ID)
            self._engine.ping(DRAIN_PAYLOAD)
        else:
            self._engine.goaway(ErrorCode.NO_ERROR)
            self._goaway_final = True
        self._wake_writer()
        self._slots_changed(for_ever=True)

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
        grace = checked_grace(grace, self._config)
        self._refuse_own_handlers()
        try:
            self.shutdown()
            with trio.move_on_after(grace):
                await self._over.wait()
                await self._handlers.wait_ended()
        finally:
            self._cut()
        await self._closed.wait()
        await self._handlers.wait_ended()  # a session that broke may have some left

    def _refuse_own_handlers(self) -> None:
        """Raises `RuntimeError` inside a handler of this session."""
        self._handlers.refuse_inside()

    async def wait_closed(self) -> None:
        """Waits until the session is over and its transport is closed.

        Raises:
            SessionError: it broke, or the peer's GOAWAY told of an error; not if this side closed it, or the peer did
                so gracefully.
            trio.ClosedResourceError: this side destroyed it with an error, which is the cause; or a bug ended it, which
                comes out of the block that owns the session.
        """
        await self._closed.wait()
        failure = self._failure
        if failure is not None and not self._is_clean(failure):
            raise from_failure(failure)

    async def wait_draining(self) -> None:
        """Waits until either side begins to shut down, or the session is over."""
        await self._draining.wait()

    @staticmethod
    def _lost_nothing(failure: SessionFailure) -> bool:
        """Whether it was closed here, or by the peer with no stream under way and no error code."""
        if failure.cause is Cause.CLOSED:
            # `destroy` may have been given an error, and the library may have met a bug.
            return failure.error is None and failure.initiator is Initiator.LOCAL
        return failure.retryable and not failure.code

    @classmethod
    def _is_clean(cls, failure: SessionFailure) -> bool:
        """Whether nothing was lost, and nothing broke either.

        A peer that has said goodbye need not wait for ours: that we could not write it is no error then.
        """
        return cls._lost_nothing(failure) and (failure.cause is not Cause.LOST or failure.error is None)

    def _finish(self, failure: SessionFailure) -> None:
        if self._failure is None:
            super()._finish(failure)
            self._happenings.end(None if self._is_clean(failure) else from_failure(failure))

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise from_failure(self._failure)


def checked_number(name: str, value: object, highest: int) -> int:
    """Returns *value* if it is a number that its field in a frame can hold."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not 0 <= value <= highest:
        raise ValueError(f"{name} must be in 0..{highest}, not {value}")
    return value


def checked_grace(grace: float | None, config: SessionConfig) -> float:
    """Returns the seconds that a graceful end may take."""
    if grace is None:
        return config.drain_timeout
    if isinstance(grace, bool) or not isinstance(grace, (int, float)):
        raise TypeError(f"grace must be seconds as int or float, not {grace!r}")
    if math.isnan(grace) or grace < 0:
        raise ValueError(f"grace must be 0 seconds or more, not {grace}")
    return grace
