"""A server over TLS that runs beside a test, with all that its clients need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._local_server import LocalServer

if TYPE_CHECKING:
    import pathlib
    import ssl

    import trio_h2

    from ._certs import ThrowawayAuthority
    from ._client_certificate import ClientCertificate


class LocalTlsServer(LocalServer):
    """A running server with a throw-away certificate, and how clients reach it; made by `tls_server`.

    Args:
        server: The server itself.
        authority: What has made its certificate.
        directory: Where files are written.

    Attributes:
        server: As in `LocalServer`.
        authority: What has made its certificate, and makes those of clients.
        client_ssl_context: A context for clients in Python that trusts the authority and no other: HTTP/2 by ALPN.
        ca_file: The authority's certificate on disk, in PEM, for ``curl --cacert`` and the like. It is removed at the
            end of the block.
    """

    def __init__(self, server: trio_h2.Server, authority: ThrowawayAuthority, directory: pathlib.Path) -> None:
        super().__init__(server)
        self.authority = authority
        self.client_ssl_context: ssl.SSLContext = authority.client_context()
        self.ca_file: pathlib.Path = directory / "ca.pem"
        self._directory = directory
        authority.write_ca(self.ca_file)

    @property
    def environment(self) -> dict[str, str]:
        """A copy of `os.environ` for a client that is another program.

        ``SERVER_URL`` is the URL; ``SSL_CERT_FILE`` (OpenSSL, Python, Go), ``CURL_CA_BUNDLE`` (curl, requests) and
        ``NODE_EXTRA_CA_CERTS`` (Node) make it trust the authority.
        """
        trust = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(self.ca_file))
        return {**super().environment, **trust}

    def client_certificate(self, name: str) -> ClientCertificate:
        """Makes a certificate that a client can show, for mutual TLS; its files are removed at the end of the block.

        Args:
            name: Whose it is: the common name of its subject. If it has an ``@``, also its e-mail address.
        """
        return self.authority.client_certificate(name, self._directory)

    def _client_context(self) -> ssl.SSLContext:
        return self.client_ssl_context
