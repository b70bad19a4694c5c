"""GOAWAY in both directions (RFC 9113 §6.8). For h2 it is the end of the connection, both ways."""

from __future__ import annotations

import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame, RstStreamFrame, WindowUpdateFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    Pair,
    RawPeer,
    client_peer,
    credits,
    data,
    goaway,
    of_type,
    ping,
    raw_frame,
    server_peer,
    the,
)
from trio_h2._wire._codes import ErrorCode, Initiator, Role
from trio_h2._wire._events import (
    DataReceived,
    GoAwayReceived,
    PingReceived,
    RequestReceived,
    ResponseReceived,
    SessionFailed,
    StreamClosed,
    StreamFailed,
)
from trio_h2._wire._failure import Cause, SessionFailure
from trio_h2._wire._shutdown import LAST_POSSIBLE_ID


def client_with_streams(count: int) -> RawPeer:
    """Returns a client with *count* open streams: 1, 3, 5 …"""
    peer = client_peer()
    for _ in range(count):
        peer.open()
    return peer


@pytest.mark.parametrize(("last", "refused"), [(0, [1, 3, 5]), (1, [3, 5]), (3, [5]), (4, [5]), (5, []), (7, [])])
def test_streams_above_the_last_id_were_not_processed(last: int, refused: list[int]) -> None:
    """B16: last id below, equal, above. Equal is not retryable, it goes on."""
    peer = client_with_streams(3)
    events = peer.feed(goaway(last, ErrorCode.NO_ERROR, b"bye"))
    assert events[0] == GoAwayReceived(last, ErrorCode.NO_ERROR, b"bye")
    assert [type(event) for event in events[1:]] == [StreamFailed, StreamClosed] * len(refused)
    for event in of_type(events, StreamFailed):
        failure = event.failure
        assert failure.stream_id == event.stream_id
        assert (failure.retryable, failure.refused) == (True, True)
        assert (failure.initiator, failure.code) == (Initiator.REMOTE, ErrorCode.REFUSED_STREAM)
        assert failure.debug_data == b"bye"
    assert [event.stream_id for event in of_type(events, StreamFailed)] == refused
    assert peer.engine.shutdown.peer_is_leaving
    for stream_id in sorted(set(peer.engine.streams)):
        assert the(peer.feed(peer.headers(stream_id, OK)), ResponseReceived).stream_id == stream_id
    assert peer.output() == []


def test_two_goaways_the_smaller_id_counts() -> None:
    """B16: the two-step drain, and a third one that must not take anything back."""
    peer = client_with_streams(3)
    assert not of_type(peer.feed(goaway(LAST_POSSIBLE_ID)), StreamFailed)
    events = peer.feed(goaway(3))
    assert [event.stream_id for event in of_type(events, StreamFailed)] == [5]
    assert the(peer.feed(goaway(5, ErrorCode.INTERNAL_ERROR)), GoAwayReceived).last_stream_id == 3
    assert peer.engine.shutdown.received_code == ErrorCode.INTERNAL_ERROR
    events = peer.feed(goaway(1))
    assert [event.stream_id for event in of_type(events, StreamFailed)] == [3]
    assert list(peer.engine.streams) == [1]


def test_goaway_with_an_error_code_lets_streams_finish() -> None:
    """B16: whatever the code; the transport's end decides."""
    peer = client_with_streams(2)
    events = peer.feed(goaway(1, ErrorCode.ENHANCE_YOUR_CALM), peer.headers(1, OK, end=False), data(1, b"x", end=True))
    assert the(events, GoAwayReceived).code == ErrorCode.ENHANCE_YOUR_CALM
    assert the(events, StreamFailed).stream_id == 3
    assert [type(event) for event in events[3:]] == [ResponseReceived, DataReceived, StreamClosed]
    assert the(events[3:], StreamClosed).stream_id == 1
    peer.engine.take(1, 1)
    assert peer.engine.failure is None


def test_unknown_code_and_reserved_bit() -> None:
    peer = client_with_streams(2)
    payload = (0x8000_0001).to_bytes(4, "big") + (0xCAFE).to_bytes(4, "big")
    events = peer.feed(raw_frame(0x7, 0xFF, 0, payload))
    assert events[0] == GoAwayReceived(1, 0xCAFE, b"")


def test_goaway_then_data() -> None:
    """B16: for streams that go on, data; for those given up, credit and silence."""
    peer = client_with_streams(2)
    peer.feed(peer.headers(1, OK, end=False), peer.headers(3, OK, end=False), goaway(1))
    events = peer.feed(data(1, b"wanted"), data(3, b"not wanted", padding=1), data(3, bytes(16_000)))
    assert [event.stream_id for event in of_type(events, DataReceived)] == [1]
    ledger = peer.engine.windows.budget.ledger
    assert (ledger.received, ledger.discarded, ledger.held) == (16_018, 16_012, 6)
    assert not of_type(peer.output(), RstStreamFrame)
    peer.engine.discard(1, 6)


def test_octets_that_a_refused_stream_holds_stay_readable() -> None:
    peer = client_with_streams(1)
    events = peer.feed(peer.headers(1, OK, end=False), data(1, b"early"), goaway(0))
    assert [type(event) for event in events[1:]] == [DataReceived, GoAwayReceived, StreamFailed, StreamClosed]
    peer.engine.take(1, 5)
    assert not credits(peer.engine)


def test_goaway_of_a_client_names_any_id() -> None:
    """B18: last id 0 or an even one; the client's streams are not what it speaks of."""
    for last in (0, 2, LAST_POSSIBLE_ID, 1):
        peer = server_peer()
        peer.feed(peer.headers(1, POST, end=False), peer.headers(3, GET))
        events = peer.feed(goaway(last), data(1, b"go on", end=True))
        assert [type(event) for event in events] == [GoAwayReceived, DataReceived]
        assert list(peer.engine.streams) == [1, 3]
        peer.engine.send_response(1, OK, end_stream=True)
        peer.engine.send_response(3, OK, end_stream=True)
        peer.engine.take(1, 5)
        assert len(peer.sent(HeadersFrame)) == 2


