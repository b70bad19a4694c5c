"""Limits name themselves in a log line, and honest clients never meet them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import Wrapped, connected, forever, hello, served, settle
from trio_h2 import ClientConfig, ErrorCode, RemoteProtocolError, ServerConfig, StreamRefusedError
from trio_h2.testing import StallableStream, session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_h2 import ServerStream
    from trio_h2.testing import ScriptedPeer

Log = pytest.LogCaptureFixture


async def rapid_reset(peer: ScriptedPeer) -> None:
    for _ in range(21):
        async with peer.batch():
            stream_id = await peer.request()
            await peer.send_rst(stream_id)


async def ping_flood(peer: ScriptedPeer) -> None:
    async with peer.batch():
        for _ in range(101):
            await peer.send_ping()


CONFIG = ServerConfig(
    reset_burst=20, reset_rate=1, overhead_burst=100, overhead_rate=1, max_queued_replies=1000, ping_interval=1000
)


@pytest.mark.parametrize(
    ("flood", "limit"),
    [
        (rapid_reset, "reset_burst=20 at once and reset_rate=1 per second"),
        (ping_flood, "overhead_burst=100"),
    ],
)
async def test_floods_end_the_session_and_say_why(
    flood: Callable[[ScriptedPeer], Awaitable[None]], limit: str, caplog: Log, autojump_clock: object
) -> None:
    async with served(forever, config=CONFIG) as (peer, session):
        await flood(peer)
        goaway = await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)
        assert limit.encode() in goaway.debug
        await peer.aclose()
        with pytest.raises(RemoteProtocolError) as caught:
            await session.wait_closed()
        assert limit in str(caught.value)
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert record.name == "trio_h2.session"
    assert limit in record.getMessage()


async def test_a_peer_that_does_not_read_our_answers(caplog: Log, autojump_clock: object) -> None:
    wall = Wrapped(StallableStream)
    async with served(hello, config=ServerConfig(max_queued_replies=50), wrap=wall) as (peer, session):
        await settle()
        wall.stream.stall_send()
        for _ in range(60):
            await peer.send_ping()
        await settle()
        assert session.closed
        assert session.statistics().queued_output < 10_000
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert "max_queued_replies=50" in record.getMessage()


async def test_a_burst_of_pings_with_the_defaults(caplog: Log, autojump_clock: object) -> None:
    """Ten thousand at once are answered, in whatever reads they come; only more end the session, and are named."""
    async with served(hello) as (peer, session):
        for count in 1001, 4000, 4900:
            async with peer.batch():
                for _ in range(count):
                    await peer.send_ping()
        await settle()
        assert not session.closed
        async with peer.batch():
            for _ in range(200):
                await peer.send_ping()
        goaway = await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)
        assert b"overhead_burst=10000 at once" in goaway.debug
        await peer.aclose()
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert "overhead_burst=10000" in record.getMessage()


async def test_budgets_refill(caplog: Log, autojump_clock: object) -> None:
    async with served(forever, config=CONFIG) as (peer, session):
        for _ in range(100):
            stream_id = await peer.request()
            await peer.send_rst(stream_id)
            await peer.ping()
            await trio.sleep(2)
        assert not session.closed
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_honest_traffic_with_the_defaults(caplog: Log, autojump_clock: object) -> None:
    """Many small exchanges, half of them given up, and many small reads: nobody is told to calm down."""

    async def handler(stream: ServerStream) -> None:
        await stream.respond()
        for _ in range(20):
            await stream.send_all(b"x" * 100)

    async with session_pair(handler) as (client, server), trio.open_nursery() as nursery:
        await client.ping()

        async def some(number: int) -> None:
            for turn in range(20):
                try:
                    async with client.request("GET", f"/{number}/{turn}") as stream:
                        await stream.receive_response()
                        if turn % 2:
                            while await stream.receive_some(50):
                                pass
                except StreamRefusedError:
                    pass
                await trio.sleep(1)

        for number in range(20):
            nursery.start_soon(some, number)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert server.statistics().ledger.held == client.statistics().ledger.held == 0


async def test_a_server_that_floods_a_client(caplog: Log, autojump_clock: object) -> None:
    async with connected(config=ClientConfig(overhead_burst=50, overhead_rate=1)) as (session, peer):
        async with peer.batch():
            for _ in range(60):
                await peer.send_ping()
        await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)
        await peer.aclose()
        with pytest.raises(RemoteProtocolError, match="overhead_burst=50"):
            await session.wait_closed()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
