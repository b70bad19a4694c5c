"""The body of a request: bytes from the command line, or a file that is sent as it is read."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from trio_h2 import LocalProtocolError

from ._errors import CommandError, reason

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio_h2 import ClientStream

_CHUNK = 64 * 1024


@dataclass(slots=True, kw_only=True)
class Body:
    """What to send. `octets` is all of it, unless there is a file."""

    octets: bytes = b""
    path: str | None = None
    file: int | None = None
    size: int | None = None
    """How much of the file there is to send; `None` if only its end tells."""

    async def send(self, stream: ClientStream) -> None:
        """Sends the file and ends the send side.

        Cancelled: the body is torn, the stream can only be reset.

        Raises:
            CommandError: the file cannot be read, or became shorter.
        """
        try:
            left = self.size
            while left is None or left > 0:
                chunk = await self._read(_CHUNK if left is None else min(left, _CHUNK))
                if not chunk:
                    break
                left = None if left is None else left - len(chunk)
                await stream.send_all(chunk)
            if left:
                raise CommandError(f"{self.path} became shorter while it was sent")
            await stream.send_eof()
        except LocalProtocolError as exc:
            raise CommandError(str(exc)) from exc  # a content-length of the user's own that is wrong
        except trio.BrokenResourceError:
            # The server wants no more of it, or is gone. Which of the two, and whether it matters, is told by the
            # receiving side.
            return

    async def _read(self, octets: int) -> bytes:
        assert self.file is not None
        try:
            # A pipe or a terminal may never say anything: a Ctrl-C leaves the thread to its fate.
            return await trio.to_thread.run_sync(os.read, self.file, octets, abandon_on_cancel=True)
        except OSError as exc:
            raise CommandError(f"cannot read {self.path}: {reason(exc)}") from exc


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
