"""Clients: small requests and large bodies over one session to one fast server, the same for all."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.benchmarks._options import HERE, ROOT, note
from tests.benchmarks._peers import FLOOR, MIB, NGHTTPD, NODE, make_docroot, peers, program, running, tls_files
from tests.benchmarks._result import OURS
from tests.benchmarks._rounds import Sample, alternate, as_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options
    from tests.benchmarks._result import Row

CLIENTS = HERE / "clients"
SIZE = 16 * MIB
_SMALL = len(b"hello, world\n")
_SECONDS = 60
_SERVERS = (NGHTTPD, NODE, FLOOR)  # the first that there is


class ClientError(OSError):
    """A client could not do its work."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client program; URL, CA, COUNT, STREAMS and UPLOAD are added."""

    command: list[str]
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """What the clients do."""

    group: str
    path: str
    streams: int
    upload: int
    response: int
    """Bytes of each response body."""
    tls: bool = False


JOBS = [
    Job("client: small requests, h2c, 1×1", "/small", 1, 0, _SMALL),
    Job("client: small requests, h2c, 1×100", "/small", 100, 0, _SMALL),
    Job("client: small requests, TLS, 1×100", "/small", 100, 0, _SMALL, tls=True),
    Job("client: download 16 MiB × 4", f"/bytes/{SIZE}", 4, 0, SIZE),
    Job("client: upload 16 MiB × 4", "/sink", 4, SIZE, _SMALL),
]


def clients(options: Options) -> Iterator[tuple[str, Client]]:
    """Yields the names and programs of the clients of this machine; says which are missing."""
    for version in options.versions:
        yield version.who, Client(version.command(CLIENTS / "ours.py"), version.env)
        if version.who == OURS:
            yield f"{OURS} Client", Client(version.command(CLIENTS / "whole.py"), version.env)
    for library in ("httpx", "httpx2"):
        if importlib.util.find_spec(library) is None:
            note(f"left out: {library} is not installed")
            continue
        command = [sys.executable, "-P", os.fspath(CLIENTS / "httpx_client.py"), library]
        yield f"{library} (trio)", Client(command, dict(os.environ))
    if node := program("node"):
        yield NODE, Client([node, os.fspath(CLIENTS / "node.mjs")], dict(os.environ))
    else:
        note("left out: node is not installed")


def rows(options: Options) -> Iterator[Row]:
    """Measures all clients; the processor time is that of the client alone."""
    found = dict(clients(options))
    with tls_files() as files, TemporaryDirectory(prefix="bench-") as docroot:
        make_docroot(Path(docroot), [SIZE])
        there = {peer.who: peer for peer in peers(options, Path(docroot), files)}
        server = there[next(who for who in _SERVERS if who in there)]
        for tls in (False, True):
            with running(server, tls=tls) as target:
                for job in JOBS:
                    if job.tls == tls:
                        origin = f"{'https' if tls else 'http'}://localhost:{target.port}"
                        measure = functools.partial(_measure, found, job, origin, files.ca)
                        bulk = job.path != "/small"
                        samples = alternate(options, list(found), measure, first=SIZE * 4 / 1e6 if bulk else 200)
                        unit = ("MB", "CPU µs per MB") if bulk else ("requests", "CPU µs per request")
                        yield from as_rows(job.group, samples, *unit)


def _measure(found: dict[str, Client], job: Job, origin: str, ca: Path, who: str, amount: float) -> Sample:
    if job.path == "/small":
        return measure(found[who], job, origin, ca, int(amount))
    size = max(job.upload, job.response)
    count = max(job.streams, round(amount * 1e6 / size))
    sample = measure(found[who], job, origin, ca, count)
    return Sample(count * size / 1e6, sample.seconds, sample.cpu_seconds)


def measure(client: Client, job: Job, origin: str, ca: Path, count: int) -> Sample:
    """Runs a client.

    Raises:
        ClientError: It failed, or not everything has come.
    """
    arguments = [origin + job.path, os.fspath(ca) if job.tls else "-", str(count), str(job.streams), str(job.upload)]
    seconds, cpu_seconds, received = run_client(client, arguments)
    if received != count * job.response:
        raise ClientError(f"{received} bytes came, not {count * job.response}")
    return Sample(count, seconds, cpu_seconds)


def run_client(client: Client, arguments: list[str]) -> tuple[float, float, int]:
    """Runs a client; returns what it prints: seconds, seconds of processor time, bytes.

    Raises:
        ClientError: It failed.
    """
    done = subprocess.run(
        client.command + arguments,
        cwd=ROOT,
        env=client.env,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    told = done.stdout.split()
    if done.returncode != 0 or len(told) != 3:
        raise ClientError(f"exit code {done.returncode}: {done.stderr[-1500:]}")
    return float(told[0]), float(told[1]), int(told[2])
