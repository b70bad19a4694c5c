"""The pytest plugin of trio_h2: the blocks of `trio_h2.testing` as fixtures.

pytest loads this module in every run, also in those that have nothing to do with trio_h2. So it stands beside the
package, imports nothing but pytest, and needs neither Trio nor the extra `testing` before a test asks for a fixture.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from trio_h2 import testing
    from trio_h2.testing._open_blocks import OpenBlocks


@pytest.fixture
def _trio_h2_runnable(request: pytest.FixtureRequest) -> None:
    """Says what is missing, where pytest would say something of coroutines."""
    _check_extra()
    if not request.config.pluginmanager.hasplugin("trio"):
        pytest.fail(
            "the fixtures of trio_h2 need pytest-trio, which is missing or off: pip install 'trio-h2[testing]'",
            pytrace=False,
        )
    if request.node.get_closest_marker("trio") is None:
        pytest.fail(
            "the fixtures of trio_h2 are for async tests that pytest-trio runs: mark the test with @pytest.mark.trio,"
            " or set trio_mode = true for all tests; elsewhere use the blocks of trio_h2.testing",
            pytrace=False,
        )


def _check_extra() -> None:
    try:
        import_module("trio_h2.testing")
    except ImportError as exc:
        pytest.fail(
            f"the fixtures of trio_h2 need packages that are missing ({exc}): pip install 'trio-h2[testing]'",
            pytrace=False,
        )


@pytest.fixture
async def _trio_h2_blocks(_trio_h2_runnable: None) -> AsyncIterator[OpenBlocks]:
    """All blocks of a test, so that the last one that was begun ends first."""
    from trio_h2.testing._open_blocks import open_blocks

    async with open_blocks() as blocks:
        yield blocks


@pytest.fixture(scope="session")
def tls_authority() -> testing.ThrowawayAuthority:
    """The certificate authority of all tests of a run: a trio_h2.testing.ThrowawayAuthority."""
    _check_extra()
    from trio_h2 import testing

    return testing.ThrowawayAuthority()


@pytest.fixture
def client_certificate(tls_authority: testing.ThrowawayAuthority, tmp_path: Path) -> testing.ClientCertificateFixture:
    """Makes certificates of clients, for mutual TLS: client_certificate("alice")."""

    def make(name: str) -> testing.ClientCertificate:
        return tls_authority.client_certificate(name, tmp_path)

    return make


@pytest.fixture
def session_pair(_trio_h2_blocks: OpenBlocks) -> testing.SessionPairFixture:
    """A client and a server session, connected in memory: client, server = await session_pair(handler)."""
    from trio_h2.testing import _fixtures, session_pair

    return _fixtures.Starter(session_pair, _trio_h2_blocks)


@pytest.fixture
def faulty_session_pair(_trio_h2_blocks: OpenBlocks) -> testing.FaultySessionPairFixture:
    """The same on a bad transport: client, server, transport = await faulty_session_pair(handler, CuttingStream)."""
    from trio_h2.testing import _fixtures, faulty_session_pair

    return _fixtures.Starter(faulty_session_pair, _trio_h2_blocks)


@pytest.fixture
def plain_server(_trio_h2_blocks: OpenBlocks) -> testing.PlainServerFixture:
    """A cleartext server on localhost: server = await plain_server(handler); server.url, server.connect()."""
    from trio_h2.testing import _fixtures, plain_server

    return _fixtures.Starter(plain_server, _trio_h2_blocks)


@pytest.fixture
def tls_server(_trio_h2_blocks: OpenBlocks, tls_authority: testing.ThrowawayAuthority) -> testing.TlsServerFixture:
    """A TLS server on localhost: server = await tls_server(handler); server.url, .client_ssl_context, .ca_file."""
    from trio_h2.testing import _fixtures, tls_server

    return _fixtures.Starter(partial(tls_server, authority=tls_authority), _trio_h2_blocks)


@pytest.fixture
def scripted_client(_trio_h2_blocks: OpenBlocks) -> testing.ScriptedClientFixture:
    """A client that the test plays frame by frame: peer, session = await scripted_client(handler)."""
    from trio_h2.testing import _fixtures, scripted_client

    return _fixtures.Starter(scripted_client, _trio_h2_blocks)


@pytest.fixture
def scripted_server(_trio_h2_blocks: OpenBlocks) -> testing.ScriptedServerFixture:
    """A server that the test plays frame by frame: session, peer = await scripted_server()."""
    from trio_h2.testing import _fixtures, scripted_server

    return _fixtures.Starter(scripted_server, _trio_h2_blocks)


@pytest.fixture
def reference_client(_trio_h2_blocks: OpenBlocks) -> testing.ReferenceClientFixture:
    """A client that is h2's: client, session = await reference_client(handler)."""
    from trio_h2.testing import _fixtures, reference_client

    return _fixtures.Starter(reference_client, _trio_h2_blocks)


@pytest.fixture
def reference_server(_trio_h2_blocks: OpenBlocks) -> testing.ReferenceServerFixture:
    """A server that is h2's: session, server = await reference_server(handler)."""
    from trio_h2.testing import _fixtures, reference_server

    return _fixtures.Starter(reference_server, _trio_h2_blocks)
