"""Servers that a gateway asks whether they are well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.gateway.farm import at_rest, farm, front, of
from trio_h2.gateway import Gateway, HealthCheck, Route

if TYPE_CHECKING:
    from trio.testing import MockClock

URL = "http://front.example"


@pytest.mark.parametrize("kind", ["down", "status", "slow"])
async def test_out_and_back(kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with farm(http1=True) as there:
        check = HealthCheck("/health?x", interval=5, timeout=2, healthy=2, unhealthy=3)
        async with front([Route("/", there.servers("a", "b", check=check))]) as (client, gateway):
            await trio.sleep(61)
            assert there.asked.count("a") == 13
            if kind == "down":
                there.kill("a")
            elif kind == "status":
                there.statuses["a"] = 500
            else:
                there.seconds["a"] = 3
            per_round = 7 if kind == "slow" else 5
            await trio.sleep(3 * per_round + 1)
            wrong = {
                "down": "ConnectionRefusedError: a is down",
                "status": "status 500",
                "slow": "no answer within 2 s",
            }
            assert [one.healthy for one in of(gateway)] == [False, True]
            assert of(gateway)[0].last_error == f"health check: {wrong[kind]}"
            assert f"http://a: not well: GET /health?x: {wrong[kind]}" in caplog.text
            assert {(await client.get(URL)).text for _ in range(4)} == {"b /"}
            there.down.clear()
            there.statuses.clear()
            there.seconds.clear()
            await trio.sleep(2 * per_round + 1)
            assert [one.healthy for one in of(gateway)] == [True, True]
            assert {(await client.get(URL)).text for _ in range(4)} == {"a /", "b /"}
            assert await at_rest(gateway)


async def test_servers_that_are_down_from_the_start(autojump_clock: MockClock) -> None:
    async with farm(http1=True) as there:
        there.down = {"a", "b"}
        check = HealthCheck(interval=5, unhealthy=2)
        async with front([Route("/", there.servers("a", "b", check=check))]) as (client, gateway):
            await trio.sleep(6)
            assert [one.healthy for one in of(gateway)] == [False, False]
            response = await client.get(URL)
            assert (response.status, there.asked) == (503, [])
            assert gateway.statistics().refused == 1
            there.down.clear()
            await trio.sleep(10)
            assert (await client.get(URL)).status == 200


async def test_those_who_wait_are_told(autojump_clock: MockClock) -> None:
    async with farm() as there:
        check = HealthCheck(interval=1, unhealthy=1, healthy=1)
        servers = there.servers("a", check=check, max_running=1, max_wait=50)
        async with front([Route("/", servers)]) as (client, gateway):
            there.seconds["a"] = 1.5  # in time for the check
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.get, URL)
                await trio.sleep(0.5)
                there.statuses["a"] = 500
                began = trio.current_time()
                there.seconds["a"] = 100
                nursery.start_soon(client.get, URL)
                response = await client.get(URL)
                assert response.status == 503
                assert trio.current_time() - began < 10
                nursery.cancel_scope.cancel()
            await trio.sleep(1)
            assert await at_rest(gateway)


async def test_a_busy_server_is_not_ill(autojump_clock: MockClock) -> None:
    async with farm(http1=True) as there:
        servers = there.servers("a", check=HealthCheck("/health", interval=1, unhealthy=1), max_running=2)
        async with front([Route("/", servers)]) as (client, gateway):
            there.seconds["a"] = 1.5
            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(client.get, URL)
                await trio.sleep(3)
                assert of(gateway)[0].healthy


async def test_checks_end_with_the_block(autojump_clock: MockClock) -> None:
    async with farm() as there:
        async with Gateway([Route("/", there.servers("a", check=HealthCheck()))]):
            await trio.sleep(7)
        asked = len(there.asked)
        assert asked == 2
        await trio.sleep(100)
        assert len(there.asked) == asked
