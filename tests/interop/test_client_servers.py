"""Our HTTP client against foreign servers: Node, nghttpd and hypercorn."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import body
from tests.interop.processes import free_port, running
from trio_h2 import Client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

    Running = Callable[[PeerFinder, Path, TlsFiles], AbstractAsyncContextManager[str]]

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def node(peers: PeerFinder, _folder: Path, files: TlsFiles) -> AsyncGenerator[str, None]:
    script = ROOT / "tests" / "interop" / "node" / "server.js"
    async with running(peers.program("node"), script, files.certificate, files.key) as program:
        port = (await program.wait_for(r"^listening (\d+)$"))[1]
        yield f"https://127.0.0.1:{port}"


@asynccontextmanager
async def nghttpd(peers: PeerFinder, folder: Path, files: TlsFiles) -> AsyncGenerator[str, None]:
    (folder / "hello").write_bytes(b"from nghttpd\n")
    port = free_port()
    options = ["--address=127.0.0.1", f"--htdocs={folder}", "--max-concurrent-streams=10", "--echo-upload"]
    options += ["--trailer=x-end: yes", str(port)]
    async with running(peers.program("nghttpd"), *options, files.key, files.certificate) as program:
        await program.wait_for_port(port)
        yield f"https://127.0.0.1:{port}"


@asynccontextmanager
async def hypercorn(peers: PeerFinder, _folder: Path, files: TlsFiles) -> AsyncGenerator[str, None]:
    if importlib.util.find_spec("hypercorn") is None:
        peers.missing("the library hypercorn is not installed")
    command = [
        *(sys.executable, "-m", "hypercorn", "--bind", "127.0.0.1:0", "--worker-class", "trio"),
        *("--certfile", str(files.certificate), "--keyfile", str(files.key), "tests.interop.asgi_app:app"),
    ]
    async with running(*command, cwd=ROOT) as program:
        port = (await program.wait_for(r"Running on https://127\.0\.0\.1:(\d+)"))[1]
        yield f"https://127.0.0.1:{port}"


def client_of(files: TlsFiles, *, http2: bool = True) -> Client:
    context = trio_h2.client_ssl_context(files.ca, allow_http1=True)
    if not http2:
        context.set_alpn_protocols(["http/1.1"])
    return Client(ssl_context=context, http2=http2)


async def ask(client: Client, url: str, requests: int, at_once: int) -> set[tuple[int, str, str]]:
    """Sends so many requests; returns what the different answers are."""
    answers: list[tuple[int, str, str]] = []
    left = requests

    async def worker() -> None:
        nonlocal left
        while left:
            left -= 1
            response = await client.get(url)
            answers.append((response.status, response.http_version, response.text))

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(worker)
    assert len(answers) == requests
    return set(answers)


@pytest.mark.parametrize("start", [node, nghttpd, hypercorn])
async def test_many_requests_share_a_session(
    start: Running, peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles
) -> None:
    async with start(peers, tmp_path, tls_files) as url, client_of(tls_files) as client:
        assert await ask(client, f"{url}/hello", 300, 100) == {(200, "2", f"from {start.__name__}\n")}
        assert client.statistics().opened == 1


async def test_node_leaves_again_and_again(peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    """Each of its GOAWAYs ends a session, while requests are under way; none is lost."""
    async with node(peers, tmp_path, tls_files) as url, client_of(tls_files) as client:

        async def leave() -> None:
            for _ in range(3):
                assert (await client.get(f"{url}/close")).text == "from node\n"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave)
            assert await ask(client, f"{url}/hello", 300, 100) == {(200, "2", "from node\n")}
        assert await ask(client, f"{url}/hello", 50, 25) == {(200, "2", "from node\n")}
        assert client.statistics().opened > 1


async def test_hypercorn_speaks_http1(peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    async with hypercorn(peers, tmp_path, tls_files) as url, client_of(tls_files, http2=False) as client:
        assert await ask(client, f"{url}/hello", 50, 10) == {(200, "1.1", "from hypercorn\n")}
        sent = body(300_000)
        assert (await client.post(f"{url}/echo", body=sent)).content == sent


@pytest.mark.parametrize("start", [nghttpd, hypercorn])
async def test_an_upload_is_echoed(start: Running, peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    sent = body(300_000)
    async with start(peers, tmp_path, tls_files) as url, client_of(tls_files) as client:
        response = await client.post(f"{url}/echo", body=sent)
        assert (response.status, response.content) == (200, sent)


async def test_node_answers_before_the_upload_has_ended(peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    async with node(peers, tmp_path, tls_files) as url, client_of(tls_files) as client:
        response = await client.post(f"{url}/early", body=bytes(1_000_000))
        assert (response.status, response.text) == (413, "too much\n")
        assert (await client.get(f"{url}/hello")).text == "from node\n"
        assert client.statistics().opened == 1


async def test_nghttpd_sends_trailers(peers: PeerFinder, tmp_path: Path, tls_files: TlsFiles) -> None:
    async with (
        nghttpd(peers, tmp_path, tls_files) as url,
        client_of(tls_files) as client,
        client.request("GET", f"{url}/hello") as response,
    ):
        assert await response.read() == b"from nghttpd\n"
        trailers = response.trailers
        assert trailers is not None
        assert dict(trailers) == {"x-end": "yes"}
