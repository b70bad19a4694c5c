"""GOAWAY of either side: what is under way finishes, what is new is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_h2
from tests.reference.ends import our_client, our_server, pattern, read
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ReferenceServerStream


async def slow(stream: trio_h2.ServerStream) -> None:
    """Answers after a while."""
    await trio.sleep(1)
    await stream.respond({":status": 200}, body=await read(stream))


async def reference_slow(stream: ReferenceServerStream) -> None:
    """Answers after a while."""
    await trio.sleep(1)
    await stream.respond(200, body=await stream.read())


async def test_our_server_drains(autojump_clock: MockClock) -> None:
    async with our_server(slow, probe=False) as (client, session):
        stream = await client.open_stream("POST")
        session.shutdown()
        goaway = await client.wait_goaway()
        assert goaway.code == ErrorCode.NO_ERROR
        await wait_all_tasks_blocked()
        with pytest.raises(trio_h2.GoAwayError):
            await client.request("GET")
        await stream.send_all(pattern(100_000))
        await stream.send_eof()
        assert (await stream.response()).body == pattern(100_000)
        assert client.goaway_received is not None
        assert client.goaway_received.last_stream_id == stream.stream_id
        await client.wait_closed()
        assert isinstance(client.error, trio_h2.GoAwayError)
    await session.wait_closed()


async def test_our_server_says_why_and_goes_on(autojump_clock: MockClock) -> None:
    async with our_server(slow, probe=False) as (client, session):
        stream = await client.open_stream("POST", end_stream=True)
        await wait_all_tasks_blocked()
        await session.goaway(ErrorCode.ENHANCE_YOUR_CALM, debug_data=b"enough")
        goaway = await client.wait_goaway()
        assert (goaway.code, goaway.debug) == (ErrorCode.ENHANCE_YOUR_CALM, b"enough")
        assert (await stream.response()).status == 200
        await client.ping()
        with pytest.raises(trio_h2.GoAwayError) as caught:
            await client.request("GET")
        assert caught.value.debug_data == b"enough"


async def test_our_server_has_not_looked_at_it(autojump_clock: MockClock) -> None:
    async with our_server(slow, probe=False) as (client, session):
        first = await client.open_stream("POST")
        second = await client.open_stream("POST")
        await wait_all_tasks_blocked()
        await session.goaway(last_stream_id=first.stream_id)
        with pytest.raises(trio_h2.StreamRefusedError) as caught:
            await second.response()
        assert caught.value.retryable
        await first.send_eof()
        assert (await first.response()).status == 200


async def test_the_reference_client_leaves(autojump_clock: MockClock) -> None:
    async def pushes(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(1)
        assert not stream.push_allowed
        await stream.respond({":status": 200}, body=b"page")

    async with our_server(pushes, probe=False) as (client, session):
        stream = await client.open_stream("GET", end_stream=True)
        await client.goaway(debug_data=b"bye")
        assert (await stream.response()).body == b"page"
    await session.wait_closed()


async def test_the_reference_server_drains(autojump_clock: MockClock) -> None:
    async with our_client(reference_slow, probe=False) as (session, server):
        async with session.request("POST", end_stream=False) as stream:
            await wait_all_tasks_blocked()
            await server.goaway()
            await wait_all_tasks_blocked()
            assert session.draining
            with pytest.raises(trio_h2.GoAwayError) as caught:
                await session.open_stream("GET")
            assert caught.value.retryable
            await stream.send_all(pattern(100_000))
            await stream.send_eof()
            assert await read(stream) == pattern(100_000)
        assert server.error is None or isinstance(server.error, trio_h2.SessionError)


async def test_the_reference_server_has_not_looked_at_it(autojump_clock: MockClock) -> None:
    async with (
        our_client(reference_slow, probe=False) as (session, server),
        session.request("GET") as first,
        session.request("GET") as second,
    ):
        await wait_all_tasks_blocked()
        await server.goaway(last_stream_id=first.id)
        with pytest.raises(trio_h2.StreamRefusedError):
            await second.receive_response()
        assert (await first.receive_response()).status == 200
        assert await read(first) == b""


async def test_requests_that_cross_a_goaway_are_refused(autojump_clock: MockClock) -> None:
    async def ask(session: trio_h2.ClientSession) -> None:
        with pytest.raises((trio_h2.StreamRefusedError, trio_h2.GoAwayError)) as caught:
            async with session.request("GET") as stream:
                await stream.receive_response()
        assert caught.value.retryable

    async with our_client(reference_slow, probe=False) as (session, server), session.request("GET") as first:
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.goaway)
            nursery.start_soon(ask, session)
        assert (await first.receive_response()).status == 200


async def test_our_client_leaves(autojump_clock: MockClock) -> None:
    codes: list[int] = []

    async def handler(stream: ReferenceServerStream) -> None:
        with pytest.raises((trio_h2.StreamError, trio_h2.SessionError)) as caught:
            await stream.read()
        assert caught.value.code is not None
        codes.append(caught.value.code)

    async with our_client(handler, probe=False) as (session, server):
        await session.open_stream("POST", end_stream=False)
        await wait_all_tasks_blocked()
        await session.aclose(grace=0)
        await server.wait_closed()
        assert server.goaway_received is not None
        assert server.goaway_received.code == ErrorCode.NO_ERROR
    assert len(codes) == 1
