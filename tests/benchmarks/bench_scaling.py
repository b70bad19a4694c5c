"""Cost of a request on a server that has many open streams, and on a session that has served many requests."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.benchmarks import _children, _recorded
from tests.benchmarks._result import Row
from tests.benchmarks._scenarios import SERVER_CONFIG, responder
from tests.benchmarks._scripted import ManualClient, Meter, RequestingClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options
    from tests.benchmarks._scenarios import Handler

CONCURRENCY = 10
SHAPES = [(1, 1), (1, 100), (10, 100), (100, 100), (1, 10_000)]
"""Sessions and open streams of each."""
_PART = 1000
_UNIT = "CPU µs per request"


def rows(options: Options) -> Iterator[Row]:
    """Measures with 1 to 10 000 open streams, and with 100 000 requests on one session."""
    rounds, requests, many = (2, "500", "20000") if options.quick else (5, "1000", "100000")
    for sessions, streams in SHAPES:
        if options.quick and sessions * streams > 1000:
            continue
        found = _children.smallest(options, rounds, "bench_scaling", "open", str(sessions), str(streams), requests)
        for who, numbers in found.items():
            yield Row(f"server, open streams: {sessions} × {streams}", who, numbers["us"], _UNIT, "lower")
    found = _children.smallest(options, 1 if options.quick else 2, "bench_scaling", "many", many)
    for key, group in (("first", "server, first requests"), ("last", f"server, after {int(many):,} requests")):
        for who, numbers in found.items():
            yield Row(group, who, numbers[key], _UNIT, "lower")


def measure(what: str, *numbers: str) -> dict[str, float]:
    """Returns the CPU time of a request in µs."""
    if what == "open":
        sessions, streams, count = map(int, numbers)
        return {"us": trio.run(_with_open_streams, sessions, streams, count)}
    return trio.run(_many, int(numbers[0]))


async def _with_open_streams(sessions: int, streams: int, count: int) -> float:
    # A window is promised to every stream, so many streams need small ones.
    config = SERVER_CONFIG.evolve(
        max_concurrent_streams=streams + CONCURRENCY, stream_window=16_384, receive_budget=2**30
    )
    respond = responder("small")

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.id < 2 * streams:
            await trio.sleep_forever()
        await respond(stream)

    meter = Meter(max(count // 5, 2 * CONCURRENCY), count)
    requests = _recorded.requests("small", streams + meter.total)
    async with trio.open_nursery() as nursery:
        for _ in range(sessions - 1):
            peer = ManualClient()
            peer.feed(b"".join(requests[:streams]))
            nursery.start_soon(_serve, handler, peer, config)
        await trio.testing.wait_all_tasks_blocked(0.01)
        last = RequestingClient(iter(requests[streams:]), CONCURRENCY, meter, before=b"".join(requests[:streams]))
        gc.collect()
        await trio_h2.serve_stream(handler, last, config=config)
        nursery.cancel_scope.cancel()
    return meter.microseconds


async def _serve(handler: Handler, peer: ManualClient, config: trio_h2.ServerConfig) -> None:
    await trio_h2.serve_stream(handler, peer, config=config)


async def _many(count: int) -> dict[str, float]:
    meter = Meter(_PART, count - _PART, parts=count // _PART - 1)
    peer = RequestingClient(iter(_recorded.requests("small", count)), CONCURRENCY, meter)
    await trio_h2.serve_stream(responder("small"), peer, config=SERVER_CONFIG)
    few = max(1, min(5, len(meter.parts) // 2))
    return {"first": min(meter.parts[:few]), "last": min(meter.parts[-few:])}
