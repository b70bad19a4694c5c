"""Both directions at once, one of them alone, and streams that do not hold up each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, pair, scripted_client, scripted_server
from trio_h2.testing import PingFrame

if TYPE_CHECKING:
    from trio.testing import MockClock


async def _echo(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200)
    async for chunk in stream:
        await stream.send_all(chunk)


async def test_request_and_response_run_at_the_same_time(autojump_clock: MockClock) -> None:
    async with pair(_echo) as (client, _server), client.request("POST", end_stream=False) as stream:
        assert (await stream.receive_response()).status == 200
        for number in range(10):
            message = b"%d" % number * 1000
            await stream.send_all(message)
            got = b""
            while len(got) < len(message):
                got += await stream.receive_some()
            assert got == message
        await stream.send_eof()
        assert await stream.receive_some() == b""


@pytest.mark.parity("C1")
@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_given_body_is_sent_while_the_response_is_read(autojump_clock: MockClock, size: int) -> None:
    async with pair(_echo) as (client, _server), client.request("POST", body=bytes(size)) as stream:
        received = 0
        async for chunk in stream:
            received += len(chunk)
        assert received == size


async def test_a_response_before_the_request_ends(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = (await peer.expect_headers()).stream_id
        await peer.respond(stream_id, body=b"all of it")
        assert await stream.receive_some() == b"all of it"
        assert await stream.receive_some() == b""
        await stream.send_all(b"go on")
        await stream.send_eof()
        assert await peer.collect_body(stream_id) == b"go on"
        await peer.expect_nothing()


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


@pytest.mark.parametrize("client_first", [True, False])
async def test_a_tunnel_is_closed_by_halves(autojump_clock: MockClock, client_first: bool) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert (stream.method, stream.authority, stream.path) == ("CONNECT", "target:99", "")
        await stream.respond(200)
        await stream.send_all(b"welcome")
        if not client_first:
            await stream.send_eof()
            await trio.sleep(300)
        received = b"".join([chunk async for chunk in stream])
        if client_first:
            await trio.sleep(300)
            await stream.send_all(b"hello " + received)
        assert received == b"Jane"

    target = {":authority": "target:99"}
    async with pair(handler) as (client, _), client.request("CONNECT", headers=target, end_stream=False) as stream:
        assert (await stream.receive_response()).status == 200
        assert await stream.receive_some() == b"welcome"
        if not client_first:
            assert await stream.receive_some() == b""
            await trio.sleep(300)
        await stream.send_all(b"Jane")
        await stream.send_eof()
        assert await stream.receive_some() == (b"hello Jane" if client_first else b"")
        assert await stream.receive_some() == b""


# -- one that stalls ---------------------------------------------------------------------------------------------------


async def test_a_stalled_handler_stops_nobody_else(autojump_clock: MockClock) -> None:
    stuck = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/stalled":
            await stuck.wait()
        await stream.respond(body=stream.path.encode())

    async with scripted_client(handler) as (server, peer):
        stalled = await peer.request("POST", "/stalled", end_stream=False)
        while peer.send_window(stalled):
            await peer.send_data(stalled, bytes(min(16_384, peer.send_window(stalled))))
        await peer.send_ping(b"alive???")
        await peer.expect(PingFrame, ack=True, data=b"alive???")
        other = await peer.request(path="/other")
        await peer.expect_headers(other, status=200)
        await peer.expect_data(other, b"/other", end_stream=True)
        assert server.statistics().ledger.held == trio_h2.ServerConfig().stream_window
        stuck.set()


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


async def test_a_transport_that_stalls_does_not_stop_the_reader(autojump_clock: MockClock) -> None:
    """The peer reads nothing for a while: what it sends is received all the same."""
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, capacity=100) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        stream = await exchanges.next()
        await stream.respond({"x": f"{stream_id:04}" * 500})
        await trio.testing.wait_all_tasks_blocked()  # the writer is stuck now
        for _ in range(50):
            await peer.send_data(stream_id, bytes(1000))
        received = 0
        while received < 50_000:
            received += len(await stream.receive_some())
        await peer.expect_headers(stream_id, status=200)
        exchanges.finish()
        await peer.expect_data(stream_id, end_stream=True)


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
