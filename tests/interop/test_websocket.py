"""WebSockets with foreign peers: chromium and Node against our server, our client against hypercorn."""

from __future__ import annotations

import importlib.util
import json
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.fetching import checked_session
from tests.interop.processes import running
from trio_h2.websocket import Deflate, WebSocketBrokenError, WebSocketHandler, WebSocketRefusedError, open_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder
    from trio_h2.websocket import WebSocket

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.parity("L3")

TALK = """
const words = [];
const report = (what) => words.push(what);
const ws = new WebSocket(TARGET, ["other", "echo"]);
ws.binaryType = "arraybuffer";
ws.onopen = () => {
  report(["open", ws.protocol, ws.extensions]);
  ws.send("Grüße €");
  ws.send(new Uint8Array([0, 1, 255]));
  ws.send("x".repeat(300000));
  ws.send("close me");
};
ws.onmessage = (event) => report(
  typeof event.data !== "string" ? [...new Uint8Array(event.data)] :
  event.data.length > 1000 ? event.data.length : event.data);
ws.onerror = () => report("error");
ws.onclose = (event) => done([...words, ["close", event.code, event.reason, event.wasClean]]);
"""
PAGE = """<!doctype html><link rel="icon" href="data:,"><script>
const TARGET = new Map([["here", "wss://" + location.host + "/chat"], ["there", "wss://127.0.0.1:OTHER/chat"]]).get("WHERE");
const done = (words) => fetch("/result", { method: "POST", body: JSON.stringify(words) });
TALK
</script>"""
SAID = ["Grüße €", b"\x00\x01\xff", "x" * 300_000, "close me"]
HEARD = ["Grüße €", [0, 1, 255], 300_000, ["close", 4000, "as you wish", True]]


class Site:
    """A server of ours with a page, and a WebSocket that echoes until it is told to close."""

    def __init__(self) -> None:
        self.server: trio_h2.Server
        self.page = b""
        self.kinds: list[tuple[str, str, str | None]] = []
        """HTTP version, method and `:protocol` of each WebSocket."""
        self.said: list[str | bytes] = []
        self.result: list[object] = []
        self.done = trio.Event()
        self.pinged = trio.Event()

    async def chat(self, ws: WebSocket) -> None:
        """Echoes."""
        stream = ws.stream
        assert isinstance(stream, trio_h2.ServerStream)
        self.kinds.append((stream.http_version, stream.method, stream.protocol))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping, ws)  # whose answer comes behind what the peer says before it
            async for message in ws:
                self.said.append(message)
                if message == "close me":
                    await self.pinged.wait()
                    await ws.aclose(4000, "as you wish")
                    return
                await ws.send_message(message)

    async def _ping(self, ws: WebSocket) -> None:
        await ws.ping()
        self.pinged.set()

    async def pages(self, stream: trio_h2.ServerStream) -> None:
        """Serves the page, and takes what it has found out."""
        if stream.path == "/result":
            body = b"".join([chunk async for chunk in stream])
            await stream.respond(body=b"thank you")
            self.result = json.loads(body)
            self.done.set()
        else:
            await stream.respond({"content-type": "text/html; charset=utf-8"}, body=self.page)

    @property
    def port(self) -> int:
        """Its port."""
        return self.server.port


@asynccontextmanager
async def site(tls_files: TlsFiles, *, compression: Deflate | None = None) -> AsyncGenerator[Site, None]:
    """Runs it."""
    ours = Site()
    handler = WebSocketHandler(
        ours.chat,
        fallback=ours.pages,
        subprotocols=["echo"],
        check_origin=lambda origin: origin.startswith("https://127.0.0.1:"),
        compression=compression,
    )
    serve = partial(
        trio_h2.serve_ssl_over_tcp,
        handler,
        0,
        trio_h2.server_ssl_context(tls_files.certificate, tls_files.key, allow_http1=True),
        host="127.0.0.1",
        config=trio_h2.ServerConfig(enable_connect_protocol=True),
        allow_http1=True,
    )
    async with trio.open_nursery() as nursery:
        ours.server = await nursery.start(serve)
        yield ours
        await ours.server.aclose(grace=5)


@pytest.mark.parametrize("compression", [None, Deflate()])
async def test_chromium_over_http2(
    peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path, compression: Deflate | None
) -> None:
    """The page came over HTTP/2, so the WebSocket is a stream of the same session (RFC 8441)."""
    await _browse(peers, tls_files, tmp_path, where="here", compression=compression)


async def test_chromium_over_http1(peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path) -> None:
    """On a port to which it has no session, it asks for an upgrade, and meets the same handler."""
    await _browse(peers, tls_files, tmp_path, where="there", compression=Deflate())


