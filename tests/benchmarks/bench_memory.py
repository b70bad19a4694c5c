"""Memory of a server: per idle session, and per open stream.

"Traced" is what Python allocated according to tracemalloc, which is exact; "resident" is how much the process grew.
The scripted clients exist before counting begins; only the coroutine of one `receive_some` per session is theirs.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.benchmarks import _children, _recorded
from tests.benchmarks._result import Row
from tests.benchmarks._scenarios import SERVER_CONFIG
from tests.benchmarks._scripted import ManualClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks._options import Options
    from tests.benchmarks._scenarios import Handler

_STATM = Path("/proc/self/statm")
_USED = 20
_GROUPS = {
    "idle": "memory of an idle session",
    "used": f"memory of an idle session after {_USED} requests",
    "open": "memory of an open stream",
}


def rows(options: Options) -> Iterator[Row]:
    """Measures 500 sessions, and 5000 streams on 50 of them."""
    sessions = "100" if options.quick else "500"
    modes = ["traced", "resident"] if _STATM.exists() else ["traced"]
    for mode in modes:
        found = _children.smallest(options, 1 if mode == "traced" else 3, "bench_memory", mode, sessions, "100")
        for key, group in _GROUPS.items():
            for who, numbers in found.items():
                yield Row(group, who, numbers[key] / 1024, f"KiB, {mode}", "lower")


def measure(mode: str, sessions: str, streams: str) -> dict[str, float]:
    """Returns the bytes per idle session, of one that has served requests, and of an open stream."""
    if mode == "traced":
        tracemalloc.start()
        try:
            return trio.run(_measure, _traced, int(sessions), int(streams))
        finally:
            tracemalloc.stop()
    return trio.run(_measure, _resident, int(sessions), int(streams))


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _resident() -> int:
    gc.collect()
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _measure(used: Callable[[], int], sessions: int, streams: int) -> dict[str, float]:
    requests = _recorded.requests("small", _USED + streams)
    quick, waiting = b"".join(requests[:_USED]), b"".join(requests[_USED:])

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.id > 2 * _USED:
            await trio.sleep_forever()
        await stream.respond({":status": 200}, body=_recorded.BODY)

    async with trio.open_nursery() as nursery:
        # One session and one exchange of each kind first, so that objects made once per process do not count.
        first, *peers = [ManualClient() for _ in range(sessions + 1)]
        first.feed(quick + waiting)
        nursery.start_soon(_serve, handler, first)
        await trio.testing.wait_all_tasks_blocked(0.01)
        before = used()
        for peer in peers:
            nursery.start_soon(_serve, handler, peer)
        await trio.testing.wait_all_tasks_blocked(0.01)
        idle = used()
        for peer in peers:  # one after the other: a process does not shrink again after a peak
            peer.feed(quick)
            await trio.testing.wait_all_tasks_blocked()
        served = used()
        full = peers[: max(1, sessions // 10)]
        for peer in full:
            peer.feed(waiting)
        await trio.testing.wait_all_tasks_blocked(0.01)
        busy = used()
        nursery.cancel_scope.cancel()
    return {
        "idle": (idle - before) / sessions,
        "used": (served - before) / sessions,
        "open": (busy - served) / (len(full) * streams),
    }


async def _serve(handler: Handler, peer: ManualClient) -> None:
    await trio_h2.serve_stream(handler, peer, config=SERVER_CONFIG)
