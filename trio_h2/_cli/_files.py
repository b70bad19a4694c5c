"""Whole files of one directory, for `trio-h2 serve DIRECTORY`: GET and HEAD, and nothing from outside of it.

A request names a file by the segments of its path. Each is decoded once, on its own, so that no encoding of a slash
or of dots can become one later; and what the file system makes of them must again lie in the directory.
"""

from __future__ import annotations

import errno
import logging
import mimetypes
import os
import stat
from dataclasses import dataclass
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import trio

from trio_h2 import ErrorCode

from ._errors import UsageError

if TYPE_CHECKING:
    from trio_h2 import ServerStream

_CHUNK = 128 * 1024
_INDEX = "index.html"
_UNKNOWN = "application/octet-stream"
# A file that is compressed stays what it is: its name, not a content-encoding, tells what is in it.
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO}
_SEPARATORS = (b"/", b"\0", b"\\", b":") if os.name == "nt" else (b"/", b"\0")

logger = logging.getLogger("trio_h2.server")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that is to be sent, open."""

    file: FileIO
    size: int
    content_type: str


class FileHandler:
    """A stream handler that serves the files below *directory*, but no hidden ones.

    Args:
        directory: what to serve.

    Raises:
        UsageError: it is no directory.
    """

    def __init__(self, directory: Path) -> None:
        if not directory.is_dir():
            raise UsageError(f"cannot serve {directory}: it is not a directory")
        self._root = directory.resolve()
        mimetypes.init()

    async def __call__(self, stream: ServerStream) -> None:
        """Answers one request. Cancelled: the file is closed."""
        if stream.method not in ("GET", "HEAD"):
            await _refuse(stream, 405, {"allow": "GET, HEAD"})
            return
        try:
            segments = path_segments(stream.path)
            found = await trio.to_thread.run_sync(self._open, segments)
        except OSError as exc:
            await _refuse(stream, _status_of(exc, stream))
            return
        async with trio.wrap_file(found.file):
            await _send(stream, found)

    def _open(self, segments: list[str]) -> _Found:
        """Opens the file that is meant.

        Raises:
            OSError: there is none, or it cannot be read. The error may name it: that is not for the client.
        """
        wants_directory = segments[-1] == ""
        path = Path(os.path.realpath(self._root.joinpath(*segments), strict=True))
        name = path.name if wants_directory else segments[-1]
        if path.is_dir():
            name = _INDEX
            path = Path(os.path.realpath(path / _INDEX, strict=True))
        elif wants_directory:
            raise FileNotFoundError
        # Only now: links have been followed, so this is where it really is.
        if not path.is_relative_to(self._root):
            raise FileNotFoundError
        if any(part.startswith(".") for part in path.relative_to(self._root).parts):
            raise FileNotFoundError
        return _open_file(path, _content_type(name))


def path_segments(path: str) -> list[str]:
    """Takes the path of a request apart; a final ``""`` means that a directory was asked for.

    Raises:
        FileNotFoundError: no file that is served can be meant.
    """
    segments = path.partition("?")[0].split("/")[1:]
    decoded = [unquote_to_bytes(segment) for segment in segments]
    if not decoded or any(_is_trick(name) for name in decoded[:-1]) or (decoded[-1] and _is_trick(decoded[-1])):
        raise FileNotFoundError
    try:
        return [os.fsdecode(name) for name in decoded]
    except UnicodeDecodeError:  # not on systems where names are bytes
        raise FileNotFoundError from None


def _is_trick(name: bytes) -> bool:
    """Whether a decoded segment is nothing, leads elsewhere, or is hidden. ``.`` and ``..`` start with a dot, too."""
    return not name or name.startswith(b".") or any(sign in name for sign in _SEPARATORS)


def _open_file(path: Path, content_type: str) -> _Found:
    # O_NOFOLLOW: it may have become a link a moment ago. O_NONBLOCK: opening a pipe would wait for a writer.
    flags = os.O_RDONLY
    for extra in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, extra, 0)
    file = FileIO(os.open(path, flags), "rb")
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise FileNotFoundError
    return _Found(file, status.st_size, content_type)


def _content_type(name: str) -> str:
    guessed, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        return _COMPRESSED.get(encoding, _UNKNOWN)
    return guessed or _UNKNOWN


async def _send(stream: ServerStream, found: _Found) -> None:
    headers = {"content-type": found.content_type, "content-length": str(found.size)}
    if stream.method == "HEAD" or not found.size:
        await stream.respond(headers, end_stream=True)
        return
    await stream.respond(headers)
    file, left = trio.wrap_file(found.file), found.size
    while left:
        try:
            chunk = await file.read(min(left, _CHUNK))
        except OSError as exc:
            logger.error("reading %s failed: %s", stream.path, exc)
            chunk = b""
        if not chunk:
            # It became shorter, or unreadable. The client must not take what it has for the whole.
            stream.reset(ErrorCode.INTERNAL_ERROR)
            return
        left -= len(chunk)
        await stream.send_all(chunk)


async def _refuse(stream: ServerStream, status: int, headers: dict[str, str] | None = None) -> None:
    fields = {":status": str(status), "content-type": "text/plain", **(headers or {})}
    await stream.respond(fields, body=f"{status} {HTTPStatus(status).phrase}\n".encode("ascii"))


def _status_of(exc: OSError, stream: ServerStream) -> int:
    if isinstance(exc, FileNotFoundError) or exc.errno in _ABSENT:
        return 404
    if isinstance(exc, PermissionError):
        return 403
    logger.error("opening %s failed: %s", stream.path, exc)
    return 500
