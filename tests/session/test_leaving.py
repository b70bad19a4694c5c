"""Leaving on the client's side, and the end of blocks that are left or cancelled."""

from __future__ import annotations

import math

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, forever, settle
from trio_h2 import (
    ClientConfig,
    ClientStream,
    ErrorCode,
    Role,
    ServerConfig,
    connect,
    serve_stream,
)
from trio_h2.testing import (
    CLIENT_PREFACE,
    GoAwayFrame,
    ScriptedPeer,
    memory_transports,
)

PATIENT_CLIENT = ClientConfig(handshake_timeout=99, settings_timeout=99)
PATIENT_SERVER = ServerConfig(handshake_timeout=99, settings_timeout=99)


# -- the client --------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B1")
@both_roles
async def test_the_end_of_a_session_is_waited_for(role: Role, autojump_clock: object) -> None:
    """Until the transport is closed, too."""
    async with session_of(role) as (session, peer):
        with trio.move_on_after(10) as scope:
            await session.wait_closed()
        assert scope.cancelled_caught
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.aclose)
            await peer.until(GoAwayFrame, code=ErrorCode.NO_ERROR, last_stream_id=0)
            await peer.expect_eof()
            await peer.aclose()
            await session.wait_closed()
        assert trio.current_time() == start


async def test_our_close_beats_the_peers(autojump_clock: object) -> None:
    """Both sides leave: what this side asked for is what it hears of."""
    async with connected() as (session, peer):
        stream = await session.open_stream("GET")
        session.shutdown()
        await peer.send_goaway(1, ErrorCode.NO_ERROR)
        await peer.until(GoAwayFrame)
        await peer.respond(1)
        await stream.receive_response()
        await session.wait_closed()
        with pytest.raises(trio.ClosedResourceError):
            await session.ping()
        with pytest.raises(trio.ClosedResourceError):
            await session.open_stream("GET")


# -- the end of a block ------------------------------------------------------------------------------------------------


@pytest.mark.parity("B1")
async def test_leaving_the_client_block_resets_streams_of_outer_tasks(autojump_clock: object) -> None:
    raised: list[type[BaseException]] = []

    async def use(stream: ClientStream) -> None:
        try:
            await stream.receive_response()
        except trio.ClosedResourceError as exc:
            raised.append(type(exc))

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=False) as peer:
        async with connect("http://localhost", transport=ours) as session:
            await peer.handshake()
            stream = await session.open_stream("POST", end_stream=False)
            await peer.expect_headers(1)
            nursery.start_soon(use, stream)
            await settle()
            start = trio.current_time()
        assert trio.current_time() == start
        await peer.expect_rst(1, ErrorCode.CANCEL)
        await peer.expect_goaway(ErrorCode.NO_ERROR)
        await peer.expect_eof()
    assert raised == [trio.ClosedResourceError]


@pytest.mark.parametrize("client", [True, False])
async def test_a_cancelled_session_is_prompt_even_if_the_peer_never_reads(client: bool, autojump_clock: object) -> None:
    ours, _theirs = memory_transports(capacity=10)
    start = trio.current_time()
    with trio.move_on_after(10) as scope:
        if client:
            async with connect("http://localhost", transport=ours, config=PATIENT_CLIENT) as session:
                await session.open_stream("POST", body=bytes(100_000))
                await trio.sleep_forever()
        else:
            await serve_stream(forever, ours, config=PATIENT_SERVER)
    assert scope.cancelled_caught
    assert trio.current_time() - start == pytest.approx(11)
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")


async def test_a_cancelled_client_says_goodbye(autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with ScriptedPeer(theirs, client=False) as peer:
        start = trio.current_time()
        with trio.CancelScope() as scope:
            async with connect("http://localhost", transport=ours) as session:
                await peer.handshake()
                await session.open_stream("GET")
                await peer.expect_headers(1)
                scope.cancel()
                await trio.sleep_forever()
        assert trio.current_time() == start
        await peer.expect_rst(1, ErrorCode.CANCEL)
        await peer.expect_goaway(ErrorCode.NO_ERROR)
        await peer.expect_eof()


async def test_a_cancelled_server_says_goodbye(autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with ScriptedPeer(theirs, client=True) as peer, trio.open_nursery() as nursery:
        await nursery.start(serve_stream, forever, ours)
        await peer.handshake()
        await peer.request()
        await settle()
        start = trio.current_time()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await peer.expect_rst(1, ErrorCode.CANCEL)
            await peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=1)
            await peer.expect_eof()
        assert trio.current_time() == start


async def test_the_users_error_leaves_the_block_as_it_is(autojump_clock: object) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with connected() as (session, _):
            await session.open_stream("GET")
            raise ZeroDivisionError
    assert caught.value.__context__ is None


def test_the_client_has_no_idle_timeout_of_its_own() -> None:
    assert ClientConfig().idle_timeout == math.inf


async def test_a_transport_that_was_closed_is_not_broken_by_force_then(autojump_clock: object) -> None:
    """A stream of another session, say: its END_STREAM is no reset."""
    async with connected() as (outer, peer):
        tunnel = await outer.open_stream("CONNECT", headers={":authority": "inner:80"}, end_stream=False)
        await peer.expect_headers(tunnel.id)
        await peer.send_headers(tunnel.id, {":status": "200"})
        async with connect("http://inner", transport=tunnel):
            await settle()
        body = await peer.collect_body(tunnel.id)  # to its END_STREAM
        assert body.startswith(CLIENT_PREFACE)
        await peer.expect_nothing(1)
        await peer.send_data(tunnel.id, end_stream=True)
        await peer.ping()
        assert tunnel.rst_code is ErrorCode.NO_ERROR
