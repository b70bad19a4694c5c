"""A client session and a server session, connected in memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

import trio_h2

from .._util import NoPublicConstructor, construct, unwrap_body_error
from ._memory import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from trio_h2 import Handler, PushHandler, SessionHook

Wrapper: TypeAlias = Callable[[trio.abc.HalfCloseableStream], trio.abc.Stream]
"""What puts a transport of a pair into another one, with faults for instance."""
Sessions: TypeAlias = tuple[trio_h2.ClientSession, trio_h2.ServerSession]
"""Both sides of a pair: the client's, the server's."""


def _as_it_is(transport: trio.abc.HalfCloseableStream) -> trio.abc.Stream:
    return transport


def session_pair(
    handler: Handler,
    *,
    client_config: trio_h2.ClientConfig | None = None,
    server_config: trio_h2.ServerConfig | None = None,
    client_settings: trio_h2.Settings | None = None,
    server_settings: trio_h2.Settings | None = None,
    capacity: int | None = None,
    wrap_client: Wrapper = _as_it_is,
    wrap_server: Wrapper = _as_it_is,
    on_session: SessionHook | None = None,
    cancel_handler_on_reset: bool = True,
    push_handler: PushHandler | None = None,
) -> SessionPair:
    """Connects a client to a server in memory; ``async with`` gives both sessions.

    Leaving the block ends the client's session, which ends the server's, and waits for its handlers. An exception of
    the block's body leaves it as it is, not wrapped in another group, as it leaves `connect`.

    Example::

        async def hello(stream: trio_h2.ServerStream) -> None:
            await stream.respond(body=b"hello")

        async with session_pair(hello) as (client, server), client.request("GET") as stream:
            assert await stream.receive_some() == b"hello"

    Args:
        handler: the server's handler.
        client_config: limits and timeouts of the client.
        server_config: limits and timeouts of the server.
        client_settings: what the first SETTINGS of the client say, as ``settings`` of `connect`.
        server_settings: the same of the server, as ``settings`` of `serve_stream`.
        capacity: how many bytes each transport holds before `send_all` waits; ``None`` for no bound.
        wrap_client: makes the client's transport of the end of a memory transport, e.g. a faulty one.
        wrap_server: the same for the server's.
        on_session: as for `serve_stream`.
        cancel_handler_on_reset: as for `serve_stream`.
        push_handler: as for `connect`.
    """
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
        handler,
        wrap_server(server_end),
        config=server_config,
        settings=server_settings,
        on_session=on_session,
        cancel_handler_on_reset=cancel_handler_on_reset,
    )

    @asynccontextmanager
    async def block() -> AsyncGenerator[Sessions, None]:
        async with trio.open_nursery() as nursery:
            server: trio_h2.ServerSession = await nursery.start(serve)
            async with connect as client:
                yield client, server

    return construct(SessionPair, block())


class SessionPair(metaclass=NoPublicConstructor):
    """The block of two sessions, made by `session_pair`. Use it once."""

    _made_by = "session_pair() makes it"

    def __init__(self, block: AbstractAsyncContextManager[Sessions]) -> None:
        self._block = block

    async def __aenter__(self) -> Sessions:
        """Connects."""
        return await self._block.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Ends both sessions."""
        try:
            return await self._block.__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, exc)
        finally:
            del exc, traceback
