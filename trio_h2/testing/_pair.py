"""A client session and a server session, connected in memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

import trio_h2

from .._util import construct
from ._block import Block
from ._handler_watch import HandlerWatch
from ._memory import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio_h2 import Handler, PushHandler, SessionHook

Wrapper: TypeAlias = Callable[[trio.abc.HalfCloseableStream], trio.abc.Stream]
"""What puts a transport of a pair into another one, with faults for instance."""
Sessions: TypeAlias = tuple[trio_h2.ClientSession, trio_h2.ServerSession]
"""Both sides of a pair: the client's, the server's."""


def as_it_is(transport: trio.abc.HalfCloseableStream) -> trio.abc.Stream:
    """Leaves a transport alone."""
    return transport


def session_pair(
    handler: Handler,
    *,
    client_config: trio_h2.ClientConfig | None = None,
    server_config: trio_h2.ServerConfig | None = None,
    client_settings: trio_h2.Settings | None = None,
    server_settings: trio_h2.Settings | None = None,
    capacity: int | None = None,
    wrap_client: Wrapper = as_it_is,
    wrap_server: Wrapper = as_it_is,
    on_session: SessionHook | None = None,
    cancel_handler_on_reset: bool = True,
    push_handler: PushHandler | None = None,
    raise_handler_errors: bool = True,
) -> SessionPair:
    """Connects a client to a server in memory; ``async with`` gives both sessions.

    Leaving the block ends the client's session, which ends the server's, and waits for its handlers. An exception of
    the block's body leaves it as it is, not wrapped in another group, as it leaves `connect`; what a handler has raised
    leaves the block, too. Nothing here takes real time, so a mock clock may run.

    Example::

        async def hello(stream: trio_h2.ServerStream) -> None:
            await stream.respond(body=b"hello")

        async with session_pair(hello) as (client, server), client.request("GET") as stream:
            assert await stream.receive_some() == b"hello"

    Args:
        handler: The server's handler.
        client_config: Limits and timeouts of the client.
        server_config: Limits and timeouts of the server.
        client_settings: What the first SETTINGS of the client say, as ``settings`` of `connect`.
        server_settings: The same of the server, as ``settings`` of `serve_stream`.
        capacity: How many bytes each transport holds before `send_all` waits; ``None`` for no bound.
        wrap_client: Makes the client's transport of the end of a memory transport, e.g. a faulty one.
        wrap_server: The same for the server's.
        on_session: As for `serve_stream`.
        cancel_handler_on_reset: As for `serve_stream`.
        push_handler: As for `connect`.
        raise_handler_errors: Whether the end of the block raises what the handler has raised, if that says more than
            that its own stream is over; what the block's body has raised becomes its context. A handler that returns
            without a response, though its client has not left, is an `AssertionError`. ``False`` where such a handler
            is what you test: its client gets 500 or INTERNAL_ERROR, and that is all.
    """
    watch = HandlerWatch(handler, raise_errors=raise_handler_errors)
    client_end, server_end = memory_transports(capacity)
    connect = trio_h2.connect(
        "http://localhost",
        transport=wrap_client(client_end),
        config=client_config,
        settings=client_settings,
        push_handler=push_handler,
    )
    serve = partial(
        trio_h2.serve_stream,
        watch,
        wrap_server(server_end),
        config=server_config,
        settings=server_settings,
        on_session=on_session,
        cancel_handler_on_reset=cancel_handler_on_reset,
    )

    @asynccontextmanager
    async def sessions() -> AsyncGenerator[Sessions, None]:
        async with trio.open_nursery() as nursery:
            server: trio_h2.ServerSession = await nursery.start(serve)
            async with connect as client:
                yield client, server

    return construct(SessionPair, watch.around(construct(Block, sessions())))


class SessionPair(Block[Sessions]):
    """The block of two sessions, made by `session_pair`. Use it once."""

    _made_by = "session_pair() makes it"
