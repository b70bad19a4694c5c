"""How a session ends.

A session's end is one value, `SessionFailure`, set once and for ever, together with an event; every pending and later
operation raises from it. Expected failures (peer, network, protocol) are such state; only bugs travel through the
nursery. There are three ways to it:

* it broke: `end`, called by whoever notices;
* either side has said that it leaves (`drain`, `peer_leaves`), and nothing runs any more: `check_drained`;
* this side ends it now, whatever runs: `discard`.

In the words of ARCHITECTURE.md, "What ends what".
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .._stream._alerts import alert_of, meaning_of
from .._util import forget_frames
from .._wire._codes import ErrorCode, Initiator, Role
from .._wire._failure import Cause, SessionFailure
from .._wire._shutdown import LAST_POSSIBLE_ID
from ._pings import DRAIN_PAYLOAD

if TYPE_CHECKING:
    from .._wire._engine import Engine
    from ._core import SessionCore

logger = logging.getLogger("trio_h2.session")


class Ending:
    """The end of one session: whether it has begun, whether it is reached, and why.

    Args:
        core: the session, which is let go of when all has ended: see `release`.
    """

    __slots__ = (
        "_core",
        "_goaway_final",
        "_handlers",
        "_leaving",
        "_reason",
        "_write_error",
        "closed",
        "draining",
        "failure",
        "lets_peer_finish",
        "over",
        "scope",
    )

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._handlers = core.handlers
        self._leaving = False
        self._reason = b""
        """Why this side leaves, for the peer."""
        self._goaway_final = False
        """The last GOAWAY, the one with the real id, is in the output."""
        self._write_error: BaseException | None = None
        self.failure: SessionFailure | None = None
        """Why the session is over."""
        self.draining: trio.Event = trio.Event()
        """Either side leaves, or the session is over."""
        self.over: trio.Event = trio.Event()
        """Set with `failure`."""
        self.closed: trio.Event = trio.Event()
        """The transport is closed, too."""
        self.lets_peer_finish: bool = False
        """What we sent last matters to the peer, so the transport is read until the peer has closed it."""
        self.scope: trio.CancelScope = trio.CancelScope(shield=True)
        """The scope of the service tasks; it gets a deadline when the session is over."""

    @property
    def leaving(self) -> bool:
        """Whether this side drains."""
        return self._leaving

    # -- leaving ---------------------------------------------------------------------------------------------------

    def drain(self, reason: str = "") -> None:
        """This side leaves: no new streams, running ones finish, see `Session.shutdown`.

        Args:
            reason: tells the peer and the log why, unless the application wants it.
        """
        if self._leaving or self.failure is not None:
            return
        core, engine = self._core, self._core.engine
        self._leaving = True
        self._reason = reason.encode()
        if reason:
            logger.debug("%s: %s", core.label, reason)
        self.draining.set()
        core.watcher.leaving()
        if core.role is Role.SERVER and engine.peer_settings_seen:
            engine.goaway(ErrorCode.NO_ERROR, LAST_POSSIBLE_ID, self._reason)
            engine.ping(DRAIN_PAYLOAD)
            core.watcher.drain_asked(core.goaway_timeout)
        else:
            engine.goaway(ErrorCode.NO_ERROR, debug_data=self._reason)
            self._goaway_final = True
        core.wake_writer()
        core.no_more_slots()

    def drain_settled(self) -> None:
        """The peer has answered the PING of a drain: it has seen the first GOAWAY. Or it had time enough to.

        RFC 9113 §6.8 asks for "at least one round-trip time" in between, not for an answer.
        """
        if self._leaving and not self._goaway_final and self.failure is None:
            self._goaway_final = True
            self._core.watcher.drain_settled()
            self._core.engine.goaway(ErrorCode.NO_ERROR, debug_data=self._reason)
            self._core.wake_writer()

    def peer_leaves(self) -> None:
        """The peer has said GOAWAY."""
        self.draining.set()
        self._core.no_more_slots()
        self._core.wake_writer()  # which looks whether all is said

    def check_drained(self) -> None:
        """Ends the session gracefully when either side wants to leave, nothing runs any more, and all is written.

        The writer asks, too, whenever it has written everything: what a slow peer has not been sent yet is no less
        under way than a stream that is open.
        """
        if not self.draining.is_set() or self.failure is not None:
            return
        core = self._core
        if core.streams or core.handlers or not core.writer.flushed:
            return
        leaving = core.engine.shutdown
        if self._leaving:
            if not (self._goaway_final or leaving.peer_is_leaving):
                return
            failure = closed_here()
        else:
            failure = SessionFailure(
                Cause.GOAWAY,
                leaving.received_code,
                Initiator.REMOTE,
                "the peer has left the session (GOAWAY)",
                retryable=True,  # of whatever is asked for from now on
                debug_data=leaving.received_debug,
            )
        self.lets_peer_finish = core.role is Role.SERVER  # it may still be reading the last response
        self.end(failure)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def write_failed(self, error: BaseException) -> None:
        """Nothing more can be written. What the peer said before it closed may still be unread, and matters."""
        self._core.writer.stop()
        self._write_error = error
        if self.failure is None:
            await trio.sleep(self._core.config.close_timeout)
        self.transport_lost("the transport broke", error)

    def transport_lost(self, reason: str, error: BaseException | None) -> None:
        """Nothing more will be received."""
        core = self._core
        core.writer.stop()
        error = error or self._write_error
        if self._leaving and not core.streams and not core.handlers:
            self.end(closed_here())  # the peer understood that we leave, and was faster
        else:
            forget_frames(error)
            self.end(_lost(core.engine, reason, error))

    def discard(self, failure: SessionFailure | None = None) -> None:
        """This side ends the session now: open streams are reset with CANCEL, GOAWAY follows."""
        self._handlers.cancel()  # even if the session broke before: some handlers outlive that
        if self.failure is not None:
            return
        core = self._core
        failure = failure or closed_here()
        for stream in list(core.streams.values()):
            if failure.error is None and failure.initiator is Initiator.LOCAL:
                stream.discard()
                continue
            # Destroyed with an error, or by a bug: every operation raises, unread data is lost.
            stream.end(failure)
            stream.inbox.discard()
            if stream.alive:
                stream.rst_code = failure.code or ErrorCode.CANCEL
                core.engine.reset(stream.id, stream.rst_code)
        self.end(failure)

    def end(self, failure: SessionFailure) -> None:
        """The session is over: everything that waits raises, what comes later does, too, and the rest gets a deadline.

        Does nothing if it is over already.
        """
        if self.failure is not None:
            return
        core, engine = self._core, self._core.engine
        code: ErrorCode | int = ErrorCode.NO_ERROR
        if failure.cause is Cause.CLOSED:
            code = failure.code or ErrorCode.NO_ERROR
        else:
            log = logger.warning if failure.code == ErrorCode.ENHANCE_YOUR_CALM else logger.debug
            log("%s: %s (%s)", core.label, failure.reason, failure.cause.value)
            if failure.initiator is Initiator.LIBRARY and failure.cause is not Cause.KEEPALIVE:
                self.lets_peer_finish = True  # it should learn from GOAWAY why, unless it does not listen any more
        if failure.cause in (Cause.CLOSED, Cause.GOAWAY) and (code or not self._goaway_final):
            self._goaway_final = True
            engine.goaway(code)
        engine.fail(failure)
        self.failure = core.failure = failure
        for stream in list(core.streams.values()):
            stream.end(failure)
        core.streams.clear()
        for stream_id in list(engine.streams):
            engine.close_stream(stream_id)  # what is unread can still be read
        self.draining.set()
        self.over.set()
        core.ended(failure)
        core.wake_writer()
        self.scope.deadline = trio.current_time() + core.config.close_timeout

    def release(self) -> None:
        """Everything has ended: lets go of what refers back here, so that nothing waits for the garbage collector."""
        del self._core  # from here on every method returns at once
        self.closed.set()


def closed_here() -> SessionFailure:
    """Returns the end of a session that this side has closed."""
    return SessionFailure(Cause.CLOSED, ErrorCode.NO_ERROR, Initiator.LOCAL, "this session was closed on this side")


def _lost(engine: Engine, reason: str, error: BaseException | None) -> SessionFailure:
    """Returns why the session is over when its transport has ended."""
    alert = None if error is None else alert_of(error.__cause__)
    if alert is not None and error is not None:
        # TLS 1.3: a server may judge a client's certificate when the client's part of the handshake is done already.
        peer = "the server" if engine.role is Role.CLIENT else "the client"
        what = "ended TLS" if engine.peer_settings_seen else "refused the TLS handshake"
        reason, error = f"{peer} {what}: {meaning_of(alert)}", error.__cause__
    if engine.mid_frame:
        reason += " in the middle of a frame"
    if not engine.peer_settings_seen:
        if alert is None:
            reason += " before the peer's SETTINGS came"
        return SessionFailure(Cause.HANDSHAKE, None, Initiator.REMOTE, reason, error=error)
    leaving = engine.shutdown
    return SessionFailure(
        Cause.GOAWAY if leaving.peer_is_leaving else Cause.LOST,
        leaving.received_code if leaving.peer_is_leaving else None,
        Initiator.REMOTE,
        reason,
        retryable=not engine.mid_frame and not engine.streams,  # nothing was under way
        debug_data=leaving.received_debug,
        error=error,
    )


def lost_nothing(failure: SessionFailure) -> bool:
    """Whether the session was closed here, or by the peer with no stream under way and no error code."""
    if failure.cause is Cause.CLOSED:
        # `destroy` may have been given an error, and the library may have met a bug.
        return failure.error is None and failure.initiator is Initiator.LOCAL
    return failure.retryable and not failure.code


def is_clean(failure: SessionFailure) -> bool:
    """Whether nothing was lost, and nothing broke either.

    A peer that has said goodbye need not wait for ours: that we could not write it is no error then.
    """
    return lost_nothing(failure) and (failure.cause is not Cause.LOST or failure.error is None)
