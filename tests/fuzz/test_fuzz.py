"""A bounded run of the fuzzers; `nox -s fuzz` runs them for long."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.engines import Case, FlawError, play, run, shrink
from tests.fuzz.frames import PREFACE, SETTINGS, Hostile, RawFrame, parse
from trio_h2 import Role

SEED = 20_240_917
both_roles = pytest.mark.parametrize("role", list(Role))


@both_roles
def test_hostile_bytes(role: Role) -> None:
    """The same every time, and all kinds of events and ends among them."""
    report = run(4.0, SEED, role, streams=2000)
    assert report.streams > 100
    assert len(report.ends) > 4, report
    assert len(report.events) > 9, report


@both_roles
def test_what_is_sent_depends_on_the_seed_only(role: Role) -> None:
    one, two, other = (Hostile(random.Random(seed), role, 3).connection() for seed in (1, 1, 2))
    assert one == two != other


def test_failures_shrink() -> None:
    settings = RawFrame(SETTINGS, 0, 0).pack()
    case = Case(Role.SERVER, 0, 0, (PREFACE + settings * 5, 17, settings + RawFrame(9, 0, 1).pack() + settings, 5))

    def fails(smaller: Case) -> bool:
        return play(smaller).failed is not None and b"\0\0\0\x09" in smaller.received

    small = shrink(case, fails)
    assert small.received in {PREFACE + RawFrame(9, 0, 1).pack(), RawFrame(9, 0, 1).pack()}
    assert [frame.kind for frame in parse(small.received.removeprefix(PREFACE))] == [9]


def test_flaws_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that forgets to give back credit does not pass."""
    monkeypatch.setattr("trio_h2._wire._engine.Engine.discard", lambda engine, stream_id, size: None)
    with pytest.raises(FlawError, match="nothing is held"):
        run(10.0, SEED, Role.SERVER)
