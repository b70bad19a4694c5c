"""Errors of one stream stay with it: one RST_STREAM with the right code, and the next request works.

h2 makes many of these an error of the connection.
"""

from __future__ import annotations

import pytest
from hyperframe.frame import Frame, RstStreamFrame

from tests.wire.engine_pair import (
    CONNECT,
    GET,
    OK,
    POST,
    Fields,
    RawPeer,
    client_peer,
    data,
    of_type,
    raw_frame,
    reset,
    server_peer,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode, Initiator, Role
from trio_h2._wire._config import ClientConfig, ServerConfig
from trio_h2._wire._events import (
    InformationalReceived,
    RequestReceived,
    ResponseReceived,
    StreamClosed,
    StreamFailed,
    TrailersReceived,
)

SIZED_POST: Fields = [*POST, (b"content-length", b"5")]


def assert_alive(peer: RawPeer) -> None:
    """Another exchange works: HPACK and the session's state are in step."""
    engine = peer.engine
    if engine.next_stream_id and engine.next_stream_id % 2:
        stream_id = peer.open()
        events = peer.feed(peer.headers(stream_id, [(b":status", b"200"), (b"x-fresh", b"entry")]))
        assert the(events, ResponseReceived).headers["x-fresh"] == "entry"
    else:
        stream_id = engine.highest_inbound_id + 2
        events = peer.feed(peer.headers(stream_id, [*GET, (b"x-fresh", b"entry")]))
        assert the(events, RequestReceived).headers["x-fresh"] == "entry"
        engine.reset(stream_id, ErrorCode.CANCEL)
        engine.handler_done(stream_id)
    assert engine.failure is None
    peer.output()


def assert_one_reset(peer: RawPeer, stream_id: int, code: ErrorCode) -> None:
    """Exactly one RST_STREAM goes out, and later frames on the stream are met with silence."""
    sent = the(peer.output(), RstStreamFrame)
    assert (sent.stream_id, sent.error_code) == (stream_id, code)
    late: list[Frame | bytes] = [
        data(stream_id, b"late"),
        window_update(stream_id, 5000),
        reset(stream_id),
        peer.headers(stream_id, OK),
    ]
    assert peer.feed(*late) == []
    assert peer.output() == []


MALFORMED_REQUESTS: dict[str, Fields] = {
    "no method": GET[1:],
    "empty method": [(b":method", b""), *GET[1:]],
    "spaced method": [(b":method", b"GE T"), *GET[1:]],
    "empty scheme": [(b":method", b"GET"), (b":scheme", b""), *GET[2:]],
    "path without slash": [*GET[:3], (b":path", b"index")],
    "path with control": [*GET[:3], (b":path", b"/\x01")],
    "authority with user": [*GET[:2], (b":authority", b"me@example.com"), GET[3]],
    "authority with space": [*GET[:2], (b":authority", b"example .com"), GET[3]],
    "upper case": [*GET, (b"X-Upper", b"x")],
    "name that is no token": [*GET, (b"x y", b"x")],
    "control in value": [*GET, (b"x", b"a\x01b")],
    "delete in value": [*GET, (b"x", b"a\x7fb")],
    "line break in value": [*GET, (b"x", b"a\r\nb")],
    "connection-specific": [*GET, (b"connection", b"close")],
    "te": [*GET, (b"te", b"gzip")],
    "late pseudo-header": [*GET[:3], (b"x", b"y"), GET[3]],
    "repeated pseudo-header": [*GET, (b":path", b"/")],
    "unknown pseudo-header": [(b":color", b"red"), *GET],
    "response pseudo-header": [*GET, (b":status", b"200")],
    "different content-lengths": [*GET, (b"content-length", b"1"), (b"content-length", b"2")],
    "content-length that is no number": [*GET, (b"content-length", b"-1")],
    "extended CONNECT that is off": [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]],
    "CONNECT without authority": [(b":method", b"CONNECT")],
}


@pytest.mark.parametrize("name", MALFORMED_REQUESTS)
def test_malformed_request_is_a_stream_error_and_the_next_one_decodes(name: str) -> None:
    """B15: an invalid header, then a valid one."""
    peer = server_peer()
    assert peer.feed(peer.headers(1, [*MALFORMED_REQUESTS[name], (b"x-table", b"entry")])) == []
    assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
    assert not peer.engine.slots
    assert_alive(peer)


