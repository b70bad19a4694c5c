"""How many handlers run at once: max_concurrent_streams counts them, not only the open streams (rapid reset)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import served, settle
from trio_h2 import ErrorCode, ServerConfig, Settings
from trio_h2.testing import SettingsFrame, session_pair

if TYPE_CHECKING:
    from trio_h2 import ServerStream
    from trio_h2.testing import ScriptedPeer

TWO = ServerConfig(max_concurrent_streams=2, reset_burst=10_000)


class Holding:
    """A handler that ends when it is let go, whatever becomes of its stream."""

    def __init__(self) -> None:
        self.go = trio.Event()
        self.started: list[int] = []
        self.running = self.most = 0

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()  # a test that fails need not hang

    async def __call__(self, stream: ServerStream) -> None:
        self.started.append(stream.id)
        self.running += 1
        self.most = max(self.most, self.running)
        with trio.CancelScope(shield=True):
            await self.go.wait()
        self.running -= 1
        await stream.respond(body=b"done")


async def two_outlive_their_streams(peer: ScriptedPeer) -> None:
    """Two requests are reset, whose handlers go on; a third one, on stream 5, has to wait for one of them."""
    for stream_id in (1, 3):
        await peer.request()
        await peer.send_rst(stream_id)
    await peer.request()
    await peer.ping()


async def test_a_reset_frees_no_place_until_the_handler_has_ended(autojump_clock: object) -> None:
    handler = Holding()
    async with served(handler, config=TWO) as (peer, session):
        with handler:
            await two_outlive_their_streams(peer)
            await peer.expect_nothing(0.5)
            assert sorted(handler.started) == [1, 3]
            assert session.statistics().running_handlers == 3
            handler.go.set()
            await peer.expect_headers(5, status=200)
            assert sorted(handler.started) == [1, 3, 5]
            await settle()
            assert session.statistics().running_handlers == 0


async def test_nobody_waits_for_ever(caplog: pytest.LogCaptureFixture, autojump_clock: object) -> None:
    handler = Holding()
    async with served(handler, config=TWO) as (peer, session):
        with handler:
            for stream_id in (1, 3):
                await peer.request()
                await peer.send_rst(stream_id)
            start = trio.current_time()
            fifth = await peer.request(path="/late")
            await trio.sleep(0.25)
            seventh = await peer.request()
            await peer.expect_rst(fifth, ErrorCode.REFUSED_STREAM)
            assert trio.current_time() - start == pytest.approx(1)
            await peer.expect_rst(seventh, ErrorCode.REFUSED_STREAM)
            assert trio.current_time() - start == pytest.approx(1.25)
            assert session.statistics().running_handlers == 2
            handler.go.set()
            await settle()
            ninth = await peer.request()
            await peer.expect_headers(ninth, status=200)
            assert sorted(handler.started) == [1, 3, 9]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1  # of two
    assert "GET /late is refused, since max_concurrent_streams=2" in warnings[0]


async def test_rapid_reset_starts_no_more_handlers_than_allowed(autojump_clock: object) -> None:
    handler = Holding()
    async with served(handler, config=TWO.evolve(max_session_rejected_streams=1000)) as (peer, session):
        with handler:
            async with peer.batch():
                for _ in range(500):
                    stream_id = await peer.request()
                    await peer.send_rst(stream_id)
            await peer.ping()
            await settle()
            assert sorted(handler.started) == [1, 3]
            statistics = session.statistics()
            assert (statistics.running_handlers, statistics.open_streams) == (2, 0)
            handler.go.set()
            await settle()
            assert sorted(handler.started) == [1, 3]
            assert session.statistics().running_handlers == 0


async def test_a_client_that_keeps_the_limit_is_never_refused(autojump_clock: object) -> None:
    """Its streams end before their handlers do, which all have something to do after their last byte."""
    most = running = 0

    async def handler(stream: ServerStream) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await stream.respond(body=b"done")
        await trio.sleep(0.01)
        running -= 1

    async with session_pair(handler, server_config=TWO) as (client, _), trio.open_nursery() as nursery:
        await client.ping()  # before the server's SETTINGS come, a client may be wrong about the limit

        async def fetch() -> None:
            async with client.request("GET") as stream:
                assert await stream.receive_some() == b"done"

        for _ in range(100):
            nursery.start_soon(fetch)
    assert most == 2


async def test_a_limit_that_is_raised(autojump_clock: object) -> None:
    handler = Holding()
    async with served(handler, config=TWO) as (peer, session):
        with handler:
            await two_outlive_their_streams(peer)
            await settle()
            assert sorted(handler.started) == [1, 3]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.update_settings, Settings(max_concurrent_streams=3))
                await peer.pick(SettingsFrame, ack=False)
            await settle()
            assert sorted(handler.started) == [1, 3, 5]
            handler.go.set()
            await peer.expect_headers(5, status=200)


async def test_a_cut_session_has_no_queue(autojump_clock: object) -> None:
    handler = Holding()
    async with served(handler, config=TWO) as (peer, session):
        with handler:
            await two_outlive_their_streams(peer)
            await peer.aclose()
            await settle()
            assert session.statistics().running_handlers == 2
            handler.go.set()
    assert sorted(handler.started) == [1, 3]
