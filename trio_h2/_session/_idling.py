"""What happens when nothing happens: how long a session may idle, and what comes then."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

from .._checks import check_seconds
from ._facts import SessionFacts
from ._happenings import SessionIdle

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from .._wire._config import SessionConfig
    from ._base import Session


class IdlingSession(SessionFacts):
    """The part of `Session` that knows what to do about idleness; the watcher knows when."""

    def __init__(self, transport: trio.abc.Stream, config: SessionConfig, *, label: str, push: bool = False) -> None:
        super().__init__(transport, config, label=label, push=push)
        self._on_idle: Callable[[Session], object] | None = None

    @property
    def idle_timeout(self) -> float:
        """Seconds without a stream, and without any frame but PINGs, after which the session ends gracefully.

        Starts as the configuration's; may be set, `math.inf` turns it off. What the session has idled already counts.
        """
        return self._watcher.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float) -> None:
        check_seconds("idle_timeout", seconds)
        self._watcher.set_idle_timeout(seconds)

    @property
    def on_idle(self) -> Callable[[Session], object] | None:
        """A function to call with the session when it has idled; ``None``, the default, ends it gracefully.

        It decides: `Session.shutdown` ends the session after all, `Session.destroy` at once; if it does nothing, the
        session stays and its time begins anew. It must not wait. What it raises ends the session like any other bug.
        """
        return self._on_idle

    @on_idle.setter
    def on_idle(self, hook: Callable[[Session], object] | None) -> None:
        if hook is not None and not callable(hook):
            raise TypeError(f"on_idle must be a function or None, not {hook!r}")
        self._on_idle = hook

    def _idled(self) -> None:
        self._happenings.tell(SessionIdle(self.idle_timeout))
        if self._on_idle is None:
            self.shutdown()
        else:
            self._on_idle(cast("Session", self))

    def _release(self) -> None:
        super()._release()
        self._on_idle = None  # it may well refer back

    @abstractmethod
    def shutdown(self) -> None:
        """Begins to drain: see `Session`."""
