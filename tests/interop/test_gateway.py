"""Foreign clients and foreign servers with a gateway between them that is made with `relay`: nothing is lost."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import sys
import threading
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.app import HELLO, App
from tests.interop.bodies import MIB, body, sha256
from tests.interop.browser import open_page
from tests.interop.nginx import nginx_command
from tests.interop.processes import free_port, run, running
from tests.interop.test_chromium import ASSETS, write_site
from tests.interop.test_grpc import serve_grpcio
from tests.interop.test_h2load import check_report
from tests.interop.test_websocket import HEARD, PAGE, SAID, TALK, Site
from trio_h2 import Client, ServerConfig, Timeouts, Upstream, relay
from trio_h2.files import DirectoryHandler
from trio_h2.websocket import Deflate, WebSocketHandler

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from types import ModuleType

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

ROOT = Path(__file__).parents[2]
NODE = Path(__file__).parent / "node"
SMALL = ServerConfig(max_connections=200, enable_connect_protocol=True)


@asynccontextmanager
async def gateway(
    url: str, tls_files: TlsFiles, *, up2: bool = False, tls: bool = True, timeouts: Timeouts | None = None
) -> AsyncGenerator[tuple[trio_h2.Server, Client], None]:
    """A gateway in front of *url*, and the client in it; *up2*: whether cleartext to the server is HTTP/2."""
    context = trio_h2.client_ssl_context(tls_files.ca, allow_http1=True)
    async with Client(prior_knowledge=up2, ssl_context=context, max_http1_per_origin=50, timeouts=timeouts) as client:
        up = Upstream(client, url)

        async def handle(stream: trio_h2.ServerStream) -> None:
            await relay(stream, up)

        files = (tls_files.certificate, tls_files.key)
        server_context = trio_h2.server_ssl_context(*files, allow_http1=True) if tls else None
        block = trio_h2.open_server(
            handle, host="127.0.0.1", ssl_context=server_context, allow_http1=True, config=SMALL, grace=1
        )
        async with block as server:
            yield server, client


@asynccontextmanager
async def app(tls_files: TlsFiles, *, tls: bool) -> AsyncGenerator[str, None]:
    """A server of ours with the application of these tests; yields its URL."""
    context = trio_h2.server_ssl_context(tls_files.certificate, tls_files.key, allow_http1=True) if tls else None
    block = trio_h2.open_server(App().handle, host="127.0.0.1", ssl_context=context, allow_http1=True, grace=1)
    async with block as server:
        yield server.url


# -- curl, nghttp, h2load ----------------------------------------------------------------------------------------------

_VERSIONS = pytest.mark.parametrize("down", ["--http1.1", "--http2"])
_UP = pytest.mark.parametrize("up", ["http1", "h2c", "tls"])


@_VERSIONS
@_UP
async def test_curl(down: str, up: str, peers: PeerFinder, tls_files: TlsFiles) -> None:
    curl = [peers.program("curl"), "-q", "-sS", "--max-time", "60", down, "--cacert", str(tls_files.ca)]
    async with (
        app(tls_files, tls=up == "tls") as url,
        gateway(url, tls_files, up2=up == "h2c") as (server, client),
    ):
        for options, expected in [
            (["/hello"], HELLO),
            (["/echo", "--data-binary", "@-"], body(2 * MIB)),
            (["/echo", "-H", "expect: 100-continue", "--data-binary", "@-"], body(MIB)),
            ([f"/bytes/{5 * MIB}"], body(5 * MIB)),
            (["/early", "--data-binary", "@-"], b"too much\n"),
        ]:
            sent = expected if "@-" in options else b""
            done = await run(*curl, *options[1:], server.url + options[0], stdin=sent or body(200_000))
            assert done.stdout == expected, options
        done = await run(*curl, "-i", f"{server.url}/hints")
        assert done.stdout.count(b" 103") == 2
        done = await run(*curl, "--head", f"{server.url}/hello")
        assert f"content-length: {len(HELLO)}" in done.text.lower()
        told = json.loads((await run(*curl, "-T", "-", f"{server.url}/sum", stdin=body(300_000))).stdout)
        assert (told["length"], told["sha256"]) == (300_000, sha256(300_000))
        with trio.fail_after(5):
            while client.statistics().requests:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)


@_UP
async def test_h2load(up: str, peers: PeerFinder, tls_files: TlsFiles) -> None:
    h2load = peers.program("h2load")
    async with (
        app(tls_files, tls=up == "tls") as url,
        gateway(url, tls_files, up2=up == "h2c") as (server, _),
    ):
        done = await run(h2load, "-n", "1500", "-c", "5", "-m", "10", f"{server.url}/hello")
        assert check_report(done.text, 1500) == 1500 * len(HELLO)


async def test_nghttp_sees_trailers(peers: PeerFinder, tls_files: TlsFiles) -> None:
    nghttp = peers.program("nghttp")
    async with app(tls_files, tls=True) as url, gateway(url, tls_files) as (server, _):
        done = await run(nghttp, "-v", "--no-verify-peer", "-H", "te: trailers", f"{server.url}/bytes/100000")
        assert f"x-sha256: {sha256(100_000)}" in done.text


# -- gRPC --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grpc(peers: PeerFinder) -> ModuleType:
    try:
        return importlib.import_module("grpc")
    except ImportError:
        peers.missing("the library grpcio is not installed")
        raise


async def test_grpcio_to_grpcio(grpc: ModuleType, tls_files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    def calls(port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert channel.unary_unary("/demo.Demo/Hello")(b"Jane") == b"hello, Jane"
            assert list(channel.unary_stream("/demo.Demo/Split")(b"one two three")) == [b"one", b"two", b"three"]
            assert channel.stream_unary("/demo.Demo/Count")(iter([b"x"] * 1000)) == b"1000"
            large = bytes(3_000_000)
            assert channel.unary_unary("/demo.Demo/Hello", None, None)(large) == b"hello, " + large
            answered = threading.Semaphore(1)

            def requests() -> Iterator[bytes]:
                for letter in (b"a", b"b", b"c"):
                    assert answered.acquire(timeout=10)
                    yield letter

            got = []
            for answer in channel.stream_stream("/demo.Demo/Shout")(requests()):
                got.append(answer)
                answered.release()
            assert got == [b"A", b"B", b"C"]
            for method, timeout, code in [
                ("Nothing", None, "UNIMPLEMENTED"),
                ("Fail", None, "INVALID_ARGUMENT"),
                ("Sleep", 0.3, "DEADLINE_EXCEEDED"),
            ]:
                with pytest.raises(grpc.RpcError) as failed:
                    channel.unary_unary(f"/demo.Demo/{method}")(b"", timeout=timeout)
                assert failed.value.code().name == code
            call = channel.unary_unary("/demo.Demo/Sleep").future(b"")
            timer = threading.Timer(0.3, call.cancel)
            timer.start()
            with pytest.raises(grpc.FutureCancelledError):
                call.result()
            timer.join()
            assert channel.unary_unary("/demo.Demo/Hello")(b"again") == b"hello, again"

    with serve_grpcio(grpc) as url:
        async with gateway(url, tls_files, up2=True, tls=False) as (server, client):
            await trio.to_thread.run_sync(calls, server.port)
            with trio.fail_after(5):
                while client.statistics().requests:  # noqa: ASYNC110 - nothing tells of it
                    await trio.sleep(0.01)
    caplog.clear()


# -- browsers ----------------------------------------------------------------------------------------------------------


async def test_chromium_loads_a_page_with_fifty_assets(peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path) -> None:
    """The server behind speaks HTTP/1.1."""
    chromium = peers.program("chromium")
    folder = tmp_path / "site"
    folder.mkdir()
    sizes = write_site(folder)
    async with (
        trio_h2.open_server(DirectoryHandler(folder), host="127.0.0.1", allow_http1=True, grace=1) as files,
        gateway(files.url, tls_files) as (server, _),
    ):
        done = await open_page(chromium, f"{server.url}/", tmp_path / "profile", "--ignore-certificate-errors")
        found = re.search(r'<pre id="result">(.*?)</pre>', done.text, re.DOTALL)
        assert found is not None, done.errors
        result = json.loads(unescape(found[1]))
    seen = {path: (protocol, status, size) for path, protocol, status, size in result["seen"]}
    assert seen.pop("/")[:2] == ("h2", 200)
    assert seen == {path: ("h2", 200, size) for path, size in sizes.items()}
    assert (result["images"], result["ran"], result["colour"]) == (ASSETS - 20, 10, "rgb(9, 9, 9)")


@pytest.mark.parametrize("up2", [False, True], ids=["http1", "h2c"])
async def test_chromium_speaks_websocket_over_http2(
    up2: bool, peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path
) -> None:
    chromium = peers.program("chromium")
    ours = Site()
    ours.page = PAGE.replace("WHERE", "here").replace("TALK", TALK).encode()
    handler = WebSocketHandler(
        ours.chat,
        fallback=ours.pages,
        subprotocols=["echo"],
        check_origin=lambda origin: origin.startswith("https://127.0.0.1:"),
        compression=Deflate(),
    )
    config = ServerConfig(enable_connect_protocol=True)
    met: list[str] = []

    async def behind(stream: trio_h2.ServerStream) -> None:
        met.append(stream.headers.get("forwarded", ""))
        await handler(stream)

    async with (
        trio_h2.open_server(behind, host="127.0.0.1", allow_http1=True, config=config, grace=1) as site,
        gateway(site.url, tls_files, up2=up2) as (server, _),
        running(
            chromium,
            "--headless",
            "--no-sandbox",  # root has none
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--ignore-certificate-errors",
            "--remote-debugging-port=0",  # else it would not wait for what the page does
            f"--user-data-dir={tmp_path}/profile",
            f"{server.url}/",
        ),
    ):
        await ours.done.wait()
        assert ours.kinds == [("2.0", "CONNECT", "websocket") if up2 else ("1.1", "GET", None)]
        assert ours.said == SAID
        opened, *heard = ours.result
        assert isinstance(opened, list)
        assert opened[1] == "echo"
        assert "permessage-deflate" in opened[2]
        assert heard == HEARD
        assert all(one.startswith("for=127.0.0.1;proto=https;host=") for one in met)


# -- Node --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("up", ["h2c", "tls"])
async def test_node_on_both_sides(up: str, peers: PeerFinder, tls_files: TlsFiles) -> None:
    """Node's server behind the gateway, its WebSocket client and curl in front."""
    node = peers.program("node")
    files = [tls_files.certificate, tls_files.key] if up == "tls" else []
    async with running(node, NODE / "server.js", *files) as program:
        port = (await program.wait_for(r"^listening (\d+)$"))[1]
        url = f"{'https' if up == 'tls' else 'http'}://127.0.0.1:{port}"
        async with gateway(url, tls_files, up2=up == "h2c") as (server, _):
            context = trio_h2.client_ssl_context(tls_files.ca)
            async with Client(ssl_context=context) as client:
                for _ in range(3):
                    async with client.exchange("POST", f"{server.url}/echo", headers={"te": "trailers"}) as exchange:
                        async with trio.open_nursery() as nursery:
                            nursery.start_soon(exchange.send_all, body(MIB))
                            received = 0
                            while received < MIB:
                                received += len(await exchange.receive_some())
                        await exchange.send_trailers({"x-sum": "7"})
                        assert await exchange.receive_some() == b""
                        assert exchange.trailers is not None
                        assert exchange.trailers["x-echo"] == "7"
                assert (await client.get(f"{server.url}/hello")).content == b"from node\n"


