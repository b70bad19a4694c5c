"""Throw-away certificates for TLS tests. They need the package trustme."""

from __future__ import annotations

import pathlib
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import trustme

# RFC 9113 §9.2.2: with TLS 1.2 a peer may refuse all suites without ephemeral keys and AEAD.
_TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ThrowawayAuthority:
    """A certificate authority that lives as long as the test, with one server certificate.

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

    def server_context(self, alpn: Iterable[str] = ("h2",)) -> ssl.SSLContext:
        """Returns a new context for servers, TLS 1.2 or later.

        Args:
            alpn: The protocols to offer, most wanted first. With none, ALPN isn't used at all.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        return _configured(context, alpn)

    def client_context(self, alpn: Iterable[str] = ("h2",)) -> ssl.SSLContext:
        """Returns a new context for clients that trusts this authority and no other.

        Args:
            alpn: The protocols to offer, most wanted first. With none, ALPN isn't used at all.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return _configured(context, alpn)

    def write_ca(self, path: str | os.PathLike[str]) -> None:
        """Writes the authority's certificate to a PEM file, for `curl --cacert` and the like."""
        pathlib.Path(path).write_bytes(self.ca_pem)

    def write_server(self, cert_path: str | os.PathLike[str], key_path: str | os.PathLike[str]) -> None:
        """Writes the server's certificate chain and its private key to PEM files."""
        chain = b"".join(blob.bytes() for blob in self._server.cert_chain_pems)
        pathlib.Path(cert_path).write_bytes(chain)
        key = pathlib.Path(key_path)
        key.touch(mode=0o600)
        key.write_bytes(self._server.private_key_pem.bytes())


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
