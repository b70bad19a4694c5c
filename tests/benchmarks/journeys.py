"""Counts the calls of our own code on three journeys through a server: `python -m tests.benchmarks.journeys`.

A call is one entry into a Python function of trio_h2, or the resumption of one of its coroutines. Calls inside other
libraries do not count.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.benchmarks import _recorded
from tests.benchmarks._scenarios import SERVER_CONFIG
from tests.benchmarks._scripted import ManualClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import FrameType

    from tests.benchmarks._scenarios import Handler

TARGETS = {
    "DATA → receive_some returns": 30,
    "respond(body=) → transport": 70,
    "RST_STREAM → handler cancelled": 45,
}
_PACKAGE = os.path.dirname(trio_h2.__file__) + os.sep
_WARM = 2
_RUNS = 20


@dataclass
class Journey:
    """The calls of our own code between two moments."""

    calls: int = 0
    files: set[str] = field(default_factory=set)
    names: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Starts counting from zero."""
        self.calls = 0
        self.files.clear()
        self.names.clear()
        sys.setprofile(self._seen)

    def end(self) -> None:
        """Stops counting."""
        sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(_PACKAGE):
            self.calls += 1
            self.files.add(code.co_filename)
            self.names.append(f"{code.co_filename.removeprefix(_PACKAGE)}: {code.co_qualname}")


class _CountedClient(ManualClient):
    """A client that can begin a journey when our side receives bytes, and end one when it sends some."""

    def __init__(self, journey: Journey) -> None:
        super().__init__()
        self.journey = journey
        self.begins = False
        self.ends = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Returns what is there."""
        data = await super().receive_some(max_bytes)
        if self.begins:
            self.begins = False
            self.journey.begin()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Lets the peer have *data*."""
        if self.ends:
            self.ends = False
            self.journey.end()
        await super().send_all(data)


@contextmanager
def _ending(journey: Journey) -> Iterator[None]:
    try:
        yield
    finally:
        journey.end()


def count() -> dict[str, Journey]:
    """Counts each journey, after some rounds to warm up.

    Trio runs ready tasks in random order, so steps of other tasks may come in between: the run with the fewest calls
    counts.
    """
    runs = (_data_received, _responded, _reset)
    return {
        name: min((trio.run(run) for _ in range(_RUNS)), key=lambda journey: journey.calls)
        for name, run in zip(TARGETS, runs, strict=True)
    }


async def _data_received() -> Journey:
    journey = Journey()
    client = _CountedClient(journey)

    async def handler(stream: trio_h2.ServerStream) -> None:
        for _ in range(_WARM + 1):
            with _ending(journey):
                await stream.receive_some()
        await stream.respond({":status": 200})

    async with _serving(handler, client):
        client.feed(_recorded.requests("small", 1, flags=_recorded.END_HEADERS, method="POST")[0])
        for _ in range(_WARM + 1):
            await trio.testing.wait_all_tasks_blocked()
            client.begins = True
            client.feed(_recorded.frame(_recorded.DATA, 0, 1, _recorded.BODY))
        await trio.testing.wait_all_tasks_blocked()
    return journey


async def _responded() -> Journey:
    journey = Journey()
    client = _CountedClient(journey)

    async def handler(stream: trio_h2.ServerStream) -> None:
        client.ends = True
        journey.begin()
        await stream.respond({":status": 200}, body=_recorded.BODY)

    async with _serving(handler, client):
        for request in _recorded.requests("small", _WARM + 1):
            await trio.testing.wait_all_tasks_blocked()
            client.feed(request)
        await trio.testing.wait_all_tasks_blocked()
    return journey


async def _reset() -> Journey:
    journey = Journey()
    client = _CountedClient(journey)

    async def handler(stream: trio_h2.ServerStream) -> None:
        with _ending(journey):
            await trio.sleep_forever()

    async with _serving(handler, client):
        for number, request in enumerate(_recorded.requests("small", _WARM + 1)):
            client.feed(request)
            await trio.testing.wait_all_tasks_blocked()
            client.begins = True
            client.feed(_recorded.frame(3, 0, 2 * number + 1, b"\0\0\0\x08"))
            await trio.testing.wait_all_tasks_blocked()
    return journey


@asynccontextmanager
async def _serving(handler: Handler, client: ManualClient) -> AsyncIterator[None]:
    async def serve() -> None:
        await trio_h2.serve_stream(handler, client, config=SERVER_CONFIG)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


def measure() -> dict[str, float]:
    """Returns the calls and the files of each journey."""
    numbers: dict[str, float] = {}
    for name, journey in count().items():
        numbers[name] = journey.calls
        numbers[f"{name}, files"] = len(journey.files)
    return numbers


def main() -> None:
    """Prints the counts, and with `--calls` every call."""
    for name, journey in count().items():
        sys.stdout.write(f"{name}: {journey.calls} calls in {len(journey.files)} files (target: {TARGETS[name]})\n")
        if "--calls" in sys.argv:
            sys.stdout.writelines(f"    {call}\n" for call in journey.names)


if __name__ == "__main__":
    main()
