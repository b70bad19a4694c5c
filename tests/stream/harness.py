"""Sessions for tests of streams, in memory, whose books are checked when they end.

`pair` is our client and our server; `scripted_server` and `scripted_client` put a `ScriptedPeer` on the other side,
where it matters which frames are on the wire.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import trio
import trio.testing

import trio_h2
from tests.session.scripted import as_it_is, connected, served, settle
from tests.wire.engine_pair import check_books, credits
from trio_h2.testing import ScriptedPeer, session_pair

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.session.scripted import Handler, PeerSettings, PushHandler, Wrapper

    Sessions: TypeAlias = tuple[trio_h2.ClientSession, trio_h2.ServerSession]


StreamT = TypeVar("StreamT")


def check_open(session: trio_h2.Session) -> None:
    """Asserts that the books of a running session balance."""
    ledger = session.statistics().ledger
    assert ledger.received == ledger.taken + ledger.discarded + ledger.held
    check_books(session._core.engine)


def check_over(session: trio_h2.Session) -> None:
    """Asserts that a session which is over, all of whose streams are closed, has nothing left anywhere."""
    numbers = session.statistics()
    assert numbers.ledger.held == 0, f"unread bytes were never credited: {numbers.ledger}"
    assert numbers.ledger.received == numbers.ledger.taken + numbers.ledger.discarded
    assert sum(credit.held for credit in credits(session._core.engine).values()) == 0
    assert numbers.queued_body == 0
    assert numbers.running_handlers == 0
    assert numbers.waiting_for_slot == 0


def watched(
    handler: Callable[[StreamT], Awaitable[object]], errors: list[AssertionError]
) -> Callable[[StreamT], Awaitable[None]]:
    """Makes failed assertions of a handler fail the test: the session would only log them."""

    async def watched(stream: StreamT) -> None:
        try:
            await handler(stream)
        except AssertionError as exc:
            errors.append(exc)
            raise

    return watched


@asynccontextmanager
async def pair(
    handler: Handler,
    *,
    client_config: trio_h2.ClientConfig | None = None,
    server_config: trio_h2.ServerConfig | None = None,
    capacity: int | None = None,
    cancel_handler_on_reset: bool = True,
    push_handler: PushHandler | None = None,
    wrap_client: Wrapper = as_it_is,
    wrap_server: Wrapper = as_it_is,
    raise_handler_errors: bool = True,
) -> AsyncGenerator[Sessions, None]:
    """As `session_pair`; every stream must be closed before the block ends, or with it."""
    async with session_pair(
        handler,
        client_config=client_config,
        server_config=server_config,
        capacity=capacity,
        cancel_handler_on_reset=cancel_handler_on_reset,
        push_handler=push_handler,
        wrap_client=wrap_client,
        wrap_server=wrap_server,
        raise_handler_errors=raise_handler_errors,
    ) as sessions:
        yield sessions
        for session in sessions:
            check_open(session)
    for session in sessions:
        check_over(session)


@asynccontextmanager
async def scripted_server(
    *,
    config: trio_h2.ClientConfig | None = None,
    settings: PeerSettings | None = None,
    capacity: int | None = None,
    push_handler: PushHandler | None = None,
) -> AsyncGenerator[tuple[trio_h2.ClientSession, ScriptedPeer], None]:
    """A client session whose server is a script, after the handshake."""
    script = connected(config=config, settings=settings, capacity=capacity, push_handler=push_handler)
    async with script as (session, peer):
        yield session, peer
        check_open(session)
    check_over(session)


@asynccontextmanager
async def scripted_client(
    handler: Handler,
    *,
    config: trio_h2.ServerConfig | None = None,
    settings: PeerSettings | None = None,
    capacity: int | None = None,
    cancel_handler_on_reset: bool = True,
) -> AsyncGenerator[tuple[trio_h2.ServerSession, ScriptedPeer], None]:
    """A server session whose client is a script, after the handshake."""
    errors: list[AssertionError] = []
    script = served(
        watched(handler, errors),
        config=config,
        settings=settings,
        capacity=capacity,
        cancel_handler_on_reset=cancel_handler_on_reset,
    )
    async with script as (peer, session):
        yield session, peer
        await settle()
        check_open(session)
    for error in errors:
        raise error
    check_over(session)


async def answer(peer: ScriptedPeer, *chunks: bytes, end_stream: bool = False) -> int:
    """Answers the next request with one DATA frame for each chunk."""
    stream_id = (await peer.expect_headers()).stream_id
    async with peer.batch():
        await peer.send_headers(stream_id, {":status": "200"})
        for chunk in chunks:
            await peer.send_data(stream_id, chunk)
        if end_stream:
            await peer.send_data(stream_id, end_stream=True)
    await peer.ping()
    return stream_id


class Exchanges:
    """A handler that hands its streams out, and keeps each until it is told that the test has finished with it."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio_h2.ServerStream](1000)
        self._done = trio.Event()

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        """The handler."""
        self._send.send_nowait(stream)
        await self._done.wait()

    async def next(self) -> trio_h2.ServerStream:
        """Returns the next stream."""
        return await self._receive.receive()

    def finish(self) -> None:
        """Lets all handlers return."""
        self._done.set()
