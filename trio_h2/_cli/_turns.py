"""Requests that run at the same time, and write one after the other."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import TYPE_CHECKING

import trio

from ._errors import CommandError, reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, TypeVar

    from ._output import Output

    _T = TypeVar("_T")

_PIECE = 256 * 1024


class Turns:
    """The order in which requests write: that of their URLs.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._done = [False] * count
        self._current = 0
        self._changed = trio.Event()

    def is_here(self, number: int) -> bool:
        """Whether all before it are done."""
        return self._current >= number

    async def wait(self, number: int) -> None:
        """Waits until all before it are done."""
        while not self.is_here(number):
            await self._changed.wait()

    def done(self, number: int) -> None:
        """It writes no more."""
        self._done[number] = True
        while self._current < len(self._done) and self._done[self._current]:
            self._current += 1
        self._changed.set()
        self._changed = trio.Event()


class TurnOutput:
    """The output of one request, which is kept in a temporary file until its turn has come.

    Args:
        output: where it goes then.
        turns: of all requests.
        number: of this one.
    """

    def __init__(self, output: Output, turns: Turns, number: int) -> None:
        self._output = output
        self._turns = turns
        self._number = number
        self._kept: list[tuple[bool, int]] = []
        """What is in the file: whether it is part of a body, and how long."""
        self._file: IO[bytes] | None = None

    @property
    def name(self) -> str:
        """What to call the place of the bodies."""
        return self._output.name

    @property
    def is_terminal(self) -> bool:
        """Whether the bodies appear on a terminal."""
        return self._output.is_terminal

    @property
    def is_unasked_terminal(self) -> bool:
        """Whether the bodies appear on a terminal though nobody has said ``-o -``."""
        return self._output.is_unasked_terminal

    async def say(self, data: bytes) -> None:
        """Writes to stdout, or keeps it."""
        await self._put(data, body=False)

    async def write(self, data: bytes) -> None:
        """Writes bytes of a body, or keeps them."""
        await self._put(data, body=True)

    async def _put(self, data: bytes, *, body: bool) -> None:
        if self._turns.is_here(self._number):
            await self._flush()
            await (self._output.write if body else self._output.say)(data)
            return
        if self._file is None:
            self._file = await _in_thread(tempfile.TemporaryFile)
        file = self._file
        await _in_thread(partial(file.write, data))
        self._kept.append((body, len(data)))

    async def finish(self) -> None:
        """Waits for the turn, and writes what is left."""
        await self._turns.wait(self._number)
        await self._flush()

    async def _flush(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        with file:
            await _in_thread(partial(file.seek, 0))
            for body, size in self._kept:
                left = size
                while True:
                    data = await _in_thread(partial(file.read, min(left, _PIECE)))
                    await (self._output.write if body else self._output.say)(data)
                    left -= len(data)
                    if not left:
                        break

    def close(self) -> None:
        """Nothing more is written, and what is kept is not."""
        if self._file is not None:
            self._file.close()
        self._turns.done(self._number)


async def _in_thread(call: Callable[[], _T]) -> _T:
    try:
        return await trio.to_thread.run_sync(call)
    except OSError as exc:
        raise CommandError(f"cannot write to a temporary file: {reason(exc)}") from exc