def test_content_length_of_a_connect_is_nobodys_business() -> None:
    """h2 ends the session for one that is no number."""
    peer = server_peer()
    fields = [(b":method", b"CONNECT"), (b":authority", b"example.com:443"), (b"content-length", b"many")]
    assert the(peer.feed(peer.headers(1, fields, end=False)), RequestReceived).stream_id == 1
    assert peer.feed(data(1, b"tunnelled"))
    peer.engine.discard(1, 9)


MALFORMED_RESPONSES: dict[str, Fields] = {
    "no status": [(b"x", b"y")],
    "status that is no number": [(b":status", b"OK")],
    "status 99": [(b":status", b"99")],
    "status 600": [(b":status", b"600")],
    "status 101": [(b":status", b"101")],
    "status with a sign": [(b":status", b"+200")],
    "request pseudo-header": [*OK, (b":path", b"/")],
    "content-length without a body": [*OK, (b"content-length", b"3")],
    "upper case": [*OK, (b"X-Upper", b"x")],
}


@pytest.mark.parametrize("name", MALFORMED_RESPONSES)
def test_malformed_response_is_a_stream_error(name: str) -> None:
    peer = client_peer()
    stream_id = peer.open()
    events = peer.feed(peer.headers(stream_id, MALFORMED_RESPONSES[name]))
    assert [type(event) for event in events] == [StreamFailed, StreamClosed]
    failure = the(events, StreamFailed).failure
    assert (failure.code, failure.initiator) == (ErrorCode.PROTOCOL_ERROR, Initiator.LIBRARY)
    assert not failure.retryable
    assert_one_reset(peer, stream_id, ErrorCode.PROTOCOL_ERROR)
    assert_alive(peer)


@pytest.mark.parametrize("bodies", [[b"1234"], [b"123456"], [b"123", b"456"], [b""]])
def test_content_length_mismatch_of_a_request(bodies: list[bytes]) -> None:
    """B29, and with the octets credited."""
    peer = server_peer()
    peer.feed(peer.headers(1, SIZED_POST, end=False))
    *first, last = bodies
    events = peer.feed(*(data(1, part) for part in first), data(1, last, end=True))
    assert the(events, StreamFailed).failure.code == ErrorCode.PROTOCOL_ERROR
    assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
    held = peer.engine.windows.budget.ledger.held
    assert held == sum(map(len, first))  # reported before the error, so not ours to discard
    peer.engine.discard(1, held)
    assert_alive(peer)


def test_content_length_mismatch_of_a_response() -> None:
    peer = client_peer()
    stream_id = peer.open()
    peer.feed(peer.headers(stream_id, [*OK, (b"content-length", b"5")], end=False))
    events = peer.feed(data(stream_id, b"1234", end=True))
    assert [type(event) for event in events] == [StreamFailed, StreamClosed]
    assert_one_reset(peer, stream_id, ErrorCode.PROTOCOL_ERROR)
    assert_alive(peer)


def test_content_length_mismatch_shows_when_the_message_ends_in_trailers() -> None:
    """Validation gap of h2."""
    peer = server_peer()
    peer.feed(peer.headers(1, SIZED_POST, end=False))
    events = peer.feed(data(1, b"1234"), peer.headers(1, [(b"x", b"y")]))
    peer.engine.discard(1, 4)
    assert not of_type(events, TrailersReceived)
    assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
    assert_alive(peer)


def test_content_length_with_end_stream_on_headers() -> None:
    """Validation gap of h2."""
    peer = server_peer()
    assert peer.feed(peer.headers(1, SIZED_POST)) == []
    assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
    assert_alive(peer)


def test_content_length_that_fits() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, [*SIZED_POST, (b"content-length", b"5")], end=False))
    events = peer.feed(data(1, b"123"), data(1, b"45"), peer.headers(1, [(b"content-length", b"77")]))
    assert the(events, TrailersReceived).headers["content-length"] == "77"  # means nothing in trailers
    peer.engine.discard(1, 5)
    assert not of_type(events, StreamFailed)


TRAILERS_GONE_WRONG: dict[str, tuple[Fields, bool]] = {
    "without END_STREAM": ([(b"x", b"y")], False),
    "with pseudo-header": ([(b":path", b"/")], True),
    "connection-specific": ([(b"transfer-encoding", b"chunked")], True),
}


