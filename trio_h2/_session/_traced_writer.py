"""The writer of a session that instruments look at: it tells which bodies wait for a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import interrupt_safe
from ._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._stream._outbox import Outbox
    from .._wire._engine import Engine
    from .._wire._schedule import Scheduler


@interrupt_safe
class TracedWriter(Writer):
    """A `Writer` that tells, after each batch, which streams have body bytes that it did not frame."""

    def __init__(
        self, engine: Engine, scheduler: Scheduler, max_queued: int, tell: Callable[[int, bool], object]
    ) -> None:
        super().__init__(engine, scheduler, max_queued)
        self._tell = tell
        self._waiting_bodies: dict[int, Outbox] = {}

    def body_ready(self, stream_id: int, outbox: Outbox) -> None:
        """A stream has body bytes to frame."""
        self._waiting_bodies[stream_id] = outbox
        super().body_ready(stream_id, outbox)

    def forget(self, stream_id: int) -> None:
        """A stream has closed."""
        self._waiting_bodies.pop(stream_id, None)
        super().forget(stream_id)

    def report(self) -> None:
        """Tells which of the bodies still wait. Before it, what was framed must have been booked."""
        for stream_id, outbox in list(self._waiting_bodies.items()):
            waits = not outbox.held and outbox.buffered > 0
            self._tell(stream_id, waits)
            if not waits:
                del self._waiting_bodies[stream_id]

    def _next_batch(self) -> bytes:
        """Takes the engine's output, see `Writer`."""
        self.report()
        batch = super()._next_batch()
        if not batch:  # else the transport is told of it first
            self.report()
        return batch
