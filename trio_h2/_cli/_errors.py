"""What the user is told when a command fails: one line, and an exit code."""

from __future__ import annotations

import contextlib
import os
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


class RequestError(CommandError):
    """One request of several failed, which says nothing about the others."""


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
    error = leaf_of(exc)
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
    return f"a bug of trio-h2, shown in full by 'python -X dev -m trio_h2': {type(error).__name__}: {error}"


def is_bug(exc: BaseException) -> bool:
    """Whether an error is none of those that can be expected of a command."""
    return not isinstance(leaf_of(exc), (CommandError, OSError, KeyboardInterrupt))


def reason(error: OSError) -> str:
    """Says what the operating system said, without a file name. Trio wraps it after it has tried several addresses."""
    cause: BaseException | None = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if error.errno is None and isinstance(cause, OSError):
        return reason(cause)
    if error.errno is not None and error.errno > 0:  # those of getaddrinfo are negative
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def one_line(text: str) -> str:
    """Makes a text printable: line breaks and what else could confuse a terminal becomes visible."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def leaf_of(exc: BaseException) -> BaseException:
    """Returns the error in a group to tell of: the user's Ctrl-C, else what is described already, else the first."""
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
