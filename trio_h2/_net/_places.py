"""How many connections a server serves at once, and what keeps it from accepting one."""

from __future__ import annotations

import errno
import logging
from typing import Final

import trio

from .._util import interrupt_safe

logger = logging.getLogger("trio_h2.server")

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""What the system lacks may come back when a connection ends."""
_NOT_OURS: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EPERM", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH"),
        *("EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)
"""accept(2): errors of the new connection or its network, to be treated "like EAGAIN by retrying"."""
PAUSE: Final = 0.1
"""Seconds after which accepting is tried again."""


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


@interrupt_safe
class PlacedListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts from another listener while there are places; whoever gets a stream must free its place.

    Each address of a server has a listener of its own, and all may be waiting when one place is left. So a connection
    that was accepted too early is kept until there is room, unserved: one of each listener at most.
    """

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream], places: Places) -> None:
        self._listener = listener
        self._places = places
        self._told = False
        """The log says already that the system has no room."""

    async def accept(self) -> trio.abc.Stream:
        """Accepts a connection, and takes a place for it. Cancelled: nothing happened, or the connection is closed."""
        await self._places.wait_free()
        transport = await self._accept()
        try:
            await self._places.wait_free()
        except BaseException:
            await trio.aclose_forcefully(transport)
            raise
        self._places.take()
        return transport

    async def _accept(self) -> trio.abc.Stream:
        """Accepts a connection, whatever keeps the system from it for a while.

        Those who have connected wait for as long as that lasts. The log gets one line, not ten each second.
        """
        while True:
            try:
                transport = await self._listener.accept()
            except OSError as exc:
                if exc.errno in _NO_ROOM:
                    if not self._told:
                        logger.error("no connection can be accepted: %s; trying again", exc)
                    self._told = True
                    await trio.sleep(PAUSE)
                elif exc.errno in _NOT_OURS:
                    logger.debug("a connection could not be accepted: %s", exc)
                    await trio.lowlevel.checkpoint()
                else:
                    raise
            else:
                self._told = False
                return transport

    async def aclose(self) -> None:
        """Closes the listener."""
        await self._listener.aclose()
