"""Requests, responses, bodies and trailers through two engines: what one sends, the other one reports."""

from __future__ import annotations

import pytest

from tests.wire.engine_pair import GET, OK, POST, Pair, of_type, the
from trio_h2._wire._events import (
    DataReceived,
    RequestReceived,
    ResponseReceived,
    StreamClosed,
    TrailersReceived,
)


@pytest.fixture(params=[None, 1, 7], ids=["whole", "octets", "sevens"])
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(chunk=request.param)


def test_request_and_response_without_bodies(pair: Pair) -> None:
    stream_id = pair.client.open_stream(b"GET", GET, end_stream=True)
    _, events = pair.exchange()
    assert stream_id == 1
    request = the(events, RequestReceived)
    assert request.stream_id == 1
    assert request.end_stream
    assert request.headers.raw == GET
    pair.server.send_response(1, [(b":status", b"204")], end_stream=True)
    assert pair.server_closed == [1]
    events, _ = pair.exchange()
    assert events == [ResponseReceived(1, the(events, ResponseReceived).headers, end_stream=True), StreamClosed(1)]
    assert the(events, ResponseReceived).headers.status == 204
    assert pair.client_closed == []  # received bytes closed it, no command
    assert not pair.client.streams
    assert not pair.server.streams


def test_bodies_both_ways(pair: Pair) -> None:
    pair.client.open_stream(b"POST", POST, end_stream=False)
    pair.client.send_data(1, b"to the server", end_stream=False)
    pair.client.send_data(1, b"", end_stream=False)  # nothing
    pair.client.send_data(1, b", all of it", end_stream=True)
    _, events = pair.exchange()
    assert not the(events, RequestReceived).end_stream
    assert [event.end_stream for event in of_type(events, DataReceived)][-1]
    assert pair.read(pair.server, events, 1) == b"to the server, all of it"
    pair.server.send_response(1, OK, end_stream=False)
    pair.server.send_data(1, memoryview(b"to the client"), end_stream=False)
    pair.server.send_data(1, b"", end_stream=True)
    events, _ = pair.exchange()
    assert pair.read(pair.client, events, 1) == b"to the client"
    assert events[-1] == StreamClosed(1)
    assert of_type(events, DataReceived)[-1].end_stream


def test_trailers_both_ways(pair: Pair) -> None:
    pair.client.open_stream(b"POST", POST, end_stream=False)
    pair.client.send_data(1, b"body", end_stream=False)
    pair.client.send_trailers(1, [(b"x-check", b"up")])
    _, events = pair.exchange()
    assert the(events, TrailersReceived).headers.raw == [(b"x-check", b"up")]
    assert pair.server.remote_ended(1)
    pair.read(pair.server, events, 1)
    pair.server.send_response(1, OK, end_stream=False)
    pair.server.send_trailers(1, [(b"x-check", b"down")])
    events, _ = pair.exchange()
    assert the(events, TrailersReceived).headers.raw == [(b"x-check", b"down")]
    assert events[-1] == StreamClosed(1)


def test_body_of_many_frames_and_windows(pair: Pair) -> None:
    """A body of three stream windows goes through while the application reads what comes."""
    content = bytes(range(256)) * 1536 if pair.chunk != 1 else bytes(70_000)
    pair.client.open_stream(b"POST", POST, end_stream=False)
    sent, received = 0, b""
    while len(received) < len(content):
        while size := min(pair.client.sendable(1), len(content) - sent):
            pair.client.send_data(1, content[sent : sent + size], end_stream=sent + size == len(content))
            sent += size
        _, events = pair.exchange()
        received += pair.read(pair.server, events, 1)
    assert received == content
    assert pair.server.remote_ended(1)
    ledger = pair.server.windows.budget.ledger
    assert (ledger.received, ledger.taken, ledger.discarded) == (len(content), len(content), 0)
