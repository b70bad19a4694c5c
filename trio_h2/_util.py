"""Small tools that Trio keeps to itself or does not have."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, NoReturn, TypeVar

import trio

if TYPE_CHECKING:
    from types import TracebackType


_T = TypeVar("_T")


class NoPublicConstructor(abc.ABCMeta):
    """Metaclass of classes that only this library makes: calling them raises `TypeError`."""

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        """Refuses."""
        raise TypeError(f"{cls.__name__} has no public constructor; connect(), serve_*() and sessions make it")

    def _create(cls: type[_T], *args: object, **kwargs: object) -> _T:
        return type.__call__(cls, *args, **kwargs)  # type: ignore[no-any-return]  # what a class returns is its instance


def closed_here(cause: BaseException | None = None) -> trio.ClosedResourceError:
    """Returns what operations on a stream raise that this side has closed, because of *cause* if there is one."""
    error = trio.ClosedResourceError("this stream was closed on this side")
    error.__cause__ = cause
    return error


def forget_frames(error: BaseException | None) -> None:
    """Drops the tracebacks of *error* and its causes: their frames would keep what stores it alive in a cycle."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class ConflictDetector:
    """Refuses a second task in one direction of a stream, where Trio's own streams would.

    Raises:
        trio.BusyResourceError: on entering, if another task is inside.
    """

    __slots__ = ("_held", "_message")

    def __init__(self, message: str) -> None:
        self._message = message
        self._held = False

    def __enter__(self) -> None:
        if self._held:
            raise trio.BusyResourceError(self._message)
        self._held = True

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held = False


class Signal:
    """A flag that one task waits for and clears by waking: what is set before the wait is not lost."""

    __slots__ = ("_lot", "_set")

    def __init__(self) -> None:
        self._lot = trio.lowlevel.ParkingLot()
        self._set = False

    def set(self) -> None:
        """Wakes the waiting task, or lets the next wait return at once."""
        self._set = True
        self._lot.unpark()

    async def wait(self) -> None:
        """Waits until the flag is set, and clears it. Cancelled: the flag stays as it is."""
        if self._set:
            await trio.lowlevel.checkpoint()
        while not self._set:
            await self._lot.park()
        self._set = False


def octets(name: str, value: bytes | bytearray | memoryview) -> memoryview:
    """Looks at octets that an application has handed over.

    Raises:
        TypeError: it is none; the message has the *name* of the argument.
    """
    try:
        return memoryview(value)
    except TypeError:
        raise TypeError(f"{name} must be bytes-like, not {type(value).__name__}") from None
