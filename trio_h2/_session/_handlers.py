"""Which handlers run: the application's functions that a session calls for streams that the peer has opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._errors import H2Error, SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._stream._core import StreamCore


class RunningHandlers:
    """The streams of one session whose handlers have not ended, each with the task that runs it."""

    def __init__(self) -> None:
        self.running: dict[StreamCore, trio.lowlevel.Task | None] = {}
        """Each stream with the task that runs its handler, ``None`` before that has begun."""
        self._ended = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self.running)

    def __iter__(self) -> Iterator[StreamCore]:
        return iter(list(self.running))

    def add(self, stream: StreamCore) -> None:
        """A handler will be started for *stream*, sooner or later."""
        self.running[stream] = None

    def started(self, stream: StreamCore) -> None:
        """The current task runs it."""
        self.running[stream] = trio.lowlevel.current_task()

    def remove(self, stream: StreamCore) -> None:
        """It has ended, or will not be started."""
        del self.running[stream]
        if self._ended:
            self._ended.unpark_all()

    def cancel(self) -> None:
        """Cancels all of them."""
        for stream in self:
            stream.cancel()

    async def wait_ended(self) -> None:
        """Waits until no handler is left."""
        while self.running:
            await self._ended.park()

    def refuse_inside(self) -> None:
        """Raises `RuntimeError` if the current task is one of the handlers, or a task below one."""
        running = set(self.running.values())
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None:
            if task in running:
                raise RuntimeError("aclose() waits for the handlers, so a handler cannot call it; call shutdown()")
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None


def tells_of_end(stream: StreamCore, error: BaseException, *, cancelled: bool) -> bool:
    """Whether *error*, out of a handler, only says that its *stream* has ended.

    Args:
        stream: the handler's own.
        error: what escaped: such an error, or a group of nothing else.
        cancelled: whether the handler was cancelled; what it was cancelled with closed the stream, too.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(tells_of_end(stream, member, cancelled=cancelled) for member in error.exceptions)
    if isinstance(error, SessionError):
        # Else it is the error of another session.
        return stream.port.failure is not None and error.session in (None, stream.session)
    # Besides those of streams, the errors of what is on top of this one: of a WebSocket that was closed.
    ended = isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError)
    if ended and isinstance(error, H2Error) and error.stream_id == stream.id:
        return error.stream in (None, stream.whose.stream)
    return cancelled and isinstance(error, trio.ClosedResourceError)
