"""Both directions at once, one of them alone, and streams that do not hold up each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair

if TYPE_CHECKING:
    from trio.testing import MockClock


async def _echo(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200)
    async for chunk in stream:
        await stream.send_all(chunk)


@pytest.mark.parity("C1")
@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_given_body_is_sent_while_the_response_is_read(autojump_clock: MockClock, size: int) -> None:
    async with pair(_echo) as (client, _server), client.request("POST", body=bytes(size)) as stream:
        received = 0
        async for chunk in stream:
            received += len(chunk)
        assert received == size


# -- half-closed for long ----------------------------------------------------------------------------------------------


async def test_the_request_stays_open_for_minutes_after_the_response(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_eof()
        got.append(b"".join([chunk async for chunk in stream]))

    got: list[bytes] = []
    async with pair(handler) as (client, _server), client.request("POST", end_stream=False) as stream:
        assert await stream.receive_some() == b""
        for _ in range(3):
            await trio.sleep(200)
            await stream.send_all(b"slow")
        await stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert got == [b"slow" * 3]


async def test_the_response_stays_open_for_minutes_after_the_request(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert await stream.receive_some() == b""
        await stream.respond(200)
        for _ in range(3):
            await trio.sleep(200)
            await stream.send_all(b"slow")

    async with pair(handler) as (client, _server), client.request("GET") as stream:
        assert [chunk async for chunk in stream] == [b"slow"] * 3


# -- one that stalls ---------------------------------------------------------------------------------------------------


async def test_a_reader_that_stalls_in_the_client_stops_nobody_else(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(bytes(10_000_000 if stream.path == "/stalled" else 10))

    async with pair(handler) as (client, server), client.request("GET", "/stalled"):
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().ledger.held == trio_h2.ClientConfig().stream_window
        await client.ping()
        await server.ping()
        async with client.request("GET", "/other") as other:
            assert await other.receive_some() == bytes(10)


@pytest.mark.parity("D8")
async def test_a_handler_reaches_its_session(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert isinstance(stream.session, trio_h2.ServerSession)
        await stream.session.wait_draining()
        await stream.respond(body=b"draining")

    async with pair(handler) as (client, server), client.request("GET") as stream:
        assert stream.session is client
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
        assert await stream.receive_some() == b"draining"
