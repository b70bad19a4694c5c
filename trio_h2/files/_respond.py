"""`respond_with_file` and `respond_with_fd`: one response from one file, as the caller wants its headers.

Nothing is invented here: no validators, no ranges, no type. `DirectoryHandler` does that.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

import trio

from trio_h2 import Headers, LocalProtocolError, SessionError, Stream, StreamError

from .._checks import NO_CONTENT, check_int
from ._body import WholeBody, end_body, send_span
from ._exchange import HeaderFields
from ._reading import BorrowedFile, OpenFile, open_regular

if TYPE_CHECKING:
    from trio_h2 import HeadersInput

    from ._exchange import FileExchange
    from ._reading import Source

StatCheck: TypeAlias = Callable[[os.stat_result, HeaderFields], object]
"""What looks at a file before it is sent, and may change the headers of the response."""
OnError: TypeAlias = Callable[[Exception], object]
"""What answers when a file cannot be sent."""

_LARGEST = 2**63 - 1
"""The highest offset that a system has for files."""
# The peer has left, or the exchange is closed here: no answer to any file's failure would reach anybody.
_NOBODY_THERE = (StreamError, SessionError, trio.ClosedResourceError, trio.BusyResourceError)


class HasFileno(Protocol):
    """An open file, also one of `trio.open_file`."""

    def fileno(self) -> int:
        """Its descriptor."""


@trio.lowlevel.enable_ki_protection
async def respond_with_file(
    stream: FileExchange,
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    headers: HeadersInput | int | None = None,
    *,
    stat_check: StatCheck | None = None,
    on_error: OnError | None = None,
    offset: int = 0,
    length: int | None = None,
    trailers: HeadersInput | None = None,
    end_stream: bool = True,
) -> None:
    """Answers with a regular file: opens it, sends headers with the right ``content-length``, sends it, closes it.

    In this order: arguments, open, status, regular file, *stat_check*, headers, body. The answer to HEAD is the
    headers alone. Waits for the client to take the body; no other task may send meanwhile. Cancelled: the file is
    closed; before the headers nothing was sent, after them the stream is reset with CANCEL.

    Args:
        stream: what to answer.
        path: the file; a `str` that begins with ``file:`` is a URL.
        headers: as for `trio_h2.ServerStream.respond`. ``content-length`` is always what is really sent.
        stat_check: a function or async function, called with the file's status and the headers, which it may edit.
            If it returns exactly `False`, or has responded itself, nothing more is done here.
        on_error: a function or async function, called with whatever fails before the headers are sent (but not if
            the client has left); it may respond. Without it the stream is destroyed and the error raised.
        offset: the first byte to send.
        length: send at most so many bytes; ``None``: up to the end of the file.
        trailers: sent after the body.
        end_stream: whether the response ends with the body; if not, `send_trailers` is left to the caller.

    Raises:
        TypeError, ValueError: an argument is not allowed. Nothing was done.
        LocalProtocolError: the headers were sent before, or the status is 204, 205 or 304, which have no content.
        OSError: the file cannot be opened or is not a regular file; or it could not be read to the end, also because it
            has become shorter (`TruncatedFileError`), and the stream was reset with INTERNAL_ERROR.
        StreamResetError, SessionError, trio.ClosedResourceError: as `trio_h2.ServerStream.respond`.
    """
    given = _check_arguments(stream, headers, offset, length, trailers)
    name = file_name(path)
    with OpenFile() as file:
        try:
            status = await file.open(partial(open_regular, name))
            size = max(0, status.st_size - offset)
            size = size if length is None else min(size, length)
            fields = await _edited(given, status, stat_check)
            if fields is None or stream.headers_sent:
                return
            final = _final_headers(fields, given, size)
            _check_status(final, stream)
            empty = not size and trailers is None and end_stream
            await stream.respond(final, end_stream=empty or stream.method == "HEAD")
        except _NOBODY_THERE:
            raise
        except Exception as exc:
            if on_error is None:
                stream.destroy(exc)
                raise
            await _called(on_error(exc))
            return
        if not empty and stream.method != "HEAD":
            await _send_body(stream, file, offset, size, trailers, end_stream=end_stream)


@trio.lowlevel.enable_ki_protection
async def respond_with_fd(
    stream: FileExchange,
    fd: int | HasFileno,
    headers: HeadersInput | int | None = None,
    *,
    stat_check: StatCheck | None = None,
    offset: int = 0,
    length: int | None = None,
    trailers: HeadersInput | None = None,
    end_stream: bool = True,
) -> None:
    """Answers with a file that is open already. It is not closed, and not looked at before it is read.

    It is read at positions, so its own position neither matters nor moves, and one descriptor may answer on many
    streams at once. It must stay open until this returns. Nothing needs to be told of the size: without
    ``content-length`` the body is what there is. Waits for the client to take it; no other task may send meanwhile.
    Cancelled: before the headers nothing was sent, after them the stream is reset with CANCEL.

    Args:
        stream: what to answer.
        fd: the descriptor of something with positions, or a file object.
        headers: as for `trio_h2.ServerStream.respond`. ``content-length`` is the caller's affair; if it is there,
            so many bytes are sent.
        stat_check: as for `respond_with_file`; only with it the status is asked for.
        offset: the first byte to send.
        length: send at most so many bytes; ``None``: up to the end of the file.
        trailers: sent after the body.
        end_stream: whether the response ends with the body; if not, `send_trailers` is left to the caller.

    Raises:
        TypeError, ValueError: an argument is not allowed, or the file object is closed. Nothing was done.
        LocalProtocolError: the headers were sent before, or the status is 204, 205 or 304, which have no content.
        OSError: the status is wanted, and there is none; or the file could not be read, or ends before the
            ``content-length`` (`TruncatedFileError`), and the stream was reset with INTERNAL_ERROR.
        StreamResetError, SessionError, trio.ClosedResourceError: as `trio_h2.ServerStream.respond`.
    """
    file = BorrowedFile(_descriptor(fd), fd)
    given = _check_arguments(stream, headers, offset, length, trailers)
    final = given
    if stat_check is not None:
        fields = await _edited(given, await file.status(), stat_check)
        if fields is None or stream.headers_sent:
            return
        final = _final_headers(fields, given, None)
        _check_status(final, stream)
    await stream.respond(final, end_stream=stream.method == "HEAD")
    if stream.method == "HEAD":
        return
    announced = final.get("content-length")
    if announced is not None:
        # What was announced is sent, not what the file has become since, unless `length` contradicts it.
        length = int(announced) if length is None else min(length, int(announced))
        await _send_body(stream, file, offset, length, trailers, end_stream=end_stream)
    else:
        await _send_body(stream, _Limited(file, offset, length), offset, None, trailers, end_stream=end_stream)


class _Limited:
    """A file of unknown size, of which no more than *length* bytes are wanted, though fewer are fine."""

    def __init__(self, file: Source, offset: int, length: int | None) -> None:
        self._file = file
        self._end = None if length is None else offset + length

    async def read(self, position: int, size: int) -> bytes:
        """Reads as `Source.read`."""
        if self._end is not None:
            size = min(size, self._end - position)
        if size <= 0:
            await trio.lowlevel.checkpoint()
            return b""
        return await self._file.read(position, size)


async def _send_body(
    stream: FileExchange,
    source: Source,
    offset: int,
    length: int | None,
    trailers: HeadersInput | None,
    *,
    end_stream: bool,
) -> None:
    with WholeBody(stream):
        await send_span(stream, source, offset, length)
        await end_body(stream, trailers, end_stream=end_stream)


# -- headers -----------------------------------------------------------------------------------------------------------


async def _edited(given: Headers, status: os.stat_result, stat_check: StatCheck | None) -> HeaderFields | None:
    """Lets *stat_check* edit the headers; ``None`` if it cancels."""
    fields: HeaderFields = {}
    for name in given:
        values = given.get_all(name)
        fields[name] = values[0] if len(values) == 1 else values
    if stat_check is not None and await _called(stat_check(status, fields)) is False:
        return None
    return {name.lower(): value for name, value in fields.items()}


def _final_headers(fields: HeaderFields, given: Headers, size: int | None) -> Headers:
    if size is not None:
        fields["content-length"] = str(size)
    return Headers(fields, sensitive=given.sensitive)


async def _called(result: object) -> object:
    """Waits for what a function or async function of the user's returned."""
    if isinstance(result, Awaitable):
        awaited: object = await result
        return awaited
    return result


