"""The connections to one origin, and the requests that wait for one, first come first served."""

from __future__ import annotations

import bisect
import copy
from typing import TYPE_CHECKING

import trio

from ._pooled_session import PooledSession

if TYPE_CHECKING:
    from .._address import Origin
    from ._pool import Pool
    from ._pooled import Pooled
    from ._timeouts import Deadline


class Ticket:
    """A request that waits for a connection.

    Args:
        number: in the order in which the requests were made.
        deadline: how long it waits.
        connect: how long it waits from when a connection is being opened for it; ``None``: that makes no difference.
    """

    __slots__ = ("_connect", "_deadline", "error", "number", "pooled", "settled")

    def __init__(self, number: int, deadline: Deadline | None = None, connect: float | None = None) -> None:
        self.number: int = number
        self._deadline = deadline
        self._connect = connect
        self.settled: trio.Event = trio.Event()
        self.pooled: Pooled | None = None
        self.error: Exception | None = None

    def connecting(self, lane: Lane) -> None:
        """A connection of *lane* is being opened for it."""
        if self._connect is not None and self._deadline is not None:
            self._deadline.restart(self._connect, "connect", f"connecting to {lane.way}")
            self._connect = None


class Opening:
    """A connection that is being opened, in a task of the client's."""

    __slots__ = ("lane", "scope")

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane = lane
        self.scope: trio.CancelScope = trio.CancelScope()


