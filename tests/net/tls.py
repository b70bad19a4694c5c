"""What the tests of contexts and of handshakes share: a name, ciphers that HTTP/2 forbids, contexts that users make."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

HOST = "example.test"
# TLS 1.2 suites of the block list that need an RSA key; security level 0 lets OpenSSL agree to them.
BLOCKLISTED = ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"]


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
