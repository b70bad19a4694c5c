"""How a server ends: draining, cutting, and being cancelled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.net.serving import MemoryListener, forever, get, hello
from trio_h2 import (
    ErrorCode,
    Server,
    ServerConfig,
    ServerSession,
    StreamResetError,
    connect,
    serve_listeners,
    serve_tcp,
)
from trio_h2.testing import (
    GoAwayFrame,
    ScriptedPeer,
    ThrowawayAuthority,
)

if TYPE_CHECKING:
    import ssl

    from trio_h2 import ServerStream


@pytest.fixture(scope="session")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


@pytest.mark.parity("F4")
async def test_shutdown_lets_everything_finish(autojump_clock: object) -> None:
    listener = MemoryListener()
    go = trio.Event()
    done: list[str] = []

    async def handler(stream: ServerStream) -> None:
        await go.wait()
        await stream.respond(body=b"done")

    async def serve(*, task_status: trio.TaskStatus[Server]) -> None:
        await serve_listeners(handler, [listener], task_status=task_status)
        done.append("served")

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        async with ScriptedPeer(listener.connect(), client=True) as peer:
            await peer.handshake()
            await peer.request()
            await peer.ping()
            server.shutdown()
            server.shutdown()
            await peer.expect_goaway(last_stream_id=2**31 - 1)
            await peer.expect_goaway(last_stream_id=1)
            assert listener.closed
            assert not done
            assert [session.draining for session in server.sessions] == [True]
            go.set()
            await peer.expect_headers(1)
            assert await peer.collect_body(1) == b"done"
            await peer.expect_eof()
    assert done == ["served"]
    assert server.sessions == []


@pytest.mark.parity("F4")
async def test_aclose_cuts_after_the_grace(autojump_clock: object) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            partial(serve_listeners, forever, [listener], config=ServerConfig(drain_timeout=6))
        )
        async with ScriptedPeer(listener.connect(), client=True) as peer:
            await peer.handshake()
            await peer.request()
            await peer.ping()
            start = trio.current_time()
            async with trio.open_nursery() as closing:
                closing.start_soon(server.aclose)
                await peer.expect_goaway()
                await peer.expect_goaway()
                await peer.expect_rst(1, ErrorCode.CANCEL)
                await peer.expect_eof()
            assert trio.current_time() - start == pytest.approx(6)
        await server.aclose()


async def test_aclose_in_a_handler(autojump_clock: object) -> None:
    listener = MemoryListener()
    servers: list[Server] = []

    async def handler(stream: ServerStream) -> None:
        with pytest.raises(RuntimeError, match="shutdown"):
            await servers[0].aclose()
        servers[0].shutdown()
        await stream.respond(body=b"bye")

    async with trio.open_nursery() as nursery:
        servers.append(await nursery.start(serve_listeners, handler, [listener]))
        assert await get("http://localhost", listener.connect()) == b"bye"


async def test_aclose_in_the_session_hook(autojump_clock: object) -> None:
    """It would wait for the hook it runs in; the hook ends with its session instead."""
    listener = MemoryListener()
    servers: list[Server] = []

    async def hook(session: ServerSession) -> None:
        await servers[0].aclose(2)

    async with trio.open_nursery() as nursery:
        servers.append(await nursery.start(partial(serve_listeners, forever, [listener], on_session=hook)))
        async with ScriptedPeer(listener.connect(), client=True) as peer:
            await peer.until(GoAwayFrame)


async def test_handlers_that_outlived_their_session_are_cut(autojump_clock: object) -> None:
    listener = MemoryListener()
    serve = partial(serve_listeners, forever, [listener], cancel_handler_on_reset=False)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        async with ScriptedPeer(listener.connect(), client=True) as peer:
            await peer.handshake()
            await peer.request()
            await peer.ping()
        await trio.sleep(5)
        assert len(server.sessions) == 1
        start = trio.current_time()
        await server.aclose(3)
        assert trio.current_time() - start == pytest.approx(3)


async def test_a_grace_that_is_none(autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_listeners, hello, [MemoryListener()])
        with pytest.raises(ValueError, match="grace"):
            await server.aclose(-1)
        await server.aclose(0)


@pytest.mark.parametrize("tls", [False, True])
async def test_connections_that_said_nothing_hold_nothing_up(
    tls: bool, authority: ThrowawayAuthority, autojump_clock: object
) -> None:
    listener = MemoryListener()
    context: ssl.SSLContext | None = authority.server_context() if tls else None
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_listeners, hello, [listener], ssl_context=context))
        silent = [listener.connect() for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await server.aclose()
        assert trio.current_time() - start <= 1
        for transport in silent:
            await transport.aclose()


async def test_cancelled_servers_are_prompt() -> None:
    async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_tcp, forever, 0)
        session = await outer.start(_wait_for_reset, server.port)
        assert session == 1
        nursery.cancel_scope.cancel()


async def _wait_for_reset(port: int, *, task_status: trio.TaskStatus[int]) -> None:
    async with connect(f"http://127.0.0.1:{port}") as session, session.request("GET") as stream:
        await session.ping()
        task_status.started(stream.id)
        with pytest.raises(StreamResetError) as caught:
            await stream.receive_response()
        assert caught.value.code == ErrorCode.CANCEL
