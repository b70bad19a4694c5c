"""Calls in any order, at any moment, on pushes too: only documented errors come out, and nothing is left."""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Call = Callable[[], Awaitable[object]]

DOCUMENTED = (trio_h2.H2Error, trio.ClosedResourceError, trio.BusyResourceError, ValueError)


class OurBugError(Exception):
    """What a handler raises now and then."""


def calls(rng: random.Random, stream: trio_h2.Stream) -> list[Call]:
    """Everything that can be done with a stream."""

    async def reset() -> None:
        if rng.random() < 0.3:
            stream.reset(rng.choice([0, 2, 8]))

    async def pause() -> None:
        await trio.sleep(rng.random())

    async def aclose() -> None:
        if rng.random() < 0.3:
            await stream.aclose()

    both: list[Call] = [
        lambda: stream.send_all(bytes(rng.choice([0, 1, 50, 70_000]))),
        stream.send_eof,
        lambda: stream.send_trailers(rng.choice([{}, {"a": "b"}])),
        lambda: stream.receive_some(rng.choice([None, 1, 100])),
        stream.receive_trailers,
        stream.wait_send_all_might_not_block,
        pause,
        reset,
        aclose,
    ]
    if isinstance(stream, trio_h2.ServerStream):
        server = stream
        return [
            *both,
            lambda: server.respond(rng.choice([200, 204, 304]), end_stream=rng.random() < 0.2),
            lambda: server.respond({":status": 200, "content-length": 50}),
            lambda: server.respond(200, body=bytes(rng.choice([0, 10, 100_000]))),
            lambda: server.send_informational(103),
            *[lambda: push(rng, server)] * 3,
        ]
    assert isinstance(stream, (trio_h2.ClientStream, trio_h2.PushedStream))
    return [*both, stream.receive_response]


async def push(rng: random.Random, stream: trio_h2.ServerStream) -> None:
    """Pushes, and does things with what is pushed."""
    pushed = await stream.push({":method": rng.choice(["GET", "HEAD"])})
    await play(rng, pushed)


async def play(rng: random.Random, stream: trio_h2.Stream) -> None:
    """Up to three tasks do up to six things each, and lose patience at odd moments."""
    shielded = isinstance(stream, trio_h2.ServerStream)  # a handler may clean up when its stream is long gone

    async def task() -> None:
        for _ in range(rng.randint(1, 6)):
            try:
                with trio.move_on_after(rng.choice([0, 0.01, 0.5, 5]), shield=shielded):
                    await rng.choice(calls(rng, stream))()
            except DOCUMENTED:
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(rng.randint(1, 3)):
            nursery.start_soon(task)


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in leaves(member)]
    return [error]


@pytest.mark.parametrize("seed", range(30))
async def test_nothing_foreign_comes_out_and_nothing_is_left(
    seed: int, caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    rng = random.Random(seed)

    async def handler(stream: trio_h2.ServerStream) -> None:
        await play(rng, stream)
        if rng.random() < 0.1:
            raise OurBugError

    async def ask(client: trio_h2.ClientSession) -> None:
        method, body = rng.choice(["POST", "HEAD", "GET"]), bytes(rng.choice([0, 0, 10, 70_000]))
        try:
            with trio.move_on_after(rng.choice([0.5, 20, 100])):
                async with client.request(method, body=body, end_stream=rng.random() < 0.5) as stream:
                    await play(rng, stream)
        except DOCUMENTED:
            pass

    pair = session_pair(
        handler,
        client_config=trio_h2.ClientConfig(stream_window=rng.choice([64, 5000])),
        server_config=trio_h2.ServerConfig(stream_window=rng.choice([64, 1000, 128 * 1024])),
        cancel_handler_on_reset=rng.random() < 0.5,
        raise_handler_errors=False,
        push_handler=partial(play, rng) if rng.random() < 0.7 else None,
    )
    async with pair as sessions:
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(ask, sessions[0])
            if rng.random() < 0.3:
                await trio.sleep(3 * rng.random())
                rng.choice(sessions).shutdown()
        await trio.sleep(20)
    for session in sessions:
        left = session.statistics()
        assert (left.open_streams, left.running_handlers, left.ledger.held, left.queued_body) == (0, 0, 0, 0)
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info and record.levelno >= logging.WARNING]
    for error in logged:
        assert error is not None
        assert all(isinstance(leaf, (*DOCUMENTED, OurBugError)) for leaf in leaves(error)), leaves(error)
