"""How HTTP/1.1 connections end over TLS: whole messages by an alert, cut ones without it (RFC 9112 §9.8)."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener
from tests.net.tls import Watched
from trio_h2 import Server, ServerConfig, TransportLostError, serve_listeners
from trio_h2._stream._below_tls import BelowTls
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from trio.testing import MockClock


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


@asynccontextmanager
async def strict_client(
    authority: ThrowawayAuthority, handler: Callable[[trio_h2.ServerStream], Awaitable[object]]
) -> AsyncGenerator[tuple[RawClient, Server]]:
    """A client of a server over TLS, to which an end without an alert is an error."""
    listener = MemoryListener()
    context = authority.server_context(alpn=("h2", "http/1.1"))
    serve = partial(
        serve_listeners,
        handler,
        [listener],
        ssl_context=context,
        allow_http1=True,
        config=ServerConfig(close_timeout=2, linger_timeout=5),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        client_context = authority.client_context(alpn=("http/1.1",))
        yield RawClient(trio.SSLStream(listener.connect(), client_context, server_hostname="localhost")), server
        await server.aclose()


async def streamed(stream: trio_h2.ServerStream) -> None:
    await stream.respond()
    await stream.send_all(b"hello")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_whole_response_ends_with_an_alert(
    version: str, authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    """A body without a length is whole because the alert says so."""
    async with strict_client(authority, streamed) as (client, _):
        start = trio.current_time()
        await client.send(f"GET / HTTP/{version}\r\n{HOST}connection: close\r\n\r\n")
        assert (await client.answer()).body == b"hello"
        await client.expect_end()
        await client.transport.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == start


async def test_a_response_that_is_cut_ends_without_one(authority: ThrowawayAuthority) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await streamed(stream)
        stream.reset()

    async with strict_client(authority, handler) as (client, _):
        await client.send(f"GET / HTTP/1.0\r\n{HOST}\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()


async def test_nobody_waits_for_the_alert_of_the_client(
    authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    """RFC 9112 §9.8: "A server MAY close the connection after sending a closure alert"."""
    async with strict_client(authority, streamed) as (client, _):
        start = trio.current_time()
        await client.send(f"GET / HTTP/1.0\r\n{HOST}\r\n")
        assert (await client.answer()).body == b"hello"
        assert isinstance(client.transport, trio.SSLStream)
        assert await client.transport.transport_stream.receive_some() == b""
        assert trio.current_time() == start


async def test_a_client_that_does_not_close_is_left(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    """RFC 9112 §9.6: in stages, so that TCP loses nothing; for ``close_timeout``, 2 seconds here."""
    async with strict_client(authority, streamed) as (client, server):
        start = trio.current_time()
        await client.send(f"GET / HTTP/1.0\r\n{HOST}\r\n")
        assert (await client.answer()).body == b"hello"
        await client.expect_end()
        await client.send("is anybody there?")  # which would reset the connection of a server that has closed
        await trio.sleep(1.9)
        assert server.http1_connections
        await trio.sleep(0.2)
        assert not server.http1_connections
        assert trio.current_time() - start == pytest.approx(2.1)


async def test_an_alert_in_the_middle_is_named(authority: ThrowawayAuthority) -> None:
    garbage = b"\x17\x03\x03\x00\x20" + bytes(32)  # no record of the server's

    class Garbled(Watched):
        async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
            return garbage if connections else await super().receive_some(max_bytes)

    connections: list[trio_h2.Http1Connection] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        assert isinstance(stream, trio_h2.Http1Exchange)
        connections.append(stream.session)
        await trio.sleep_forever()

    listener = MemoryListener()
    serve = partial(
        serve_listeners,
        handler,
        [listener],
        ssl_context=authority.server_context(alpn=("h2", "http/1.1")),
        allow_http1=True,
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        below = BelowTls(Garbled(listener.connect()))
        tls = below.wrap(authority.client_context(alpn=("http/1.1",)), server_side=False, server_hostname="localhost")
        await tls.send_all(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
        await trio.testing.wait_all_tasks_blocked()
        (connection,) = connections
        with pytest.raises(trio.BrokenResourceError):
            await tls.receive_some()
        await below.send_unsent()
        with pytest.raises(TransportLostError, match="the client ended TLS: alert 'bad record mac'") as caught:
            await connection.wait_closed()
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        await server.aclose()


async def test_a_connection_between_requests_ends_with_an_alert(authority: ThrowawayAuthority) -> None:
    sessions: list[object] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        sessions.append(stream.session)
        await stream.respond(body=b"hello")

    async with strict_client(authority, handler) as (client, _):
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert (await client.answer()).body == b"hello"
        (connection,) = sessions
        assert isinstance(connection, trio_h2.Http1Connection)
        connection.shutdown()
        await client.expect_end()


async def test_a_tunnel_ends_with_an_alert(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    """Though the client still sends, for a while."""
    async with strict_client(authority, streamed) as (client, _):
        await client.send("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n")
        assert (await client._until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        start = trio.current_time()
        assert await client.rest() == b"hello"
        await client.send(b"too late")
        await trio.sleep(1)
        await client.transport.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() - start == pytest.approx(1)
