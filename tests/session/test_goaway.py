"""GOAWAY of the peer (RFC 9113 §6.8)."""

from __future__ import annotations

import pytest
import trio

from tests.session.scripted import Wrapped, connected, hello, served, settle
from trio_h2 import (
    ClientConfig,
    ClientSession,
    ClientStream,
    ErrorCode,
    GoAwayError,
    Initiator,
    SessionError,
    StreamRefusedError,
)
from trio_h2.testing import GoAwayFrame, PingFrame, ScriptedPeer, StallableStream


async def three_streams(session: ClientSession, peer: ScriptedPeer) -> list[ClientStream]:
    streams = [await session.open_stream("GET", f"/{number}") for number in range(3)]
    for stream in streams:
        await peer.expect_headers(stream.id)
    return streams


async def assert_refused(stream: ClientStream) -> None:
    with pytest.raises(StreamRefusedError) as caught:
        await stream.receive_response()
    assert caught.value.retryable
    assert caught.value.stream_id == stream.id
    assert caught.value.initiator is Initiator.REMOTE


async def assert_answered(stream: ClientStream, peer: ScriptedPeer) -> None:
    await peer.respond(stream.id, body=b"%d" % stream.id)
    response = await stream.receive_response()
    assert response.status == 200
    assert await stream.receive_some() == b"%d" % stream.id
    assert await stream.receive_some() == b""


@pytest.mark.parity("B5")
@pytest.mark.parametrize("last", [0, 1, 3, 5, 6, 7, 2**31 - 1])
async def test_streams_up_to_the_last_id_finish_and_others_may_be_retried(last: int, autojump_clock: object) -> None:
    """Below, equal, above, between: equal is processed."""
    async with connected() as (session, peer):
        streams = await three_streams(session, peer)
        await peer.send_goaway(last)
        await settle()
        assert (session.closed, session.draining) == (True, True)
        with pytest.raises(GoAwayError) as caught:
            await session.open_stream("GET")
        assert caught.value.retryable
        for stream in streams:
            if stream.id > last:
                await assert_refused(stream)
        for stream in streams:
            if stream.id <= last:
                await assert_answered(stream, peer)
        # The last permitted stream has ended, so the session ends by itself, and that is no failure.
        await peer.expect_goaway(ErrorCode.NO_ERROR)
        await peer.expect_eof()
        await session.wait_closed()


@pytest.mark.parity("B5", "B3")
async def test_an_error_code_is_told(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        first, second, _ = await three_streams(session, peer)
        await peer.send_goaway(1, ErrorCode.ENHANCE_YOUR_CALM, b"too_many_pings")
        await assert_refused(second)
        await assert_answered(first, peer)
        with pytest.raises(GoAwayError, match="too_many_pings") as caught:
            await session.wait_closed()
        assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM
        assert caught.value.initiator is Initiator.REMOTE


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.INTERNAL_ERROR])
async def test_goaway_and_the_end_in_one_read(code: ErrorCode, autojump_clock: object) -> None:
    async with connected() as (session, peer):
        first, second, third = await three_streams(session, peer)
        async with peer.batch():
            await peer.send_goaway(3, code, b"bye")
        await peer.aclose()
        await assert_refused(third)
        for stream in (first, second):
            with pytest.raises(GoAwayError) as caught:
                await stream.receive_response()
            assert not caught.value.retryable  # it may have been processed
            assert caught.value.code == code
            assert caught.value.debug_data == b"bye"
        with pytest.raises(GoAwayError):
            await session.wait_closed()
        with pytest.raises(GoAwayError) as caught:
            await session.open_stream("GET")
        assert caught.value.retryable


@pytest.mark.parity("B5")
async def test_requests_in_line_may_be_retried(autojump_clock: object) -> None:
    async with connected(settings={3: 1}) as (session, peer):
        first = await session.open_stream("GET")
        errors: list[GoAwayError] = []

        async def queue() -> None:
            with pytest.raises(GoAwayError) as caught:
                await session.open_stream("GET")
            errors.append(caught.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue)
            nursery.start_soon(queue)
            await settle()
            await peer.send_goaway(1)
        assert [error.retryable for error in errors] == [True, True]
        assert session.statistics().waiting_for_slot == 0
        await peer.expect_headers(1)
        await assert_answered(first, peer)


@pytest.mark.parity("B5")
async def test_goaway_on_an_idle_session_ends_it_at_once(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        start = trio.current_time()
        await peer.send_goaway(0)
        await peer.expect_goaway(ErrorCode.NO_ERROR)
        await peer.expect_eof()
        await session.wait_closed()
        assert trio.current_time() == start
        with pytest.raises(GoAwayError) as caught:
            await session.ping()
        assert caught.value.retryable


@pytest.mark.parametrize("leaving", [False, True])
async def test_a_goodbye_that_cannot_be_sent_any_more(leaving: bool, autojump_clock: object) -> None:
    """The peer said its own and closed: nothing is lost, so nothing is wrong."""
    wall = Wrapped(StallableStream)
    async with connected(wrap=wall) as (session, peer):
        await settle()
        wall.stream.stall_receive()
        if not leaving:
            await peer.send_goaway(0)
        await peer.aclose()
        if leaving:
            session.shutdown()
        else:
            session._core.engine.ping(b"12345678")
            session._core.wake_writer()
        await settle()
        assert session._core.writer.stopped  # the write has failed
        wall.stream.resume_receive()
        await session.wait_closed()


async def test_keepalive_watches_over_what_is_left(autojump_clock: object) -> None:
    """Draining neither kills accepted streams nor stops detecting a dead peer."""
    async with connected(config=ClientConfig(ping_interval=5, ping_timeout=5)) as (session, peer):
        peer.timeout = 60
        first, *_ = await three_streams(session, peer)
        await peer.send_goaway(1)
        await peer.expect(PingFrame, ack=False)
        await peer.expect(PingFrame, ack=False)
        peer.auto_ack = False
        await peer.expect(PingFrame, ack=False)
        with pytest.raises(SessionError):
            await first.receive_response()


async def test_a_server_that_drains_needs_no_ping_from_a_client_that_leaves(autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        peer.auto_ack = False
        session.shutdown()
        await peer.send_goaway()
        await peer.until(GoAwayFrame, last_stream_id=0)
        await peer.expect_eof()
        await peer.aclose()
        await session.wait_closed()
