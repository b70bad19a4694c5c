"""Requests, responses, bodies and trailers through two engines: what one sends, the other one reports."""

from __future__ import annotations

import pytest

from tests.wire.engine_pair import CONNECT, GET, HEAD, OK, POST, Pair, body, check_books, credits, of_type, the
from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._events import (
    DataReceived,
    InformationalReceived,
    RequestReceived,
    ResponseReceived,
    StreamClosed,
    StreamFailed,
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


def test_trailers_without_fields_are_empty_data_with_end_stream(pair: Pair) -> None:
    """Trap: h2 raises IndexError for an empty field block."""
    pair.client.open_stream(b"POST", POST, end_stream=False)
    pair.client.send_trailers(1, [])
    _, events = pair.exchange()
    assert the(events, DataReceived) == DataReceived(1, b"", end_stream=True)
    assert pair.client.streams[1].local_ended


def test_any_number_of_informational_responses(pair: Pair) -> None:
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    for _ in range(20):
        pair.server.send_informational(1, [(b":status", b"103"), (b"link", b"</style.css>; rel=preload")])
    pair.server.send_informational(1, [(b":status", b"100")])
    assert not pair.server.streams[1].local_ended
    pair.server.send_response(1, OK, end_stream=True)
    events, _ = pair.exchange()
    assert [event.headers.status for event in of_type(events, InformationalReceived)] == [103] * 20 + [100]
    assert the(events, ResponseReceived).headers.status == 200


@pytest.mark.parametrize("status", [b"200", b"204", b"304"])
def test_no_content_with_content_length_and_empty_data_is_fine(pair: Pair, status: bytes) -> None:
    """h2 ends the whole session for content-length with HEAD or 304 and an empty DATA frame."""
    fields = HEAD if status == b"200" else GET
    pair.client.open_stream(fields[0][1], fields, end_stream=True)
    pair.exchange()
    response = [(b":status", status), (b"content-length", b"4711")]
    pair.server.send_response(1, response, end_stream=False)
    pair.server.send_data(1, b"", end_stream=True)
    events, _ = pair.exchange()
    assert the(events, ResponseReceived).headers["content-length"] == "4711"
    assert events[-2:] == [DataReceived(1, b"", end_stream=True), StreamClosed(1)]


@pytest.mark.parametrize("status", [b"200", b"204", b"304"])
def test_content_where_none_may_be_is_an_error_of_its_stream(pair: Pair, status: bytes) -> None:
    """B28: inbound 204 with DATA is a stream error; so are HEAD and 304."""
    fields = HEAD if status == b"200" else GET
    pair.client.open_stream(fields[0][1], fields, end_stream=True)
    pair.exchange()
    pair.server.send_response(1, [(b":status", status)], end_stream=False)
    pair.server.send_data(1, b"content", end_stream=True)
    events, events_of_server = pair.exchange()
    assert the(events, StreamFailed).failure.code == ErrorCode.PROTOCOL_ERROR
    assert not pair.client.windows.budget.ledger.held
    assert events_of_server == []  # its side had ended; the reset comes late
    pair.client.open_stream(b"GET", GET, end_stream=True)
    _, events = pair.exchange()
    assert the(events, RequestReceived).stream_id == 3


@pytest.mark.parametrize("status", [b"200", b"204"])
def test_connect_makes_a_tunnel_whatever_content_length_says(pair: Pair, status: bytes) -> None:
    """h2 polices content-length on the tunnel; RFC 9110 §9.3.6 wants it ignored, and any 2xx opens the tunnel."""
    pair.client.open_stream(b"CONNECT", CONNECT, end_stream=False)
    _, events = pair.exchange()
    assert the(events, RequestReceived).headers.raw == CONNECT
    pair.server.send_response(1, [(b":status", status), (b"content-length", b"3")], end_stream=False)
    for _ in range(3):
        pair.client.send_data(1, b"ping", end_stream=False)
        pair.server.send_data(1, b"pong", end_stream=False)
        for_client, for_server = pair.exchange()
        assert pair.read(pair.server, for_server, 1) == b"ping"
        assert pair.read(pair.client, for_client, 1) == b"pong"
    pair.client.send_data(1, b"", end_stream=True)
    pair.exchange()
    pair.server.send_data(1, b"last words", end_stream=True)
    events, _ = pair.exchange()
    assert pair.read(pair.client, events, 1) == b"last words"
    assert events[-1] == StreamClosed(1)


@pytest.mark.parametrize("status", [b"300", b"403"])
def test_refused_connect_has_a_content_length_like_others(pair: Pair, status: bytes) -> None:
    pair.client.open_stream(b"CONNECT", CONNECT, end_stream=False)
    pair.exchange()
    pair.server.send_response(1, [(b":status", status), (b"content-length", b"3")], end_stream=False)
    pair.server.send_data(1, b"four", end_stream=True)
    events, _ = pair.exchange()
    assert the(events, StreamFailed).failure.code == ErrorCode.PROTOCOL_ERROR


def test_the_response_may_be_complete_before_the_request(pair: Pair) -> None:
    """B26, P17: response, END_STREAM, RST_STREAM(NO_ERROR); the client keeps the response."""
    pair.client.open_stream(b"POST", POST, end_stream=False)
    pair.client.send_data(1, b"some of it", end_stream=False)
    _, events = pair.exchange()
    pair.server.discard(1, len(body(events, 1)))
    pair.server.send_response(1, OK, end_stream=False)
    pair.server.send_data(1, b"enough", end_stream=True)
    assert list(pair.server.streams) == [1]
    pair.server.reset(1, ErrorCode.NO_ERROR)
    pair.client.send_data(1, b"too late", end_stream=False)
    events, late = pair.exchange()
    assert late == []
    assert [type(event) for event in events] == [ResponseReceived, DataReceived, StreamFailed, StreamClosed]
    failed = the(events, StreamFailed).failure
    assert failed.code == ErrorCode.NO_ERROR
    assert body(events, 1) == b"enough"
    pair.client.take(1, 6)  # still to be had
    assert not credits(pair.client)
    assert not credits(pair.server)
    check_books(pair.client)


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


def test_many_streams_at_once_have_rising_ids(pair: Pair) -> None:
    """B13, as far as the engine has a say."""
    ids = [pair.client.open_stream(b"GET", GET, end_stream=True) for _ in range(50)]
    _, events = pair.exchange()
    assert ids == list(range(1, 100, 2))
    assert [event.stream_id for event in of_type(events, RequestReceived)] == ids
    for stream_id in reversed(ids):
        pair.server.send_response(stream_id, OK, end_stream=True)
    events, _ = pair.exchange()
    assert [event.stream_id for event in of_type(events, StreamClosed)] == ids[::-1]
