"""`DirectoryHandler`: a stream handler that serves the files below a directory."""

from __future__ import annotations

import logging
import os
import stat
import time
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from trio_h2 import Headers

from .._checks import check_bool
from .._util import interrupt_safe
from ._body import WholeBody, end_body, send_parts
from ._conditions import Validators, Verdict, evaluate, if_range
from ._encodings import IDENTITY, SUFFIXES, acceptable
from ._listing import FIELDS, page_of
from ._paths import Root, RootError, Target, is_absent, is_forbidden, is_hidden, parse_target
from ._ranges import multipart, parse_range
from ._reading import CHUNK, OpenFile, checked
from ._types import ContentTypes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._exchange import FileExchange
    from ._ranges import Span

_METHODS = "GET, HEAD, OPTIONS"

logger = logging.getLogger("trio_h2.server")


class _RefusalError(Exception):
    """The request is answered with this status instead of a file."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = {} if headers is None else dict(headers)


@dataclass(frozen=True, slots=True)
class _Found:
    """The file that is to be sent."""

    status: os.stat_result
    name: str
    coding: str


@interrupt_safe
class DirectoryHandler:
    """A stream handler that serves the files below a directory, and nothing from outside of it.

    GET, HEAD and OPTIONS are answered, other methods get 405. Each file has ``etag``, ``last-modified`` and a
    ``content-type`` by its name; conditional requests get 304 or 412 in the order of RFC 9110 §13.2.2, and ``range``
    gets 206 or 416: several ranges as ``multipart/byteranges``, joined where they touch, while more than 16 of them,
    or more than the whole file, get the whole file. What does not exist, leads out of the directory or is hidden gets
    404; what may not be read, 403; a directory without its slash is redirected to where its index is.

    A file that becomes shorter, or cannot be read to its end, resets its stream with INTERNAL_ERROR, so that it never
    looks complete; that is logged by ``trio_h2.server``. So is a directory that is gone, or cannot be opened: all
    requests get 503.

    Args:
        root: the directory, or a link to it. A link is followed with each request: set it to another directory, and new
            requests get what is there.
        index: the file that stands for the directory it is in; ``None``: there is none.
        fallback: the file below the directory, like ``"index.html"``, that is sent, with 200, for a path that does not
            exist, if its last part has no dot: what single-page applications want, whose pages are paths that only
            their script knows. A missing ``/app.js`` is still 404. ``None``: there is none.
        listing: whether a directory without its index gets a page that lists what is served of it, at most 10 000
            entries; if not, 404.
        follow_symlinks: whether links may lead out of the directory. If not, those that stay below it are still
            followed, in steps that nobody can race.
        hidden: whether names that begin with a dot are served. ``/.well-known/`` is in any case (RFC 8615).
        precompressed: whether ``x.br``, ``x.zst`` or ``x.gz`` is sent instead of ``x`` to clients that prefer it
            (``accept-encoding``). They are taken to have the same content.
        cache_control: a ``cache-control`` for every file.
        content_types: types by suffix, before those that are known: ``{".foo": "text/x-foo"}``.
        charset: the charset that types of text name; ``None``: none.
        prefix: what all paths begin with, like ``"/static"``: it is taken off before a file is looked for, and every
            other path is 404.

    Raises:
        TypeError, ValueError: an argument is not allowed, or this system cannot list an open directory (Windows).
        OSError: *root* is no directory, or cannot be reached.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        index: str | None = "index.html",
        fallback: str | None = None,
        listing: bool = False,
        follow_symlinks: bool = False,
        hidden: bool = False,
        precompressed: bool = True,
        cache_control: str | None = None,
        content_types: Mapping[str, str] | None = None,
        charset: str | None = "utf-8",
        prefix: str = "",
    ) -> None:
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, not {prefix!r}")
        if prefix and (not prefix.startswith("/") or "//" in prefix or quote(prefix) != prefix):
            raise ValueError(f"prefix must be empty or a path that begins with a slash, not {prefix!r}")
        self._prefix = prefix.rstrip("/")
        if index is not None and (index in ("", ".", "..") or os.path.basename(index) != index or "\0" in index):
            raise ValueError(f"index must be the name of a file, not {index!r}")
        self._fallback: tuple[str, ...] | None = None
        if fallback is not None:
            file = parse_target(f"/{quote(fallback)}", hidden=True)
            if file is None or file.directory:
                raise ValueError(f"fallback must be the path of a file below the directory, not {fallback!r}")
            self._fallback = file.segments
        if check_bool("listing", listing) and os.scandir not in os.supports_fd:
            raise ValueError("listing=True needs a system that can list an open directory")
        self._root = Root(root, follow_symlinks=follow_symlinks, hidden=hidden)
        self._index = index
        self._listing = listing
        self._hidden = hidden
        self._precompressed = precompressed
        self._types = ContentTypes(content_types, charset=charset)
        # RFC 9110 §15.4.5: what a 304 must have as the 200 would.
        self._always: dict[str, str] = {}
        if cache_control is not None:
            self._always["cache-control"] = cache_control
        if precompressed:
            self._always["vary"] = "accept-encoding"
        Headers(self._always)  # refuses what cannot be sent

    async def __call__(self, stream: FileExchange) -> None:
        """Answers one request. Cancelled: the file is closed, and a response that has begun is reset.

        Raises:
            StreamResetError, SessionError, trio.ClosedResourceError: the client has left.
        """
        with OpenFile() as file:
            try:
                target = self._target(stream)
                find = partial(self._find_or_fall_back, target, self._codings(stream.headers))
                found = await file.open(find, ahead=CHUNK if _wants_all(stream) else 0)
            except _RefusalError as refusal:
                await _refuse(stream, refusal.status, refusal.headers)
            except OSError as exc:
                await _refuse(stream, _status_of(exc, stream))
            else:
                if isinstance(found, bytes):
                    fields = {":status": "200", "content-length": str(len(found)), **FIELDS, **self._always}
                    await stream.respond(fields, body=b"" if stream.method == "HEAD" else found)
                else:
                    await self._answer(stream, file, found)

    # -- finding -------------------------------------------------------------------------------------------------------

    def _target(self, stream: FileExchange) -> Target:
        if stream.method == "OPTIONS":
            raise _RefusalError(204, {"allow": _METHODS})
        if stream.method not in ("GET", "HEAD"):
            raise _RefusalError(405, {"allow": _METHODS})
        prefix, path = self._prefix, stream.path
        if prefix:
            below = path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("/", "?", "")
            path = path[len(prefix) :] if below else ""
            if below and path[:1] != "/":
                raise _RefusalError(301, {"location": f"{prefix}/{path}"})
        target = parse_target(path, hidden=self._hidden)
        if target is None:
            raise _RefusalError(404)
        return target

    def _codings(self, request: Headers) -> Sequence[str]:
        values = request.get_all("accept-encoding") if self._precompressed else None
        return acceptable(", ".join(values) if values else None)

    def _find_or_fall_back(self, target: Target, codings: Sequence[str]) -> tuple[int, _Found | bytes]:
        """Like `_find`, but opens the fallback for a path that is none of a file."""
        try:
            return self._find(target, codings)
        except _RefusalError as exc:
            if self._fallback is None or exc.status != 404:
                raise
        except OSError as exc:
            if self._fallback is None or isinstance(exc, RootError) or not is_absent(exc):
                raise
        if target.segments and "." in target.segments[-1]:
            raise _RefusalError(404)  # a picture or script that is missing: no page
        return self._chosen(self._fallback, codings)

    def _find(self, target: Target, codings: Sequence[str]) -> tuple[int, _Found | bytes]:
        """Opens the file that is meant, or the directory, and lists it. For a worker thread.

        Raises:
            _RefusalError: it is the wrong name, or none that the client would take.
            OSError: there is none, or it cannot be read. The error may name it: that is not for the client.
        """
        if not target.directory:
            try:
                return self._chosen(target.segments, codings)
            except IsADirectoryError:
                if not self._listing:
                    self._check_index(target.segments)
                raise _RefusalError(301, {"location": self._prefix + target.with_slash()}) from None
        if self._index is not None:
            try:
                return self._chosen((*target.segments, self._index), codings)
            except OSError as exc:
                if not self._listing or isinstance(exc, RootError) or not is_absent(exc):
                    raise
        return self._listed(target.segments)

    def _check_index(self, directory: Sequence[str]) -> None:
        if self._index is None:
            raise _RefusalError(404)
        os.close(self._open((*directory, self._index))[0])

    def _listed(self, directory: Sequence[str]) -> tuple[int, bytes]:
        if not self._listing:
            raise _RefusalError(404)
        fd = self._root.open(directory)
        try:
            return fd, page_of(fd, directory, partial(self._status_of, directory))
        except BaseException:
            os.close(fd)
            raise

    def _status_of(self, directory: Sequence[str], entry: os.DirEntry[str]) -> os.stat_result | None:
        """Returns the status of what a directory has, if it is served: a file, or a directory, and nothing else."""
        if not self._hidden and is_hidden(entry.name, first=not directory):
            return None
        try:
            if entry.is_symlink():
                fd = self._root.open((*directory, entry.name))
                try:
                    status = os.fstat(fd)
                finally:
                    os.close(fd)
            else:
                status = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) else None

    def _chosen(self, names: Sequence[str], codings: Sequence[str]) -> tuple[int, _Found]:
        """Opens a file, or the sibling that the client prefers."""
        fd, status = self._open(names)
        own = self._types.coding_of(names[-1])
        if own:  # what it is without its coding does not exist, nor what it is with another
            return fd, _Found(status, names[-1], own)
        for coding in codings:
            if coding == IDENTITY:
                return fd, _Found(status, names[-1], "")
            try:
                sibling, its_status = self._open((*names[:-1], names[-1] + SUFFIXES[coding]))
            except OSError:
                continue
            os.close(fd)
            return sibling, _Found(its_status, names[-1], coding)
        os.close(fd)
        raise _RefusalError(406, self._always)

    def _open(self, names: Sequence[str]) -> tuple[int, os.stat_result]:
        return checked(self._root.open(names), "")

    # -- answering -----------------------------------------------------------------------------------------------------

    async def _answer(self, stream: FileExchange, file: OpenFile, found: _Found) -> None:
        now = time.time()
        request, size = stream.headers, found.status.st_size
        current = Validators.of(found.status, coding=found.coding, now=now)
        verdict = evaluate(request, current, now=now)
        if verdict is Verdict.NOT_MODIFIED:
            await stream.respond({":status": "304", **current.etag_field, **self._always}, end_stream=True)
            return
        if verdict is Verdict.FAILED:
            await _refuse(stream, 412)
            return
        spans: list[Span] | None = None
        # RFC 9110 §14.2: Range is for GET alone.
        if stream.method == "GET" and if_range(request, current, now=now):
            values = request.get_all("range")
            spans = parse_range(values[0], size) if len(values) == 1 else None
        if spans == []:
            await _refuse(stream, 416, {"content-range": f"bytes */{size}", **self._always})
            return
        content_type = self._types.of(found.name)
        headers = {
            ":status": "200",
            "content-type": content_type,
            "content-length": str(size),
            **current.fields,
            "accept-ranges": "bytes",
            "x-content-type-options": "nosniff",
            **self._always,
        }
        if found.coding:
            headers["content-encoding"] = found.coding
        parts: list[bytes | tuple[int, int]] = [(0, size)]
        if spans is not None:
            headers[":status"] = "206"
            if len(spans) == 1:
                (span,) = spans
                headers["content-range"], headers["content-length"] = span.content_range(size), str(span.length)
                parts = [(span.start, span.length)]
            else:
                several = multipart(spans, size, content_type)
                headers["content-type"], headers["content-length"] = several.content_type, str(several.length)
                parts = several.parts
        if stream.method == "HEAD" or headers["content-length"] == "0":
            await stream.respond(headers, end_stream=True)
            return
        await stream.respond(headers)
        try:
            with WholeBody(stream):
                await send_parts(stream, file, parts)
                await end_body(stream, None, end_stream=True)
        except OSError as exc:
            logger.error("reading %a failed: %s", stream.path, exc)


def _wants_all(stream: FileExchange) -> bool:
    """Whether the answer, if there is one, begins with the first byte: a GET of the whole, on no condition."""
    return stream.method == "GET" and not any(name == "range" or name.startswith("if-") for name in stream.headers)


async def _refuse(stream: FileExchange, status: int, headers: Mapping[str, str] | None = None) -> None:
    fields = {":status": str(status), **(headers or {})}
    if status == 204:
        await stream.respond(fields, end_stream=True)
        return
    fields |= {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
    await stream.respond(fields, body=f"{status} {HTTPStatus(status).phrase}\n".encode("ascii"))


def _status_of(exc: OSError, stream: FileExchange) -> int:
    if isinstance(exc, RootError):
        logger.error("%s: %s", exc.strerror, exc.filename)
        return 503
    if is_absent(exc):
        return 404
    if is_forbidden(exc):
        return 403
    logger.error("opening %a failed: %s", stream.path, exc)
    return 500
