"""Our server's handlers, cancelled through their streams at every moment: the client hears of it, the session goes on.

The moments are those of the whole exchange, from before the request is sent, so a handler is also cancelled before its
first step and while its last bytes wait for the writer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sweep import exchanges
from tests.sweep.exchanges import BODIES, EXCHANGES, HELLO, TRAILERS, wide_and_narrow
from tests.sweep.harness import (
    HandlerCancel,
    settle,
    sweep,
    sweep_handler,
    with_robot_client,
)
from tests.sweep.wirelog import CANCEL, NO_ERROR

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange
    from trio_h2.testing import SweepRun

LONG_EXCHANGES = [exchange for exchange in EXCHANGES if exchange not in (exchanges.plain, exchanges.early)]
"""Those whose handlers have something to wait for."""


@pytest.mark.parametrize(("exchange", "capacity"), wide_and_narrow(LONG_EXCHANGES))
async def test_against_our_client(exchange: Exchange, capacity: int | None, autojump_clock: MockClock) -> None:
    assert await sweep_handler(exchange, capacity=capacity) > 30


@pytest.mark.parametrize("path", ["/upload", "/download", "/echo", "/trailers", "/early"])
async def test_against_a_scripted_client(path: str, autojump_clock: MockClock) -> None:
    hits = 0

    async def one_run(run: SweepRun) -> None:
        nonlocal hits
        async with with_robot_client() as both:
            cancel = HandlerCancel(both.server, run)
            async with run:
                line = await both.robot.exchange(path)
            hits += cancel.hits
            both.check_books()
            assert line.reset in (None, NO_ERROR, CANCEL)
            if line.reset != CANCEL:
                assert line.status == 200
                assert line.received == BODIES[path][1]
                assert path != "/trailers" or line.trailers == TRAILERS
            after = await both.robot.exchange("/plain")
            assert after.status == 200
            assert after.received == HELLO
            await settle()
            both.check_idle()

    await sweep(one_run)
    assert hits > (10 if path == "/early" else 30)
