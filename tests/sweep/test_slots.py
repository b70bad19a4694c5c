"""Requests that wait for a stream, because the server allows one at a time, cancelled at every moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.sweep.exchanges import (
    HELLO,
    download,
    expect_response,
    hold,
    plain,
    post,
    read_all,
    trailers,
    upload,
)
from tests.sweep.harness import (
    SERVER_CONFIG,
    goes_on,
    next_request,
    pair,
    settle,
    sweep,
    with_robot_server,
)

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange
    from trio_h2 import ClientSession
    from trio_h2.testing import SweepRun

ONE_STREAM = SERVER_CONFIG.evolve(max_concurrent_streams=1)


async def _wait_in_line(session: ClientSession, let_go: trio.Event) -> None:
    """Two requests queue up behind one that has the only slot; then that one ends."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plain, session)
        nursery.start_soon(upload, session)
        while session.statistics().waiting_for_slot < 2:
            await trio.lowlevel.checkpoint()
        let_go.set()


async def _hold_and_sweep(session: ClientSession, run: SweepRun, let_go: trio.Event) -> None:
    async with session.request("GET", "/hold") as holder:
        await settle()
        async with run:
            await _wait_in_line(session, let_go)
        assert session.statistics().waiting_for_slot == 0
        let_go.set()
        await expect_response(holder)
        assert await read_all(holder) == HELLO


async def test_line_in_front_of_our_server(autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        let_go = trio.Event()

        async def release() -> None:
            await let_go.wait()
            hold.unpark_all()

        async with pair(server=ONE_STREAM, may_refuse=True) as both, trio.open_nursery() as nursery:
            nursery.start_soon(release)
            await _hold_and_sweep(both.client, run, let_go)
            both.check_books()
            # A slot is free when the handler has ended, not yet when the client's RST_STREAM says so: until then our
            # server refuses the next stream, if one was opened just before that was cancelled, too.
            await settle()
            await next_request(both.client)
            await settle()
            both.check_idle(may_refuse=True)

    await sweep(one_run)


async def test_line_in_front_of_a_scripted_server(autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        let_go = trio.Event()

        async with with_robot_server(max_streams=1) as both, trio.open_nursery() as nursery:

            async def release() -> None:
                await let_go.wait()
                await both.robot.let_go()

            nursery.start_soon(release)
            await _hold_and_sweep(both.client, run, let_go)
            await goes_on(both)

    await sweep(one_run)


@pytest.mark.parametrize("holder", [post, download, trailers])
async def test_the_slot_of_a_cancelled_request_goes_to_the_next(holder: Exchange, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with with_robot_server(max_streams=1) as both:
            async with trio.open_nursery() as nursery:
                async with run:
                    nursery.start_soon(plain, both.client)
                    nursery.start_soon(plain, both.client)
                    await holder(both.client)  # whose first step puts it in front
                both.check_books()
                await next_request(both.client)  # behind those that wait
            both.check_idle()

    await sweep(one_run)


@pytest.mark.parametrize("exchange", [post, trailers])
async def test_several_share_one_slot(exchange: Exchange, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with with_robot_server(max_streams=1) as both:
            async with run, trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(exchange, both.client)
            await goes_on(both)

    await sweep(one_run)
