"""The task that sends: the only caller of the transport's `send_all`, and of the engine's output, while it lives.

Bytes taken from the engine are owed to the wire: HPACK has counted them, so a write that fails or is cut ends the
session. That is why no application task ever writes, and no cancelled request can cut a write. The writer frames
bodies late, when the transport is ready for the next batch, so that an urgent frame never waits behind megabytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._util import interrupt_safe

if TYPE_CHECKING:
    from .._stream._outbox import Outbox
    from .._wire._engine import Engine
    from .._wire._schedule import Scheduler
    from ._core import SessionCore

SMALL_BATCH = 64 * 1024
LARGE_BATCH = 256 * 1024
"""Bytes of one write, about: small where writing takes time, so that an urgent frame need not wait behind much; large
where it takes none."""
SLOW_WRITE = 0.005
"""Seconds from which on writing takes time."""


@interrupt_safe
class Writer:
    """What one session has to write, and the task that does."""

    def __init__(self, engine: Engine, scheduler: Scheduler, max_queued: int) -> None:
        self._engine = engine
        self._max_queued = max_queued
        self._scheduler = scheduler
        self._bodies: dict[int, Outbox] = {}
        self._signal_set = False
        self._waiting = trio.lowlevel.ParkingLot()
        self._idle = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self.writing: bool = False
        """The transport is taking a batch, or broke while it did."""
        self._frames = 0
        self._batch = SMALL_BATCH
        self.stopped: bool = False
        """Nothing will be written any more; `stop` says so."""

    @property
    def queued_frames(self) -> int:
        """Frames that are made and not written yet, those of the write under way included."""
        return self._engine.output_frames + (self._frames if self.writing else 0)

    @property
    def flushed(self) -> bool:
        """Whether everything framed so far has gone to the transport, as far as it ever will."""
        return self.stopped or not (self.writing or self._engine.output_size)

    @property
    def _expects_more(self) -> bool:
        """Whether somebody may be about to add something: not where no stream is open, or one that has sent all."""
        streams = self._engine.streams
        return len(streams) > 1 or any(not stream.local_ended for stream in streams.values())

    def wake(self) -> None:
        """There is something to write. Wakes the writer once for each batch."""
        if not self._signal_set:
            self._signal_set = True
            self._waiting.unpark()

    def body_ready(self, stream_id: int, outbox: Outbox) -> None:
        """A stream has body bytes to frame."""
        self._bodies[stream_id] = outbox
        self._scheduler.add(stream_id)
        self.wake()

    def body_gone(self, stream_id: int) -> None:
        """A stream has no body bytes to frame, or no window for them."""
        self._bodies.pop(stream_id, None)
        self._scheduler.remove(stream_id)

    def forget(self, stream_id: int) -> None:
        """A stream has closed."""
        if stream_id in self._bodies:
            del self._bodies[stream_id]
        self._scheduler.forget(stream_id)

    async def run(self, core: SessionCore) -> None:
        """Writes until it is stopped, or until the transport breaks."""
        try:
            while not self.stopped:
                while not self._signal_set:
                    await self._waiting.park()
                # One pass of the scheduler: whoever is about to add something makes it into this batch.
                if self._expects_more:
                    await trio.lowlevel.checkpoint()
                while batch := self._next_batch():
                    self.writing = True
                    if self._room:
                        self._room.unpark_all()
                    core.output_taken()
                    if len(batch) < SMALL_BATCH:
                        await core.tapped.send_all(batch)
                    else:
                        before = trio.current_time()
                        await core.tapped.send_all(batch)
                        slow = trio.current_time() - before >= SLOW_WRITE
                        self._batch = max(self._batch // 2, SMALL_BATCH) if slow else min(2 * self._batch, LARGE_BATCH)
                    self.writing = False
                    core.count.sent += len(batch)
                    core.output_written()
                if self._idle:
                    self._idle.unpark_all()
                core.ending.check_drained()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            await core.ending.write_failed(exc)
        finally:
            self.stop()

    def stop(self) -> None:
        """Nothing will be written any more: wakes all who wait for that. A write under way is not cut."""
        self.stopped = True
        self.wake()
        self._idle.unpark_all()
        self._room.unpark_all()

    def _next_batch(self) -> bytes:
        """Takes the engine's output, filled up with body frames; nothing once it is stopped."""
        if self.stopped:
            return b""
        self._signal_set = False  # whatever it was set for is taken now
        engine, scheduler = self._engine, self._scheduler
        output, windows = engine.output, engine.windows
        while scheduler.ready and output.size < self._batch and windows.send_window > 0:
            stream_id = scheduler.next()
            if stream_id is None:
                break
            if not self._bodies[stream_id].frame():
                self.body_gone(stream_id)  # framed, or without a window: WINDOW_UPDATE brings it back
        self._frames = output.frames
        return engine.take_output()

    async def room(self) -> None:
        """A checkpoint that waits while more than ``max_queued_control`` bytes wait for the transport."""
        await trio.lowlevel.checkpoint()
        output = self._engine.output
        while output.size > self._max_queued and not self.stopped:
            await self._room.park()

    async def flush(self) -> None:
        """Waits until everything framed is written, or will never be."""
        while not self.flushed:
            self.wake()
            await self._idle.park()
