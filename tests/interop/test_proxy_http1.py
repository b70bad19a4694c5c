"""curl speaks HTTP/1.1 to proxies: it goes through `trio-h2 proxy`, on the port where our client speaks HTTP/2."""

from __future__ import annotations

import re
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.processes import Program, run, running
from tests.tunnel.targets import HERE, reset, target, until
from trio_h2.tunnel import ConnectProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

pytestmark = pytest.mark.parity("L1", "L4")

_SUMMARY = "%{stderr}%{http_connect} %{http_version} %{http_code}\n"


async def hello(stream: trio_h2.ServerStream) -> None:
    """Says hello to what comes."""
    body = b"".join([bytes(chunk) async for chunk in stream])
    await stream.respond(200, body=f"hello {len(body)} {stream.path}\n".encode())


@asynccontextmanager
async def site(tls_files: TlsFiles, *, tls: bool) -> AsyncGenerator[str, None]:
    """Serves `hello` over HTTP/2 and HTTP/1.1; gives the URL."""
    context = trio_h2.server_ssl_context(tls_files.certificate, tls_files.key, allow_http1=True)
    serve = partial(trio_h2.serve_ssl_over_tcp, hello, 0, context) if tls else partial(trio_h2.serve_tcp, hello, 0)
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(partial(serve, host="127.0.0.1", allow_http1=True))
        yield server.urls[0]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def proxy_command(tls_files: TlsFiles, *, tls: bool) -> AsyncGenerator[tuple[Program, str], None]:
    """Runs `trio-h2 proxy`; gives it and its URL."""
    files: list[str | Path] = ["--cert", tls_files.certificate, "--key", tls_files.key] if tls else []
    command = [sys.executable, "-u", "-m", "trio_h2", "proxy", "--host", "127.0.0.1", "--allow", HERE[0], *files]
    async with running(*command) as program:
        yield program, (await program.wait_for(r"^Listening on (\S+)$"))[1]


def curl(peers: PeerFinder, tls_files: TlsFiles, proxy: str, *options: str) -> list[str]:
    """Returns a command; its stderr says what the proxy and what the target answered."""
    certificates = ["--cacert", str(tls_files.ca), "--proxy-cacert", str(tls_files.ca)]
    return [peers.program("curl"), "-q", "-sS", "-m", "30", "-w", _SUMMARY, *certificates, "-x", proxy, *options]


@pytest.mark.parametrize("outer_tls", [False, True], ids=["proxy-cleartext", "proxy-tls"])
@pytest.mark.parametrize("inner_tls", [False, True], ids=["target-cleartext", "target-tls"])
async def test_curl_and_our_client_go_through_one_port(
    peers: PeerFinder, tls_files: TlsFiles, outer_tls: bool, inner_tls: bool
) -> None:
    newer = "--http2" if inner_tls else "--http2-prior-knowledge"
    async with site(tls_files, tls=inner_tls) as url, proxy_command(tls_files, tls=outer_tls) as (program, proxy):
        for option, version in (("--http1.1", "1.1"), (newer, "2")):
            command = curl(peers, tls_files, proxy, "--proxytunnel", option, "--data-binary", "@-")
            done = await run(*command, f"{url}/a", stdin=bytes(300_000))
            assert (done.text, done.errors) == ("hello 300000 /a\n", f"200 {version} 200\n")
        ours = [sys.executable, "-m", "trio_h2", "get", "--ca", str(tls_files.ca), "--proxy", proxy, f"{url}/b"]
        assert (await run(*ours)).text == "hello 0 /b\n"
        done = await run(*curl(peers, tls_files, proxy, "-p"), "http://192.0.2.1:80/", check=False)
        assert done.errors.endswith("\n403 0 000\n")
        done = await run(*curl(peers, tls_files, proxy, "-i"), "http://127.0.0.1:1/", check=False)
        assert done.text.startswith("HTTP/1.1 405 ")
        assert re.search(r"^allow: CONNECT\r$", done.text, re.MULTILINE)
        assert done.text.endswith("this proxy is for CONNECT only\n")
        await until(lambda: program.output.count(" CONNECT ") == 4)
    assert "refused with 403: 192.0.2.1:80 is not allowed" in program.output


async def test_curl_sends_credentials(peers: PeerFinder, tls_files: TlsFiles) -> None:
    guarded = ConnectProxy(HERE, authenticate={"jane": "secret"})
    async with site(tls_files, tls=False) as url, trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_tcp, guarded, 0, host="127.0.0.1", allow_http1=True)
        server: trio_h2.Server = await nursery.start(serve)
        for user, asks, status in (
            ("jane:secret", "basic", 200),
            ("jane:secret", "anyauth", 200),
            ("jane:x", "basic", 407),
        ):
            command = curl(peers, tls_files, server.urls[0], "-p", f"--proxy-{asks}", "-U", user)
            done = await run(*command, f"{url}/", check=False)
            assert done.errors.splitlines()[-1].startswith(f"{status} ")
            assert done.text == ("hello 0 /\n" if status == 200 else "")
        nursery.cancel_scope.cancel()
    assert guarded.statistics().opened == 2


async def test_curl_is_told_of_a_target_that_breaks(peers: PeerFinder, tls_files: TlsFiles) -> None:
    async def rude(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
        await trio.sleep(0.1)  # so that it arrives before the reset, which overtakes
        reset(stream)

    async with target(rude) as place, proxy_command(tls_files, tls=False) as (program, proxy):
        done = await run(*curl(peers, tls_files, proxy, "-p"), f"http://{place.authority}/", check=False)
        assert done.returncode == 56, "without a length, only a reset tells that it is not all"
        await until(lambda: "the target's connection broke" in program.output)


@pytest.mark.parametrize("tls", [False, True], ids=["proxy-cleartext", "proxy-tls"])
async def test_curl_is_told_that_the_target_has_ended(peers: PeerFinder, tls_files: TlsFiles, tls: bool) -> None:
    """An answer without a length is over when its connection is."""

    async def closes(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await stream.send_eof()
        while await stream.receive_some():
            pass

    async with target(closes) as place, proxy_command(tls_files, tls=tls) as (_, proxy):
        done = await run(*curl(peers, tls_files, proxy, "-p"), f"http://{place.authority}/")
        assert done.text == "all of it"
