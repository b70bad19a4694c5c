"""The body of a request: bytes from the command line, or a file that is sent as it is read."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from ._errors import CommandError, reason

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio_h2 import RequestBody

_CHUNK = 64 * 1024


@dataclass(slots=True, kw_only=True)
class Body:
    """What to send. `octets` is all of it, unless there is a file."""

    octets: bytes = b""
    path: str = ""
    file: int | None = None
    size: int | None = None
    """How much of the file there is to send; `None` if only its end tells."""

    def content(self) -> RequestBody:
        """Returns what the client sends: again, if need be, where the file can be read again."""
        if self.file is None:
            return self.octets
        if self.size is None:
            return FilePieces(self.file, self.path, None)
        return partial(FilePieces, self.file, self.path, self.size, os.lseek(self.file, 0, os.SEEK_CUR))


class FilePieces:
    """A file, piece by piece.

    Args:
        file: its descriptor.
        path: what to call it.
        size: how much there is to send; `None` if only its end tells.
        start: where it begins; `None` for where the file stands.
    """

    def __init__(self, file: int, path: str, size: int | None, start: int | None = None) -> None:
        self._file = file
        self._path = path
        self._left = size
        if start is not None:
            os.lseek(file, start, os.SEEK_SET)

    def __aiter__(self) -> FilePieces:
        return self

    async def __anext__(self) -> bytes:
        """Reads on.

        Raises:
            CommandError: the file cannot be read, or became shorter.
        """
        if self._left == 0:
            raise StopAsyncIteration
        chunk = await self._read(_CHUNK if self._left is None else min(self._left, _CHUNK))
        if self._left is not None:
            self._left -= len(chunk)
        if not chunk:
            if self._left:
                raise CommandError(f"{self._path} became shorter while it was sent")
            raise StopAsyncIteration
        return chunk

    async def _read(self, octets: int) -> bytes:
        try:
            # A pipe or a terminal may never say anything: a Ctrl-C leaves the thread to its fate.
            return await trio.to_thread.run_sync(os.read, self._file, octets, abandon_on_cancel=True)
        except OSError as exc:
            raise CommandError(f"cannot read {self._path}: {reason(exc)}") from exc


@asynccontextmanager
async def open_body(data: str | None) -> AsyncGenerator[Body, None]:
    """Opens what `-d` names, for one request.

    Args:
        data: the bytes, or ``@FILE``; ``@-`` is stdin. `None` is no body.

    Raises:
        CommandError: the file cannot be read.
    """
    if data is None or not data.startswith("@"):
        yield Body(octets=b"" if data is None else os.fsencode(data))
        return
    path = data[1:]
    if path == "-":
        path = "stdin"
        if sys.stdin is None:  # whatever Trio has opened first may have got the number 0
            raise CommandError("cannot read stdin: it is closed")
    try:
        file = await trio.to_thread.run_sync(_open, data[1:], abandon_on_cancel=True)
    except OSError as exc:
        raise CommandError(f"cannot read {path}: {reason(exc)}") from exc
    try:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise CommandError(f"cannot read {path}: it is a directory")
        left = status.st_size - os.lseek(file, 0, os.SEEK_CUR) if stat.S_ISREG(status.st_mode) else 0
        # What claims to be empty may be a pipe, or a file like those of /proc, so it is read to its end.
        yield Body(path=path, file=file, size=left if left > 0 else None)
    finally:
        os.close(file)


def _open(path: str) -> int:
    if path == "-":
        return os.dup(0)  # goes on where somebody else may have stopped reading
    return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
