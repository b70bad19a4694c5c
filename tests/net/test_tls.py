"""TLS handshakes for HTTP/2: what must come out of them, and how each of the others ends."""

from __future__ import annotations

import dataclasses
import math
import ssl
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.net.tls import BLOCKLISTED, HOST, plain_server_context, shake_hands, transports, weaken
from trio_h2._errors import HandshakeError, UnknownProtocolError
from trio_h2._net._tls import Negotiated, negotiated, weakness, wrap_client, wrap_server
from trio_h2._wire._codes import ErrorCode, Initiator

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    Tls = trio.SSLStream[trio.abc.Stream]


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
