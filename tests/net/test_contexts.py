"""Contexts for HTTP/2, and what is found wrong with those of users."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tests.net.tls import BLOCKLISTED, HOST, plain_server_context, weaken
from trio_h2._net._contexts import check_server_context, client_ssl_context, is_blocklisted, server_ssl_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
