"""`connect(push_handler=…)`: what is refused at the call, and how handlers and the block end each other."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from trio_h2 import (
    ClientConfig,
    ClientSession,
    Initiator,
    LocalProtocolError,
    PushedStream,
    ServerStream,
    SessionError,
    TransportLostError,
    connect,
    serve_tcp,
)
from trio_h2.testing import ScriptedPeer, memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio_h2 import Server

    PushHandler = Callable[[PushedStream], Awaitable[object]]

STYLE = {":method": "GET", ":scheme": "http", ":authority": "localhost", ":path": "/style.css"}


async def ignore(stream: PushedStream) -> None:
    """A handler that refuses."""


async def stay(stream: PushedStream) -> None:
    """A handler that does not end by itself."""
    await trio.sleep_forever()


@asynccontextmanager
async def promised(handler: PushHandler, *, answer: bool = False) -> AsyncIterator[tuple[ClientSession, ScriptedPeer]]:
    """A session with a promise, in a nursery that a test may leave in any way."""
    ours, theirs = memory_transports()
    async with (
        ScriptedPeer(theirs, client=False) as peer,
        connect("http://localhost", transport=ours, push_handler=handler) as session,
    ):
        await peer.handshake()
        await session.open_stream("GET", "/")
        await peer.expect_headers(1)
        await peer.send_push_promise(1, 2, STYLE)
        if answer:
            await peer.respond(2, body=b"style")
        await trio.testing.wait_all_tasks_blocked()
        yield session, peer


# -- at the call -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("K1", "C5")
@pytest.mark.parametrize("handler", [5, "handler", [ignore]])
def test_what_is_no_handler(handler: object) -> None:
    with pytest.raises(TypeError, match="push_handler must be an async function, not"):
        connect("http://localhost", push_handler=cast("PushHandler", handler))


def test_a_budget_without_room_for_pushes() -> None:
    config = ClientConfig(stream_window=65_535, receive_budget=100_000)
    connect("http://localhost", config=config)
    with pytest.raises(ValueError, match="max_concurrent_pushes"):
        connect("http://localhost", config=config, push_handler=ignore)


# -- the block and its handlers ----------------------------------------------------------------------------------------


async def test_leaving_the_block_cancels_handlers(autojump_clock: object) -> None:
    ends = []

    async def handler(stream: PushedStream) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            ends.append(stream.path)
            raise

    async with promised(handler) as (session, _):
        assert ends == []
    assert ends == ["/style.css"]
    assert session.statistics().running_handlers == 0


async def test_a_handler_that_is_cancelled_while_it_reads(autojump_clock: object) -> None:
    """Its stream is closed by what cancels it; neither comes out of the block."""

    async def handler(stream: PushedStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_response)
            nursery.start_soon(stream.receive_some)

    async with promised(handler) as (_, peer):
        pass
    assert peer is not None


async def test_a_cancelled_block_cancels_handlers(autojump_clock: object) -> None:
    with trio.move_on_after(1) as scope:
        async with promised(stay):
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_an_error_of_the_body_comes_out_alone(autojump_clock: object) -> None:
    with pytest.raises(KeyError, match="body"):
        async with promised(stay):
            raise KeyError("body")


@pytest.mark.parity("K3")
async def test_a_bug_of_a_handler_comes_out_of_the_block(autojump_clock: object) -> None:
    async def handler(stream: PushedStream) -> None:
        await stream.receive_response()
        await trio.sleep(1)
        raise KeyError("a bug")

    body_was_cancelled = False
    with pytest.raises(ExceptionGroup) as caught:
        async with promised(handler, answer=True):
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                body_was_cancelled = True
                raise
    assert _leaves(caught.value) == ["KeyError('a bug')"]
    assert body_was_cancelled


@pytest.mark.parity("K3")
async def test_bugs_of_handler_and_body_come_out_together(autojump_clock: object) -> None:
    async def handler(stream: PushedStream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        async with promised(handler):
            raise ValueError("body")
    assert sorted(_leaves(caught.value)) == ["KeyError('a bug')", "ValueError('body')"]


@pytest.mark.parity("K2", "K3")
async def test_misuse_is_a_bug_too(autojump_clock: object) -> None:
    async def handler(stream: PushedStream) -> None:
        await stream.send_all(b"x")

    with pytest.raises(ExceptionGroup) as caught:
        async with promised(handler):
            await trio.sleep_forever()
    (error,) = caught.value.exceptions
    assert isinstance(error, LocalProtocolError)


@pytest.mark.parametrize("ended", [False, True])
async def test_an_error_of_another_session_is_a_bug(ended: bool, autojump_clock: object) -> None:
    async def handler(stream: PushedStream) -> None:
        if ended:
            await stream.receive_trailers()
        raise TransportLostError("of another session", initiator=Initiator.REMOTE)

    with pytest.raises(ExceptionGroup) as caught:
        async with promised(handler, answer=ended):
            await trio.sleep_forever()
    assert isinstance(caught.value.exceptions[0], TransportLostError)


async def test_own_close_is_no_excuse(autojump_clock: object) -> None:
    """What escapes because the handler itself has closed its stream is a bug, not the end of the stream."""

    async def handler(stream: PushedStream) -> None:
        await stream.aclose()
        await stream.receive_some()

    with pytest.raises(ExceptionGroup) as caught:
        async with promised(handler, answer=True):
            await trio.sleep_forever()
    assert isinstance(caught.value.exceptions[0], trio.ClosedResourceError)


async def test_the_end_of_another_session_is_no_excuse(autojump_clock: object) -> None:
    async def handler(stream: PushedStream) -> None:
        raise SessionError("a session that the handler uses has ended")

    with pytest.raises(ExceptionGroup) as caught:
        async with promised(handler, answer=True):
            await trio.sleep_forever()
    assert isinstance(caught.value.exceptions[0], SessionError)


async def test_a_bug_beside_the_end_of_the_stream(autojump_clock: object) -> None:
    async def fail() -> None:
        raise KeyError("a bug")

    async def handler(stream: PushedStream) -> None:
        stream.reset()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_response)
            nursery.start_soon(fail)

    with pytest.raises(ExceptionGroup) as caught:
        async with promised(handler):
            await trio.sleep_forever()
    assert _leaves(caught.value) == ["KeyError('a bug')"]


def _leaves(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in _leaves(member)]
    return [repr(error)]


# -- over sockets ------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B9", "C5", "E3")
async def test_over_tcp() -> None:
    got: dict[str, bytes] = {}

    async def page(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                pushed = await stream.push({":path": f"/{number}"})
                nursery.start_soon(partial(pushed.respond, body=b"%d" % number * 1000))
            await stream.respond(body=b"page")

    async def take(stream: PushedStream) -> None:
        await stream.receive_response()
        got[stream.path] = b"".join([chunk async for chunk in stream])

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_tcp, page, 0)
        async with connect(f"http://localhost:{server.port}", push_handler=take) as session:
            async with session.request("GET") as stream:
                assert await stream.receive_some() == b"page"
            await session.aclose()
        await server.aclose()
    assert got == {f"/{number}": b"%d" % number * 1000 for number in range(20)}
