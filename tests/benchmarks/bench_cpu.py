"""CPU time of requests and of DATA frames, in memory, in both roles, and how many transport writes they take."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from tests.benchmarks import _children
from tests.benchmarks._result import Row
from tests.benchmarks._scenarios import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options

_WRITES = "client, small, 100 at once"


def rows(options: Options) -> Iterator[Row]:
    """Measures all scenarios; the smallest value of alternating rounds, five parts in each, counts."""
    rounds, requests, frames = (2, "500", "1000") if options.quick else (5, "1000", "4000")
    found = _children.smallest(options, rounds, "bench_cpu", requests, frames)
    for name, scenario in BY_NAME.items():
        unit = "CPU µs per request" if scenario.unit == "request" else "CPU µs per frame of 16 KiB"
        for who, numbers in found.items():
            if name in numbers:
                yield Row(f"in memory: {name}", who, numbers[name], unit, "lower")
    for who, numbers in found.items():
        yield Row(f"in memory: {_WRITES}", who, numbers["writes"], "transport writes per request", "lower")


def measure(requests: str, frames: str) -> dict[str, float]:
    """Returns the CPU time of each scenario in µs, and the transport writes of one of them."""
    numbers: dict[str, float] = {}
    for name, scenario in BY_NAME.items():
        if not scenario.available:
            continue
        gc.collect()
        count = int(requests if scenario.unit == "request" else frames)
        found = scenario.run(max(count // 5, 2 * scenario.concurrency), count)
        numbers[name] = found["us"]
        if name == _WRITES:
            numbers["writes"] = found["writes"]
    return numbers
