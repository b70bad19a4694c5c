"""Writing to stdout and to files without holding up Trio, and without a buffer that Python flushes when all is over."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import trio

from ._errors import CommandError, RequestError, reason
from ._text import write_all

if TYPE_CHECKING:
    from types import TracebackType

_STDOUT = 1
_LOOKED_AT = 4096
# Control characters that no text has: not those that move the cursor, nor ESC, which colours begin with.
_find_binary = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]").search


class Output:
    """Where `get` writes: what it says to stdout, the bodies to a file or to stdout as well.

    The file is made when the first byte, or the end, of the first body comes: a request that fails before that leaves
    an older file as it was.

    Args:
        path: the file for the bodies; `None` or ``-`` for stdout.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = None if path == "-" else path
        self._asked = path is not None
        self._file: int | None = None

    @property
    def name(self) -> str:
        """What to call the place of the bodies."""
        return "stdout" if self._path is None else self._path

    @property
    def is_terminal(self) -> bool:
        """Whether the bodies appear on a terminal."""
        return self._path is None and sys.stdout is not None and os.isatty(_STDOUT)

    @property
    def is_unasked_terminal(self) -> bool:
        """Whether the bodies appear on a terminal though nobody has said ``-o -``."""
        return self.is_terminal and not self._asked

    async def say(self, data: bytes) -> None:
        """Writes to stdout. Cancelled: some of it may have been written.

        Raises:
            CommandError: it cannot be written.
        """
        if sys.stdout is None:
            # Some socket may well have got the number 1 by now.
            raise CommandError("cannot write to stdout: it is closed")
        await self._write(_STDOUT, data, "stdout")

    async def write(self, data: bytes) -> None:
        """Writes bytes of a body. Cancelled: some of them may have been written.

        Raises:
            CommandError: they cannot be written.
        """
        if self._path is None:
            await self.say(data)
            return
        if self._file is None:
            self._file = await self._open(self._path)
        await self._write(self._file, data, self._path)

    async def _open(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        try:
            return await trio.to_thread.run_sync(os.open, path, flags, 0o666, abandon_on_cancel=True)
        except OSError as exc:
            raise CommandError(f"cannot write to {path}: {reason(exc)}") from exc

    async def _write(self, fd: int, data: bytes, name: str) -> None:
        try:
            # A pipe that nobody reads blocks for ever: a Ctrl-C leaves the thread to its fate.
            await trio.to_thread.run_sync(write_all, fd, data, abandon_on_cancel=True)
        except OSError as exc:
            raise CommandError(f"cannot write to {name}: {reason(exc)}") from exc

    async def __aenter__(self) -> Output:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the file, which can fail, too (a full disk behind a network)."""
        if self._file is None:
            return
        fd, self._file = self._file, None
        try:
            os.close(fd)
        except OSError as error:
            if exc is None:
                raise CommandError(f"cannot write to {self.name}: {reason(error)}") from error


class BinaryGuard:
    """Keeps from a terminal what would only confuse it. What is text to people, in whatever charset, passes.

    Args:
        what: whose bytes they are.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._left = _LOOKED_AT

    def look_at(self, data: bytes) -> None:
        """Looks at the next bytes, unless enough of them were text.

        Raises:
            RequestError: they are no text.
        """
        if self._left and _find_binary(data[: self._left]):
            raise RequestError(f"{self._what}: the body is binary: -o FILE saves it, -o - writes it to the terminal")
        self._left = max(0, self._left - len(data))
