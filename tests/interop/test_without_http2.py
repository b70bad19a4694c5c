"""Our client and server against peers that speak no HTTP/2: a clear error, and nothing hangs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.conftest import our_server
from tests.interop.processes import free_port, run, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import OurServer, TlsFiles
    from tests.interop.processes import PeerFinder

SCRIPT = Path(__file__).parent / "node" / "plain.js"


@pytest.fixture
async def https_port(peers: PeerFinder, tls_files: TlsFiles) -> AsyncGenerator[int, None]:
    """Node's HTTPS server, whose ALPN knows http/1.1 only."""
    async with running(peers.program("node"), SCRIPT, "https", tls_files.certificate, tls_files.key) as program:
        yield int((await program.wait_for(r"^listening (\d+)$"))[1])


@pytest.fixture
async def http_port(peers: PeerFinder) -> AsyncGenerator[int, None]:
    """Node's HTTP server."""
    async with running(peers.program("node"), SCRIPT, "http") as program:
        yield int((await program.wait_for(r"^listening (\d+)$"))[1])


@pytest.fixture(params=["without ALPN", "with http/1.1"])
async def openssl_port(
    request: pytest.FixtureRequest, peers: PeerFinder, tls_files: TlsFiles
) -> AsyncGenerator[int, None]:
    """The TLS server of OpenSSL, which knows no ALPN or another one."""
    port = free_port()
    alpn = ["-alpn", "http/1.1"] if request.param == "with http/1.1" else []
    files = ["-cert", str(tls_files.certificate), "-key", str(tls_files.key)]
    command = [peers.program("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", *files, *alpn]
    async with running(*command) as program:
        await program.wait_for("^ACCEPT$")
        yield port


async def failure(url: str, tls_files: TlsFiles) -> trio_h2.H2Error:
    """Returns what a request raises."""
    context = trio_h2.client_ssl_context(tls_files.ca) if url.startswith("https:") else None
    with pytest.raises(trio_h2.H2Error) as caught, trio.fail_after(5):
        async with trio_h2.connect(url, ssl_context=context) as session, session.request("GET", "/") as stream:
            await stream.receive_response()
    return caught.value


async def test_https_server_without_http2(https_port: int, tls_files: TlsFiles) -> None:
    error = await failure(f"https://127.0.0.1:{https_port}", tls_files)
    assert isinstance(error, trio_h2.UnknownProtocolError)
    assert str(error).startswith("the server at 127.0.0.1 did not negotiate HTTP/2")


async def test_openssl_without_http2(openssl_port: int, tls_files: TlsFiles) -> None:
    error = await failure(f"https://127.0.0.1:{openssl_port}", tls_files)
    assert isinstance(error, trio_h2.UnknownProtocolError)
    assert str(error).startswith("the server at 127.0.0.1 did not negotiate HTTP/2")


async def test_http_server_without_http2(http_port: int, tls_files: TlsFiles) -> None:
    error = await failure(f"http://127.0.0.1:{http_port}", tls_files)
    assert isinstance(error, trio_h2.HandshakeError)
    assert "the server answered with HTTP/1, it does not speak HTTP/2" in str(error)


async def test_http_server_taken_for_tls(http_port: int, tls_files: TlsFiles) -> None:
    error = await failure(f"https://127.0.0.1:{http_port}", tls_files)
    assert isinstance(error, trio_h2.HandshakeError)


async def test_tls_server_taken_for_cleartext(https_port: int, tls_files: TlsFiles) -> None:
    error = await failure(f"http://127.0.0.1:{https_port}", tls_files)
    assert isinstance(error, (trio_h2.HandshakeError, trio_h2.RemoteProtocolError))


@pytest.mark.parametrize("openssl_port", ["without ALPN"], indirect=True)
async def test_certificate_of_an_unknown_authority(openssl_port: int) -> None:
    with pytest.raises(trio_h2.HandshakeError, match=r"certificate of the server at 127\.0\.0\.1 was not accepted"):
        async with trio_h2.connect(f"https://127.0.0.1:{openssl_port}"):
            pass


@pytest.fixture(params=["h2c", "tls"])
async def shunned(request: pytest.FixtureRequest, tls_files: TlsFiles) -> AsyncGenerator[OurServer, None]:
    """A server of ours to which nobody will speak HTTP/2."""
    async with our_server(tls_files, tls=request.param == "tls") as server:
        yield server


async def test_http1_client_is_told_off(shunned: OurServer, peers: PeerFinder) -> None:
    """curl with HTTP/1.1 does not hang, and the next client is served."""
    curl = peers.program("curl")
    options = ["-q", "-sS", "--max-time", "20", "--cacert", str(shunned.ca)]
    done = await run(curl, *options, "--http1.1", f"{shunned.url}/hello", check=False)
    assert done.returncode not in (0, 28)
    with trio.fail_after(5):
        while not shunned.errors:
            await trio.lowlevel.checkpoint()
    assert isinstance(shunned.errors[0], trio_h2.UnknownProtocolError if shunned.tls else trio_h2.SessionError)
    version = "--http2" if shunned.tls else "--http2-prior-knowledge"
    assert (await run(curl, *options, version, f"{shunned.url}/hello")).stdout == b"hello, world\n"
