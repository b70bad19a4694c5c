"""TCP servers that tunnels lead to, and a proxy of ours before them, on 127.0.0.1."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

import trio_h2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from trio_h2.tunnel import ConnectProxy

    Talk: TypeAlias = Callable[[trio.SocketStream], Awaitable[object]]

HERE = ["127.0.0.0/8:*"]
"""What the proxies of these tests allow: this machine."""
PATIENCE = 20
MANY = trio_h2.ServerConfig(max_concurrent_streams=1000, stream_window=32 * 1024)
MANY_CLIENT = trio_h2.ClientConfig(stream_window=32 * 1024)


async def echo(stream: trio.SocketStream) -> None:
    """Sends back what comes, and then the end."""
    async for chunk in stream:
        await stream.send_all(chunk)
    await stream.send_eof()


async def jane(stream: trio.SocketStream) -> None:
    """Waits for the end, and then answers."""
    name = b"".join([bytes(chunk) async for chunk in stream])
    await stream.send_all(b"hello " + name)


def reset(stream: trio.SocketStream) -> None:
    """Ends a connection with a TCP reset."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


@dataclass
class Target:
    """A TCP server."""

    port: int
    connections: list[trio.SocketStream] = field(default_factory=list)

    @property
    def authority(self) -> str:
        """What a CONNECT to it names."""
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def target(talk: Talk) -> AsyncGenerator[Target, None]:
    """Runs a TCP server that talks so on every connection; errors of its connections are ignored."""

    async def served(stream: trio.SocketStream) -> None:
        place.connections.append(stream)
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await talk(stream)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port: int = listener.socket.getsockname()[1]
        place = Target(port)
        nursery.start_soon(trio.serve_listeners, served, [listener])
        yield place
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def proxied(
    proxy: ConnectProxy,
    *,
    config: trio_h2.ServerConfig | None = None,
    client_config: trio_h2.ClientConfig | None = None,
    cancel_handler_on_reset: bool = True,
) -> AsyncGenerator[trio_h2.ClientSession, None]:
    """Runs the proxy on a TCP port; gives a client session with it."""
    serve = partial(
        trio_h2.serve_tcp,
        proxy,
        0,
        host="127.0.0.1",
        config=config,
        cancel_handler_on_reset=cancel_handler_on_reset,
    )
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            server: trio_h2.Server = await nursery.start(serve)
            async with trio_h2.connect(server.urls[0], config=client_config) as session:
                yield session
            await server.aclose(grace=1)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Reads a stream to its end."""
    return b"".join([bytes(chunk) async for chunk in stream])


def open_files() -> set[str]:
    """What file descriptors this process has, by what they are of."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:  # the one of the folder itself
            continue
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Waits until something has happened on the other side of a socket, of which nobody tells."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await trio.sleep(0.001)
