"""Measurements in processes of their own: the versions in turn, and the smallest value of several rounds."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.benchmarks._options import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.benchmarks._options import Options, Version

_PROGRAM = HERE / "_child.py"
_SECONDS = 1800


def run(
    version: Version, module: str, *arguments: str, under: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Runs `measure` of a benchmark module once, with this version of trio_h2.

    Args:
        version: The version of trio_h2.
        module: The name of the module, without its package.
        arguments: What its `measure` is called with.
        under: A program, with options, that runs Python.
        env: Environment variables to add.
    """
    command = [*under, *version.command(_PROGRAM, module, *arguments)]
    done = subprocess.run(
        command, env={**version.env, **(env or {})}, stdout=subprocess.PIPE, text=True, timeout=_SECONDS, check=True
    )
    numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def smallest(options: Options, rounds: int, module: str, *arguments: str) -> dict[str, dict[str, float]]:
    """Runs all versions in turn, *rounds* times.

    Returns:
        For each version, the smallest value of each number.
    """
    found: dict[str, dict[str, float]] = {version.who: {} for version in options.versions}
    for _ in range(rounds):
        for version in options.versions:
            least = found[version.who]
            for name, value in run(version, module, *arguments).items():
                least[name] = min(value, least.get(name, value))
    return found
