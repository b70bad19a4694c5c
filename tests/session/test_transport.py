"""`TransportView`: how many bytes have passed, and the options of the socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.http1.client import HOST, RawClient
from trio_h2 import ServerSession, connect, open_server, serve_stream
from trio_h2.testing import ScriptedPeer, ThrowawayAuthority, memory_transports, session_pair

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from trio_h2 import ServerStream

BODY = bytes(300_000)


class Counting(trio.abc.HalfCloseableStream):
    """Counts what passes, independent of the library."""

    def __init__(self, below: trio.SocketStream) -> None:
        self.below = below
        self.received = self.sent = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self.below.receive_some(max_bytes)
        self.received += len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.below.send_all(data)
        self.sent += len(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.below.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.below.send_eof()

    async def aclose(self) -> None:
        await self.below.aclose()


async def big(stream: ServerStream) -> None:
    await stream.respond(body=BODY)


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


@pytest.mark.parity("B20")
@pytest.mark.parametrize("kind", ["clear", "tls", "unix"])
async def test_the_bytes_of_a_session(kind: str, authority: ThrowawayAuthority, tmp_path: Path) -> None:
    context: ssl.SSLContext | None = authority.server_context() if kind == "tls" else None
    trusting = authority.client_context() if kind == "tls" else None
    sessions: list[ServerSession] = []

    async def on_session(session: ServerSession) -> None:
        sessions.append(session)
        await trio.lowlevel.checkpoint()

    path = tmp_path / "socket" if kind == "unix" else None
    async with open_server(big, ssl_context=context, on_session=on_session, path=path) as server:
        if path is not None:
            below = Counting(await trio.open_unix_socket(path))
        else:
            below = Counting(await trio.open_tcp_stream("localhost", server.port))
        url = "https://localhost" if kind == "tls" else "http://localhost"
        async with connect(url, transport=below, ssl_context=trusting) as session:
            async with session.request("GET") as stream:
                assert b"".join([chunk async for chunk in stream]) == BODY
            await session.ping()
            await trio.testing.wait_all_tasks_blocked(0.05)
            transport = session.transport
            assert (transport.bytes_received, transport.bytes_sent) == (below.received, below.sent)
            assert transport.bytes_received > len(BODY)
            other = sessions[0].transport
            assert (other.bytes_sent, other.bytes_received) == (below.received, below.sent)
            assert stream.transport.bytes_sent == transport.bytes_sent


async def test_the_bytes_of_a_session_in_memory(autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with (
        connect("http://a", transport=ours) as session,
        ScriptedPeer(theirs, client=False) as peer,
    ):
        await peer.handshake()
        await peer.ping()
        received, sent = session.transport.bytes_received, session.transport.bytes_sent
        await peer.send_ping(b"12345678")
        await trio.testing.wait_all_tasks_blocked()
        assert session.transport.bytes_received - received == 17
        assert session.transport.bytes_sent - sent == 17


async def test_the_bytes_of_a_connection_over_http1(autojump_clock: object) -> None:
    seen: list[tuple[int, int]] = []

    async def handler(stream: ServerStream) -> None:
        seen.append((stream.transport.bytes_received, stream.transport.bytes_sent))
        await stream.respond()

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve_stream(handler, ours, allow_http1=True))
        client = RawClient(theirs)
        request = f"GET / HTTP/1.1\r\n{HOST}\r\n"
        await client.send(request)
        await client.answer()
        await client.send(request)
        await client.answer()
        nursery.cancel_scope.cancel()
    assert [received for received, _ in seen] == [len(request), 2 * len(request)]
    assert seen[0][1] == 0
    assert seen[1][1] > 40


@pytest.mark.parity("B20")
@pytest.mark.parametrize("kind", ["clear", "tls"])
async def test_options_of_the_socket(kind: str, authority: ThrowawayAuthority) -> None:
    context = authority.server_context() if kind == "tls" else None
    trusting = authority.client_context() if kind == "tls" else None
    sizes: list[int] = []

    async def handler(stream: ServerStream) -> None:
        stream.transport.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
        sizes.append(stream.transport.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        await stream.respond()

    async with open_server(handler, ssl_context=context) as server:
        async with connect(server.url, ssl_context=trusting) as session, session.request("GET") as stream:
            await stream.receive_response()
            transport = session.transport
            assert transport.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            assert transport.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
            assert len(transport.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == 8
            with pytest.raises(OSError, match="Errno"):
                transport.getsockopt(socket.SOL_SOCKET, 54_321)
        with pytest.raises(trio.ClosedResourceError, match="the socket is closed"):
            transport.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert len(sizes) == 1
    assert 50_000 <= sizes[0] <= 100_000  # Linux doubles it


async def test_no_socket(autojump_clock: object) -> None:
    async with session_pair(big) as (client, server):
        for one in (client, server):
            with pytest.raises(RuntimeError, match="no socket of its own: its transport is a MemoryTransport"):
                one.transport.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
            with pytest.raises(RuntimeError, match="no socket"):
                one.transport.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
