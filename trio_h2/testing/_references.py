"""A session or a handler of ours, connected in memory to the reference peer."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio

import trio_h2

from .._util import construct
from ._block import Block
from ._handler_watch import HandlerWatch
from ._memory import memory_transports
from ._pair import as_it_is
from ._reference._client import ReferenceClient
from ._reference._server import ReferenceServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Unpack

    from ._options import ClientSideOptions, ServerSideOptions
    from ._reference._server import ReferenceHandler


def reference_client(
    handler: trio_h2.Handler, *, settings: trio_h2.Settings | None = None, **options: Unpack[ServerSideOptions]
) -> Block[tuple[ReferenceClient, trio_h2.ServerSession]]:
    """Serves a client that is h2's; ``async with`` gives that `ReferenceClient`, and the session that serves it.

    Leaving the block ends both, and raises what either side has told the other of a broken protocol.

    Example::

        async with reference_client(handler) as (client, session):
            exchange = await client.request("GET", "/")
            assert (exchange.status, exchange.body) == (200, b"hello")

    Args:
        handler: The server's handler.
        settings: What the client's first SETTINGS say, beside h2's defaults.
        **options: See `ServerSideOptions`.
    """
    watch = HandlerWatch(handler, raise_errors=options.get("raise_handler_errors", True))
    client_end, server_end = memory_transports(options.get("capacity"))
    serve = partial(
        trio_h2.serve_stream,
        watch,
        options.get("wrap_server", as_it_is)(server_end),
        config=options.get("server_config"),
        settings=options.get("server_settings"),
        on_session=options.get("on_session"),
        cancel_handler_on_reset=options.get("cancel_handler_on_reset", True),
    )
    reference = ReferenceClient(client_end, settings=settings)

    @asynccontextmanager
    async def block() -> AsyncGenerator[tuple[ReferenceClient, trio_h2.ServerSession], None]:
        async with trio.open_nursery() as nursery:
            session: trio_h2.ServerSession = await nursery.start(serve)
            async with reference as client:
                yield client, session

    return watch.around(construct(Block, block()))


def reference_server(
    handler: ReferenceHandler | None = None,
    *,
    settings: trio_h2.Settings | None = None,
    **options: Unpack[ClientSideOptions],
) -> Block[tuple[trio_h2.ClientSession, ReferenceServer]]:
    """Connects a client session to a server that is h2's; ``async with`` gives the session, and that `ReferenceServer`.

    Leaving the block ends both, and raises what either side has told the other of a broken protocol.

    Example::

        async def hello(stream: ReferenceServerStream) -> None:
            await stream.respond(200, body=b"hello")

        async with reference_server(hello) as (session, server):
            await program_under_test(session)

    Args:
        handler: An async function that gets a `ReferenceServerStream`; without one, `ReferenceServer.accept` gives the
            requests to the test, step by step.
        settings: What the server's first SETTINGS say, beside h2's defaults.
        **options: See `ClientSideOptions`.
    """
    client_end, server_end = memory_transports(options.get("capacity"))
    connect = trio_h2.connect(
        "http://localhost",
        transport=options.get("wrap_client", as_it_is)(client_end),
        config=options.get("client_config"),
        settings=options.get("client_settings"),
        push_handler=options.get("push_handler"),
    )
    reference = ReferenceServer(server_end, handler, settings=settings)

    @asynccontextmanager
    async def block() -> AsyncGenerator[tuple[trio_h2.ClientSession, ReferenceServer], None]:
        async with reference as server, connect as session:
            yield session, server

    return construct(Block, block())
