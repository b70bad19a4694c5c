"""Timeouts of a configuration that are 0: off; and graces that are 0: no time at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.session.scripted import connected, forever, hello, served
from trio_h2 import ClientConfig, ErrorCode, ServerConfig, connect
from trio_h2.testing import RstStreamFrame, memory_transports, session_pair

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_peers_that_never_answer_are_waited_for(autojump_clock: MockClock) -> None:
    config = ClientConfig(handshake_timeout=0, settings_timeout=0, ping_interval=0, ping_timeout=0, idle_timeout=0)
    ours, theirs = memory_transports()
    async with theirs, connect("http://a", transport=ours, config=config) as session:
        await trio.sleep(10_000)
        assert not session.closed
        assert not session.destroyed


async def test_a_handler_has_all_the_time(autojump_clock: MockClock) -> None:
    config = ServerConfig(handler_timeout=0, body_timeout=0, stream_idle_timeout=0, idle_timeout=0)
    async with (
        session_pair(forever, server_config=config) as (client, _),
        client.request("POST", end_stream=False) as stream,
    ):
        with trio.move_on_after(10_000) as scope:
            await stream.receive_response()
        assert scope.cancelled_caught


async def test_a_body_is_held_for_as_long_as_nobody_answers(autojump_clock: MockClock) -> None:
    async with (
        connected(config=ClientConfig(expect_continue_timeout=0, ping_interval=0)) as (session, peer),
        session.request("POST", body=b"held", expect_continue=True) as stream,
    ):
        await peer.expect_headers(stream.id)
        await trio.sleep(1000)
        await peer.send_headers(stream.id, {":status": "100"})
        assert (await peer.expect_data(stream.id)).data == b"held"


async def test_no_time_to_end_a_stream(autojump_clock: MockClock) -> None:
    async with connected(config=ClientConfig(linger_timeout=0)) as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(stream.id)
        await peer.send_headers(stream.id, {":status": "200"})
        await stream.receive_response()
        start = trio.current_time()
        await stream.aclose()
        await peer.expect_rst(stream.id, ErrorCode.CANCEL)
        assert trio.current_time() == start


async def test_no_time_to_answer_the_ping_of_a_drain(autojump_clock: MockClock) -> None:
    async with served(hello, config=ServerConfig(goaway_timeout=0)) as (peer, session):
        start = trio.current_time()
        session.shutdown()
        await peer.expect_goaway(last_stream_id=2**31 - 1)
        await peer.expect_goaway(last_stream_id=0)
        assert trio.current_time() == start


async def test_no_time_to_drain(autojump_clock: MockClock) -> None:
    async with served(forever, config=ServerConfig(drain_timeout=0)) as (peer, session):
        stream_id = await peer.request()
        await peer.ping()
        start = trio.current_time()
        await session.aclose()
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.CANCEL)
        assert trio.current_time() - start < 2


async def test_no_time_for_a_handler_that_outlived_its_stream(autojump_clock: MockClock) -> None:
    config = ServerConfig(handler_wait_timeout=0, max_concurrent_streams=1)
    async with served(forever, config=config, cancel_handler_on_reset=False) as (peer, session):
        await peer.send_rst(await peer.request(), ErrorCode.CANCEL)
        start = trio.current_time()
        await peer.expect_rst(await peer.request(), ErrorCode.REFUSED_STREAM)
        assert trio.current_time() == start
        session.destroy()


async def test_no_time_for_an_upload_that_nobody_reads(autojump_clock: MockClock) -> None:
    async with served(hello, config=ServerConfig(upload_grace_timeout=0)) as (peer, _):
        await peer.request("POST", end_stream=False)
        start = trio.current_time()
        await peer.until(RstStreamFrame)
        assert trio.current_time() == start
