"""ASGI servers: one application, over HTTP/1.1 and HTTP/2, with h2load; and a WebSocket that echoes.

"trio_h2" is the adapter `trio_h2.asgi` here, with the same application as the others.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.benchmarks import bench_latency
from tests.benchmarks._options import note
from tests.benchmarks._peers import MIB, Peer, asgi_peers, bare_handler, launched, program, tls_files
from tests.benchmarks._rounds import Sample, alternate, as_rows
from tests.benchmarks.bench_small import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options
    from tests.benchmarks._peers import Running
    from tests.benchmarks._result import Row

JOBS: Final = {
    "plain text": ("/small", 13, 0, (10, 100)),
    "JSON": ("/json", 27, 0, (10, 100)),
    "upload 1 MiB": ("/sink", 13, MIB, (4, 4)),
    "download 16 MiB": (f"/bytes/{16 * MIB}", 16 * MIB, 0, (4, 4)),
}
"""Of each: the path, the size of the answer, that of the request, and how many are made at once in each version."""
MESSAGE: Final = b"\x81\x8c" + bytes(4) + b"hello, world"
"""What is echoed: a frame of text, masked with zeros."""
_SECONDS = 120


def rows(options: Options) -> Iterator[Row]:
    """Measures all servers that there are, each in turn."""
    h2load = program("h2load")
    if h2load is None:
        note("left out: ASGI: h2load is not installed")
        return
    with _servers(options) as running, tempfile.NamedTemporaryFile() as upload:
        upload.write(bytes(MIB))
        upload.flush()
        for version, kind in (("HTTP/1.1", "h1"), ("h2c", "h2")):
            found = {server.who: server for server in running if kind in server.jobs}
            for job, (path, size, sent, numbers) in JOBS.items():
                at_once = numbers[kind == "h2"]

                def measure(
                    who: str,
                    amount: float,
                    kind: str = kind,
                    path: str = path,
                    sizes: tuple[int, int] = (size, sent),
                    at_once: int = at_once,
                    found: dict[str, Running] = found,
                ) -> Sample:
                    unit = max(sizes) / 1e6 if max(sizes) >= MIB else 1
                    count = max(at_once, round(amount / unit))
                    data = upload.name if sizes[1] else None
                    sample = load(h2load, found[who], path, count, at_once, http1=kind == "h1", data=data)
                    return replace(sample, amount=sample.amount * unit)

                bulk = max(size, sent) >= MIB
                first = at_once * max(size, sent) / 1e6 if bulk else 300
                samples = alternate(options, list(found), measure, first=first)
                unit, cpu = ("MB", "CPU µs per MB") if bulk else ("requests", "CPU µs per request")
                yield from as_rows(f"ASGI, {version}: {job}, {at_once} at once", samples, unit, cpu)
        talkers = {server.who: server for server in running if "websocket" in server.jobs}
        samples = alternate(options, list(talkers), lambda who, n: echo(talkers[who], int(n)), first=200)
        yield from as_rows("ASGI, HTTP/1.1: WebSocket echo", samples, "messages", "CPU µs per message")
        found = {server.who: server for server in running if "h2" in server.jobs}
        yield from bench_latency.measured(options, found, prefix="ASGI: ")


@contextlib.contextmanager
def _servers(options: Options) -> Iterator[list[Running]]:
    with contextlib.ExitStack() as stack:
        tls = stack.enter_context(tls_files())
        peers: list[Peer] = [*asgi_peers(options, tls, plain=True), *bare_handler(options)]
        started = [stack.enter_context(launched(peer)) for peer in peers]
        ready = []
        for server in started:
            try:
                server.wait()
                ready.append(server)
            except OSError as error:
                note(f"left out: {server.who}: {error}")
        yield ready


def load(
    h2load: str, server: Running, path: str, count: int, at_once: int, *, http1: bool, data: str | None = None
) -> Sample:
    """Makes requests, over HTTP/1.1 in so many connections, over HTTP/2 in one.

    Raises:
        LoadError: Not every request succeeded.
    """
    how = ["--h1", "-c", str(at_once)] if http1 else ["-c", "1", "-m", str(at_once), "-w", "24", "-W", "24"]
    command = [h2load, "-n", str(count), *how, *(["-d", data] if data else [])]
    before = server.cpu_seconds()
    url = f"http://127.0.0.1:{server.port}{path}"
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=_SECONDS, check=False)
    after = server.cpu_seconds()
    # h2load does not understand a status line without words, as hypercorn and anycorn send it, and calls it failed.
    well = f" {count} done, " in done.stdout and " 0 errored, 0 timeout" in done.stdout
    if not well or not re.search(rf"^status codes: ({count}|0) 2xx, 0 3xx, 0 4xx, 0 5xx", done.stdout, re.MULTILINE):
        raise LoadError(f"not every request succeeded:\n{done.stdout[-1500:]}")
    took = re.search(r"^finished in ([\d.]+)(us|ms|s),", done.stdout, re.MULTILINE)
    if took is None:
        raise LoadError(f"h2load does not say how long it took:\n{done.stdout[-1500:]}")
    seconds = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[took[2]]
    return Sample(count, seconds, None if before is None or after is None else after - before)


def echo(server: Running, count: int) -> Sample:
    """Sends messages over a WebSocket, one after the other, and waits for each to come back.

    Raises:
        LoadError: The server does not open it, or ends it.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = ("Host: localhost", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}")
        head = "\r\n".join(["GET /chat HTTP/1.1", *fields, "Sec-WebSocket-Version: 13", "", ""])
        sock.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            if not (data := sock.recv(4096)):
                raise LoadError("the WebSocket was not opened")
            answer += data
        if not answer.startswith(b"HTTP/1.1 101"):
            raise LoadError(f"the WebSocket was not opened: {answer[:60]!r}")
        before, begun = server.cpu_seconds(), time.perf_counter()
        for _ in range(count):
            sock.sendall(MESSAGE)
            due = 14  # the same, without a mask
            while due > 0:
                if not (data := sock.recv(64)):
                    raise LoadError("the WebSocket was ended")
                due -= len(data)
        seconds, after = time.perf_counter() - begun, server.cpu_seconds()
    return Sample(count, seconds, None if before is None or after is None else after - before)
