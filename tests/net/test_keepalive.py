"""TCP's own keep-alive on the sockets that we open and accept."""

from __future__ import annotations

import itertools
import math
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from trio_h2 import ClientConfig, ServerConfig, ServerStream, connect, serve_ssl_over_tcp, serve_tcp, serve_unix
from trio_h2._stream._proxied import socket_below
from trio_h2.testing import PingFrame, ScriptedPeer, ThrowawayAuthority, memory_transports

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from trio_h2 import Server
    from trio_h2._stream._transport import TransportView

DEFAULT = [1, 45, 15, 3, 90_000]


def told(sock: socket.socket | trio.socket.SocketType) -> list[int]:
    """What the system was told about a connection."""
    tcp = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT]
    keepalive = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return [int(keepalive), *(int(sock.getsockopt(socket.IPPROTO_TCP, option)) for option in tcp)]


def facts(transport: TransportView) -> list[int]:
    """What the system was told about the connection below a session."""
    below = socket_below(transport._transport)
    assert below is not None
    return told(below.socket)


with socket.socket() as fresh:
    OFF = told(fresh)


class Seen:
    """A handler that notes what the system was told about its connections."""

    def __init__(self) -> None:
        self.facts: list[list[int]] = []

    async def handle(self, stream: ServerStream) -> None:
        self.facts.append(facts(stream.transport))
        await stream.respond(body=b"hello")


@asynccontextmanager
async def serving(
    seen: Seen, *, config: ServerConfig | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server for both HTTP versions on a free port, which is given."""
    serve = partial(serve_tcp, seen.handle, 0, host="127.0.0.1", config=config, allow_http1=True)
    if context is not None:
        serve = partial(serve_ssl_over_tcp, seen.handle, 0, context, host="127.0.0.1", config=config)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        yield server.port
        await server.aclose()


async def client_facts(
    url: str, *, config: ClientConfig | None = None, context: ssl.SSLContext | None = None
) -> object:
    """Sends a request; returns what the system was told about its connection."""
    async with connect(url, config=config, ssl_context=context) as session, session.request("GET") as stream:
        assert (await stream.receive_response()).status == 200
        return facts(session.transport)


async def test_both_sides_over_tcp() -> None:
    seen = Seen()
    async with serving(seen) as port:
        assert await client_facts(f"http://127.0.0.1:{port}") == DEFAULT
    assert seen.facts == [DEFAULT]


async def test_both_sides_over_tls() -> None:
    seen = Seen()
    authority = ThrowawayAuthority()
    async with serving(seen, context=authority.server_context()) as port:
        assert await client_facts(f"https://127.0.0.1:{port}", context=authority.client_context()) == DEFAULT
    assert seen.facts == [DEFAULT]


@pytest.mark.parametrize(
    ("idle", "interval", "count", "user_timeout", "expected"),
    [
        (4.2, 2, 7, 12.5, [1, 5, 2, 7, 12_500]),
        (math.inf, 2, 7, math.inf, OFF),
        (math.inf, 2, 7, 1, [*OFF[:4], 1000]),
        (1e9, 0.001, 127, 1e9, [1, 32_767, 1, 127, 2**31 - 1]),  # what the system takes
    ],
)
async def test_the_numbers_of_the_configuration(
    idle: float, interval: float, count: int, user_timeout: float, expected: list[int]
) -> None:
    numbers: dict[str, object] = {"tcp_keepalive_idle": idle, "tcp_keepalive_interval": interval}
    numbers |= {"tcp_keepalive_count": count, "tcp_user_timeout": user_timeout}
    seen = Seen()
    async with serving(seen, config=ServerConfig().evolve(**numbers)) as port:
        assert await client_facts(f"http://127.0.0.1:{port}", config=ClientConfig().evolve(**numbers)) == expected
    assert seen.facts == [expected]


async def test_an_http1_client_may_pause() -> None:
    """It pauses a download by taking nothing, which TCP_USER_TIMEOUT would break; HTTP/2 has windows for that."""
    seen = Seen()
    async with serving(seen) as port, await trio.open_tcp_stream("127.0.0.1", port) as client:
        await client.send_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        while await client.receive_some():
            pass
    assert seen.facts == [[*DEFAULT[:4], 0]]


async def test_unix_sockets_have_none(tmp_path: Path) -> None:
    async def handle(stream: ServerStream) -> None:
        await stream.respond(body=b"hello")

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_unix, handle, tmp_path / "socket")
        async with connect("http://localhost", unix_path=tmp_path / "socket") as session:
            below = socket_below(session.transport._transport)
            assert below is not None
            assert below.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        await server.aclose()


async def test_a_transport_of_your_own_stays_as_it_is() -> None:
    async with serving(Seen()) as port:
        transport = await trio.open_tcp_stream("127.0.0.1", port)
        async with connect("http://localhost", transport=transport) as session:
            assert facts(session.transport) == OFF


async def test_a_silent_call_is_pinged_as_often_as_grpc_servers_accept(autojump_clock: object) -> None:
    """gRPC servers count PINGs that come less than 300 s after the one before, and end the session at the third."""
    ours, theirs = memory_transports()
    async with ScriptedPeer(theirs, client=False) as peer, connect("http://localhost", transport=ours) as session:
        await peer.handshake()
        peer.timeout = 1000
        async with session.request("POST", end_stream=False):
            await peer.expect_headers(1)
            times = [trio.current_time()]
            for _ in range(4):
                await peer.expect(PingFrame, ack=False)  # which the peer answers
                times.append(trio.current_time())
        assert [later - earlier for earlier, later in itertools.pairwise(times)] == [pytest.approx(300)] * 4
