"""What an HTTP/1.1 connection has to write: nothing here waits for the transport, the connection's writer does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._util import Signal

if TYPE_CHECKING:
    from .._stream._outbox import Outbox
    from ._wire import Http1Wire

WRITE_SIZE: Final = 64 * 1024
"""About so many bytes are written at once."""


class Http1Output:
    """What is framed, then the body of the exchange, then the end of a tunnel.

    Args:
        engine: Frames it.
    """

    def __init__(self, engine: Http1Wire) -> None:
        self._engine = engine
        self._body: Outbox | None = None
        """The outbox with bytes to frame."""
        self._wanted = Signal()
        self._end_written = False
        """The end of a tunnel is written."""
        self.writing = False
        """A write is under way."""
        self._batches_taken = 0
        self.batches_written = 0
        """How many of the batches that were taken are written."""

    def wake(self) -> None:
        """There may be something to write: wakes the writer."""
        self._wanted.set()

    async def wait(self) -> None:
        """Waits until there may be something to write."""
        await self._wanted.wait()

    def body_ready(self, outbox: Outbox) -> None:
        """The exchange has body bytes to frame."""
        self._body = outbox

    def body_gone(self) -> None:
        """The exchange has nothing to frame any more."""
        self._body = None

    def take(self) -> bytes:
        """Returns what is written next, and frames more of the body for it; empty if there is nothing."""
        output = self._engine.output
        while self._body is not None and len(output) < WRITE_SIZE:
            if not self._body.frame():
                self._body = None
        data = bytes(output)
        output.clear()
        if data:
            self._batches_taken += 1
        return data

    def written(self) -> None:
        """The write is over."""
        self.writing = False
        self.batches_written = self._batches_taken

    @property
    def newest_batch(self) -> int:
        """The number of the batch that holds, or will hold, what was framed last."""
        return self._batches_taken + bool(self._engine.output)

    def take_end(self) -> bool:
        """Whether a tunnel ends now; says so once."""
        due = self._engine.half_closed and not self._end_written
        self._end_written = self._engine.half_closed
        return due

    @property
    def all_written(self) -> bool:
        """Whether the transport has everything, the end of a tunnel included."""
        pending = self._body is not None or self._engine.output or self.writing
        return not pending and self._engine.half_closed == self._end_written
