"""OpenTelemetry's middleware around an application of Starlette, over both versions of HTTP."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
import trio

import trio_h2
from trio_h2 import asgi
from trio_h2.testing import ThrowawayAuthority
from trio_h2.websocket import connect_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from tests.interop.processes import PeerFinder

AUTHORITY = ThrowawayAuthority()
PARENT = 0xB7AD6B7169203331
TRACEPARENT = {"traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{PARENT:016x}-01"}

every_version = pytest.mark.parametrize("version", ["2", "1.1"])


class Traced:
    """A server whose application is traced."""

    def __init__(self, server: trio_h2.Server, exporter: InMemorySpanExporter) -> None:
        self.url = server.url
        self._exporter = exporter

    def client(self, version: str) -> trio_h2.Client:
        """A client that speaks this version."""
        return trio_h2.Client(ssl_context=AUTHORITY.client_context(["h2" if version == "2" else "http/1.1"]))

    async def span(self) -> ReadableSpan:
        """Waits for the span of a request or WebSocket, which is the last of its own, and returns it."""
        from opentelemetry.trace import SpanKind

        with trio.fail_after(10):
            while True:
                for span in self._exporter.get_finished_spans():
                    if span.kind is SpanKind.SERVER:
                        return span
                await trio.sleep(0.01)

    def inner(self) -> list[str]:
        """Returns what the spans of messages say they are about."""
        spans = self._exporter.get_finished_spans()
        found = [str((span.attributes or {}).get("asgi.event.type")) for span in spans]
        return [one for one in found if one != "None"]


@pytest.fixture
async def traced(peers: PeerFinder) -> AsyncGenerator[Traced, None]:
    for library in ("starlette", "opentelemetry.instrumentation.asgi", "opentelemetry.sdk"):
        try:
            found = importlib.util.find_spec(library)
        except ModuleNotFoundError:
            found = None
        if found is None:
            peers.missing(f"the library {library} is not installed")
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from tests.interop.frameworks.starlette_app import app

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    application = cast("asgi.Application", OpenTelemetryMiddleware(app, tracer_provider=provider))
    context = AUTHORITY.server_context(["h2", "http/1.1"])
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(partial(asgi.serve, application, 0, ssl_context=context))
        yield Traced(server, exporter)
        await server.aclose()


@every_version
async def test_a_request(traced: Traced, version: str) -> None:
    asked = f"{traced.url}/hello/you?a=b"
    async with traced.client(version) as client, client.request("GET", asked, headers=TRACEPARENT) as response:
        await response.read()
    span = await traced.span()
    attributes = dict(span.attributes or {})
    assert span.name == "GET /hello/you"
    assert span.parent is not None
    assert span.parent.span_id == PARENT
    port = int(traced.url.rpartition(":")[2])
    expected = {
        **{"http.method": "GET", "http.scheme": "https", "http.flavor": version, "http.status_code": 200},
        **{"http.target": "/hello/you", "http.url": f"{traced.url}/hello/you?a=b", "net.host.port": port},
        **{"http.server_name": f"localhost:{port}", "net.peer.ip": "127.0.0.1"},
    }
    assert {name: attributes.get(name) for name in expected} == expected
    assert isinstance(attributes["net.peer.port"], int)
    assert span.status.is_unset
    assert traced.inner() == ["http.response.start", "http.response.body"]


@every_version
async def test_a_request_that_fails(traced: Traced, version: str, caplog: pytest.LogCaptureFixture) -> None:
    async with traced.client(version) as client, client.request("GET", f"{traced.url}/fails") as response:
        await response.read()
    span = await traced.span()
    assert (span.name, (span.attributes or {})["http.status_code"]) == ("GET /fails", 500)
    assert not span.status.is_ok
    assert not span.status.is_unset
    caplog.clear()  # the application's own mistake is logged


@every_version
async def test_a_client_that_leaves(traced: Traced, version: str) -> None:
    """The span ends with the request."""
    async with traced.client(version) as client, client.request("GET", f"{traced.url}/endless") as response:
        await anext(response.iter_events())
    span = await traced.span()
    assert (span.name, (span.attributes or {})["http.status_code"]) == ("GET /endless", 200)


@every_version
async def test_a_background_task(traced: Traced, version: str) -> None:
    async with traced.client(version) as client:
        for _ in range(2):
            async with client.request("GET", f"{traced.url}/background") as response:
                assert await response.read() == b"soon"
    assert (await traced.span()).name == "GET /background"


async def test_a_websocket(traced: Traced) -> None:
    url, context = traced.url.replace("https", "wss", 1), AUTHORITY.client_context()
    async with connect_websocket(f"{url}/chat", ssl_context=context, subprotocols=["echo"]) as websocket:
        await websocket.send_message("hello")
        assert await websocket.receive_message() == "hello"
    span = await traced.span()
    attributes = dict(span.attributes or {})
    assert (attributes["http.scheme"], attributes["http.url"], span.status.is_unset) == ("wss", f"{url}/chat", True)
    assert traced.inner() == [
        *("websocket.connect", "websocket.accept", "websocket.receive", "websocket.send", "websocket.disconnect"),
    ]
