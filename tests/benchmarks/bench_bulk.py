"""Servers: large bodies in cleartext, down, up and back, with one load generator for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks._peers import MIB, servers
from tests.benchmarks._raw import raw_transfer, transfer
from tests.benchmarks._rounds import Sample, alternate, as_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options
    from tests.benchmarks._peers import Running
    from tests.benchmarks._result import Row

STREAMS = 4
JOBS = {
    "down": ("download 16 MiB × 4", 16 * MIB),
    "up": ("upload 16 MiB × 4", 16 * MIB),
    "echo": ("echo 1 MiB × 4", MIB),
}
_SMALL = len(b"hello, world\n")


def rows(options: Options) -> Iterator[Row]:
    """Measures four transfers at once over one connection, again and again until a round is long enough."""
    with servers(options, tls=False, sizes=[16 * MIB]) as running:
        for job, (group, size) in JOBS.items():
            found = {server.who: server for server in running if server.jobs & {job, "raw"}}

            def measure(
                who: str, amount: float, job: str = job, size: int = size, found: dict[str, Running] = found
            ) -> Sample:
                return carry(found[who], job, size, max(1, round(amount * 1e6 / (size * STREAMS))))

            samples = alternate(options, list(found), measure, first=size * STREAMS / 1e6)
            yield from as_rows(group, samples, "MB", "CPU µs per MB")


def carry(server: Running, job: str, size: int, repeat: int) -> Sample:
    """Moves *size* bytes in each of four streams, *repeat* times; of an echo, one direction counts."""
    before = server.cpu_seconds()
    if "raw" in server.jobs:
        seconds = raw_transfer(server.port, job, size, STREAMS, repeat)
    elif job == "down":
        seconds = transfer(server.port, f"/bytes/{size}", None, size, STREAMS, repeat)
    elif job == "up":
        seconds = transfer(server.port, "/sink", size, _SMALL, STREAMS, repeat)
    else:
        seconds = transfer(server.port, "/echo", size, size, STREAMS, repeat)
    after = server.cpu_seconds()
    cpu_seconds = None if before is None or after is None else after - before
    return Sample(size * STREAMS * repeat / 1e6, seconds, cpu_seconds)
