"""Ctrl-C as a cancellation: what is under way is reset and closed properly instead of torn apart."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, TypeVar

import trio

from ._errors import INTERRUPTED, CommandError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_T = TypeVar("_T")


async def interruptible(command: Callable[[_T], Awaitable[int]], options: _T) -> int:
    """Runs a command that Ctrl-C cancels.

    Args:
        command: an async function that returns an exit code.
        options: its argument.

    Returns:
        The exit code of the command.

    Raises:
        CommandError: it was interrupted.
    """
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_signal, signals, nursery.cancel_scope)
            code = await command(options)
            nursery.cancel_scope.cancel()
            return code
    raise CommandError("interrupted", INTERRUPTED)


async def _cancel_at_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()
