"""Sessions over TLS: how they begin and end there."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.net.serving import MemoryListener, forever, hello
from trio_h2 import (
    ClientConfig,
    ErrorCode,
    HandshakeError,
    Server,
    ServerConfig,
    ServerSession,
    TransportLostError,
    UnknownProtocolError,
    connect,
    serve_listeners,
    serve_ssl_over_tcp,
)
from trio_h2.testing import (
    CLIENT_PREFACE,
    HeadersFrame,
    MemoryTransport,
    ScriptedPeer,
    StallableStream,
    ThrowawayAuthority,
    TrickleStream,
    memory_transports,
    pack_frame,
)

if TYPE_CHECKING:
    from trio_h2 import ServerStream

Tls = trio.SSLStream[MemoryTransport]


@pytest.fixture(scope="session")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


async def scripted_server(
    authority: ThrowawayAuthority, transport: MemoryTransport, *, task_status: trio.TaskStatus[ScriptedPeer]
) -> None:
    """A scripted server over TLS that has shaken hands."""
    tls: Tls = trio.SSLStream(transport, authority.server_context(), server_side=True, https_compatible=True)
    await tls.do_handshake()
    peer = ScriptedPeer(tls, client=False)
    await peer.handshake()
    task_status.started(peer)


@pytest.mark.parametrize("point", ["mid-body", "after END_STREAM", "idle"])
async def test_an_end_without_close_notify(point: str, authority: ThrowawayAuthority, autojump_clock: object) -> None:
    """END_STREAM, not TLS, says whether a message is whole."""
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_at, point, authority, theirs)
        context = authority.client_context()
        async with connect("https://localhost", transport=ours, ssl_context=context) as session:
            stream = await session.open_stream("GET")
            assert (await stream.receive_response()).status == 200
            assert await stream.receive_some() == b"body"
            if point == "mid-body":
                with pytest.raises(TransportLostError):
                    await stream.receive_some()
                with pytest.raises(TransportLostError):
                    await session.wait_closed()
            else:
                assert await stream.receive_some() == b""
                await session.wait_closed()


async def _end_at(point: str, authority: ThrowawayAuthority, theirs: MemoryTransport) -> None:
    async with trio.open_nursery() as nursery:
        peer: ScriptedPeer = await nursery.start(scripted_server, authority, theirs)
        await peer.until(HeadersFrame)
        await peer.respond(1, end_stream=False)
        await peer.send_data(1, b"body", end_stream=point != "mid-body")
        if point == "idle":
            await peer.ping()
        await theirs.aclose()  # under the TLS stream, which says nothing


@pytest.mark.parametrize("client", [True, False])
async def test_a_peer_that_never_reads_while_we_close(
    client: bool, authority: ThrowawayAuthority, autojump_clock: object
) -> None:
    walls: list[StallableStream] = []

    def wall(transport: MemoryTransport) -> StallableStream:
        walls.append(StallableStream(transport))
        return walls[-1]

    class Walled(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            transport = await super().accept()
            assert isinstance(transport, MemoryTransport)
            return transport if client else wall(transport)

    listener = Walled()
    context = authority.server_context()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_listeners, forever, [listener], ssl_context=context))
        ours = listener.connect()
        transport = wall(ours) if client else ours
        async with connect("https://localhost", transport=transport, ssl_context=authority.client_context()) as session:
            await session.open_stream("GET")
            await session.ping()
            walls[0].stall_send()
            start = trio.current_time()
            if not client:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.5)
                    assert server.sessions
                    await trio.sleep(0.6)
                    assert not server.sessions
        if client:
            assert trio.current_time() - start == pytest.approx(1)
            nursery.cancel_scope.cancel()


async def test_clients_without_alpn_are_turned_away(authority: ThrowawayAuthority, autojump_clock: object) -> None:
    listener = MemoryListener()
    reports: list[Exception] = []

    def report(_: ServerSession | None, error: Exception) -> None:
        reports.append(error)

    serve = partial(serve_listeners, hello, [listener], ssl_context=authority.server_context(), on_session_error=report)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        context = authority.client_context(alpn=())
        with pytest.raises(UnknownProtocolError, match="ALPN chose nothing"):
            await connect("https://localhost", transport=listener.connect(), ssl_context=context).__aenter__()
        await server.aclose()
    (error,) = reports
    assert isinstance(error, UnknownProtocolError)


@pytest.mark.parity("A2")
@pytest.mark.parametrize("client_is_ours", [True, False])
async def test_a_cipher_of_the_block_list(
    client_is_ours: bool, authority: ThrowawayAuthority, autojump_clock: object
) -> None:
    """RFC 9113 §9.2.2: INADEQUATE_SECURITY."""
    weak = "ECDHE+AES:@SECLEVEL=0"
    server_context, client_context = authority.server_context(), authority.client_context()
    for context in (server_context, client_context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    server_context.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0")
    client_context.set_ciphers(weak)
    ours, theirs = memory_transports()
    if client_is_ours:
        tls: Tls = trio.SSLStream(theirs, server_context, server_side=True, https_compatible=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read_all, tls)
            with pytest.raises(HandshakeError, match="AES128-SHA") as caught:
                await connect("https://localhost", transport=ours, ssl_context=client_context).__aenter__()
        assert caught.value.code == ErrorCode.INADEQUATE_SECURITY
        return
    with pytest.raises(ValueError, match=r"9\.2\.2"):  # a server's context is looked at before
        await serve_ssl_over_tcp(hello, 0, server_context)


async def _read_all(tls: Tls) -> None:
    try:
        while await tls.receive_some():
            pass
    except trio.BrokenResourceError:
        pass


class Coalesced:
    """A TLS client whose flights a test joins into single writes."""

    def __init__(self, authority: ThrowawayAuthority, transport: MemoryTransport) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = authority.client_context().wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._transport = transport

    async def handshake(self) -> None:
        """Shakes hands, but keeps the last flight back."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                self._incoming.write(await self._transport.receive_some())
            else:
                return

    async def flush(self) -> None:
        """Sends everything as one write."""
        await self._transport.send_all(self._outgoing.read())

    async def receive(self) -> bytes:
        """Returns what comes next, decrypted."""
        while True:
            try:
                return self.tls.read(65_536)
            except ssl.SSLWantReadError:
                self._incoming.write(await self._transport.receive_some())


