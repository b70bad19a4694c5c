"""A file that is being downloaded: beside its place, until it is whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
import sys
from typing import TYPE_CHECKING, Final

import trio

from .._util import interrupt_safe

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, TypeVar

    _T = TypeVar("_T")

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)
_AT_ONCE: Final = 256 * 1024
"""Bytes that are held until a thread writes them: the way to a thread and back costs as much as to write 64 KiB."""
_HELD_SECONDS: Final = 1.0
"""How long, if more comes after it."""
_MAX_NOTES: Final = 64 * 1024
_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What file systems of other machines say that know no locks."""
_CLOSE_SECONDS: Final = 10.0
"""How long a disk may take to close and remove what was given up."""


@interrupt_safe
class Part:
    """What has come of a file. Everything that touches the disk is done in threads, and finished when it has begun.

    Args:
        path: where the whole file is to be.
        url: whose it is.
        keep: whether what has come stays there when it is given up, with notes about it, so that another program can go
            on; that is `NAME.part` and `NAME.part.json`, else one file with a name that nobody else uses.
    """

    def __init__(self, path: str, url: str, *, keep: bool) -> None:
        self._place = path
        self._url = url
        self._keep = keep
        self._name = ""
        self._opened: IO[bytes] | None = None
        self._whole = False
        self._held: list[bytes] = []
        self._held_size = 0
        self._written_at = 0.0
        self.size: int = 0
        """Bytes that are there, those that are still to be written included."""
        self.validator: str | None = None
        """What says which state of the file they are from; ``None`` if nothing can be added to them."""
        self.length: int | None = None
        """Bytes of the whole file, if that is known."""
        self.failed: bool = False
        """Whether the disk has failed, and not the network."""

    @property
    def name(self) -> str:
        """The file's path until it is whole."""
        return self._name

    async def open(self) -> None:
        """Opens it, with what was left of it; call `close`.

        Raises:
            OSError: it cannot be written there, or somebody else is at it.
            ValueError: what is there is no file.
        """
        await self._in_thread(self._open)

    def _open(self) -> None:
        self._place = os.path.realpath(self._place)
        if os.path.isdir(self._place):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._place)
        if os.path.exists(self._place) and not stat.S_ISREG(os.stat(self._place).st_mode):
            raise ValueError(f"path must name a file, which {self._place} is not")
        if not self._keep:
            self._name = f"{self._place}.{secrets.token_hex(4)}.part"
            self._opened = os.fdopen(os.open(self._name, _FLAGS | _BINARY | os.O_EXCL, 0o666), "r+b")
        else:
            self._name = f"{self._place}.part"
            self._opened = self._locked()
            self._remember()

    @property
    def _file(self) -> IO[bytes]:
        assert self._opened is not None
        return self._opened

    def _locked(self) -> IO[bytes]:
        while True:
            file = os.fdopen(os.open(self._name, _FLAGS | _BINARY, 0o666), "r+b")
            try:
                if sys.platform == "win32":
                    return file  # nobody is kept from writing the same file
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise BlockingIOError(errno.EAGAIN, "another download is writing this file", self._name) from None
                except OSError as exc:
                    if exc.errno not in _NO_LOCKS:
                        raise
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.stat(self._name), os.fstat(file.fileno())):
                        return file
            except BaseException:
                file.close()
                raise
            file.close()  # whoever had it has finished it, or given it up

    @property
    def _notes(self) -> str:
        return f"{self._name}.json"

    def _remember(self) -> None:
        """Reads what is known of the bytes that are there already."""
        size = self._file.seek(0, os.SEEK_END)
        try:
            with open(self._notes, encoding="utf-8") as file:
                notes = json.loads(file.read(_MAX_NOTES))
        except (FileNotFoundError, ValueError):
            return
        match notes:
            case {"url": self._url, "validator": str(validator), "length": int() | None as length} if size:
                self.size, self.validator, self.length = size, validator, length

    async def begin(self, validator: str | None, length: int | None) -> None:
        """Drops what is there, and notes what comes.

        Args:
            validator: what says which state of the file it is, if others can go on with it.
            length: the bytes to expect, if that is known.
        """
        self.size, self.validator, self.length = 0, validator, length
        self._held, self._held_size = [], 0
        await self._in_thread(self._begin)
        # Threads are not cancelled. What is received next may have been closed meanwhile, by the same cancellation.
        await trio.lowlevel.checkpoint_if_cancelled()

    def _begin(self) -> None:
        if self._keep:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._notes)
        self._file.seek(0)
        self._file.truncate()
        if self._keep and self.validator is not None:
            with open(self._notes, "w", encoding="utf-8") as file:
                json.dump({"url": self._url, "validator": self.validator, "length": self.length}, file)

    async def write(self, data: bytes) -> None:
        """Adds bytes. Cancelled: they were added, and are written when it is closed."""
        self._held.append(data)
        self._held_size += len(data)
        self.size += len(data)
        now = trio.current_time()
        if self._held_size >= _AT_ONCE or now - self._written_at >= _HELD_SECONDS:
            self._written_at = now
            await self._in_thread(self._write_held)
            await trio.lowlevel.checkpoint_if_cancelled()

    def _write_held(self) -> None:
        self._file.write(b"".join(self._held))
        self._file.flush()
        self._held, self._held_size = [], 0

    async def finish(self) -> None:
        """Puts the whole file in its place, at once."""
        await self._in_thread(self._finish)

    def _finish(self) -> None:
        self._write_held()
        if os.name == "nt":  # which moves no file that is open
            self._file.close()
        os.replace(self._name, self._place)
        self._whole = True
        self._file.close()
        if self._keep:
            with contextlib.suppress(OSError):
                os.unlink(self._notes)

    async def close(self) -> None:
        """Closes it. What is not whole is removed, unless it is to be kept, and can be added to."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_SECONDS):
            await trio.to_thread.run_sync(self._close, abandon_on_cancel=True)

    def _close(self) -> None:
        if self._opened is None:
            return
        keeps = self._whole or (self._keep and self.size > 0 and self.validator is not None)
        with contextlib.suppress(OSError):  # the disk is full, which was said, or will be said the next time
            if keeps and not (self._whole or self.failed):
                self._write_held()
        if os.name == "nt":  # which removes no file that is open; elsewhere, nobody else may get hold of it before
            self._opened.close()
        if not keeps:
            for name in (self._notes, self._name) if self._keep else (self._name,):
                with contextlib.suppress(OSError):
                    os.unlink(name)
        with contextlib.suppress(OSError):
            self._opened.close()

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        try:
            return await trio.to_thread.run_sync(call)
        except OSError as exc:
            self.failed = True
            if exc.filename is None:
                exc.filename = self._name
            raise
