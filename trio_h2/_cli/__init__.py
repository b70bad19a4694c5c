"""The command line: `trio-h2 serve`, `gateway`, `get`, `proxy`, `view` and `demo`; also `python -m trio_h2`.

Every failure ends here, as one line on stderr and an exit code; a traceback is for bugs in an app that is served.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from ._args import DemoOptions, GetOptions, ProxyOptions, ServeOptions, ViewOptions, parse
from ._errors import is_bug, report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Unpack

    from ._args import Options

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments, without the name of the program; by default those of this process.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 22 for `get --fail` and a status of 400 or more, 128 + the
        number of the signal that ended it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does; not every terminal knows every sign
    try:
        code = _run(parse(sys.argv[1:] if argv is None else argv))
    except SystemExit as exc:  # argparse, after --help and --version
        code = exc.code if isinstance(exc.code, int) else 0
    except BaseException as exc:
        if sys.flags.dev_mode and is_bug(exc):
            raise
        code = report(exc)
    return _flush(code)


def _run(options: Options) -> int:
    """Runs a command. What it is made of is imported only now, and `--help` answers at once."""
    match options:
        case ViewOptions():
            from ._view import view

            return view(options)
        case ServeOptions(workers=int(workers)):
            from ._workers import serve_with_workers

            return _in_trio(serve_with_workers, options, workers)
        case ServeOptions(reload=True):
            from ._workers import serve_with_workers

            return _in_trio(serve_with_workers, options, 1)
        case ServeOptions():
            from ._serve import prepare, serve

            # Outside of Trio: loading an app runs whatever its author wrote on the top level of the file.
            return _in_trio(serve, prepare(options))
        case ProxyOptions():
            from ._proxy import prepare_proxy
            from ._serve import serve

            return _in_trio(serve, prepare_proxy(options))
        case GetOptions():
            from ._get import get

            return _interruptible(get, options)
        case DemoOptions():
            from ._demo import demo

            return _interruptible(demo, options)


def _interruptible(command: Callable[[_T], Awaitable[int]], options: _T) -> int:
    from ._interrupt import interruptible

    # The failures of these commands are told in one line, to which the library's log has nothing to add; without any
    # handler, Python would write warnings to stderr.
    logging.basicConfig(handlers=[logging.NullHandler()])
    return _in_trio(interruptible, command, options)


def _in_trio(command: Callable[[Unpack[_Ts]], Awaitable[int]], *args: *_Ts) -> int:
    import trio

    return trio.run(command, *args)


def _flush(code: int) -> int:
    """Flushes stdout while an error can still be told; Python would do it at its end, with a traceback."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as exc:
        code = report(exc, doing="cannot write to stdout") if code == 0 else code
        # What is still buffered is lost. Nobody must try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code
