"""Small tools that Trio keeps to itself or does not have."""

from __future__ import annotations

import abc
import inspect
import time
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator
    from types import TracebackType


_P = ParamSpec("_P")
_T = TypeVar("_T")
_C = TypeVar("_C", bound=type)


class NoPublicConstructor(abc.ABCMeta):
    """Metaclass of classes that only this library makes objects of, with `construct`: calling them raises `TypeError`.

    Applications may subclass them, if the class says so. What makes the objects is named by its attribute `_made_by`.
    """

    _made_by = "connect(), serve_*() and sessions make it"

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        """Refuses."""
        raise TypeError(f"{cls.__name__} has no public constructor; {cls._made_by}")


_date: tuple[int, bytes] = (0, b"")


def http_date() -> bytes:
    """Returns the time of day as a ``date`` field has it (RFC 9110 §5.6.7), made anew once a second."""
    global _date
    second = int(time.time())
    if _date[0] != second:
        from email.utils import formatdate  # slow to import, and needed once a second

        _date = (second, formatdate(second, usegmt=True).encode("ascii"))
    return _date[1]


if TYPE_CHECKING:

    def construct(cls: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Makes an object of a class that has no public constructor."""

else:
    construct = type.__call__  # each request makes several such objects: nothing stands in between


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


def unwrap_body_error(group: BaseExceptionGroup[BaseException], body_error: BaseException | None) -> NoReturn:
    """Leaves a block whose nursery raised *group*, with the error of the block's body unwrapped if it is the only one.

    The one place where this library takes an exception group apart. A nursery wraps even a single error of
    the body that ran in it, which the user of a block such as `connect` never asked for. An error beside it
    must not get lost, so then the whole group is raised. Neither the traceback nor the context of the error
    changes, and no reference cycle through this frame remains.

    Args:
        group: What the nursery raised.
        body_error: What the body raised, possibly a group of its own; `None` if it ended normally.

    Raises:
        BaseException: *body_error* itself (a group without what its nursery took out) if nothing else is in *group*;
            `KeyboardInterrupt` if there is nothing but that; else *group*.
    """
    error = _part_of_body(group, body_error) or interrupt_of(group) or group
    try:
        raise_as_it_was(error)
    finally:
        del group, body_error, error


def _part_of_body(group: BaseExceptionGroup[BaseException], body_error: BaseException | None) -> BaseException | None:
    """Returns the error of the body if there is nothing else in *group*.

    A group of the body's own may come back as a copy: a nursery that was cancelled has taken `trio.Cancelled` out.
    """
    sole: BaseException = group
    while sole is not body_error and isinstance(sole, BaseExceptionGroup) and len(sole.exceptions) == 1:
        sole = sole.exceptions[0]
    if sole is body_error:
        return sole
    if isinstance(body_error, BaseExceptionGroup):
        raised, own = _leaves(group), _leaves(body_error)
        if raised == own:
            return body_error
        if raised < own and len(group.exceptions) == 1:
            return group.exceptions[0]
    return None


def _leaves(error: BaseException) -> set[int]:
    """Returns the identities of the errors that are no groups."""
    if isinstance(error, BaseExceptionGroup):
        return {leaf for member in error.exceptions for leaf in _leaves(member)}
    return {id(error)}


def interrupt_safe(cls: _C) -> _C:
    """Class decorator: `KeyboardInterrupt` is never raised inside a method of *cls*, or inside what that calls.

    Ctrl-C raises it at whatever step the program is, half of the time inside this library. There it would leave a
    session half changed, or come out of a task that nobody knows of. So Trio gives it to the main task instead, at its
    next checkpoint, which may be inside such a method as well. Costs nothing while the program runs.

    What runs code of the application calls it with `interruptible`.
    """
    for member in vars(cls).values():
        for function in _functions_of(member):
            trio.lowlevel.enable_ki_protection(function)
    return cls


def _functions_of(member: object) -> Iterator[FunctionType]:
    """Yields the functions behind a member of a class."""
    if isinstance(member, property):
        for accessor in (member.fget, member.fset):
            yield from _functions_of(accessor)
    elif isinstance(member, (classmethod, staticmethod)):
        yield from _functions_of(member.__func__)
    elif callable(member):
        function = inspect.unwrap(member)  # a decorator's own function is shared with others
        if isinstance(function, FunctionType):
            yield function


@trio.lowlevel.disable_ki_protection
async def interruptible(function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Calls a function of the application, where Ctrl-C raises `KeyboardInterrupt` as it does in its other code."""
    return await function(*args, **kwargs)


def interrupt_of(group: BaseExceptionGroup[BaseException]) -> KeyboardInterrupt | None:
    """Returns the `KeyboardInterrupt` in *group* if there is nothing else in it."""
    found: KeyboardInterrupt | None = None
    for error in group.exceptions:
        inner = interrupt_of(error) if isinstance(error, BaseExceptionGroup) else error
        if not isinstance(inner, KeyboardInterrupt):
            return None
        found = found or inner
    return found


@contextmanager
def plain_interrupt() -> Generator[None, None, None]:
    """Around a nursery of ours: a `KeyboardInterrupt` comes out of it as it is, and not in groups, if it is alone."""
    try:
        yield
    except BaseExceptionGroup as group:
        interrupt = interrupt_of(group)
        try:
            if interrupt is None:
                raise
            raise_as_it_was(interrupt)
        finally:
            del interrupt  # whose traceback knows this frame


def raise_as_it_was(error: BaseException) -> NoReturn:
    """Raises what came out of a group, inside the ``except`` that caught the group, with the context that it had."""
    context = error.__context__
    try:
        raise error
    finally:
        # `raise` inside that `except` has set the context to the group, which contains the error: a cycle, and a
        # "During handling of the above exception" that tells the user nothing.
        error.__context__ = context
        del error, context


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


class Latch:
    """An event that happens once; like `trio.Event`, but smaller: most of those of a request are never waited for."""

    __slots__ = ("_waiting", "is_set")

    def __init__(self) -> None:
        self.is_set: bool = False
        self._waiting: list[trio.lowlevel.Task] | None = None

    def set(self) -> None:
        """It has happened: wakes every task that waits for it."""
        self.is_set = True
        waiting, self._waiting = self._waiting, None
        for task in waiting or ():
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        """Waits until it has happened; a checkpoint if it has."""
        if self.is_set:
            await trio.lowlevel.checkpoint()
            return
        task = trio.lowlevel.current_task()
        if self._waiting is None:
            self._waiting = []
        waiting = self._waiting
        waiting.append(task)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            waiting.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)


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


