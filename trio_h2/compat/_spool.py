"""Bytes that are in memory while they are few, else in a temporary file, off the Trio thread."""

from __future__ import annotations

import io
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    import os

CHUNK: Final = 64 * 1024


class SpoolMemory:
    """The bytes that all files of one form may have in memory together."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Takes *size* bytes, if as many are left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Gives bytes back."""
        self._left += size


class Spool:
    """What an `UploadedFile` reads, one task at a time. Whoever makes it closes it."""

    def __init__(self, memory: SpoolMemory) -> None:
        self._memory = memory
        self._file: IO[bytes] = io.BytesIO()
        self._turn = trio.Lock()
        self.on_disk: bool = False
        """Whether there is a temporary file."""
        self.size: int = 0
        """Its bytes."""

    @property
    def closed(self) -> bool:
        """Whether it is gone."""
        return self._file.closed

    # -- while the form is read: nobody else has it ----------------------------------------------------------------

    async def append(self, data: bytes) -> None:
        """Writes bytes at the end."""
        if not self.on_disk and not self._memory.take(len(data)):
            await self._move_to_disk()
        if self.on_disk:
            await trio.to_thread.run_sync(self._file.write, data)
        else:
            self._file.write(data)
        self.size += len(data)

    async def _move_to_disk(self) -> None:
        file = await trio.to_thread.run_sync(self._to_disk)
        self._file.close()
        self._file, self.on_disk = file, True
        self._memory.give(self.size)

    def _to_disk(self) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            self._file.seek(0)
            shutil.copyfileobj(self._file, file, CHUNK)
        except BaseException:
            file.close()
            raise
        return file

    async def rewind(self) -> None:
        """It is whole: it will be read from its beginning."""
        if self.on_disk:
            await trio.to_thread.run_sync(self._file.seek, 0)  # writes what Python has buffered
        else:
            self._file.seek(0)

    # -- when it is whole ------------------------------------------------------------------------------------------

    async def read(self, max_bytes: int) -> bytes:
        """Returns the next bytes, all that are left if *max_bytes* is negative. Cancelled: nothing was read."""
        async with self._turn:
            self._check_open()
            if self.on_disk:
                return await trio.to_thread.run_sync(self._file.read, max_bytes)
            return self._file.read(max_bytes)

    async def seek(self, offset: int) -> None:
        """Goes to a byte. Cancelled: nothing happened."""
        async with self._turn:
            self._check_open()
            self._file.seek(offset)  # nothing is left to be written, so this does not touch the disk

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all of it to *path*. Cancelled while it is written: a thread finishes that first."""
        async with self._turn:
            self._check_open()
            await trio.to_thread.run_sync(self._copy, path)

    def _copy(self, path: str | os.PathLike[str]) -> None:
        place = self._file.tell()
        try:
            self._file.seek(0)
            with open(path, "wb") as target:
                shutil.copyfileobj(self._file, target, CHUNK)
        finally:
            self._file.seek(place)

    def close(self) -> None:
        """Closes it, and with that removes a temporary file. May touch the disk."""
        self._file.close()

    def _check_open(self) -> None:
        if self._file.closed:
            raise trio.ClosedResourceError("uploaded files are closed when the handler is over")
