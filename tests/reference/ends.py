"""Our endpoints, each against the reference peer of the other role, in memory.

After every block a clean exchange must succeed on the same session, and nothing may be left: no stream, no handler, no
byte that was neither taken nor discarded.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, TypeAlias

import trio
from trio.testing import wait_all_tasks_blocked

import trio_h2
from trio_h2.testing import ReferenceClient, ReferenceServer, ReferenceServerStream, memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio_h2.testing import ReferencePeer

    Handler: TypeAlias = Callable[[trio_h2.ServerStream], Awaitable[object]]
    ReferenceHandler: TypeAlias = Callable[[ReferenceServerStream], Awaitable[object]]
    PushHandler: TypeAlias = Callable[[trio_h2.PushedStream], Awaitable[object]]

PROBE = "/probe"
TIME_LIMIT = 60
"""Seconds of a clock that jumps: what waits for ever fails at once."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND")
SIZES = (0, 1, 1000, 16_384, 16_385, 65_535, 65_536, 300_000)


@contextlib.asynccontextmanager
async def our_server(
    handler: Handler,
    *,
    config: trio_h2.ServerConfig | None = None,
    settings: trio_h2.Settings | None = None,
    probe: bool = True,
    capacity: int | None = None,
) -> AsyncIterator[tuple[ReferenceClient, trio_h2.ServerSession]]:
    """Our server with a handler, and h2 as its client.

    Args:
        handler: What serves every path but that of the probe.
        config: Of our server.
        settings: Of the client.
        probe: Whether the session is to be usable at the end.
        capacity: How many bytes the transports hold.
    """

    async def route(stream: trio_h2.ServerStream) -> None:
        if stream.path == PROBE:
            await stream.respond({":status": 200}, body=await read(stream))
        else:
            await handler(stream)

    client_end, server_end = memory_transports(capacity)
    with trio.fail_after(TIME_LIMIT):
        async with trio.open_nursery() as nursery:
            session: trio_h2.ServerSession = await nursery.start(
                functools.partial(trio_h2.serve_stream, route, server_end, config=config)
            )
            async with ReferenceClient(client_end, settings=settings) as client:
                yield client, session
                if probe:
                    exchange = await client.request("POST", PROBE, body=b"probe")
                    assert (exchange.status, exchange.body) == (200, b"probe")
                    await nothing_is_left(session)
                    assert client.error is None


@contextlib.asynccontextmanager
async def our_client(
    handler: ReferenceHandler,
    *,
    config: trio_h2.ClientConfig | None = None,
    settings: trio_h2.Settings | None = None,
    push_handler: PushHandler | None = None,
    probe: bool = True,
    capacity: int | None = None,
) -> AsyncIterator[tuple[trio_h2.ClientSession, ReferenceServer]]:
    """Our client, and h2 as its server with a handler; the arguments are those of `our_server`."""

    async def route(stream: ReferenceServerStream) -> None:
        if stream.path == PROBE:
            await stream.respond(body=await stream.read())
        else:
            await handler(stream)

    client_end, server_end = memory_transports(capacity)
    with trio.fail_after(TIME_LIMIT):
        async with (
            ReferenceServer(server_end, route, settings=settings) as server,
            trio_h2.connect(
                "http://localhost", transport=client_end, config=config, push_handler=push_handler
            ) as session,
        ):
            await server.wait_started()
            yield session, server
            if probe:
                async with session.request("POST", PROBE, body=b"probe") as stream:
                    assert (await stream.receive_response()).status == 200
                    assert await read(stream) == b"probe"
                await nothing_is_left(session)
                assert server.error is None


async def nothing_is_left(session: trio_h2.Session) -> None:
    """No stream, handler or byte of a body is left in a session whose exchanges are over."""
    await wait_all_tasks_blocked()
    figures = session.statistics()
    ledger = figures.ledger
    assert (figures.open_streams, figures.running_handlers, figures.queued_body) == (0, 0, 0)
    assert ledger.held == 0
    assert ledger.received == ledger.taken + ledger.discarded


async def ping_each_other(ours: trio_h2.Session, reference: ReferencePeer) -> None:
    """Each end pings the other one alone, and then both of them several times at once."""
    await reference.ping()
    await ours.ping()
    async with trio.open_nursery() as nursery:
        for _number in range(5):
            nursery.start_soon(reference.ping)
            nursery.start_soon(ours.ping)


async def read(stream: trio_h2.Stream) -> bytes:
    """Returns the rest of a body."""
    return b"".join([data async for data in stream])


def pattern(size: int) -> bytes:
    """Returns a body in which a piece that is lost, doubled or out of order shows."""
    return b"".join(b"%07x " % number for number in range(size // 8 + 1))[:size]
