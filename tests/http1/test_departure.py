"""Clients that leave while nobody reads their request: their sockets tell."""

from __future__ import annotations

import socket
import struct
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from trio.testing import MockClock

import trio_h2
from trio_h2 import ServerConfig, serve_ssl_over_tcp, serve_tcp, serve_unix
from trio_h2._http1._departure import departure
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from pathlib import Path

UPLOAD = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n" + bytes(192 * 1024)
"""More than a stream's window, so that the server stops reading; the rest fits the socket's buffers, and an end behind
it is seen."""
TUNNEL = b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n" + bytes(192 * 1024)


@pytest.fixture
def clock() -> MockClock:
    """Time passes when the sockets have had a moment to say what they have to."""
    return MockClock(autojump_threshold=0.05)


def reset(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Unreading:
    """A handler that does not read, and tells how it ended."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.ended = trio.Event()

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        if stream.method == "CONNECT":
            await stream.respond(200)
        self.begun.set()
        try:
            await trio.sleep_forever()
        finally:
            self.ended.set()

    async def cancelled(self, seconds: float = 10) -> bool:
        with trio.move_on_after(seconds):
            await self.ended.wait()
        return self.ended.is_set()


async def _send(stream: trio.abc.Stream, data: bytes) -> None:
    """Sends until nobody takes any more."""
    with trio.move_on_after(0.3):
        await stream.send_all(data)


@pytest.mark.parametrize(
    ("sent", "leave", "half_open"),
    [
        (UPLOAD, "reset", False),
        (UPLOAD, "reset", True),
        (UPLOAD, "close", False),
        (UPLOAD, "end", False),
        (TUNNEL, "reset", False),
    ],
)
async def test_a_client_that_leaves_its_upload_unread(
    sent: bytes, leave: str, half_open: bool, clock: MockClock
) -> None:
    handler = Unreading()
    async with trio.open_nursery() as nursery:
        config = ServerConfig(allow_half_open=half_open)
        serve = partial(serve_tcp, handler.handle, 0, host="127.0.0.1", allow_http1=True, config=config)
        server: trio_h2.Server = await nursery.start(serve)
        client = await trio.open_tcp_stream("127.0.0.1", server.port)
        await _send(client, sent)
        await handler.begun.wait()
        assert not await handler.cancelled(0.3)
        if leave == "end":
            await client.send_eof()
        else:
            if leave == "reset":
                reset(client)
            await client.aclose()
        assert await handler.cancelled()
        await client.aclose()
        await server.aclose(0)


@pytest.mark.parametrize("sent", [UPLOAD, TUNNEL])
async def test_a_client_that_may_end_its_side_is_waited_for(sent: bytes, clock: MockClock) -> None:
    """So is one that ends its side of a tunnel, whatever the option says."""
    handler = Unreading()
    config = ServerConfig(allow_half_open=sent is UPLOAD)
    async with trio.open_nursery() as nursery:
        serve = partial(serve_tcp, handler.handle, 0, host="127.0.0.1", allow_http1=True, config=config)
        server: trio_h2.Server = await nursery.start(serve)
        client = await trio.open_tcp_stream("127.0.0.1", server.port)
        await _send(client, sent)
        await handler.begun.wait()
        await client.send_eof()
        assert not await handler.cancelled(0.5)
        reset(client)
        await client.aclose()
        assert await handler.cancelled()
        await server.aclose(0)


async def test_over_tls(clock: MockClock) -> None:
    handler, authority = Unreading(), ThrowawayAuthority()
    async with trio.open_nursery() as nursery:
        context = authority.server_context(alpn=("h2", "http/1.1"))
        serve = partial(serve_ssl_over_tcp, handler.handle, 0, context, host="127.0.0.1", allow_http1=True)
        server: trio_h2.Server = await nursery.start(serve)
        raw = await trio.open_tcp_stream("127.0.0.1", server.port)
        client_context = authority.client_context(alpn=("http/1.1",))
        client = trio.SSLStream(raw, client_context, server_hostname="localhost")
        await client.do_handshake()
        await _send(client, UPLOAD)
        await handler.begun.wait()
        reset(raw)
        await trio.aclose_forcefully(client)
        assert await handler.cancelled()
        await server.aclose(0)


async def test_over_a_unix_socket(tmp_path: Path, clock: MockClock) -> None:
    handler = Unreading()
    async with trio.open_nursery() as nursery:
        path = tmp_path / "socket"
        server: trio_h2.Server = await nursery.start(partial(serve_unix, handler.handle, path, allow_http1=True))
        client = await trio.open_unix_socket(path)
        await _send(client, UPLOAD)
        await handler.begun.wait()
        await client.aclose()
        assert await handler.cancelled()
        await server.aclose(0)


async def test_a_client_that_stays_is_read_again(clock: MockClock) -> None:
    """Whether its handler waits long or not at all."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        size = 0
        async for chunk in stream:
            if size in (0, 65_536 * 4):
                await trio.sleep(0.3)
            size += len(chunk)
        await stream.respond(body=str(size).encode())

    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(partial(serve_tcp, handler, 0, host="127.0.0.1", allow_http1=True))
        client = await trio.open_tcp_stream("127.0.0.1", server.port)
        head = b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2000000\r\n\r\n"
        await client.send_all(head + bytes(2_000_000))
        answer = b"".join([bytes(chunk) async for chunk in client])
        assert answer.endswith(b"\r\n\r\n2000000")
        await client.aclose()
        await server.aclose()


async def _sockets() -> tuple[trio.SocketStream, trio.SocketStream]:
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)


def _no_descriptors() -> None:
    raise OSError(24, "Too many open files")


@pytest.mark.parametrize("how", ["none left", "no epoll", "no socket"])
async def test_where_no_socket_can_tell(how: str, monkeypatch: pytest.MonkeyPatch, clock: MockClock) -> None:
    """It is noticed when somebody reads again."""
    ours, theirs = await _sockets()
    transport: trio.abc.Stream = ours
    if how == "none left":
        monkeypatch.setattr("select.epoll", _no_descriptors)
    elif how == "no epoll":
        monkeypatch.delattr("select.epoll")
    else:
        transport, _ = trio.testing.memory_stream_pair()
    await theirs.aclose()
    with trio.move_on_after(5) as scope:
        await departure(transport, ends=True)
    assert scope.cancelled_caught
    await ours.aclose()


@pytest.mark.parametrize(
    ("leave", "ends", "expected"), [("end", True, False), ("close", True, False), ("close", False, None)]
)
async def test_what_counts(leave: str, ends: bool, expected: bool | None, clock: MockClock) -> None:
    ours, theirs = await _sockets()
    await (theirs.send_eof() if leave == "end" else theirs.aclose())
    told: bool | None = None
    with trio.move_on_after(0.2):
        told = await departure(ours, ends=ends)
    assert told is expected
    await ours.aclose()
    assert await departure(ours, ends=ends)  # this side has closed it
    await theirs.aclose()
