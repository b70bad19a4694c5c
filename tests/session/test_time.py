"""What happens when nothing happens: keep-alive and idle sessions."""

from __future__ import annotations

import math
from functools import partial

import pytest
import trio

from tests.session.scripted import Wrapped, connected, forever, hello, served, settle
from trio_h2 import ClientConfig, ErrorCode, Initiator, KeepaliveTimeoutError, ServerConfig, ServerStream
from trio_h2.testing import BlackHoleStream, GoAwayFrame, PingFrame, WindowUpdateFrame


@pytest.mark.parametrize("capacity", [None, 0])
async def test_a_black_hole_is_noticed(capacity: int | None, autojump_clock: object) -> None:
    """Silence for the interval, a PING, silence for its timeout; also if not even the PING can be written."""
    hole = Wrapped(partial(BlackHoleStream, send_capacity=capacity))
    async with connected(wrap=hole, config=ClientConfig(ping_interval=30, ping_timeout=15)) as (session, peer):
        stream = await session.open_stream("POST", end_stream=False)
        await peer.expect_headers(1)
        await trio.sleep(3)
        await peer.send_window_update(0, 1)  # the last sign of life
        await settle()
        hole.stream.go_silent()
        start = trio.current_time()
        with pytest.raises(KeepaliveTimeoutError, match="ping_timeout=15 s") as caught:
            await stream.receive_response()
        assert trio.current_time() - start == pytest.approx(45)
        assert caught.value.initiator is Initiator.LIBRARY
        assert not caught.value.retryable
        with pytest.raises(KeepaliveTimeoutError):
            await stream.send_all(b"x")
        with pytest.raises(KeepaliveTimeoutError):
            await session.wait_closed()
        assert trio.current_time() - start <= 46
        swallowed = hole.stream.swallowed
        await trio.sleep(1000)
        assert hole.stream.swallowed == swallowed  # the timers are not armed again


async def test_a_server_notices_too(autojump_clock: object) -> None:
    async with served(forever) as (peer, session):
        await peer.request()
        peer.auto_ack = False
        start = trio.current_time()
        with pytest.raises(KeepaliveTimeoutError):
            await session.wait_closed()
        assert trio.current_time() - start == pytest.approx(80, abs=1.1)
        await peer.until(GoAwayFrame, code=ErrorCode.NO_ERROR)


async def test_any_byte_is_life(autojump_clock: object) -> None:
    async with served(forever, config=ServerConfig(ping_interval=10, ping_timeout=5, body_timeout=math.inf)) as (
        peer,
        session,
    ):
        peer.auto_ack = False
        await peer.request("POST", end_stream=False)
        for _ in range(20):
            await trio.sleep(9)
            await peer.send_window_update(0, 1)
        await settle()
        await peer.expect_nothing()  # and no PING was needed
        await trio.sleep(11)
        await peer.expect(PingFrame, ack=False)
        await trio.sleep(3.5)
        await peer.send_bytes(b"\0")  # no answer to the PING, but a sign of life: part of a frame
        await trio.sleep(9)
        assert not session.closed


async def test_keepalive_counts_from_the_queueing_of_its_ping(autojump_clock: object) -> None:
    """A peer that stops reading also stops our PING from being sent; it is no less dead."""
    config = ClientConfig(ping_interval=10, ping_timeout=5)
    async with connected(config=config, capacity=2000) as (session, peer):
        stream = await session.open_stream("POST", end_stream=False)
        await peer.expect_headers(1)
        start = trio.current_time()
        await stream.send_all(bytes(50_000))
        with pytest.raises(KeepaliveTimeoutError):
            await stream.send_all(bytes(10_000))
        assert trio.current_time() - start == pytest.approx(15)


async def test_a_client_without_streams_does_not_ping(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(ping_interval=10, ping_timeout=5)) as (session, peer):
        await peer.pick(WindowUpdateFrame)
        await peer.expect_nothing(1000, strict=True)
        stream = await session.open_stream("GET")
        start = trio.current_time()
        await peer.expect_headers(1)
        peer.timeout = 100
        await peer.expect(PingFrame, ack=False)
        assert trio.current_time() - start == pytest.approx(10)  # counted from the stream, not from the silence before
        await peer.respond(1)
        await stream.receive_response()
        await peer.expect_nothing(1000, strict=True)


async def test_a_server_pings_always(autojump_clock: object) -> None:
    async with served(hello, config=ServerConfig(idle_timeout=math.inf)) as (peer, session):
        peer.timeout = 100
        start = trio.current_time()
        for _ in range(5):
            await peer.expect(PingFrame, ack=False)
        assert trio.current_time() - start == pytest.approx(300)
        assert not session.closed


@pytest.mark.parametrize("client", [True, False])
async def test_keepalive_can_be_turned_off(client: bool, autojump_clock: object) -> None:
    if client:
        async with connected(config=ClientConfig(ping_interval=math.inf)) as (session, peer):
            await session.open_stream("GET")
            await peer.expect_headers(1)
            await peer.expect_nothing(100_000, strict=True)
    else:
        config = ServerConfig(ping_interval=math.inf, idle_timeout=math.inf)
        async with served(forever, config=config) as (peer, _):
            await peer.pick(WindowUpdateFrame)
            await peer.request()
            await peer.expect_nothing(100_000, strict=True)


@pytest.mark.parametrize("interval", [0.1, 0.3, 0.7, 1 / 3, 5.3])
async def test_rounding_never_makes_the_watch_spin(interval: float, autojump_clock: object) -> None:
    """x + y - x is not always y."""
    async with served(hello, config=ServerConfig(ping_interval=interval, idle_timeout=math.inf)) as (peer, _):
        peer.timeout = 100
        for _ in range(200):
            await peer.expect(PingFrame, ack=False)


# -- idle --------------------------------------------------------------------------------------------------------------


async def test_a_running_handler_is_no_idle_session(autojump_clock: object) -> None:
    """Even if its stream is gone."""
    go = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await go.wait()

    config = ServerConfig(idle_timeout=50)
    async with served(handler, config=config, cancel_handler_on_reset=False) as (peer, session):
        await peer.request()
        await peer.send_rst(1)
        await peer.expect_nothing(100)
        go.set()
        await peer.expect_nothing(49)
        assert not session.closed
        await peer.expect_goaway()


# -- streams that linger -----------------------------------------------------------------------------------------------


async def test_streams_closed_here_are_reset_when_the_peer_does_not_end_them(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        streams = [await session.open_stream("GET") for _ in range(3)]
        for stream in streams:
            await peer.expect_headers(stream.id)
        await streams[0].aclose()
        await trio.sleep(2)
        await streams[1].aclose()
        await streams[2].aclose()
        start = trio.current_time()
        await peer.respond(streams[1].id)  # this one ends in time
        await peer.expect_rst(streams[0].id)
        assert trio.current_time() - start == pytest.approx(3)
        await peer.expect_rst(streams[2].id)
        assert trio.current_time() - start == pytest.approx(5)
        await peer.expect_nothing(20)
        assert session.statistics().open_streams == 0
