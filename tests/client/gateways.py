"""A gateway in memory, with a client in front of it and servers behind."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.client.network import network, ours
from trio_h2 import Client, ClientConfig, ServerConfig, ServerStream, Timeouts, Upstream, relay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import trio

    from tests.client.network import Handler, Network, Serve

URL = "http://front.example/there?x=1"
four = pytest.mark.parametrize(
    ("down1", "up1"), [(False, False), (False, True), (True, False), (True, True)], ids=["2-2", "2-1", "1-2", "1-1"]
)


@asynccontextmanager
async def gateway(
    *servers: Serve,
    down1: bool,
    up1: bool,
    timeouts: Timeouts | None = None,
    x_forwarded: bool = False,
    keep_host: bool = True,
    tunnels: bool = False,
    tunnel_idle_timeout: float | None = None,
    config: ServerConfig | None = None,
    capacity: int | None = None,
    http1: bool = True,
    client_config: ClientConfig | None = None,
    break_transport: Callable[[trio.abc.Stream], trio.abc.Stream] | None = None,
) -> AsyncGenerator[tuple[Client, Client], None]:
    """A client of a gateway, and the client inside of that.

    Args:
        servers: serve the connections of the gateway.
        down1: whether its client speaks HTTP/1.1.
        up1: whether it speaks HTTP/1.1 itself.
        timeouts: of its requests, like what follows.
        x_forwarded: whether it says ``x-forwarded-for``.
        keep_host: whether it tells the host that it was asked for.
        tunnels: whether it passes on CONNECT.
        tunnel_idle_timeout: when silent tunnels end.
        config: of its own server.
        capacity: how many bytes each connection may have under way.
        http1: whether it may speak HTTP/1.1 at all.
        client_config: of the client in front.
        break_transport: what becomes of each end of a connection.
    """
    async with (
        network(*servers, capacity=capacity) as behind,
        Client(transport=_broken(behind, break_transport), prior_knowledge=not up1, http1=http1) as inner,
    ):
        up = Upstream(
            inner,
            "http://back.example/base/",
            x_forwarded=x_forwarded,
            keep_host=keep_host,
            timeouts=timeouts,
            tunnels=tunnels,
            tunnel_idle_timeout=tunnel_idle_timeout,
        )

        async def handler(stream: ServerStream) -> None:
            await relay(stream, up)

        config = config or ServerConfig(enable_connect_protocol=True)
        async with (
            network(ours(handler, http1=True, config=config), capacity=capacity) as front,
            Client(
                transport=_broken(front, break_transport),
                prior_knowledge=not down1,
                default_headers=False,
                config=client_config,
            ) as client,
        ):
            yield client, inner


def _broken(
    network: Network, break_transport: Callable[[trio.abc.Stream], trio.abc.Stream] | None
) -> Callable[[str], Awaitable[trio.abc.Stream]]:
    if break_transport is None:
        return network

    async def connect(origin: str) -> trio.abc.Stream:
        return break_transport(await network(origin))

    return connect


def back(handler: Handler, *, connect: bool = True) -> Serve:
    """Serves connections by a handler, over either version; *connect*: whether extended CONNECT is offered."""
    return ours(handler, http1=True, config=ServerConfig(enable_connect_protocol=connect))
