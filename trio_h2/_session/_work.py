"""Tasks of the application that live as long as a connection of a server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVarTuple

import trio

from .._errors import H2Error, SessionError
from .._util import interruptible

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Ts = TypeVarTuple("Ts")

logger = logging.getLogger("trio_h2.server")


class SessionWork:
    """What `ServerSession.start_soon` has started on one connection: cancelled when that is over.

    Args:
        label: names the connection in the log.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._scopes: set[trio.CancelScope] = set()
        self._over = False

    def start_soon(
        self,
        nursery: trio.Nursery,
        failed: Callable[[], None],
        function: Callable[[*Ts], Awaitable[object]],
        *args: *Ts,
        name: str | None,
    ) -> None:
        """Starts a task in the nursery of the connection.

        Args:
            nursery: that of the connection.
            failed: called when the task raises, before the error goes on: ends the connection.
            function: the application's.
            args: what it is called with.
            name: the task's.
        """
        scope = trio.CancelScope()
        self._scopes.add(scope)
        shown = name or getattr(function, "__qualname__", None) or repr(function)
        nursery.start_soon(self._run, scope, failed, function, args, name=f"trio_h2 work {shown} of {self._label}")

    def cancel(self) -> None:
        """The connection is over."""
        self._over = True
        for scope in list(self._scopes):
            scope.cancel()

    @trio.lowlevel.enable_ki_protection
    async def _run(
        self,
        scope: trio.CancelScope,
        failed: Callable[[], None],
        function: Callable[[*Ts], Awaitable[object]],
        args: tuple[*Ts],
    ) -> None:
        try:
            with scope:
                await interruptible(function, *args)
        except (Exception, BaseExceptionGroup) as exc:
            errors = exc.split(Exception)[0] if isinstance(exc, BaseExceptionGroup) else exc
            if errors is None:
                raise
            if self._over and errors is exc and _tells_of_end(errors):
                logger.debug("%s: the connection of a task ended first: %s", self._label, exc)
                return
            failed()
            raise
        finally:
            self._scopes.discard(scope)


def _tells_of_end(error: BaseException) -> bool:
    """Whether an error only says that the connection is over."""
    if isinstance(error, BaseExceptionGroup):
        return all(_tells_of_end(member) for member in error.exceptions)
    return isinstance(error, SessionError | trio.ClosedResourceError) or (
        isinstance(error, H2Error) and isinstance(error, trio.BrokenResourceError)
    )


def check_function(function: object) -> None:
    """Checks what is to be started, as far as that can be told without calling it."""
    if not callable(function):
        raise TypeError(f"start_soon takes an async function and its arguments, not {function!r}")
