"""The client, the target or the proxy's session are killed at every moment of a tunnel's life: nothing is left behind.

The session is in memory, the target is a real TCP server, so that there are real sockets to be left behind.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.stream.harness import check_open, check_over
from tests.sweep.harness import tasks_living
from tests.tunnel.killer import KillerScope
from tests.tunnel.targets import HERE, Target, open_files, read_all, reset, target
from trio_h2.testing import CancellationSweep, session_pair
from trio_h2.tunnel import ConnectProxy, TunnelRefusedError, open_tunnel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from trio.testing import MockClock

    from trio_h2.testing import SweepRun

    Kill = Callable[["Scene"], object]

WINDOW = 64
WORDS = bytes(range(130))
SERVER = trio_h2.ServerConfig(stream_window=WINDOW, receive_budget=65_535, max_concurrent_streams=4)
CLIENT = trio_h2.ClientConfig(stream_window=WINDOW, receive_budget=65_535)

pytestmark = pytest.mark.parity("L1")


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What breaks outside is nobody's error here: nothing above INFO may be logged."""
    yield
    assert [r.getMessage() for r in caplog.get_records("call") if r.levelno > logging.INFO] == []


class Scene:
    """A tunnel with all that belongs to it."""

    def __init__(
        self, client: trio_h2.ClientSession, server: trio_h2.ServerSession, proxy: ConnectProxy, place: Target
    ) -> None:
        self.client = client
        self.server = server
        self.proxy = proxy
        self.place = place

    async def talk(self) -> None:
        """Opens a tunnel and has the target echo some words, with an end on each side."""
        async with open_tunnel(self.client, self.place.authority) as stream, trio.open_nursery() as nursery:

            async def send() -> None:
                await stream.send_all(WORDS)
                await stream.send_eof()

            nursery.start_soon(send)
            assert await read_all(stream) == WORDS


@contextlib.asynccontextmanager
async def scene() -> AsyncGenerator[Scene, None]:
    """Makes everything anew; leaving the block takes it down, and checks that nothing is left."""
    files, tasks = open_files(), tasks_living()
    proxy = ConnectProxy(HERE)

    async def echo(stream: trio.SocketStream) -> None:
        async with stream:
            async for chunk in stream:
                await stream.send_all(chunk)
            await stream.send_eof()

    async with (
        target(echo) as place,
        session_pair(proxy, client_config=CLIENT, server_config=SERVER) as (client, server),
    ):
        yield Scene(client, server, proxy, place)
        await trio.sleep(SERVER.linger_timeout + 1)
        assert proxy.statistics().open == 0
        check_open(client)
        check_open(server)
    for session in (client, server):
        check_over(session)
    assert tasks_living() == tasks
    assert open_files() <= files


async def sweep(one_run: Callable[[SweepRun, Scene], Awaitable[None]]) -> None:
    moments = CancellationSweep(seeds=(0,))
    for run in moments:
        try:
            with trio.fail_after(3000):
                async with scene() as it:
                    await one_run(run, it)
        except Exception as exc:
            exc.add_note(run.describe())
            raise
    assert moments.points > 40


async def test_the_client_is_cancelled(autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun, it: Scene) -> None:
        async with run:
            await it.talk()
        await it.talk()  # the session is as good as before

    await sweep(one_run)


def the_target_resets(it: Scene) -> None:
    for connection in it.place.connections:
        if connection.socket.fileno() != -1:
            reset(connection)


def the_session_breaks(it: Scene) -> None:
    it.server.destroy()


def the_client_loses_its_session(it: Scene) -> None:
    it.client.destroy()


def the_stream_is_reset(it: Scene) -> None:
    for stream in list(it.client._core.streams.values()):
        stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR, trio_h2.Initiator.LOCAL, "the stream was reset on this side")


def the_handler_is_cancelled(it: Scene) -> None:
    for stream in list(it.server._core.handlers):
        stream.cancel()


@pytest.mark.parametrize(
    "kill",
    [
        the_target_resets,
        the_session_breaks,
        the_client_loses_its_session,
        the_stream_is_reset,
        the_handler_is_cancelled,
    ],
)
async def test_something_is_killed(kill: Kill, autojump_clock: MockClock) -> None:
    broken = 0

    async def one_run(run: SweepRun, it: Scene) -> None:
        nonlocal broken
        scope = KillerScope(run)
        async with trio.open_nursery() as nursery:

            async def killer() -> None:
                await scope.moment.wait()
                kill(it)

            nursery.start_soon(killer)
            async with run:
                try:
                    await it.talk()
                except* (trio.BrokenResourceError, trio.ClosedResourceError, TunnelRefusedError):
                    broken += 1
            nursery.cancel_scope.cancel()
        if not it.client.destroyed and not it.server.destroyed:
            await it.talk()

    await sweep(one_run)
    assert broken > 20
