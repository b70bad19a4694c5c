"""`Session.aclose` of both roles, in every detail: what it says, whom it lets finish, and what it refuses meanwhile."""

from __future__ import annotations

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, served, settle
from trio_h2 import ErrorCode, Role, ServerStream
from trio_h2.testing import GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, ScriptedPeer

HIGHEST = 2**31 - 1


async def closes(peer: ScriptedPeer) -> None:
    """Reads to the end, as a peer does that sees us leave, and closes its side."""
    await peer.expect_eof()
    await peer.aclose()


def goaways(peer: ScriptedPeer) -> list[tuple[int, int]]:
    """Returns code and last id of every GOAWAY so far."""
    return [(frame.code, frame.last_stream_id) for frame in peer.frames if isinstance(frame, GoAwayFrame)]


@pytest.mark.parity("B12")
@both_roles
async def test_closed_is_true_from_the_call(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer), trio.open_nursery() as nursery:
        assert (session.closed, session.draining, session.destroyed) == (False, False, False)
        nursery.start_soon(session.aclose)
        await trio.lowlevel.checkpoint()
        await settle()
        assert (session.closed, session.draining) == (True, True)
        await session.wait_draining()
        await peer.until(GoAwayFrame, last_stream_id=0)
        await closes(peer)
        await session.wait_closed()
        assert session.destroyed


@pytest.mark.parity("B12")
@both_roles
async def test_without_streams_it_ends_at_once(role: Role, autojump_clock: object) -> None:
    """At once means without any time, however long the grace: a server's PING needs a round trip."""
    async with session_of(role) as (session, peer):
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.aclose, 1000)
            if role is Role.SERVER:
                await peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=HIGHEST)
            await peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=0)
            await closes(peer)
        assert trio.current_time() == start
        await session.wait_closed()


@pytest.mark.parity("B12")
@both_roles
async def test_it_is_idempotent(role: Role, autojump_clock: object) -> None:
    """A second call waits for the same end, and one after the end returns; the peer hears of one leaving only."""
    returned: list[int] = []
    async with session_of(role) as (session, peer):

        async def close(number: int) -> None:
            await session.aclose()
            returned.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(close, number)
            await settle()
            # A server waits for the answer to its PING, a client for nobody.
            assert sorted(returned) == ([] if role is Role.SERVER else [0, 1, 2])
            await peer.until(GoAwayFrame, last_stream_id=0)
            await closes(peer)
        assert sorted(returned) == [0, 1, 2]
        await close(3)
        session.shutdown()
        session.destroy()
        await session.wait_closed()
        expected = [(0, HIGHEST), (0, 0)] if role is Role.SERVER else [(0, 0)]
        assert goaways(peer) == expected


@pytest.mark.parity("B12", "K2")
async def test_a_client_takes_no_new_requests_and_lets_the_others_finish(autojump_clock: object) -> None:
    async with connected(settings={3: 2}) as (session, peer), trio.open_nursery() as nursery:
        first = await session.open_stream("POST", end_stream=False)
        second = await session.open_stream("GET")
        refused: list[str] = []

        async def in_line() -> None:
            with pytest.raises(trio.ClosedResourceError, match="is being closed on this side"):
                await session.open_stream("GET", "/third")
            refused.append("in line")

        nursery.start_soon(in_line)
        await settle()
        nursery.start_soon(session.aclose)
        await settle()
        assert refused == ["in line"]
        request = session.request("GET")
        with pytest.raises(trio.ClosedResourceError, match="is being closed on this side"):
            async with request:
                raise AssertionError("the block was entered")
        await peer.expect_headers(1)
        await peer.expect_headers(3)
        await peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=0)
        await first.send_all(b"still open")
        await peer.expect_data(1, b"still open")
        await first.send_eof()
        await peer.expect_data(1, b"", end_stream=True)
        for stream in first, second:
            assert not session.destroyed
            await peer.respond(stream.id, body=b"in the end")
            assert await stream.receive_some() == b"in the end"
        await peer.expect_eof()
        assert not [frame for frame in peer.frames if isinstance(frame, RstStreamFrame)]


@pytest.mark.parity("B12")
async def test_a_server_refuses_new_streams_and_lets_the_others_finish(autojump_clock: object) -> None:
    gate = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await gate.wait()
        await stream.respond(body=b"in the end")

    async with served(handler) as (peer, session), trio.open_nursery() as nursery:
        first = await peer.request()
        await settle()
        peer.auto_ack = False
        nursery.start_soon(session.aclose)
        await peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=HIGHEST)
        second = await peer.request()  # crossed the first GOAWAY, so it is served
        peer.auto_ack = True
        await peer.send_ping((await peer.pick(PingFrame, ack=False)).data, ack=True)
        await peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=second)
        late = await peer.request()
        await peer.expect_nothing()
        gate.set()
        for stream_id in first, second:
            await peer.pick(HeadersFrame, stream_id=stream_id, status=200)
            assert await peer.collect_body(stream_id) == b"in the end"
        await closes(peer)
        assert not [frame for frame in peer.frames if frame.stream_id == late]


@pytest.mark.parity("B12")
@both_roles
async def test_the_grace_ends_what_does_not_end(role: Role, autojump_clock: object) -> None:
    async def forever(stream: ServerStream) -> None:
        await trio.sleep_forever()

    start = trio.current_time()
    if role is Role.CLIENT:
        async with connected() as (session, peer), trio.open_nursery() as nursery:
            stream = await session.open_stream("GET")
            nursery.start_soon(session.aclose, 5)
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_response()
            assert trio.current_time() - start == pytest.approx(5)
            await peer.until(RstStreamFrame, stream_id=1, code=ErrorCode.CANCEL)
            await peer.expect_eof()
    else:
        async with served(forever) as (peer, server), trio.open_nursery() as nursery:
            await peer.request()
            nursery.start_soon(server.aclose, 5)
            await peer.until(RstStreamFrame, stream_id=1, code=ErrorCode.CANCEL)
            assert trio.current_time() - start == pytest.approx(5)
            await closes(peer)