class Lane:
    """The connections to one origin.

    Args:
        pool: has all lanes.
        origin: whom they go to.
        http1: whether it is known to speak HTTP/1.1 only.
    """

    def __init__(self, pool: Pool, origin: Origin, *, http1: bool) -> None:
        self._pool = pool
        self.origin = origin
        self.http1: bool = http1
        """Each connection carries one request at a time."""
        self.pooled: list[Pooled] = []
        """The connections that are open, those that take no new requests included."""
        self.idle: list[Pooled] = []
        """HTTP/1.1 ones that a request may have, so that no busy one is looked at: the one used last at the end. Some
        may have ended meanwhile, which `Pooled.room` says."""
        self.answered: int = 0
        """How many requests have got a response."""
        self.switched: int = 0
        """How many connections carry a tunnel or another protocol; they do not count as such of HTTP/1.1 any more."""
        self.users: int = 0
        """Requests that may come back to it."""
        self.waiting: list[Ticket] = []
        self.opening: set[Opening] = set()
        self._discouraged = False
        """The last try to open one more failed; it is not repeated before a request is done."""

    def forget_if_unused(self) -> None:
        """Leaves the pool if nothing would be lost without this lane."""
        if not (self.users or self.pooled or self.waiting or self.opening):
            self._pool.forget(self)

    @property
    def way(self) -> str:
        """Where its connections go to, and through which proxy."""
        return self._pool.way(self.origin)

    @property
    def has_its_own(self) -> bool:
        """Whether it has a connection that takes requests, or one is being opened."""
        return bool(self.opening) or any(not pooled.leaving for pooled in self.pooled)

    def acquire_nowait(self) -> Pooled | None:
        """Returns a connection for a request, which must give it back; ``None`` if it has to wait.

        Raises:
            trio.ClosedResourceError: the client is closed.
        """
        self._pool.check_open()
        pooled = None if self.waiting else self._free()
        if pooled is not None:
            pooled.take()
        return pooled

    async def acquire(self, ticket: Ticket) -> Pooled:
        """Waits in line for a connection, which the request must give back.

        The order is that of their numbers. Opens a connection if one is needed; cancelling it fails nobody else.

        Raises:
            OSError, HandshakeError, RequestTimeoutError: no connection could be opened.
            trio.ClosedResourceError: the client is closed.
        """
        bisect.insort(self.waiting, ticket, key=_number_of)
        self.pump()
        if self.opening and (not self.http1 or len(self.waiting) <= len(self.opening)):
            ticket.connecting(self)
        try:
            await ticket.settled.wait()
        except BaseException:
            if ticket.pooled is not None:
                ticket.pooled.refuse()
            elif not ticket.settled.is_set():
                self.waiting.remove(ticket)
                self.pump()
            raise
        if ticket.error is not None:
            raise ticket.error
        assert ticket.pooled is not None
        return ticket.pooled

    def _free(self) -> Pooled | None:
        """Returns a connection that a request may have now."""
        if len(self.pooled) == 1 == self._pool.max_sessions_per_origin and not self.http1:
            # Nearly always: requests wait in the line of the one session, which knows best when it has a stream.
            only = self.pooled[0]
            return None if only.leaving else only
        if self.http1:
            while self.idle:
                pooled = self.idle.pop()
                if pooled.room:
                    return pooled
            return None
        best: Pooled | None = None
        room, others = 0, 0
        for pooled in reversed(self.pooled):
            if pooled.leaving:
                continue
            others += 1
            free = pooled.room
            if best is None or free > room:
                best, room = pooled, free
        if best is None or room > 0:
            return best if room > 0 else None
        # All are full. If no further one may be opened, requests wait in the line of a session, which knows best when
        # it has a stream for them: that of the session with the fewest.
        if others < self._pool.max_sessions_per_origin:
            return None
        return min((pooled for pooled in self.pooled if not pooled.leaving), key=_requests_of)

    # -- what changes ----------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Gives connections to those who wait, and opens as many as are needed, or stops opening those that are not."""
        while self.waiting and (pooled := self._free()) is not None:
            pooled.take()
            ticket = self.waiting.pop(0)
            ticket.pooled = pooled
            ticket.settled.set()
        while len(self.opening) < self._wanted() and self._pool.has_place(self):
            opening = Opening(self)
            self.opening.add(opening)
            self._pool.start(opening)
            for ticket in self.waiting[: len(self.opening)] if self.http1 else self.waiting:
                ticket.connecting(self)
        if not self.waiting:
            for opening in self.opening:
                opening.scope.cancel()
        self.forget_if_unused()

    def _wanted(self) -> int:
        """How many connections should be under way."""
        if self._discouraged:
            return 0
        if self.http1:
            return min(len(self.waiting), self._pool.max_http1_per_origin + self.switched - len(self.pooled))
        taking = sum(not pooled.leaving for pooled in self.pooled)
        return 1 if self.waiting and taking < self._pool.max_sessions_per_origin else 0

    def freed(self) -> None:
        """A request is done with its connection, or one takes no more."""
        self._discouraged = False
        if self.waiting:
            self.pump()
        else:
            self._pool.freed()

    def leave(self) -> None:
        """No new requests on any of the connections that are open."""
        for pooled in list(self.pooled):
            pooled.leave()

    def opened(self, opening: Opening, pooled: Pooled) -> None:
        """A connection is there."""
        self.opening.discard(opening)
        self.http1 = not isinstance(pooled, PooledSession)
        self.pooled.append(pooled)
        if self.http1:
            self.idle.append(pooled)
        self.pump()

    def failed(self, opening: Opening, error: Exception) -> None:
        """A connection could not be opened. Who waits for it is told, unless there are others to wait for."""
        self.opening.discard(opening)
        if any(not pooled.leaving for pooled in self.pooled):
            self._discouraged = True
        elif self.http1:
            self.fail_waiting(error, 1)  # each was to be for one request
        else:
            self.fail_waiting(error)

    def fail_waiting(self, error: Exception, most: int | None = None) -> None:
        """Tells those who wait longest, or all, that they get no connection."""
        waiting, self.waiting = self.waiting[:most], self.waiting[len(self.waiting) if most is None else most :]
        for number, ticket in enumerate(waiting):
            # Each task raises an error of its own: raising adds to its traceback.
            ticket.error = _copy_of(error) if number else error
            ticket.settled.set()

    def ended(self, opening: Opening, pooled: Pooled | None) -> None:
        """A connection has ended, or is not opened any more."""
        self.opening.discard(opening)
        if pooled is not None and pooled in self.pooled:
            self.pooled.remove(pooled)
            self.switched -= pooled.switched


def _number_of(ticket: Ticket) -> int:
    return ticket.number


def _requests_of(pooled: Pooled) -> int:
    return pooled.requests


def _copy_of(error: Exception) -> Exception:
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin
