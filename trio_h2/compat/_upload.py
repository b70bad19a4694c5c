"""A file that came with a form: in memory while it is small, else in a temporary file, off the Trio thread."""

from __future__ import annotations

import io
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Final, final

import trio

from .._util import NoPublicConstructor

if TYPE_CHECKING:
    import os

    from trio_h2 import Headers

CHUNK: Final = 64 * 1024


class SpoolMemory:
    """The octets that all files of one form may have in memory together."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Takes *size* octets, if as many are left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Gives octets back."""
        self._left += size


@final
class UploadedFile(metaclass=NoPublicConstructor):
    """A file of a form (RFC 7578). Made by `Request.form`, closed when the handler is over.

    ``async for chunk in file`` reads it in pieces; one task at a time has its turn.
    """

    _made_by = "Request.form() makes it"

    def __init__(self, name: str, filename: str, headers: Headers, memory: SpoolMemory) -> None:
        self._name = name
        self._filename = filename
        self._headers = headers
        self._memory = memory
        self._file: IO[bytes] = io.BytesIO()
        self._on_disk = False
        self._size = 0
        self._turn = trio.Lock()

    def __repr__(self) -> str:
        return f"<UploadedFile {self._filename!r} of {self._size} octets>"

    @property
    def name(self) -> str:
        """The name of the form's field."""
        return self._name

    @property
    def filename(self) -> str:
        """What the client calls the file: untrusted, may have a path in it, may be empty."""
        return self._filename

    @property
    def content_type(self) -> str:
        """What the client says it is; ``"text/plain"`` if it says nothing (RFC 7578 §4.4)."""
        return self._headers.get("content-type") or "text/plain"

    @property
    def headers(self) -> Headers:
        """The header fields of its part."""
        return self._headers

    @property
    def size(self) -> int:
        """Its octets."""
        return self._size

    @property
    def in_memory(self) -> bool:
        """Whether it is small enough to be kept in memory."""
        return not self._on_disk

    @property
    def closed(self) -> bool:
        """Whether it is gone."""
        return self._file.closed

    async def read(self, max_bytes: int = -1) -> bytes:
        """Returns the next octets, at most *max_bytes*, all that are left if negative; ``b""`` at the end.

        Cancelled: nothing was read.

        Raises:
            trio.ClosedResourceError: the handler is over.
        """
        async with self._turn:
            self._check_open()
            if self._on_disk:
                return await trio.to_thread.run_sync(self._file.read, max_bytes)
            return self._file.read(max_bytes)

    async def seek(self, offset: int) -> None:
        """Goes to the octet with the number *offset*, 0 for the first. Cancelled: nothing happened.

        Raises:
            ValueError: *offset* is negative.
            trio.ClosedResourceError: the handler is over.
        """
        if offset < 0:
            raise ValueError(f"offset must not be negative, not {offset}")
        async with self._turn:
            self._check_open()
            self._file.seek(offset)  # nothing is left to be written, so this does not touch the disk

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the whole file to *path*, over whatever is there. Do not make *path* of `filename` as it is.

        Cancelled while it is written: a thread finishes that first.

        Raises:
            OSError: as `open` and `write` do.
            trio.ClosedResourceError: the handler is over.
        """
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

    def __aiter__(self) -> UploadedFile:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.read(CHUNK)
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def _check_open(self) -> None:
        if self._file.closed:
            raise trio.ClosedResourceError("uploaded files are closed when the handler is over")

    # -- for the form ----------------------------------------------------------------------------------------------

    async def _append(self, data: bytes) -> None:
        """Writes octets at the end; while the form is read nobody else has this file."""
        if not self._on_disk and not self._memory.take(len(data)):
            await self._move_to_disk()
        if self._on_disk:
            await trio.to_thread.run_sync(self._file.write, data)
        else:
            self._file.write(data)
        self._size += len(data)

    async def _move_to_disk(self) -> None:
        file = await trio.to_thread.run_sync(self._to_disk)
        self._file.close()
        self._file, self._on_disk = file, True
        self._memory.give(self._size)

    def _to_disk(self) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _close
        try:
            self._file.seek(0)
            shutil.copyfileobj(self._file, file, CHUNK)
        except BaseException:
            file.close()
            raise
        return file

    async def _rewind(self) -> None:
        """The file is whole: it will be read from its beginning."""
        if self._on_disk:
            await trio.to_thread.run_sync(self._file.seek, 0)  # writes what Python has buffered
        else:
            self._file.seek(0)

    def _close(self) -> None:
        """Closes the file, and with that removes it. May touch the disk."""
        self._file.close()
