"""Each measurement in memory works on a small round; what it says is not looked at, only that it says something."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import (
    _child,
    _children,
    _recorded,
    bench_import,
    bench_instructions,
    bench_memory,
    bench_path,
    bench_scaling,
    journeys,
)
from tests.benchmarks._options import ROOT, Options, Version
from tests.benchmarks._result import OURS
from tests.benchmarks._scenarios import BY_NAME, REQUESTS

HERE = Version(OURS, ROOT)
OPTIONS = Options((HERE,), quick=True)


@pytest.mark.parametrize("name", [name for name, one in BY_NAME.items() if one.concurrency != 100])
def test_scenarios_measure_cpu_time(name: str) -> None:
    found = BY_NAME[name].run(warm=20, count=20)
    assert found["us"] > 0
    assert found["writes"] > 0


def test_requests_at_once_share_their_transport_writes() -> None:
    """What arrives in one read is answered in one write."""
    (scenario,) = (one for one in REQUESTS if one.name == "server, small, 100 at once")
    assert scenario.run(warm=200, count=200)["writes"] < 0.05


@pytest.mark.parametrize("header_set", _recorded.SETS)
def test_recorded_requests_differ_only_where_they_should(header_set: str) -> None:
    _, *blocks = [request[9:] for request in _recorded.requests(header_set, 4)]
    assert len(set(blocks)) == (3 if header_set == "every path different" else 1)


def test_memory_is_measured() -> None:
    numbers = bench_memory.measure("traced", "10", "10")
    assert set(numbers) == {"idle", "used", "open"}
    assert min(numbers.values()) > 0


def test_open_streams_are_kept_open_while_others_are_measured() -> None:
    assert bench_scaling.measure("open", "2", "10", "40")["us"] > 0


def test_many_requests_are_measured_first_and_last() -> None:
    numbers = bench_scaling.measure("many", "3000")
    assert min(numbers["first"], numbers["last"]) > 0


def test_small_request_takes_one_round_trip() -> None:
    numbers = bench_path.measure("100000")
    assert numbers["small"] == pytest.approx(0.05)
    assert numbers["download"] >= numbers["small"] - 1e-9


def test_journeys_are_counted() -> None:
    for name, journey in journeys.count().items():
        assert journey.calls == len(journey.names) > 5, name
        assert 1 < len(journey.files) <= journey.calls
    assert sys.getprofile() is None


def test_import_is_measured_in_a_new_process() -> None:
    found = bench_import.once(HERE)
    assert 0 < found["beyond"] < found["total"]


def test_child_measures_the_checkout_on_the_module_path(tmp_path: Path) -> None:
    """The benchmarks beside the child measure whatever trio_h2 it is given."""
    (tmp_path / "trio_h2").mkdir()
    (tmp_path / "trio_h2" / "__init__.py").write_text("raise ImportError('the other one')\n")
    command = Version("another", tmp_path)
    done = subprocess.run(
        command.command(Path(_child.__file__), "journeys"), env=command.env, capture_output=True, text=True, check=False
    )
    assert "the other one" in done.stderr
    assert _children.run(HERE, "bench_path", "1000")["small"] == pytest.approx(0.05)


def test_smallest_value_of_the_rounds_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(_children, "run", lambda *_: {"us": next(values)})
    assert _children.smallest(OPTIONS, 3, "bench_cpu") == {OURS: {"us": 1.0}}


def test_instructions_are_the_difference_of_two_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(version: Version, module: str, short: str, long: str, *names: str, under: list[str], **_: object) -> object:
        folder = Path(under[-1].partition("=")[2]).parent
        for pid, total in ((1, 1_000_000), (2, 1_000_000 + 40 * 500)):
            (folder / str(pid)).write_text(f"fn=main\nsummary: {total}\n")
        return {f"{names[0]}, {short}": 1.0, f"{names[0]}, {long}": 2.0}

    monkeypatch.setattr(_children, "run", run)
    name = bench_instructions.scenarios()[0]
    assert bench_instructions.count(HERE, quick=True, names=[name]) == {name: 500.0}


def test_scenarios_to_count_run_in_forks() -> None:
    done = subprocess.run(
        HERE.command(Path(_child.__file__), "bench_instructions", "5", "10", "client, upload"),
        env=HERE.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(done.stdout)) == {"client, upload, 5", "client, upload, 10"}


def test_without_valgrind_instructions_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert list(bench_instructions.rows(OPTIONS)) == []
    assert "valgrind is not installed" in capsys.readouterr().err
