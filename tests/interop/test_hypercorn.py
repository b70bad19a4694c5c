"""Our client against hypercorn over TLS, which runs an ASGI application on Trio or on asyncio."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.interop.bodies import MIB, body, sha256
from tests.interop.fetching import checked_session, download_sum, echo_sum, fetch
from tests.interop.processes import running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import trio_h2
    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["trio", "asyncio"])
async def session(
    request: pytest.FixtureRequest, peers: PeerFinder, tls_files: TlsFiles
) -> AsyncGenerator[trio_h2.ClientSession, None]:
    if importlib.util.find_spec("hypercorn") is None:
        peers.missing("the library hypercorn is not installed")
    command = [
        *(sys.executable, "-m", "hypercorn", "--bind", "127.0.0.1:0", "--worker-class", str(request.param)),
        *("--certfile", str(tls_files.certificate), "--keyfile", str(tls_files.key), "tests.interop.asgi_app:app"),
    ]
    async with running(*command, cwd=ROOT) as program:
        port = (await program.wait_for(r"Running on https://127\.0\.0\.1:(\d+)"))[1]
        async with checked_session(f"https://127.0.0.1:{port}", tls_files) as session:
            yield session


async def test_get(session: trio_h2.ClientSession) -> None:
    response = await fetch(session, "/")
    assert (response.status, response.body) == (200, b"from hypercorn\n")
    assert response.headers["x-version"] == "2"


async def test_upload_is_echoed(session: trio_h2.ClientSession) -> None:
    sent = body(300_000)
    assert (await fetch(session, "/echo", method="POST", body=sent)).body == sent


async def test_large_upload_is_echoed(session: trio_h2.ClientSession) -> None:
    assert await echo_sum(session, "/echo", 10 * MIB) == (10 * MIB, sha256(10 * MIB))


async def test_large_download(session: trio_h2.ClientSession) -> None:
    assert await download_sum(session, f"/bytes/{50 * MIB}") == (50 * MIB, sha256(50 * MIB))


async def test_more_requests_than_the_server_takes_at_a_time(session: trio_h2.ClientSession) -> None:
    sums: dict[int, tuple[int, str]] = {}

    async def get(length: int) -> None:
        sums[length] = await download_sum(session, f"/bytes/{length}")

    async with trio.open_nursery() as nursery:
        for n in range(300):
            nursery.start_soon(get, n * 100)
    assert sums == {n * 100: (n * 100, sha256(n * 100)) for n in range(300)}


async def test_download_given_up(session: trio_h2.ClientSession) -> None:
    async with session.request("GET", f"/bytes/{50 * MIB}") as stream:
        await stream.receive_some()
    assert (await fetch(session, "/")).status == 200
