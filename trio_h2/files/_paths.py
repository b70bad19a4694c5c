"""From the path of a request to an open file below a directory, and to nothing else.

A request names a file by the segments of its path. Each is decoded once, on its own, so that no encoding of a slash or
of dots can become one later. Then each is opened relative to the directory before it, and never through a link: links
are read and walked here, step by step. So there is no moment between looking where a path leads and going there, in
which somebody could exchange a directory for a link.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from .._util import percent_encoded
from ._reading import OPEN_FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

WELL_KNOWN = ".well-known"
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
        hidden: whether names may begin with a dot. `WELL_KNOWN` may, as the first of them.

    Returns:
        ``None`` if no file that is served can be meant.
    """
    path, mark, query = percent_encoded(path).partition("?")
    first, *encoded = path.split("/")
    if first or not encoded:
        return None
    names = [unquote_to_bytes(segment) for segment in encoded]
    directory = names[-1] == b""
    if directory:
        names.pop()
    if not all(_is_name(name) for name in names):
        return None
    try:
        segments = tuple(os.fsdecode(name) for name in names)
    except UnicodeDecodeError:  # not on systems where names are bytes
        return None
    if not hidden and any(is_hidden(name, first=not index) for index, name in enumerate(segments)):
        return None
    return Target(segments, directory, mark + query)


def _is_name(name: bytes) -> bool:
    return name not in (b"", b".", b"..") and not any(sign in name for sign in _SEPARATORS)


def is_hidden(name: str, *, first: bool) -> bool:
    """Whether a name is hidden by the dot it begins with.

    Args:
        name: of a file or directory.
        first: whether it is directly below the root. RFC 8615 §3: there the prefix "/.well-known/" is for everybody.
    """
    return name.startswith(".") and not (first and name == WELL_KNOWN)


def is_absent(error: OSError) -> bool:
    """Whether an error means that there is no such file, as far as a client is concerned."""
    return isinstance(error, FileNotFoundError) or error.errno in _ABSENT


def is_forbidden(error: OSError) -> bool:
    """Whether an error means that there is a file which this process may not read."""
    return isinstance(error, PermissionError)


class RootError(OSError):
    """The directory that is served is gone, or cannot be searched: whether it has a file is not known.

    Args:
        error: what the system said.
        path: the directory.
    """

    def __init__(self, error: OSError, path: str) -> None:
        super().__init__(error.errno, f"the directory that is served cannot be opened: {error.strerror}", path)


class Root:
    """A directory below which files are opened. Its methods block: they are for worker threads.

    The directory is opened anew for each file, so that a link to it may be set to another one: then that is served.

    Args:
        path: the directory, or a link to it. What is not absolute is so from the present directory of the process on.
        follow_symlinks: whether links below it may lead anywhere; if not, only to what is below it.
        hidden: whether names may begin with a dot, also those that links lead to. Directly below the root, `WELL_KNOWN`
            may in any case.

    Raises:
        OSError: it is no directory, or cannot be reached.
    """

    def __init__(self, path: str | os.PathLike[str], *, follow_symlinks: bool = False, hidden: bool = False) -> None:
        self.path = os.path.join(os.getcwd(), os.fspath(path))  # `abspath` would take ".." away, across links
        if not stat.S_ISDIR(os.stat(self.path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
        self._follow_symlinks = follow_symlinks
        self._hidden = hidden

    def open(self, segments: Sequence[str]) -> int:
        """Opens what the segments name, a file or a directory; returns the descriptor.

        Raises:
            RootError: the root itself is gone, or cannot be searched.
            OSError: it is not there, not below the root, or cannot be read.
        """
        if not self._follow_symlinks:
            return self._walk(segments) if _CAN_WALK else self._check_and_open(segments)
        try:
            return os.open(os.path.join(self.path, *segments), OPEN_FLAGS)
        except OSError:
            self._check_root()
            raise

    def _check_root(self) -> None:
        try:
            os.stat(os.path.join(self.path, os.curdir))
        except OSError as exc:
            raise _of_root(exc, self.path) from None

    def _open_root(self, flags: int) -> int:
        try:
            return os.open(self.path, flags)
        except OSError as exc:
            raise _of_root(exc, self.path) from None

    def _walk(self, segments: Sequence[str]) -> int:
        todo = list(reversed(segments))
        links = 0
        passed = [self._open_root(_DIRECTORY if todo else OPEN_FLAGS)]  # the root, and each directory on the way
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
                self._check_name(name, first=len(passed) == 1)
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
        # The walk goes on from the root that is open, whatever its path leads to by now.
        for path in (os.path.realpath(self.path), self.path):
            inside = path.rstrip("/") + "/"
            if f"{target}/".startswith(inside):
                while len(passed) > 1:
                    os.close(passed.pop())
                return target[len(inside) :].split("/")
        raise _outside()

    def _check_name(self, name: str, *, first: bool) -> None:
        if not self._hidden and is_hidden(name, first=first):
            raise FileNotFoundError(errno.ENOENT, "hidden names are not served")

    def _check_and_open(self, segments: Sequence[str]) -> int:
        """As `_walk`, for systems without directory descriptors; whoever can write there could race it."""
        self._check_root()
        root = os.path.realpath(self.path)
        real = os.path.realpath(os.path.join(root, *segments), strict=True)
        below = os.path.relpath(real, root)
        steps = [] if below == os.curdir else below.split(os.sep)
        if os.path.isabs(below) or steps[:1] == [os.pardir]:
            raise _outside()
        for index, name in enumerate(steps):
            self._check_name(name, first=not index)
        return os.open(real, OPEN_FLAGS | _NOFOLLOW)


def _of_root(error: OSError, path: str) -> OSError:
    return RootError(error, path) if is_absent(error) or is_forbidden(error) else error


def _outside() -> OSError:
    return FileNotFoundError(errno.ENOENT, "a link leads out of the directory")