async def _browse(
    peers: PeerFinder, tls_files: TlsFiles, tmp_path: Path, *, where: str, compression: Deflate | None
) -> None:
    chromium = peers.program("chromium")
    async with site(tls_files, compression=compression) as ours, site(tls_files, compression=compression) as other:
        page = PAGE.replace("WHERE", where).replace("OTHER", str(other.port)).replace("TALK", TALK)
        ours.page = page.encode()
        async with running(
            chromium,
            "--headless",
            "--no-sandbox",  # root has none
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--ignore-certificate-errors",
            "--remote-debugging-port=0",  # else it would not wait for what the page does
            f"--user-data-dir={tmp_path}/profile",
            f"https://127.0.0.1:{ours.port}/",
        ):
            await ours.done.wait()
        met = ours if where == "here" else other
        assert met.kinds == [("2.0", "CONNECT", "websocket") if where == "here" else ("1.1", "GET", None)]
        assert met.said == SAID
        opened, *heard = ours.result
        assert isinstance(opened, list)
        assert opened[1] == "echo"
        assert ("permessage-deflate" in opened[2]) is (compression is not None)
        assert heard == HEARD


async def test_node_over_http1(peers: PeerFinder, tls_files: TlsFiles) -> None:
    node = peers.program("node")
    async with site(tls_files, compression=Deflate()) as ours:
        script = f'const TARGET = "wss://127.0.0.1:{ours.port}/chat";\n'
        script += "const done = (words) => { console.log(JSON.stringify(words)); process.exit(0) };\n" + TALK
        command = [node, "--experimental-websocket", "--no-warnings", "-e", script]
        async with running(*command, env={"NODE_EXTRA_CA_CERTS": str(tls_files.ca)}) as program:
            assert await program.wait_ended() == 0, program.output
        opened, *heard = json.loads(program.output)
        assert opened[:2] == ["open", "echo"]
        assert heard == HEARD
        assert ours.kinds == [("1.1", "GET", None)]
        assert ours.said == SAID


# -- our client --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["trio", "asyncio"])
async def session(
    request: pytest.FixtureRequest, peers: PeerFinder, tls_files: TlsFiles
) -> AsyncGenerator[trio_h2.ClientSession, None]:
    """A session with hypercorn."""
    if importlib.util.find_spec("hypercorn") is None:
        peers.missing("the library hypercorn is not installed")
    command = [
        *(sys.executable, "-m", "hypercorn", "--bind", "127.0.0.1:0", "--worker-class", str(request.param)),
        *("--certfile", str(tls_files.certificate), "--keyfile", str(tls_files.key), "tests.interop.asgi_app:app"),
    ]
    async with running(*command, cwd=ROOT) as program:
        port = (await program.wait_for(r"Running on https://127\.0\.0\.1:(\d+)"))[1]
        async with checked_session(f"https://127.0.0.1:{port}", tls_files) as session:
            yield session


@pytest.mark.parametrize("compression", [None, Deflate()])
async def test_hypercorn(session: trio_h2.ClientSession, compression: Deflate | None) -> None:
    async with open_websocket(session, "/chat", subprotocols=["other", "echo"], compression=compression) as ws:
        assert ws.subprotocol == "echo"
        assert ws.compressed is (compression is not None)
        for message in ("Grüße €", b"\x00\x01\xff", "x" * 300_000, bytes(500_000), ""):
            await ws.send_message(message)
            assert await ws.receive_message() == message
        async with ws.open_message() as parts:
            await parts.send("a")
            await parts.send("b")
        assert await ws.receive_message() == "ab"
        assert await ws.ping() > 0
        await ws.send_message("close me")
        with pytest.raises(WebSocketBrokenError) as info:
            await ws.receive_message()
        assert (info.value.close_code, ws.close_reason) == (4000, "as you wish")


async def test_hypercorn_many_at_once(session: trio_h2.ClientSession) -> None:
    done = 0
    all_done = trio.Event()

    async def talk(n: int) -> None:
        nonlocal done
        async with open_websocket(session, "/chat", subprotocols=["echo"]) as ws:
            for size in range(0, 50_000, 5000):
                await ws.send_message(bytes([n]) * size)
                assert await ws.receive_message() == bytes([n]) * size
            done += 1
            if done == 20:
                all_done.set()
            # hypercorn 0.18 forgets a stream that it has ended, and drops the connection when the client's end comes.
            await all_done.wait()

    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(talk, n)


async def test_hypercorn_refuses(session: trio_h2.ClientSession) -> None:
    with pytest.raises(WebSocketRefusedError) as info:
        await open_websocket(session, "/refused").__aenter__()
    assert info.value.status == 403
    async with session.request("GET") as stream:
        assert (await stream.receive_response()).status == 200
