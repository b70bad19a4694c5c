"""What happens when nothing happens on a stream: how long it may idle, and what comes then."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, cast

from .._checks import check_seconds
from .._wire._codes import ErrorCode, Initiator
from ._view import StreamView

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._base import Stream
    from ._port import SessionPort

logger = logging.getLogger("trio_h2.stream")


class IdlingStream(StreamView):
    """The part of `Stream` that knows what to do about idleness; the session's watcher knows when."""

    def __init__(self, port: SessionPort, stream_id: int) -> None:
        super().__init__(port, stream_id)
        self._on_idle: Callable[[Stream], object] | None = None

    @property
    def idle_timeout(self) -> float:
        """Seconds without a frame sent or received on the stream, of whatever kind, after which it is reset with CANCEL
        (`StreamResetError` here), or `on_idle` is called; `math.inf` turns it off.

        Set at any time, it counts anew from then. By default ``stream_idle_timeout`` of the configuration.
        """
        return self._idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float) -> None:
        check_seconds("idle_timeout", seconds)
        self._idle_timeout = seconds
        if self._alive:
            self._port._set_idle_timeout(self._id, seconds)

    def set_idle_timeout(self, seconds: float, on_idle: Callable[[], object] | None = None) -> None:
        """Sets `idle_timeout` and `on_idle` in one go, for a hook that needs no argument.

        Args:
            seconds: the time; `math.inf` turns it off.
            on_idle: called instead of the reset; ``None`` lets the stream be reset.

        Raises:
            TypeError, ValueError: *seconds* is no number, or not more than 0; *on_idle* is no function.
        """
        if on_idle is not None and not callable(on_idle):
            raise TypeError(f"on_idle must be a function or None, not {on_idle!r}")
        self.idle_timeout = seconds
        self.on_idle = None if on_idle is None else lambda _: on_idle()

    @property
    def on_idle(self) -> Callable[[Stream], object] | None:
        """A function to call with the stream when `idle_timeout` is over, instead of the reset with CANCEL; ``None``,
        the default, resets.

        The time then begins anew. It is called from a task of the session and must not wait. If it raises, that is
        logged and the stream reset with INTERNAL_ERROR.
        """
        return self._on_idle

    @on_idle.setter
    def on_idle(self, hook: Callable[[Stream], object] | None) -> None:
        if hook is not None and not callable(hook):
            raise TypeError(f"on_idle must be a function or None, not {hook!r}")
        self._on_idle = hook

    def _idle(self) -> None:
        """Nothing has happened for ``idle_timeout``. For the watcher task."""
        if self._on_idle is None:
            reason = f"no frame was sent or received on the stream for idle_timeout={self._idle_timeout:g} s"
            self._reset(ErrorCode.CANCEL, Initiator.LIBRARY, reason)
            return
        try:
            self._on_idle(cast("Stream", self))
        except Exception:  # a hook must not end its session
            logger.exception("%r: on_idle raised", self)
            self._reset(ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "on_idle raised")

    @abstractmethod
    def _reset(self, code: int, initiator: Initiator, reason: str) -> None:
        """Ends both sides at once: see `Stream`."""
