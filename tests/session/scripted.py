"""Our sessions against a scripted peer, in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import trio
import trio.testing

import trio_h2
from trio_h2.testing import ScriptedPeer, memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Handler: TypeAlias = Callable[[trio_h2.ServerStream], Awaitable[object]]
    PushHandler: TypeAlias = Callable[[trio_h2.PushedStream], Awaitable[object]]
    Wrapper: TypeAlias = Callable[[trio.abc.Stream], trio.abc.Stream]
    PeerSettings: TypeAlias = Mapping[int, int] | Mapping[trio_h2.SettingCode, int]
    SessionHook: TypeAlias = Callable[[trio_h2.ServerSession], Awaitable[object]]

StreamT = TypeVar("StreamT", bound=trio.abc.Stream)

GET = {":method": "GET", ":scheme": "http", ":authority": "localhost", ":path": "/"}
POST = {**GET, ":method": "POST"}


class Wrapped(Generic[StreamT]):
    """Puts a transport around the one of a session, and keeps it: `Wrapped.stream`, once there is a session."""

    def __init__(self, make: Callable[[trio.abc.Stream], StreamT]) -> None:
        self._make = make
        self.stream: StreamT

    def __call__(self, transport: trio.abc.Stream) -> StreamT:
        self.stream = self._make(transport)
        return self.stream


def as_it_is(transport: trio.abc.Stream) -> trio.abc.Stream:
    """Leaves a transport alone."""
    return transport


@asynccontextmanager
async def served(
    handler: Handler,
    *,
    config: trio_h2.ServerConfig | None = None,
    settings: PeerSettings | None = None,
    handshake: bool = True,
    wrap: Wrapper = as_it_is,
    capacity: int | None = None,
    on_session: SessionHook | None = None,
    cancel_handler_on_reset: bool = True,
) -> AsyncIterator[tuple[ScriptedPeer, trio_h2.ServerSession]]:
    """A scripted client, connected to a server session of ours; waits at the end for the session and its handlers."""
    ours, theirs = memory_transports(capacity)
    serve = partial(
        trio_h2.serve_stream,
        handler,
        wrap(ours),
        config=config,
        on_session=on_session,
        cancel_handler_on_reset=cancel_handler_on_reset,
    )
    async with trio.open_nursery() as nursery:
        session: trio_h2.ServerSession = await nursery.start(serve)
        async with ScriptedPeer(theirs, client=True) as peer:
            if handshake:
                await peer.handshake({int(code): value for code, value in (settings or {}).items()})
            yield peer, session


@asynccontextmanager
async def connected(
    *,
    config: trio_h2.ClientConfig | None = None,
    settings: PeerSettings | None = None,
    handshake: bool = True,
    wrap: Wrapper = as_it_is,
    capacity: int | None = None,
    push_handler: PushHandler | None = None,
) -> AsyncIterator[tuple[trio_h2.ClientSession, ScriptedPeer]]:
    """A client session of ours, connected to a scripted server."""
    ours, theirs = memory_transports(capacity)
    connect = trio_h2.connect("http://localhost", transport=wrap(ours), config=config, push_handler=push_handler)
    async with ScriptedPeer(theirs, client=False) as peer, connect as session:
        if handshake:
            await peer.handshake({int(code): value for code, value in (settings or {}).items()})
        yield session, peer


async def settle() -> None:
    """Waits until nobody has anything to do; the clock stands still."""
    await trio.testing.wait_all_tasks_blocked()


async def forbidden(stream: trio_h2.ServerStream) -> None:
    """A handler that must not be called."""
    raise AssertionError(f"{stream!r} was not expected")


async def hello(stream: trio_h2.ServerStream) -> None:
    """A handler that answers."""
    await stream.respond(body=b"hello")


async def forever(stream: trio_h2.ServerStream) -> None:
    """A handler that does not end by itself."""
    await trio.sleep_forever()
