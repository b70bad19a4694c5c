"""Figures for Prometheus, by ``prometheus-client``: the extra ``prometheus``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from trio_h2 import Instrument, code_name

from .._public import publish as _publish
from .._trace._seen import PingAnswer, SessionEnd, SessionInfo, Stall, StreamEnd, StreamInfo  # noqa: TC001 - for type hints
from ._methods import known_method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_h2 import Handler, ServerStream

__all__ = ["PrometheusInstrument", "metrics_handler"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class PrometheusInstrument(Instrument):
    """Counts what happens on sessions. Make one for each registry, and give it to all configurations.

    ========================================  =========================================================================
    metric                                    labels
    ========================================  =========================================================================
    ``trio_h2_sessions_open``                 ``role``, ``http_version``
    ``trio_h2_sessions_total``                the same: sessions that have begun
    ``trio_h2_session_ends_total``            ``role``, ``by`` (who ended it), ``clean``
    ``trio_h2_streams_open``                  ``role``, ``http_version``
    ``trio_h2_requests_total``                ``role``, ``http_version``, ``method``, ``status``: those that have ended
    ``trio_h2_request_seconds``               ``role``, ``http_version``: from the head of the request to the end
    ``trio_h2_first_byte_seconds``            the same: to the head of the response
    ``trio_h2_body_bytes_total``              ``role``, ``direction`` (``sent``, ``received``)
    ``trio_h2_resets_total``                  ``role``, ``by``, ``code``
    ``trio_h2_stalls_total``                  ``role``, ``side``, ``limit``, see `Stall`
    ``trio_h2_stall_seconds_total``           the same
    ``trio_h2_ping_seconds``                  ``role``: round trips of our own PINGs
    ========================================  =========================================================================

    Args:
        registry: where the metrics are; that of the process by default.
        buckets: the limits of the histograms, in seconds.

    Raises:
        ValueError: the registry has these metrics already.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, buckets: Sequence[float] = _SECONDS) -> None:
        version = ("role", "http_version")
        self._sessions_open = _gauge("trio_h2_sessions_open", "Open sessions", version, registry)
        self._sessions = Counter("trio_h2_sessions", "Sessions that have begun", version, registry=registry)
        self._ends = Counter(
            "trio_h2_session_ends", "Sessions that have ended", ("role", "by", "clean"), registry=registry
        )
        self._streams_open = _gauge("trio_h2_streams_open", "Open streams", version, registry)
        self._requests = Counter(
            "trio_h2_requests", "Requests that have ended", (*version, "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "trio_h2_request_seconds", "From the request to its end", version, registry=registry, buckets=buckets
        )
        self._first_byte = Histogram(
            *("trio_h2_first_byte_seconds", "From the request to the head of its response", version),
            registry=registry,
            buckets=buckets,
        )
        self._bytes = Counter("trio_h2_body_bytes", "Bytes of bodies", ("role", "direction"), registry=registry)
        self._resets = Counter(
            "trio_h2_resets",
            "Streams that were cut, but by the end of their session",
            ("role", "by", "code"),
            registry=registry,
        )
        limits = ("role", "side", "limit")
        self._stalls = Counter("trio_h2_stalls", "Stalls that are over", limits, registry=registry)
        self._stall_seconds = Counter("trio_h2_stall_seconds", "How long they took", limits, registry=registry)
        self._pings = Histogram(
            "trio_h2_ping_seconds", "Round trips of PING", ("role",), registry=registry, buckets=buckets
        )

    def session_started(self, session: SessionInfo, now: float) -> None:
        self._sessions.labels(*_version(session)).inc()
        self._sessions_open.labels(*_version(session)).inc()

    def session_ended(self, session: SessionInfo, end: SessionEnd, now: float) -> None:
        self._sessions_open.labels(*_version(session)).dec()
        self._ends.labels(session.role.value, end.by.value, str(end.clean).lower()).inc()

    def stream_opened(self, session: SessionInfo, stream: StreamInfo, now: float) -> None:
        self._streams_open.labels(*_version(session)).inc()

    def stream_closed(self, session: SessionInfo, stream: StreamInfo, end: StreamEnd, now: float) -> None:
        role = session.role.value
        self._streams_open.labels(*_version(session)).dec()
        method = known_method(None if stream.headers is None else stream.headers.first(b":method"))
        status = "none" if end.status is None else str(end.status)
        self._requests.labels(*_version(session), method, status).inc()
        self._seconds.labels(*_version(session)).observe(end.duration)
        if end.first_byte is not None:
            self._first_byte.labels(*_version(session)).observe(end.first_byte)
        self._bytes.labels(role, "sent").inc(end.bytes_sent)
        self._bytes.labels(role, "received").inc(end.bytes_received)
        if end.how == "reset":
            code = "none" if end.error_code is None else code_name(end.error_code)
            self._resets.labels(role, end.by.value, code if not code.startswith("0x") else "unknown").inc()

    def resumed(self, session: SessionInfo, stall: Stall, now: float) -> None:
        labels = session.role.value, stall.side, stall.limit
        self._stalls.labels(*labels).inc()
        self._stall_seconds.labels(*labels).inc(stall.duration or 0.0)

    def ping_answered(self, session: SessionInfo, ping: PingAnswer, now: float) -> None:
        if ping.by.value == "local":
            self._pings.labels(session.role.value).observe(ping.round_trip)


def metrics_handler(registry: CollectorRegistry = REGISTRY) -> Handler:
    """Returns a handler that answers with all metrics of a registry, as Prometheus reads them.

    Args:
        registry: that of the process by default.
    """

    async def metrics(stream: ServerStream) -> None:
        await stream.respond({"content-type": CONTENT_TYPE_LATEST}, body=generate_latest(registry))

    return metrics


def _gauge(name: str, about: str, labels: tuple[str, str], registry: CollectorRegistry) -> Gauge:
    # Where several processes share files of prometheus_client, those that live count together.
    return Gauge(name, about, labels, registry=registry, multiprocess_mode="livesum")


def _version(session: SessionInfo) -> tuple[str, str]:
    return session.role.value, session.http_version


_publish(globals())
