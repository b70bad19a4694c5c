"""How long each part of a request may take."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import trio

from .._checks import check_seconds
from .._field_docs import describe_fields
from .._values import Value
from ._errors import RequestTimeoutError

if TYPE_CHECKING:
    from types import TracebackType


@describe_fields
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Timeouts(Value):
    """How long each part of a request may take, in seconds (`math.inf` = for ever), before `RequestTimeoutError`.

    None of them bounds the whole: that is what a cancel scope around the request is for.
    """

    connect: float = 30.0
    """Opening a connection: name, TCP, proxy and TLS together. All requests that wait for it share it."""
    slot: float = 60.0
    """Waiting for a connection that takes the request, opening one included, and for a stream on it."""
    response: float = 300.0
    """From when the request is on its way, with all of its body, to the head of the response."""
    idle: float = 300.0
    """The next piece of the response's body."""
    send: float = 300.0
    """The server's taking the next piece of a body that is sent piece by piece."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_seconds(field.name, getattr(self, field.name))


class Deadline:
    """A block that may take so long; `RequestTimeoutError` names what took longer.

    Args:
        seconds: the time that it may take.
        phase: the field of `Timeouts` that says so.
        message: what takes the time.
        restarts: whether `restart` may be called, by whatever task.
    """

    __slots__ = ("_message", "_phase", "_restarts", "_scope", "_seconds")

    def __init__(self, seconds: float, phase: str, message: str, *, restarts: bool = False) -> None:
        self._seconds = seconds
        self._phase = phase
        self._message = message
        self._restarts = restarts
        self._scope: trio.CancelScope | None = None

    def restart(self, seconds: float, phase: str, message: str) -> None:
        """It is something else now that may take so long, from this moment on."""
        self._seconds = seconds
        self._phase = phase
        self._message = message
        assert self._scope is not None
        self._scope.deadline = trio.current_time() + seconds

    def __enter__(self) -> None:
        if self._seconds < math.inf or self._restarts:
            self._scope = trio.CancelScope(deadline=trio.current_time() + self._seconds)
            self._scope.__enter__()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        scope = self._scope
        if scope is None:
            return
        self._scope = None
        scope.__exit__(exc_type, exc, traceback)
        if scope.cancelled_caught:
            raise RequestTimeoutError(
                f"{self._message} took longer than {self._phase}={self._seconds:g} s (set in Timeouts)",
                phase=self._phase,
            )
