"""Servers that do the same, as a gateway has them: whose turn it is, and who waits."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

from .._util import interrupt_safe
from ._backend import Backend
from ._budget import Budget
from ._connecting import client_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from ._servers import Servers


class NoServerError(Exception):
    """No server takes the request."""


class _Ticket:
    """A request that waits."""

    __slots__ = ("avoided", "backend", "task")

    def __init__(self, avoided: Collection[Backend], task: trio.lowlevel.Task) -> None:
        self.avoided = avoided
        self.task = task
        self.backend: Backend | None = None
        """The server that it got; whoever gives it one takes it out of the line."""


@interrupt_safe
class Group:
    """Some servers, and the line of requests that wait for them.

    Args:
        servers: what they are, and how they are treated.
    """

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        ejection = servers.ejection if len(servers.urls) > 1 else None  # the only one is never left alone
        self.backends = [Backend(url, client_of(servers, url), ejection) for url in servers.urls]
        self.budget = Budget(servers.retries)
        self._line: deque[_Ticket] = deque()
        self._next = 0
        """Whose turn it is among servers with as many requests."""

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._line)

    async def acquire(self, avoided: Collection[Backend] = ()) -> Backend:
        """Returns a server for one request, which `release` gives back; waits until one is free.

        Args:
            avoided: those that are asked only if there is no other one.

        Raises:
            NoServerError: none is free in time, or well.
        """
        self.serve_line()
        backend = None if self._line else self._free(avoided)
        if backend is not None:
            backend.begin()
            return backend
        if len(self._line) >= self.servers.max_waiting:
            raise NoServerError(f"{len(self._line)} requests wait already (max_waiting)")
        return await self._wait(avoided)

    async def _wait(self, avoided: Collection[Backend]) -> Backend:
        ticket = _Ticket(avoided, trio.lowlevel.current_task())
        self._line.append(ticket)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._line.remove(ticket)
            return trio.lowlevel.Abort.SUCCEEDED

        # Whoever gives a ticket a server reschedules its task in the same step, and then it is not cancelled any more.
        with trio.move_on_after(self.servers.max_wait):
            await trio.lowlevel.wait_task_rescheduled(abort)
        if ticket.backend is not None:
            return ticket.backend
        if not any(backend.well for backend in self.backends):
            raise NoServerError("no server is well")
        raise NoServerError(f"no server was free within max_wait={self.servers.max_wait:g} s")

    def release(self, backend: Backend) -> None:
        """A request is over: the next one gets its place."""
        backend.end()
        if self._line:
            self.serve_line()

    def serve_line(self) -> None:
        """Gives what is free to those who wait, the first one first; those for whom there is nobody are told."""
        while self._line:
            ticket = self._line[0]
            try:
                backend = self._free(ticket.avoided)
            except NoServerError:
                backend = None
            else:
                if backend is None:
                    return
                backend.begin()
                ticket.backend = backend
            self._line.popleft()
            trio.lowlevel.reschedule(ticket.task)

    def _free(self, avoided: Collection[Backend]) -> Backend | None:
        """Returns the server whose turn it is, ``None`` if all are busy.

        Raises:
            NoServerError: none is well.
        """
        most = self.servers.max_running
        if len(self.backends) == 1:
            backend = self.backends[0]
            if not backend.well:
                raise NoServerError("the server is not well")
            return backend if backend.running < most else None
        now = trio.current_time()
        well = [backend for backend in self.backends if backend.well]
        if not well:
            raise NoServerError("no server is well")
        if avoided:
            well = [backend for backend in well if backend not in avoided] or well
        ready = [backend for backend in well if backend.out_until <= now]
        # One that has failed again and again is tried with one request first.
        usable = [backend for backend in ready if not (backend.on_probation and backend.running)] or ready
        if not usable:
            usable = [min(well, key=_out_until)]
        free = [backend for backend in usable if backend.running < most]
        if not free:
            return None
        least = min(backend.running for backend in free)
        first = self._next
        count = len(self.backends)
        for step in range(count):
            at = (first + step) % count
            backend = self.backends[at]
            if backend.running == least and backend in free:
                self._next = (at + 1) % count
                return backend
        raise AssertionError("one of them has the least")


def _out_until(backend: Backend) -> float:
    return backend.out_until
