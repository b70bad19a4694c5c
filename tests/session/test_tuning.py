"""Windows grow to what the path is worth: a long fat pipe in simulated time (lesson P6)."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2.testing import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from trio.testing import MockClock

SIZE = 16 * 1024 * 1024
ONE_WAY = 0.025


async def delayed(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
    """Forwards everything `ONE_WAY` seconds later, with endless bandwidth."""
    send, receive = trio.open_memory_channel[tuple[float, bytes]](math.inf)

    async def take() -> None:
        with send, contextlib.suppress(trio.BrokenResourceError):
            while data := await source.receive_some(2**20):
                send.send_nowait((trio.current_time() + ONE_WAY, bytes(data)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        with contextlib.suppress(trio.BrokenResourceError):  # the other end has been closed meanwhile
            async for due, data in receive:
                await trio.sleep_until(due)
                await sink.send_all(data)


def long_line() -> AbstractAsyncContextManager[tuple[trio.abc.Stream, trio.abc.Stream]]:
    """Two ends of a transport with a round trip of 50 ms."""

    @contextlib.asynccontextmanager
    async def block() -> AsyncGenerator[tuple[trio.abc.Stream, trio.abc.Stream], None]:
        client, left = memory_transports()
        right, server = memory_transports()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(delayed, left, right)
            nursery.start_soon(delayed, right, left)
            yield client, server
            nursery.cancel_scope.cancel()

    return block()


async def bulk(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200)
    await stream.send_all(bytes(SIZE))


async def download(config: trio_h2.ClientConfig) -> tuple[float, int]:
    """Returns the simulated seconds that the body took, and the largest window the stream had."""
    largest = 0
    async with long_line() as (near, far), trio.open_nursery() as nursery:
        nursery.start_soon(trio_h2.serve_stream, bulk, far)
        async with (
            trio_h2.connect("http://far.example", transport=near, config=config) as session,
            session.request("GET") as stream,
        ):
            await stream.receive_response()
            started = trio.current_time()
            received = 0
            async for chunk in stream:
                received += len(chunk)
                credit = session._engine.credits.get(stream.id)
                largest = max(largest, credit.target if credit is not None else 0)
            seconds = trio.current_time() - started
            assert received == SIZE
    return seconds, largest


async def test_p06_a_window_grows_to_the_bandwidth_delay_product(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig()
    seconds, largest = await download(config)
    assert largest >= 4 * config.stream_window
    assert seconds < SIZE / config.stream_window * 2 * ONE_WAY / 2


async def test_a_window_without_a_free_rest_stays_as_it_is(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig(stream_window=512 * 1024, receive_budget=512 * 1024, peer_max_concurrent_streams=1)
    seconds, largest = await download(config)
    assert largest == config.stream_window
    assert seconds > SIZE / config.stream_window * 2 * ONE_WAY / 2
