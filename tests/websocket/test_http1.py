"""The same handler over HTTP/1.1: the upgrade of RFC 6455 §4."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import serving
from tests.websocket.frames import BINARY, OFFERING, PING, PONG, TEXT, Wire, deflated, pack
from trio_h2.testing import ThrowawayAuthority
from trio_h2.websocket import Deflate, WebSocketConfig, WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.http1.client import RawClient
    from trio_h2.websocket import WebSocket

pytestmark = pytest.mark.parity("L3")

UPGRADE = ("Upgrade: WebSocket", "Connection: keep-alive, Upgrade")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 §1.3."""
ASK = (*UPGRADE, KEY, "Sec-WebSocket-Version: 13")


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send_message(message)


async def upgrade(client: RawClient, *headers: str) -> Wire:
    """Opens a WebSocket; what has come behind the answer is on the wire already."""
    await client.request("GET /chat", *ASK, *headers)
    assert (await client.answer()).status == 101
    wire = Wire(client.transport, client=True)
    wire._data, client._data = client._data, b""
    return wire


async def test_a_conversation(autojump_clock: MockClock) -> None:
    async with serving(WebSocketHandler(echo, subprotocols=["chat"]), config=OFFERING) as served:
        client = served.client
        await client.request("GET /chat?a=b", *ASK, "Sec-WebSocket-Protocol: chat", "Origin: http://example.org")
        answer = await client.answer()
        assert answer.status == 101
        assert answer.headers == {
            "connection": "upgrade",
            "upgrade": "WebSocket",
            "sec-websocket-accept": ACCEPT,
            "sec-websocket-protocol": "chat",
        }
        wire = Wire(client.transport, client=True)
        await wire.send(TEXT, "hello")
        await wire.expect(TEXT, "hello")
        await wire.send(PING, "x")
        await wire.expect(PONG, "x")
        await wire.send(BINARY, bytes(70_000))
        got = b""
        while len(got) < 70_000:
            got += (await wire.receive()).payload
        await wire.close(1000)
        await wire.expect_close(1000)
        await wire.expect_end()
        await wire.send_eof()


async def test_frames_that_come_with_the_request(autojump_clock: MockClock) -> None:
    async with serving(WebSocketHandler(echo), config=OFFERING) as served:
        await served.client.request("GET /", *ASK, body=pack(TEXT, b"early", masked=True))
        assert (await served.client.answer()).status == 101
        wire = Wire(served.client.transport, client=True)
        wire._data = served.client._data
        await wire.expect(TEXT, "early")
        await wire.close()
        await wire.expect_close(1000)
        await wire.expect_end()


async def test_octet_by_octet(autojump_clock: MockClock) -> None:
    async with serving(WebSocketHandler(echo), config=OFFERING) as served:
        wire = await upgrade(served.client)
        await served.client.send_slowly(pack(TEXT, "€".encode(), masked=True))
        await wire.expect(TEXT, "€")
        await wire.close()
        await wire.expect_close(1000)
        await wire.expect_end()


async def test_compression(autojump_clock: MockClock) -> None:
    handler = WebSocketHandler(echo, compression=Deflate(max_window_bits=15))
    async with serving(handler, config=OFFERING) as served:
        await served.client.request("GET /", *ASK, "Sec-WebSocket-Extensions: permessage-deflate")
        assert (await served.client.answer()).headers["sec-websocket-extensions"] == "permessage-deflate"
        wire = Wire(served.client.transport, client=True)
        await wire.send(TEXT, deflated(b"hello")[0], rsv=4)
        await wire.expect(TEXT, rsv=4)
        await wire.close()
        await wire.expect_close(1000)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([*UPGRADE, KEY], 400),
        ([*UPGRADE, KEY, "Sec-WebSocket-Version: 8"], 400),
        ([*UPGRADE, "Sec-WebSocket-Version: 13"], 400),
        ([*UPGRADE, "Sec-WebSocket-Key: c2hvcnQ=", "Sec-WebSocket-Version: 13"], 400),
        ([*UPGRADE, "Sec-WebSocket-Key: %%%", "Sec-WebSocket-Version: 13"], 400),
        ([*UPGRADE, "Sec-WebSocket-Key: é", "Sec-WebSocket-Version: 13"], 400),
        ([*ASK, "Origin: https://elsewhere.example"], 403),
        (["Upgrade: h2c", "Connection: upgrade", KEY], 404),
        (["Upgrade: websocket", KEY], 404),
        ([], 404),
    ],
)
async def test_refusals(headers: list[str], status: int, autojump_clock: MockClock) -> None:
    async with serving(WebSocketHandler(echo), config=OFFERING) as served:
        for _ in range(2):  # the connection is as good as before
            await served.client.request("GET /", *headers)
            assert (await served.client.answer()).status == status


