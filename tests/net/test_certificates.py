"""A new certificate for a server that runs, and the name that a client has asked for."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener, get, hello
from trio_h2 import HandshakeError, Server, connect, serve_listeners
from trio_h2.testing import ThrowawayAuthority, memory_transports

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(scope="module")
def old() -> ThrowawayAuthority:
    return ThrowawayAuthority()


@pytest.fixture(scope="module")
def new() -> ThrowawayAuthority:
    return ThrowawayAuthority()


async def test_new_connections_get_the_new_one(old: ThrowawayAuthority, new: ThrowawayAuthority) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        context = old.server_context()
        serve = partial(serve_listeners, hello, [listener], ssl_context=context)
        server: Server = await nursery.start(serve)
        assert server.ssl_context is context
        async with connect(
            "https://localhost", transport=listener.connect(), ssl_context=old.client_context()
        ) as former:
            renewed = new.server_context()
            server.set_ssl_context(renewed)
            assert server.ssl_context is renewed
            assert await get("https://localhost", listener.connect(), new.client_context()) == b"hello"
            with pytest.raises(HandshakeError, match="certificate"):
                await get("https://localhost", listener.connect(), old.client_context())
            async with former.request("GET") as stream:  # is as it was
                assert await stream.receive_some() == b"hello"
        await server.aclose()


async def test_what_is_not_right_changes_nothing(old: ThrowawayAuthority) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        context = old.server_context()
        server: Server = await nursery.start(partial(serve_listeners, hello, [listener], ssl_context=context))
        with pytest.raises(ValueError, match="does not negotiate HTTP/2"):
            server.set_ssl_context(old.server_context(alpn=()))
        with pytest.raises(ValueError, match="offers HTTP/1"):
            server.set_ssl_context(old.server_context(alpn=("h2", "http/1.1")))
        with pytest.raises(ValueError, match="no usable certificate"):
            server.set_ssl_context(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        with pytest.raises(TypeError, match="str"):
            server.set_ssl_context("cert.pem")  # type: ignore[arg-type]  # that is the point
        assert server.ssl_context is context
        assert await get("https://localhost", listener.connect(), old.client_context()) == b"hello"
        await server.aclose()


async def test_a_server_without_tls_keeps_it_so(old: ThrowawayAuthority) -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_listeners, hello, [MemoryListener()])
        assert server.ssl_context is None
        with pytest.raises(RuntimeError, match="does not speak TLS"):
            server.set_ssl_context(old.server_context())
        await server.aclose()


class TestServerName:
    """RFC 6066 §3: what the client asked for, on both sides and in both versions of HTTP."""

    @pytest.mark.parametrize(
        ("asked", "told"),
        [("localhost", "localhost"), ("LocalHost", "localhost"), ("127.0.0.1", None), (None, None)],
    )
    @pytest.mark.parametrize("alpn", [["h2"], ["http/1.1"]])
    async def test_on_a_server(
        self, asked: str | None, told: str | None, alpn: Sequence[str], old: ThrowawayAuthority
    ) -> None:
        seen: list[str | None] = []

        async def handler(stream: trio_h2.ServerExchange) -> None:
            seen.append(stream.transport.server_hostname)
            await stream.respond(body=b"hello")

        listener = MemoryListener()
        context = old.client_context(alpn)
        context.check_hostname = asked is not None
        async with trio.open_nursery() as nursery:
            serve = partial(
                serve_listeners,
                handler,
                [listener],
                ssl_context=old.server_context(["h2", "http/1.1"]),
                allow_http1=True,
            )
            server: Server = await nursery.start(serve)
            tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
                listener.connect(), context, server_hostname=asked, https_compatible=True
            )
            await tls.do_handshake()
            if alpn == ["h2"]:
                assert await get("https://localhost", tls) == b"hello"
            else:
                client = RawClient(tls)
                await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
                assert (await client.answer()).body == b"hello"
                await tls.aclose()
            await server.aclose()
        assert seen == [told]

    async def test_on_a_client(self, old: ThrowawayAuthority) -> None:
        listener = MemoryListener()
        async with trio.open_nursery() as nursery:
            serve = partial(serve_listeners, hello, [listener], ssl_context=old.server_context())
            server: Server = await nursery.start(serve)
            context = old.client_context()
            async with connect("https://LOCALHOST", transport=listener.connect(), ssl_context=context) as session:
                assert session.transport.server_hostname == "localhost"
            await server.aclose()

    async def test_without_tls(self) -> None:
        ours, _theirs = memory_transports()
        async with connect("http://localhost", transport=ours) as session:
            assert session.transport.server_hostname is None
