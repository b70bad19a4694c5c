"""What a request costs does not depend on how many there were before."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import settle
from trio_h2.testing import session_pair

if TYPE_CHECKING:
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
            """Requests *first* and nine more, since the order of Trio's tasks makes some cost a little more."""
            nonlocal number
            while number < first - 1:
                await request(session, body)
                number += 1
            await settle()
            gc.collect()
            with CallCounter() as counter:
                for _ in range(10):
                    await request(session, body)
                    number += 1
            return counter.calls

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
