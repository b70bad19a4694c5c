"""The proxy in ten lines, the ready one, and a client of both: docs/connect-proxy.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import proxy as ready
import pytest
import through_proxy
import tiny_proxy
import trio
import tunnel_client

import trio_h2
from tests.docs.conftest import Certificates, serving
from trio_h2.tunnel import ConnectProxy, TunnelRefusedError, open_tunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def target(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=f"hello, {stream.path}".encode())


@pytest.mark.parametrize("handler", [tiny_proxy.proxy, ConnectProxy(["127.0.0.1:*"])], ids=["by hand", "ready"])
async def test_a_tls_request_goes_through(
    handler: Callable[[trio_h2.ServerStream], Awaitable[None]], certificates: Certificates
) -> None:
    async with trio.open_nursery() as nursery:
        context = certificates.authority.server_context()
        server: trio_h2.Server = await nursery.start(trio_h2.serve_ssl_over_tcp, target, 0, context)
        async with serving(handler) as proxy:
            url = f"https://127.0.0.1:{server.port}/there"
            got = await through_proxy.fetch(proxy.urls[0], url, certificates.authority.client_context())
        assert got == b"hello, /there"
        await server.aclose()


async def test_what_the_tiny_proxy_refuses() -> None:
    async with serving(tiny_proxy.proxy) as proxy, trio_h2.connect(proxy.urls[0]) as session:
        async with session.request("GET") as stream:
            assert (await stream.receive_response()).status == 405
        with pytest.raises(TunnelRefusedError) as refused:
            async with open_tunnel(session, "127.0.0.1:1"):
                pass
        assert refused.value.status == 502


def test_the_ready_proxy_is_a_program() -> None:
    assert callable(ready.main)


async def test_any_protocol_goes_through(capsys: pytest.CaptureFixture[str]) -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async for chunk in stream:
            await stream.send_all(bytes(chunk).upper())

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        async with serving(tiny_proxy.proxy) as proxy:
            target = f"127.0.0.1:{listener.socket.getsockname()[1]}"
            await tunnel_client.main(proxy.url, target)
        nursery.cancel_scope.cancel()
    assert capsys.readouterr().out == "HELLO\n"
