"""Server push, cancelled at every moment on either side: what is not finished is reset, and nothing is left."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import trio

from tests.sweep.exchanges import HANDLERS, HELLO, LONG, PIECES, expect_response, read_all
from tests.sweep.harness import (
    CLIENT_CONFIG,
    HandlerCancel,
    goes_on,
    pair,
    settle,
    sweep,
)
from trio_h2 import ErrorCode, StreamResetError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trio_h2 import ClientSession, PushedStream, ServerStream
    from trio_h2.testing import SweepRun

    PushHandler = Callable[[PushedStream], Awaitable[None]]

ONE_PUSH = CLIENT_CONFIG.evolve(max_concurrent_pushes=1)


async def push(stream: ServerStream) -> None:
    """Pushes a body; that the client refuses it ends it. Cancelled, it leaves no body that looks whole."""
    with contextlib.suppress(StreamResetError):
        async with await stream.push({":path": "/pushed"}) as pushed:
            await answer(pushed)


async def answer(pushed: ServerStream) -> None:
    """Answers with a body larger than the windows, in pieces."""
    await pushed.respond(200)
    for piece in PIECES:
        await pushed.send_all(piece)
    await pushed.send_eof()


async def pushing(stream: ServerStream) -> None:
    """Handler of all paths."""
    if stream.path != "/pushing":
        await HANDLERS[stream.path](stream)
        return
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(push, stream)
    await stream.respond(200, body=HELLO)


async def take(stream: PushedStream) -> None:
    """Reads a push, in pieces smaller than those that come, if the server brings it to its end."""
    assert stream.path == "/pushed"
    assert (await stream.receive_response()).status == 200
    with contextlib.suppress(StreamResetError):
        assert await read_all(stream, 50) == LONG
        assert await stream.receive_trailers() is None


async def refuse(stream: PushedStream) -> None:
    """Wants none."""
    await trio.lowlevel.checkpoint()
    stream.reset(ErrorCode.CANCEL)


async def stop_early(stream: PushedStream) -> None:
    """Returns in the middle of the body."""
    await stream.receive_response()
    assert await stream.receive_some(20)


async def ask(session: ClientSession) -> None:
    """Asks for what pushes, and waits for the pushes, too."""
    async with session.request("GET", "/pushing") as stream:
        await expect_response(stream)
        assert await read_all(stream) == HELLO


@pytest.mark.parity("C5", "E3")
@pytest.mark.parametrize("limit", [1, 16])
@pytest.mark.parametrize("handler", [take, refuse, stop_early])
async def test_cancelled_requests(handler: PushHandler, limit: int, autojump_clock: MockClock) -> None:
    config = CLIENT_CONFIG.evolve(max_concurrent_pushes=limit)

    async def one_run(run: SweepRun) -> None:
        async with pair(handler=pushing, push_handler=handler, client=config) as both:
            async with run:
                await ask(both.client)
            await goes_on(both)

    await sweep(one_run)


@pytest.mark.parity("C5")
@pytest.mark.parametrize("handler", [take, refuse, stop_early])
async def test_cancelled_push_handlers(handler: PushHandler, autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async def swept(stream: PushedStream) -> None:
            if stream.id > 2:
                await handler(stream)
                return
            async with run:
                await handler(stream)

        async with pair(handler=pushing, push_handler=swept) as both:
            await ask(both.client)
            await settle()
            await goes_on(both)

    await sweep(one_run, more_than=10 if handler is take else 1)


@pytest.mark.parity("E3")
@pytest.mark.parametrize("capacity", [None, 37])
async def test_cancelled_pushes(capacity: int | None, autojump_clock: MockClock) -> None:
    """The handler goes on after each, and the next one finds the only slot free."""

    async def one_run(run: SweepRun) -> None:
        async def handler(stream: ServerStream) -> None:
            if stream.path == "/pushing":
                async with run:
                    await push(stream)
                await push(stream)
                await stream.respond(200, body=HELLO)
            else:
                await HANDLERS[stream.path](stream)

        async with pair(handler=handler, push_handler=take, client=ONE_PUSH, capacity=capacity) as both:
            await ask(both.client)
            await goes_on(both)

    await sweep(one_run)


@pytest.mark.parity("E3")
async def test_responses_that_wait_for_their_turn(autojump_clock: MockClock) -> None:
    """Cancelled in the line, a push is as good as before."""
    waited: list[int] = []

    async def one_run(run: SweepRun) -> None:
        async def handler(stream: ServerStream) -> None:
            if stream.path != "/pushing":
                await HANDLERS[stream.path](stream)
                return
            pushes = [await stream.push({":path": "/pushed"}) for _ in range(3)]
            async with run, trio.open_nursery() as nursery:
                for pushed in pushes:
                    nursery.start_soon(answer, pushed)
            untouched = [pushed for pushed in pushes if not pushed.headers_sent]
            for pushed in pushes:
                if pushed.headers_sent:
                    pushed.reset(ErrorCode.CANCEL)
            for pushed in untouched:
                await answer(pushed)
            waited.append(len(untouched))
            await stream.respond(200, body=HELLO)

        async with pair(handler=handler, push_handler=take, client=ONE_PUSH) as both:
            await ask(both.client)
            both.check_books()
            await settle()
            both.check_idle()

    await sweep(one_run)
    assert {0, 1, 2, 3} == set(waited)


@pytest.mark.parity("E3")
@pytest.mark.parametrize("limit", [1, 16])
async def test_cancelled_handlers(limit: int, autojump_clock: MockClock) -> None:
    config = CLIENT_CONFIG.evolve(max_concurrent_pushes=limit)
    hits = 0

    async def one_run(run: SweepRun) -> None:
        nonlocal hits
        async with pair(handler=pushing, push_handler=take, client=config) as both:
            cancel = HandlerCancel(both.server, run)
            async with run:
                with contextlib.suppress(StreamResetError):
                    await ask(both.client)
            hits += cancel.hits
            await settle()
            await goes_on(both)

    await sweep(one_run)
    assert hits > 30
