"""TLS alerts: what a peer is told when a handshake fails, what we make of its alerts, and how a session ends."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.net.serving import MemoryListener, hello
from tests.net.tls import HOST, Watched, shake_hands, transports
from trio_h2 import HandshakeError, Server, TransportLostError, connect, serve_listeners
from trio_h2._net._tls import say_closed, wrap_server
from trio_h2._stream._alerts import alert_of, meaning_of
from trio_h2._stream._below_tls import BelowTls
from trio_h2.testing import ScriptedPeer, ThrowawayAuthority, memory_transports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

Tls = trio.SSLStream[trio.abc.Stream]


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


def old_version(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


def other_cipher(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")


def tls12(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def nothing(context: ssl.SSLContext) -> None:
    pass


async def until_error(tls: Tls) -> ssl.SSLError:
    """Reads to the error with which TLS ends, as a client of TLS 1.3 may have to after its handshake."""
    with pytest.raises(trio.BrokenResourceError) as caught:
        await tls.send_all(b"too early")
        while await tls.receive_some():
            pass
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    return caught.value.__cause__


@pytest.mark.parametrize(
    ("change", "certificate", "alert"),
    [
        (old_version, False, "protocol version"),
        (other_cipher, False, "handshake failure"),
        (tls12, True, "handshake failure"),
        (nothing, True, "certificate required"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_a_server_says_why_it_refuses(
    change: Callable[[ssl.SSLContext], None],
    certificate: bool,
    alert: str,
    client_context: ssl.SSLContext,
    server_context: ssl.SSLContext,
    ca_file: Path,
    autojump_clock: trio.testing.MockClock,
) -> None:
    if certificate:
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.load_verify_locations(ca_file)
    change(client_context)
    near, far = transports()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            with pytest.raises(HandshakeError):
                await wrap_server(far, server_context, timeout=10)
            assert far.closed

        nursery.start_soon(serve)
        tls: Tls = trio.SSLStream(near, client_context, server_hostname=HOST, https_compatible=True)
        error = await until_error(tls)
        await near.aclose()
    assert alert_of(error) == alert
    assert trio.current_time() == start, "the server has waited for nobody"


async def test_a_client_that_stays_is_left_after_a_second(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, autojump_clock: trio.testing.MockClock
) -> None:
    other_cipher(client_context)
    near, far = transports()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        tls: Tls = trio.SSLStream(near, client_context, server_hostname=HOST)
        nursery.start_soon(until_error, tls)
        with pytest.raises(HandshakeError, match="no shared cipher"):
            await wrap_server(far, server_context, timeout=10)
    assert far.closed
    assert trio.current_time() - start == pytest.approx(1)


async def test_the_alert_needs_no_time_of_the_handshake(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, autojump_clock: trio.testing.MockClock
) -> None:
    """What went wrong is told, and not that the handshake has taken too long."""
    other_cipher(client_context)
    near, far = transports()
    async with trio.open_nursery() as nursery:
        tls: Tls = trio.SSLStream(near, client_context, server_hostname=HOST)
        nursery.start_soon(until_error, tls)
        with pytest.raises(HandshakeError, match="no shared cipher"):
            await wrap_server(far, server_context, timeout=0.5)


async def test_a_client_says_why_it_refuses(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, ca: trustme.CA
) -> None:
    _, server = await shake_hands(trio_h2.client_ssl_context(), server_context)
    assert str(server.failure) == (
        "the client refused the TLS handshake: it does not know the authority of our certificate (alert 'unknown ca')"
    )
    _, server = await shake_hands(client_context, server_context, host="other.test")
    assert "alert 'bad certificate'" in str(server.failure)
    assert isinstance(server.failure.__cause__, ssl.SSLError)


class TestTheServerRefuses:
    """An alert of the server, named to the user of the client."""

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_for_want_of_a_certificate(
        self, version: ssl.TLSVersion, authority: ThrowawayAuthority, autojump_clock: trio.testing.MockClock
    ) -> None:
        """In TLS 1.3 that comes when the client's part of the handshake is done, and its request is sent."""
        server_context, client_context = authority.server_context(), authority.client_context()
        server_context.verify_mode = ssl.CERT_REQUIRED
        client_context.maximum_version = version
        listener = MemoryListener()
        reports: list[Exception] = []
        serve = partial(
            serve_listeners,
            hello,
            [listener],
            ssl_context=server_context,
            on_session_error=lambda _, error: reports.append(error),
        )
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(serve)
            with pytest.raises(HandshakeError, match=r"the server.* refused .*certificate") as caught:
                async with (
                    connect("https://localhost", transport=listener.connect(), ssl_context=client_context) as session,
                    session.request("GET") as stream,
                ):
                    await stream.receive_response()
            assert isinstance(caught.value.__cause__, ssl.SSLError)
            if version is ssl.TLSVersion.TLSv1_3:
                assert str(caught.value) == (
                    "the server refused the TLS handshake: "
                    "it requires a client certificate (alert 'certificate required')"
                )
            await server.aclose()
        assert [str(error) for error in reports] == [
            "the TLS handshake with the client failed: peer did not return a certificate"
        ]

    async def test_in_the_middle(self, authority: ThrowawayAuthority) -> None:
        """An alert that ends a session names itself, too."""
        ours, theirs = memory_transports()
        below = BelowTls(theirs)
        tls = below.wrap(authority.server_context(), server_side=True)
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                peer = ScriptedPeer(tls, client=False)
                await tls.do_handshake()
                await peer.handshake()
                await peer.ping()
                await theirs.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))  # no record of ours

            nursery.start_soon(serve)
            context = authority.client_context()
            async with connect("https://localhost", transport=ours, ssl_context=context) as session:
                with pytest.raises(TransportLostError):
                    await session.wait_closed()
            with pytest.raises(trio.BrokenResourceError) as caught:  # our own alert
                while await tls.receive_some():
                    pass
        assert alert_of(caught.value.__cause__) == "bad record mac"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_end_with_close_notify(
    version: ssl.TLSVersion, authority: ThrowawayAuthority, autojump_clock: trio.testing.MockClock
) -> None:
    """RFC 8446 §6.1: before the transport is closed; and nobody waits for the other's."""
    server_context = authority.server_context()
    server_context.maximum_version = version
    strict: Tls
    listener = MemoryListener()
    serve = partial(serve_listeners, hello, [listener], ssl_context=server_context)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        strict = trio.SSLStream(listener.connect(), authority.client_context(), server_hostname="localhost")
        peer = ScriptedPeer(strict, client=True)
        await peer.handshake()
        start = trio.current_time()
        server.shutdown()
        await peer.expect_goaway(code=0)
        await peer.expect_goaway(code=0)
        await peer.expect_eof()  # a strict stream takes an end without the alert for an error
        assert trio.current_time() == start
        await server.aclose()

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        strict = trio.SSLStream(theirs, server_context, server_side=True)
        peer = ScriptedPeer(strict, client=False)

        async def serve_one() -> None:
            await peer.handshake()
            await peer.expect_goaway(code=0)
            await peer.expect_eof()

        nursery.start_soon(serve_one)
        async with connect("https://localhost", transport=ours, ssl_context=authority.client_context()):
            await trio.testing.wait_all_tasks_blocked()
            start = trio.current_time()
        assert trio.current_time() == start


