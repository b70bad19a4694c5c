"""From the path of a request to an open file below a directory, and to nothing else.

A request names a file by the segments of its path. Each is decoded once, on its own, so that no encoding of a slash or
of dots can become one later. Then each is opened relative to the directory before it, and never through a link: links
are read and walked here, step by step. So there is no moment between looking where a path leads and going there, in
which somebody could exchange a directory for a link.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from .._util import percent_encoded
from ._reading import OPEN_FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_LINKS = 40
_SEPARATORS = (b"/", b"\0", b"\\", b":") if os.name == "nt" else (b"/", b"\0")
_CAN_WALK = os.open in os.supports_dir_fd and os.readlink in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# O_PATH: a directory that may be searched, but not listed, is enough.
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | (getattr(os, "O_PATH", 0) or os.O_RDONLY) | getattr(os, "O_CLOEXEC", 0)
# What the systems say to O_NOFOLLOW and O_DIRECTORY when there is a link.
_PERHAPS_A_LINK = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}
_ABSENT = {
    *(errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.EINVAL),
    *(errno.ENXIO, errno.EOPNOTSUPP),  # sockets
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request's path names."""

    segments: tuple[str, ...]
    """Names from the root on, decoded; none is empty, ``.`` or ``..``."""
    directory: bool
    """Whether the path ends with a slash."""
    query: str
    """The query with its question mark, or ``""``."""

    def with_slash(self) -> str:
        """Returns path and query of the directory that was named without its slash.

        Encoded anew, so that nothing in it can mean another host: no ``//``, no backslash.
        """
        path = "".join("/" + quote_from_bytes(os.fsencode(name), safe="") for name in self.segments)
        return f"{path}/{self.query}"


def parse_target(path: str, *, hidden: bool = False) -> Target | None:
    """Takes the path of a request apart.

    Args:
        path: path and query as they came: what is not percent-encoded of a name in UTF-8 names the same file.
        hidden: whether names may begin with a dot.

    Returns:
        ``None`` if no file that is served can be meant.
    """
    path, mark, query = percent_encoded(path).partition("?")
    first, *segments = path.split("/")
    if first or not segments:
        return None
    names = [unquote_to_bytes(segment) for segment in segments]
    directory = names[-1] == b""
    if directory:
        names.pop()
    if not all(_is_name(name, hidden=hidden) for name in names):
        return None
    try:
        return Target(tuple(os.fsdecode(name) for name in names), directory, mark + query)
    except UnicodeDecodeError:  # not on systems where names are bytes
        return None


def _is_name(name: bytes, *, hidden: bool) -> bool:
    if name in (b"", b".", b"..") or any(sign in name for sign in _SEPARATORS):
        return False
    return hidden or not name.startswith(b".")


def is_absent(error: OSError) -> bool:
    """Whether an error means that there is no such file, as far as a client is concerned."""
    return isinstance(error, FileNotFoundError) or error.errno in _ABSENT


def is_forbidden(error: OSError) -> bool:
    """Whether an error means that there is a file which this process may not read."""
    return isinstance(error, PermissionError)


class Root:
    """A directory below which files are opened. Its methods block: they are for worker threads.

    Args:
        path: the directory. Links on the way to it are followed once, now.
        follow_symlinks: whether links below it may lead anywhere; if not, only to what is below it.
        hidden: whether names may begin with a dot, also those that links lead to.

    Raises:
        OSError: it is no directory, or cannot be reached.
    """

    def __init__(self, path: str | os.PathLike[str], *, follow_symlinks: bool = False, hidden: bool = False) -> None:
        self.path = os.path.realpath(os.fspath(path), strict=True)
        if not os.path.isdir(self.path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
        self._follow_symlinks = follow_symlinks
        self._hidden = hidden

    def open(self, segments: Sequence[str]) -> int:
        """Opens what the segments name, a file or a directory; returns the descriptor.

        Raises:
            OSError: it is not there, not below the root, or cannot be read.
        """
        if self._follow_symlinks:
            return os.open(os.path.join(self.path, *segments), OPEN_FLAGS)
        return self._walk(segments) if _CAN_WALK else self._check_and_open(segments)

    def _walk(self, segments: Sequence[str]) -> int:
        todo = list(reversed(segments))
        links = 0
        passed = [os.open(self.path, _DIRECTORY if todo else OPEN_FLAGS)]  # the root, and each directory on the way
        try:
            while todo:
                name = todo.pop()
                if name in ("", "."):  # only links have these, and the next
                    continue
                if name == "..":
                    if len(passed) == 1:
                        raise _outside()
                    os.close(passed.pop())
                    continue
                self._check_name(name)
                flags = _DIRECTORY if todo else OPEN_FLAGS
                try:
                    passed.append(os.open(name, flags | _NOFOLLOW, dir_fd=passed[-1]))
                except OSError as exc:
                    if exc.errno not in _PERHAPS_A_LINK:
                        raise
                    steps = self._steps_of_link(name, passed, exc)
                    links += 1
                    if links > _MAX_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                    todo.extend(reversed(steps))
            return passed.pop()
        finally:
            for fd in passed:
                os.close(fd)

    def _steps_of_link(self, name: str, passed: list[int], error: OSError) -> list[str]:
        try:
            target = os.readlink(name, dir_fd=passed[-1])
        except OSError:
            raise error from None  # no link, after all
        if not os.path.isabs(target):
            return target.split("/")
        inside = self.path.rstrip("/") + "/"
        if not f"{target}/".startswith(inside):
            raise _outside()
        while len(passed) > 1:
            os.close(passed.pop())
        return target[len(inside) :].split("/")

    def _check_name(self, name: str) -> None:
        if name.startswith(".") and not self._hidden:
            raise FileNotFoundError(errno.ENOENT, "hidden names are not served")

    def _check_and_open(self, segments: Sequence[str]) -> int:
        """As `_walk`, for systems without directory descriptors; whoever can write there could race it."""
        real = os.path.realpath(os.path.join(self.path, *segments), strict=True)
        below = os.path.relpath(real, self.path)
        steps = [] if below == os.curdir else below.split(os.sep)
        if os.path.isabs(below) or steps[:1] == [os.pardir]:
            raise _outside()
        for name in steps:
            self._check_name(name)
        return os.open(real, OPEN_FLAGS | _NOFOLLOW)


def _outside() -> OSError:
    return FileNotFoundError(errno.ENOENT, "a link leads out of the directory")