@pytest.mark.parametrize("name", TRAILERS_GONE_WRONG)
def test_trailers_gone_wrong(name: str) -> None:
    fields, end = TRAILERS_GONE_WRONG[name]
    server, client = server_peer(), client_peer()
    server.feed(server.headers(1, POST, end=False))
    client.open()
    client.feed(client.headers(1, OK, end=False))
    for peer in server, client:
        events = peer.feed(peer.headers(1, fields, end=end))
        assert [type(event) for event in events] == [StreamFailed, StreamClosed]
        assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
        assert_alive(peer)


@pytest.mark.parametrize("end", [True, False])
def test_headers_in_the_tunnel_of_a_connect(end: bool) -> None:
    """RFC 9113 §8.5: trailers included."""
    server, client = server_peer(), client_peer()
    server.feed(server.headers(1, CONNECT, end=False))
    client.open(b"CONNECT", end=False)
    client.feed(client.headers(1, OK, end=False))
    for peer in server, client:
        events = peer.feed(peer.headers(1, [(b"x", b"y")], end=end))
        assert [type(event) for event in events] == [StreamFailed, StreamClosed]
        assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
        assert_alive(peer)


def test_an_answer_that_refuses_a_tunnel_may_have_trailers() -> None:
    peer = client_peer()
    peer.open(b"CONNECT", end=False)
    events = peer.feed(peer.headers(1, [(b":status", b"502")], end=False), peer.headers(1, [(b"x", b"y")]))
    assert [type(event) for event in events] == [ResponseReceived, TrailersReceived]


@pytest.mark.parametrize("final_first", [False, True])
def test_informational_response_misused(final_first: bool) -> None:
    """B30: 1xx with END_STREAM, and after the final response."""
    peer = client_peer()
    stream_id = peer.open()
    if final_first:
        peer.feed(peer.headers(stream_id, OK, end=False))
    events = peer.feed(peer.headers(stream_id, [(b":status", b"103")], end=not final_first))
    assert not of_type(events, InformationalReceived)
    assert the(events, StreamFailed).failure.code == ErrorCode.PROTOCOL_ERROR
    assert_one_reset(peer, stream_id, ErrorCode.PROTOCOL_ERROR)
    assert_alive(peer)


def test_data_before_the_response_headers() -> None:
    peer = client_peer()
    stream_id = peer.open()
    events = peer.feed(data(stream_id, b"hasty"))
    assert the(events, StreamFailed).failure.code == ErrorCode.PROTOCOL_ERROR
    assert peer.engine.windows.budget.ledger.discarded == 5
    assert_one_reset(peer, stream_id, ErrorCode.PROTOCOL_ERROR)
    assert_alive(peer)


@pytest.mark.parametrize("acknowledged", [True, False])
def test_too_many_streams_are_refused_also_before_our_settings_were_acknowledged(acknowledged: bool) -> None:
    """B9: REFUSED_STREAM, not GOAWAY; refused streams say that a retry is safe."""
    peer = RawPeer(Role.SERVER, ServerConfig(max_concurrent_streams=3))
    peer.handshake(acknowledge=acknowledged)
    events = peer.feed(*(peer.headers(stream_id, GET) for stream_id in range(1, 13, 2)))
    assert [event.stream_id for event in of_type(events, RequestReceived)] == [1, 3, 5]
    refused = peer.sent(RstStreamFrame)
    assert [frame.stream_id for frame in refused] == [7, 9, 11]
    assert {frame.error_code for frame in refused} == {ErrorCode.REFUSED_STREAM}
    peer.engine.send_response(3, OK, end_stream=True)
    peer.engine.handler_done(3)
    assert the(peer.feed(peer.headers(13, GET)), RequestReceived).stream_id == 13


def test_refused_by_the_peer_is_retryable() -> None:
    peer = client_peer()
    peer.open()
    peer.open()
    events = peer.feed(reset(1, ErrorCode.REFUSED_STREAM), reset(3, 0xBEEF))
    refused, other = (event.failure for event in of_type(events, StreamFailed))
    assert (refused.refused, refused.retryable, refused.code) == (True, True, ErrorCode.REFUSED_STREAM)
    assert (other.refused, other.retryable, other.code) == (False, False, 0xBEEF)
    assert refused.initiator is other.initiator is Initiator.REMOTE
    assert "0xbeef" in other.reason
    assert peer.output() == []  # RFC 9113 §5.4.2: never RST_STREAM for RST_STREAM


