"""How many connections a server serves at once."""

from __future__ import annotations

import trio


class Places:
    """Counts the connections of one server; with a limit, further ones are not accepted before one has ended."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._freed = trio.lowlevel.ParkingLot()
        self.taken = 0

    async def wait_free(self) -> None:
        """Waits until there is room for one more."""
        while self._limit is not None and self.taken >= self._limit:
            await self._freed.park()

    def take(self) -> None:
        """A connection has been accepted."""
        self.taken += 1

    def free(self) -> None:
        """A connection has ended."""
        self.taken -= 1
        self._freed.unpark_all()


class PlacedListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts from another listener while there are places; whoever gets a stream must free its place.

    Each address of a server has a listener of its own, and all may be waiting when one place is left. So a connection
    that was accepted too early is kept until there is room, unserved: one of each listener at most.
    """

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream], places: Places) -> None:
        self._listener = listener
        self._places = places

    async def accept(self) -> trio.abc.Stream:
        """Accepts a connection, and takes a place for it. Cancelled: nothing happened, or the connection is closed."""
        await self._places.wait_free()
        transport = await self._listener.accept()
        try:
            await self._places.wait_free()
        except BaseException:
            await trio.aclose_forcefully(transport)
            raise
        self._places.take()
        return transport

    async def aclose(self) -> None:
        """Closes the listener."""
        await self._listener.aclose()
