"""Runs every fuzzer for long: `python -m tests.fuzz --seconds 600 --seed 1`, or `nox -s fuzz`.

What fails is told with its seed and the smallest case found; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.fuzz import engines, hpack_blocks
from trio_h2 import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _suite(path: str, **environment: str) -> str:
    """Runs tests that take longer if the environment says so."""
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=0", path]
    ended = subprocess.run(command, check=False, env=os.environ | environment)
    if ended.returncode:
        raise AssertionError(f"{path} failed with {environment}")
    return f"{path}: {time.monotonic() - start:.1f} s"


def _chaos(seconds: float, seed: int) -> str:
    """Whole sessions in memory, with everything that can go wrong."""
    return _suite("tests/chaos", TRIO_H2_CHAOS_SECONDS=str(seconds), TRIO_H2_CHAOS_SEED=str(seed))


def _machines(seconds: float, seed: int) -> str:
    """Random scenarios of both ends against h2, which choose for themselves where they begin."""
    return _suite("tests/reference/test_machine.py", TRIO_H2_FUZZ_SECONDS=str(seconds))


JOBS: dict[str, Callable[[float, int], object]] = {
    "server": lambda seconds, seed: engines.run(seconds, seed, Role.SERVER),
    "client": lambda seconds, seed: engines.run(seconds, seed, Role.CLIENT),
    "hpack": hpack_blocks.run,
    "chaos": _chaos,
    "reference": _machines,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the fuzzers one after the other; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long each of them runs (default: 600)")
    parser.add_argument("--seed", type=int, default=None, help="where the randomness starts (default: anywhere)")
    parser.add_argument("--only", choices=list(JOBS), action="append", help="run this one, and others so named")
    options = parser.parse_args(arguments)
    seed = random.randrange(2**32) if options.seed is None else options.seed
    sys.stdout.write(f"seed {seed}\n")
    failed = 0
    for name in options.only or JOBS:
        sys.stdout.write(f"-- {name}\n")
        sys.stdout.flush()
        try:
            sys.stdout.write(f"{JOBS[name](options.seconds, seed)}\n")
        except AssertionError as exc:
            sys.stdout.write(f"{exc}\nFAILED: {name}, seed {seed}\n")
            failed += 1
        sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
