"""Figures for Prometheus."""

from __future__ import annotations

import pytest
import trio
from prometheus_client import CollectorRegistry

from tests.http1.client import serving
from tests.session.scripted import connected
from trio_h2 import ClientConfig, ErrorCode, ServerConfig, ServerStream
from trio_h2.instruments.prometheus import PrometheusInstrument, metrics_handler
from trio_h2.testing import HeadersFrame, session_pair


class Figures:
    """A registry with an instrument."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.instrument = PrometheusInstrument(self.registry)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


async def _hello(stream: ServerStream) -> None:
    await trio.sleep(0.3)
    await stream.respond(body=b"hello")


@pytest.fixture
def figures() -> Figures:
    return Figures()


async def test_requests_of_both_roles_and_versions(figures: Figures, autojump_clock: object) -> None:
    instruments = [figures.instrument]
    client, server = ClientConfig(instruments=instruments), ServerConfig(instruments=instruments)
    async with session_pair(_hello, client_config=client, server_config=server) as (session, _):
        async with session.request("POST", body=b"123") as stream:
            assert figures("trio_h2_streams_open", role="client", http_version="2") in (None, 0)
            await trio.testing.wait_all_tasks_blocked()
            assert figures("trio_h2_streams_open", role="client", http_version="2") == 1
            assert await stream.receive_some() == b"hello"
        await session.ping()
        assert figures("trio_h2_sessions_open", role="server", http_version="2") == 1
    async with serving(_hello, config=server) as served:
        await served.client.request("BREW /")
        await served.client.answer()
    for role in ("client", "server"):
        labels = {"role": role, "http_version": "2"}
        assert figures("trio_h2_requests_total", method="POST", status="200", **labels) == 1
        assert figures("trio_h2_request_seconds_count", **labels) == 1
        assert figures("trio_h2_request_seconds_sum", **labels) == pytest.approx(0.3)
        assert figures("trio_h2_first_byte_seconds_sum", **labels) == pytest.approx(0.3)
        assert figures("trio_h2_streams_open", **labels) == 0
        assert figures("trio_h2_sessions_open", **labels) == 0
        assert figures("trio_h2_sessions_total", **labels) == 1
    assert figures("trio_h2_body_bytes_total", role="client", direction="sent") == 3
    assert figures("trio_h2_body_bytes_total", role="client", direction="received") == 5
    assert figures("trio_h2_ping_seconds_count", role="client") == 1
    assert figures("trio_h2_ping_seconds_count", role="server") in (None, 0)
    labels = {"role": "server", "http_version": "1.1"}
    assert figures("trio_h2_requests_total", method="_OTHER", status="200", **labels) == 1
    assert figures("trio_h2_session_ends_total", role="client", by="local", clean="true") == 1


async def test_resets_and_stalls(figures: Figures, autojump_clock: object) -> None:
    config = ClientConfig(instruments=[figures.instrument], stream_window=10)
    async with connected(config=config) as (session, peer), session.request("GET") as stream:
        await peer.expect(HeadersFrame)
        await peer.send_headers(1, [(":status", "200")])
        await peer.send_data(1, bytes(10))
        await trio.sleep(2)
        await stream.receive_some()
        await trio.testing.wait_all_tasks_blocked()
        await peer.send_rst(1, ErrorCode.INTERNAL_ERROR)
        await trio.testing.wait_all_tasks_blocked()
    labels = {"role": "client", "side": "receive", "limit": "stream_window"}
    assert figures("trio_h2_stalls_total", **labels) == 1
    assert figures("trio_h2_stall_seconds_total", **labels) == pytest.approx(2)
    assert figures("trio_h2_resets_total", role="client", by="remote", code="INTERNAL_ERROR") == 1


async def test_a_handler_shows_them(figures: Figures, autojump_clock: object) -> None:
    config = ServerConfig(instruments=[figures.instrument])
    async with (
        session_pair(metrics_handler(figures.registry), server_config=config) as (session, _),
        session.request("GET", "/metrics") as stream,
    ):
        response = await stream.receive_response()
        assert response["content-type"].startswith("text/plain")
        text = await stream.text()
    assert 'trio_h2_sessions_total{http_version="2",role="server"} 1.0\n' in text


def test_one_for_each_registry(figures: Figures) -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        PrometheusInstrument(figures.registry)
