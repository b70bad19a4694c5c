"""A certificate authority, a certificate, and contexts with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from tests.net.tls import HOST
from trio_h2 import client_ssl_context, server_ssl_context

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


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
