"""TLS, renewed certificates and certificates of clients: docs/tls.md, docs/mutual-tls.md."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import mutual_tls_client
import mutual_tls_server
import pytest
import tls_client
import tls_server
import trio
import trustme

import trio_h2
from tests.docs.conftest import Certificates, program
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


async def test_the_client_trusts_the_server(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with program(tls_server.main, certificates, tmp_path, monkeypatch) as port:
        await tls_client.main(f"https://localhost:{port}", str(certificates.ca))
        assert capsys.readouterr().out == "TLSv1.3, h2\n"


async def test_a_certificate_is_renewed_while_the_server_runs(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ThrowawayAuthority()
    other.write_ca(tmp_path / "other-ca.pem")

    async def said(words: str) -> None:
        while words not in capsys.readouterr().out:  # noqa: ASYNC110  # nothing else tells
            await trio.sleep(0.01)

    with trio.fail_after(20):
        async with program(tls_server.main, certificates, tmp_path, monkeypatch) as port:
            url = f"https://localhost:{port}"
            with pytest.raises(trio_h2.HandshakeError):
                await tls_client.main(url, "other-ca.pem")
            other.write_server(tmp_path / "cert.pem", tmp_path / "key.pem")
            os.kill(os.getpid(), signal.SIGHUP)
            await said("renewed\n")
            await tls_client.main(url, "other-ca.pem")
            (tmp_path / "cert.pem").write_bytes(b"")
            os.kill(os.getpid(), signal.SIGHUP)
            await said("the old certificate stays: ")
            await tls_client.main(url, "other-ca.pem")


@pytest.mark.parametrize(("name", "answer"), [("jane", "hello, jane\n"), ("john", "not for you\n")])
async def test_a_server_knows_its_clients(
    name: str,
    answer: str,
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = authority.issue_cert("localhost")
    client = authority.issue_cert("client.example", common_name=name)
    for certificate, file in ((server, "server"), (client, "jane")):
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{file}.pem")
        certificate.private_key_pem.write_to_path(tmp_path / f"{file}.key")
    async with program(mutual_tls_server.main, certificates, tmp_path, monkeypatch) as port:
        await mutual_tls_client.main(f"https://localhost:{port}")
        assert capsys.readouterr().out == answer
        context = trio_h2.client_ssl_context("ca.pem")
        with pytest.raises(trio_h2.SessionError):
            async with (
                trio_h2.connect(f"https://localhost:{port}", ssl_context=context) as session,
                session.request() as stream,
            ):
                await stream.receive_response()


async def test_messages_say_what_is_wrong() -> None:
    """Those that the page explains."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)

    async def said(url: str, context: ssl.SSLContext | None) -> str:
        with pytest.raises(trio_h2.H2Error) as failed:
            async with trio_h2.connect(url, ssl_context=context) as session, session.request() as stream:
                await stream.read()
        return f"{type(failed.value).__name__}: {failed.value}"

    authority = ThrowawayAuthority(["localhost"])
    trusting = authority.client_context()
    async with (
        trio_h2.open_server(handler, ssl_context=authority.server_context()) as server,
        trio_h2.open_server(handler) as cleartext,
    ):
        unknown = await said(server.url, None)
        assert "HandshakeError: the certificate of the server at localhost was not accepted" in unknown
        assert "IP address mismatch" in await said(f"https://127.0.0.1:{server.port}", trusting)
        assert "does not speak TLS" in await said(f"https://localhost:{cleartext.port}", trusting)
        assert "this port speaks TLS: use https" in await said(f"http://localhost:{server.port}", None)
    listeners = await trio.open_ssl_over_tcp_listeners(0, authority.server_context(["http/1.1"]), host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, trio.SSLStream.do_handshake, listeners)
        port = listeners[0].transport_listener.socket.getsockname()[1]  # type: ignore[attr-defined]  # typed as any stream
        unagreed = await said(f"https://localhost:{port}", trusting)
        nursery.cancel_scope.cancel()
    assert "UnknownProtocolError: the server at localhost did not negotiate HTTP/2" in unagreed
