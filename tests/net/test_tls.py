"""TLS handshakes for HTTP/2: what must come out of them, and how each of the others ends."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import ssl
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
import trustme

from tests.net.tls import BLOCKLISTED, HOST, plain_server_context, weaken
from trio_h2._errors import HandshakeError, UnknownProtocolError
from trio_h2._net._contexts import client_ssl_context
from trio_h2._net._tls import Negotiated, negotiated, weakness, wrap_client, wrap_server
from trio_h2._wire._codes import ErrorCode, Initiator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Tls = trio.SSLStream[trio.abc.Stream]


class Outcome:
    """How one side of a handshake ended."""

    def __init__(self) -> None:
        self.stream: Tls | None = None
        self.error: HandshakeError | None = None

    async def record(self, handshake: Callable[[], Awaitable[Tls]]) -> None:
        try:
            self.stream = await handshake()
        except HandshakeError as exc:
            self.error = exc

    @property
    def failure(self) -> HandshakeError:
        assert self.error is not None, "the handshake succeeded"
        return self.error

    @property
    def tls(self) -> Tls:
        assert self.stream is not None, f"the handshake failed: {self.error}"
        return self.stream


class Watched(trio.abc.HalfCloseableStream):
    """Passes everything on, and remembers whether it was closed."""

    def __init__(self, below: trio.abc.HalfCloseableStream) -> None:
        self.below = below
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.below.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.below.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.below.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.closed = True
        await self.below.aclose()


def transports() -> tuple[Watched, Watched]:
    one, other = trio.testing.memory_stream_pair()
    return Watched(one), Watched(other)


async def shake_hands(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, *, host: str | None = HOST
) -> tuple[Outcome, Outcome]:
    """Lets both wrappers talk to each other; whoever fails must have closed its transport."""
    client, server = Outcome(), Outcome()
    near, far = transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.record, lambda: wrap_client(near, client_context, host, timeout=10))
        nursery.start_soon(server.record, lambda: wrap_server(far, server_context, timeout=10))
    assert near.closed is (client.stream is None)
    assert far.closed is (server.stream is None)
    return client, server


class TestHandshake:
    async def test_tls_1_3(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        client, server = await shake_hands(client_context, server_context)
        for outcome in (client, server):
            agreed = negotiated(outcome.tls)
            assert (agreed.alpn, agreed.version, agreed.compression) == ("h2", "TLSv1.3", None)
            assert agreed.cipher.startswith("TLS_")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.tls.send_all, b"ping")
            assert await server.tls.receive_some() == b"ping"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.tls.send_all, b"pong")
            assert await client.tls.receive_some() == b"pong"

    async def test_tls_1_2(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        server_context.maximum_version = ssl.TLSVersion.TLSv1_2
        client, server = await shake_hands(client_context, server_context)
        for outcome in (client, server):
            agreed = negotiated(outcome.tls)
            assert (agreed.alpn, agreed.version) == ("h2", "TLSv1.2")
            assert agreed.cipher.startswith("ECDHE-")

    @pytest.mark.parametrize("host", [HOST, "EXAMPLE.test", "example.test.", "127.0.0.1", "::1", "::1%eth0"])
    async def test_names_and_addresses(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext, host: str
    ) -> None:
        client, server = await shake_hands(client_context, server_context, host=host)
        assert negotiated(client.tls) == negotiated(server.tls)

    async def test_sni_is_sent_without_the_final_dot(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext
    ) -> None:
        names: list[str | None] = []

        def callback(_stream: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            names.append(name)

        server_context.sni_callback = callback
        await shake_hands(client_context, server_context, host=HOST + ".")
        assert names == [HOST]

    async def test_without_a_timeout(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        near, far = transports()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: wrap_server(far, server_context, timeout=math.inf))
            await wrap_client(near, client_context, HOST, timeout=math.inf)
        assert not near.closed

    async def test_closing_without_close_notify_is_an_end(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext
    ) -> None:
        client, server = await shake_hands(client_context, server_context)
        await client.tls.aclose()  # would wait for the peer if it sent a close_notify
        assert await server.tls.receive_some() == b""

    async def test_checkpoints(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        near, far = transports()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: wrap_server(far, server_context, timeout=10))
            with trio.testing.assert_checkpoints():
                await wrap_client(near, client_context, HOST, timeout=10)


class TestNoHttp2:
    async def test_server_chooses_nothing(self, client_context: ssl.SSLContext, leaf: trustme.LeafCert) -> None:
        client, server = await shake_hands(client_context, plain_server_context(leaf))
        assert type(client.failure) is UnknownProtocolError
        assert client.failure.initiator is Initiator.LIBRARY
        assert str(client.failure).startswith(
            f"the server at {HOST} did not negotiate HTTP/2 (ALPN chose nothing; if the ssl_context is your own,"
        )
        assert type(server.failure) is UnknownProtocolError
        assert str(server.failure) == "the client did not negotiate HTTP/2 (ALPN chose nothing)"

    async def test_client_offers_nothing(self, ca_file: Path, server_context: ssl.SSLContext) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        client, server = await shake_hands(context, server_context)
        assert type(server.failure) is UnknownProtocolError
        assert type(client.failure) is UnknownProtocolError
        assert "call set_alpn_protocols(['h2']) on it" in str(client.failure)

    async def test_both_choose_http_1(self, client_context: ssl.SSLContext, leaf: trustme.LeafCert) -> None:
        client_context.set_alpn_protocols(["h2", "http/1.1"])
        client, server = await shake_hands(client_context, plain_server_context(leaf, "http/1.1"))
        assert type(client.failure) is UnknownProtocolError
        assert str(client.failure) == f"the server at {HOST} did not negotiate HTTP/2 (ALPN gave 'http/1.1')"
        assert str(server.failure) == "the client did not negotiate HTTP/2 (ALPN gave 'http/1.1')"

    async def test_server_refuses_with_an_alert(self, client_context: ssl.SSLContext) -> None:
        near, far = transports()
        # RFC 7301 §3.2: "a fatal 'no_application_protocol' alert" (120), as most other servers send it.
        await far.send_all(bytes.fromhex("15 0303 0002 02 78"))
        with pytest.raises(UnknownProtocolError, match=r"\(it refused ALPN 'h2'\)") as caught:
            await wrap_client(near, client_context, HOST, timeout=10)
        assert caught.value.initiator is Initiator.REMOTE
        assert isinstance(caught.value.__cause__, ssl.SSLError)


class TestInadequateSecurity:
    @pytest.mark.parity("A2")
    @pytest.mark.parametrize("cipher", BLOCKLISTED)
    async def test_blocklisted_cipher(
        self, leaf: trustme.LeafCert, ca_file: Path, cipher: str, autojump_clock: trio.testing.MockClock
    ) -> None:
        client_context = ssl.create_default_context(cafile=ca_file)
        client_context.set_alpn_protocols(["h2"])
        server_context = plain_server_context(leaf, "h2")
        for context in (client_context, server_context):
            weaken(context, cipher)
        start = trio.current_time()
        client, server = await shake_hands(client_context, server_context)
        assert trio.current_time() == start, "one waits for the other to close"
        for error in (client.failure, server.failure):
            assert error.code is ErrorCode.INADEQUATE_SECURITY
            assert error.initiator is Initiator.LIBRARY
            assert f"the cipher {cipher} is prohibited" in str(error)

    @pytest.mark.parity("A2")
    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
    async def test_old_version(self, leaf: trustme.LeafCert, ca_file: Path) -> None:
        client_context = ssl.create_default_context(cafile=ca_file)
        client_context.set_alpn_protocols(["h2"])
        server_context = plain_server_context(leaf, "h2")
        for context in (client_context, server_context):
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        client, server = await shake_hands(client_context, server_context)
        for error in (client.failure, server.failure):
            assert error.code is ErrorCode.INADEQUATE_SECURITY
            assert "TLSv1.1 is in use" in str(error)

    async def raw_peer_of(
        self, server_side: bool, leaf: trustme.LeafCert, ca_file: Path, *, closes: bool
    ) -> tuple[bytes, float]:
        """Does a weak handshake against a wrapper; returns what the wrapper sent, and how long it took to fail."""
        near, far = transports()
        client_context = ssl.create_default_context(cafile=ca_file)
        client_context.set_alpn_protocols(["h2"])
        server_context = plain_server_context(leaf, "h2")
        for context in (client_context, server_context):
            weaken(context, "AES128-SHA")
        received = bytearray()

        async def fail() -> None:
            with pytest.raises(HandshakeError, match="INADEQUATE_SECURITY"):
                if server_side:
                    await wrap_server(near, server_context, timeout=10)
                else:
                    await wrap_client(near, client_context, HOST, timeout=10)
            assert near.closed

        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            peer = trio.SSLStream(
                far,
                client_context if server_side else server_context,
                server_hostname=HOST,
                server_side=not server_side,
                https_compatible=True,
            )
            goodbye = b"the cipher AES128-SHA is prohibited"
            while not received.endswith(goodbye):
                received += await peer.receive_some()
            await peer.send_all(b"data nobody reads")
            if closes:
                await peer.aclose()
        return bytes(received), trio.current_time() - start

    def test_compression(self) -> None:
        # No build of OpenSSL at hand compresses, so there is no handshake to show it with.
        agreed = Negotiated("h2", "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", None)
        assert weakness(agreed) is None
        assert weakness(dataclasses.replace(agreed, compression="ZLIB")) == "TLS compression (ZLIB) is in use"

    GOAWAY = (
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
        b"\x00\x00\x2b\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c"
        b"the cipher AES128-SHA is prohibited"
    )

    async def test_client_gets_a_goaway(
        self, leaf: trustme.LeafCert, ca_file: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        received, seconds = await self.raw_peer_of(True, leaf, ca_file, closes=True)
        assert received == self.GOAWAY
        assert seconds == 0

    async def test_server_gets_the_preface_and_a_goaway(
        self, leaf: trustme.LeafCert, ca_file: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        received, seconds = await self.raw_peer_of(False, leaf, ca_file, closes=True)
        assert received == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.GOAWAY
        assert seconds == 0

    async def test_a_peer_that_stays_is_not_waited_for(
        self, leaf: trustme.LeafCert, ca_file: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        _, seconds = await self.raw_peer_of(True, leaf, ca_file, closes=False)
        assert seconds == pytest.approx(1)


class TestBrokenHandshakes:
    async def test_wrong_host_name(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        client, server = await shake_hands(client_context, server_context, host="other.test")
        assert str(client.failure) == (
            "the certificate of the server at other.test was not accepted: "
            "Hostname mismatch, certificate is not valid for 'other.test'."
        )
        assert type(client.failure) is HandshakeError
        assert client.failure.initiator is Initiator.LIBRARY
        assert isinstance(client.failure.__cause__, ssl.SSLCertVerificationError)
        assert "the client closed the connection" in str(server.failure)
        assert server.failure.initiator is Initiator.REMOTE

    async def test_untrusted_authority(self, server_context: ssl.SSLContext) -> None:
        client, _ = await shake_hands(client_ssl_context(), server_context)
        assert "unable to get local issuer certificate" in str(client.failure)
        assert "client_ssl_context(ca=" in str(client.failure)

    async def test_untrusted_client(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext, ca_file: Path
    ) -> None:
        trustme.CA().issue_cert("joe@example.test").configure_cert(client_context)
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.load_verify_locations(ca_file)
        _, server = await shake_hands(client_context, server_context)
        assert "the certificate of the client was not accepted: unable to get local issuer" in str(server.failure)
        assert "ssl_context" not in str(server.failure)

    async def test_client_without_the_required_certificate(
        self, client_context: ssl.SSLContext, server_context: ssl.SSLContext, ca_file: Path
    ) -> None:
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.load_verify_locations(ca_file)
        _, server = await shake_hands(client_context, server_context)
        assert str(server.failure) == "the TLS handshake with the client failed: peer did not return a certificate"

    async def test_no_common_version(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        server_context.minimum_version = ssl.TLSVersion.TLSv1_3
        _, server = await shake_hands(client_context, server_context)
        assert str(server.failure) == "the TLS handshake with the client failed: unsupported protocol"

    async def test_alert(self, client_context: ssl.SSLContext) -> None:
        near, far = transports()
        await far.send_all(bytes.fromhex("15 0303 0002 02 28"))
        with pytest.raises(HandshakeError, match=r"refused the TLS handshake: .*handshake failure") as caught:
            await wrap_client(near, client_context, HOST, timeout=10)
        assert type(caught.value) is HandshakeError
        assert caught.value.initiator is Initiator.REMOTE
        assert near.closed

    @pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 64])
    async def test_garbage_from_the_server(self, client_context: ssl.SSLContext, garbage: bytes) -> None:
        near, far = transports()
        await far.send_all(garbage)
        with pytest.raises(HandshakeError, match=r"does not speak TLS \(.*\); is it an http:// server\?") as caught:
            await wrap_client(near, client_context, HOST, timeout=10)
        assert type(caught.value) is HandshakeError
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        assert near.closed

    @pytest.mark.parametrize(
        "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"]
    )
    async def test_garbage_from_the_client(self, server_context: ssl.SSLContext, garbage: bytes) -> None:
        near, far = transports()
        await far.send_all(garbage)
        with pytest.raises(HandshakeError, match=r"^the client does not speak TLS") as caught:
            await wrap_server(near, server_context, timeout=10)
        assert type(caught.value) is HandshakeError
        assert near.closed

    async def test_peer_closes(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        near, far = transports()
        await far.aclose()
        with pytest.raises(HandshakeError, match=f"{HOST} closed the connection|connection to .* broke") as caught:
            await wrap_client(near, client_context, HOST, timeout=10)
        assert caught.value.initiator is Initiator.REMOTE
        near, far = transports()
        await far.aclose()
        with pytest.raises(HandshakeError, match=r"^the client closed the connection during") as caught:
            await wrap_server(near, server_context, timeout=10)
        assert isinstance(caught.value.__cause__, ssl.SSLError)

    async def test_network_breaks(self, server_context: ssl.SSLContext) -> None:
        class Broken(Watched):
            async def receive_some(self, max_bytes: int | None = None) -> bytes:
                await trio.lowlevel.checkpoint()
                raise trio.BrokenResourceError from ConnectionResetError(104, "Connection reset by peer")

            async def aclose(self) -> None:
                self.closed = True
                await trio.lowlevel.checkpoint()
                raise trio.BrokenResourceError

        broken = Broken(transports()[0])
        with pytest.raises(HandshakeError, match="the connection to the client broke during") as caught:
            await wrap_server(broken, server_context, timeout=10)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        assert broken.closed

    async def test_name_must_be_given(self, client_context: ssl.SSLContext) -> None:
        near, _ = transports()
        with pytest.raises(ValueError, match="server_hostname is needed"):
            await wrap_client(near, client_context, None, timeout=10)
        assert near.closed

    async def test_no_name_without_verification(self, server_context: ssl.SSLContext) -> None:
        client, server = await shake_hands(client_ssl_context(verify=False), server_context, host=None)
        assert negotiated(client.tls) == negotiated(server.tls)

    async def test_timeout(
        self,
        client_context: ssl.SSLContext,
        server_context: ssl.SSLContext,
        autojump_clock: trio.testing.MockClock,
    ) -> None:
        near, _far = transports()
        start = trio.current_time()
        with pytest.raises(HandshakeError, match=f"with the server at {HOST} was not finished after 7.5 seconds"):
            await wrap_client(near, client_context, HOST, timeout=7.5)
        assert trio.current_time() - start == pytest.approx(7.5)
        assert near.closed
        near, _far = transports()
        with pytest.raises(HandshakeError, match="with the client was not finished after 10 seconds") as caught:
            await wrap_server(near, server_context, timeout=10)
        assert trio.current_time() - start == pytest.approx(17.5)
        assert caught.value.initiator is Initiator.LIBRARY
        assert near.closed


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope just before the n-th step of the task that made this."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self.scope = scope
        self.left = step
        self.task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


class TestCancellation:
    async def sweep(self, wrap: Callable[[Watched], Awaitable[Tls]], other: Callable[[Watched], Awaitable[Tls]]) -> int:
        """Cancels *wrap* at its first, second … checkpoint, until it has no more; returns their number."""
        for step in range(100):
            near, far = transports()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Outcome().record, lambda far=far: other(far))
                with trio.CancelScope() as scope:
                    canceller = CancelAtStep(scope, step)
                    if step == 0:
                        scope.cancel()
                    trio.lowlevel.add_instrument(canceller)
                    # A weak handshake ends with an error; the last cancellation comes too late to change that.
                    with contextlib.suppress(HandshakeError):
                        await wrap(near)
                    trio.lowlevel.remove_instrument(canceller)
                if scope.cancelled_caught:
                    assert near.closed
                nursery.cancel_scope.cancel()
            if not scope.cancelled_caught and canceller.left > 0:
                return step
        raise AssertionError("the handshake never ends")

    async def test_client(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        points = await self.sweep(
            lambda near: wrap_client(near, client_context, HOST, timeout=10),
            lambda far: wrap_server(far, server_context, timeout=10),
        )
        assert points > 3

    async def test_server(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        points = await self.sweep(
            lambda near: wrap_server(near, server_context, timeout=10),
            lambda far: wrap_client(far, client_context, HOST, timeout=10),
        )
        assert points > 3

    async def test_goodbye(self, leaf: trustme.LeafCert, ca_file: Path) -> None:
        client_context = ssl.create_default_context(cafile=ca_file)
        client_context.set_alpn_protocols(["h2"])
        server_context = plain_server_context(leaf, "h2")
        for context in (client_context, server_context):
            weaken(context, "AES128-SHA")
        points = await self.sweep(
            lambda near: wrap_server(near, server_context, timeout=10),
            lambda far: wrap_client(far, client_context, HOST, timeout=10),
        )
        assert points > 6

    async def test_an_error_is_not_replaced_by_a_cancellation(self, client_context: ssl.SSLContext) -> None:
        near, far = transports()
        await far.send_all(b"garbage instead of TLS")
        with trio.CancelScope() as scope:

            class CancelsOnClose(Watched):
                async def aclose(self) -> None:
                    scope.cancel()
                    await super().aclose()

            with pytest.raises(HandshakeError, match="does not speak TLS"):
                await wrap_client(CancelsOnClose(near), client_context, HOST, timeout=10)
        assert scope.cancel_called
        assert not scope.cancelled_caught
        assert near.closed

    async def test_closing_is_not_waited_for(
        self, client_context: ssl.SSLContext, autojump_clock: trio.testing.MockClock
    ) -> None:
        class Slow(Watched):
            async def aclose(self) -> None:
                self.closed = True
                await trio.sleep(3600)

        near, _far = transports()
        slow = Slow(near)
        start = trio.current_time()
        with pytest.raises(HandshakeError, match="was not finished after 5 seconds"):
            await wrap_client(slow, client_context, HOST, timeout=5)
        assert slow.closed
        assert trio.current_time() - start == pytest.approx(5)
