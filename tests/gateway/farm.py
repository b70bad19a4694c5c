"""Servers in memory behind a gateway, each of which can be told to fail; and a client in front."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.client.network import network, ours
from trio_h2 import Client
from trio_h2.gateway import Gateway, Servers
from trio_h2.testing import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from trio_h2.gateway import Route, ServerStatistics


class Farm:
    """Servers by name, ``http://NAME``; `connect` is the transport for them.

    Args:
        nursery: where they run.
        http1: whether they speak HTTP/1.1.
    """

    def __init__(self, nursery: trio.Nursery, *, http1: bool) -> None:
        self._nursery = nursery
        self._http1 = http1
        self.down: set[str] = set()
        """Those that cannot be reached."""
        self.refusing: set[str] = set()
        """Those that reset every request with REFUSED_STREAM."""
        self.statuses: dict[str, int] = {}
        """What they answer, if not 200."""
        self.seconds: dict[str, float] = {}
        """How long they take; nothing if they are not named."""
        self.asked: list[str] = []
        """The names of those that got a request, in order."""
        self.running: dict[str, int] = {}
        self.most: dict[str, int] = {}
        """How many requests they had at a time at most."""
        self._connections: dict[str, set[trio.CancelScope]] = {}

    def kill(self, name: str) -> None:
        """Ends the connections of a server, which cannot be reached from now on."""
        self.down.add(name)
        for scope in self._connections.pop(name, set()):
            scope.cancel()

    async def connect(self, origin: str) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        name = origin.removeprefix("http://")
        if name in self.down:
            raise ConnectionRefusedError(f"{name} is down")
        near, far = memory_transports()

        async def handler(stream: trio_h2.ServerStream) -> None:
            self.asked.append(name)
            self.running[name] = running = self.running.get(name, 0) + 1
            self.most[name] = max(self.most.get(name, 0), running)
            try:
                if name in self.refusing:
                    stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)
                    return
                await trio.sleep(self.seconds.get(name, 0))
                await stream.respond(self.statuses.get(name, 200), body=f"{name} {stream.path}".encode())
            finally:
                self.running[name] -= 1

        async def serve() -> None:
            async with trio.open_nursery() as nursery:
                self._connections.setdefault(name, set()).add(nursery.cancel_scope)
                await ours(handler, http1=self._http1)(far)

        self._nursery.start_soon(serve)
        return near

    def servers(self, *names: str, **options: object) -> Servers:
        """Returns some of them, with options of `Servers`."""
        urls = [f"http://{name}" for name in names]
        return Servers(urls, transport=self.connect, prior_knowledge=not self._http1, **options)  # type: ignore[arg-type]  # is tested


@asynccontextmanager
async def farm(*, http1: bool = False) -> AsyncGenerator[Farm, None]:
    """Servers that end with the block."""
    async with trio.open_nursery() as nursery:
        yield Farm(nursery, http1=http1)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def front(routes: Iterable[Route], *, http1: bool = False) -> AsyncGenerator[tuple[Client, Gateway], None]:
    """A gateway, and a client of it."""
    async with (
        Gateway(routes) as gateway,
        network(ours(gateway, http1=http1)) as between,
        Client(transport=between, prior_knowledge=not http1, max_http1_per_origin=100) as client,
    ):
        yield client, gateway


async def at_rest(gateway: Gateway) -> bool:
    """Whether nothing runs or waits in a gateway, when what was answered is over there, too."""
    await trio.testing.wait_all_tasks_blocked()
    seen = gateway.statistics()
    return (seen.running, seen.waiting, sum(server.running for server in seen.servers)) == (0, 0, 0)


def of(gateway: Gateway) -> Sequence[ServerStatistics]:
    """Returns what a gateway tells of its servers."""
    return gateway.statistics().servers
