"""Every scenario in crumbs and all at once (lesson B36): how octets are cut into reads must not matter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import connected, served, settle
from trio_h2 import ErrorCode, GoAwayError, HandshakeError, StreamRefusedError, StreamResetError, connect, serve_stream
from trio_h2.testing import (
    ChaosStream,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    ScriptedPeer,
    TrickleStream,
    memory_transports,
    session_pair,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_h2 import ClientStream, ServerStream

    Wrapper = Callable[[trio.abc.Stream], trio.abc.Stream]

CUTS: dict[str, Wrapper] = {
    "whole": lambda transport: transport,
    "1": TrickleStream,
    "2": partial(TrickleStream, receive_bytes=2, send_bytes=3),
    "9": partial(TrickleStream, receive_bytes=9, send_bytes=None),
    "chaos": partial(ChaosStream, seed=1, max_chunk=30, max_delay=0.1),
}


@pytest.fixture(params=list(CUTS))
def cut(request: pytest.FixtureRequest) -> Wrapper:
    """How a transport cuts what goes through it."""
    return CUTS[request.param]


async def echo(stream: ServerStream) -> None:
    await stream.send_informational(103, {"link": "</style.css>"})
    await stream.respond({"content-type": "text/plain"})
    async for chunk in stream:
        await stream.send_all(chunk)
    trailers = await stream.receive_trailers()
    await stream.send_trailers({"x-echo": "none" if trailers is None else trailers["x-sum"]})


async def test_an_exchange(cut: Wrapper, autojump_clock: object) -> None:
    async with session_pair(echo, wrap_client=cut, wrap_server=cut) as (client, server):
        async with client.request("POST", "/a?b=c", end_stream=False) as stream:
            await stream.send_all(b"hello, ")
            await stream.send_all(b"world")
            await stream.send_trailers({"x-sum": "12"})
            assert (await stream.receive_response()).status == 200
            body = b""
            while chunk := await stream.receive_some():
                body += chunk
            assert body == b"hello, world"
            trailers = await stream.receive_trailers()
            assert trailers is not None
            assert trailers["x-echo"] == "12"
            assert [headers.status for headers in stream.informational] == [103]
        await client.ping()
        await server.ping()
        await server.aclose()
        await client.wait_closed()
        await server.wait_closed()


async def test_a_whole_client_in_one_read(cut: Wrapper, autojump_clock: object) -> None:
    """Preface, SETTINGS, requests, bodies, a reset, a PING: coalesced, or in crumbs."""
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery, ScriptedPeer(theirs, client=True) as peer:
        async with peer.batch():
            await peer.send_preface()
            await peer.send_settings()
            await peer.request("POST", body=b"abc")
            await peer.request("POST", end_stream=False)
            await peer.send_data(3, b"def")
            await peer.send_headers(3, {"x-sum": "3"}, end_stream=True)
            await peer.request("POST", end_stream=False)
            await peer.send_rst(5)
            await peer.send_ping(b"12345678")
        nursery.start_soon(serve_stream, echo, cut(ours))
        for stream_id, body in ((1, b"abc"), (3, b"def")):
            await peer.pick(HeadersFrame, stream_id=stream_id, status=103)
            await peer.pick(HeadersFrame, stream_id=stream_id, status=200)
            assert await peer.collect_body(stream_id) == body
        assert (await peer.pick(PingFrame, ack=True)).data == b"12345678"


async def test_a_whole_server_in_one_read(cut: Wrapper, autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with ScriptedPeer(theirs, client=False) as peer, connect("http://x", transport=cut(ours)) as client:
        streams = [await client.open_stream("GET", f"/{number}") for number in range(4)]
        async with peer.batch():
            await peer.send_settings()
            await peer.send_headers(1, {":status": "103"})
            await peer.respond(1, body=b"first")
            await peer.respond(3, end_stream=False)
            await peer.send_data(3, b"half")
            await peer.send_rst(3, ErrorCode.INTERNAL_ERROR)
            await peer.respond(5, end_stream=False)
            await peer.send_goaway(5, ErrorCode.NO_ERROR, b"bye")
            await peer.send_headers(5, {"x": "y"}, end_stream=True)
        await peer.send_eof()
        assert (await streams[0].receive_response()).status == 200
        assert await _read(streams[0]) == b"first"
        assert await streams[1].receive_some(1) == b"h"
        with pytest.raises(StreamResetError):
            await _read(streams[1])
        trailers = await streams[2].receive_trailers()
        assert trailers is not None
        assert trailers["x"] == "y"
        with pytest.raises(StreamRefusedError):
            await streams[3].receive_response()
        with pytest.raises(GoAwayError):
            await client.open_stream("GET")
        await client.wait_closed()


async def _read(stream: ClientStream) -> bytes:
    body = b""
    while chunk := await stream.receive_some():
        body += chunk
    return body


async def test_protocol_errors(cut: Wrapper, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await trio.sleep_forever()

    async with served(handler, wrap=cut) as (peer, _):
        async with peer.batch():
            await peer.request()
            await peer.send_data(0, b"on no stream")
            await peer.request()  # nobody looks at it any more
        goaway = await peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
        assert goaway.last_stream_id == 1


async def test_drain(cut: Wrapper, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.session.wait_draining()
        await stream.respond(body=b"bye")

    async with served(handler, wrap=cut) as (peer, session):
        await peer.request()
        await peer.ping()
        session.shutdown()
        await peer.until(GoAwayFrame, last_stream_id=2**31 - 1)
        await peer.expect_headers(1)
        assert await peer.collect_body(1) == b"bye"
        await peer.until(GoAwayFrame, last_stream_id=1)
        await peer.expect_eof()


async def test_http1_in_crumbs(cut: Wrapper, autojump_clock: object) -> None:
    async with connected(wrap=cut, handshake=False) as (session, peer):
        await settle()
        await peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(HandshakeError, match="HTTP/1"):
            await session.wait_closed()