def test_window_update_of_zero_on_a_stream() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, GET))
    events = peer.feed(window_update(1, 0))
    assert the(events, StreamFailed).failure.code == ErrorCode.PROTOCOL_ERROR
    assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
    assert peer.feed(window_update(1, 0)) == []
    assert peer.output() == []
    assert_alive(peer)


def test_window_of_a_stream_overflows() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, GET))
    assert not of_type(peer.feed(window_update(1, 2**31 - 1 - 65_535)), StreamFailed)
    events = peer.feed(window_update(1, 1))
    assert the(events, StreamFailed).failure.code == ErrorCode.FLOW_CONTROL_ERROR
    assert_one_reset(peer, 1, ErrorCode.FLOW_CONTROL_ERROR)
    assert_alive(peer)


@pytest.mark.parametrize("frame", [data(1, b"more"), data(1, b""), None], ids=["data", "empty data", "headers"])
def test_frames_after_end_stream(frame: Frame | None) -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, GET))
    events = peer.feed(frame or peer.headers(1, [(b"x", b"y")]))
    assert the(events, StreamFailed).failure.code == ErrorCode.STREAM_CLOSED
    assert_one_reset(peer, 1, ErrorCode.STREAM_CLOSED)
    assert_alive(peer)


def test_priority_with_a_wrong_length() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, GET))
    events = peer.feed(raw_frame(0x2, 0, 1, b"\0\0\0\0"))
    assert the(events, StreamFailed).failure.code == ErrorCode.FRAME_SIZE_ERROR
    assert_one_reset(peer, 1, ErrorCode.FRAME_SIZE_ERROR)
    assert_alive(peer)


def test_streams_that_depend_on_themselves() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    assert of_type(peer.feed(raw_frame(0x2, 0, 1, b"\x80\0\0\x01\x10")), StreamFailed)
    assert_one_reset(peer, 1, ErrorCode.PROTOCOL_ERROR)
    for stream_id in 3, 5:  # in the request, and in the trailers
        if stream_id == 5:
            peer.feed(peer.headers(stream_id, POST, end=False))
        frame = peer.headers(stream_id, GET)
        frame.flags.add("PRIORITY")
        frame.depends_on = stream_id
        assert bool(of_type(peer.feed(frame), StreamFailed)) is (stream_id == 5)
        assert_one_reset(peer, stream_id, ErrorCode.PROTOCOL_ERROR)
    assert_alive(peer)


def test_priority_signals_are_accepted_and_ignored() -> None:
    peer = server_peer()
    frame = peer.headers(3, GET)
    frame.flags.add("PRIORITY")
    frame.depends_on = 1
    priority = b"\0\0\0\x05\x10"
    events = peer.feed(raw_frame(0x2, 0, 1, priority), raw_frame(0x2, 0, 3, priority), frame)
    assert [type(event) for event in events] == [RequestReceived]
    assert peer.output() == []


def test_response_headers_too_large_end_their_stream_only() -> None:
    """Over the limit, in octets or fields: a client resets the stream."""
    peer = client_peer(ClientConfig(max_header_fields=10, max_header_list_size=1000))
    many: Fields = [*OK, *((b"x", b"y") for _ in range(10))]
    large: Fields = [*OK, (b"x", bytes(b"y" * 1000))]
    for fields in many, large:
        stream_id = peer.open()
        events = peer.feed(peer.headers(stream_id, fields))
        assert the(events, StreamFailed).failure.code == ErrorCode.ENHANCE_YOUR_CALM
        assert_one_reset(peer, stream_id, ErrorCode.ENHANCE_YOUR_CALM)
    assert_alive(peer)


def test_a_stream_error_is_reported_before_its_end() -> None:
    """StreamFailed says why, StreamClosed that it no longer counts."""
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    events = peer.feed(data(1, b"some"), data(1, b"bad", padding=0), peer.headers(1, [(b":bad", b"")]))
    assert [type(event) for event in events][-2:] == [StreamFailed, StreamClosed]
    assert peer.closed == []
    peer.engine.discard(1, 7)
    assert peer.engine.slots == {1}  # until the handler has ended
    peer.engine.handler_done(1)
    assert not peer.engine.slots
