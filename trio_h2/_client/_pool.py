"""All connections of a client: one lane per origin, and one limit on all."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

import trio

from .. import ErrorCode, H2Error, connect
from .._util import interrupt_safe
from ._coalescing import Coalescing
from ._lane import Lane
from ._pooled_session import PooledSession
from ._statistics import ClientStatistics
from ._timeouts import Deadline
from ._timers import Timers

if TYPE_CHECKING:
    from .. import ClientConfig, ClientSession
    from .._address import Origin
    from ._dialer import Dialer
    from ._lane import Opening, Ticket
    from ._pooled import Pooled
    from ._timeouts import Timeouts

logger = logging.getLogger("trio_h2.client")


@interrupt_safe
class Pool:
    """The connections of one client, each in a task of its nursery.

    Args:
        dialer: opens transports.
        config: limits and timeouts of sessions.
        timeouts: of which ``connect`` counts here.
        max_sessions: connections to all origins together.
        max_sessions_per_origin: sessions of HTTP/2 to one origin, besides those that take no new requests.
        max_http1_per_origin: connections of HTTP/1.1 to one origin.
        idle_timeout: seconds after which a connection without requests is closed.
        coalesce: whether origins may share a session.
    """

    def __init__(
        self,
        dialer: Dialer,
        config: ClientConfig,
        timeouts: Timeouts,
        *,
        max_sessions: int,
        max_sessions_per_origin: int,
        max_http1_per_origin: int,
        idle_timeout: float,
        coalesce: bool = False,
    ) -> None:
        self._dialer = dialer
        self._config = config
        self._timeouts = timeouts
        self._max_sessions = max_sessions
        self.max_sessions_per_origin = max_sessions_per_origin
        self.max_http1_per_origin = max_http1_per_origin
        self._idle_timeout = idle_timeout
        self.coalescing: Coalescing | None = Coalescing(dialer) if coalesce else None
        self._lanes: dict[Origin, Lane] = {}
        self._http1_lanes: dict[Origin, Lane] = {}
        """For what the sessions of an origin do not carry, and HTTP/1.1 does."""
        self._count = 0
        self._numbers = itertools.count()
        self._short = False
        """Some lane waits for a place."""
        self.timers: Timers = Timers()
        self._watching = trio.CancelScope()
        self.nursery: trio.Nursery | None = None
        self.opened: int = 0
        """How many connections were opened."""

    @property
    def speaks_http1(self) -> bool:
        """Whether HTTP/1.1 may be spoken."""
        return self._dialer.http1

    def way(self, origin: Origin) -> str:
        """Says where a connection goes to, and through which proxy."""
        return self._dialer.way(origin)

    def number(self) -> int:
        """Returns the number of a new request, by which it keeps its place in line when it is sent again."""
        return next(self._numbers)

    def lane(self, origin: Origin) -> Lane:
        """Returns the lane of an origin."""
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = Lane(self, origin, http1=self._dialer.http1_only(origin))
        return lane

    def http1_lane(self, origin: Origin) -> Lane:
        """Returns the lane for those requests to an origin that only HTTP/1.1 can carry, though it speaks HTTP/2."""
        lane = self._http1_lanes.get(origin)
        if lane is None:
            lane = self._http1_lanes[origin] = Lane(self, origin, http1=True)
        return lane

    def _all_lanes(self) -> list[Lane]:
        return [*self._lanes.values(), *self._http1_lanes.values()]

    async def acquire(self, lane: Lane, ticket: Ticket) -> Pooled:
        """Waits for a connection for a request to *lane*, which must give it back; see `Lane.acquire`."""
        if self.coalescing is not None:
            pooled = await self.coalescing.take(lane, self._lanes.values())
            if pooled is not None:
                return pooled
        return await lane.acquire(ticket)

    def forget(self, lane: Lane) -> None:
        """A lane has nothing any more."""
        for lanes in (self._lanes, self._http1_lanes):
            if lanes.get(lane.origin) is lane:
                del lanes[lane.origin]

    @property
    def sessions(self) -> list[ClientSession]:
        """The sessions of HTTP/2 that are open."""
        return [pooled.session for pooled in self.connections if isinstance(pooled, PooledSession)]

    @property
    def connections(self) -> list[Pooled]:
        """The connections that are open."""
        return [pooled for lane in self._all_lanes() for pooled in lane.pooled]

    def statistics(self) -> ClientStatistics:
        """See `Client.statistics`."""
        connections = self.connections
        return ClientStatistics(
            connections=len(connections),
            opening=sum(len(lane.opening) for lane in self._all_lanes()),
            opened=self.opened,
            requests=sum(pooled.requests for pooled in connections),
            waiting=sum(len(lane.waiting) for lane in self._all_lanes()),
        )

    # -- the beginning and the end -----------------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raises unless the client's block is entered, and not left."""
        if self.nursery is None:
            raise closed_error()

    def begin(self, nursery: trio.Nursery) -> None:
        """The client's block is entered, and its tasks live in *nursery*."""
        self.nursery = nursery
        self._dialer.begin(nursery)
        nursery.start_soon(self._watch, name="trio_h2 client's timers")

    async def _watch(self) -> None:
        with self._watching:
            await self.timers.run()

    def leave(self) -> None:
        """The client is closed: connections end with their last request, and no request waits any more."""
        self.nursery = None
        self._watching.cancel()
        for lane in self._all_lanes():
            lane.fail_waiting(closed_error())
            lane.pump()
            lane.leave()
        self._dialer.leave()

    # -- places ----------------------------------------------------------------------------------------------------

    def has_place(self, lane: Lane) -> bool:
        """Whether *lane* may open a connection now; if not, room is made for it."""
        if self.nursery is None:
            return False
        if self._count < self._max_sessions:
            return True
        self._short = True
        self._make_room(lane)
        return False

    def _make_room(self, lane: Lane) -> None:
        """Closes an idle connection, or else has one take no more requests: who waits longest is not kept waiting."""
        connections = [pooled for pooled in self.connections if not pooled.switched]
        leaving = sum(pooled.leaving for pooled in connections)
        if leaving >= sum(bool(other.waiting) for other in self._all_lanes()):
            return
        others = [pooled for pooled in connections if not pooled.leaving and pooled.lane is not lane]
        if others:
            min(others, key=lambda pooled: (pooled.requests, pooled.idle_since)).leave()

    def freed(self) -> None:
        """A request is done with its connection, which another origin may be waiting for."""
        if self._short:
            self._pump_all()

    def _pump_all(self) -> None:
        waiting = [lane for lane in self._all_lanes() if lane.waiting]
        self._short = False
        for lane in sorted(waiting, key=lambda lane: lane.waiting[0].number):
            lane.pump()

    # -- connections -----------------------------------------------------------------------------------------------

    def start(self, opening: Opening) -> None:
        """Opens a connection, in a task of its own."""
        assert self.nursery is not None
        self._count += 1
        self.nursery.start_soon(self._run, opening, name=f"trio_h2 client of {opening.lane.origin}")

    async def _run(self, opening: Opening) -> None:
        lane = opening.lane
        pooled: list[Pooled] = []
        try:
            with opening.scope:
                await self._serve(opening, pooled)
        except Exception as exc:
            if pooled:
                # Its requests were told, each for itself.
                logger.debug("the connection to %s ended: %r", lane.origin, exc)
            else:
                lane.failed(opening, exc)
        finally:
            self._count -= 1
            lane.ended(opening, pooled[0] if pooled else None)
            lane.forget_if_unused()
            self._pump_all()

    async def _serve(self, opening: Opening, found: list[Pooled]) -> None:
        """Opens a connection and keeps it until it is to be closed; puts it into *found* when it is open."""
        lane = opening.lane
        with Deadline(self._timeouts.connect, "connect", f"connecting to {lane.way}"):
            transport, http2, forward = await self._dialer.dial(lane.origin, http1=lane.http1)
        self.opened += 1
        pooled: Pooled
        if not http2:
            # h11 is imported when the first connection needs it, which makes `import trio_h2` quicker.
            from ._http1 import Http1Connection

            async with Http1Connection(lane, transport, self._config, forward) as pooled:
                await trio.lowlevel.checkpoint_if_cancelled()  # nobody is to get what `run` would close at once
                found.append(pooled)
                lane.opened(opening, pooled)
                await pooled.run(self._idle_timeout)
            return
        async with connect(str(lane.origin), transport=transport, config=self._config) as session:
            await trio.lowlevel.checkpoint_if_cancelled()
            pooled = PooledSession(lane, session)
            found.append(pooled)
            lane.opened(opening, pooled)
            await pooled.run(self._idle_timeout)


def closed_error() -> trio.ClosedResourceError:
    """Returns what is raised outside the block of a client."""
    return trio.ClosedResourceError("this client is not open: use it inside `async with trio_h2.Client(…) as client`")


def wants_http1(error: Exception) -> bool:
    """Whether a server wants a request over HTTP/1.1 (RFC 9113 §7: HTTP_1_1_REQUIRED)."""
    return isinstance(error, H2Error) and error.code == ErrorCode.HTTP_1_1_REQUIRED
