"""The parts of a ``multipart/form-data`` body, as they come: python-multipart parses, this keeps the bounds."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from trio_h2 import Headers

from .._util import construct
from ._errors import HTTPError
from ._spool import Spool, SpoolMemory
from ._upload import UploadedFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from python_multipart.multipart import MultipartCallbacks

    Step: TypeAlias = "PartBegan | PartEnded | bytes"

SPOOL_MEMORY: Final = 1024 * 1024
"""Bytes that the files of one form have in memory together; the rest is in temporary files."""

_SILENT: Final = logging.Logger("trio_h2.compat", logging.CRITICAL + 1)
"""The parser warns of each malformed form: a client must not fill the log."""


# RFC 9110 §5.6.6: parameters = *( OWS ";" OWS [ parameter ] ), whose values are tokens or quoted strings.
_parameters = re.compile(r';[ \t]*([^;="\s]*)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"]*)').finditer
# RFC 8187 §3.2.1: ext-value = charset "'" [ language ] "'" value-chars
_extended = re.compile(r"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE | re.DOTALL).fullmatch


def _extended_filename(disposition: str) -> str | None:
    """Returns the ``filename*`` of a ``content-disposition``; ``None`` without one.

    RFC 7578 §4.2 says that it is not to be used in forms. Some clients do for names beyond ASCII, with nothing beside
    it: the part is a file all the same.

    Raises:
        HTTPError: 400, it is malformed, or in a charset that is not known.
        UnicodeDecodeError: it is not in its charset.
    """
    for name, value in (match.groups() for match in _parameters(disposition)):
        if name.lower() == "filename*":
            match = _extended(value.strip(' \t"'))
            if match is None:
                raise HTTPError(400, "the filename* of a part of the form is malformed, or in an unknown charset\n")
            return unquote_to_bytes(match[2]).decode(match[1])
    return None


class PartBegan:
    """A part begins, with these header fields."""

    __slots__ = ("filename", "headers", "name")

    def __init__(self, name: str, filename: str | None, headers: Headers) -> None:
        self.name = name
        self.filename = filename
        self.headers = headers


class PartEnded:
    """A part ends."""

    __slots__ = ()


class PartParser:
    """Bytes in, steps out; does nothing else.

    Raises:
        ImportError: python-multipart is not installed.
    """

    def __init__(self, boundary: bytes, *, max_parts: int) -> None:
        try:
            from python_multipart import MultipartParser
            from python_multipart.exceptions import FormParserError
            from python_multipart.multipart import parse_options_header
        except ImportError as exc:
            raise ImportError("forms with files need python-multipart: install trio-h2[forms]") from exc
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)
        self._parser.logger = _SILENT
        self._error = FormParserError
        self._options = parse_options_header
        self._max_parts = max_parts
        self._parts = 0
        self._field = b""
        self._value = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._steps: list[Step] = []
        self._whole = False

    def feed(self, data: bytes) -> list[Step]:
        """Returns what *data* brings.

        Raises:
            HTTPError: 400, it breaks the rules of RFC 7578; 413, there are too many parts.
        """
        try:
            self._parser.write(data)
        except self._error as exc:
            raise HTTPError(400, f"the form is malformed: {exc}\n") from exc
        steps, self._steps = self._steps, []
        return steps

    def finish(self) -> None:
        """The body has ended.

        Raises:
            HTTPError: 400, its last boundary is missing.
        """
        if not self._whole:
            raise HTTPError(400, "the form is cut: its last boundary is missing\n")

    # -- called by the parser --------------------------------------------------------------------------------------

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > self._max_parts:
            raise HTTPError(413, f"the form has more than {self._max_parts} parts\n")
        self._fields = []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._fields.append((self._field, self._value.strip(b" \t")))
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        try:
            headers = Headers(self._fields)
        except ValueError as exc:
            raise HTTPError(400, f"a part of the form is malformed: {exc}\n") from exc
        kind, options = self._options(headers.get("content-disposition"))
        name = options.get(b"name")
        # RFC 7578 §4.2: "The Content-Disposition header field MUST also contain an additional parameter of 'name'".
        if kind != b"form-data" or name is None:
            raise HTTPError(400, "a part of the form has no content-disposition with a name\n")
        filename = options.get(b"filename")
        try:
            if filename is None:
                told = _extended_filename(headers.get("content-disposition") or "")
            else:
                told = filename.decode()
            self._steps.append(PartBegan(name.decode(), told, headers))
        except UnicodeDecodeError as exc:
            raise HTTPError(400, "a name in the form is not in UTF-8\n") from exc

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._steps.append(data[start:end])

    def _part_end(self) -> None:
        self._steps.append(PartEnded())

    def _end(self) -> None:
        self._whole = True


class FormReader:
    """Makes fields and files of the parts. What a file is in is given to *keep*, which closes it, whole or not."""

    def __init__(self, parser: PartParser, keep: Callable[[Spool], object], *, max_text: int, max_files: int) -> None:
        self._parser = parser
        self._keep = keep
        self._max_text = max_text
        self._max_files = max_files
        self._text = 0
        self._memory = SpoolMemory(SPOOL_MEMORY)
        self._value = bytearray()
        self._name = ""
        self._spool: Spool | None = None
        self.fields: list[tuple[str, str]] = []
        self.files: list[UploadedFile] = []

    async def feed(self, data: bytes) -> None:
        """Takes bytes of the body; waits for the disk.

        Raises:
            HTTPError: 400 or 413.
            OSError: a temporary file cannot be written.
        """
        for step in self._parser.feed(data):
            if isinstance(step, bytes):
                if self._spool is not None:
                    await self._spool.append(step)
                else:
                    self._count_text(len(step))
                    self._value += step
            elif isinstance(step, PartBegan):
                self._begin(step)
            elif self._spool is not None:
                await self._spool.rewind()
                self._spool = None
            else:
                self._end_field()

    def finish(self) -> None:
        """The body has ended.

        Raises:
            HTTPError: 400, it is cut.
        """
        self._parser.finish()

    def _begin(self, part: PartBegan) -> None:
        if part.filename is None:
            self._count_text(len(part.name))
            self._name = part.name
            return
        if len(self.files) >= self._max_files:
            raise HTTPError(413, f"the form has more than {self._max_files} files\n")
        self._spool = Spool(self._memory)
        self._keep(self._spool)
        self.files.append(construct(UploadedFile, part.name, part.filename, part.headers, self._spool))

    def _count_text(self, size: int) -> None:
        self._text += size
        if self._text > self._max_text:
            raise HTTPError(413, f"the form has more than {self._max_text} bytes of text\n")

    def _end_field(self) -> None:
        try:
            self.fields.append((self._name, self._value.decode()))
        except UnicodeDecodeError as exc:
            raise HTTPError(400, f"the field {self._name[:64]!a} of the form is not in UTF-8\n") from exc
        self._value.clear()
