"""Throw-away certificates make handshakes that succeed, and only with the authority that made them."""

from __future__ import annotations

import ssl
import stat
import sys
from typing import TYPE_CHECKING

import pytest
import trio

from trio_h2.testing import ScriptedPeer, ThrowawayAuthority, memory_transports

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


def _pair(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, host: str = "localhost"
) -> tuple[trio.SSLStream[trio.abc.Stream], trio.SSLStream[trio.abc.Stream]]:
    left, right = memory_transports()
    server: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(left, server_context, server_side=True)
    return server, trio.SSLStream(right, client_context, server_hostname=host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
async def test_a_scripted_connection_over_tls(authority: ThrowawayAuthority, host: str) -> None:
    server_end, client_end = _pair(authority.server_context(), authority.client_context(), host)
    async with ScriptedPeer(client_end, client=True) as client, ScriptedPeer(server_end, client=False) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.handshake)
            nursery.start_soon(server.handshake)
        await client.request()
        await server.expect_headers(1)
        with pytest.raises(TypeError, match="half-closed"):
            await client.send_eof()
        assert client_end.selected_alpn_protocol() == server_end.selected_alpn_protocol() == "h2"


async def test_without_alpn(authority: ThrowawayAuthority) -> None:
    server, client = _pair(authority.server_context(alpn=()), authority.client_context(alpn=()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        nursery.start_soon(client.do_handshake)
    assert client.selected_alpn_protocol() is None


async def test_another_authority_is_not_trusted(authority: ThrowawayAuthority) -> None:
    server, client = _pair(authority.server_context(), ThrowawayAuthority(["a.test"]).client_context())

    async def serve() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await server.do_handshake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await client.do_handshake()
        await trio.aclose_forcefully(client)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_contexts_are_new_and_modern(authority: ThrowawayAuthority) -> None:
    contexts = [authority.server_context(), authority.server_context(), authority.client_context()]
    assert len(set(map(id, contexts))) == 3
    assert {context.minimum_version for context in contexts} == {ssl.TLSVersion.TLSv1_2}
    assert contexts[2].verify_mode is ssl.CERT_REQUIRED


def test_files(authority: ThrowawayAuthority, tmp_path: Path) -> None:
    authority.write_ca(tmp_path / "ca.pem")
    authority.write_server(tmp_path / "cert.pem", str(tmp_path / "key.pem"))
    ssl.create_default_context(cafile=tmp_path / "ca.pem")
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert (tmp_path / "ca.pem").read_bytes() == authority.ca_pem
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_without_trustme_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(RuntimeError, match=r"trio-h2\[testing\]"):
        ThrowawayAuthority()
