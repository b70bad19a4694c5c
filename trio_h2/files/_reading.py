"""Reading files in worker threads, so that no disk holds up the Trio thread.

A thread cannot be cancelled, only abandoned. So the descriptor of a file that we opened belongs to an `OpenFile`, which
knows whether a thread is at work on it: whoever comes last closes it, be it the thread. Cancellation is prompt even
when a disk is not, and no descriptor is left over, nor closed (and its number given to another file) under a read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 128 * 1024
"""Bytes that are read at a time, and at most held for one response."""

_MAX_THREADS = 20
# O_NONBLOCK: opening a pipe would wait for a writer. It means nothing to regular files.
OPEN_FLAGS = os.O_RDONLY
for _extra in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_CLOEXEC"):
    OPEN_FLAGS |= getattr(os, _extra, 0)

_CAN_PREAD = hasattr(os, "pread")
_T = TypeVar("_T")
_limiter = trio.lowlevel.RunVar[trio.CapacityLimiter]("trio_h2.files limiter")
_seek_lock = threading.Lock()


class TruncatedFileError(OSError):
    """A file ended before all that was announced of it was read: somebody has made it shorter.

    The response was reset with INTERNAL_ERROR: the client cannot take what it has for the whole.
    """


class Source(Protocol):
    """Something that can be read at any position."""

    async def read(self, position: int, size: int) -> bytes:
        """Reads up to *size* bytes; ``b""`` is the end."""


def limiter() -> trio.CapacityLimiter:
    """Returns what bounds the threads of this package: a disk that hangs takes none from others."""
    try:
        return _limiter.get()
    except LookupError:
        _limiter.set(trio.CapacityLimiter(_MAX_THREADS))
        return _limiter.get()


def pread(fd: int, size: int, position: int) -> bytes:
    """Reads at a position, whoever else reads from this descriptor."""
    if _CAN_PREAD:
        return os.pread(fd, size, position)
    with _seek_lock:  # Windows has one position for each descriptor, and nothing that reads beside it
        os.lseek(fd, position, os.SEEK_SET)
        return os.read(fd, size)


class OpenFile:
    """A file that this package opens, and closes: for a ``with`` block, which must begin before it is opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd = -1
        self._closed = False
        self._busy = False
        self._ahead = b""
        """The first bytes, if they were read along with the opening and not asked for yet."""

    def __enter__(self) -> OpenFile:
        """Returns itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Closes the file."""
        self.close()

    async def open(self, opener: Callable[[], tuple[int, _T]], *, ahead: int = 0) -> _T:
        """Opens it in a thread.

        Cancelled: the thread closes what it still opens.

        Args:
            opener: opens and returns a descriptor, which becomes this object's own, and what this shall return.
            ahead: so many bytes are read at once, for the first `read`: a small file costs one thread, not two.

        Raises:
            Exception: what *opener* raised.
        """
        job = partial(self._open, opener, ahead)
        return await trio.to_thread.run_sync(job, abandon_on_cancel=True, limiter=limiter())

    def _open(self, opener: Callable[[], tuple[int, _T]], ahead: int) -> _T:
        fd, result = opener()
        if ahead:
            with contextlib.suppress(OSError):  # which the first read will raise
                self._ahead = pread(fd, ahead, 0)
        with self._lock:
            if self._closed:
                os.close(fd)
            else:
                self._fd = fd
        return result

    async def read(self, position: int, size: int) -> bytes:
        """Reads up to *size* bytes at *position*; ``b""`` is the end. Cancelled: nothing happened.

        Raises:
            OSError: the file cannot be read.
        """
        if position == 0 and self._ahead and size:
            await trio.lowlevel.checkpoint()
            chunk, self._ahead = self._ahead[:size], b""
            return chunk
        return await trio.to_thread.run_sync(self._read, position, size, abandon_on_cancel=True, limiter=limiter())

    def _read(self, position: int, size: int) -> bytes:
        with self._lock:
            if self._closed:
                return b""  # abandoned before it began
            self._busy = True
        try:
            return pread(self._fd, size, position)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._busy = False
            if self._closed:
                os.close(self._fd)

    def close(self) -> None:
        """Closes the file, or leaves that to the thread at work on it. Never blocks: nothing was written."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._fd >= 0 and not self._busy:
                os.close(self._fd)


class BorrowedFile:
    """An open file of the caller's: read at positions, never closed, never moved, not looked at before."""

    def __init__(self, fd: int, owner: object) -> None:
        self._fd = fd
        self._owner = owner  # a file object closes its descriptor when it is collected

    async def status(self) -> os.stat_result:
        """Returns the file's status. Cancelled: nothing happened.

        Raises:
            OSError: there is none.
        """
        return await trio.to_thread.run_sync(os.fstat, self._fd, abandon_on_cancel=True, limiter=limiter())

    async def read(self, position: int, size: int) -> bytes:
        """Reads up to *size* bytes at *position*; ``b""`` is the end. Cancelled: nothing happened.

        Raises:
            OSError: the file cannot be read.
        """
        # Without pread, an abandoned thread could move the position of whatever has this number by then.
        read = partial(pread, self._fd, size, position)
        return await trio.to_thread.run_sync(read, abandon_on_cancel=_CAN_PREAD, limiter=limiter())


def open_regular(path: str | bytes) -> tuple[int, os.stat_result]:
    """Opens a regular file. For a worker thread.

    Raises:
        OSError: there is none, or it is not a regular file.
    """
    return checked(os.open(path, OPEN_FLAGS), path)


def checked(fd: int, path: str | bytes) -> tuple[int, os.stat_result]:
    """Returns a descriptor and its status if it is that of a regular file; closes it if not.

    Raises:
        IsADirectoryError: it is a directory.
        OSError: it is something else: a pipe, a device; or it has no status.
    """
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
    except BaseException:
        os.close(fd)
        raise
    return fd, status
