"""The parser of the command line, and of each command."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from ._errors import USAGE, one_line
from ._text import print_text

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class Parser(argparse.ArgumentParser):
    """Complains in one line; does not hide that its help could not be written."""

    def arguments(self) -> list[argparse.Action]:
        """Returns all arguments and options, in the order in which they were added; ``--help`` is one."""
        return list(self._actions)

    def rivals(self, action: argparse.Action) -> list[argparse.Action]:
        """Returns the options that an option excludes."""
        for group in self._mutually_exclusive_groups:
            if action in group._group_actions:
                return [other for other in group._group_actions if other is not action]
        return []

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if file is sys.stdout:
            print_text(message)
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        if sys.stderr is not None:
            self._print_message(one_line(f"trio-h2: {message} (see '{self.prog} --help')") + "\n", sys.stderr)
        sys.exit(USAGE)
