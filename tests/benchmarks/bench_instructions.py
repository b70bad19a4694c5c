"""Exact instruction counts of requests and DATA frames, where valgrind is installed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import _children
from tests.benchmarks._options import note
from tests.benchmarks._result import Row
from tests.benchmarks._scenarios import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options, Version
    from tests.benchmarks._scenarios import Scenario

_WARM = 20
_CONCURRENCY = 10


def rows(options: Options) -> Iterator[Row]:
    """Counts each scenario in two lengths; the difference is free of start and end."""
    if shutil.which("valgrind") is None:
        note("left out: instruction counts: valgrind is not installed")
        return
    found = {version.who: count(version, quick=options.quick) for version in options.versions}
    for name in scenarios():
        unit = "request" if BY_NAME[name].unit == "request" else "frame of 16 KiB"
        for who, numbers in found.items():
            if name in numbers:
                yield Row(f"in memory: {name}", who, numbers[name] / 1000, f"1000 instructions per {unit}", "lower")


def scenarios() -> list[str]:
    """Returns the names of the scenarios that are counted."""
    return [name for name, one in BY_NAME.items() if one.unit != "request" or one.concurrency == _CONCURRENCY]


def count(version: Version, *, quick: bool = False, names: list[str] | None = None) -> dict[str, float]:
    """Returns the instructions of one unit of each scenario."""
    short, long = (20, 60) if quick else (50, 200)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        valgrind = ["valgrind", "-q", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/%p"]
        arguments = [str(short), str(long), *(names or scenarios())]
        pids = _children.run(version, "bench_instructions", *arguments, under=valgrind, env={"PYTHONHASHSEED": "0"})
        totals = {name: _total(Path(folder, str(int(pid)))) for name, pid in pids.items()}
    found = {}
    for name in names or scenarios():
        if f"{name}, {long}" in totals:
            found[name] = (totals[f"{name}, {long}"] - totals[f"{name}, {short}"]) / (long - short)
    return found


def _total(file: Path) -> int:
    match = re.search(r"^summary:\s*([\d,]+)", file.read_text(), re.MULTILINE)
    assert match is not None, f"{file} has no summary"
    return int(match[1].replace(",", ""))


def measure(short: str, long: str, *names: str) -> dict[str, float]:
    """Runs each scenario in two lengths, each in a fork of this process, so that all is imported once.

    Returns:
        the process ids, by which valgrind has named its files.
    """
    pids: dict[str, float] = {}
    for name in names:
        for length in (short, long) if BY_NAME[name].available else ():
            pid = os.fork()
            if not pid:
                _run(BY_NAME[name], int(length), int(long))
            _, status = os.waitpid(pid, 0)
            assert status == 0, f"{name} has failed"
            pids[f"{name}, {length}"] = pid
    return pids


def _run(scenario: Scenario, length: int, most: int) -> None:
    """Runs a scenario and ends the process; its preparation is the same for all lengths."""
    status = 1
    try:
        scenario.run(_WARM, length, recorded=_WARM + most)
        status = 0
    finally:
        os._exit(status)
