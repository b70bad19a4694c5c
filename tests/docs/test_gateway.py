"""A gateway in front of applications: docs/gateway.md. Its file of routes is read in tests/cli."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gateway_program

from trio_h2.gateway import Ejection, Gateway, HealthCheck, Retries, Servers

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock


async def test_the_program(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with Gateway(gateway_program.routes(str(tmp_path))) as gateway:
        assert gateway_program.healthy(gateway) == ["http://localhost:3000", "http://localhost:3001"]


def test_the_defaults_that_the_page_tells() -> None:
    servers, ejection, check, retries = Servers("http://a"), Ejection(), HealthCheck(), Retries()
    assert (servers.max_running, servers.max_waiting, servers.max_wait) == (256, 1024, 10)
    assert (ejection.failures, ejection.seconds, ejection.max_seconds) == (3, 1, 60)
    assert check.interval == 5
    assert retries.share < 1