def test_goaway_changes_nothing_about_the_session() -> None:
    """Trap: h2 wipes its output and refuses everything after GOAWAY."""
    peer = client_with_streams(1)
    peer.engine.ping(b"question")
    peer.feed(goaway(LAST_POSSIBLE_ID))
    assert [type(frame).__name__ for frame in peer.output()] == ["PingFrame"]
    assert peer.feed(ping()) == [PingReceived(b"12345678")]
    assert peer.engine.next_stream_id == 3  # not to be used; that is for those above to know


def test_a_drain_in_two_steps() -> None:
    """Our GOAWAY is not our end; the second one tells the client which requests to repeat."""
    pair = Pair()
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    pair.server.goaway(ErrorCode.NO_ERROR, LAST_POSSIBLE_ID)
    pair.client.open_stream(b"GET", GET, end_stream=True)  # on its way while GOAWAY comes
    for_client, for_server = pair.exchange()
    assert the(for_server, RequestReceived).stream_id == 3
    assert the(for_client, GoAwayReceived).last_stream_id == LAST_POSSIBLE_ID
    pair.server.goaway(ErrorCode.NO_ERROR)
    for_client, _ = pair.exchange()
    assert the(for_client, GoAwayReceived).last_stream_id == 3
    for stream_id in 1, 3:
        pair.server.send_response(stream_id, OK, end_stream=True)
    for_client, _ = pair.exchange()
    assert [event.stream_id for event in of_type(for_client, StreamClosed)] == [1, 3]


def test_requests_after_our_goaway_are_discarded_in_step() -> None:
    """RFC 9113 §6.8: frames are discarded, but HPACK and the session's window go on."""
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    assert the(peer.output(), GoAwayFrame).last_stream_id == 1
    events = peer.feed(
        peer.headers(3, [*POST, (b"x-table", b"entry")], end=False),
        data(3, b"lost" * 1000, padding=2),
        data(3, b""),
        peer.headers(3, [(b"x-trailer", b"y")]),
        data(1, b"kept", end=True),
    )
    assert [event.stream_id for event in of_type(events, DataReceived)] == [1]
    assert peer.output() == []
    assert peer.engine.windows.budget.ledger.discarded == 4003
    assert not peer.engine.shutdown.refuses(1)
    peer.engine.take(1, 4)
    peer.engine.send_response(1, [*OK, (b"x", b"y")], end_stream=True)
    frame = the(peer.output(), HeadersFrame)
    assert peer.fields(frame) == [*OK, (b"x", b"y")]


def test_our_last_id_never_grows() -> None:
    peer = server_peer()
    peer.engine.goaway(ErrorCode.NO_ERROR)
    peer.feed(peer.headers(1, GET))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    peer.engine.goaway(ErrorCode.INTERNAL_ERROR, LAST_POSSIBLE_ID)
    assert [(f.last_stream_id, f.error_code) for f in peer.sent(GoAwayFrame)] == [(0, 0), (0, 0), (0, 2)]


def test_a_session_error_after_a_graceful_goaway_says_so() -> None:
    """RFC 9113 §5.4: another GOAWAY with the new code may follow."""
    peer = server_peer()
    peer.feed(peer.headers(1, GET))
    peer.engine.goaway(ErrorCode.NO_ERROR, LAST_POSSIBLE_ID)
    peer.output()
    assert of_type(peer.feed(data(9, b"")), SessionFailed)
    last = the(peer.output(), GoAwayFrame)
    assert (last.last_stream_id, last.error_code) == (1, ErrorCode.PROTOCOL_ERROR)


def test_a_client_that_says_goaway_still_answers_late_data_with_a_reset() -> None:
    """Its last id is about pushed streams; its own closed streams are none of them."""
    peer = client_with_streams(1)
    peer.feed(peer.headers(1, OK))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    peer.feed(data(1, b"late"))
    assert [type(frame).__name__ for frame in peer.output()] == ["GoAwayFrame", "RstStreamFrame"]


@pytest.mark.parametrize("cause", [cause for cause in Cause])
def test_which_failures_send_goaway(cause: Cause) -> None:
    """Nothing is sent into a transport that is lost, nor where one side has said its goodbye."""
    peer = server_peer()
    failure = SessionFailure(cause, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "a reason — " + "x" * 600)
    peer.engine.fail(failure)
    peer.engine.fail(SessionFailure(Cause.LOST, None, Initiator.REMOTE, "later"))
    assert peer.engine.failure is failure
    sent = peer.sent(GoAwayFrame)
    assert len(sent) == (0 if cause in (Cause.LOST, Cause.CLOSED, Cause.GOAWAY) else 1)
    assert all(len(frame.additional_data) == 512 for frame in sent)


def test_failure_without_a_code() -> None:
    peer = server_peer()
    peer.engine.fail(SessionFailure(Cause.KEEPALIVE, None, Initiator.LIBRARY, "silence"))
    assert the(peer.output(), GoAwayFrame).error_code == ErrorCode.NO_ERROR


def test_credit_still_goes_back_after_goaway() -> None:
    """A credit leak on DATA after GOAWAY is a bug that other libraries had."""
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    for _ in range(2100):  # 33 MiB: more than the whole budget
        peer.feed(data(1, bytes(16_000)))
        peer.engine.take(1, 16_000)
    assert of_type(peer.output(), WindowUpdateFrame)
    assert peer.engine.role is Role.SERVER
