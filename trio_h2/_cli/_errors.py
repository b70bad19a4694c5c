"""What the user is told when a command fails: one line, and an exit code."""

from __future__ import annotations

import contextlib
import signal
import sys

FAILED = 1
USAGE = 2
STATUS = 22
"""`get --fail` and a status of 400 or more; the same as curl's."""
INTERRUPTED = 128 + signal.SIGINT


class CommandError(Exception):
    """A failure that is described for the user.

    Args:
        message: one sentence, without a full stop.
        code: the exit code.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CommandError):
    """What was asked for cannot be meant: a bad option, URL, header or app."""

    def __init__(self, message: str) -> None:
        super().__init__(message, USAGE)


def report(exc: BaseException, *, doing: str = "") -> int:
    """Tells the user on stderr, in one line, why a command failed.

    Args:
        exc: what was raised, perhaps an exception group.
        doing: what was being done, for errors that don't say it themselves.

    Returns:
        The exit code.
    """
    error = _leaf(exc)
    line = one_line(f"{doing}: {describe(error)}" if doing else describe(error))
    # Nobody can be told that stderr is closed.
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(f"trio-h2: {line}\n")
            sys.stderr.flush()
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.code if isinstance(error, CommandError) else FAILED


def describe(error: BaseException) -> str:
    """Puts an error into words, without its traceback. May have line breaks, see `one_line`."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename is not None else error.strerror
    if isinstance(error, (CommandError, OSError)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"


def reason(error: OSError) -> str:
    """Says what the operating system said, without a file name. Trio wraps it after it has tried several addresses."""
    cause: BaseException | None = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if error.errno is None and isinstance(cause, OSError):
        error = cause
    return error.strerror or str(error) or type(error).__name__


def one_line(text: str) -> str:
    """Makes a text printable: line breaks and what else could confuse a terminal becomes visible."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _leaf(exc: BaseException) -> BaseException:
    """Returns the one error to tell of: the user's Ctrl-C, else what is described already, else the first."""
    leaves = list(_leaves(exc))
    for kind in (KeyboardInterrupt, CommandError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _leaves(exc: BaseException) -> list[BaseException]:
    if not isinstance(exc, BaseExceptionGroup):
        return [exc]
    return [leaf for member in exc.exceptions for leaf in _leaves(member)]