class Arrivals:
    """What arrives, as deadlines see it: nobody is declared dead before what has arrived was read.

    A loop that was blocked, by a task that computes or a process that was stopped, wakes up with deadlines that are
    over and with the peer's answers in the transport. Reading them takes passes of the scheduler: one for a socket, a
    few for each layer of TLS or tunnel. So whoever finds that a deadline is over calls `caught_up` first, and then
    looks at the deadline again.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0
        """How often something was received; whoever receives counts it."""

    async def caught_up(self, late: float) -> None:
        """Waits until what has arrived was read; for less than a moment if nothing has.

        Args:
            late: Seconds since the deadline. While the loop was blocked, full buffers may have kept the peer from
                sending, so then it gets about as long, though not more than `_LONGEST_GRACE`.
        """
        if late > _PUNCTUAL:
            await trio.sleep(min(late, _LONGEST_GRACE))
        quiet = 0
        # A peer that never stops talking is heard for so long that all that any buffer holds is read.
        for _ in range(_MOST_PASSES):
            before = self.count
            await trio.lowlevel.checkpoint()
            quiet = quiet + 1 if self.count == before else 0
            if quiet == _QUIET_PASSES:
                return


_PUNCTUAL = 0.1
"""A loop that wakes a task so many seconds too late is busy, not blocked."""
_LONGEST_GRACE = 1.0
_QUIET_PASSES = 32
_MOST_PASSES = 2000


def bracketed(host: str) -> str:
    """Returns a host as it stands in a URL: an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    return f"[{host}]" if ":" in host else host


def percent_encoded(path: str) -> str:
    """Returns path and query of a request in ASCII: a byte above 0x7f as if the client had percent-encoded it.

    Header fields show such bytes as characters of latin-1; whatever else is not ASCII stands for itself, in UTF-8.
    """
    if path.isascii():
        return path
    try:
        raw = path.encode("latin-1")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)


def host_and_port(host: object, port: object) -> str:
    """Returns ``host:port``, with an IPv6 address in brackets."""
    return f"{bracketed(str(host))}:{port}"


def address_name(address: object) -> str | None:
    """Returns ``host:port`` of an address as sockets give it; ``None`` if it is not one of TCP."""
    return host_and_port(address[0], address[1]) if isinstance(address, tuple) else None
