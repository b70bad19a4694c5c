"""Runs the soak: `python -m tests.soak --requests 200000 --seed 1`, or `nox -s soak`; its status is 1 if it fails."""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING

from tests.soak.run import soak

if TYPE_CHECKING:
    from collections.abc import Sequence


def tell(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000, help="how many (default: 200000)")
    parser.add_argument("--seed", type=int, default=None, help="where the randomness starts (default: anywhere)")
    options = parser.parse_args(arguments)
    seed = random.randrange(2**32) if options.seed is None else options.seed
    tell(f"seed {seed}")
    start = time.monotonic()
    try:
        seen = soak(options.requests, seed, tell).seen
    except AssertionError as exc:
        tell(f"FAILED: {exc}")
        return 1
    tell(f"{options.requests} requests in {time.monotonic() - start:.0f} s, flat: {dict(seen)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
