"""Forms with files: ``multipart/form-data`` (RFC 7578), whose files are read while it is sent."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from .. import Headers
from .._checks import bytes_of
from ._file_body import FileBody, file_of
from ._stored_body import StoredBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ._outgoing import Files, Params

# https://html.spec.whatwg.org/#multipart-form-data: these "escape" sequences and no others, whatever RFC 7578 §2 leaves
# open; names are UTF-8.
_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
_SAID: Final = (b"content-disposition", b"content-type")


def multipart(data: Params | None, files: Files) -> tuple[bytes | Multipart, str]:
    """Returns the body of a form, and its content type.

    Args:
        data: its other fields.
        files: its files.

    Raises:
        TypeError, ValueError: something is not what it can be.
    """
    body = Multipart()
    for name, value in _pairs("data", data or ()):
        body.add_field(name, value)
    for name, part in _pairs("files", files):
        body.add_file(name, part)
    body.end()
    return body.content or body, f"multipart/form-data; boundary={body.boundary}"


def _pairs(what: str, given: object) -> Iterator[tuple[str, object]]:
    """Yields the names and values of fields; a list of values repeats its name."""
    items = list(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(items, (list, tuple)):
        raise TypeError(f"{what} must be a mapping or a list of pairs, not {given!r}")
    for item in items:
        if not (isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str)):
            raise TypeError(f"{what} must have pairs of a name and a value, not {item!r}")
        name, value = item
        if isinstance(value, list) or (what == "data" and isinstance(value, tuple)):
            for one in value:
                yield name, one
        else:
            yield name, value


class Multipart(StoredBody):
    """A form whose files are read while it is sent."""

    def __init__(self) -> None:
        self.boundary: str = secrets.token_hex(16)
        self._segments: list[bytes | FileBody] = []
        self._joined: list[bytes] = []
        """Bytes that follow the last segment."""

    @property
    def content(self) -> bytes | None:
        """All of it, if no file is to be read."""
        [segment, *others] = self._segments
        return segment if isinstance(segment, bytes) and not others else None

    def add_field(self, name: str, value: object) -> None:
        """Adds a field that is no file."""
        content = bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else str(value).encode()
        self._add(_disposition(name, None), None, [], content)

    def add_file(self, name: str, part: object) -> None:
        """Adds a file, as `FilePart` has it."""
        file_name, content_type, fields = None, None, None
        if isinstance(part, tuple):
            if not 2 <= len(part) <= 4:
                raise ValueError(f"a file must be (name, content[, type[, headers]]), not {len(part)} things")
            file_name, part, content_type, fields = (*part, None, None)[:4]
            content = _content(name, part)
        else:
            content = _content(name, part)
            file_name = (content.name if isinstance(content, FileBody) else "") or name
        for what, thing in (("name", file_name), ("content type", content_type)):
            if not (thing is None or isinstance(thing, str)):
                raise TypeError(f"the {what} of a file must be a str, not {thing!r}")
        if file_name is not None and content_type is None:
            # RFC 7578 §4.4: "If the contents of a file are unknown, [it] SHOULD be 'application/octet-stream'".
            content_type = mimetypes.guess_type(file_name)[0] or "application/octet-stream"
        self._add(_disposition(name, file_name), content_type, Headers(fields or ()).raw, content)

    def _add(
        self, disposition: bytes, content_type: str | None, fields: list[tuple[bytes, bytes]], content: bytes | FileBody
    ) -> None:
        head = [b"--%b\r\nContent-Disposition: %b\r\n" % (self.boundary.encode(), disposition)]
        if content_type is not None:
            [field] = Headers({"content-type": content_type}).raw  # which checks it
            head.append(b"Content-Type: %b\r\n" % field[1])
        for name, value in fields:
            if name in _SAID:
                raise ValueError(f"the headers of a part do not say {name.decode()}: its name and type do")
            head.append(b"%b: %b\r\n" % (name.title(), value))
        self._joined += [*head, b"\r\n"]
        if isinstance(content, bytes):
            self._joined.append(content)
        else:
            self._segments += [b"".join(self._joined), content]
            self._joined = []
        self._joined.append(b"\r\n")

    def end(self) -> None:
        """Adds the last boundary."""
        self._segments.append(b"".join([*self._joined, b"--%b--\r\n" % self.boundary.encode()]))

    # -- as the body of a request ----------------------------------------------------------------------------------

    @property
    def replayable(self) -> bool:
        """Whether all files can be read again."""
        return all(isinstance(segment, bytes) or segment.replayable for segment in self._segments)

    async def open(self) -> int | None:
        """Opens all files; returns how long the form is, if that is known."""
        known: int | None = 0
        for segment in self._segments:
            size = len(segment) if isinstance(segment, bytes) else await segment.open()
            known = None if size is None or known is None else known + size
        return known

    def pieces(self) -> AsyncIterator[bytes]:
        """Returns the form piece by piece, from its beginning."""
        return _Pieces(self._segments)

    async def close(self) -> None:
        """Closes the files that were opened for it."""
        for segment in self._segments:
            if isinstance(segment, FileBody):
                await segment.close()


class _Pieces:
    """A form, piece by piece."""

    def __init__(self, segments: list[bytes | FileBody]) -> None:
        self._segments = iter(segments)
        self._file: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Returns the next piece."""
        while True:
            if self._file is not None:
                try:
                    return await anext(self._file)
                except StopAsyncIteration:
                    self._file = None
            segment = next(self._segments, None)
            if segment is None:
                raise StopAsyncIteration
            if isinstance(segment, bytes):
                return segment
            self._file = segment.pieces()


def _disposition(name: str, file_name: str | None) -> bytes:
    said = f'form-data; name="{name.translate(_ESCAPES)}"'
    if file_name is not None:
        said += f'; filename="{file_name.translate(_ESCAPES)}"'
    return said.encode("utf-8", "surrogateescape")  # as the file system has it, if that is no UTF-8


def _content(name: str, content: object) -> bytes | FileBody:
    if isinstance(content, str):
        return content.encode()
    return file_of(content) or bytes_of(f"the file {name!r} of a form", content)
