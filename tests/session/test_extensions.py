"""ALTSVC (RFC 7838) and ORIGIN (RFC 8336), sent and received."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pytest
import trio

from tests.net.serving import MemoryListener
from tests.session.scripted import connected, forever, hello, served, settle
from trio_h2 import (
    AltSvcReceived,
    ClientSession,
    ErrorCode,
    LocalProtocolError,
    OriginReceived,
    Server,
    ServerSession,
    Session,
    connect,
    open_server,
    serve_listeners,
    serve_ssl_over_tcp,
)
from trio_h2.testing import MemoryTransport, ScriptedPeer, ThrowawayAuthority, UnknownFrame, memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio_h2 import PushedStream, ServerStream

    PushHandler = Callable[[PushedStream], Awaitable[object]]

ALTSVC, ORIGIN, PRIORITY_UPDATE = 0xA, 0xC, 0x10


def altsvc(alt: bytes, origin: bytes = b"") -> bytes:
    return len(origin).to_bytes(2, "big") + origin + alt


def entries(*origins: bytes) -> bytes:
    return b"".join(len(origin).to_bytes(2, "big") + origin for origin in origins)


def watch(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Returns the list of what the peer announces on a session."""
    seen: list[object] = []

    def tell(happening: object) -> None:
        if isinstance(happening, (AltSvcReceived, OriginReceived)):
            seen.append(happening)

    monkeypatch.setattr(session._core.events, "tell", tell)
    return seen


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


@asynccontextmanager
async def connected_by_tls(
    authority: ThrowawayAuthority, *, push_handler: PushHandler | None = None
) -> AsyncIterator[tuple[ClientSession, ScriptedPeer]]:
    """A client session of ours over TLS, connected to a scripted server."""
    ours, theirs = memory_transports()
    tls: trio.SSLStream[MemoryTransport] = trio.SSLStream(
        theirs, authority.server_context(), server_side=True, https_compatible=True
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tls.do_handshake)
        async with (
            ScriptedPeer(tls, client=False) as peer,
            connect(
                "https://localhost:8443",
                transport=ours,
                ssl_context=authority.client_context(),
                push_handler=push_handler,
            ) as session,
        ):
            await peer.handshake()
            yield session, peer


