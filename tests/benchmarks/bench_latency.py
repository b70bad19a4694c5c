"""Servers: how long small requests take beside a download in the same session, and alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks._options import note
from tests.benchmarks._peers import FLOOR, MIB, servers
from tests.benchmarks._raw import Probe, TransferError
from tests.benchmarks._result import BEFORE, OURS, Row, median

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.benchmarks._options import Options
    from tests.benchmarks._peers import Running

BULK = 2**20 * MIB
_ROUND = 50


def rows(options: Options) -> Iterator[Row]:
    """Measures one small request after the other, each server in turn; half of all, and 99 of 100, took no longer."""
    with servers(options, tls=False, sizes=[BULK]) as running:
        # The bare loop sends a whole body before it reads on: it has no place here.
        yield from measured(options, {one.who: one for one in running if "small" in one.jobs and one.who != FLOOR})


def measured(options: Options, found: Mapping[str, Running], prefix: str = "") -> Iterator[Row]:
    """Measures these servers."""
    count = 4 if options.quick else 12
    for bulk, group in ((None, "small requests, alone"), (f"/bytes/{BULK}", "small requests beside a download")):
        # One session for all rounds. In between nobody reads, and the download waits.
        probes: dict[str, Probe] = {}
        seconds: dict[str, list[float]] = {who: [] for who in found}
        for _ in range(count):
            for who in list(seconds):
                try:
                    if who not in probes:
                        probes[who] = Probe(found[who].port, bulk)
                    seconds[who] += probes[who].seconds(_ROUND)
                except (TransferError, OSError) as error:
                    if who in (OURS, BEFORE):
                        raise
                    note(f"left out: {who}: {error}")
                    del seconds[who]
        for probe in probes.values():
            probe.session.close()
        for who, taken in seconds.items():
            yield Row(prefix + group, who, median(taken) * 1e3, "ms, p50", "lower")
        for who, taken in seconds.items():
            yield Row(prefix + group, who, sorted(taken)[len(taken) * 99 // 100] * 1e3, "ms, p99", "lower")
