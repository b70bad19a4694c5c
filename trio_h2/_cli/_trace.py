"""`--trace FILE`: what happens on the sessions of a command, as a file that `trio-h2 view` shows."""

from __future__ import annotations

import os
from pathlib import Path

from trio_h2.instruments import QlogTrace

from ._errors import CommandError, reason


def open_trace(path: str, title: str) -> QlogTrace:
    """Makes the file.

    Raises:
        CommandError: it cannot be made.
    """
    try:
        return QlogTrace(path, title=title)
    except OSError as exc:
        raise CommandError(f"cannot write the trace {path}: {reason(exc)}") from exc


def trace_of_worker(path: str | None) -> str | None:
    """Returns where this process writes if several do: ``trace.1234.sqlog`` for ``trace.sqlog``, with its number."""
    if path is None:
        return None
    whole = Path(path)
    return str(whole.with_name(f"{whole.stem}.{os.getpid()}{whole.suffix}"))
