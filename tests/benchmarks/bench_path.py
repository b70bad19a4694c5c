"""A path of 50 ms there and back, simulated: how long transfers take when only flow control slows them down.

Both sides are trio_h2. Bytes arrive 25 ms after they were sent, with unlimited bandwidth. The clock is virtual and does
not advance while code runs, so the seconds count round trips: 0.05 each.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.benchmarks import _children
from tests.benchmarks._result import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options

ONE_WAY = 0.025
MIB = 1024 * 1024
_PIECE = 65_536
_IDEAL = "no windows"


def rows(options: Options) -> Iterator[Row]:
    """Measures a small request on a new session, and 16 MiB in both directions."""
    found = _children.smallest(options, 1, "bench_path", str(16 * MIB))
    for key, group in (("small", "small request"), ("download", "download of 16 MiB"), ("upload", "upload of 16 MiB")):
        for who, numbers in found.items():
            yield Row(f"path of 50 ms: {group}, new session", who, numbers[key], "virtual s", "lower")
        yield Row(f"path of 50 ms: {group}, new session", _IDEAL, 2 * ONE_WAY, "virtual s", "lower")
    for key in ("download", "upload"):
        for who, numbers in found.items():
            yield Row(
                f"path of 50 ms: {key} of 16 MiB, the next one", who, numbers[f"{key} again"], "virtual s", "lower"
            )
        yield Row(f"path of 50 ms: {key} of 16 MiB, the next one", _IDEAL, 2 * ONE_WAY, "virtual s", "lower")


def measure(size: str) -> dict[str, float]:
    """Returns the virtual seconds that each exchange takes."""
    numbers = {}
    for key in ("small", "download", "upload"):
        took = trio.run(_exchanges, key, int(size), clock=trio.testing.MockClock(autojump_threshold=0))
        numbers[key], numbers[f"{key} again"] = took
    return numbers


class _Direction:
    """Bytes on their way, with the time at which they arrive."""

    def __init__(self) -> None:
        self.under_way: deque[tuple[float, bytes]] = deque()
        self.changed = trio.lowlevel.ParkingLot()
        self.ended = False

    def send(self, data: bytes) -> None:
        """Puts *data* on its way; `b""` is the end of the direction."""
        self.under_way.append((trio.current_time() + ONE_WAY, data))
        self.changed.unpark_all()


class _LongPath(trio.abc.Stream):
    """One end of the path."""

    def __init__(self, outgoing: _Direction, incoming: _Direction) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends; the path takes any amount at once."""
        if self._closed:
            raise trio.ClosedResourceError
        if data:
            self._outgoing.send(bytes(data))
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Never blocks."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Waits until something has arrived."""
        await trio.lowlevel.checkpoint()
        queue = self._incoming.under_way
        while not queue:
            if self._closed:
                raise trio.ClosedResourceError
            await self._incoming.changed.park()
        await trio.sleep_until(queue[0][0])
        data = queue[0][1]
        if not data:
            return b""
        if max_bytes is None or len(data) <= max_bytes:
            queue.popleft()
            return data
        queue[0] = queue[0][0], data[max_bytes:]
        return data[:max_bytes]

    async def aclose(self) -> None:
        """Closes this end; the other end first receives what was sent."""
        if not self._closed:
            self._closed = True
            self._outgoing.send(b"")
            self._incoming.changed.unpark_all()
        await trio.lowlevel.checkpoint()


async def _handler(stream: trio_h2.ServerStream) -> None:
    if stream.method == "POST":
        async for _ in stream:
            pass
        await stream.respond({":status": 200})
        return
    await stream.respond({":status": 200}, end_stream=False)
    await _send(stream, int(stream.path.removeprefix("/")))


async def _send(stream: trio_h2.ServerStream | trio_h2.ClientStream, size: int) -> None:
    body = bytes(_PIECE)
    for left in range(size, 0, -_PIECE):
        await stream.send_all(body[:left])
    await stream.send_eof()


async def _exchanges(key: str, size: int) -> tuple[float, float]:
    there, back = _Direction(), _Direction()
    took = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio_h2.serve_stream, _handler, _LongPath(back, there))
        async with trio_h2.connect("https://www.example.com", transport=_LongPath(there, back)) as session:
            for _ in range(2):
                begun = trio.current_time()
                await _exchange(session, key, size)
                took.append(trio.current_time() - begun)
        nursery.cancel_scope.cancel()
    return took[0], took[1]


async def _exchange(session: trio_h2.ClientSession, key: str, size: int) -> None:
    if key == "upload":
        async with session.request("POST", "/", end_stream=False) as stream:
            await _send(stream, size)
            await stream.receive_response()
        return
    expected = size if key == "download" else 1
    async with session.request("GET", f"/{expected}") as stream:
        await stream.receive_response()
        received = 0
        async for chunk in stream:
            received += len(chunk)
    assert received == expected
