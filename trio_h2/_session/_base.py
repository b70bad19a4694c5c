"""Sessions of both roles, as the application sees them; the inner side is in `_core.py`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._errors import LocalProtocolError, from_failure
from .._wire._codes import ErrorCode, Role
from .._wire._failure import Cause, SessionFailure
from .._wire._settings import Settings
from .._wire._shutdown import LAST_POSSIBLE_ID
from .._wire._tuning import PROBE_PAYLOAD
from ._core import SessionCore
from ._pings import DRAIN_PAYLOAD, PingResult
from ._statistics import SessionStatistics
from ._watcher import KEEPALIVE_PAYLOAD

if TYPE_CHECKING:
    from .._wire._config import SessionConfig

_RESERVED_PAYLOADS = frozenset({DRAIN_PAYLOAD, KEEPALIVE_PAYLOAD, PROBE_PAYLOAD})


class Session(SessionCore):
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
            open_streams=len(self._streams),
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
            ValueError: the change breaks the receive budget, or withdraws extended CONNECT (RFC 8441 §3).
            SettingsTimeoutError: the peer did not acknowledge within ``settings_timeout``.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        if not isinstance(settings, Settings):
            raise TypeError(f"settings must be Settings, not {settings!r}")
        values = settings.as_dict()
        self._engine.check_settings(values)
        self._check_usable()
        await trio.lowlevel.checkpoint_if_cancelled()
        update = self._updates.add()
        if not self._engine.settings_pending:
            self._watcher.settings_sent()
        self._engine.update_settings(values)
        self._wake_writer()
        await update.done.wait()
        if not update.acknowledged:
            self._check_usable()

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
                await self._handlers_ended()
        finally:
            self._cut()
        await self._closed.wait()
        await self._handlers_ended()

    async def _handlers_ended(self) -> None:
        """Waits until no handler runs any more; a session that broke may have some left."""

    def _refuse_own_handlers(self) -> None:
        """Raises `RuntimeError` inside a handler of this session."""

    async def wait_closed(self) -> None:
        """Waits until the session is over and its transport is closed.

        Raises:
            SessionError: it broke, or the peer's GOAWAY told of an error; not if this side closed it, or the peer did
                so gracefully.
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
        return failure.cause is Cause.CLOSED or (failure.retryable and not failure.code)

    @classmethod
    def _is_clean(cls, failure: SessionFailure) -> bool:
        """Whether nothing was lost, and nothing broke either.

        A peer that has said goodbye need not wait for ours: that we could not write it is no error then.
        """
        return cls._lost_nothing(failure) and (failure.cause is not Cause.LOST or failure.error is None)

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise from_failure(self._failure)


def checked_grace(grace: float | None, config: SessionConfig) -> float:
    """Returns the seconds that a graceful end may take."""
    if grace is None:
        return config.drain_timeout
    if isinstance(grace, bool) or not isinstance(grace, (int, float)):
        raise TypeError(f"grace must be seconds as int or float, not {grace!r}")
    if math.isnan(grace) or grace < 0:
        raise ValueError(f"grace must be 0 seconds or more, not {grace}")
    return grace


def _as_settings(values: dict[int, int]) -> Settings:
    return Settings.unpack(
        b"".join(code.to_bytes(2, "big") + value.to_bytes(4, "big") for code, value in values.items())
    )
