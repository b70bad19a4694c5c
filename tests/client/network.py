"""Servers in memory for tests of the client: each connection is served by what the test says."""

from __future__ import annotations

import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import trio

import trio_h2
from trio_h2.testing import PeerClosedError, ScriptedPeer, memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Handler: TypeAlias = Callable[[trio_h2.ServerStream], Awaitable[None]]
    Serve: TypeAlias = Callable[[trio.abc.Stream], Awaitable[object]]


class Network:
    """Makes a connection in memory for each that a client asks for.

    Args:
        nursery: where the servers run.
        servers: what serves the first connection, the second …; the last one serves all further ones, too.
        capacity: how many bytes may be unread in each direction, ``None`` for no bound.
    """

    def __init__(self, nursery: trio.Nursery, *servers: Serve, capacity: int | None = None) -> None:
        self._nursery = nursery
        self._capacity = capacity
        self._servers = list(servers)
        self.asked: list[str] = []
        """The origins of the connections that were made, in order."""
        self.open = 0
        """How many connections are being served."""

    async def __call__(self, origin: str) -> trio.abc.Stream:
        self.asked.append(origin)
        serve = self._servers.pop(0) if len(self._servers) > 1 else self._servers[0]
        await trio.lowlevel.checkpoint()
        ours, theirs = memory_transports(self._capacity)
        self._nursery.start_soon(self._serve, serve, theirs)
        return ours

    async def _serve(self, serve: Serve, transport: trio.abc.Stream) -> None:
        self.open += 1
        try:
            await serve(transport)
        finally:
            self.open -= 1


@asynccontextmanager
async def network(*servers: Serve, capacity: int | None = None) -> AsyncGenerator[Network, None]:
    """A network whose servers end with the block."""
    async with trio.open_nursery() as nursery:
        yield Network(nursery, *servers, capacity=capacity)
        nursery.cancel_scope.cancel()


def scripted(script: Callable[[ScriptedPeer], Awaitable[object]], *, max_streams: int | None = None) -> Serve:
    """Serves a connection by a script of frames, after the handshake."""

    async def serve(transport: trio.abc.Stream) -> None:
        async with ScriptedPeer(transport, client=False) as peer:
            await peer.handshake([] if max_streams is None else [(3, max_streams)])
            await script(peer)

    return serve


def ours(handler: Handler, *, config: trio_h2.ServerConfig | None = None, http1: bool = False) -> Serve:
    """Serves a connection by a server of ours."""

    async def serve(transport: trio.abc.Stream) -> None:
        with contextlib.suppress(trio_h2.HandshakeError):  # of a client that was cancelled while it connected
            await trio_h2.serve_stream(handler, transport, config=config, allow_http1=http1)

    return serve


async def failing(transport: trio.abc.Stream) -> None:
    """Closes the connection at once."""
    await trio.aclose_forcefully(transport)


async def until_closed(peer: ScriptedPeer) -> None:
    """Reads whatever comes until the client closes the connection."""
    peer.timeout = 1000
    with contextlib.suppress(PeerClosedError):
        while True:
            await peer.receive_frame()
