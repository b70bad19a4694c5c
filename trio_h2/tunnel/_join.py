"""Two streams made one: what comes out of either goes into the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import trio

from .._checks import check_timeout
from .._field_docs import describe_fields
from .._util import interrupt_safe, plain_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    _Count: TypeAlias = Callable[[int], None]

_DRAIN_SECONDS: Final = 1.0
"""For how long, when nothing can be sent to a stream any more, what it had sent before is still passed on."""


class HalfCloseable(Protocol):
    """What `join` needs of a stream; every `trio.abc.HalfCloseableStream` has it."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receives bytes, none at the end."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends bytes."""

    async def send_eof(self) -> None:
        """Sends the end."""


@describe_fields
@dataclass(slots=True)
class Traffic:
    """What `join` has carried, and how it ended; may be read while it runs."""

    left_to_right: int = 0
    """Bytes received from the left stream and handed to the right one."""
    right_to_left: int = 0
    """Bytes received from the right stream and handed to the left one."""
    left_ended: bool = False
    """Whether the left stream has sent its end."""
    right_ended: bool = False
    """Whether the right stream has sent its end."""
    broken: HalfCloseable | None = None
    """The stream that broke, if one did."""


async def join(
    left: HalfCloseable,
    right: HalfCloseable,
    *,
    idle_timeout: float | None = None,
    traffic: Traffic | None = None,
) -> Traffic:
    """Carries bytes both ways until both streams have ended; the end of either is passed on with `send_eof`.

    In each direction, no more than one chunk is held that the other stream has not taken. Neither stream is closed.
    Cancelled: each stream may have got a part of what the other one sent, so close them forcefully.

    Args:
        left: one stream; nobody else may use it meanwhile.
        right: the other one.
        idle_timeout: seconds after which it gives up if nothing was received, and no chunk (64 KiB at most) was taken
            whole by the other stream, in either direction; 0 and ``None`` for never.
        traffic: where to count; a new one by default.

    Returns:
        What was carried: *traffic*.

    Raises:
        trio.BrokenResourceError: a stream broke, `Traffic.broken` says which.
        trio.ClosedResourceError: a stream was closed.
        trio.TooSlowError: *idle_timeout* is over.
        TypeError, ValueError: *idle_timeout* is no number, or negative.
    """
    joint = _Joint(check_timeout("idle_timeout", idle_timeout), Traffic() if traffic is None else traffic)
    await joint.run(left, right)
    return joint.traffic


@interrupt_safe
class _Joint:
    """One `join` at work."""

    def __init__(self, idle_timeout: float, traffic: Traffic) -> None:
        self.traffic = traffic
        self._idle_timeout = idle_timeout
        self._scope = trio.CancelScope()
        self._error: trio.BrokenResourceError | trio.ClosedResourceError | None = None

    async def run(self, left: HalfCloseable, right: HalfCloseable) -> None:
        self._active()
        with plain_interrupt(), self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._carry, left, right, self._count_right, self._left_ended)
                nursery.start_soon(self._carry, right, left, self._count_left, self._right_ended)
        try:
            if self._error is not None:
                raise self._error
        finally:
            self._error = None  # whose traceback knows this frame
        if self._scope.cancelled_caught:
            raise trio.TooSlowError(f"no byte was carried for idle_timeout={self._idle_timeout:g} s")

    async def _carry(
        self,
        source: HalfCloseable,
        sink: HalfCloseable,
        count: _Count,
        ended: Callable[[], None],
    ) -> None:
        more = True
        while more:
            try:
                data = await source.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._failed(source, exc)
                self._scope.cancel()
                return
            more = bool(data)
            self._active()
            if not more:
                # A socket tells of a reset only once: if the task that sends has been told, this one receives an end,
                # which is none. Both may be running in the same pass of the scheduler; Trio's sockets yield once before
                # they raise, and then the other task may or may not have its turn first.
                for _ in range(2):
                    await trio.lowlevel.checkpoint()
                if self._error is not None:
                    return
                ended()
            try:
                await (sink.send_all(data) if data else sink.send_eof())
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                # What it had sent before it broke may still be worth something: an early answer to a long upload.
                self._failed(sink, exc)
                self._scope.deadline = min(self._scope.deadline, trio.current_time() + _DRAIN_SECONDS)
                return
            count(len(data))
            self._active()

    def _count_right(self, size: int) -> None:
        self.traffic.left_to_right += size

    def _count_left(self, size: int) -> None:
        self.traffic.right_to_left += size

    def _left_ended(self) -> None:
        self.traffic.left_ended = True

    def _right_ended(self) -> None:
        self.traffic.right_ended = True

    def _active(self) -> None:
        if self._error is None:
            self._scope.deadline = trio.current_time() + self._idle_timeout

    def _failed(self, stream: HalfCloseable, error: trio.BrokenResourceError | trio.ClosedResourceError) -> None:
        if self._error is None:
            self._error = error
            self.traffic.broken = stream
