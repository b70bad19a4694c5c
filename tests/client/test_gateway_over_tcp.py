"""A gateway over real sockets, with and without TLS on both sides."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.gateways import four
from tests.client.test_relayed_tunnels import agree, echo, exactly
from trio_h2 import Client, ServerConfig, Upstream, relay
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Handler = Callable[[trio_h2.ServerStream], Awaitable[None]]

BOTH = ("h2", "http/1.1")
CONFIG = ServerConfig(enable_connect_protocol=True)
encrypted = pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


@asynccontextmanager
async def gateway(
    handler: Handler | str, authority: ThrowawayAuthority, *, down1: bool, up1: bool, tls: bool
) -> AsyncGenerator[tuple[Client, str, Client], None]:
    """A client of a gateway, the gateway's URL, and the client inside of that; *handler* may be the URL of a server."""

    def a_client(*, http1: bool) -> Client:
        if tls:
            return Client(ssl_context=authority.client_context(BOTH[1:] if http1 else BOTH[:1]))
        return Client(prior_knowledge=not http1)

    async with contextlib.AsyncExitStack() as stack:

        async def serve(handler: Handler) -> str:
            context = authority.server_context(BOTH) if tls else None
            block = trio_h2.open_server(handler, ssl_context=context, config=CONFIG, allow_http1=True, grace=0)
            return (await stack.enter_async_context(block)).url

        url = handler if isinstance(handler, str) else await serve(handler)
        inner = await stack.enter_async_context(a_client(http1=up1))
        up = Upstream(inner, url)

        async def pass_on(stream: trio_h2.ServerStream) -> None:
            await relay(stream, up)

        front = await serve(pass_on)
        client = await stack.enter_async_context(a_client(http1=down1))
        yield client, front, inner
        await stack.aclose()


async def _quiet(client: Client) -> None:
    """Waits until nothing is under way any more."""
    while client.statistics().requests:  # noqa: ASYNC110  # nothing tells of it
        await trio.sleep(0.01)


@four
@encrypted
async def test_websockets(tls: bool, down1: bool, up1: bool, authority: ThrowawayAuthority) -> None:
    with trio.fail_after(20):
        async with gateway(echo, authority, down1=down1, up1=up1, tls=tls) as (client, front, inner):
            async with client.exchange("GET", f"{front}/there", protocol="websocket") as exchange:
                assert (await exchange.receive_response())["x-path"] == "/there"
                size = 300_000
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(exchange.send_all, bytes(size))
                    assert await exactly(exchange, size) == bytes(size)
                if not tls or not (down1 or up1):  # TLS does not end one direction
                    await exchange.send_eof()
                    assert await exactly(exchange, 3) == b"bye"
                    assert await exchange.receive_some() == b""
            await _quiet(inner)


@encrypted
@pytest.mark.parametrize("down1", [False, True], ids=["2", "1"])
async def test_a_server_that_ends_first_over_http1(tls: bool, down1: bool, authority: ThrowawayAuthority) -> None:
    """As servers of WebSockets do after the closing handshake: nothing of what they sent is lost."""

    async def end(stream: trio_h2.ServerStream) -> None:
        await agree(stream)
        assert await stream.receive_some() == b"close"
        await stream.send_all(bytes(100_000))

    with trio.fail_after(20):
        async with (
            gateway(end, authority, down1=down1, up1=True, tls=tls) as (client, front, _),
            client.exchange("GET", front, protocol="websocket") as exchange,
        ):
            await exchange.receive_response()
            await exchange.send_all(b"close")
            got = b""
            while piece := await exchange.receive_some():
                got += piece
            assert got == bytes(100_000)


@pytest.mark.parametrize("down1", [False, True], ids=["2", "1"])
async def test_resets_are_told_by_tcp_resets(down1: bool, authority: ThrowawayAuthority) -> None:
    """RFC 8441 §5: they are the same for HTTP/2 and HTTP/1.1; a mere end would make what was sent look whole."""
    ends: list[str] = []
    told = trio.Event()

    async def serve(connection: trio.SocketStream) -> None:
        async with connection:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += await connection.receive_some()
            key = next(line for line in head.split(b"\r\n") if line.startswith(b"sec-websocket-key")).split(b": ")[1]
            accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
            await connection.send_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\nhello"
            )
            try:
                data = await connection.receive_some()
            except trio.BrokenResourceError:
                ends.append("reset")
                told.set()
                return
            if data == b"cut":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                ends.append("ended")
                told.set()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            listeners: list[trio.SocketListener] = await nursery.start(
                partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
            )
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            async with gateway(url, authority, down1=down1, up1=True, tls=False) as (client, front, inner):
                async with client.exchange("GET", front, protocol="websocket") as exchange:
                    await exchange.receive_response()
                    assert await exactly(exchange, 5) == b"hello"
                await _quiet(inner)
                await told.wait()
                assert ends == ["reset"]
                async with client.exchange("GET", front, protocol="websocket") as exchange:
                    await exchange.receive_response()
                    await exchange.send_all(b"cut")
                    with pytest.raises((trio_h2.StreamResetError, trio_h2.SessionError)):
                        while await exchange.receive_some():
                            pass
            nursery.cancel_scope.cancel()


async def test_what_a_trusted_proxy_says_of_the_client(authority: ThrowawayAuthority) -> None:
    """A load balancer in front of the gateway tells where requests come from; both hops go on, IPv6 in brackets."""
    seen: list[trio_h2.Headers] = []

    async def tell(stream: trio_h2.ServerStream) -> None:
        seen.append(stream.headers)
        await stream.respond(200, body=b"")

    with trio.fail_after(20):
        async with (
            trio_h2.open_server(tell, allow_http1=True, grace=0) as server,
            Client() as inner,
            Client() as client,
        ):
            up = Upstream(inner, server.url, x_forwarded=True)

            async def pass_on(stream: trio_h2.ServerStream) -> None:
                await relay(stream, up)

            for trusted in (("127.0.0.1", "::1"), ()):
                config = ServerConfig(trusted_proxies=trusted, forwarded_field="forwarded")
                async with trio_h2.open_server(
                    pass_on, host="127.0.0.1", allow_http1=True, config=config, grace=0
                ) as front:
                    told = {"forwarded": 'for="[2001:db8::1]:4711";proto=https', "host": "shop.example"}
                    assert (await client.get(front.url, headers=told)).status == 200
    assert seen[0]["forwarded"] == 'for="[2001:db8::1]";proto=https;host=shop.example, for=127.0.0.1'
    assert seen[0]["x-forwarded-for"] == "2001:db8::1, 127.0.0.1"
    assert seen[0]["x-forwarded-proto"] == "https"
    assert seen[1]["forwarded"] == "for=127.0.0.1;proto=http;host=shop.example"
