"""Tunnels: bytes through our CONNECT proxy and our client, against a plain Trio relay and a plain Trio client."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING

from tests.benchmarks._options import HERE
from tests.benchmarks._peers import MIB, SERVERS, UNFRAMED, Peer, Running, running
from tests.benchmarks._result import Row
from tests.benchmarks._rounds import Sample, alternate, as_rows
from tests.benchmarks.bench_client import Client, run_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options

RELAY = "plain Trio relay"
_PROGRAM = HERE / "clients" / "tunnel.py"
_FIRST = 32 * MIB / 1e6


def rows(options: Options) -> Iterator[Row]:
    """Measures both directions; processor time is that of the proxy, and of the client."""
    python = [sys.executable, "-P"]
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(running(Peer(UNFRAMED, [*python, os.fspath(SERVERS / "unframed.py"), "PORT"])))
        proxies: dict[str, tuple[Running, Client]] = {}
        for version in options.versions:
            proxy = Peer(version.who, version.command(SERVERS / "tunnel_proxy.py", "PORT"), env=version.env)
            client = Client(version.command(_PROGRAM, "tunnel"), version.env)
            proxies[version.who] = (stack.enter_context(running(proxy)), client)
        relay = Peer(RELAY, [*python, os.fspath(SERVERS / "relay.py"), "PORT", str(target.port)])
        plain = Client([*python, os.fspath(_PROGRAM), "plain"], dict(os.environ))
        proxies[RELAY] = (stack.enter_context(running(relay)), plain)
        for verb, group in (("down", "tunnel, download"), ("up", "tunnel, upload")):
            clients_cpu: dict[str, list[float]] = {who: [] for who in proxies}
            measure = functools.partial(_measure, proxies, clients_cpu, target.port, verb)
            yield from as_rows(group, alternate(options, list(proxies), measure, _FIRST), "MB", "proxy CPU µs per MB")
            for who, used in clients_cpu.items():
                if used:
                    yield Row(group, who, min(used), "client CPU µs per MB", "lower")


def _measure(
    proxies: dict[str, tuple[Running, Client]],
    clients_cpu: dict[str, list[float]],
    target_port: int,
    verb: str,
    who: str,
    amount: float,
) -> Sample:
    proxy, client = proxies[who]
    count = int(amount * 1e6)
    before = proxy.cpu_seconds()
    seconds, cpu_seconds, _ = run_client(client, [str(proxy.port), str(target_port), verb, str(count)])
    after = proxy.cpu_seconds()
    clients_cpu[who].append(cpu_seconds / amount * 1e6)
    # The client warms up with a quarter more, which the proxy has carried, too.
    proxy_seconds = None if before is None or after is None else (after - before) / 1.25
    return Sample(amount, seconds, proxy_seconds)
