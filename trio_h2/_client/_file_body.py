"""A file that a request carries."""

from __future__ import annotations

import io
import os
import threading
from functools import partial
from typing import IO, TYPE_CHECKING, Final, cast

import trio

from .. import LocalProtocolError
from .._util import interrupt_safe
from ._stored_body import StoredBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import TypeVar

    _T = TypeVar("_T")

_PIECE: Final = 128 * 1024
_CLOSE_SECONDS: Final = 1.0


@interrupt_safe
class FileBody(StoredBody):
    """A file from where it stands to its end. One that is given open stays open.

    Threads read it. They are left to their fate if a body is given up that need not have an end, such as a pipe.

    Args:
        source: its path, or the file itself, opened to read bytes.
    """

    def __init__(self, source: os.PathLike[str] | IO[bytes]) -> None:
        self._source = source
        self.name: str = _name_of(source)
        """What it is called, without its folders; empty if nobody knows."""
        self._what = str(os.fspath(source)) if isinstance(source, os.PathLike) else self.name or "the file"
        self._opened: IO[bytes] | None = None
        self._seekable = False
        self._start = 0
        self._size: int | None = None
        self._position = threading.Lock()
        """Who seeks and reads: a thread of an attempt that was given up may still do."""
        self._state = threading.Lock()
        """For the two below; never held for long."""
        self._given_up = False
        self._reading = 0

    @property
    def replayable(self) -> bool:
        """Whether it can be read again."""
        return self._seekable

    async def open(self) -> int | None:
        """Opens it; returns how many bytes there are to send, ``None`` if only its end will tell."""
        if self._opened is None:
            await self._in_thread(self._open, abandon=isinstance(self._source, os.PathLike))
        return self._size

    def _open(self) -> None:
        source = self._source
        file = io.FileIO(os.fspath(source)) if isinstance(source, os.PathLike) else source
        with self._state:
            if self._given_up:  # while it was opened
                self._close(file)
                return
            self._opened = file
            self._reading += 1
        try:
            self._measure(file)
        finally:
            self._read_no_more(file)

    def _measure(self, file: IO[bytes]) -> None:
        self._seekable = file.seekable()
        if not self._seekable:
            return
        self._start = file.tell()
        try:
            self._size = max(0, file.seek(0, os.SEEK_END) - self._start)
            if self._size == 0 and self._read_at(file, 0, 1):
                self._size = None  # as those of /proc, which say that they are empty
        except OSError:
            self._size = None

    def _read_at(self, file: IO[bytes], offset: int, count: int) -> bytes:
        with self._position:
            if self._seekable:
                file.seek(self._start + offset)
            data: object = file.read(count)
        if not isinstance(data, bytes):
            raise TypeError(f"reading {self._what} gave {type(data).__name__}, not bytes")
        return data

    def pieces(self) -> AsyncIterator[bytes]:
        """Returns its bytes, from where it stood when it was opened."""
        return _Pieces(self, self._what, self._size)

    async def read(self, offset: int, count: int) -> bytes:
        """Reads bytes; ``b""`` at the end. For its pieces."""
        return await self._in_thread(partial(self._read, offset, count), abandon=not self._seekable)

    def _read(self, offset: int, count: int) -> bytes:
        with self._state:
            file = self._opened
            if self._given_up or file is None:
                return b""
            self._reading += 1
        try:
            return self._read_at(file, offset, count)
        finally:
            self._read_no_more(file)

    def _read_no_more(self, file: IO[bytes]) -> None:
        with self._state:
            self._reading -= 1
            if self._given_up and not self._reading:
                self._close(file)

    async def close(self) -> None:
        """Closes the file, if it was not given open."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_SECONDS):
            await trio.to_thread.run_sync(self._give_up, abandon_on_cancel=True)

    def _give_up(self) -> None:
        with self._state:
            self._given_up = True
            if self._opened is not None and not self._reading:
                self._close(self._opened)

    def _close(self, file: IO[bytes]) -> None:
        if file is not self._source:
            file.close()

    async def _in_thread(self, call: Callable[[], _T], *, abandon: bool) -> _T:
        try:
            return await trio.to_thread.run_sync(call, abandon_on_cancel=abandon)
        except OSError as exc:
            if exc.filename is None:
                exc.filename = self._what
            raise


class _Pieces:
    """The bytes of a file, as many as there were when it was opened."""

    def __init__(self, file: FileBody, what: str, size: int | None) -> None:
        self._file = file
        self._what = what
        self._size = size
        self._sent = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Reads on.

        Raises:
            LocalProtocolError: the file has another length by now than content-length has said.
        """
        if self._sent == self._size:
            raise StopAsyncIteration
        left = None if self._size is None else self._size - self._sent
        # One byte more than the rest shows that there is more, before all that was announced is sent.
        count = _PIECE if left is None or left > _PIECE else left + 1
        data = await self._file.read(self._sent, count)
        if left is None:
            if not data:
                raise StopAsyncIteration
        elif not data:
            raise LocalProtocolError(
                f"{self._what} became shorter while it was sent: {self._sent} of {self._size} bytes"
            )
        elif len(data) > left:
            raise LocalProtocolError(f"{self._what} became longer while it was sent: more than {self._size} bytes")
        self._sent += len(data)
        return data


def file_of(source: object) -> FileBody | None:
    """Returns what reads a path or an open file; ``None`` if it is neither.

    Raises:
        TypeError: it is a file of text.
    """
    # Those of Trio, whose own methods are async.
    wrapped: object = getattr(source, "wrapped", None)
    if isinstance(wrapped, io.IOBase):
        source = wrapped
    if isinstance(source, io.TextIOBase):
        raise TypeError("a file to send must be opened in binary mode ('rb')")
    if isinstance(source, os.PathLike) or (callable(getattr(source, "read", None)) and hasattr(source, "seekable")):
        return FileBody(cast("os.PathLike[str] | IO[bytes]", source))
    return None


def _name_of(source: os.PathLike[str] | IO[bytes]) -> str:
    name: object = os.fspath(source) if isinstance(source, os.PathLike) else getattr(source, "name", None)
    # Those that Python makes up look like "<stdin>".
    return os.path.basename(name) if isinstance(name, str) and not name.startswith("<") else ""
