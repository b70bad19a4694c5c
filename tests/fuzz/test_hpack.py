"""A short run of the comparison with hpack; `nox -s fuzz` and TRIO_H2_FUZZ_SECONDS make it longer."""

from __future__ import annotations

import os
import random
import sys

import hpack
import pytest

from tests.fuzz.hpack_blocks import run
from trio_h2._wire._hpack import Decoder, HpackError

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
        report = run(4.0, seed, max_blocks=8000)
        assert report.blocks >= 500  # however slow the machine is
    assert report.counts["accepted"] > report.blocks // 2
    assert report.counts["refused"] > 0
    assert report.counts["too large"] > 0


def test_the_first_known_difference() -> None:
    """hpack's encoder sends one size update for each change, and its decoder takes as many as come; we take 16."""
    encoder = hpack.Encoder()
    for size in (*range(100, 116), 4096):
        encoder.header_table_size = size
    block = encoder.encode([(b":method", b"GET")])
    assert hpack.Decoder().decode(block, raw=True) == [(b":method", b"GET")]
    with pytest.raises(HpackError):
        Decoder().decode(block)


def test_the_second_known_difference() -> None:
    """Both refuse a block that does not confirm a lower table size; if it is too large as well, hpack says that."""
    theirs = hpack.Decoder(10)
    theirs.max_allowed_table_size = 100
    with pytest.raises(hpack.OversizedHeaderListError):
        theirs.decode(b"\x82")
    with pytest.raises(HpackError) as caught:
        Decoder(100, 10).decode(b"\x82")
    assert type(caught.value) is HpackError
