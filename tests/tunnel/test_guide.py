"""The programs in docs/tunnels.md run, with hosts that stand in for theirs."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import extended_connect
import pytest
import trio
import tunnel_clients
import tunnel_proxy

import trio_h2
from tests.stream.harness import pair
from trio_h2.testing import ThrowawayAuthority
from trio_h2.tunnel import TunnelRefusedError, join, open_tunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

GUIDE = (Path(__file__).parents[2] / "docs" / "tunnels.md").read_text(encoding="utf-8")


class StandIn:
    """A proxy that connects to local ports instead of the hosts of the page."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}

    async def proxy(self, stream: trio_h2.ServerStream) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", self.ports[stream.authority]) as target:
            await stream.respond(200)
            await join(stream, target)

    async def serve(
        self, nursery: trio.Nursery, name: str, serve: Callable[[trio.SocketStream], Awaitable[None]]
    ) -> None:
        """Serves connections to *name*."""
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        self.ports[name] = listeners[0].socket.getsockname()[1]


async def test_tcp_through_a_proxy() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        await stream.send_all(b"hello, ")
        async for chunk in stream:
            await stream.send_all(chunk)
        await stream.send_eof()

    hosts = StandIn()
    async with trio.open_nursery() as nursery, trio_h2.open_server(hosts.proxy) as server:
        await hosts.serve(nursery, "db.example.com:5432", echo)
        assert await tunnel_clients.tcp(server.url) == b"hello, Jane"
        nursery.cancel_scope.cancel()


async def test_tls_through_a_proxy() -> None:
    authority = ThrowawayAuthority(["example.com"])
    received = b""

    async def mail(stream: trio.SocketStream) -> None:
        nonlocal received
        secure = trio.SSLStream(stream, authority.server_context(), server_side=True, https_compatible=True)
        received = bytes(await secure.receive_some())

    hosts = StandIn()
    async with trio.open_nursery() as nursery, trio_h2.open_server(hosts.proxy) as server:
        await hosts.serve(nursery, "example.com:993", mail)
        await tunnel_clients.tls(server.url, authority.client_context())
        nursery.cancel_scope.cancel()
    assert received == b"a1 LOGOUT\r\n"


async def test_http2_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = ThrowawayAuthority(["example.com"])

    async def page(stream: trio_h2.ServerStream) -> None:
        await stream.respond(203)

    hosts = StandIn()
    monkeypatch.setattr(trio_h2, "client_ssl_context", authority.client_context)
    async with (
        trio_h2.open_server(page, ssl_context=authority.server_context()) as target,
        trio_h2.open_server(hosts.proxy) as server,
    ):
        hosts.ports["example.com:443"] = target.port
        assert await tunnel_clients.http2(server.url) == 203


async def test_the_proxy_of_the_guide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = ThrowawayAuthority()
    monkeypatch.chdir(tmp_path)
    authority.write_server(tmp_path / "cert.pem", tmp_path / "key.pem")
    refused: list[int] = []
    serve_ssl_over_tcp = trio_h2.serve_ssl_over_tcp

    async def on_a_free_port(
        handler: Callable[[trio_h2.ServerStream], Awaitable[None]], port: int, *args: object, **options: object
    ) -> None:
        assert port == 8443
        async with trio.open_nursery() as nursery:
            serve = partial(serve_ssl_over_tcp, handler, 0, *args, **options)  # type: ignore[arg-type]  # as they came
            server: trio_h2.Server = await nursery.start(serve)
            async with trio_h2.connect(server.url, ssl_context=authority.client_context()) as session:
                for credentials in (None, ("jane", "secret")):
                    with pytest.raises(TunnelRefusedError) as error:
                        async with open_tunnel(session, "example.net:443", credentials=credentials):
                            pass
                    refused.append(error.value.status)
            nursery.cancel_scope.cancel()

    monkeypatch.setattr(trio_h2, "serve_ssl_over_tcp", on_a_free_port)
    await tunnel_proxy.serve()
    assert refused == [407, 403]


@pytest.mark.parity("L2")
async def test_the_extended_connect_of_the_guide(autojump_clock: MockClock) -> None:
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with pair(extended_connect.handler, server_config=config) as (session, _):
        await extended_connect.client(session)


def test_the_guide_names_every_status_of_the_proxy() -> None:
    source = "".join(path.read_text() for path in (Path(trio_h2.__file__).parent / "tunnel").glob("_*.py"))
    statuses = set(re.findall(r"Refusal\(\s*\*?\(?(\d\d\d)", source))
    assert statuses == set(re.findall(r"^\| (\d\d\d) \|", GUIDE, re.MULTILINE))
    assert len(statuses) == 8
