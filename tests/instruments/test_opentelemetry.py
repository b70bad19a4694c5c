"""Spans and metrics of OpenTelemetry, as the exporters of its SDK get them."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest
import trio
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.http1.client import serving
from tests.session.scripted import connected
from trio_h2 import ClientConfig, ErrorCode, GoAwayError, ServerConfig, ServerStream, StreamResetError
from trio_h2.instruments.opentelemetry import OpenTelemetryInstrument
from trio_h2.testing import HeadersFrame, session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Telemetry:
    """An instrument with an SDK behind it."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        meters = MeterProvider(metric_readers=[self.reader])
        self.tracer = tracers.get_tracer("tests")
        self.instrument = OpenTelemetryInstrument(tracer_provider=tracers, meter_provider=meters)
        self.client = ClientConfig(instruments=[self.instrument])
        self.server = ServerConfig(instruments=[self.instrument])

    def spans(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.kind is kind]

    def points(self, name: str) -> list[HistogramDataPoint | NumberDataPoint]:
        data = self.reader.get_metrics_data()
        found: list[HistogramDataPoint | NumberDataPoint] = []
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            assert isinstance(point, HistogramDataPoint | NumberDataPoint)
                            found.append(point)
        return found


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


async def _hello(stream: ServerStream) -> None:
    await stream.respond(body=b"hello")


async def test_one_trace_from_client_to_server_and_on(telemetry: Telemetry, autojump_clock: object) -> None:
    """A gateway: the span of what it asks for belongs to that of what it was asked for."""
    async with session_pair(_hello, client_config=telemetry.client, server_config=telemetry.server) as (inner, _):

        async def gateway(stream: ServerStream) -> None:
            async with inner.request("GET", "/inner") as asked:
                await stream.respond(body=await asked.read())

        async with session_pair(gateway, client_config=telemetry.client, server_config=telemetry.server) as (outer, _):
            with telemetry.tracer.start_as_current_span("program"):
                async with outer.request("POST", "/outer?a=b", body=b"12") as stream:
                    assert await stream.read() == b"hello"
    (program,) = telemetry.spans(SpanKind.INTERNAL)
    by_path = {}
    for span in (*telemetry.spans(SpanKind.CLIENT), *telemetry.spans(SpanKind.SERVER)):
        assert span.attributes is not None
        path = span.attributes.get("url.path") or span.attributes["url.full"]
        by_path[span.kind, str(path).replace("http://localhost", "")] = span
    chain = [
        program,
        by_path[SpanKind.CLIENT, "/outer?a=b"],
        by_path[SpanKind.SERVER, "/outer"],
        by_path[SpanKind.CLIENT, "/inner"],
        by_path[SpanKind.SERVER, "/inner"],
    ]
    for parent, child in itertools.pairwise(chain):
        assert child.parent is not None
        assert child.parent.span_id == parent.context.span_id
        assert child.context.trace_id == program.context.trace_id
    assert len(telemetry.exporter.get_finished_spans()) == 5
    client, server = chain[1], chain[2]
    assert (client.name, server.name) == ("POST", "POST")
    assert dict(client.attributes or {}) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "url.full": "http://localhost/outer?a=b",
        "server.address": "localhost",
        "server.port": 80,
        "network.protocol.version": "2",
        "http.response.status_code": 200,
    }
    assert dict(server.attributes or {}) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "url.path": "/outer",
        "url.query": "a=b",
        "server.address": "localhost",
        "server.port": 80,
        "network.protocol.version": "2",
        "http.response.status_code": 200,
    }
    assert client.status.status_code is StatusCode.UNSET


async def test_http1_servers_make_spans_too(telemetry: Telemetry, autojump_clock: object) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with serving(_hello, config=telemetry.server) as served:
        await served.client.request("BREW /", f"traceparent: {parent}", "user-agent: me")
        await served.client.answer()
    (span,) = telemetry.spans(SpanKind.SERVER)
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == "b7ad6b7169203331"
    assert span.attributes is not None
    assert span.attributes["network.protocol.version"] == "1.1"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"
    assert span.attributes["user_agent.original"] == "me"
    assert span.name == "HTTP"


async def test_what_a_handler_raises_is_recorded(telemetry: Telemetry, autojump_clock: object) -> None:
    async def broken(stream: ServerStream) -> None:
        raise LookupError("nothing")

    async with (
        session_pair(
            broken,
            client_config=telemetry.client,
            server_config=telemetry.server,
            raise_handler_errors=False,
        ) as (session, _),
        session.request("GET") as stream,
    ):
        assert (await stream.receive_response()).status == 500
    (server,), (client,) = telemetry.spans(SpanKind.SERVER), telemetry.spans(SpanKind.CLIENT)
    assert [event.name for event in server.events] == ["exception"]
    assert server.status.status_code is client.status.status_code is StatusCode.ERROR
    assert server.attributes is not None
    assert client.attributes is not None
    assert server.attributes["http.response.status_code"] == 500
    assert client.attributes["error.type"] == "500"


