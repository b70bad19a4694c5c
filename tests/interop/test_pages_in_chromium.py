"""What the pages of the documentation promise of browsers: single-page applications, server-sent events."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import event_source
import trio

import trio_h2
from examples import websocket_chat
from tests.interop.processes import run, running
from trio_h2.websocket import WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    import pytest

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import PeerFinder

ROOT = Path(__file__).parents[2]
PAGE = """<!doctype html><link rel="icon" href="data:,"><script src="/app.js"></script>"""
SCRIPT = """
addEventListener("load", () => {
  const [entry] = performance.getEntriesByType("navigation");
  document.body.textContent = `${location.pathname} by ${entry.nextHopProtocol}`;
});
"""
TELL = b"""<script>
source.addEventListener("tick", event => {
  if (event.lastEventId == "3") fetch("/seen", {method: "POST", body: document.querySelector("pre").textContent});
});
</script>"""


def headless(chromium: str, folder: Path) -> list[str]:
    return [
        *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--ignore-certificate-errors", f"--user-data-dir={folder}/profile"),
    ]


async def test_a_single_page_application_opens_at_any_path(tmp_path: Path, peers: PeerFinder) -> None:
    browser = headless(peers.program("chromium"), tmp_path)
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(PAGE)
    (site / "app.js").write_text(SCRIPT)
    command = [sys.executable, "-m", "trio_h2", "serve", "--self-signed", "--allow-http1", "--fallback", "index.html"]
    async with running(*command, str(site), cwd=ROOT) as server:
        url = (await server.wait_for(r"^Listening on (\S+)$"))[1]
        done = await run(*browser, "--virtual-time-budget=5000", "--dump-dom", f"{url}/settings/profile")
    assert "/settings/profile by h2" in done.text


async def test_a_browser_listens_to_events(
    tmp_path: Path, peers: PeerFinder, tls_files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = headless(peers.program("chromium"), tmp_path)
    monkeypatch.setattr(event_source, "INTERVAL", 0.1)
    monkeypatch.setattr(event_source, "PAGE", event_source.PAGE + TELL)
    paths: list[str] = []
    seen: list[str] = []
    told = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        paths.append(f"{stream.path} {stream.http_version}")
        if stream.path == "/seen":
            seen.append(await stream.text())
            told.set()
        await event_source.handler(stream)

    context = trio_h2.server_ssl_context(tls_files.certificate, tls_files.key, allow_http1=True)
    async with (
        trio_h2.open_server(handler, ssl_context=context, allow_http1=True, grace=1) as server,
        running(*browser, f"{server.url}/"),
    ):
        await told.wait()
    assert seen == ['1 {"number": 1}\n2 {"number": 2}\n3 {"number": 3}\n']
    assert "/ticks 2.0" in paths


async def test_the_chat_opens_in_a_browser(
    tmp_path: Path, peers: PeerFinder, tls_files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS, where the WebSocket shares the session with the page. There is nobody to ask for a name."""
    monkeypatch.setattr(websocket_chat, "PAGE", websocket_chat.PAGE.replace(b'prompt("Your name?")', b"null"))
    browser = headless(peers.program("chromium"), tmp_path)
    versions: dict[str, str] = {}
    chat = WebSocketHandler(websocket_chat.Room().chat, fallback=websocket_chat.page)

    async def handler(stream: trio_h2.ServerStream) -> None:
        versions[stream.path] = stream.http_version
        await chat(stream)

    context = trio_h2.server_ssl_context(tls_files.certificate, tls_files.key, allow_http1=True)
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with (
        trio_h2.open_server(handler, ssl_context=context, config=config, allow_http1=True, grace=1) as server,
        connect_websocket(f"{server.url}/chat?name=Ann", ssl_context=tls_files.authority.client_context()) as ann,
    ):
        assert await ann.receive_message() == "Ann has come"
        async with running(*browser, f"{server.url}/"):
            assert await ann.receive_message() == "me has come"
        assert await ann.receive_message() == "me has left"
    assert (versions["/"], versions["/chat?name=me"]) == ("2.0", "2.0")
