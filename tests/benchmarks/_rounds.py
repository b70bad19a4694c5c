"""Alternating rounds: whoever is compared is measured in turn, so that a busy moment of the machine hits all alike."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tests.benchmarks._options import note
from tests.benchmarks._raw import TransferError
from tests.benchmarks._result import BEFORE, OURS, Row, median

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.benchmarks._options import Options


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round has shown."""

    amount: float
    """Requests or MB."""
    seconds: float
    cpu_seconds: float | None
    """Processor time of the program under test; None where nobody can say."""


Measure: TypeAlias = "Callable[[str, float], Sample]"
"""Called with a name and an amount; measures that one."""


def alternate(options: Options, who: Sequence[str], measure: Measure, first: float) -> dict[str, list[Sample]]:
    """Measures all in turn, several times; who fails is left out with a line that says so.

    Args:
        options: How many rounds, and how long each.
        who: The names of those that are compared.
        measure: Does one measurement, of so many requests or MB.
        first: The amount to begin with. It also warms up, and tells what amount takes as long as a round should.

    Raises:
        Exception: What *measure* raises for trio_h2 itself.
    """
    count, seconds = (3, 0.3) if options.quick else (5, 0.8)
    amounts: dict[str, float] = {}
    samples: dict[str, list[Sample]] = {name: [] for name in who}
    for number in range(count + 1):
        for name in list(samples):
            found = samples[name]
            # Who is slow has enough after fewer rounds.
            if len(found) == count or sum(sample.seconds for sample in found) > 2 * count * seconds:
                continue
            try:
                sample = measure(name, amounts.get(name, first))
            except (OSError, TransferError, subprocess.SubprocessError) as error:
                if name in (OURS, BEFORE):
                    raise
                note(f"left out: {name}: {error}")
                del samples[name]
                continue
            if number == 0:
                amounts[name] = max(first, sample.amount / sample.seconds * seconds)
            if number > 0 or sample.seconds >= seconds:
                found.append(sample)
    return samples


def as_rows(group: str, samples: Mapping[str, Sequence[Sample]], unit: str, cpu_unit: str) -> Iterator[Row]:
    """Yields the median rates and the smallest processor times.

    Args:
        group: The group of the rows.
        samples: What was measured.
        unit: Of the amount: "requests", "MB".
        cpu_unit: What the processor time is of: "CPU µs per request".
    """
    for who, found in samples.items():
        yield Row(group, who, median(sample.amount / sample.seconds for sample in found), f"{unit}/s", "higher")
    for who, found in samples.items():
        used = [sample.cpu_seconds / sample.amount * 1e6 for sample in found if sample.cpu_seconds is not None]
        if used:
            yield Row(group, who, min(used), cpu_unit, "lower")
