"""A client whose requests are cancelled at every moment: nothing is left behind, and the next request works."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.client.network import network, ours
from tests.client.proxying import Http1Proxy
from trio_h2 import Client, H2Error, Proxy, Retry
from trio_h2.testing import sweep_cancellation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

URL = "http://a.example"


async def _echo(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, end_stream=False)
    async for piece in stream:
        await stream.send_all(piece)
        await trio.sleep(0.01)


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield b"piece"
        await trio.sleep(0.01)


@pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])
@pytest.mark.parametrize("fresh", [False, True], ids=["second request", "first request"])
async def test_cancelled_at_every_checkpoint(fresh: bool, http1: bool, autojump_clock: MockClock) -> None:
    async with network(ours(_echo, http1=True)) as made:
        clients: list[Client] = []

        async def scenario() -> None:
            client = clients[-1]
            response = await client.fetch("POST", URL, body=_pieces())
            assert response.content == b"piece" * 3

        async def after() -> None:
            client = clients[-1]
            await trio.sleep(0.1)
            assert (client.statistics().requests, client.statistics().waiting) == (0, 0)
            assert (await client.fetch("POST", URL, body=b"again")).content == b"again"
            for session in client.sessions:
                ledger = session.statistics().ledger
                assert ledger.received == ledger.taken + ledger.discarded + ledger.held

        async def whole() -> None:
            async with Client(transport=made, prior_knowledge=not http1) as client:
                clients.append(client)
                if not fresh:
                    await client.get(URL)
                await scenario()
                await after()

        if fresh:
            assert await sweep_cancellation(whole) > 20
        else:
            async with Client(transport=made, prior_knowledge=not http1) as client:
                clients.append(client)
                await client.get(URL)
                assert await sweep_cancellation(scenario, after=after) > 10


@pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])
async def test_ten_thousand_requests_with_random_cancels(http1: bool, autojump_clock: MockClock) -> None:
    chance = random.Random(12)

    async def answer(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(0.01)
        await stream.respond(200, body=bytes(3000))

    done = cancelled = 0

    async def worker(client: Client, count: int) -> None:
        nonlocal done, cancelled
        for _ in range(count):
            with trio.move_on_after(chance.choice((0.0, 0.005, 0.011, 1.0, 1.0, 1.0))) as scope:
                response = await client.get(f"http://{chance.choice('abc')}.example")
                assert len(response.content) == 3000
                done += 1
            cancelled += scope.cancelled_caught

    async with (
        network(ours(answer, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, max_sessions=20) as client,
    ):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(worker, client, 100 if not http1 else 60)
        await trio.sleep(1)
        statistics = client.statistics()
        assert (statistics.requests, statistics.waiting, statistics.opening) == (0, 0, 0)
        assert statistics.connections <= 20
        assert all(session.statistics().open_streams == 0 for session in client.sessions)
        assert done > 1000
        assert cancelled > 300
        await trio.sleep(61)
        assert client.statistics().connections == 0


@pytest.mark.timeout(300)  # for slow machines
@pytest.mark.parametrize("through", ["nothing", "1.1", "2"])
async def test_ten_thousand_requests_with_cancels_and_failures(through: str, autojump_clock: MockClock) -> None:
    """Connects fail, servers leave, lose connections and refuse streams, and proxies refuse tunnels."""
    chance = random.Random(1012)
    answered = 0

    async def answer(stream: trio_h2.ServerStream) -> None:
        nonlocal answered
        await trio.sleep(0.01)
        if (dice := chance.random()) < 0.01:
            await stream.session.goaway()
        elif dice < 0.02:
            stream.session.destroy()
            return
        elif dice < 0.04:
            stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)
            return
        answered += 1
        await stream.respond(200, body=bytes(3000))

    async def tunnel(stream: trio_h2.ServerStream) -> None:
        if chance.random() < 0.1:
            await stream.respond(chance.choice((403, 502)))
        else:
            await stream.respond(200, end_stream=False)
            await ours(answer)(stream)

    async def http1_proxy(transport: trio.abc.Stream) -> None:
        status = b"502 Bad" if chance.random() < 0.1 else b"200 OK"
        await Http1Proxy(ours(answer), b"HTTP/1.1 " + status + b"\r\n\r\n")(transport)

    serve = {"nothing": ours(answer), "1.1": http1_proxy, "2": ours(tunnel)}[through]
    done = cancelled = failed = 0

    async def worker(client: Client, count: int) -> None:
        nonlocal done, cancelled, failed
        for _ in range(count):
            with trio.move_on_after(chance.choice((0.0, 0.005, 0.011, 1.0, 1.0, 1.0))) as scope:
                try:
                    response = await client.get(f"http://{chance.choice('abc')}.example")
                except (OSError, H2Error):
                    failed += 1
                else:
                    assert len(response.content) == 3000
                    done += 1
            cancelled += scope.cancelled_caught

    async with network(serve) as made:

        async def dial(origin: str) -> trio.abc.Stream:
            await trio.sleep(0.001)
            if chance.random() < 0.2:
                raise ConnectionRefusedError("by chance")
            return await made(origin)

        proxy = None if through == "nothing" else Proxy("http://proxy.example", http2=through == "2")
        retry = Retry(backoff=0.01)
        async with Client(transport=dial, prior_knowledge=True, proxy=proxy, max_sessions=20, retry=retry) as client:
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(worker, client, 200 if through == "nothing" else 70)
            await trio.sleep(1)
            statistics = client.statistics()
            assert (statistics.requests, statistics.waiting, statistics.opening) == (0, 0, 0)
            assert all(session.statistics().open_streams == 0 for session in client.sessions)
            for session in client.sessions:
                ledger = session.statistics().ledger
                assert ledger.received == ledger.taken + ledger.discarded + ledger.held
            assert done > 1000
            assert cancelled > 300
            assert failed > 10
            assert answered >= done
            await trio.sleep(130)
            assert client.statistics().connections == 0
            assert made.open == 0  # sessions with the proxy are closed as well
