"""What the values of options may be, wherever they are written: on the command line, in a variable, in a file."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ._binds import parse_bind, parse_descriptor, parse_unix

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_T_co = TypeVar("_T_co", covariant=True)


@dataclass(frozen=True)
class Kind(Generic[_T_co]):
    """One kind of value. argparse calls it with the text of an argument."""

    read: Callable[[str], _T_co]
    """Raises `ValueError` with what to say."""
    numeric: bool = False
    """Whether files have a number in this place."""
    absolute: Callable[[str, str], str] | None = None
    """Makes a text that begins with a path independent of the current directory, beginning at the directory that comes
    first; ``None`` if there is no path in it."""

    def __call__(self, text: str) -> _T_co:
        try:
            return self.read(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc


def whole(least: int, most: int) -> Kind[int]:
    """Returns the kind of a whole number in a range."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
            raise ValueError(f"must be a number from {least} to {most}, not {text!r}")
        return int(text)

    return Kind(read, numeric=True)


def seconds(most: float) -> Kind[float]:
    """Returns the kind of a time, in seconds, which need not be whole."""

    def read(text: str) -> float:
        if not _SECONDS.fullmatch(text) or not float(text) <= most:
            raise ValueError(f"must be a number of seconds from 0 to {most:g}, not {text!r}")
        return float(text)

    return Kind(read, numeric=True)


def _absolute_app(directory: str, text: str) -> str:
    where, colon, name = text.rpartition(":")
    return f"{os.path.join(directory, where)}{colon}{name}" if where.endswith(".py") else text


TEXT = Kind(str)
FILE = Kind(str, absolute=os.path.join)
APP = Kind(str, absolute=_absolute_app)
"""``FILE.py:NAME`` or ``MODULE:NAME``."""
BIND = Kind(parse_bind)
UNIX = Kind(parse_unix, absolute=os.path.join)
DESCRIPTOR = Kind(parse_descriptor, numeric=True)
