"""Our client, cancelled at every moment of an exchange: the session goes on as if nothing had been."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sweep.exchanges import EXCHANGES, wide_and_narrow
from tests.sweep.harness import (
    goes_on,
    sweep,
    sweep_client,
    with_robot_server,
)

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange
    from trio_h2.testing import SweepRun


@pytest.mark.parametrize(("exchange", "capacity"), wide_and_narrow(EXCHANGES))
async def test_against_our_server(exchange: Exchange, capacity: int | None, autojump_clock: MockClock) -> None:
    await sweep_client(exchange, capacity=capacity)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_against_a_scripted_server(exchange: Exchange, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with with_robot_server() as both:
            async with run:
                await exchange(both.client)
            await goes_on(both)

    await sweep(one_run)
