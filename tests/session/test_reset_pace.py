"""A client that gives up many requests slows down before its server takes it for an attack."""

from __future__ import annotations

import math

import pytest
import trio

from trio_h2 import ClientConfig, ClientSession, ServerStream, SessionError
from trio_h2._session._reset_pace import ResetPace
from trio_h2.testing import session_pair


def test_burst_and_rate() -> None:
    pace = ResetPace(3, 2.0)
    for _ in range(3):
        assert pace.seconds(100.0) == 0
        pace.count(100.0)
    assert pace.seconds(100.0) == 0.5
    pace.count(100.0)  # what is under way may always be reset
    assert pace.seconds(100.0) == 1.0
    assert pace.seconds(100.9) == pytest.approx(0.1)
    assert (pace.seconds(101.0), pace.spent) == (0, True)
    assert (pace.seconds(1000.0), pace.spent) == (0, False)
    for _ in range(3):
        pace.count(1000.0)
    assert pace.seconds(1000.0) == 0.5  # never more than the burst


def test_no_limit() -> None:
    pace = ResetPace(1, math.inf)
    for _ in range(3):
        pace.count(1.0)
        assert pace.seconds(1.001) == 0


async def sleeps(stream: ServerStream) -> None:
    await trio.sleep_forever()


async def cancel(client: ClientSession, count: int) -> None:
    """Gives up *count* requests, a hundred at a time, each when it was sent."""
    for start in range(0, count, 100):
        async with trio.open_nursery() as nursery:
            for _ in range(min(100, count - start)):
                nursery.start_soon(_one, client)


async def _one(client: ClientSession) -> None:
    async with client.request("GET"):
        await trio.lowlevel.checkpoint()


async def test_thousands_of_cancelled_requests_with_the_defaults(autojump_clock: object) -> None:
    """The session lives on both sides: what is too fast waits. Without that, it ended after a few thousand."""
    async with session_pair(sleeps) as (client, server):
        began = trio.current_time()
        await cancel(client, 800)
        assert trio.current_time() == began
        await cancel(client, 1500)
        assert trio.current_time() - began == pytest.approx(50, abs=5)
        await client.ping()
        assert not client.closed
        assert not server.closed
        assert client.statistics().waiting_for_slot == 0
        await trio.sleep(60)  # and then there is a burst again
        began = trio.current_time()
        await cancel(client, 800)
        assert trio.current_time() == began


async def test_without_the_pace_the_server_ends_the_session(autojump_clock: object) -> None:
    """What the pace is for; and how it is turned off."""
    async with session_pair(sleeps, client_config=ClientConfig(cancel_rate=math.inf)) as (client, _):
        with pytest.raises(ExceptionGroup):
            await cancel(client, 3000)
        with pytest.raises(SessionError, match="reset_burst=1000"):
            await client.wait_closed()


async def test_a_request_that_waits_can_be_cancelled(autojump_clock: object) -> None:
    config = ClientConfig(cancel_burst=1, cancel_rate=0.1)
    async with session_pair(sleeps, client_config=config) as (client, server):
        await cancel(client, 1)
        with trio.move_on_after(3) as scope:
            await _one(client)
        assert scope.cancelled_caught
        assert client.statistics().waiting_for_slot == 0
        began = trio.current_time()
        await _one(client)
        assert trio.current_time() - began == pytest.approx(7)
        await client.ping()
        assert server.statistics().open_streams == 0


async def test_requests_that_come_through_never_wait(autojump_clock: object) -> None:
    async def hello(stream: ServerStream) -> None:
        await stream.respond(body=b"hello")

    async with session_pair(hello, client_config=ClientConfig(cancel_burst=1, cancel_rate=0.01)) as (client, _):
        for _ in range(50):
            async with client.request("GET") as stream:
                assert await stream.receive_some() == b"hello"
                assert await stream.receive_some() == b""
        assert trio.current_time() == 0
