"""Whole sessions in which everything goes wrong at once, over and over; `nox -s fuzz` runs them for long.

TRIO_H2_CHAOS_SECONDS and TRIO_H2_CHAOS_SEED say how long, and where the randomness starts.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from itertools import count

import pytest

from tests.chaos.world import ROUNDS, live

SECONDS = float(os.environ.get("TRIO_H2_CHAOS_SECONDS", "15"))
SEED = int(os.environ.get("TRIO_H2_CHAOS_SEED", "20240917"))
WORLDS = 400 if SECONDS <= 15 else None
"""How many there are at most; the suite runs the same ones every time."""


@pytest.mark.timeout(0 if SECONDS > 15 else 120)
def test_everything_at_once() -> None:
    failures: list[tuple[str, BaseException]] = []
    seen: Counter[str] = Counter()
    start = time.monotonic()
    worlds = 0
    for number in count():
        if time.monotonic() - start > SECONDS or number == WORLDS:
            break
        name = f"{SEED}/{number}"
        try:
            seen.update(live(name).seen)
        except Exception as exc:
            failures.append((name, exc))
        worlds += 1
    summary = f"{worlds} worlds with {worlds * ROUNDS} rounds in {time.monotonic() - start:.1f} s: {dict(seen)}"
    if failures:
        names = ", ".join(name for name, _ in failures[:20])
        raise AssertionError(f"{len(failures)} of {summary}; live(name) with {names}") from failures[0][1]
    assert worlds > 10, summary
    assert seen["StreamRefusedError"] < seen["came through"], summary
    if worlds > 100:  # a busy machine has time for less
        kinds = (
            "came through",
            "cancelled",
            "stall",
            "block",
            "end",
            "change_windows",
            "change_tables",
            "change_streams",
        )
        assert min(seen[kind] for kind in kinds) > 10, summary
