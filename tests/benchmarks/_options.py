"""What a benchmark module is told."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks._result import BEFORE, OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of trio_h2 that is measured."""

    who: str
    """`OURS` or `BEFORE`."""
    root: Path
    """The checkout, which is put first on the module path."""

    @property
    def env(self) -> dict[str, str]:
        """The environment of a Python program that is to use this version."""
        return {**os.environ, "PYTHONPATH": os.fspath(self.root)}

    def command(self, program: Path, *arguments: str) -> list[str]:
        """Returns the command that runs a Python program; -P keeps its folder off the module path."""
        return [sys.executable, "-P", os.fspath(program), *arguments]


@dataclass(frozen=True, slots=True)
class Options:
    """What a benchmark module is told."""

    versions: tuple[Version, ...]
    """The versions of trio_h2 to measure, alternating: ours, and with `--against` the one before."""
    quick: bool = False
    """A rough look: fewer rounds, less of everything."""


def note(text: str) -> None:
    """Tells the user what happens, or what is left out."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def versions(against: str | None) -> Iterator[tuple[Version, ...]]:
    """Yields this checkout, and the commit *against* as a checkout that is gone when the block is left."""
    ours = Version(OURS, ROOT)
    if against is None:
        yield (ours,)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        checkout = Path(folder, "before")
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", os.fspath(checkout), against], cwd=ROOT, check=True
        )
        try:
            yield (ours, Version(BEFORE, checkout))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", os.fspath(checkout)], cwd=ROOT, check=True)
