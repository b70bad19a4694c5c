"""A stream is a Trio stream: it passes Trio's own checks, in both directions, also when it is clogged."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, pair

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trio.testing import MockClock

    from tests.stream.harness import Sessions

    Ends = tuple[trio_h2.Stream, trio_h2.Stream]

_WINDOW = 65_535


@asynccontextmanager
async def _stream_makers() -> AsyncGenerator[tuple[Exchanges, Sessions], None]:
    exchanges = Exchanges()
    async with pair(
        exchanges.handle,
        client_config=trio_h2.ClientConfig(stream_window=_WINDOW),
        server_config=trio_h2.ServerConfig(stream_window=_WINDOW),
        cancel_handler_on_reset=False,
    ) as sessions:
        yield exchanges, sessions
        exchanges.finish()
        await trio.testing.wait_all_tasks_blocked()


async def _open(exchanges: Exchanges, client: trio_h2.ClientSession) -> Ends:
    near = await client.open_stream("POST", end_stream=False)
    far = await exchanges.next()
    await far.respond(200)
    await near.receive_response()
    return near, far


async def _fill(stream: trio_h2.Stream) -> None:
    """Fills the window; completed, because a cancelled send tears the body."""
    await stream.send_all(bytes(_WINDOW))


@pytest.mark.parity("D1")
@pytest.mark.parametrize("turned", [False, True], ids=["client-first", "server-first"])
async def test_a_stream_is_a_half_closeable_stream(autojump_clock: MockClock, turned: bool) -> None:
    async with _stream_makers() as (exchanges, (client, _server)):

        async def make() -> Ends:
            near, far = await _open(exchanges, client)
            return (far, near) if turned else (near, far)

        async def make_clogged() -> Ends:
            ends = await make()
            for end in ends:  # Trio looks at both directions
                await _fill(end)
            return ends

        await trio.testing.check_half_closeable_stream(make, make_clogged)


@pytest.mark.parity("D1")
async def test_a_stream_can_be_iterated(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        body = b"".join([chunk async for chunk in stream])
        await stream.respond(body=body[::-1])

    async with pair(handler) as (client, _server), client.request("POST", body=b"abc") as stream:
        assert [chunk async for chunk in stream] == [b"cba"]
        assert await stream.receive_some() == b""


@pytest.mark.parity("A1")
async def test_streams_sessions_and_servers_cannot_be_made_by_users(autojump_clock: MockClock) -> None:
    kinds = (trio_h2.ClientStream, trio_h2.ServerStream, trio_h2.ClientSession, trio_h2.ServerSession, trio_h2.Server)
    for kind in kinds:
        with pytest.raises(TypeError, match="no public constructor"):
            cast("Callable[[], object]", kind)()
    exchanges = Exchanges()
    async with pair(exchanges.handle) as (client, server):
        async with client.request("GET") as stream:
            assert isinstance(stream, trio_h2.ClientStream)
            assert isinstance(stream, trio.abc.HalfCloseableStream)
            assert isinstance(await exchanges.next(), trio_h2.ServerStream)
        assert isinstance(client, trio_h2.ClientSession)
        assert isinstance(server, trio_h2.ServerSession)
        exchanges.finish()


@pytest.mark.parity("D1", "K2")
async def test_one_task_per_direction(autojump_clock: MockClock) -> None:
    async with _stream_makers() as (exchanges, (client, _server)):
        near, far = await _open(exchanges, client)
        await _fill(near)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, b"blocked")
            nursery.start_soon(near.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError, match="sending"):
                await near.send_all(b"x")
            with pytest.raises(trio.BusyResourceError, match="sending"):
                await near.wait_send_all_might_not_block()
            with pytest.raises(trio.BusyResourceError, match="sending"):
                await near.send_eof()
            with pytest.raises(trio.BusyResourceError, match="sending"):
                await near.send_trailers({"a": "b"})
            with pytest.raises(trio.BusyResourceError, match="receiving"):
                await near.receive_some()
            with pytest.raises(trio.BusyResourceError, match="receiving"):
                await near.receive_trailers()
            # Nothing of that has hurt either direction.
            await far.send_all(b"answer")
            assert len(await far.receive_some()) == 65_535
            assert await far.receive_some() == b"blocked"
        near.reset()
        far.reset()


async def test_the_directions_are_independent(autojump_clock: MockClock) -> None:
    async with _stream_makers() as (exchanges, (client, _server)):
        near, far = await _open(exchanges, client)
        async with near, far:
            await _fill(near)
            await _fill(far)
            got: list[bytes] = []

            async def read(stream: trio_h2.Stream) -> None:
                got.append(await stream.receive_some(10))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(near.send_all, b"more")
                nursery.start_soon(far.send_all, b"more")
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(read, near)
                nursery.start_soon(read, far)
                await trio.testing.wait_all_tasks_blocked()
                assert got == [bytes(10)] * 2
                await near.receive_some()
                await far.receive_some()
