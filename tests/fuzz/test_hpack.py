"""A short run of the comparison with hpack; `nox -s fuzz` and TRIO_H2_FUZZ_SECONDS make it longer."""

from __future__ import annotations

import os
import random
import sys

import pytest

from tests.fuzz.hpack_blocks import run

SECONDS = float(os.environ.get("TRIO_H2_FUZZ_SECONDS", "0"))


@pytest.mark.timeout(60 + 2 * SECONDS)
@pytest.mark.parametrize("seed", [7541, 9113])
def test_field_blocks_against_hpack(seed: int) -> None:
    """The same blocks each time, unless more time is given."""
    if SECONDS:
        seed = random.SystemRandom().getrandbits(32)
        report = run(SECONDS / 2, seed)
        sys.stdout.write(f"{report}\n")
    else:
        report = run(5.0, seed, max_blocks=8000)
        assert report.blocks >= 500  # however slow the machine is
    assert report.counts["accepted"] > report.blocks // 2
    assert report.counts["refused"] > 0
    assert report.counts["too large"] > 0
