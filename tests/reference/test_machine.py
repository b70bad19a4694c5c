"""Random exchanges against the reference peer: few and always the same here, many with TRIO_H2_FUZZ_SECONDS."""

from __future__ import annotations

import os
import time

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.reference import machine

SECONDS = float(os.environ.get("TRIO_H2_FUZZ_SECONDS", "0"))
EXAMPLES = 40

shared = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def play(ours: str, how: settings) -> None:
    """Runs the machine with some choices of hypothesis; it shrinks what fails and prints the steps."""

    @how
    @given(st.data())
    def example(data: st.DataObject) -> None:
        trio.run(machine.run, data, ours, clock=MockClock(autojump_threshold=0))

    example()


@pytest.mark.parametrize("ours", ["server", "client"])
def test_random_exchanges(ours: str) -> None:
    play(ours, settings(shared, max_examples=EXAMPLES, derandomize=True))


@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.parametrize("ours", ["server", "client"])
def test_random_exchanges_for_long(ours: str) -> None:
    """Without the variable it is over after one example that nobody has chosen."""
    end = time.monotonic() + SECONDS / 2
    phases = (Phase.generate, Phase.shrink)
    while True:
        play(ours, settings(shared, max_examples=200 if SECONDS else 1, phases=phases))
        if time.monotonic() >= end:
            return
