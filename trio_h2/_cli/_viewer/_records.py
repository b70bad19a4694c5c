"""The records of a trace file: a JSON text sequence (RFC 7464) with a qlog header."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

from ._fields import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_SEPARATOR = b"\x1e"
_CHUNK = 256 * 1024
_MAX_RECORD = 4 * 1024 * 1024
"""No record of ours comes near it, and a file without separators is not read into memory."""


class NoTraceError(Exception):
    """The file is no trace."""


class Records:
    """Reads a trace, once, a piece at a time. What cannot be read is left out and counted.

    Args:
        file: the trace, at its beginning.

    Raises:
        NoTraceError: it does not begin as a trace does.
        OSError: it cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.damaged = 0
        """How many records in the middle could not be read."""
        self.cut = False
        """Whether the last record is not whole: the program was killed while it wrote."""
        self._pieces = self._split()
        first = next(self._pieces, b"")
        if first is None or first.strip():
            raise NoTraceError("a trace begins with the byte 1E of a JSON text sequence (RFC 7464)")
        self.header = self._header()

    def __iter__(self) -> Iterator[Fields]:
        """Yields the events."""
        bad = False
        for piece in self._pieces:
            if piece is not None and not piece.strip():  # separators in a row count as one
                continue
            if bad:
                self.damaged += 1
            event = None if piece is None else _parse(piece)
            bad = event is None
            if event is not None:
                yield event
        self.cut = bad

    def _header(self) -> Fields:
        piece = next(self._pieces, None)
        header = None if piece is None else _parse(piece)
        if header is None or not (header.has("file_schema") and header.has("trace")):
            raise NoTraceError("its first record is not the header of a sequential qlog file")
        return header

    def _split(self) -> Iterator[bytes | None]:
        """Yields what stands before, between and after the separators; `None` for what is too long."""
        rest = b""
        too_long = False
        while chunk := self._file.read(_CHUNK):
            *whole, rest = (rest + chunk).split(_SEPARATOR)
            for piece in whole:
                yield None if too_long else piece
                too_long = False
            if len(rest) > _MAX_RECORD:
                rest, too_long = b"", True
        yield None if too_long else rest


def _parse(piece: bytes) -> Fields | None:
    try:
        value: object = _decode(piece.decode())
    except (ValueError, RecursionError):  # no JSON, no UTF-8, numbers of too many digits; nested too deeply
        return None
    return Fields(value) if isinstance(value, dict) else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode
