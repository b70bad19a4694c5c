"""Messages that were received and not taken."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from ._framing import Received

READ_AHEAD: Final = 64 * 1024
"""Bytes of messages that are received and not taken, from which on nothing more is read from the stream."""
MESSAGE_COST: Final = 128
"""What a message takes beside its bytes."""


class MessageInbox:
    """The messages in order, and who waits for one, or for room."""

    def __init__(self) -> None:
        self._messages: deque[Received] = deque()
        self._arrived = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._closed = False
        self.held: int = 0
        """Their bytes, and `MESSAGE_COST` for each."""

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether the application should take some messages before more is read."""
        return self.held >= READ_AHEAD and not self._closed

    def put(self, received: Received) -> None:
        """Adds a message; one that comes after the end is thrown away."""
        if not self._closed:
            self._messages.append(received)
            self.held += received.size + MESSAGE_COST
            self._arrived.unpark()

    def take(self) -> str | bytes | None:
        """Takes the oldest message, if there is one."""
        if not self._messages:
            return None
        received = self._messages.popleft()
        self.held -= received.size + MESSAGE_COST
        if not self.full:
            self._room.unpark()
        return received.message

    async def wait_message(self) -> None:
        """Waits for a message, or for `close`."""
        await self._arrived.park()

    async def wait_room(self) -> None:
        """Waits until it is not full."""
        while self.full:
            await self._room.park()

    def clear(self) -> None:
        """Throws away what nobody has taken."""
        self._messages.clear()
        self.held = 0

    def close(self) -> None:
        """No further message is wanted: wakes all who wait. What is there can still be taken."""
        self._closed = True
        self._arrived.unpark_all()
        self._room.unpark_all()