async def _get_404(stream: ServerStream) -> None:
    await stream.respond({":status": 404})


async def _reset(stream: ServerStream) -> None:
    stream.reset(ErrorCode.CANCEL)


@pytest.mark.parametrize(
    ("handler", "server_error", "client_error"), [(_get_404, None, "404"), (_reset, "CANCEL", "CANCEL")]
)
async def test_whose_error_it_is(
    handler: Callable[[ServerStream], Awaitable[None]],
    server_error: str | None,
    client_error: str,
    telemetry: Telemetry,
    autojump_clock: object,
) -> None:
    """A 404 is an error for the client that gets it, and none for the server."""
    async with session_pair(handler, client_config=telemetry.client, server_config=telemetry.server) as (session, _):
        stream = await session.open_stream("GET")
        with contextlib.suppress(StreamResetError):
            await stream.receive_response()
        await stream.aclose()
    (server,), (client,) = telemetry.spans(SpanKind.SERVER), telemetry.spans(SpanKind.CLIENT)
    assert (server.attributes or {}).get("error.type") == server_error
    assert (client.attributes or {}).get("error.type") == client_error
    assert client.status.status_code is StatusCode.ERROR


async def test_a_request_that_is_never_sent(telemetry: Telemetry, autojump_clock: object) -> None:
    async with connected(config=telemetry.client) as (session, peer):
        await peer.send_goaway(0)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(GoAwayError):
            await session.open_stream("GET")
    (span,) = telemetry.spans(SpanKind.CLIENT)
    assert span.attributes is not None
    assert span.attributes["error.type"] == "GoAwayError"


async def test_spans_end_with_their_session(telemetry: Telemetry, autojump_clock: object) -> None:
    async with connected(config=telemetry.client) as (session, peer):
        await session.open_stream("GET")
        await peer.expect(HeadersFrame)
        session.destroy()
    (span,) = telemetry.spans(SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.ERROR
    assert telemetry.instrument._open == {}


async def test_a_field_of_the_program_is_left_alone(telemetry: Telemetry, autojump_clock: object) -> None:
    async with (
        connected(config=telemetry.client) as (session, peer),
        session.request("GET", headers={"traceparent": "mine"}),
    ):
        frame = await peer.expect(HeadersFrame)
    assert [value for name, value in frame.fields if name == b"traceparent"] == [b"mine"]


async def test_metrics(telemetry: Telemetry, autojump_clock: object) -> None:
    async def slow(stream: ServerStream) -> None:
        await trio.sleep(0.5)
        await stream.respond(body=b"hello")

    async with (
        session_pair(slow, client_config=telemetry.client, server_config=telemetry.server) as (session, _),
        session.request("POST", body=b"123") as stream,
    ):
        await trio.testing.wait_all_tasks_blocked()
        (active,) = telemetry.points("http.client.active_requests")
        assert isinstance(active, NumberDataPoint)
        assert active.value == 1
        await stream.read()
    for role in ("client", "server"):
        (duration,) = telemetry.points(f"http.{role}.request.duration")
        assert isinstance(duration, HistogramDataPoint)
        assert duration.count == 1
        assert duration.sum == pytest.approx(0.5)
        assert dict(duration.attributes or {}) == {
            "http.request.method": "POST",
            "url.scheme": "http",
            "network.protocol.version": "2",
            "http.response.status_code": 200,
        }
        assert duration.explicit_bounds[0] == 0.005
        (sent,) = telemetry.points(f"http.{role}.request.body.size")
        (received,) = telemetry.points(f"http.{role}.response.body.size")
        assert isinstance(sent, HistogramDataPoint)
        assert isinstance(received, HistogramDataPoint)
        assert (sent.sum, received.sum) == (3, 5)
        (active_now,) = telemetry.points(f"http.{role}.active_requests")
        assert isinstance(active_now, NumberDataPoint)
        assert active_now.value == 0


async def test_the_span_is_current_in_the_handler(telemetry: Telemetry, autojump_clock: object) -> None:
    seen: list[trace.Span] = []

    async def handler(stream: ServerStream) -> None:
        seen.append(trace.get_current_span())
        await stream.respond()

    async with session_pair(handler, server_config=telemetry.server) as (session, _), session.request("GET") as stream:
        await stream.receive_response()
    (span,) = telemetry.spans(SpanKind.SERVER)
    assert seen[0].get_span_context() == span.context
