"""Bodies larger than what is left of the connection's window, cancelled at every moment.

Elsewhere the windows of the streams are what bodies wait for. Here it is the window that all streams share, because
others have used it up: a peer that does not give it back, or a neighbour that nobody reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sweep.exchanges import (
    BIG,
    BURNT,
    HELLO,
    STALLED,
    expect_response,
    hold,
    post,
    read_all,
    upload,
)
from tests.sweep.harness import (
    CLIENT_CONFIG,
    SERVER_CONFIG,
    HandlerCancel,
    next_request,
    pair,
    settle,
    sweep,
    with_robot_client,
    with_robot_server,
)

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange
    from trio_h2 import ClientSession
    from trio_h2.testing import SweepRun

LARGE = 65_535
"""No stream waits for its own window of so many bytes."""
HALF = 32_767
"""The window of a stream that takes half of the connection's."""
WIDE_CLIENT = CLIENT_CONFIG.evolve(stream_window=HALF, peer_max_concurrent_streams=2)
WIDE_SERVER = SERVER_CONFIG.evolve(stream_window=HALF, max_concurrent_streams=2)


@pytest.mark.parametrize("exchange", [post, upload])
async def test_client_whose_server_gives_nothing_back(exchange: Exchange, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with with_robot_server(window=LARGE) as both:
            async with both.client.request("POST", "/burn-up", body=BURNT) as stream:
                await expect_response(stream)
                assert await read_all(stream) == HELLO
            assert both.client.statistics().send_window == LARGE - len(BURNT)
            async with run:
                await exchange(both.client)
            both.check_books()
            await exchange(both.client)  # as large as the one that was cancelled
            await settle()
            both.check_idle()
            assert both.client.statistics().send_window == LARGE - len(BURNT)

    await sweep(one_run)


@pytest.mark.parametrize("path", ["/download", "/echo"])
async def test_handler_whose_client_gives_nothing_back(path: str, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with with_robot_client(window=LARGE) as both:
            burnt = await both.robot.exchange("/burn-down")
            assert burnt.received == BURNT
            cancel = HandlerCancel(both.server, run)
            async with run:
                await both.robot.exchange(path)
            assert cancel.hits <= 1
            both.check_books()
            after = await both.robot.exchange(path)
            assert after.reset is None
            await settle()
            both.check_idle()
            assert both.server.statistics().send_window == LARGE - len(BURNT)

    await sweep(one_run)


async def _big_up(session: ClientSession) -> None:
    async with session.request("POST", "/big-up", body=BIG) as stream:
        await expect_response(stream)
        assert await read_all(stream) == HELLO


async def _big_down(session: ClientSession) -> None:
    async with session.request("GET", "/big-down") as stream:
        await expect_response(stream)
        assert await read_all(stream) == BIG


@pytest.mark.parametrize("exchange", [_big_up, _big_down])
async def test_beside_a_stalled_upload(exchange: Exchange, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with pair(client=WIDE_CLIENT, server=WIDE_SERVER) as both:
            async with both.client.request("POST", "/stall-up", body=STALLED) as stalled:
                await settle()
                assert both.server.statistics().ledger.held == HALF
                async with run:
                    await exchange(both.client)
                both.check_books()
                await settle()
                assert both.server.statistics().ledger.held == HALF
                await next_request(both.client)
                hold.unpark_all()
                await expect_response(stalled)
                assert await read_all(stalled) == HELLO
            await settle()
            both.check_idle()

    await sweep(one_run)


async def test_beside_a_stalled_download(autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with pair(client=WIDE_CLIENT, server=WIDE_SERVER) as both:
            async with both.client.request("GET", "/stall-down") as stalled:
                await settle()
                assert both.client.statistics().ledger.held == HALF
                async with run:
                    await _big_down(both.client)
                both.check_books()
                await settle()
                assert both.client.statistics().ledger.held == HALF
                await next_request(both.client)
                assert await read_all(stalled) == STALLED
            await settle()
            both.check_idle()

    await sweep(one_run)
