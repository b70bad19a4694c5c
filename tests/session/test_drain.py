"""Leaving gracefully: `shutdown` and `aclose` of both roles (RFC 9113 §6.8)."""

from __future__ import annotations

import math

import pytest
import trio

from tests.session.scripted import connected, forever, hello, served, settle
from trio_h2 import (
    ErrorCode,
    KeepaliveTimeoutError,
    ServerConfig,
    ServerSession,
    ServerStream,
    SessionError,
    SettingCode,
    Settings,
)
from trio_h2.testing import DataFrame, GoAwayFrame, HeadersFrame, PingFrame

LAST = 2**31 - 1


async def answer_with_a_lot(stream: ServerStream) -> None:
    await stream.respond(body=bytes(1000))


# -- the server's two steps --------------------------------------------------------------------------------------------


async def test_a_client_that_has_said_nothing_holds_no_drain_up(autojump_clock: object) -> None:
    """Browsers connect in advance, load balancers look whether the port is open."""
    async with served(hello, handshake=False) as (peer, session):
        start = trio.current_time()
        session.shutdown()
        await peer.until(GoAwayFrame, code=ErrorCode.NO_ERROR, last_stream_id=0)
        await peer.expect_eof()
        await peer.aclose()
        await session.wait_closed()
        assert trio.current_time() == start


async def test_the_last_response_reaches_a_slow_client(autojump_clock: object) -> None:
    """All streams have ended once the last byte is framed; the transport still takes its time."""

    go = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await go.wait()
        await stream.respond(body=bytes(60_000))

    async with served(handler, capacity=100) as (peer, session):
        await peer.request()
        session.shutdown()
        await peer.until(GoAwayFrame, last_stream_id=1)
        go.set()
        await trio.sleep(10)
        await peer.expect_headers(1)
        assert len(await peer.collect_body(1, grant=False)) == 60_000
        await peer.expect_eof()


async def test_the_server_waits_for_the_clients_end(autojump_clock: object) -> None:
    """Bytes that nobody reads make TCP reset the connection, which may destroy the last response: so it reads on."""
    async with served(hello) as (peer, session):
        await peer.request()
        session.shutdown()
        await peer.until(GoAwayFrame, last_stream_id=1)
        await peer.expect_eof()
        await peer.send_window_update(0, 5)  # the transport would raise if the other end were closed
        await settle()
        assert not session._core.ending.closed.is_set()
        await peer.aclose()
        await session.wait_closed()


async def test_the_server_does_not_wait_for_ever_for_the_clients_end(autojump_clock: object) -> None:
    async with served(hello, config=ServerConfig(close_timeout=2)) as (peer, session):
        start = trio.current_time()
        session.shutdown()
        await peer.until(GoAwayFrame, last_stream_id=0)
        await session.wait_closed()
        assert trio.current_time() - start == pytest.approx(2)


# -- aclose ------------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B12")
async def test_the_default_grace_is_the_drain_timeout(autojump_clock: object) -> None:
    async with served(forever, config=ServerConfig(drain_timeout=4)) as (peer, session):
        await peer.request()
        await settle()
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.aclose)
            await peer.until(GoAwayFrame, last_stream_id=1)
        assert trio.current_time() - start == pytest.approx(4)


@pytest.mark.parity("B12")
async def test_aclose_returns_early_when_all_is_done(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.session.wait_draining()
        await stream.respond(body=b"had to go")

    async with served(handler) as (peer, session):
        await peer.request()
        await settle()
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.aclose, math.inf)
            await peer.expect_goaway(last_stream_id=LAST)
            await peer.expect_headers(1, status=200)
            await peer.expect_data(1, b"had to go", end_stream=True)
            await peer.expect_goaway(last_stream_id=1)
            await peer.expect_eof()
            await peer.aclose()
        assert trio.current_time() == start
        await session.aclose()  # idempotent


@pytest.mark.parity("B12")
async def test_aclose_cancelled_cuts_at_once(autojump_clock: object) -> None:
    async with served(forever) as (peer, session):
        await peer.request()
        await settle()
        start = trio.current_time()
        with trio.move_on_after(2) as scope:
            await session.aclose(100)
        assert scope.cancelled_caught
        assert trio.current_time() - start == pytest.approx(2)
        await peer.until(GoAwayFrame)
        await peer.pick(GoAwayFrame, last_stream_id=1)
        await peer.expect_rst(1, ErrorCode.CANCEL)
        await peer.expect_eof()