@pytest.mark.parametrize("crumbs", [False, True])
async def test_a_request_in_one_segment_with_the_handshake(
    crumbs: bool, authority: ThrowawayAuthority, autojump_clock: object
) -> None:
    """What TLS has read beyond the handshake must not be lost."""
    seen: list[str] = []

    async def handler(stream: ServerStream) -> None:
        seen.append(stream.path)
        await stream.respond(body=b"hello")

    class Crumbs(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            transport = await super().accept()
            return TrickleStream(transport) if crumbs else transport

    listener = Crumbs()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_listeners, handler, [listener], ssl_context=authority.server_context())
        server: Server = await nursery.start(serve)
        client = Coalesced(authority, listener.connect())
        await client.handshake()
        client.tls.write(CLIENT_PREFACE + pack_frame(0x4, 0, 0))
        client.tls.write(pack_frame(0x1, 0x5, 1, b"\x82\x86\x41\x01x\x04\x05/fast"))
        await client.flush()
        received = b""
        while b"hello" not in received:
            received += await client.receive()
        assert seen == ["/fast"]
        await server.aclose(0)


@pytest.mark.parametrize("size", [1, 7, None])
async def test_exchanges_in_crumbs(size: int | None, authority: ThrowawayAuthority, autojump_clock: object) -> None:
    listener = MemoryListener()
    config = ClientConfig(stream_window=65_535)
    async with trio.open_nursery() as nursery:
        serve = partial(serve_listeners, hello, [listener], ssl_context=authority.server_context())
        server: Server = await nursery.start(serve)
        transport = TrickleStream(listener.connect(), receive_bytes=size, send_bytes=size)
        context = authority.client_context()
        async with connect("https://localhost", transport=transport, ssl_context=context, config=config) as session:
            for _ in range(3):
                async with session.request("GET") as stream:
                    assert await stream.receive_some() == b"hello"
        await server.aclose()


async def test_a_drain_over_real_tls(authority: ThrowawayAuthority) -> None:
    """The client reads slowly what is left when the server has nothing more to say."""
    body = bytes(range(256)) * 4000

    async def handler(stream: ServerStream) -> None:
        await stream.respond(body=body)

    async with trio.open_nursery() as nursery:
        config = ServerConfig(drain_timeout=20)
        server: Server = await nursery.start(
            partial(serve_ssl_over_tcp, handler, 0, authority.server_context(), config=config)
        )
        async with connect(server.urls[0], ssl_context=authority.client_context()) as session:
            stream = await session.open_stream("GET")
            await stream.receive_response()
            async with trio.open_nursery() as closing:
                closing.start_soon(server.aclose)
                await session.wait_draining()
                received = bytearray()
                while chunk := await stream.receive_some(10_000):
                    received += chunk
            assert received == body
            await session.wait_closed()