# -- arguments ---------------------------------------------------------------------------------------------------------


def _check_arguments(
    stream: FileExchange,
    headers: HeadersInput | int | None,
    offset: int,
    length: int | None,
    trailers: HeadersInput | None,
) -> Headers:
    check_int("offset", offset, 0, _LARGEST)
    if length is not None:
        check_int("length", length, 0, _LARGEST)
    if isinstance(headers, bool):
        raise TypeError("the headers of a response, or its status, cannot be a bool")
    given = Headers({":status": headers} if isinstance(headers, int) else () if headers is None else headers)
    if trailers is not None and any(name.startswith(":") for name in Headers(trailers)):
        raise ValueError("a pseudo-header is not allowed in trailers")
    _check_status(given, stream)
    if stream.headers_sent:
        raise _misuse("the response headers have been sent already", stream)
    return given


def _check_status(headers: Headers, stream: FileExchange) -> None:
    status = headers.get(":status") or "200"
    if status.isdecimal() and int(status) in NO_CONTENT:
        raise _misuse(f"a response with status {status} has no content, so no file can be sent with it", stream)


def _misuse(reason: str, stream: FileExchange) -> LocalProtocolError:
    if isinstance(stream, Stream):
        return LocalProtocolError(reason, stream_id=stream.id, stream=stream)
    return LocalProtocolError(reason)


def _descriptor(fd: int | HasFileno) -> int:
    if isinstance(fd, bool) or not (isinstance(fd, int) or hasattr(fd, "fileno")):
        raise TypeError(f"an open file is an int or has fileno(), unlike {fd!r}")
    return fd if isinstance(fd, int) else fd.fileno()


def file_name(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str | bytes:
    """Returns the path that is meant.

    Raises:
        TypeError: it is no path.
        ValueError: no file can have it, or it is a URL of something else.
    """
    name: str | bytes = os.fspath(path)
    if isinstance(path, str) and path[:5].lower() == "file:":
        name = _name_of_url(path)
    if (b"\0" if isinstance(name, bytes) else "\0") in name:  # type: ignore[operator]  # of its own kind
        raise ValueError(f"a path has no NUL: {path!r}")
    return name


def _name_of_url(url: str) -> str:
    """RFC 8089: ``file:`` URLs name a file of this host, by an absolute path."""
    parts = urlsplit(url)
    if parts.netloc.lower() not in ("", "localhost"):
        raise ValueError(f"a file: URL names a file of this host, not of {parts.netloc!r}")
    if parts.query or parts.fragment or not parts.path.startswith("/"):
        raise ValueError(f"a file: URL has an absolute path and no query or fragment: {url!r}")
    if "%2f" in parts.path.lower():
        raise ValueError(f"an encoded slash is not allowed in a file: URL: {url!r}")
    if os.name == "nt":
        from urllib.request import url2pathname

        return url2pathname(parts.path)
    return os.fsdecode(unquote_to_bytes(parts.path))