async def test_a_server_without_the_protocol_ends_with_close_notify(
    authority: ThrowawayAuthority, autojump_clock: trio.testing.MockClock
) -> None:
    """Though it has sent nothing but its part of the handshake, after which TLS 1.3 has session tickets to send."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_listeners, hello, [listener], ssl_context=authority.server_context())
        server: Server = await nursery.start(serve)
        context = authority.client_context(alpn=())
        strict: Tls = trio.SSLStream(listener.connect(), context, server_hostname="localhost")
        await strict.do_handshake()
        assert await strict.receive_some() == b""
        await server.aclose()


async def test_a_cancelled_session_sends_none(authority: ThrowawayAuthority) -> None:
    """What is cut must not look whole."""
    ours, theirs = memory_transports()
    ours_cut = Watched(ours)
    async with trio.open_nursery() as nursery:
        strict: Tls = trio.SSLStream(theirs, authority.server_context(), server_side=True)
        peer = ScriptedPeer(strict, client=False)
        nursery.start_soon(peer.handshake)
        context = authority.client_context()
        with trio.CancelScope() as scope:
            async with connect("https://localhost", transport=ours_cut, ssl_context=context):
                await trio.testing.wait_all_tasks_blocked()
                await ours.aclose()
                scope.cancel()
        with pytest.raises(trio.BrokenResourceError):
            while await strict.receive_some():
                pass


class TestCloseNotify:
    async def both(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext
    ) -> tuple[Tls, Tls, BelowTls, Watched]:
        """A strict client, and a server of ours."""
        near, far = transports()
        client: Tls = trio.SSLStream(near, client_context, server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.do_handshake)
            server = await wrap_server(far, server_context, timeout=10)
        below = server.transport_stream
        assert isinstance(below, BelowTls)
        return client, server, below, far

    @pytest.mark.parametrize("spoken", [True, False])
    async def test_while_data_comes(
        self, spoken: bool, client_context: ssl.SSLContext, server_context: ssl.SSLContext
    ) -> None:
        """OpenSSL takes data after its own alert for an error, and the alert must go out all the same."""
        client, server, below, far = await self.both(client_context, server_context)
        near = client.transport_stream
        batch = bytearray()
        if spoken:
            await server.send_all(b"hello")
            assert await client.receive_some() == b"hello"
        assert isinstance(near, Watched)
        real, near.below = near.below, _Collect(batch)
        for _ in range(3):
            await client.send_all(b"data")
        near.below = real
        await near.send_all(batch)
        assert await server.receive_some() == b"data"  # two more records wait behind it
        await below.send_close_notify(server)
        await below.aclose()
        if spoken:
            assert await client.receive_some() == b""
        else:  # nothing can be sent without the session tickets that Trio holds back
            with pytest.raises(trio.BrokenResourceError) as caught:
                await client.receive_some()
            assert isinstance(caught.value.__cause__, ssl.SSLEOFError)
        assert far.closed

    async def test_after_that_of_the_peer(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        client, server, below, _ = await self.both(client_context, server_context)
        await server.send_all(b"hello")
        assert await client.receive_some() == b"hello"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.unwrap)  # waits for ours
            assert await server.receive_some() == b""
            await below.send_close_notify(server)
        await say_closed(server, below)  # once more, which does nothing
        await below.aclose()

    async def test_nothing_follows_a_record_that_is_cut(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext
    ) -> None:
        client, server, below, far = await self.both(client_context, server_context)
        real, sent = far.below, bytearray()
        far.below = _Collect(sent, cut=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.send_all, b"hello")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert sent
        far.below = real
        await below.send_close_notify(server)
        await below.aclose()
        with pytest.raises(trio.BrokenResourceError) as caught:
            await client.receive_some()
        assert isinstance(caught.value.__cause__, ssl.SSLEOFError)


class _Collect(trio.abc.HalfCloseableStream):
    """Keeps what is sent, or is cut in the middle of it."""

    def __init__(self, data: bytearray, *, cut: bool = False) -> None:
        self._data = data
        self._cut = cut

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._data += data
        if self._cut:
            await trio.sleep_forever()

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


async def test_a_client_without_a_certificate_learns_so_over_tcp(authority: ThrowawayAuthority) -> None:
    """TCP must not lose the alert because the client's first request has come, and nobody has read it."""
    server_context = authority.server_context()
    server_context.verify_mode = ssl.CERT_REQUIRED
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_ssl_over_tcp, hello, 0, server_context)
        server: Server = await nursery.start(serve)
        for _ in range(5):
            with pytest.raises(HandshakeError, match="requires a client certificate"):
                async with (
                    connect(server.urls[0], ssl_context=authority.client_context()) as session,
                    session.request("POST", body=bytes(200_000)) as stream,
                ):
                    await stream.receive_response()
        await server.aclose()


def test_alerts_in_words() -> None:
    assert alert_of(None) is None
    assert alert_of(OSError(104, "alert")) is None
    assert alert_of(ssl.SSLError(1, "[SSL] wrong version number (_ssl.c:1)")) is None
    assert alert_of(ssl.SSLError(1, "[SSL: X] sslv3 alert bad certificate (_ssl.c:1006)")) == "bad certificate"
    assert meaning_of("internal error") == "alert 'internal error'"
