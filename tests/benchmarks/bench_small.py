"""Servers: small responses, with h2load, in cleartext and over TLS."""

from __future__ import annotations

import functools
import re
import subprocess
from typing import TYPE_CHECKING

from tests.benchmarks._options import note
from tests.benchmarks._peers import program, servers
from tests.benchmarks._rounds import Sample, alternate, as_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options
    from tests.benchmarks._peers import Running
    from tests.benchmarks._result import Row

SHAPES = [(1, 100), (10, 10), (100, 1)]
_SECONDS = 120


class LoadError(OSError):
    """h2load could not do its work."""


def rows(options: Options) -> Iterator[Row]:
    """Measures connections × streams of each connection."""
    h2load = program("h2load")
    if h2load is None:
        note("left out: small responses: h2load is not installed")
        return
    for tls in (False, True):
        with servers(options, tls=tls) as running:
            found = {server.who: server for server in running if "small" in server.jobs}
            for connections, streams in SHAPES if not options.quick or not tls else SHAPES[:1]:
                measure = functools.partial(_measure, h2load, found, connections, streams, tls)
                group = f"small responses, {'TLS' if tls else 'h2c'}, {connections}×{streams}"
                samples = alternate(options, list(found), measure, first=max(300, 10 * connections))
                yield from as_rows(group, samples, "requests", "CPU µs per request")


def _measure(
    h2load: str, found: dict[str, Running], connections: int, streams: int, tls: bool, who: str, amount: float
) -> Sample:
    return load(h2load, found[who], int(amount), connections, streams, tls=tls)


def load(h2load: str, server: Running, requests: int, connections: int, streams: int, *, tls: bool) -> Sample:
    """Makes small requests.

    Raises:
        LoadError: Not every request succeeded.
    """
    url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}/small"
    command = [h2load, "-n", str(requests), "-c", str(connections), "-m", str(streams), url]
    before = server.cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    after = server.cpu_seconds()
    if f" {requests} succeeded, 0 failed, 0 errored, 0 timeout" not in done.stdout:
        raise LoadError(f"not every request succeeded:\n{done.stdout[-1500:]}")
    took = re.search(r"^finished in ([\d.]+)(us|ms|s),", done.stdout, re.MULTILINE)
    if took is None:
        raise LoadError(f"h2load does not say how long it took:\n{done.stdout[-1500:]}")
    seconds = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[took[2]]
    return Sample(requests, seconds, None if before is None or after is None else after - before)
