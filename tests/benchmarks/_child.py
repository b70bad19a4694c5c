"""Runs one measurement in a process of its own: `python -P _child.py MODULE ARGUMENT…` prints its numbers as JSON.

trio_h2 is taken from PYTHONPATH, which may name an older checkout; the benchmarks are always those beside this file.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import trio_h2  # noqa: F401  # before the benchmarks' own checkout joins the module path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Measurement(Protocol):
    """A module that can be run here."""

    def measure(self, *arguments: str) -> Mapping[str, float]:
        """Measures; returns numbers by name."""


def main(arguments: Sequence[str]) -> None:
    """Runs the measurement of a module."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    module = cast("Measurement", importlib.import_module(f"tests.benchmarks.{arguments[0]}"))
    sys.stdout.write(json.dumps(module.measure(*arguments[1:])) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
