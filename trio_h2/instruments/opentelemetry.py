"""Spans and metrics of OpenTelemetry, by ``opentelemetry-api``: the extra ``opentelemetry``.

Names are those of its semantic conventions for HTTP. What is done with spans and metrics, an SDK decides.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.metrics import MeterProvider  # noqa: TC002 - for type hints, as below
from opentelemetry.propagators.textmap import TextMapPropagator  # noqa: TC002
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from trio_h2 import Instrument, Role, __version__, code_name

from .._public import publish as _publish
from .._trace._outgoing import OutgoingRequest  # noqa: TC001
from .._trace._seen import SessionInfo, Stall, StreamEnd, StreamInfo  # noqa: TC001
from ._methods import known_method
from ._otel_session import OpenSpans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

    from trio_h2 import Headers

__all__ = ["OpenTelemetryInstrument"]

_Attributes: TypeAlias = dict[str, str | int]

_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
"""What the conventions advise."""


class OpenTelemetryInstrument(Instrument):
    """Makes a span of each request, on clients and on servers, and metrics of all of them.

    Trace context (W3C ``traceparent``, or what *propagator* writes) goes with the requests of clients, unless they have
    a field of that name, and is read by servers: a handler runs in the context of its span, so that what it asks of
    others belongs to it. A span ends with its stream, that of a server not before its handler.

    ====================================  ==========================================================================
    metric                                what it is
    ====================================  ==========================================================================
    ``http.{role}.request.duration``      seconds
    ``http.{role}.active_requests``       how many streams are open
    ``http.{role}.request.body.size``     bytes
    ``http.{role}.response.body.size``    bytes
    ``trio_h2.stall.duration``            seconds, see `Stall`; with ``side`` and ``limit``
    ====================================  ==========================================================================

    *role* is ``client`` or ``server``. One instrument serves any number of sessions.

    Args:
        tracer_provider: makes the spans; the global one by default.
        meter_provider: makes the metrics; the global one by default.
        propagator: reads and writes the trace context; the global one by default.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("trio_h2", __version__, tracer_provider, _SCHEMA)
        self._propagator = propagate.get_global_textmap() if propagator is None else propagator
        meter = metrics.get_meter("trio_h2", __version__, meter_provider, _SCHEMA)
        self._open: dict[SessionInfo, OpenSpans] = {}
        self._durations = {}
        self._active = {}
        self._sizes = {}
        for role in Role:
            name = f"http.{role.value}"
            self._durations[role] = meter.create_histogram(
                f"{name}.request.duration", "s", "Duration of requests", explicit_bucket_boundaries_advisory=_SECONDS
            )
            self._active[role] = meter.create_up_down_counter(
                f"{name}.active_requests", "{request}", "Requests that are under way"
            )
            self._sizes[role] = (
                meter.create_histogram(f"{name}.request.body.size", "By", "Bytes of request bodies"),
                meter.create_histogram(f"{name}.response.body.size", "By", "Bytes of response bodies"),
            )
        self._stalls = meter.create_histogram("trio_h2.stall.duration", "s", "How long sessions stood still")

    # -- clients ---------------------------------------------------------------------------------------------------

    def request_begun(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        attributes = _of_request(session, request.headers)
        url = f"{attributes['url.scheme']}://{request.headers.first(b':authority') or ''}"
        attributes["url.full"] = url + (request.headers.first(b":path") or "")
        span = self._tracer.start_span(
            _name(request.headers), kind=SpanKind.CLIENT, attributes=attributes | _of_peer(session)
        )
        self._spans(session).waiting[request] = span
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, trace.set_span_in_context(span))
        for name, value in carrier.items():
            request.add_field(name, value)

    def request_sent(self, session: SessionInfo, request: OutgoingRequest, now: float) -> None:
        spans = self._spans(session)
        span = spans.waiting.pop(request, None)
        if span is not None and request.stream_id is not None:
            spans.streams[request.stream_id] = span

    def request_failed(self, session: SessionInfo, request: OutgoingRequest, error: BaseException, now: float) -> None:
        span = self._spans(session).waiting.pop(request, None)
        if span is not None:
            _failed(span, type(error).__qualname__, error)
            span.end()

    # -- servers ---------------------------------------------------------------------------------------------------

    def handling(
        self, session: SessionInfo, stream_id: int, headers: Headers, now: float
    ) -> AbstractContextManager[object]:
        return self._around(session, stream_id, headers)

    @contextmanager
    def _around(self, session: SessionInfo, stream_id: int, headers: Headers) -> Iterator[None]:
        fields = {name: headers.get_all(name) for name in headers if not name.startswith(":")}
        parent = self._propagator.extract(fields)
        attributes = _of_request(session, headers)
        path, _, query = (headers.first(b":path") or "").partition("?")
        attributes["url.path"] = path
        more = {"url.query": query, "user_agent.original": headers.first(b"user-agent") or ""}
        attributes |= {name: value for name, value in more.items() if value}
        if session.peer is not None:
            attributes["client.address"] = session.peer.rpartition(":")[0] or session.peer
        span = self._tracer.start_span(_name(headers), parent, SpanKind.SERVER, attributes | _of_peer(session))
        spans = self._spans(session)
        spans.handlers.add(stream_id)
        spans.streams[stream_id] = span
        token = context.attach(trace.set_span_in_context(span, parent))
        try:
            yield
        except Exception as exc:
            _failed(span, type(exc).__qualname__, exc)
            raise
        finally:
            context.detach(token)
            spans.handlers.discard(stream_id)
            if stream_id not in spans.open:
                self._end(session, stream_id)

    # -- both ------------------------------------------------------------------------------------------------------

    def stream_opened(self, session: SessionInfo, stream: StreamInfo, now: float) -> None:
        if not stream.pushed:
            self._spans(session).open.add(stream.stream_id)
            self._active[session.role].add(1, _of_metric(session, stream.headers))

    def stream_closed(self, session: SessionInfo, stream: StreamInfo, end: StreamEnd, now: float) -> None:
        if stream.pushed:
            return
        spans = self._spans(session)
        spans.open.discard(stream.stream_id)
        role, attributes = session.role, _of_metric(session, stream.headers)
        self._active[role].add(-1, attributes)
        attributes["network.protocol.version"] = session.http_version
        error = _error_of(role, end)
        if end.status is not None:
            attributes["http.response.status_code"] = end.status
        if error is not None:
            attributes["error.type"] = error
        self._durations[role].record(end.duration, attributes)
        sizes = (end.bytes_sent, end.bytes_received)
        for histogram, size in zip(self._sizes[role], sizes if role is Role.CLIENT else reversed(sizes), strict=True):
            histogram.record(size, attributes)
        span = spans.streams.get(stream.stream_id)
        if span is not None:
            if end.status is not None:
                span.set_attribute("http.response.status_code", end.status)
            if error is not None:
                _failed(span, error, None)
            if stream.stream_id not in spans.handlers:
                self._end(session, stream.stream_id)

    def resumed(self, session: SessionInfo, stall: Stall, now: float) -> None:
        attributes: _Attributes = {"role": session.role.value, "side": stall.side, "limit": stall.limit}
        self._stalls.record(stall.duration or 0.0, attributes)

    def session_ended(self, session: SessionInfo, end: object, now: float) -> None:
        """Ends the spans of requests that were never on the wire."""
        spans = self._open.pop(session, None)
        if spans is not None:
            for stream_id, span in spans.streams.items():
                if stream_id not in spans.handlers:
                    _failed(span, "session_ended", None)
                    span.end()

    def _spans(self, session: SessionInfo) -> OpenSpans:
        return self._open.setdefault(session, OpenSpans())

    def _end(self, session: SessionInfo, stream_id: int) -> None:
        spans = self._open.get(session)
        span = None if spans is None else spans.streams.pop(stream_id, None)
        if span is not None:
            span.end()


