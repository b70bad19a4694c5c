"""Probes: when they go out, and what they find."""

from __future__ import annotations

from trio_h2._wire._tuning import PROBE_PAYLOAD, WindowTuner


def test_one_probe_at_a_time() -> None:
    tuner = WindowTuner()
    assert tuner.wants_probe(1000, 100_000, 0)
    assert not tuner.wants_probe(60_000, 100_000, 0)
    tuner.acknowledged(81_000)
    assert tuner.product == 80_000
    assert tuner.wants_probe(81_000, 100_000, 0)


def test_a_window_doubles_up_to_four_times_the_product_and_never_shrinks() -> None:
    tuner = WindowTuner()
    assert tuner.target(100_000) == 100_000
    tuner.wants_probe(0, 100_000, 0)
    tuner.acknowledged(40_000)
    assert tuner.target(60_000) == 120_000
    assert tuner.target(100_000) == 160_000
    assert tuner.target(500_000) == 500_000


def test_half_a_window_per_round_trip_is_all_that_a_full_path_shows() -> None:
    tuner = WindowTuner()
    tuner.wants_probe(50_000, 100_000, 0)
    tuner.acknowledged(100_000)  # the half that had not been given back
    assert tuner.target(100_000) == 200_000
    assert tuner.wants_probe(100_000, 200_000, 0)


def test_a_window_that_is_large_enough_is_left_alone_for_a_while() -> None:
    tuner = WindowTuner()
    tuner.wants_probe(0, 100_000, 0)
    tuner.acknowledged(20_000)
    assert tuner.target(100_000) == 100_000
    assert not tuner.wants_probe(20_000 + 16 * 20_000 - 1, 100_000, 0)
    assert tuner.wants_probe(20_000 + 16 * 20_000, 100_000, 0)


def test_an_idle_path_is_not_probed_with_every_byte() -> None:
    tuner = WindowTuner()
    tuner.wants_probe(0, 100_000, 0)
    tuner.acknowledged(0)
    assert not tuner.wants_probe(16 * 16_384 - 1, 100_000, 0)
    assert tuner.wants_probe(16 * 16_384, 100_000, 0)


def test_an_answer_without_a_question() -> None:
    tuner = WindowTuner()
    tuner.acknowledged(10**9)
    assert tuner.product == 0
    tuner.wants_probe(10**9, 100, 0)
    tuner.acknowledged(10**9 + 50)
    tuner.acknowledged(10**12)
    assert tuner.product == 50


def test_what_one_read_has_brought_was_under_way_at_once() -> None:
    """The answer has overtaken all that was permitted: nothing came between the question and it."""
    tuner = WindowTuner()
    assert tuner.wants_probe(100_000, 100_000, 100_000)
    tuner.acknowledged(100_000)
    assert tuner.product == 100_000
    assert tuner.target(100_000) == 200_000


def test_the_payload_is_a_ping() -> None:
    assert len(PROBE_PAYLOAD) == 8