@pytest.mark.parity("B12", "K2")
async def test_a_handler_cannot_wait_for_itself(autojump_clock: object) -> None:
    refused: list[str] = []

    async def child(stream: ServerStream) -> None:
        assert isinstance(stream.session, ServerSession)
        with pytest.raises(RuntimeError, match="shutdown"):
            await stream.session.aclose()
        refused.append("child")

    async def handler(stream: ServerStream) -> None:
        assert isinstance(stream.session, ServerSession)
        with pytest.raises(RuntimeError, match="shutdown"):
            await stream.session.aclose()
        refused.append("handler")
        async with trio.open_nursery() as nursery, trio.open_nursery() as inner:
            nursery.start_soon(child, stream)
            inner.start_soon(child, stream)
        assert not stream.session.draining
        await stream.respond(body=b"")

    async with served(handler) as (peer, _):
        await peer.request()
        await peer.expect_headers(1, status=200)
    assert refused == ["handler", "child", "child"]


async def test_a_handler_may_begin_the_shutdown(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        stream.session.shutdown()
        await stream.respond(body=b"bye")

    async with served(handler) as (peer, session):
        await peer.request()
        await peer.expect_goaway(last_stream_id=LAST)
        await peer.expect_headers(1)
        await peer.expect_data(1, b"bye")
        await peer.expect_goaway(last_stream_id=1)
        await peer.expect_eof()
        await session.wait_closed()


async def test_aclose_waits_for_handlers_that_outlived_a_broken_session(autojump_clock: object) -> None:
    """With cancel_handler_on_reset=False nothing but the grace ends them."""
    ended: list[float] = []

    async def handler(stream: ServerStream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with served(handler, cancel_handler_on_reset=False) as (peer, session):
        await peer.request()
        await settle()
        await peer.aclose()
        with pytest.raises(SessionError):
            await session.wait_closed()
        start = trio.current_time()
        assert session.statistics().running_handlers == 1
        await session.aclose(5)
        assert ended == [start + 5]


async def test_draining_still_notices_a_dead_peer(autojump_clock: object) -> None:
    """Its keep-alive is answered as ever."""
    async with served(forever, config=ServerConfig(ping_interval=10, ping_timeout=5)) as (peer, session):
        await peer.request()
        session.shutdown()
        await peer.until(GoAwayFrame, last_stream_id=1)
        peer.timeout = math.inf
        await peer.expect(PingFrame, ack=False)
        await peer.expect(PingFrame, ack=False)
        assert session.statistics().open_streams == 1  # those that were accepted live on
        peer.auto_ack = False
        await peer.expect(PingFrame, ack=False)
        with pytest.raises(KeepaliveTimeoutError):
            await session.wait_closed()


async def test_a_client_that_never_answers_the_ping_holds_up_the_end_for_two_seconds(autojump_clock: object) -> None:
    """And for as long again as it does not close its side. RFC 9113 §6.8 asks for a round-trip time, not an answer."""
    async with served(hello) as (peer, session):
        peer.auto_ack = False
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.aclose)
            await peer.expect_goaway(last_stream_id=LAST)
            await peer.expect(PingFrame)
            await peer.expect_goaway(last_stream_id=0)
            assert trio.current_time() - start == pytest.approx(2)
            await peer.expect_eof()
        assert trio.current_time() - start == pytest.approx(2 + ServerConfig().close_timeout)
        await session.wait_closed()  # in good order


@pytest.mark.parametrize("seconds", [0.1, 7])
async def test_how_long_the_ping_of_a_drain_may_go_unanswered(seconds: float, autojump_clock: object) -> None:
    async with served(hello, config=ServerConfig(goaway_timeout=seconds)) as (peer, session):
        peer.auto_ack = False
        start = trio.current_time()
        session.shutdown()
        await peer.until(GoAwayFrame, last_stream_id=0)
        assert trio.current_time() - start == pytest.approx(seconds)


async def test_a_grace_shorter_than_the_time_for_the_ping_is_kept(autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        peer.auto_ack = False
        start = trio.current_time()
        await session.aclose(0.5)
        assert trio.current_time() - start == pytest.approx(0.5)
        await peer.expect_goaway(last_stream_id=LAST)
        await peer.expect(PingFrame)
        await peer.expect_goaway(last_stream_id=0)
        await peer.expect_eof()


async def test_requests_count_until_the_second_goaway_though_nobody_answers(autojump_clock: object) -> None:
    """What arrives in the two seconds is served; what arrives later was never processed."""
    async with served(answer_with_a_lot) as (peer, session):
        peer.auto_ack = False
        session.shutdown()
        await peer.expect_goaway(last_stream_id=LAST)
        await trio.sleep(1.5)
        first = await peer.request()
        await peer.until(HeadersFrame)
        await peer.until(GoAwayFrame, last_stream_id=first)
        await peer.expect_eof()
        await peer.request()
        await peer.aclose()
        await session.wait_closed()


async def test_a_running_request_outlives_a_ping_without_an_answer(autojump_clock: object) -> None:
    go = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await go.wait()
        await stream.respond(body=b"at last")

    async with served(handler) as (peer, session):
        peer.auto_ack = False
        await peer.request()
        await settle()
        session.shutdown()
        await peer.until(GoAwayFrame, last_stream_id=1)
        await trio.sleep(20)
        go.set()
        await peer.until(DataFrame, stream_id=1)
        await peer.expect_eof()
        await peer.aclose()
        await session.wait_closed()


async def test_a_transport_that_takes_nothing_does_not_hold_up_the_second_goaway(autojump_clock: object) -> None:
    """It is made two seconds after the PING, so that whoever reads again finds it at once."""
    async with served(answer_with_a_lot, capacity=100) as (peer, session):
        peer.auto_ack = False
        await peer.request()
        await settle()  # the response is stuck half-way
        session.shutdown()
        await trio.sleep(2)
        await settle()
        assert session._core.engine.shutdown.sent_last_id == 1
        await peer.until(GoAwayFrame, last_stream_id=1)
        await peer.expect_eof()


async def test_an_idle_session_of_a_deaf_client_ends(autojump_clock: object) -> None:
    """Not only when the keep-alive finds out, after 80 seconds."""
    async with served(hello, config=ServerConfig(idle_timeout=1)) as (peer, session):
        peer.auto_ack = False
        start = trio.current_time()
        await session.wait_closed()
        assert trio.current_time() - start == pytest.approx(1 + 2 + ServerConfig().close_timeout)


async def test_a_session_that_drains_is_not_idle(autojump_clock: object) -> None:
    async with served(hello, config=ServerConfig(idle_timeout=2, goaway_timeout=math.inf)) as (peer, session):
        peer.auto_ack = False
        start = trio.current_time()
        await session.aclose(10)
        assert trio.current_time() - start == pytest.approx(10)


@pytest.mark.parity("B12")
async def test_a_peer_that_closes_while_we_drain_is_no_error(autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        peer.auto_ack = False
        session.shutdown()
        await peer.expect_goaway()
        await peer.aclose()
        await session.wait_closed()
        with pytest.raises(trio.ClosedResourceError):
            await session.ping()


async def test_what_follows_the_end_of_a_drain_in_the_same_read(autojump_clock: object) -> None:
    async with connected() as (session, peer), trio.open_nursery() as nursery:
        stream = await session.open_stream("GET")
        peer.auto_ack = False

        async def update() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await session.update_settings(Settings(max_header_list_size=70_000))

        nursery.start_soon(update)
        await settle()
        session.shutdown()
        await settle()
        async with peer.batch():
            await peer.send_headers(stream.id, {":status": "200"}, end_stream=True)  # ends the stream, so the session
            await peer.send_settings(ack=True)
        await session.wait_closed()


async def test_a_request_behind_the_end_of_a_drain_in_the_same_read(autojump_clock: object) -> None:
    async with served(answer_with_a_lot, settings={SettingCode.INITIAL_WINDOW_SIZE: 10}) as (peer, session):
        first = await peer.request()
        await settle()  # its handler has ended, its body has not
        async with peer.batch():
            await peer.send_goaway()
            await peer.send_rst(first, ErrorCode.CANCEL)
            third = await peer.request("POST", end_stream=False)
            await peer.send_data(third, b"unread")
        await session.wait_closed()
        statistics = session.statistics()
        assert (statistics.open_streams, statistics.running_handlers) == (0, 0)
        assert (statistics.ledger.received, statistics.ledger.held) == (6, 0)
