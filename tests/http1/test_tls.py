"""How HTTP/1.1 connections end over TLS: whole messages by an alert, cut ones without it (RFC 9112 §9.8)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener
from trio_h2 import Server, ServerConfig, serve_listeners
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
