"""A file that came with a form, as the application sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from .._util import NoPublicConstructor, interrupt_safe
from ._spool import CHUNK

if TYPE_CHECKING:
    import os

    from trio_h2 import Headers

    from ._spool import Spool


@final
@interrupt_safe
class UploadedFile(metaclass=NoPublicConstructor):
    """A file of a form (RFC 7578). Made by `Request.form`, closed when the handler is over.

    ``async for chunk in file`` reads it in pieces; one task at a time has its turn.
    """

    _made_by = "Request.form() makes it"

    def __init__(self, name: str, filename: str, headers: Headers, spool: Spool) -> None:
        self._name = name
        self._filename = filename
        self._headers = headers
        self._spool = spool

    def __repr__(self) -> str:
        return f"<UploadedFile {self._filename!r} of {self.size} bytes>"

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
        """Its bytes."""
        return self._spool.size

    @property
    def in_memory(self) -> bool:
        """Whether it is small enough to be kept in memory."""
        return not self._spool.on_disk

    @property
    def closed(self) -> bool:
        """Whether it is gone."""
        return self._spool.closed

    async def read(self, max_bytes: int = -1) -> bytes:
        """Returns the next bytes, at most *max_bytes*, all that are left if negative; ``b""`` at the end.

        Cancelled: nothing was read.

        Raises:
            trio.ClosedResourceError: the handler is over.
        """
        return await self._spool.read(max_bytes)

    async def seek(self, offset: int) -> None:
        """Goes to the byte with the number *offset*, 0 for the first. Cancelled: nothing happened.

        Raises:
            ValueError: *offset* is negative.
            trio.ClosedResourceError: the handler is over.
        """
        if offset < 0:
            raise ValueError(f"offset must not be negative, not {offset}")
        await self._spool.seek(offset)

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the whole file to *path*, over whatever is there. Do not make *path* of `filename` as it is.

        Cancelled while it is written: a thread finishes that first.

        Raises:
            OSError: as `open` and `write` do.
            trio.ClosedResourceError: the handler is over.
        """
        await self._spool.save(path)

    def __aiter__(self) -> UploadedFile:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.read(CHUNK)
        if not chunk:
            raise StopAsyncIteration
        return chunk
