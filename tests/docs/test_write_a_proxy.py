"""The gateway of docs/write-a-proxy.md, and its parts."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import gateway_parts
import small_gateway
import trio

import trio_h2
from tests.docs.conftest import Certificates, serving
from tests.interop.processes import free_port
from trio_h2.tunnel import ConnectProxy
from trio_h2.websocket import WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    from trio_h2.websocket import WebSocket


async def told(stream: trio_h2.ServerStream) -> None:
    names = ("x-gateway", "x-forwarded-proto", "forwarded", "via", "cookie")
    seen = [f"{name}: {stream.headers[name]}" for name in names if name in stream.headers]
    await stream.respond(200, body=f"{stream.path} over {stream.http_version}, {'; '.join(seen)}".encode())


async def test_the_whole_of_it(certificates: Certificates) -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send_message(message)

    context = certificates.authority.client_context()
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with (
        serving(WebSocketHandler(echo, fallback=told), config=config, allow_http1=True) as behind,
        trio.open_nursery() as nursery,
    ):
        start = partial(small_gateway.main, behind.url, 0, str(certificates.cert), str(certificates.key))
        server: trio_h2.Server = await nursery.start(start)
        async with trio_h2.Client(ssl_context=context, http1=False) as client:
            page = await client.get(f"https://localhost:{server.port}/a?b")
            assert page.text.startswith("/a?b over 1.1, forwarded: for=")
        url = f"wss://localhost:{server.port}/chat"
        async with connect_websocket(url, ssl_context=context) as ws:
            await ws.send_message("hello")
            assert await ws.receive_message() == "hello"
        nursery.cancel_scope.cancel()


async def test_its_parts() -> None:
    async with serving(told, allow_http1=True) as behind, trio_h2.Client() as inner:
        plain = trio_h2.Upstream(inner, behind.url)
        api = gateway_parts.without_prefix(inner, behind.url)
        old = gateway_parts.for_an_old_application(inner, behind.url)
        async with trio_h2.Client(http1=False) as client:
            async with serving(gateway_parts.by_path(old, api)) as front:
                assert (await client.get(f"{front.url}/health")).content == b"fine\n"
                assert "x-forwarded-proto: http; via: 2 shop-gateway" in (await client.get(f"{front.url}/x")).text
                asked = await client.get(f"{front.url}/api/v1", headers={"cookie": "a=b"})
                assert asked.text.startswith("/v1 over 1.1, x-gateway: 1; forwarded: ")
                assert "cookie" not in asked.text
            async with serving(gateway_parts.for_those_with_a_token(plain, "s3cret")) as front:
                assert (await client.get(front.url)).status == 401
                assert (await client.get(front.url, headers={"authorization": "Bearer s3cret"})).status == 200


async def test_failures() -> None:
    failures: list[str] = []
    client, nowhere = gateway_parts.impatient(f"http://127.0.0.1:{free_port()}")
    async with serving(told, allow_http1=True) as behind, client, trio_h2.Client(http1=False) as visitor:
        spare = trio_h2.Upstream(client, behind.url)
        async with serving(gateway_parts.with_a_spare(nowhere, spare, failures)) as front:
            assert (await visitor.get(front.url)).status == 200
            assert failures == []
        async with serving(gateway_parts.with_a_spare(nowhere, nowhere, failures)) as front:
            assert (await visitor.get(front.url)).status == 502
            assert failures[0].startswith(nowhere.url)


async def test_in_front_of_a_proxy() -> None:
    async def shout(connection: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # of a client that leaves
            async for data in connection:
                await connection.send_all(bytes(data).upper())

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, shout, [listener])
        target = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        async with serving(ConnectProxy([target]), allow_http1=True) as proxy, trio_h2.Client() as inner:
            upstream = gateway_parts.in_front_of_a_proxy(inner, proxy.url)

            async def gateway(stream: trio_h2.ServerStream) -> None:
                await trio_h2.relay(stream, upstream)

            async with serving(gateway) as front, trio_h2.Client(http1=False) as client:
                async with client.exchange("CONNECT", front.url, headers={":authority": target}) as exchange:
                    assert (await exchange.receive_response()).status == 200
                    await exchange.send_all(b"hello")
                    assert await exchange.receive_some() == b"HELLO"
                async with client.exchange("CONNECT", front.url, headers={":authority": "127.0.0.1:1"}) as exchange:
                    assert (await exchange.receive_response()).status == 403
        nursery.cancel_scope.cancel()
