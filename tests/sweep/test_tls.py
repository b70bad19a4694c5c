"""TLS, cancelled at every moment of its handshake and after it, on either side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.sweep.exchanges import handler, plain
from tests.sweep.harness import CLIENT_CONFIG, SERVER_CONFIG, MemoryListener, check_over, sweep, tasks_living
from trio_h2 import ClientSession, Server, SessionError, StreamError, connect, serve_listeners
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    import ssl

    from trio.testing import MockClock

    from trio_h2.testing import SweepRun


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    """Whom both sides trust."""
    return ThrowawayAuthority()


async def _connect_and_ask(listener: MemoryListener, context: ssl.SSLContext, sessions: list[ClientSession]) -> None:
    transport = listener.connect()
    block = connect("https://localhost", transport=transport, ssl_context=context, config=CLIENT_CONFIG)
    async with block as session:
        sessions.append(session)
        await plain(session)


async def test_connect(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    """Whatever becomes of a client, the server serves the next one."""
    ours, theirs = authority.client_context(), authority.server_context()

    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        listener = MemoryListener()
        sessions: list[ClientSession] = []
        async with trio.open_nursery() as nursery:
            serve = partial(serve_listeners, handler, [listener], ssl_context=theirs, config=SERVER_CONFIG)
            server: Server = await nursery.start(serve)
            async with run:
                await _connect_and_ask(listener, ours, sessions)
            await _connect_and_ask(listener, ours, sessions)
            with trio.fail_after(10):
                await server.aclose()
            assert not server._handshakes
            assert not server.sessions
        assert tasks_living() == tasks
        for session in sessions:
            check_over(session)

    await sweep(one_run)


async def test_serve(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    """Whatever becomes of a server, its client hears of it, and nothing is left."""
    ours, theirs = authority.client_context(), authority.server_context()

    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        listener = MemoryListener()
        servers: list[Server] = []
        sessions: list[ClientSession] = []
        finished = False

        class Started(trio.TaskStatus[Server]):
            def started(self, value: Server | None = None) -> None:
                assert value is not None
                servers.append(value)

        async def client() -> None:
            nonlocal finished
            try:
                await _connect_and_ask(listener, ours, sessions)
                finished = True
            except (SessionError, StreamError):
                pass
            for server in servers:
                server.shutdown()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            async with run:
                await serve_listeners(
                    handler, [listener], ssl_context=theirs, config=SERVER_CONFIG, task_status=Started()
                )
        assert tasks_living() == tasks
        for server in servers:
            assert not server._handshakes
            assert not server.sessions
        for session in sessions:
            check_over(session)
        if run.where is None:
            assert finished

    await sweep(one_run)
