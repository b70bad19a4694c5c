"""RFC 9113 §3.3 and §3.4: prior knowledge and the connection prefaces. TLS is in `test_s3_tls.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import CLIENT_PREFACE, FrameFlag, FrameType, SettingsFrame, pack_frame

if TYPE_CHECKING:
    from tests.conformance.ends import End, Start, StartClient, StartServer

SETTINGS = pack_frame(FrameType.SETTINGS, 0, 0, b"")


async def test_3_3_server_sends_its_preface_without_being_asked(start_server: StartServer) -> None:
    async with start_server(handshake=False) as server:
        await _expect_settings(server)
        await server.peer.send_preface()
        await _greet(server)
        await server.still_works()


async def test_3_4_server_preface_is_the_first_frame_even_after_a_request(start_server: StartServer) -> None:
    async with start_server(handshake=False) as server:
        async with server.peer.batch():
            await server.peer.send_preface()
            await server.peer.send_settings()
            await server.peer.send_ping()
            await server.peer.request("GET", "/hold")
        await server.settle()
        first, *_ = [await server.peer.receive_frame() for _ in range(3)]
        assert isinstance(first, SettingsFrame)
        assert not first.ack


async def test_3_4_client_preface_comes_first_and_is_followed_by_settings(start_client: StartClient) -> None:
    async with start_client(handshake=False) as client:
        await client.peer.receive_preface()
        await _expect_settings(client)
        await _greet(client)
        await client.still_works()


async def test_3_4_client_may_send_requests_at_once_but_after_its_preface(start_client: StartClient) -> None:
    async with start_client(handshake=False) as client:
        stream = await client.session.open_stream("GET")
        await client.peer.receive_preface()
        await _expect_settings(client)
        await client.peer.expect_headers(stream.id, end_stream=True)
        await _greet(client)
        await client.peer.respond(stream.id, 204)
        assert (await stream.receive_response()).status == 204
        await client.still_works()


async def test_3_4_settings_of_the_preface_are_acknowledged_after_our_own_preface(start: Start) -> None:
    async with start(handshake=False) as end:
        if end.role == "client":
            await end.peer.receive_preface()
        else:
            await end.peer.send_preface()
        await end.peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 100})
        await _expect_settings(end)
        await end.peer.pick(SettingsFrame, ack=True)
        await end.peer.send_settings(ack=True)
        end.peer.auto_ack = True
        await end.still_works()


@both_ways
@pytest.mark.parametrize(
    "preface",
    [
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
        b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
        SETTINGS + CLIENT_PREFACE,
        b"\r\n" + CLIENT_PREFACE,
    ],
    ids=["http1", "last-byte", "version", "tls", "missing", "shifted"],
)
async def test_3_4_wrong_client_preface_is_a_connection_error(start_server: StartServer, preface: bytes) -> None:
    async with start_server(handshake=False) as server:
        await server.peer.send_bytes(preface)
        await server.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
        assert server.handled == []


@both_ways
@pytest.mark.parametrize(
    "frame",
    [
        pack_frame(FrameType.PING, 0, 0, bytes(8)),
        pack_frame(FrameType.WINDOW_UPDATE, 0, 0, b"\x00\x00\x10\x00"),
        pack_frame(FrameType.SETTINGS, FrameFlag.ACK, 0, b""),
        pack_frame(FrameType.GOAWAY, 0, 0, bytes(8)),
        pack_frame(FrameType.HEADERS, FrameFlag.END_HEADERS | FrameFlag.END_STREAM, 1, b"\x82\x86\x84\x41\x01a"),
        pack_frame(0xFA, 0, 0, b"unknown"),
    ],
    ids=["ping", "window-update", "settings-ack", "goaway", "headers", "unknown"],
)
async def test_3_4_first_frame_must_be_settings(start: Start, frame: bytes) -> None:
    async with start(handshake=False) as end:
        if end.role == "client":
            await end.peer.receive_preface()
        else:
            await end.peer.send_preface()
        await end.peer.send_bytes(frame)
        await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", CLIENT_PREFACE])
async def test_3_4_server_that_speaks_another_protocol_is_a_connection_error(
    start_client: StartClient, answer: bytes
) -> None:
    async with start_client(handshake=False) as client:
        await client.peer.receive_preface()
        await client.peer.send_bytes(answer)
        await client.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_3_4_settings_that_come_after_requests_are_honoured(start_client: StartClient) -> None:
    """The client may begin before the server's SETTINGS, and follows them from their receipt on."""
    async with start_client(handshake=False) as client, trio.open_nursery() as nursery:
        await client.peer.receive_preface()
        await _expect_settings(client)
        first = await client.session.open_stream("GET")
        await client.peer.expect_headers(first.id)
        await client.peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 1})
        await client.peer.pick(SettingsFrame, ack=True)
        nursery.start_soon(client.session.open_stream, "GET")
        await client.peer.expect_nothing()
        await client.peer.respond(first.id, 204)
        second = await client.peer.expect_headers(first.id + 2)
        await client.peer.respond(second.stream_id, 204)
        await client.peer.send_settings(ack=True)
        client.peer.auto_ack = True
        await client.still_works()


async def _expect_settings(end: End) -> None:
    """Expects our SETTINGS as the very first frame, and does not acknowledge them yet."""
    end.peer.auto_ack = False
    await end.peer.expect(SettingsFrame, ack=False, strict=True)


async def _greet(end: End) -> None:
    """Sends the peer's SETTINGS and its acknowledgement of ours."""
    await end.peer.send_settings()
    await end.peer.send_settings(ack=True)
    end.peer.auto_ack = True
