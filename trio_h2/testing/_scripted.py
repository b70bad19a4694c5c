"""A session or a handler of ours, connected in memory to a scripted peer."""

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
from ._peer import ScriptedPeer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Unpack

    from ._field_blocks import SettingsInput
    from ._options import ClientSideOptions, ServerSideOptions


def scripted_client(
    handler: trio_h2.Handler,
    *,
    settings: SettingsInput[int] = (),
    handshake: bool = True,
    timeout: float = 10.0,
    **options: Unpack[ServerSideOptions],
) -> Block[tuple[ScriptedPeer, trio_h2.ServerSession]]:
    """Serves a client that the test plays frame by frame; ``async with`` gives that `ScriptedPeer`, and the session.

    Leaving the block closes the client's transport without a word, and waits for the session and its handlers.

    Example::

        async with scripted_client(handler) as (peer, session):
            stream_id = await peer.request("GET", "/")
            await peer.send_rst(stream_id, trio_h2.ErrorCode.CANCEL)
            await peer.ping()

    Args:
        handler: The server's handler.
        settings: What the client's first SETTINGS say.
        handshake: Whether the block begins with `ScriptedPeer.handshake`; otherwise the test does.
        timeout: As for `ScriptedPeer`: seconds of Trio's clock to wait for a frame.
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

    @asynccontextmanager
    async def block() -> AsyncGenerator[tuple[ScriptedPeer, trio_h2.ServerSession], None]:
        async with trio.open_nursery() as nursery:
            session: trio_h2.ServerSession = await nursery.start(serve)
            async with ScriptedPeer(client_end, client=True, timeout=timeout) as peer:
                if handshake:
                    await peer.handshake(settings)
                yield peer, session

    return watch.around(construct(Block, block()))


def scripted_server(
    *,
    settings: SettingsInput[int] = (),
    handshake: bool = True,
    timeout: float = 10.0,
    **options: Unpack[ClientSideOptions],
) -> Block[tuple[trio_h2.ClientSession, ScriptedPeer]]:
    """Connects a client session to a server that the test plays frame by frame; ``async with`` gives both.

    Leaving the block ends the session, and then closes the server's transport without a word.

    Example::

        async with scripted_server() as (session, peer), trio.open_nursery() as nursery:
            nursery.start_soon(program_under_test, session)
            request = await peer.expect_headers(end_stream=True)
            await peer.send_headers(request.stream_id, {":status": "200"})
            await peer.send_rst(request.stream_id, trio_h2.ErrorCode.INTERNAL_ERROR)

    Args:
        settings: What the server's first SETTINGS say.
        handshake: Whether the block begins with `ScriptedPeer.handshake`; otherwise the test does.
        timeout: As for `ScriptedPeer`: seconds of Trio's clock to wait for a frame.
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

    @asynccontextmanager
    async def block() -> AsyncGenerator[tuple[trio_h2.ClientSession, ScriptedPeer], None]:
        async with ScriptedPeer(server_end, client=False, timeout=timeout) as peer, connect as session:
            if handshake:
                await peer.handshake(settings)
            yield session, peer

    return construct(Block, block())
