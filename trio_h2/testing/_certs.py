"""Throw-away certificates for TLS tests. They need the package trustme."""

from __future__ import annotations

import pathlib
import re
import ssl
from typing import TYPE_CHECKING

from ._client_certificate import ClientCertificate

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import trustme

# RFC 9113 §9.2.2: with TLS 1.2 a peer may refuse all suites without ephemeral keys and AEAD.
_TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ThrowawayAuthority:
    """A certificate authority that lives as long as the test, with one server certificate, and any number for clients.

    `tls_server` makes one by itself; make your own to share it between servers.

    Args:
        hosts: Names and addresses the server certificate is valid for.

    Raises:
        RuntimeError: trustme isn't installed.
    """

    def __init__(self, hosts: Iterable[str] = ("localhost", "127.0.0.1", "::1")) -> None:
        self._authority = _new_authority()
        self._server = self._authority.issue_cert(*hosts)

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate, which clients have to trust."""
        return self._authority.cert_pem.bytes()

    def server_context(
        self, alpn: Iterable[str] = ("h2",), *, client_certificates: ssl.VerifyMode = ssl.CERT_NONE
    ) -> ssl.SSLContext:
        """Returns a new context for servers, TLS 1.2 or later.

        Args:
            alpn: The protocols to offer, most wanted first. With none, ALPN isn't used at all.
            client_certificates: Whether clients must show a certificate of this authority (`ssl.CERT_REQUIRED`), may
                (`ssl.CERT_OPTIONAL`), or are not asked for one.

        Raises:
            TypeError: *client_certificates* is not an `ssl.VerifyMode`.
        """
        if not isinstance(client_certificates, ssl.VerifyMode):
            raise TypeError(
                "client_certificates must be ssl.CERT_NONE, ssl.CERT_OPTIONAL or ssl.CERT_REQUIRED,"
                f" not {client_certificates!r}"
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        if client_certificates is not ssl.CERT_NONE:
            self._authority.configure_trust(context)
            context.verify_mode = client_certificates
        return _configured(context, alpn)

    def client_context(self, alpn: Iterable[str] = ("h2",)) -> ssl.SSLContext:
        """Returns a new context for clients that trusts this authority and no other.

        Args:
            alpn: The protocols to offer, most wanted first. With none, ALPN isn't used at all.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return _configured(context, alpn)

    def client_certificate(self, name: str, directory: str | os.PathLike[str]) -> ClientCertificate:
        """Makes a certificate that a client can show, for mutual TLS.

        Args:
            name: Whose it is: the common name of its subject. If it has an ``@``, also its e-mail address.
            directory: Where its files are written: ``NAME.pem`` and ``NAME.key``, with ``_`` for what does not belong
                into the name of a file.
        """
        leaf = self._authority.issue_cert(*([name] if "@" in name else []), common_name=name)
        stem = pathlib.Path(directory) / re.sub(r"[^\w.@-]", "_", name)
        cert_file, key_file = stem.with_name(f"{stem.name}.pem"), stem.with_name(f"{stem.name}.key")
        _write_pair(leaf, cert_file, key_file)
        context = self.client_context()
        leaf.configure_cert(context)
        return ClientCertificate(name=name, ssl_context=context, cert_file=cert_file, key_file=key_file)

    def write_ca(self, path: str | os.PathLike[str]) -> None:
        """Writes the authority's certificate to a PEM file, for `curl --cacert` and the like."""
        pathlib.Path(path).write_bytes(self.ca_pem)

    def write_server(self, cert_path: str | os.PathLike[str], key_path: str | os.PathLike[str]) -> None:
        """Writes the server's certificate chain and its private key to PEM files."""
        _write_pair(self._server, pathlib.Path(cert_path), pathlib.Path(key_path))


def _write_pair(leaf: trustme.LeafCert, cert: pathlib.Path, key: pathlib.Path) -> None:
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.touch(mode=0o600)
    key.write_bytes(leaf.private_key_pem.bytes())


def _new_authority() -> trustme.CA:
    try:
        import trustme
    except ImportError as exc:
        raise RuntimeError("certificates need trustme: pip install 'trio-h2[testing]'") from exc
    return trustme.CA()


def _configured(context: ssl.SSLContext, alpn: Iterable[str]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_CIPHERS)
    protocols = list(alpn)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context
