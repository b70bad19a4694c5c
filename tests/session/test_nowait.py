"""`ClientSession.open_stream_nowait`: a request at once, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.session.scripted import connected, settle
from trio_h2 import Instrument, SettingCode
from trio_h2.testing import HeadersFrame

if TYPE_CHECKING:
    from trio_h2 import ClientStream
    from trio_h2.instruments import OutgoingRequest, SessionInfo

MAX_STREAMS = 0x3
ENABLE_CONNECT = int(SettingCode.ENABLE_CONNECT_PROTOCOL)


async def test_it_sends_what_open_stream_sends(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        stream = session.open_stream_nowait("PUT", "/here", headers={"x-mine": "1"}, body=b"body")
        head = await peer.expect_headers(stream.id)
        assert (head.get(":method"), head.get(":path"), head.get("x-mine")) == ("PUT", "/here", "1")
        assert head.get("content-length") == "4"
        await peer.respond(stream.id, 204)
        assert (await stream.receive_response()).status == 204


async def test_it_never_waits_for_the_servers_limit(autojump_clock: object) -> None:
    async with connected(settings={MAX_STREAMS: 2}) as (session, peer):
        streams = [session.open_stream_nowait(), session.open_stream_nowait()]
        with pytest.raises(trio.WouldBlock):
            session.open_stream_nowait()
        await peer.respond(streams[0].id)
        await streams[0].receive_response()
        await settle()
        assert session.open_stream_nowait().id == 5
        await peer.ping()
        assert [frame.stream_id for frame in peer.frames if isinstance(frame, HeadersFrame)] == [1, 3, 5]


async def test_it_overtakes_nobody(autojump_clock: object) -> None:
    async with connected(settings={MAX_STREAMS: 1}) as (session, _), trio.open_nursery() as nursery:
        first = session.open_stream_nowait()
        opened: list[ClientStream] = []

        async def wait() -> None:
            opened.append(await session.open_stream())

        nursery.start_soon(wait)
        await settle()
        first.reset()  # there is a slot, which is for whoever waits
        with pytest.raises(trio.WouldBlock):
            session.open_stream_nowait()
        await settle()
        assert [stream.id for stream in opened] == [3]
        opened[0].reset()


async def test_it_raises_what_open_stream_raises(autojump_clock: object) -> None:
    config = trio_h2.ClientConfig(max_send_header_block_length=1000)
    async with connected(config=config) as (session, peer):
        with pytest.raises(ValueError, match="path"):
            session.open_stream_nowait("GET", "not a path")
        with pytest.raises(trio_h2.LocalProtocolError):
            session.open_stream_nowait(headers={"x": "~" * 1000})
        await peer.send_goaway(0)
        await settle()
        with pytest.raises(trio_h2.GoAwayError) as caught:
            session.open_stream_nowait()
        assert caught.value.retryable
    with pytest.raises((trio.ClosedResourceError, trio_h2.SessionError)):
        session.open_stream_nowait()


async def test_extended_connect_must_be_offered(autojump_clock: object) -> None:
    async with connected(handshake=False) as (session, peer):
        with pytest.raises(trio.WouldBlock):  # nobody knows yet
            session.open_stream_nowait("CONNECT", "/chat", protocol="websocket", end_stream=False)
        await peer.handshake({ENABLE_CONNECT: 1})
        await settle()
        stream = session.open_stream_nowait("CONNECT", "/chat", protocol="websocket", end_stream=False)
        assert (await peer.expect_headers(stream.id)).get(":protocol") == "websocket"
        stream.reset()
    async with connected() as (session, _):
        await settle()
        with pytest.raises(trio_h2.ExtendedConnectError):
            session.open_stream_nowait("CONNECT", "/chat", protocol="websocket", end_stream=False)


class _Marks(Instrument):
    def request_begun(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        request.add_field("x-trace", "1")


async def test_instruments_see_it(autojump_clock: object) -> None:
    async with connected(config=trio_h2.ClientConfig(instruments=[_Marks()])) as (session, peer):
        stream = session.open_stream_nowait()
        assert (await peer.expect_headers(stream.id)).get("x-trace") == "1"
        stream.reset()
