"""One connection of a client, whatever version of HTTP it speaks: how many requests are on it, and when it ends."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import trio

if TYPE_CHECKING:
    from ._exchange import Exchange
    from ._lane import Lane
    from ._outgoing import Outgoing


class Pooled(ABC):
    """A connection that requests share or take turns on. Each takes it, and gives it back."""

    http_version: ClassVar[str]
    has_line: ClassVar[bool]
    """Whether requests may wait in a line of its own for a stream."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.requests: int = 0
        """How many requests have it now."""
        self.coming: int = 0
        """Those of them that have not been sent yet."""
        self._leaving = False
        self.switched: bool = False
        """It carries a tunnel or another protocol, and will never carry a request again."""
        self.idle_since: float = trio.current_time()
        self._over = trio.Event()

    @property
    @abstractmethod
    def room(self) -> int:
        """How many requests could be sent now without waiting."""

    @abstractmethod
    def open_nowait(self, request: Outgoing, body: bytes, *, end_stream: bool) -> Exchange | None:
        """Sends the head of a request, and *body*, if that needs no wait; if it does, `open` must follow.

        Whoever calls this, or `open`, has taken the connection, once for each request.
        """

    @abstractmethod
    async def open(self, request: Outgoing, body: bytes, *, end_stream: bool) -> Exchange:
        """Waits until it can send the head of a request, and *body*, and sends them."""

    @abstractmethod
    async def wait_leaving(self) -> None:
        """Waits until the server wants no new requests, or the connection has ended."""

    @property
    def leaving(self) -> bool:
        """Whether it takes no new requests."""
        return self._leaving

    def take(self) -> None:
        """A request gets it, and is to be sent."""
        self.requests += 1
        self.coming += 1

    def refuse(self) -> None:
        """The request that has got it will not be sent."""
        self.coming -= 1
        self.give_back()

    def give_back(self) -> None:
        """A request is done with it."""
        self.requests -= 1
        if not self.requests:
            self.idle_since = trio.current_time()
            if self._leaving:
                self._over.set()
            elif not self.has_line:
                self.lane.idle.append(self)
        self.lane.freed()

    def leave(self) -> None:
        """No new requests; it ends with the last one that has it."""
        self._leaving = True
        if not self.requests:
            self._over.set()
        self.lane.freed()

    async def run(self, idle_timeout: float) -> None:
        """Waits until it is to be closed: it has idled for so many seconds, or is leaving and no request has it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            while not self._over.is_set():
                due = (trio.current_time() if self.requests else self.idle_since) + idle_timeout
                with trio.move_on_at(due) if due < math.inf else trio.CancelScope():
                    await self._over.wait()
                # The same expression as above: rounding must not part them, or this would wake too early for ever.
                if not self.requests and trio.current_time() >= self.idle_since + idle_timeout:
                    self.leave()
            nursery.cancel_scope.cancel()

    async def _watch(self) -> None:
        await self.wait_leaving()
        self.leave()
