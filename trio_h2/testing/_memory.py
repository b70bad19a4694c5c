"""A pair of transports in memory that push back, as a network does, when nobody reads."""

from __future__ import annotations

import contextlib
import operator
from typing import TYPE_CHECKING

import trio

from .._util import NoPublicConstructor, construct, interrupt_safe

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turn:
    """Lets one task at a time into a block and refuses the others, as Trio's streams promise."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._taken = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        if self._taken:
            raise trio.BusyResourceError(f"another task is already {self._what} this stream")
        self._taken = True
        try:
            yield
        finally:
            self._taken = False


def checked_max_bytes(max_bytes: int | None) -> int | None:
    """Returns the argument of `receive_some` if it is a possible one."""
    if max_bytes is None:
        return None
    max_bytes = operator.index(max_bytes)
    if max_bytes < 1:
        raise ValueError("max_bytes must be at least 1")
    return max_bytes


class _Pipe:
    """One direction: bytes that were sent and not yet received, and what has happened at its ends."""

    def __init__(self, capacity: int | None) -> None:
        self.data: bytearray = bytearray()
        self.capacity = capacity
        self.ended = False
        self.abandoned = False
        self._waiting = trio.lowlevel.ParkingLot()

    def room(self, wanted: int) -> int:
        return wanted if self.capacity is None else min(wanted, self.capacity - len(self.data))

    async def wait_changed(self) -> None:
        await self._waiting.park()

    def notify(self) -> None:
        self._waiting.unpark_all()


@interrupt_safe
class MemoryTransport(trio.abc.HalfCloseableStream, metaclass=NoPublicConstructor):
    """One end of a pair made by `memory_transports`."""

    _made_by = "memory_transports() makes it"

    def __init__(self, outgoing: _Pipe, incoming: _Pipe) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._closed = False
        self._sending = Turn("sending on")
        self._receiving = Turn("receiving from")

    @property
    def unread(self) -> int:
        """How many bytes the other end has sent and this one has not received."""
        return len(self._incoming.data)

    @property
    def unsent(self) -> int:
        """How many bytes this end has sent and the other one has not received."""
        return len(self._outgoing.data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends bytes; waits while as many as the capacity are unread.

        When it is cancelled, a first part of the bytes may have been sent.
        """
        with self._sending():
            await trio.lowlevel.checkpoint()
            view = memoryview(data)
            while True:
                self._check_sendable()
                room = self._outgoing.room(len(view))
                if room:
                    self._outgoing.data += view[:room]
                    self._outgoing.notify()
                    view = view[room:]
                if not view:
                    return
                await self._outgoing.wait_changed()

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until there is room for at least one byte."""
        with self._sending():
            await trio.lowlevel.checkpoint()
            self._check_sendable()
            while not self._outgoing.room(1):
                await self._outgoing.wait_changed()
                self._check_sendable()

    async def send_eof(self) -> None:
        """Ends this direction; the other end gets what was sent, then `b""`."""
        with self._sending():
            await trio.lowlevel.checkpoint()
            if self._closed:
                raise trio.ClosedResourceError
            self._outgoing.ended = True
            self._outgoing.notify()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Returns bytes as soon as there are some, or `b""` at the end. Cancelling it loses none."""
        max_bytes = checked_max_bytes(max_bytes)
        with self._receiving():
            await trio.lowlevel.checkpoint()
            pipe = self._incoming
            while True:
                if self._closed:
                    raise trio.ClosedResourceError
                if pipe.data:
                    data = bytes(pipe.data[:max_bytes])
                    del pipe.data[:max_bytes]
                    pipe.notify()
                    return data
                if pipe.ended:
                    return b""
                await pipe.wait_changed()

    async def aclose(self) -> None:
        """Closes both directions. The other end still gets what was sent; then it gets `b""`."""
        self._closed = True
        self._outgoing.ended = True
        self._outgoing.notify()
        self._incoming.abandoned = True
        self._incoming.data.clear()
        self._incoming.notify()
        await trio.lowlevel.checkpoint()

    def _check_sendable(self) -> None:
        if self._closed or self._outgoing.ended:
            raise trio.ClosedResourceError
        if self._outgoing.abandoned:
            raise trio.BrokenResourceError("the other end was closed")


def memory_transports(capacity: int | None = None) -> tuple[MemoryTransport, MemoryTransport]:
    """Returns two connected transports in memory.

    They behave like a TCP connection inside one task tree, need no real time and so work with an
    autojump clock. `send_all` has one checkpoint when it need not wait.

    Args:
        capacity: How many bytes may be unread in each direction before `send_all` waits; None for no
            bound.
    """
    if capacity is not None and capacity < 1:
        raise ValueError("capacity must be at least 1, or None")
    there, back = _Pipe(capacity), _Pipe(capacity)
    return construct(MemoryTransport, there, back), construct(MemoryTransport, back, there)
