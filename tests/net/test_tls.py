"""TLS for HTTP/2: what the contexts allow, what the probe finds, and how every handshake ends."""

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
from cryptography.hazmat.primitives import serialization

from trio_h2._errors import HandshakeError, UnknownProtocolError
from trio_h2._net._tls import (
    Negotiated,
    check_server_context,
    client_ssl_context,
    is_blocklisted,
    negotiated,
    server_ssl_context,
    weakness,
    wrap_client,
    wrap_server,
)
from trio_h2._wire._codes import ErrorCode, Initiator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Tls = trio.SSLStream[trio.abc.Stream]

HOST = "example.test"
# TLS 1.2 suites of the block list that need an RSA key; security level 0 lets OpenSSL agree to them.
BLOCKLISTED = ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"]


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture(scope="session")
def leaf(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert(HOST, "127.0.0.1", "::1", key_type=trustme.KeyType.RSA)


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def chain_file(leaf: trustme.LeafCert, tmp_path: Path) -> Path:
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "chain.pem")
    return tmp_path / "chain.pem"


@pytest.fixture
def server_context(chain_file: Path) -> ssl.SSLContext:
    return server_ssl_context(chain_file)


@pytest.fixture
def client_context(ca_file: Path) -> ssl.SSLContext:
    return client_ssl_context(ca_file)