async def test_a_post_is_no_upgrade(autojump_clock: MockClock) -> None:
    async with serving(WebSocketHandler(echo), config=OFFERING) as served:
        await served.client.request("POST /", *ASK, "Content-Length: 0")
        assert (await served.client.answer()).status == 404


async def test_an_unread_websocket_stalls_its_client(autojump_clock: MockClock) -> None:
    got = 0

    async def slow(ws: WebSocket) -> None:
        nonlocal got
        await trio.sleep(100)
        async for message in ws:
            got += len(message)

    config = OFFERING.evolve(stream_window=16_384)
    async with serving(WebSocketHandler(slow), config=config, capacity=1000) as served:
        wire = await upgrade(served.client)
        sent = 0
        with trio.move_on_after(50):
            while True:
                await wire.send(BINARY, bytes(1000))
                sent += 1000
        assert got == 0
        assert sent < 200_000
        await served.client.transport.aclose()


async def test_the_client_is_lost(autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def handler(ws: WebSocket) -> None:
        try:
            await ws.receive_message()
        finally:
            ended.set()

    async with serving(WebSocketHandler(handler), config=OFFERING) as served:
        await upgrade(served.client)
        await served.client.transport.aclose()
        await ended.wait()


async def test_a_client_that_does_not_close(autojump_clock: MockClock) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send_message("bye")

    config = WebSocketConfig(close_timeout=2)
    async with serving(WebSocketHandler(handler, config=config), config=OFFERING) as served:
        wire = await upgrade(served.client)
        await wire.expect(TEXT, "bye")
        await wire.expect_close(1000)
        before = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            await wire.expect_end()
            raise trio.BrokenResourceError  # in memory, a transport that is closed by force just ends
        assert trio.current_time() - before <= 2.1


async def test_a_draining_server_closes(autojump_clock: MockClock) -> None:
    async with serving(WebSocketHandler(echo), config=OFFERING) as served:
        wire = await upgrade(served.client)
        served.connection.shutdown()
        await wire.expect_close(1001)
        await wire.close(1001)
        await wire.expect_end()


async def test_both_versions_on_one_port() -> None:
    """One handler, one port: HTTP/2 by ALPN, HTTP/1.1 for those who know no better."""
    versions: list[str] = []

    async def handler(ws: WebSocket) -> None:
        assert isinstance(ws.stream, trio_h2.ServerStream)
        versions.append(ws.stream.http_version)
        await echo(ws)

    authority = ThrowawayAuthority()
    serve = partial(
        trio_h2.serve_ssl_over_tcp,
        WebSocketHandler(handler),
        0,
        authority.server_context(["h2", "http/1.1"]),
        host="127.0.0.1",
        config=OFFERING,
        allow_http1=True,
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        async with connect_websocket(f"wss://127.0.0.1:{server.port}", ssl_context=authority.client_context()) as ws:
            await ws.send_message("two")
            assert await ws.receive_message() == "two"
        context = authority.client_context()
        context.set_alpn_protocols(["http/1.1"])
        tcp = await trio.open_tcp_stream("127.0.0.1", server.port)
        tls = trio.SSLStream(tcp, context, server_hostname="127.0.0.1", https_compatible=True)
        fields = "".join(f"{field}\r\n" for field in ASK)
        await tls.send_all(f"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n{fields}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += await tls.receive_some()
        assert answer.startswith(b"HTTP/1.1 101 ")
        wire = Wire(tls, client=True)
        await wire.send(TEXT, "one")
        await wire.expect(TEXT, "one")
        await wire.close()
        await wire.expect_close(1000)
        await tls.aclose()
        nursery.cancel_scope.cancel()
    assert versions == ["2.0", "1.1"]