async def test_websocket_of_node(peers: PeerFinder, tls_files: TlsFiles) -> None:
    """Over HTTP/1.1 on both sides."""
    node = peers.program("node")
    ours = Site()
    handler = WebSocketHandler(ours.chat, subprotocols=["echo"], compression=Deflate())
    async with (
        trio_h2.open_server(handler, host="127.0.0.1", allow_http1=True, grace=1, config=SMALL) as site,
        gateway(site.url, tls_files) as (server, _),
    ):
        script = f'const TARGET = "wss://127.0.0.1:{server.port}/chat";\n'
        script += "const done = (words) => { console.log(JSON.stringify(words)); process.exit(0) };\n" + TALK
        command = [node, "--experimental-websocket", "--no-warnings", "-e", script]
        async with running(*command, env={"NODE_EXTRA_CA_CERTS": str(tls_files.ca)}) as program:
            assert await program.wait_ended() == 0, program.output
        opened, *heard = json.loads(program.output)
        assert opened[:2] == ["open", "echo"]
        assert heard == HEARD
        assert ours.kinds == [("1.1", "GET", None)]


# -- nginx behind, and servers in trouble ------------------------------------------------------------------------------

_HTTP = """
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/files;
        keepalive_requests 10;
    }}
"""


@pytest.mark.parametrize("up", ["http1", "tls"])
async def test_nginx_that_leaves_after_ten_requests(
    up: str, peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path
) -> None:
    """It says GOAWAY, or ``connection: close``, all the time; no request is lost to that, be it a POST."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "small").write_bytes(b"from nginx\n")
    port, tls_port = free_port(), free_port()
    names = {"certificate": tls_files.certificate, "key": tls_files.key, "folder": tmp_path}
    http = _HTTP.format(port=port, tls_port=tls_port, **names)
    async with running(*nginx_command(peers, tmp_path, http)) as program:
        await program.wait_for_port(port)
        url = f"http://127.0.0.1:{port}" if up == "http1" else f"https://127.0.0.1:{tls_port}"
        async with gateway(url, tls_files) as (server, inner):
            context = trio_h2.client_ssl_context(tls_files.ca)
            async with Client(ssl_context=context) as client:
                statuses: list[int] = []

                async def ask() -> None:
                    for _ in range(20):
                        response = await client.get(f"{server.url}/small")
                        assert response.content == b"from nginx\n"
                        # nginx answers a POST for a file with 405: the body does not matter to it.
                        statuses.append((await client.fetch("POST", f"{server.url}/small", body=b"x" * 100)).status)

                async with trio.open_nursery() as nursery:
                    for _ in range(10):
                        nursery.start_soon(ask)
        assert statuses == [405] * 200
        assert inner.statistics().opened >= 40


async def test_servers_that_are_stopped_and_killed(
    peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(bytes(MIB))
    command = (sys.executable, "-m", "trio_h2", "serve", str(tmp_path), "--allow-http1", "--port", "0")
    async with running(*command, cwd=ROOT) as program:
        url = (await program.wait_for(r"^Listening on (\S+)$"))[1].rstrip("/")
        timeouts = Timeouts(response=0.5, connect=0.5)
        async with gateway(url, tls_files, timeouts=timeouts) as (server, inner):
            context = trio_h2.client_ssl_context(tls_files.ca)
            async with Client(ssl_context=context) as client:
                asked = f"{server.url}/file"
                assert (await client.get(asked)).status == 200
                os.kill(program.pid, signal.SIGSTOP)
                assert (await client.get(asked)).status == 504
                os.kill(program.pid, signal.SIGCONT)
                assert (await client.get(asked)).status == 200
                os.kill(program.pid, signal.SIGKILL)
                await program.wait_ended()
                assert (await client.get(asked)).status == 502
                assert inner.statistics().requests == 0
    assert "answered with 504" in caplog.text
    caplog.clear()


async def test_a_server_that_is_not_trusted(tls_files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    async with app(tls_files, tls=True) as url, Client() as inner:
        up = Upstream(inner, url)

        async def handle(stream: trio_h2.ServerStream) -> None:
            await relay(stream, up)

        async with trio_h2.open_server(handle, grace=0) as server, Client(http1=False) as client:
            assert (await client.get(f"{server.url}/hello")).status == 502
    assert "certificate" in caplog.text
    caplog.clear()


# -- much, and slow ----------------------------------------------------------------------------------------------------

_PROGRAM = """
import sys, trio, trio_h2
async def main():
    async with trio_h2.Client(
        prior_knowledge=sys.argv[2] == "h2c", max_http1_per_origin=200, max_sessions=200
    ) as client:
        up = trio_h2.Upstream(client, sys.argv[1])
        async def handle(stream):
            await trio_h2.relay(stream, up)
        async with trio_h2.open_server(handle, host="127.0.0.1", allow_http1=True) as server:
            print("listening", server.url, flush=True)
            await trio.sleep_forever()
