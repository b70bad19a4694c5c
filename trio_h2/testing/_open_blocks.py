"""Blocks that were entered by a call, and are left all together at the end of a test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from .._util import raise_as_it_was

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ._block import Block

T = TypeVar("T")


class OpenBlocks:
    """Keeps each block in a task of its own, in which it is entered and left.

    Args:
        nursery: Of these tasks.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._open: list[tuple[trio.Event, trio.Event]] = []

    async def enter(self, block: Block[T]) -> T:
        """Enters a block, and returns what it gives. Cancelled: it is left again.

        Whatever entering raises is raised here. What the block raises later cancels the nursery.
        """
        value: T = await self._nursery.start(self._keep, block)
        return value

    async def leave(self) -> None:
        """Leaves all blocks, the last one first."""
        for leaving, left in reversed(self._open):
            leaving.set()
            await left.wait()

    async def _keep(self, block: Block[T], *, task_status: trio.TaskStatus[T]) -> None:
        leaving, left = trio.Event(), trio.Event()
        async with block as value:
            self._open.append((leaving, left))
            task_status.started(value)
            await leaving.wait()
        left.set()


@asynccontextmanager
async def open_blocks() -> AsyncGenerator[OpenBlocks, None]:
    """Gives an `OpenBlocks`, and leaves its blocks at the end.

    A single error of a block comes out as it is, not wrapped in a group.
    """
    try:
        async with trio.open_nursery() as nursery:
            blocks = OpenBlocks(nursery)
            yield blocks
            await blocks.leave()
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        try:
            raise_as_it_was(error)
        finally:
            del error