def plain_server_context(leaf: trustme.LeafCert, *alpn: str) -> ssl.SSLContext:
    """What a user might make without this library."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def weaken(context: ssl.SSLContext, cipher: str) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")


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


class TestContexts:
    def test_server(self, chain_file: Path) -> None:
        context = server_ssl_context(chain_file)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.verify_mode == ssl.CERT_NONE
        names = {(cipher["name"], cipher["protocol"]) for cipher in context.get_ciphers()}
        assert [name for name, protocol in names if is_blocklisted(name, protocol)] == []
        # RFC 9113 §9.2.2: deployments "MUST support TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".
        assert "ECDHE-RSA-AES128-GCM-SHA256" in {name for name, _ in names}
        check_server_context(context)

    def test_client(self, ca_file: Path) -> None:
        context = client_ssl_context(ca_file)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        assert not context.post_handshake_auth  # RFC 9113 §9.2.3
        ciphers = context.get_ciphers()
        assert not any(is_blocklisted(cipher["name"], cipher["protocol"]) for cipher in ciphers)
        assert len(context.get_ca_certs()) == 1

    def test_client_that_verifies_nothing(self) -> None:
        context = client_ssl_context(verify=False)
        assert context.verify_mode == ssl.CERT_NONE
        assert not context.check_hostname

    def test_client_with_the_authorities_of_the_system(self) -> None:
        context = client_ssl_context()
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()

    def test_certificate_and_key_in_two_files(self, leaf: trustme.LeafCert, tmp_path: Path) -> None:
        leaf.private_key_pem.write_to_path(tmp_path / "key")
        leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert")
        check_server_context(server_ssl_context(tmp_path / "cert", tmp_path / "key"))
        check_server_context(server_ssl_context(str(tmp_path / "cert"), str(tmp_path / "key")))

    def test_missing_files_are_named(self, chain_file: Path, tmp_path: Path) -> None:
        missing = tmp_path / "missing.pem"
        makers: list[Callable[[], ssl.SSLContext]] = [
            lambda: server_ssl_context(missing),
            lambda: server_ssl_context(chain_file, missing),
            lambda: client_ssl_context(missing),
        ]
        for make in makers:
            with pytest.raises(FileNotFoundError, match=r"missing\.pem"):
                make()

    def test_files_that_are_no_certificates(self, chain_file: Path, tmp_path: Path) -> None:
        text = tmp_path / "text"
        text.write_text("hello")
        with pytest.raises(ValueError, match="text must hold PEM certificates of"):
            client_ssl_context(text)
        with pytest.raises(ValueError, match=r"text must hold a PEM certificate and its private key$"):
            server_ssl_context(text)
        with pytest.raises(ValueError, match=r"chain\.pem and .*text must hold a PEM certificate"):
            server_ssl_context(chain_file, text)

    def test_key_of_another_certificate(self, ca: trustme.CA, chain_file: Path, tmp_path: Path) -> None:
        ca.issue_cert(HOST, key_type=trustme.KeyType.RSA).private_key_pem.write_to_path(tmp_path / "other")
        with pytest.raises(ValueError, match=r"key in .*other does not belong to the certificate in .*chain\.pem"):
            server_ssl_context(chain_file, tmp_path / "other")

    def test_encrypted_key(self, leaf: trustme.LeafCert, tmp_path: Path) -> None:
        key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
        leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert")
        (tmp_path / "key").write_bytes(encrypted)
        files = tmp_path / "cert", tmp_path / "key"
        check_server_context(server_ssl_context(*files, password="open sesame"))
        check_server_context(server_ssl_context(*files, password=b"open sesame"))
        with pytest.raises(ValueError, match="key is encrypted: give its password="):
            server_ssl_context(*files)
        with pytest.raises(ValueError, match="or the password is wrong"):
            server_ssl_context(*files, password="open barley")

    def test_ca_without_verifying_is_a_contradiction(self, ca_file: Path) -> None:
        with pytest.raises(ValueError, match="has no effect with verify=False"):
            client_ssl_context(ca_file, verify=False)


class TestBlocklist:
    def test_agrees_with_what_openssl_knows_about_each_suite(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
        ciphers = [cipher for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
        assert len(ciphers) > 50
        ephemeral = {"kx-ecdhe", "kx-dhe", "kx-ecdhe-psk", "kx-dhe-psk"}
        for cipher in ciphers:
            allowed = cipher["aead"] and cipher["kea"] in ephemeral and cipher["auth"] != "auth-null"
            assert is_blocklisted(cipher["name"], "TLSv1.2") is not allowed, cipher["description"]

    def test_tls_1_3_has_no_bad_suites(self) -> None:
        for name in ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_8_SHA256"):
            assert not is_blocklisted(name, "TLSv1.3")

    @pytest.mark.parametrize("name", [*BLOCKLISTED, "ECDH-RSA-AES128-GCM-SHA256", "ADH-AES128-GCM-SHA256"])
    def test_examples(self, name: str) -> None:
        assert is_blocklisted(name, "TLSv1.2")


class TestProbe:
    def test_right_contexts(self, leaf: trustme.LeafCert) -> None:
        check_server_context(plain_server_context(leaf, "h2"))
        check_server_context(plain_server_context(leaf, "http/1.1", "h2"))

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("verify", [ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
    @pytest.mark.parametrize("alpn", [[], ["http/1.1"]])
    def test_without_alpn(
        self, leaf: trustme.LeafCert, version: ssl.TLSVersion, verify: ssl.VerifyMode, alpn: list[str]
    ) -> None:
        context = plain_server_context(leaf, *alpn)
        context.minimum_version = context.maximum_version = version
        context.verify_mode = verify
        with pytest.raises(ValueError, match=r"call set_alpn_protocols\(\['h2'\]\)"):
            check_server_context(context)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_client_certificate_required(self, leaf: trustme.LeafCert, version: ssl.TLSVersion) -> None:
        context = plain_server_context(leaf, "h2")
        context.minimum_version = context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        check_server_context(context)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_without_a_certificate(self, version: ssl.TLSVersion) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2"])
        context.maximum_version = version
        with pytest.raises(ValueError, match=r"no usable certificate; call load_cert_chain") as caught:
            check_server_context(context)
        assert isinstance(caught.value.__cause__, ssl.SSLError)

    def test_a_curve_that_needs_a_second_client_hello(self, leaf: trustme.LeafCert) -> None:
        context = plain_server_context(leaf, "h2")
        context.set_ecdh_curve("secp521r1")
        check_server_context(context)

    @pytest.mark.parametrize("cipher", BLOCKLISTED)
    def test_only_blocklisted_ciphers(self, leaf: trustme.LeafCert, cipher: str) -> None:
        context = plain_server_context(leaf, "h2")
        weaken(context, cipher)
        with pytest.raises(ValueError, match=r"only ciphers that RFC 9113 §9\.2\.2 prohibits"):
            check_server_context(context)

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
    @pytest.mark.parametrize("ciphers", ["DEFAULT", "ALL:@SECLEVEL=0"])
    def test_only_old_versions(self, leaf: trustme.LeafCert, ciphers: str) -> None:
        context = plain_server_context(leaf, "h2")
        context.set_ciphers(ciphers)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ValueError, match=r"must allow TLS 1\.2 or later"):
            check_server_context(context)

    def test_context_of_a_client(self) -> None:
        with pytest.raises(ValueError, match="for clients only"):
            check_server_context(ssl.create_default_context())

    def test_no_context(self) -> None:
        with pytest.raises(TypeError, match=r"must be an ssl\.SSLContext, not str"):
            check_server_context("cert.pem")  # type: ignore[arg-type]

    def test_sni_callback_is_called_once_without_a_name(self, leaf: trustme.LeafCert) -> None:
        names: list[str | None] = []

        def callback(_stream: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            names.append(name)

        context = plain_server_context(leaf, "h2")
        context.sni_callback = callback
        check_server_context(context)
        assert names == [None]
        assert context.sni_callback is callback
        lacking = plain_server_context(leaf)
        lacking.sni_callback = callback
        with pytest.raises(ValueError, match="set_alpn_protocols"):
            check_server_context(lacking)

    def test_sni_callback_that_supplies_the_certificate(self, leaf: trustme.LeafCert) -> None:
        real = plain_server_context(leaf, "h2")

        def pick(stream: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            stream.context = real

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = pick
        check_server_context(context)

    def test_sni_callback_that_knows_only_some_names(self) -> None:
        def pick(_stream: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name is None else None

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = pick
        check_server_context(context)  # nothing can be said about it, so nothing is said against it

    def test_a_given_context_stays_as_it_was(self, leaf: trustme.LeafCert) -> None:
        context = plain_server_context(leaf, "h2", "http/1.1")

        def state() -> tuple[object, ...]:
            names = [cipher["name"] for cipher in context.get_ciphers()]
            return context.options, context.minimum_version, context.maximum_version, context.verify_mode, names

        before = state()
        check_server_context(context)
        assert state() == before


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