trio.run(main)
"""


def _rss(pid: int) -> int:
    """Returns how much memory a process has, in bytes."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("up", ["http1", "h2c"])
@pytest.mark.timeout(180)
async def test_memory_stays_flat(up: str, tls_files: TlsFiles) -> None:
    """200 MiB each way, and 90 clients that ask for that much and do not read it."""
    async with (
        app(tls_files, tls=False) as url,
        running(sys.executable, "-c", _PROGRAM, url, up, cwd=ROOT) as program,
        Client(http1=False) as client,
    ):
        front = (await program.wait_for(r"^listening (\S+)$"))[1]
        assert (await client.fetch("POST", f"{front}/echo", body=body(MIB), max_size=2 * MIB)).status == 200
        before = _rss(program.pid)
        received = 0
        async with client.request("GET", f"{front}/bytes/{200 * MIB}") as response:
            while piece := await response.receive_some():
                received += len(piece)
        assert received == 200 * MIB

        async def pieces() -> AsyncGenerator[bytes, None]:
            for _ in range(200):
                yield bytes(MIB)

        response = await client.fetch("POST", f"{front}/sum", body=pieces())
        assert json.loads(response.content)["length"] == 200 * MIB
        assert _rss(program.pid) - before < 30 * MIB
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(90):
                block = client.request("GET", f"{front}/bytes/{200 * MIB}")
                assert (await stack.enter_async_context(block)).status == 200
            await trio.sleep(1)
            grown = _rss(program.pid) - before
            assert (await client.get(f"{front}/hello")).content == HELLO
        assert grown < 120 * MIB
