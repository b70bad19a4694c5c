"""Trailers without a body and behind a blocked one, both ways, cancelled at every moment on either side."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.sweep.exchanges import bare_trailers, blocked_trailers, trailers
from tests.sweep.harness import HandlerCancel, next_request, pair, settle, sweep
from trio_h2 import StreamResetError

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange
    from trio_h2.testing import SweepRun

_EXCHANGES = [
    pytest.param(bare_trailers, None, 20, id="bare"),
    pytest.param(blocked_trailers, None, 50, id="blocked"),
    pytest.param(blocked_trailers, 37, 90, id="blocked-narrow"),
    pytest.param(trailers, 37, 40, id="body-narrow"),
]


@pytest.mark.parity("C6", "C7", "D5")
@pytest.mark.parametrize(("exchange", "capacity", "points"), _EXCHANGES)
async def test_cancelled_clients(
    exchange: Exchange, capacity: int | None, points: int, autojump_clock: MockClock
) -> None:
    async def one_run(run: SweepRun) -> None:
        async with pair(capacity=capacity) as both:
            async with run:
                await exchange(both.client)
            both.check_books()
            await next_request(both.client)
            await settle()
            both.check_idle()

    await sweep(one_run, more_than=points)


@pytest.mark.parity("C6", "D2", "D5")
@pytest.mark.parametrize(("exchange", "capacity", "points"), _EXCHANGES)
async def test_cancelled_handlers(
    exchange: Exchange, capacity: int | None, points: int, autojump_clock: MockClock
) -> None:
    hits = 0

    async def one_run(run: SweepRun) -> None:
        nonlocal hits
        async with pair(capacity=capacity) as both:
            cancel = HandlerCancel(both.server, run)
            async with run:
                with contextlib.suppress(StreamResetError):
                    await exchange(both.client)
            hits += cancel.hits
            both.check_books()
            await next_request(both.client)
            await settle()
            both.check_idle()

    await sweep(one_run, more_than=points)
    assert hits > points // 2
