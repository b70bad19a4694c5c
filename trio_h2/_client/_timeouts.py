"""How long each part of a request may take."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import trio

from .._checks import check_seconds
from .._field_docs import describe_fields
from ._errors import RequestTimeoutError

if TYPE_CHECKING:
    from types import TracebackType


@describe_fields
@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each part of a request may take, in seconds (`math.inf` = for ever), before `RequestTimeoutError`.

    None of them bounds the whole: that is what a cancel scope around the request is for.
    """

    connect: float = 30.0
    """Opening a connection: name, TCP, proxy and TLS together. All requests that wait for it share it."""
    slot: float = 60.0
    """Waiting for a connection that takes the request, opening one included, and for a stream on it."""
    response: float = 300.0
    """From when the request, or the head of one whose body comes piece by piece, is on its way to the head of the
    response."""
    idle: float = 300.0
    """The next piece of a body: of the response, or the server's taking the next of ours."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_seconds(field.name, getattr(self, field.name))


class Deadline:
    """A block that may take so long; `RequestTimeoutError` names what took longer."""

    __slots__ = ("_message", "_phase", "_scope", "_seconds")

    def __init__(self, seconds: float, phase: str, message: str) -> None:
        self._seconds = seconds
        self._phase = phase
        self._message = message
        self._scope: trio.CancelScope | None = None

    def __enter__(self) -> None:
        if self._seconds < math.inf:
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
