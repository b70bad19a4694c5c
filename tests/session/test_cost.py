"""What a request costs does not depend on how many there were before."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import settle
from tests.stream.harness import pair
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from trio_h2 import ClientSession, ServerStream


class CallCounter:
    """Counts the calls of Python and C functions in a block."""

    def __init__(self) -> None:
        self.calls = 0

    def _profile(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_call"):
            self.calls += 1

    def __enter__(self) -> CallCounter:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


async def echo(stream: ServerStream) -> None:
    body = bytearray()
    async for chunk in stream:
        body += chunk
    await stream.respond({"content-type": "text/plain"}, body=bytes(body))


async def hello(stream: ServerStream) -> None:
    await stream.respond({"content-type": "text/plain"}, body=b"hello")


async def request(session: ClientSession, body: bytes) -> None:
    async with session.request("POST" if body else "GET", "/", headers={"accept": "*/*"}, body=body) as stream:
        response = await stream.receive_response()
        assert response.status == 200
        while await stream.receive_some():
            pass


@pytest.mark.parametrize("body", [b"", b"x" * 1000], ids=["GET", "POST"])
async def test_request_10_and_request_1000(body: bytes, autojump_clock: object) -> None:
    async with session_pair(echo if body else hello) as (session, _):
        costs: dict[int, int] = {}
        number = 0

        async def measured(first: int) -> int:
            """Requests *first* and those that follow, by tens: the least, as the order of tasks costs something."""
            nonlocal number
            while number < first - 1:
                await request(session, body)
                number += 1
            await settle()
            gc.collect()
            calls = []
            for _ in range(8):
                with CallCounter() as counter:
                    for _ in range(10):
                        await request(session, body)
                        number += 1
                calls.append(counter.calls)
            return min(calls)

        for first in (10, 1000):
            costs[first] = await measured(first)
        assert costs[10] > 1000
        assert costs[1000] == pytest.approx(costs[10], rel=0.02)


class Steps(trio.abc.Instrument):
    """Counts how often each task of one session runs."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.of[task.name] += 1


async def test_how_often_tasks_run_for_a_request(autojump_clock: object) -> None:
    """Each time is a pass of the scheduler, with a call of the system: most of what one request at a time costs."""
    steps = Steps()
    async with session_pair(hello) as (session, _):

        async def requests() -> None:
            for _ in range(10):
                async with session.request("GET") as stream:
                    assert b"".join([chunk async for chunk in stream]) == b"hello"

        await request(session, b"")
        trio.lowlevel.add_instrument(steps)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(requests, name="requests")
        trio.lowlevel.remove_instrument(steps)
    assert steps.of["requests"] == 1 + 2 * 10  # sending, and the chunk
    assert steps.of["trio_h2 writer http://localhost"] == 2 * 10  # woken, and the write


class Counted(trio.abc.Stream):
    """A transport that counts what is written to it."""

    def __init__(self, below: trio.abc.Stream) -> None:
        self._below = below
        self.writes = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.writes += 1
        await self._below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._below.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._below.aclose()


async def test_what_is_sent_at_the_same_time_is_one_write(autojump_clock: object) -> None:
    """The heads of requests of several tasks, and most of what one task sends without waiting."""
    ends: dict[str, Counted] = {}

    def counted(name: str) -> Callable[[trio.abc.Stream], trio.abc.Stream]:
        def wrap(below: trio.abc.Stream) -> trio.abc.Stream:
            return ends.setdefault(name, Counted(below))

        return wrap

    async def in_pieces(stream: ServerStream) -> None:
        await stream.respond(200, end_stream=False)
        await stream.send_all(b"a piece")
        await stream.send_eof()

    async def one(session: ClientSession) -> None:
        async with session.request("GET") as stream:
            assert await stream.read() == b"a piece"

    async with pair(in_pieces, wrap_client=counted("client"), wrap_server=counted("server")) as (session, _):
        await one(session)
        await settle()
        before = ends["server"].writes
        await one(session)
        await settle()
        assert ends["server"].writes - before <= 2  # for a head, a piece and the end
        before = ends["client"].writes
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(one, session)
        await settle()
        assert ends["client"].writes - before == 1