@asynccontextmanager
async def served_by_tls(authority: ThrowawayAuthority, origins: list[str]) -> AsyncIterator[ScriptedPeer]:
    """A scripted client, connected to a server of ours over TLS; it has not said anything yet."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[Server]) -> None:
            await serve_listeners(
                hello, [listener], ssl_context=authority.server_context(), origins=origins, task_status=task_status
            )

        await nursery.start(serve)
        tls: trio.SSLStream[MemoryTransport] = trio.SSLStream(
            listener.connect(), authority.client_context(), server_hostname="localhost", https_compatible=True
        )
        async with ScriptedPeer(tls, client=True) as peer:
            yield peer
        nursery.cancel_scope.cancel()


# -- ALTSVC ------------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B22")
@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.org/foo", b"https://example.org"),
        ("HTTPS://user:word@Example.org:443/?q#f", b"https://example.org"),
        ("http://[::1]:8080", b"http://[::1]:8080"),
        ("https://bücher.example", b"https://xn--bcher-kva.example"),
        (SimpleNamespace(origin="https://example.org:81"), b"https://example.org:81"),
        ("example.org", b"https://example.org"),
        ("Example.org:8443/", b"https://example.org:8443"),
        ("[::1]:8443", b"https://[::1]:8443"),
        ("//example.org/a", b"https://example.org"),
        ("http://example.org:80/", b"http://example.org"),
        (urlsplit("https://example.org:81/a?b"), b"https://example.org:81"),
    ],
)
async def test_altsvc_for_an_origin(url: str, origin: bytes, autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        await session.altsvc('h2=":8000"', url)
        frame = await peer.expect(UnknownFrame, type=ALTSVC, flags=0, stream_id=0)
        assert frame.payload == altsvc(b'h2=":8000"', origin)


@pytest.mark.parity("B22")
async def test_altsvc_for_a_stream(autojump_clock: object) -> None:
    async with served(forever) as (peer, session):
        stream_id = await peer.request()
        await settle()
        await session.altsvc("clear", stream_id)
        assert (await peer.expect(UnknownFrame, type=ALTSVC, stream_id=stream_id)).payload == altsvc(b"clear")
        with pytest.raises(LocalProtocolError, match="stream 3 is not open"):
            await session.altsvc("clear", 3)
        await peer.expect_nothing()
        await peer.send_rst(stream_id)
        await peer.ping()
        with pytest.raises(LocalProtocolError, match="stream 1 is not open"):
            await session.altsvc("clear", stream_id)


@pytest.mark.parity("B22")
async def test_altsvc_that_is_wrong(autojump_clock: object) -> None:
    """Nothing is sent."""
    async with served(hello) as (peer, session):
        for origin in "", "ftp://example.org", "https://", "https://a b", "https://a:99999", "https://a:b", "a:b@c":
            with pytest.raises(ValueError, match="bad URL '"):
                await session.altsvc("clear", origin)
        for number in 0, -1, 2**31, True:
            with pytest.raises(ValueError, match="stream id"):
                await session.altsvc("clear", number)
        for nothing in None, 1.5, SimpleNamespace(origin=None):
            with pytest.raises(TypeError, match="origin must be"):
                await session.altsvc("clear", cast("str", nothing))
        with pytest.raises(ValueError, match="ASCII"):
            await session.altsvc("hé", "https://example.org")
        with pytest.raises(ValueError, match="too long"):
            await session.altsvc("x" * 16_384, "https://example.org")
        with pytest.raises(TypeError, match="alt must be"):
            await session.altsvc(cast("str", b"clear"), "https://example.org")
        await peer.expect_nothing()
        await session.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await session.altsvc("clear", "https://example.org")


@pytest.mark.parity("B22")
async def test_altsvc_is_an_event_of_the_client(monkeypatch: pytest.MonkeyPatch, autojump_clock: object) -> None:
    async with connected() as (session, peer):
        seen = watch(session, monkeypatch)
        async with session.request("GET") as stream:
            await peer.expect_headers()
            await peer.send_raw_frame(ALTSVC, 0, 0, altsvc(b'h2=":1"', b"https://example.org"))
            await peer.send_raw_frame(ALTSVC, 0, stream.id, altsvc(b"clear"))
            await peer.ping()
        assert seen == [
            AltSvcReceived('h2=":1"', "https://example.org", 0),
            AltSvcReceived("clear", "", stream.id),
        ]


@pytest.mark.parity("B22")
async def test_altsvc_that_is_to_be_ignored(monkeypatch: pytest.MonkeyPatch, autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request("GET") as stream:
        seen = watch(session, monkeypatch)
        await peer.expect_headers()
        for stream_id, payload in [
            (0, altsvc(b"clear")),
            (stream.id, altsvc(b"clear", b"https://example.org")),
            (stream.id + 2, altsvc(b"clear")),
            (0, b""),
            (0, b"\0"),
            (0, b"\0\x05http"),
            (0, altsvc(b"\xff", b"https://example.org")),
        ]:
            await peer.send_raw_frame(ALTSVC, 0, stream_id, payload)
        await peer.ping()
        assert seen == []


@pytest.mark.parity("B22")
@pytest.mark.parity("B23")
async def test_a_server_ignores_what_only_servers_send(monkeypatch: pytest.MonkeyPatch, autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        seen = watch(session, monkeypatch)
        for payload in b"", b"\0\1x", altsvc(b"clear", b"https://example.org"):
            await peer.send_raw_frame(ALTSVC, 0, 0, payload)
            await peer.send_raw_frame(ORIGIN, 0, 0, payload)
        await peer.ping()
        assert seen == []


# -- ORIGIN ------------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B23")
async def test_origin(autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        await session.origin("https://example.org/foo", SimpleNamespace(origin="https://b.example:444"))
        frame = await peer.expect(UnknownFrame, type=ORIGIN, flags=0, stream_id=0)
        assert frame.payload == entries(b"https://example.org", b"https://b.example:444")
        await session.origin()
        assert (await peer.expect(UnknownFrame, type=ORIGIN)).payload == b""
        with pytest.raises(ValueError, match="bad URL 'example com'"):
            await session.origin("https://example.org", "example com")
        await session.origin("example.com", "localhost:8443/")
        assert (await peer.expect(UnknownFrame, type=ORIGIN)).payload == entries(
            b"https://example.com", b"https://localhost:8443"
        )
        with pytest.raises(TypeError, match="origin must be"):
            await session.origin(cast("str", 1))
        await peer.expect_nothing()
        many = [f"https://host-{number}.example" for number in range(1000)]
        await session.origin(*many)
        received = b""
        while len(received) < len(entries(*(origin.encode() for origin in many))):
            received += (await peer.expect(UnknownFrame, type=ORIGIN)).payload
        assert received == entries(*(origin.encode() for origin in many))


@pytest.mark.parity("B17")
@pytest.mark.parity("B23")
async def test_the_origin_set_grows(
    authority: ThrowawayAuthority, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    async with connected_by_tls(authority) as (session, peer):
        seen = watch(session, monkeypatch)
        assert session.origin_set == ["https://localhost:8443"]
        await peer.send_raw_frame(ORIGIN, 0x70, 0, entries(b"https://example.org", b"", b"nonsense", b"https://B:443"))
        await peer.send_raw_frame(ORIGIN, 0, 0, entries(b"https://example.org", b"https://c"))
        await peer.ping()
        assert session.origin_set == ["https://localhost:8443", "https://example.org", "https://b", "https://c"]
        assert seen == [
            OriginReceived(["https://example.org", "nonsense", "https://B:443"]),
            OriginReceived(["https://example.org", "https://c"]),
        ]
        session.origin_set.clear()
        assert len(session.origin_set) == 4


@pytest.mark.parity("B17", "B23")
async def test_a_misdirected_request_takes_its_origin_away(
    authority: ThrowawayAuthority, autojump_clock: object
) -> None:
    """RFC 8336 §2.3: 421 removes the origin of its request, which a later ORIGIN frame may bring back."""
    own = "https://localhost:8443"
    async with connected_by_tls(authority) as (session, peer):
        await peer.send_raw_frame(ORIGIN, 0, 0, entries(b"https://b.example", b"https://c.example"))
        await peer.ping()
        for number, (fields, left) in enumerate(
            [
                ({":authority": "B.example:443"}, [own, "https://c.example"]),
                ({":authority": "unknown.example"}, [own, "https://c.example"]),
                ({":authority": "c.example", ":scheme": "http"}, [own, "https://c.example"]),
                ({"host": "c.example"}, [own]),
                ({}, []),
            ]
        ):
            async with session.request("GET", headers=fields) as stream:
                await peer.expect_headers(stream_id=2 * number + 1)
                await peer.respond(stream.id, 421, body=b"not here")
                assert (await stream.receive_response()).status == 421
                assert session.origin_set == left
                assert await stream.receive_some() == b"not here"
        tunnel = await session.open_stream("CONNECT", headers={":authority": "c.example:443"}, end_stream=False)
        await peer.expect_headers(stream_id=tunnel.id)
        await peer.respond(tunnel.id, 421)
        await tunnel.receive_response()
        assert session.origin_set == []
        await peer.send_raw_frame(ORIGIN, 0, 0, entries(b"https://b.example"))
        await peer.ping()
        assert session.origin_set == ["https://b.example"]


@pytest.mark.parity("B17")
async def test_other_statuses_leave_the_origin_set_alone(authority: ThrowawayAuthority, autojump_clock: object) -> None:
    async with connected_by_tls(authority) as (session, peer):
        for status in 200, 400, 404, 420, 422, 500:
            async with session.request("GET") as stream:
                await peer.expect_headers()
                await peer.respond(stream.id, status)
                await stream.receive_response()
            assert session.origin_set == ["https://localhost:8443"]


@pytest.mark.parity("B17")
async def test_the_origin_set_is_bounded(authority: ThrowawayAuthority, autojump_clock: object) -> None:
    async with connected_by_tls(authority) as (session, peer):
        for start in range(0, 1500, 500):
            await peer.send_raw_frame(ORIGIN, 0, 0, entries(*(b"https://h%d" % n for n in range(start, start + 500))))
        await peer.ping()
        assert session.origin_set is not None
        assert len(session.origin_set) == 1000


@pytest.mark.parity("B23")
async def test_origin_that_is_to_be_ignored(
    authority: ThrowawayAuthority, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    async with connected_by_tls(authority) as (session, peer):
        seen = watch(session, monkeypatch)
        for flag in 0x1, 0x2, 0x4, 0x8:
            await peer.send_raw_frame(ORIGIN, flag, 0, entries(b"https://example.org"))
        await peer.send_raw_frame(ORIGIN, 0, 1, entries(b"https://example.org"))
        await peer.send_raw_frame(ORIGIN, 0, 0, entries(b"https://example.org") + b"\0\x05http")
        await peer.ping()
        assert seen == []
        assert session.origin_set == ["https://localhost:8443"]


@pytest.mark.parity("B17")
@pytest.mark.parity("B23")
async def test_there_is_no_origin_set_without_tls(monkeypatch: pytest.MonkeyPatch, autojump_clock: object) -> None:
    async with connected() as (session, peer):
        seen = watch(session, monkeypatch)
        await peer.send_raw_frame(ORIGIN, 0, 0, entries(b"https://example.org"))
        await peer.ping()
        assert session.origin_set is None
        assert seen == []


# -- origins=[…] -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("A4")
async def test_every_tls_session_starts_with_the_origins(authority: ThrowawayAuthority, autojump_clock: object) -> None:
    origins = ["https://example.org/foo", "https://example.com:443"]
    async with served_by_tls(authority, origins) as peer:
        await peer.handshake(wait_ack=False)
        frame = await peer.until(UnknownFrame, type=ORIGIN, stream_id=0)
        assert frame.payload == entries(b"https://example.org", b"https://example.com")


@pytest.mark.parity("A4")
async def test_a_client_learns_the_origins_over_tcp(authority: ThrowawayAuthority) -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(serve_ssl_over_tcp, origins=["https://example.org"])
        server: Server = await nursery.start(serve, hello, 0, authority.server_context())
        own = f"https://localhost:{server.port}"
        async with connect(own, ssl_context=authority.client_context()) as session:
            await session.ping()
            assert session.origin_set == [own, "https://example.org"]
        await server.aclose()


@pytest.mark.parity("B17")
async def test_what_a_server_has_announced(authority: ThrowawayAuthority) -> None:
    """Over TLS; in the clear, clients heed none."""
    sets: list[list[str] | None] = []
    announced = ["https://example.org", "https://c.example:81", "https://b.example"]

    async def handler(stream: ServerStream) -> None:
        session = stream.session
        assert isinstance(session, ServerSession)
        await session.origin("https://b.example", "example.org:443")
        sets.append(session.origin_set)
        await stream.respond()

    secure = open_server(handler, ssl_context=authority.server_context(), origins=["example.org", "c.example:81/"])
    async with secure as one, open_server(handler) as other:
        for url in one.url, other.url:
            context = authority.client_context() if url.startswith("https") else None
            async with connect(url, ssl_context=context) as session, session.request("GET") as stream:
                await stream.receive_response()
                assert session.origin_set == ([url, *announced] if context else None)
    assert sets == [announced, None]


@pytest.mark.parity("A4")
async def test_without_tls_no_origins_are_sent(autojump_clock: object) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve_listeners(hello, [listener], origins=["https://example.org"]))
        async with ScriptedPeer(listener.connect(), client=True) as peer:
            await peer.handshake()
            await peer.expect_nothing()
        nursery.cancel_scope.cancel()


@pytest.mark.parity("A4")
@pytest.mark.parametrize("origins", [["example org"], ["https://example.org", ""]])
async def test_origins_that_are_none(authority: ThrowawayAuthority, origins: list[str]) -> None:
    with pytest.raises(ValueError, match="bad URL '"):
        await serve_listeners(hello, [], origins=origins)
    with pytest.raises(ValueError, match="bad URL '"):
        await serve_ssl_over_tcp(hello, 0, authority.server_context(), origins=origins)
    with pytest.raises(TypeError, match="several"):
        await serve_listeners(hello, [], origins="https://example.org")
    with pytest.raises(TypeError, match="several"):
        await serve_listeners(hello, [], origins=cast("list[str]", 5))


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parity("M6")
async def test_a_flood_of_extension_frames_ends_the_session(autojump_clock: object) -> None:
    async with connected() as (_, peer):
        async with peer.batch():
            for _ in range(10_050):
                await peer.send_raw_frame(ALTSVC, 0, 0, altsvc(b"x", b"https://example.org"))
        await peer.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)
