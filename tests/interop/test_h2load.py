"""h2load against our server: many requests over several sessions at once, and not one may fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import trio

from tests.interop.app import HELLO
from tests.interop.bodies import body
from tests.interop.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.conftest import OurServer
    from tests.interop.processes import PeerFinder

REQUESTS = 20_000
CLIENTS = 10


@pytest.fixture
def h2load(peers: PeerFinder) -> str:
    return peers.program("h2load")


def check_report(report: str, requests: int) -> int:
    """Asserts that all requests succeeded; returns the bytes of their bodies."""
    counts = re.search(r"^requests: (.*)$", report, re.MULTILINE)
    assert counts is not None, report
    assert counts[1] == (
        f"{requests} total, {requests} started, {requests} done, {requests} succeeded, 0 failed, 0 errored, 0 timeout"
    )
    assert f"status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx" in report
    data = re.search(r"\((\d+)\) data$", report, re.MULTILINE)
    assert data is not None, report
    return int(data[1])


async def test_twenty_thousand_requests(h2load: str, server: OurServer) -> None:
    done = await run(h2load, "-n", str(REQUESTS), "-c", str(CLIENTS), "-m", "100", f"{server.url}/hello")
    assert check_report(done.text, REQUESTS) == REQUESTS * len(HELLO)
    assert f"Application protocol: {'h2' if server.tls else 'h2c'}\n" in done.text
    assert len(server.sessions) == CLIENTS
    with trio.fail_after(10):
        for session in server.sessions:
            await session.wait_closed()


async def test_uploads(h2load: str, server: OurServer, tmp_path: Path) -> None:
    """Every upload is echoed, in full, through 10 sessions with 20 streams each."""
    file = tmp_path / "body"
    file.write_bytes(body(50_000))
    done = await run(h2load, "-n", "1000", "-c", str(CLIENTS), "-m", "20", f"--data={file}", f"{server.url}/echo")
    assert check_report(done.text, 1000) == 1000 * 50_000


async def test_small_windows(h2load: str, server: OurServer) -> None:
    """100 streams share a session window of 64 KiB, each with 1 KiB of its own."""
    done = await run(h2load, "-n", "500", "-c", "2", "-m", "100", "-w", "10", "-W", "16", f"{server.url}/bytes/20000")
    assert check_report(done.text, 500) == 500 * 20_000
