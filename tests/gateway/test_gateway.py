"""Requests through a gateway: routes, choice, limits, and what is asked of another server."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours
from tests.gateway.farm import at_rest, farm, front, of
from trio_h2 import Client, Headers, Timeouts
from trio_h2.gateway import Ejection, Gateway, Retries, Route, Servers
from trio_h2.testing import sweep_cancellation
from trio_h2.websocket import WebSocket, WebSocketHandler, open_websocket

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.gateway.farm import Farm

URL = "http://front.example"
both = pytest.mark.parametrize("http1", [False, True], ids=["http2", "http1"])


async def _own(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=f"own {stream.path}".encode())


@both
async def test_routes(http1: bool, autojump_clock: MockClock) -> None:
    def rewrite(headers: Headers) -> Headers:
        return headers.forwarded(add={":path": headers[":path"] + "!"})

    async with farm(http1=http1) as there:
        routes = [
            Route("/", there.servers("a")),
            Route("/b", there.servers("b"), strip_prefix=True),
            Route("/c/", there.servers("c"), strip_prefix=True, rewrite=rewrite),
            Route("/own", _own),
            Route("/d", there.servers("d"), host="*.example.org", rewrite=rewrite),
        ]
        async with front(routes, http1=http1) as (client, gateway):
            for path, found in (
                ("/", "a /"),
                ("/x?y", "a /x?y"),
                ("/b", "b /"),
                ("/b?q", "b /?q"),
                ("/b/x/%7Ey%2f", "b /x/~y%2f"),
                ("/bb", "a /bb"),
                ("/%62/x", "b /x"),
                ("/c/x", "c /x!"),
                ("/own/x", "own /own/x"),
            ):
                assert (await client.get(URL + path)).text == found
            assert (await client.get("http://x.example.org/d")).text == "d /d!"
            seen = gateway.statistics()
            assert (seen.requests, seen.running, seen.unrouted) == (10, 0, 0)
            assert [server.requests for server in seen.servers] == [3, 4, 1, 1]


async def test_what_no_route_fits(autojump_clock: MockClock) -> None:
    async with front([Route("/x", _own, host="a.example")]) as (client, gateway):
        assert (await client.get("http://a.example/x")).status == 200
        assert (await client.get("http://a.example/")).status == 404
        session = client.sessions[0]
        for authority, path, status in (("b.example", "/x", 421), ("a.example", "/x/../y", 400)):
            async with session.request("GET", headers={":authority": authority, ":path": path}) as stream:
                assert (await stream.receive_response()).status == status
        assert gateway.statistics().unrouted == 3


async def test_outside_of_its_block(autojump_clock: MockClock) -> None:
    gateway = Gateway([Route("/", _own)])
    async with (
        network(ours(gateway)) as between,
        Client(transport=between, prior_knowledge=True, retry=trio_h2.Retry(0)) as client,
    ):
        assert (await client.get(URL)).status == 500
        async with gateway:
            assert (await client.get(URL)).status == 200
        assert (await client.get(URL)).status == 500
        with pytest.raises(RuntimeError, match="only once"):
            await gateway.__aenter__()


async def test_an_error_of_the_block_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with Gateway([Route("/", Servers(["http://a", "http://b"]))]):
            raise error
    assert caught.value is error


async def test_unix_sockets(tmp_path: object) -> None:
    path = f"{tmp_path}/app.sock"
    async with (
        trio_h2.open_server(_own, path=path, allow_http1=True),
        front([Route("/", f"unix:{path}")]) as (client, gateway),
    ):
        assert (await client.get(f"{URL}/x")).text == "own /x"
        assert of(gateway)[0].url == f"unix:{path}"


async def test_what_has_no_path_takes_the_route_of_all(autojump_clock: MockClock) -> None:
    async with (
        farm() as there,
        front([Route("/", there.servers("a"), rewrite=lambda headers: headers)]) as (client, _),
    ):
        await client.get(URL)
        session = client.sessions[0]
        async with session.request("OPTIONS", "*") as stream:
            assert (await stream.receive_response()).status == 200
            assert await stream.read() == b"a *"
        async with session.request("CONNECT", headers={":authority": "a:1"}, end_stream=False) as stream:
            assert (await stream.receive_response()).status == 501


async def test_websockets(autojump_clock: MockClock) -> None:
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send_message(f"{socket.path} {message!s}")

    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    down = True

    async def connect(origin: str) -> trio.abc.Stream:
        nonlocal down
        if down:
            down = False
            raise ConnectionRefusedError
        return await behind(origin)

    async with network(ours(WebSocketHandler(echo), http1=True, config=config)) as behind:
        servers = Servers(["http://a", "http://b"], transport=connect, retries=Retries(pause=0))
        async with (
            Gateway([Route("/ws", servers, strip_prefix=True)]) as gateway,
            network(ours(gateway, config=config)) as between,
        ):
            async with (
                trio_h2.connect("http://front.example", transport=await between("")) as session,
                open_websocket(session, "/ws/x") as socket,
            ):
                await socket.send_message("hello")
                assert await socket.receive_message() == "/x hello"
                assert sum(one.running for one in of(gateway)) == 1
            assert await at_rest(gateway)
            assert sum(one.failures for one in of(gateway)) <= 1


# -- choice --------------------------------------------------------------------------------------------------------


@both
async def test_each_in_turn_and_the_one_with_the_fewest(http1: bool, autojump_clock: MockClock) -> None:
    async with (
        farm(http1=http1) as there,
        front([Route("/", there.servers("a", "b", "c"))], http1=http1) as (client, gateway),
    ):
        for _ in range(6):
            await client.get(URL)
        assert there.asked == list("abcabc")
        there.seconds["a"] = 100
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.get, URL)  # a is busy for a while
            await trio.sleep(1)
            for _ in range(4):
                await client.get(URL)
            assert there.asked[6:] == list("abcbc")
            assert [server.running for server in of(gateway)] == [1, 0, 0]
        assert await at_rest(gateway)


@both
async def test_limit_and_line(http1: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    statuses: list[tuple[float, int]] = []
    async with (
        farm(http1=http1) as there,
        front([Route("/", there.servers("a", "b", max_running=2, max_waiting=3))], http1=http1) as (client, gateway),
    ):
        there.seconds = {"a": 4, "b": 4}
        began = trio.current_time()

        async def ask() -> None:
            status = (await client.get(URL)).status
            statuses.append((round(trio.current_time() - began), status))

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(ask)
            await trio.sleep(1)
            seen = gateway.statistics()
            assert (seen.running, seen.waiting, seen.refused) == (7, 3, 1)
            assert [server.running for server in seen.servers] == [2, 2]
        assert statuses == [(0, 503)] + [(4, 200)] * 4 + [(8, 200)] * 3
        assert there.most == {"a": 2, "b": 2}
        assert await at_rest(gateway)
    assert "answered with 503: 3 requests wait already" in caplog.text


async def test_the_line_takes_no_longer_than_it_may(autojump_clock: MockClock) -> None:
    async with (
        farm() as there,
        front([Route("/", there.servers("a", max_running=1, max_wait=5))]) as (client, gateway),
    ):
        there.seconds["a"] = 1000
        with trio.move_on_after(100):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.get, URL)
                await trio.sleep(1)
                began = trio.current_time()
                response = await client.get(URL)
                assert (response.status, response.headers["retry-after"]) == (503, "1")
                assert trio.current_time() - began == pytest.approx(5)
                there.seconds["a"] = 0
                nursery.cancel_scope.cancel()
        await trio.sleep(1)
        assert await at_rest(gateway)
        assert (await client.get(URL)).status == 200


async def test_a_place_that_was_given_to_a_client_that_leaves_goes_to_the_next(autojump_clock: MockClock) -> None:
    async with farm() as there, front([Route("/", there.servers("a", max_running=1))]) as (client, gateway):
        there.seconds["a"] = 2
        async with trio.open_nursery() as nursery:
            for leaves_after in (2.0, 2.0, 100.0):

                async def ask(seconds: float = leaves_after) -> None:
                    with trio.move_on_after(seconds):
                        await client.get(URL)

                nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
        assert await at_rest(gateway)


# -- other servers -------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_another_server_is_asked(http1: bool, method: str, autojump_clock: MockClock) -> None:
    async with (
        farm(http1=http1) as there,
        front([Route("/", there.servers("a", "b", "c"))], http1=http1) as (client, gateway),
    ):
        there.down = {"a", "b"}
        began = trio.current_time()
        response = await client.fetch(method, URL, body=b"whole" if method == "POST" else b"")
        assert response.text == "c /"
        assert trio.current_time() == began
        assert [(one.requests, one.failures, one.retries) for one in of(gateway)] == [(1, 1, 0), (1, 1, 1), (1, 0, 1)]
        assert of(gateway)[0].last_error == "ConnectionRefusedError: a is down"
        assert await at_rest(gateway)


async def test_the_only_server_is_asked_again_after_a_pause(autojump_clock: MockClock) -> None:
    async with farm(http1=True) as there, front([Route("/", there.servers("a"))]) as (client, gateway):
        there.down = {"a"}
        began = trio.current_time()
        assert (await client.get(URL)).status == 502
        assert trio.current_time() - began == pytest.approx(0.2 + 0.4 + 0.8)
        async with trio.open_nursery() as nursery:

            async def restart() -> None:
                await trio.sleep(0.5)
                there.down.clear()

            nursery.start_soon(restart)
            assert (await client.get(URL)).status == 200
        assert of(gateway)[0].retries == 5
        assert of(gateway)[0].healthy
        assert await at_rest(gateway)


async def test_what_was_perhaps_processed_is_not_repeated(autojump_clock: MockClock) -> None:
    async with farm(http1=True) as there:
        servers = there.servers("a", "b", timeouts=Timeouts(response=3))
        async with front([Route("/", servers)]) as (client, gateway):
            there.seconds["a"] = 1000
            assert (await client.get(URL)).status == 504
            assert there.asked == ["a"]
            assert [(one.failures, one.retries) for one in of(gateway)] == [(1, 0), (0, 0)]
            assert await at_rest(gateway)


async def test_budget_of_repetitions(autojump_clock: MockClock) -> None:
    async with farm() as there:
        retries = Retries(share=0.1, reserve=2)
        servers = there.servers("a", "b", retries=retries, ejection=None)
        async with front([Route("/", servers)]) as (client, gateway):
            there.refusing = {"a"}
            statuses = [(await client.get(URL)).status for _ in range(42)]
            # Each second request comes to a: two are repeated from the reserve, and then every tenth of all.
            assert statuses.count(200) + statuses.count(503) == 42
            assert of(gateway)[1].retries == 2 + 4
            assert await at_rest(gateway)


async def test_no_repetition_at_all(autojump_clock: MockClock) -> None:
    async with farm() as there:
        servers = there.servers("a", "b", retries=Retries(attempts=0))
        async with front([Route("/", servers)]) as (client, _):
            there.refusing = {"a"}
            assert [(await client.get(URL)).status for _ in range(4)] == [503, 200, 503, 200]


# -- servers that fail ---------------------------------------------------------------------------------------------


async def test_a_server_that_fails_again_and_again_is_left_alone(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with farm(http1=True) as there:
        ejection = Ejection(failures=2, seconds=10, max_seconds=30)
        servers = there.servers("a", "b", ejection=ejection)
        async with front([Route("/", servers)]) as (client, gateway):
            there.down = {"a"}

            async def failures_of(requests: int) -> int:
                before = of(gateway)[0].failures
                for _ in range(requests):
                    assert (await client.get(URL)).text == "b /"
                return of(gateway)[0].failures - before

            assert await failures_of(10) == 2
            assert [one.healthy for one in of(gateway)] == [False, True]
            for pause in (10, 20, 30, 30):
                await trio.sleep(pause - 1)
                assert await failures_of(10) == 0
                await trio.sleep(1)
                assert of(gateway)[0].healthy
                assert await failures_of(10) == 1
            there.down.clear()
            await trio.sleep(30)
            there.asked.clear()
            for _ in range(4):
                await client.get(URL)
            assert there.asked.count("a") == 2
            there.down = {"a"}
            await trio.sleep(61)  # its idle connection ends
            assert await failures_of(10) == 2
            await trio.sleep(10)
            assert await failures_of(10) == 1
    assert "http://a: left alone for 10 s after 2 failures: ConnectionRefusedError: a is down" in caplog.text
    assert "http://a: answers again" in caplog.text


async def test_a_server_that_was_out_gets_one_request_at_first(autojump_clock: MockClock) -> None:
    async with farm(http1=True) as there:
        servers = there.servers("a", "b", ejection=Ejection(failures=1, seconds=10))
        async with front([Route("/", servers)]) as (client, gateway):
            there.down = {"a"}
            await client.get(URL)
            there.down.clear()
            there.seconds["a"] = there.seconds["b"] = 5
            await trio.sleep(10)
            async with trio.open_nursery() as nursery:
                for _ in range(9):
                    nursery.start_soon(client.get, URL)
                await trio.sleep(1)
                assert [one.running for one in of(gateway)] == [1, 8]
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(client.get, URL)
                await trio.sleep(1)
                assert [one.running for one in of(gateway)] == [4, 4]


async def test_the_last_server_is_never_left_alone(autojump_clock: MockClock) -> None:
    async with farm(http1=True) as there:
        servers = there.servers("a", "b", ejection=Ejection(failures=1, seconds=60), retries=Retries(attempts=0))
        async with front([Route("/", servers)]) as (client, gateway):
            there.down = {"a", "b"}
            for _ in range(4):
                assert (await client.get(URL)).status == 502
            assert [one.healthy for one in of(gateway)] == [False, False]
            there.down.clear()
            assert (await client.get(URL)).status == 200


@pytest.mark.parametrize("counts", [False, True])
async def test_statuses_that_count_as_failures(counts: bool, autojump_clock: MockClock) -> None:
    async with farm() as there:
        ejection = Ejection(failures=2, statuses={503} if counts else ())
        async with front([Route("/", there.servers("a", "b", ejection=ejection))]) as (client, gateway):
            there.statuses["a"] = 503
            statuses = [(await client.get(URL)).status for _ in range(10)]
            assert statuses.count(503) == (2 if counts else 5)
            assert of(gateway)[0].failures == (2 if counts else 0)
            assert of(gateway)[0].last_error == ("status 503" if counts else None)


async def test_clients_that_leave_are_no_failures(autojump_clock: MockClock) -> None:
    async with farm() as there:
        servers = there.servers("a", "b", ejection=Ejection(failures=1))
        async with front([Route("/", servers)]) as (client, gateway):
            there.seconds = {"a": 100, "b": 100}
            for _ in range(4):
                with trio.move_on_after(1):
                    await client.get(URL)
            await trio.sleep(1)
            assert [(one.requests, one.failures, one.healthy) for one in of(gateway)] == [(2, 0, True)] * 2
            assert await at_rest(gateway)


# -- nothing is left -----------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("kind", ["plain", "line", "another", "again"])
async def test_cancelled_anywhere(kind: str, http1: bool, autojump_clock: MockClock) -> None:
    async with farm(http1=http1) as there:
        servers = there.servers("a", "b", max_running=1, max_waiting=1, ejection=None)
        async with front([Route("/", servers)], http1=http1) as (client, gateway):
            there.seconds["b"] = 1

            async def scenario() -> None:
                there.down = {"another": {"a"}, "again": {"a", "b"}}.get(kind, set())
                async with trio.open_nursery() as nursery:
                    for _ in range(3 if kind == "line" else 1):
                        nursery.start_soon(client.get, URL)

            async def after() -> None:
                await trio.sleep(100)  # connections that are idle end, so that they are made anew
                assert await at_rest(gateway)
                there.down.clear()
                assert (await client.get(URL)).status == 200
                await trio.sleep(100)

            assert await sweep_cancellation(scenario, after=after, seeds=[0]) > 10


async def test_many_requests_with_cancellations(autojump_clock: MockClock) -> None:
    seed = 20261201
    requests = 10_000 if "TRIO_H2_FUZZ_SECONDS" in os.environ else 1_000
    chance = random.Random(seed)
    names = ("a", "b", "c")

    async def trouble(there: Farm, gateway: Gateway) -> None:
        while True:
            there.down = {name for name in names if chance.random() < 0.2}
            there.refusing = {name for name in names if chance.random() < 0.3}
            there.statuses = {name: 503 for name in names if chance.random() < 0.2}
            there.seconds = {name: chance.choice((0, 0.01, 0.1, 1)) for name in names}
            await trio.sleep(chance.random() / 10)
            assert all(server.running <= 5 for server in of(gateway))

    async def ask(client: Client, requests: int) -> None:
        for _ in range(requests):
            with trio.move_on_after(chance.choice((0.005, 0.05, 0.5, 100))):
                body = b"" if chance.random() < 0.5 else bytes(chance.randrange(1000))
                response = await client.post(URL, body=body)
                assert response.status in (200, 502, 503, 504)
            await trio.sleep(chance.random() * 0.01)

    async with farm() as there:
        servers = there.servers(
            *names, max_running=5, max_waiting=10, max_wait=0.2, ejection=Ejection(seconds=0.1, statuses={503})
        )
        async with front([Route("/", servers)]) as (client, gateway):
            async with trio.open_nursery() as troubles:
                troubles.start_soon(trouble, there, gateway)
                async with trio.open_nursery() as nursery:
                    for _ in range(40):
                        nursery.start_soon(ask, client, requests // 40)
                troubles.cancel_scope.cancel()
            await trio.sleep(10)
            assert await at_rest(gateway), f"seed {seed}"
            seen = gateway.statistics()
            assert seen.refused
            assert sum(one.retries for one in seen.servers)
