"""The blocks themselves, cancelled at every moment: `connect` and all in it, `serve_stream` with its handlers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.sweep.exchanges import BODIES, duplex, handler, plain, trailers, wide_and_narrow
from tests.sweep.harness import CLIENT_CONFIG, SERVER_CONFIG, WINDOW, check_over, sweep, tasks_living
from tests.sweep.robots import RobotServer
from tests.sweep.wirelog import CLIENT, SERVER, WireLog
from trio_h2 import ClientSession, ServerSession, SessionError, StreamError, connect, serve_stream
from trio_h2.testing import memory_transports

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange
    from trio_h2.testing import SweepRun


@pytest.mark.parametrize(("exchange", "capacity"), wide_and_narrow([plain, duplex, trailers]))
async def test_connect_to_our_server(exchange: Exchange, capacity: int | None, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        log = WireLog()
        left, right = memory_transports(capacity)
        sessions: list[ClientSession | ServerSession] = []
        async with trio.open_nursery() as nursery:
            serve = partial(serve_stream, handler, log.tap(right, SERVER), config=SERVER_CONFIG)
            sessions.append(await nursery.start(serve))
            async with (
                run,
                connect("http://localhost", transport=log.tap(left, CLIENT), config=CLIENT_CONFIG) as session,
            ):
                sessions.append(session)
                await exchange(session)
        assert tasks_living() == tasks
        for ended in sessions:
            check_over(ended)
        # Said goodbye even when it was cancelled at once, unless it never began.
        assert log.goaways(CLIENT) == [0] * (len(sessions) - 1)
        log.check(BODIES)

    await sweep(one_run)


@pytest.mark.parametrize("exchange", [plain, trailers])
async def test_connect_to_a_scripted_server(exchange: Exchange, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        log = WireLog()
        left, right = memory_transports()
        sessions: list[ClientSession] = []
        async with trio.open_nursery() as nursery:
            robot = RobotServer(log.tap(right, SERVER), window=WINDOW, max_streams=1)
            nursery.start_soon(robot.run)
            async with (
                run,
                connect("http://localhost", transport=log.tap(left, CLIENT), config=CLIENT_CONFIG) as session,
            ):
                sessions.append(session)
                await exchange(session)
        assert robot.saw_end
        assert tasks_living() == tasks
        for ended in sessions:
            check_over(ended)
        assert log.goaways(CLIENT) == [0] * len(sessions)
        log.check(BODIES)

    await sweep(one_run)


@pytest.mark.parametrize(
    ("exchange", "on_session"), [(plain, False), (plain, True), (duplex, False), (trailers, False)]
)
async def test_serve_stream(exchange: Exchange, on_session: bool, autojump_clock: MockClock) -> None:
    """With a hook that takes its time: requests wait for it, and must not be left waiting."""

    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        log = WireLog()
        left, right = memory_transports()
        sessions: list[ClientSession | ServerSession] = []
        finished = False

        async def hook(session: ServerSession) -> None:
            sessions.append(session)
            if on_session:
                await trio.sleep(1)

        async def client() -> None:
            nonlocal finished
            transport = log.tap(left, CLIENT)
            async with connect("http://localhost", transport=transport, config=CLIENT_CONFIG) as session:
                sessions.append(session)
                try:
                    await exchange(session)
                    finished = True
                except* (StreamError, SessionError):
                    pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            async with run:
                await serve_stream(handler, log.tap(right, SERVER), config=SERVER_CONFIG, on_session=hook)
        assert tasks_living() == tasks
        for ended in sessions:
            check_over(ended)
        log.check(BODIES, may_refuse=True)
        if run.where is None:
            assert finished
        elif not finished:
            # Cut, but not without a word.
            assert log.goaways(SERVER)

    await sweep(one_run)
