"""What handlers raise in a test is not only logged, as in production, but fails the test."""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio
import trio.testing

import trio_h2

from .._checks import check_bool, check_handler
from .._util import construct
from ._block import Block

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

T = TypeVar("T")

# What a handler gets to hear when its client has left, or its stream is over.
_ENDS = (trio.ClosedResourceError, trio.BrokenResourceError)

# Seconds for what a client has sent to arrive.
_MAX_WAIT = 1.0


class HandlerWatch:
    """A handler that runs another one, keeps what that raises, and raises it at the end of a block.

    Args:
        handler: The handler under test.
        raise_errors: Whether to do that; otherwise the handler is only run.

    Attributes:
        errors: What it has raised, without what only says that its own stream is over; and an `AssertionError` for each
            time that it returned without a response.
    """

    def __init__(self, handler: trio_h2.Handler, *, raise_errors: bool) -> None:
        check_handler(handler)
        check_bool("raise_handler_errors", raise_errors)
        functools.update_wrapper(self, handler, updated=())  # its name in logs and messages
        self.errors: list[Exception] = []
        self._handler = handler
        self._raise_errors = raise_errors
        refused: object = getattr(handler, "request_refused", None)
        if refused is not None:
            self.request_refused = refused

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        """Runs the handler; whoever called it sees what it raises, too."""
        try:
            await self._handler(stream)
        except BaseExceptionGroup as group:  # an ExceptionGroup, or one with Cancelled beside errors
            mistakes = group.split(lambda error: _is_mistake(error, stream))[0]
            if isinstance(mistakes, ExceptionGroup):
                self.errors.append(mistakes)
            raise
        except Exception as exc:
            if _is_mistake(exc, stream):
                self.errors.append(exc)
            raise
        if await self._owes_response(stream):
            what = f"the handler of {stream.method} {stream.path or stream.authority} returned without a response"
            self.errors.append(AssertionError(what))

    async def _owes_response(self, stream: trio_h2.ServerStream) -> bool:
        """Whether a handler that has returned should have responded: it has not, and its client has not left.

        The reset of a client that has left, or the end of its session, may still be on the way. So this first waits
        until no task has anything to do, or for a second, where there is a task that never rests.
        """
        if self._raise_errors and not (stream.headers_sent or stream.closed):
            with trio.move_on_after(_MAX_WAIT):
                await trio.testing.wait_all_tasks_blocked()
        return not (stream.headers_sent or stream.closed)

    def around(self, block: Block[T]) -> Block[T]:
        """Makes a block of *block*, the one of the server, that in the end raises what the handler has raised.

        One exception comes as it is, several in a group. What the block's body has raised becomes the context: mostly
        that tells only what the client saw of the mistake.
        """

        @asynccontextmanager
        async def checked() -> AsyncGenerator[T, None]:
            try:
                async with block as value:
                    yield value
            except BaseException:
                self._check()
                raise
            self._check()

        return construct(Block, checked())

    def _check(self) -> None:
        if not self._raise_errors or not self.errors:
            return
        if len(self.errors) == 1:
            raise self.errors[0]
        raise ExceptionGroup("handlers raised", self.errors)


def _is_mistake(error: BaseException, stream: trio_h2.ServerStream) -> bool:
    """Whether an exception is a mistake of the program, and not the end of the handler's own stream, or a bad body."""
    if isinstance(error, BaseExceptionGroup) or not isinstance(error, Exception):
        return False
    if isinstance(error, trio_h2.BodyError) and error.stream is stream:
        return False  # the client's mistake, of which the library makes a response
    return not (isinstance(error, _ENDS) and stream.closed)
