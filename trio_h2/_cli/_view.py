"""`trio-h2 view`: a web page of a trace."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from ._errors import CommandError, UsageError, one_line, reason
from ._text import print_text, write_all
from ._viewer import NoTraceError, Records, Trace, make_page

if TYPE_CHECKING:
    from ._args import ViewOptions

_STDOUT = 1
_REDACTED_NAME = "a redacted trace"
"""The name of a file may tell as much as its content."""


def view(options: ViewOptions) -> int:
    """Reads the trace and writes the page.

    Raises:
        CommandError: the trace cannot be read, or is none; the page cannot be written.
    """
    target = Path(f"{options.trace}.html" if options.output is None else options.output)
    trace = _read(options.trace, redact=options.redact)
    page = make_page(trace, _REDACTED_NAME if options.redact else Path(options.trace).name).encode(errors="replace")
    if options.output == "-":
        _write_stdout(page)
        return 0
    try:
        if target.exists() and target.samefile(options.trace):
            raise UsageError(f"the page would replace the trace: {target}")
        target.write_bytes(page)
    except OSError as exc:
        raise CommandError(f"cannot write to {target}: {reason(exc)}") from exc
    print_text(one_line(f"{target}: {trace.summary()}") + "\n")
    if options.open and not webbrowser.open(target.resolve().as_uri()):
        raise CommandError(f"no browser could be started; the page is {target}")
    return 0


def _read(path: str, *, redact: bool) -> Trace:
    try:
        with open(path, "rb") as file:
            return Trace(Records(file), redact=redact)
    except NoTraceError as exc:
        raise CommandError(f"{path} is no trace: {exc}") from exc
    except OSError as exc:
        raise CommandError(f"cannot read {path}: {reason(exc)}") from exc


def _write_stdout(page: bytes) -> None:
    try:
        write_all(_STDOUT, page)
    except OSError as exc:
        raise CommandError(f"cannot write to stdout: {reason(exc)}") from exc