def _name(headers: Headers) -> str:
    """Without a route, the method alone: a path has too many values."""
    method = known_method(headers.first(b":method"))
    return "HTTP" if method == "_OTHER" else method


def _of_request(session: SessionInfo, headers: Headers) -> _Attributes:
    attributes = _of_metric(session, headers)
    method = headers.first(b":method")
    if method is not None and attributes["http.request.method"] != method:
        attributes["http.request.method_original"] = method
    attributes["network.protocol.version"] = session.http_version
    host, colon, port = (headers.first(b":authority") or headers.first(b"host") or "").rpartition(":")
    if not (colon and port.isascii() and port.isdigit()):
        host, port = f"{host}{colon}{port}", "443" if attributes["url.scheme"] == "https" else "80"
    if host:
        attributes |= {"server.address": host.strip("[]"), "server.port": int(port)}
    return attributes


def _of_metric(session: SessionInfo, headers: Headers | None) -> _Attributes:
    scheme = None if headers is None else headers.first(b":scheme")
    method = None if headers is None else headers.first(b":method")
    return {"http.request.method": known_method(method), "url.scheme": scheme or session.scheme}


def _of_peer(session: SessionInfo) -> _Attributes:
    host, colon, port = (session.peer or "").rpartition(":")
    if colon and port.isdigit():
        return {"network.peer.address": host.strip("[]"), "network.peer.port": int(port)}
    return {} if session.peer is None else {"network.peer.address": session.peer}


def _error_of(role: Role, end: StreamEnd) -> str | None:
    """Returns ``error.type``: the status if that is an error (for a server, only its own), else why it was cut."""
    if end.status is not None and end.status >= (400 if role is Role.CLIENT else 500):
        return str(end.status)
    if end.how == "complete" or (end.how == "reset" and not end.error_code and end.error_code is not None):
        return None
    return end.how if end.error_code is None else code_name(end.error_code)


def _failed(span: Span, kind: str, error: BaseException | None) -> None:
    span.set_attribute("error.type", kind)
    if error is not None:
        span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR))


_publish(globals())
