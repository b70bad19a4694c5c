"""Trailers without a body and behind a blocked one, both ways, cancelled at every moment on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sweep.exchanges import bare_trailers, blocked_trailers, trailers
from tests.sweep.harness import sweep_client, sweep_handler

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange

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
    await sweep_client(exchange, capacity=capacity, more_than=points)


@pytest.mark.parity("C6", "D2", "D5")
@pytest.mark.parametrize(("exchange", "capacity", "points"), _EXCHANGES)
async def test_cancelled_handlers(
    exchange: Exchange, capacity: int | None, points: int, autojump_clock: MockClock
) -> None:
    assert await sweep_handler(exchange, capacity=capacity, more_than=points) > points // 2
