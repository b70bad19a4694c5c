"""Applications of real frameworks on `trio_h2.asgi`, over TLS and both versions of HTTP."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import trio

import trio_h2
from tests.interop.bodies import body
from trio_h2 import asgi
from trio_h2.testing import ThrowawayAuthority
from trio_h2.websocket import WebSocketBrokenError, WebSocketRefusedError, connect_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.interop.processes import PeerFinder

FRAMEWORKS = {"starlette": "starlette", "fastapi": "fastapi", "quart": "quart_trio", "litestar": "litestar"}
AUTHORITY = ThrowawayAuthority()


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest, peers: PeerFinder) -> str:
    """The name of a framework."""
    name = str(request.param)
    if importlib.util.find_spec(FRAMEWORKS[name]) is None:
        peers.missing(f"the library {FRAMEWORKS[name]} is not installed")
    return name


class Site:
    """An application that is served."""

    def __init__(self, framework: str, server: trio_h2.Server) -> None:
        module = importlib.import_module(f"tests.interop.frameworks.{framework}_app")
        self.framework = framework
        self.file = Path(str(module.__file__))
        self.left = cast("list[str]", module.left)
        self.left.clear()
        self.url = server.url

    def client(self, version: str) -> trio_h2.Client:
        """A client that speaks this version."""
        return trio_h2.Client(ssl_context=AUTHORITY.client_context(["h2" if version == "2" else "http/1.1"]))

    async def wait_left(self, what: str) -> None:
        """Waits for what is done when nobody waits any more."""
        with trio.fail_after(10):
            while what not in self.left:  # noqa: ASYNC110 - an application has no event for the test
                await trio.sleep(0.01)


@pytest.fixture
async def site(framework: str) -> AsyncGenerator[Site, None]:
    module = importlib.import_module(f"tests.interop.frameworks.{framework}_app")
    context = AUTHORITY.server_context(["h2", "http/1.1"])
    application = cast("asgi.Application", module.app)
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(partial(asgi.serve, application, 0, ssl_context=context))
        yield Site(framework, server)
        await server.aclose()


every_version = pytest.mark.parametrize("version", ["2", "1.1"])


@every_version
async def test_routes_and_lifespan(site: Site, version: str) -> None:
    async with site.client(version) as client:
        async with client.request("GET", f"{site.url}/hello/you") as response:
            assert response.http_version == version
            assert await response.read() == b"hello you, started: yes"
        async with client.request("GET", f"{site.url}/nowhere") as response:
            assert response.status == 404
        async with client.request("HEAD", f"{site.url}/hello/you") as response:
            assert response.status in (200, 405)  # FastAPI knows only what it was told
            assert await response.read() == b""


@every_version
async def test_an_upload(site: Site, version: str) -> None:
    sent = body(3_000_000)
    async with site.client(version) as client, client.request("POST", f"{site.url}/digest", body=sent) as response:
        assert await response.read() == hashlib.sha256(sent).hexdigest().encode()


@every_version
async def test_streams_and_files(site: Site, version: str) -> None:
    async with site.client(version) as client:
        async with client.request("GET", f"{site.url}/count") as response:
            assert await response.read() == b"0\n1\n2\n3\n4\n"
        async with client.request("GET", f"{site.url}/file") as response:
            assert await response.read() == site.file.read_bytes()


@every_version
async def test_a_client_that_leaves(site: Site, version: str) -> None:
    async with site.client(version) as client, client.request("GET", f"{site.url}/endless") as response:
        events = response.iter_events()
        assert (await anext(events)).data == "tick"
    await site.wait_left("endless")


@every_version
async def test_background_tasks(site: Site, version: str) -> None:
    async with site.client(version) as client, client.request("GET", f"{site.url}/background") as response:
        assert await response.read() == b"soon"
        await site.wait_left("background")


@every_version
async def test_an_error(site: Site, version: str, caplog: pytest.LogCaptureFixture) -> None:
    async with site.client(version) as client:
        async with client.request("GET", f"{site.url}/fails") as response:
            assert response.status == 500
        async with client.request("GET", f"{site.url}/hello/again") as response:
            assert response.status == 200
    # Starlette answers, and raises then; Quart logs it by itself, and Litestar does if it was told to.
    logged = [record.exc_info for record in caplog.records if record.exc_info is not None]
    assert [str(info[1]) for info in logged] == ["the application's own mistake"] * (site.framework != "litestar")
    caplog.clear()


async def test_a_chat(site: Site) -> None:
    context = AUTHORITY.client_context()
    url = site.url.replace("https", "wss", 1)
    async with connect_websocket(f"{url}/chat", ssl_context=context, subprotocols=["echo"]) as websocket:
        assert websocket.subprotocol == "echo"
        await websocket.send_message("hello")
        assert await websocket.receive_message() == "hello"
    await site.wait_left("chat 1000")
    async with connect_websocket(f"{url}/chat", ssl_context=context, subprotocols=["echo"]) as websocket:
        await websocket.send_message("close me")
        with pytest.raises(WebSocketBrokenError) as raised:
            await websocket.receive_message()
        assert (raised.value.close_code, raised.value.close_reason) == (4000, "as you wish")
    with pytest.raises(WebSocketRefusedError) as refused:
        async with connect_websocket(f"{url}/denied", ssl_context=context):
            pytest.fail("it was opened")
    told = (403, b"") if site.framework == "litestar" else (401, b"who are you?")  # that only closes
    assert (refused.value.status, refused.value.body) == told
