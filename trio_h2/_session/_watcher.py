"""The task that knows the time: every deadline of a session that no caller's cancel scope could hold.

The peer's first SETTINGS and its acknowledgements of ours, keep-alive, idle sessions, closed streams that linger.
Deadlines that move with every byte are not moved: when one comes up, it is looked at again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._wire._codes import ErrorCode, Initiator, Role
from .._wire._failure import Cause, SessionFailure

if TYPE_CHECKING:
    from ._base import Session

KEEPALIVE_PAYLOAD = b"\xffkeep-h2"
"""The PING of the keep-alive; beside it, the application's pings have a limit of their own."""


class Watcher:
    """The deadlines of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._config = session.config
        now = trio.current_time()
        self._heard = now
        self._ping_sent: float | None = None
        self._preface_deadline = now + self._config.handshake_timeout
        self._settings_deadline = now + self._config.settings_timeout
        self._busy_since = now
        self._idle_since: float | None = now
        self._lingering: dict[int, float] = {}
        self._sleeping_until = -math.inf
        self._changed = trio.Event()

    # -- what happened ---------------------------------------------------------------------------------------------

    def heard(self, now: float) -> None:
        """The peer sent something: it lives."""
        self._heard = now
        self._ping_sent = None

    def settings_seen(self) -> None:
        """The peer's SETTINGS have come."""
        self._preface_deadline = math.inf

    def settings_sent(self) -> None:
        """SETTINGS of ours went into the output."""
        self._settings_deadline = trio.current_time() + self._config.settings_timeout
        self._expect(self._settings_deadline)

    def settings_acknowledged(self) -> None:
        """No SETTINGS of ours are without acknowledgement."""
        self._settings_deadline = math.inf

    def busy(self) -> None:
        """The session has a stream, after it had none."""
        if self._idle_since is None:
            return
        self._idle_since = None
        self._busy_since = trio.current_time()
        self._expect(self._next_deadline())

    def idle(self) -> None:
        """The session has no streams any more."""
        self._idle_since = trio.current_time()
        self._expect(self._idle_since + self._config.idle_timeout)

    def linger(self, stream_id: int) -> None:
        """The application closed a stream which the peer has not ended."""
        self._lingering[stream_id] = trio.current_time() + self._config.linger_timeout
        self._expect(self._lingering[stream_id])

    def forget(self, stream_id: int) -> None:
        """A stream has closed."""
        self._lingering.pop(stream_id, None)

    # -- the task --------------------------------------------------------------------------------------------------

    def _expect(self, deadline: float) -> None:
        if deadline < self._sleeping_until:
            self._changed.set()

    async def run(self) -> None:
        """Acts on every deadline as it comes, until cancelled."""
        while True:
            self._changed = trio.Event()
            self._sleeping_until = self._next_deadline()
            with trio.move_on_at(self._sleeping_until):
                await self._changed.wait()
            self._act(trio.current_time())

    def _keeps_alive(self) -> bool:
        """A server watches its clients always, a client its server only while it waits for it."""
        return self._session._role is Role.SERVER or self._idle_since is None

    def _next_deadline(self) -> float:
        deadline = min(self._preface_deadline, self._settings_deadline)
        if self._ping_sent is not None:
            deadline = min(deadline, self._ping_sent + self._config.ping_timeout)
        elif self._keeps_alive():
            deadline = min(deadline, max(self._heard, self._busy_since) + self._config.ping_interval)
        if self._idle_since is not None and not self._session.draining:
            deadline = min(deadline, self._idle_since + self._config.idle_timeout)
        if self._lingering:
            deadline = min(deadline, next(iter(self._lingering.values())))
        return deadline

    def _act(self, now: float) -> None:
        session = self._session
        if now >= self._preface_deadline:
            seconds = self._config.handshake_timeout
            self._fail(Cause.HANDSHAKE, ErrorCode.SETTINGS_TIMEOUT, f"the peer sent no SETTINGS within {seconds:g} s")
            return
        if now >= self._settings_deadline:
            seconds = self._config.settings_timeout
            reason = f"the peer did not acknowledge our SETTINGS within {seconds:g} s"
            self._fail(Cause.SETTINGS_TIMEOUT, ErrorCode.SETTINGS_TIMEOUT, reason)
            return
        if self._ping_sent is not None and now >= self._ping_sent + self._config.ping_timeout:
            seconds = self._config.ping_timeout
            self._fail(Cause.KEEPALIVE, None, f"the peer sent nothing within {seconds:g} s of a PING")
            return
        if self._ping_sent is None and self._keeps_alive() and self._quiet(now) >= self._config.ping_interval:
            self._ping_sent = now
            session._engine.ping(KEEPALIVE_PAYLOAD)
            session._wake_writer()
        for stream_id, deadline in list(self._lingering.items()):
            if deadline > now:
                break
            del self._lingering[stream_id]
            session._lingered(stream_id)
        if self._idle_since is not None and now >= self._idle_since + self._config.idle_timeout:
            session.shutdown()

    def _quiet(self, now: float) -> float:
        return now - max(self._heard, self._busy_since)

    def _fail(self, cause: Cause, code: ErrorCode | None, reason: str) -> None:
        self._preface_deadline = self._settings_deadline = math.inf
        self._session._fail(SessionFailure(cause, code, Initiator.LIBRARY, reason))
