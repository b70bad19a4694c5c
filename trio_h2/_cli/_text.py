"""Writing at once, and without Trio, which ``--help`` and `view` need not wait for."""

from __future__ import annotations

import os
import select
import sys

from ._errors import CommandError, reason


def print_text(text: str) -> None:
    """Prints to stdout at once. For the few words of a command; bodies go through `Output`.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.write(text)
            sys.stdout.flush()
    except OSError as exc:
        raise CommandError(f"cannot write to stdout: {reason(exc)}") from exc


def write_all(fd: int, data: bytes) -> None:
    """Writes all of *data*; blocks."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:  # whoever shares this terminal or pipe with us has made it non-blocking
            select.select([], [fd], [])
