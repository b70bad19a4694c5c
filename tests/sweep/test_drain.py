"""`aclose` of a session and of a server, cancelled at every moment: whatever happens, all of it ends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.sweep.exchanges import BODIES, HELLO, expect_response, handler, hold, plain, read_all, trailers
from tests.sweep.harness import (
    CLIENT_CONFIG,
    SERVER_CONFIG,
    MemoryListener,
    check_over,
    pair,
    sweep,
    tasks_living,
    with_robot_client,
    with_robot_server,
)
from tests.sweep.wirelog import CLIENT, SERVER, WireLog
from trio_h2 import SessionError, StreamError, connect, serve_listeners

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2 import ClientSession
    from trio_h2.testing import SweepRun

GRACE = 5.0
ENDED_UNDER_IT = (StreamError, SessionError, trio.ClosedResourceError)
"""What an exchange may see when its session is closed under it."""


class Exchanges:
    """Two exchanges under way while a session drains: one that ends by itself, and one whose handler waits.

    Attributes:
        finished: How many have come to their proper end.
    """

    def __init__(self, *, let_go: bool) -> None:
        self.finished = 0
        self._let_go = let_go

    async def run(self, session: ClientSession) -> None:
        """Begins both and ends the second a second later, or never."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._trailers, session)
            nursery.start_soon(self._hold, session)
            if self._let_go:
                await trio.sleep(1)
                hold.unpark_all()

    async def _trailers(self, session: ClientSession) -> None:
        try:
            await trailers(session)
        except ENDED_UNDER_IT:
            return
        self.finished += 1

    async def _hold(self, session: ClientSession) -> None:
        try:
            async with session.request("GET", "/hold") as stream:
                await expect_response(stream)
                assert await read_all(stream) == HELLO
        except ENDED_UNDER_IT:
            return
        self.finished += 1


@pytest.mark.parametrize("let_go", [True, False], ids=["in-time", "too-late"])
@pytest.mark.parametrize("side", [CLIENT, SERVER])
async def test_session(side: str, let_go: bool, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        exchanges = Exchanges(let_go=let_go)
        async with pair() as both:
            session = both.client if side == CLIENT else both.server
            async with trio.open_nursery() as nursery:
                nursery.start_soon(exchanges.run, both.client)
                await _until_both_are_open(both.client)
                async with run:
                    await session.aclose(GRACE)
                await session.wait_closed()
                both.check_books()
            assert both.log.goaways(side)
            check_over(session)
        if run.where is None:
            assert exchanges.finished == (2 if let_go else 1)

    await sweep(one_run)


async def _until_both_are_open(session: ClientSession) -> None:
    while session.statistics().open_streams < 2:
        await trio.lowlevel.checkpoint()


async def test_client_with_a_scripted_server(autojump_clock: MockClock) -> None:
    """The request for /hold is never answered."""

    async def one_run(run: SweepRun) -> None:
        exchanges = Exchanges(let_go=False)
        async with with_robot_server() as both, trio.open_nursery() as nursery:
            nursery.start_soon(exchanges.run, both.client)
            await _until_both_are_open(both.client)
            async with run:
                await both.client.aclose(GRACE)
            await both.client.wait_closed()
        if run.where is None:
            assert exchanges.finished == 1

    await sweep(one_run)


@pytest.mark.parametrize("path", ["/hold", "/download", "/upload"])
async def test_server_with_a_scripted_client(path: str, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with with_robot_client() as both:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(both.robot.ask_and_read_to_end, path)
                for _ in range(3):  # the request arrives, and does not end
                    await trio.lowlevel.checkpoint()
                async with run:
                    await both.server.aclose(GRACE)
                await both.server.wait_closed()
            assert both.robot.saw_end

    await sweep(one_run)


@pytest.mark.parametrize("let_go", [True, False], ids=["in-time", "too-late"])
async def test_server(let_go: bool, autojump_clock: MockClock) -> None:
    """A server with two connections, one of which is idle."""

    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        exchanges = Exchanges(let_go=let_go)
        logs = [WireLog(), WireLog()]
        sessions: list[ClientSession] = []
        listener = MemoryListener()

        async def client(log: WireLog, work: Exchanges | None) -> None:
            transport = log.tap(listener.connect(log), CLIENT)
            async with connect("http://localhost", transport=transport, config=CLIENT_CONFIG) as session:
                sessions.append(session)
                if work is not None:
                    await work.run(session)
                else:
                    await session.wait_draining()

        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_listeners, handler, [listener], config=SERVER_CONFIG))
            nursery.start_soon(client, logs[0], exchanges)
            nursery.start_soon(client, logs[1], None)
            while len(server.sessions) < 2 or len(sessions) < 2:
                await trio.lowlevel.checkpoint()
            theirs = server.sessions
            async with run:
                await server.aclose(GRACE)
        assert tasks_living() == tasks
        assert not server.sessions
        for session in (*sessions, *theirs):
            check_over(session)
        for log in logs:
            assert log.goaways(SERVER)
            log.check(BODIES)
        if run.where is None:
            assert exchanges.finished == (2 if let_go else 1)

    await sweep(one_run)


async def test_a_request_that_comes_while_the_server_drains(autojump_clock: MockClock) -> None:
    """Between the two GOAWAYs a new stream is still served; if the drain is cancelled then, it ends with an error."""

    async def one_run(run: SweepRun) -> None:
        served = 0

        async def ask(session: ClientSession) -> None:
            nonlocal served
            try:
                await plain(session)
            except ENDED_UNDER_IT:
                return
            served += 1

        async with pair() as both, trio.open_nursery() as nursery:
            async with run:
                nursery.start_soon(ask, both.client)
                await both.server.aclose(GRACE)
            await both.server.wait_closed()
        if run.where is None:
            assert served == 1

    await sweep(one_run)
