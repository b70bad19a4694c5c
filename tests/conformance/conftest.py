"""Fixtures of the conformance tests: our endpoints, with what they receive whole and byte by byte."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
import trio
from trio.testing import MockClock

from tests.conformance.ends import run_client, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from tests.conformance.ends import ClientEnd, End, ServerEnd, Start, StartClient, StartServer

T = TypeVar("T")


def run_without_waiting(
    main: Callable[[], Awaitable[T]], *, clock: trio.abc.Clock | None, instruments: Sequence[trio.abc.Instrument]
) -> T:
    """Runs a test with a clock that jumps; the clock of pytest-trio would have to be named by every test."""
    return trio.run(main, clock=clock or MockClock(autojump_threshold=0), instruments=instruments)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives every test of this folder that clock."""
    for item in items:
        if item.path.parent == Path(__file__).parent and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.trio(run=run_without_waiting))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests whole and byte by byte; those with parameters whole only, unless they ask for both ways."""
    marks = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "feed" in metafunc.fixturenames and "feed" not in marks:
        metafunc.parametrize("feed", ["whole"] if marks else ["whole", "bytes"], indirect=True)


@pytest.fixture
def feed(request: pytest.FixtureRequest) -> str:
    """How our endpoint gets what the peer sends: as it comes, or one byte at a time."""
    return str(request.param)


@pytest.fixture(params=["server", "client"])
def role(request: pytest.FixtureRequest) -> str:
    """Which of our endpoints is tested."""
    return str(request.param)


@pytest.fixture
def start_server(feed: str) -> StartServer:
    """Starts our server with settings of the test's choice."""
    return functools.partial(run_server, feed)


@pytest.fixture
def start_client(feed: str) -> StartClient:
    """Starts our client with settings of the test's choice."""
    return functools.partial(run_client, feed)


@pytest.fixture
def start_taker(feed: str) -> StartClient:
    """Starts our client, which takes pushes."""
    return functools.partial(run_client, feed, push=True)


@pytest.fixture
async def taker(start_taker: StartClient) -> AsyncIterator[ClientEnd]:
    """Our client, which takes pushes, after the handshake."""
    async with start_taker() as ready:
        yield ready


@pytest.fixture
def start(role: str, start_server: StartServer, start_client: StartClient) -> Start:
    """Starts our server, and in another run of the test our client."""
    return start_server if role == "server" else start_client


@pytest.fixture
async def end(start: Start) -> AsyncIterator[End]:
    """Our server, and in another run of the test our client, after the handshake."""
    async with start() as ready:
        yield ready


@pytest.fixture
async def server(start_server: StartServer) -> AsyncIterator[ServerEnd]:
    """Our server after the handshake."""
    async with start_server() as ready:
        yield ready


@pytest.fixture
async def client(start_client: StartClient) -> AsyncIterator[ClientEnd]:
    """Our client after the handshake."""
    async with start_client() as ready:
        yield ready
