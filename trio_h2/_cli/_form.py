"""What `get -F` says: the fields of a form, and its files."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ._errors import CommandError, UsageError, reason

if TYPE_CHECKING:
    from collections.abc import Generator

    from trio_h2 import FileContent, FilePart

_OPTION: Final = re.compile(r";[ \t]*(type|filename)=")
_STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field."""

    name: str
    value: bytes = b""
    path: str | None = None
    """The file that it is, ``-`` for stdin; ``None`` if the value is all."""
    content_type: str | None = None
    file_name: str | None = None


def parse_form(words: tuple[str, ...]) -> tuple[FormField, ...]:
    """Reads what was given to all `-F`.

    Raises:
        UsageError: one is not right.
    """
    fields = tuple(_parse(word) for word in words)
    if sum(field.path == _STDIN for field in fields) > 1:
        raise UsageError("-F NAME=@- can be read once only")
    return fields


def reads_stdin(fields: tuple[FormField, ...]) -> bool:
    """Whether a field is read from stdin."""
    return any(field.path == _STDIN for field in fields)


def _parse(word: str) -> FormField:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise UsageError(f"-F must look like NAME=VALUE or NAME=@FILE, not {word!r}")
    if not value.startswith("@"):
        return FormField(name, os.fsencode(value))
    path, *options = _OPTION.split(value[1:])
    if not path:
        raise UsageError(f"-F {name}=@: a file is missing after the @")
    named = dict(zip(options[::2], (text.strip().strip('"') for text in options[1::2]), strict=True))
    if len(named) * 2 != len(options):
        raise UsageError(f"-F {name}=@{path}: type= and filename= can be said once each")
    if "/" not in named.get("type", "a/b"):
        raise UsageError(f"-F {name}=@{path}: type= must look like image/png, not {named['type']!r}")
    return FormField(name, b"", path, named.get("type"), named.get("filename"))


@contextmanager
def opened(fields: tuple[FormField, ...]) -> Generator[list[tuple[str, FilePart]], None, None]:
    """Makes what the client sends, for one request: stdin is open meanwhile, files are opened by the client.

    Raises:
        CommandError: stdin cannot be read.
    """
    stdin = None
    if reads_stdin(fields):
        if sys.stdin is None:  # whatever Trio has opened first may have got the number 0
            raise CommandError("cannot read stdin: it is closed")
        try:
            stdin = os.fdopen(os.dup(0), "rb", buffering=0)
        except OSError as exc:
            raise CommandError(f"cannot read stdin: {reason(exc)}") from exc
    try:
        files: list[tuple[str, FilePart]] = []
        for field in fields:
            if field.path is None:
                files.append((field.name, (None, field.value)))
                continue
            content: FileContent = Path(field.path)
            name = field.file_name
            if field.path == _STDIN:
                assert stdin is not None
                content, name = stdin, name or _STDIN
            files.append((field.name, (name or os.path.basename(field.path), content, field.content_type)))
        yield files
    finally:
        if stdin is not None:
            stdin.close()
