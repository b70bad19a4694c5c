"""Frames on idle, closed and forgotten streams; resets of our own; ids (RFC 9113 §§5.1 and 5.1.1)."""

from __future__ import annotations

import pytest
from hyperframe.frame import Frame, RstStreamFrame, WindowUpdateFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    assert_dies,
    client_peer,
    data,
    of_type,
    ping,
    raw_frame,
    reset,
    server_peer,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode, Initiator, Role
from trio_h2._wire._config import ServerConfig
from trio_h2._wire._engine import HIGHEST_STREAM_ID
from trio_h2._wire._events import (
    DataReceived,
    PingReceived,
    RequestReceived,
    ResponseReceived,
    StreamClosed,
    StreamFailed,
)
from trio_h2._wire._resets import MAX_REMEMBERED_RESETS

IDLE: dict[str, Frame | bytes] = {
    "DATA": data(5, b"x"),
    "RST_STREAM": reset(5),
    "WINDOW_UPDATE": window_update(5, 10_000),
    "WINDOW_UPDATE of 0": window_update(5, 0),
    "self-dependent PRIORITY": raw_frame(0x2, 0, 5, b"\0\0\0\x05\x10"),
}


@pytest.mark.parametrize("name", IDLE)
def test_frames_on_idle_streams_end_the_session(name: str) -> None:
    """h2 ignores RST_STREAM on an idle stream."""
    server, client = server_peer(), client_peer()
    server.feed(server.headers(1, GET))
    client.open()
    for peer in server, client:
        assert_dies(peer, peer.feed(IDLE[name]))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("frame", [data(2, b"x"), reset(2), window_update(2, 10_000)], ids=["data", "reset", "update"])
def test_streams_of_the_server_are_idle_for_ever(role: Role, frame: Frame | bytes) -> None:
    peer = server_peer() if role is Role.SERVER else client_peer()
    assert_dies(peer, peer.feed(frame))


def test_malformed_priority_on_an_idle_stream_ends_the_session_with_its_code() -> None:
    """RST_STREAM must not be sent on an idle stream."""
    peer = server_peer()
    assert_dies(peer, peer.feed(raw_frame(0x2, 0, 5, b"\0" * 6)), ErrorCode.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("stream_id", [2, 5])
def test_headers_on_idle_streams_of_a_client(stream_id: int) -> None:
    """A server opens streams with PUSH_PROMISE only."""
    peer = client_peer()
    peer.open()
    assert_dies(peer, peer.feed(peer.headers(stream_id, OK)))


def test_even_stream_of_a_client() -> None:
    peer = server_peer()
    assert_dies(peer, peer.feed(peer.headers(2, GET)))
    assert peer.engine.failure is not None
    assert peer.engine.failure.reason == "the client opened the even stream 2"


def test_a_stream_that_was_jumped_over_cannot_be_opened() -> None:
    """RFC 9113 §5.1.1: it is closed."""
    peer = server_peer()
    assert the(peer.feed(peer.headers(7, GET)), RequestReceived).stream_id == 7
    assert_dies(peer, peer.feed(peer.headers(5, GET)))


@pytest.mark.parametrize("frame", [data(3, b"x"), data(3, b""), window_update(3, 0)], ids=["data", "empty", "update"])
def test_other_frames_on_a_stream_that_was_jumped_over(frame: Frame | bytes) -> None:
    peer = server_peer()
    peer.feed(peer.headers(7, GET))
    assert peer.feed(frame) == []
    assert the(peer.output(), RstStreamFrame).stream_id == 3
    assert peer.feed(frame) == []
    assert peer.output() == []


def test_late_frames_that_are_always_allowed_on_closed_streams() -> None:
    """B24: WINDOW_UPDATE and RST_STREAM may come late, whoever closed the stream, and nobody hears of them."""
    server, client = server_peer(), client_peer()
    server.feed(server.headers(1, GET))
    server.engine.send_response(1, OK, end_stream=True)
    client.open()
    client.feed(client.headers(1, OK))
    for peer in server, client:
        peer.output()
        assert not peer.engine.streams
        assert peer.feed(window_update(1, 7), window_update(1, 70_000), reset(1), raw_frame(0x2, 0, 1, bytes(5))) == []
        assert peer.output() == []


@pytest.mark.parametrize("role", list(Role))
def test_late_data_and_headers_on_closed_and_forgotten_streams(role: Role) -> None:
    """B24: they must not come; one RST_STREAM says so, and the session goes on."""
    peer = server_peer() if role is Role.SERVER else client_peer()
    if role is Role.SERVER:
        peer.feed(peer.headers(1, GET))
        peer.engine.send_response(1, OK, end_stream=True)
    else:
        peer.open()
        peer.feed(peer.headers(1, OK))
    peer.output()
    assert peer.feed(data(1, b"late", padding=3)) == []
    assert [(f.stream_id, f.error_code) for f in peer.sent(RstStreamFrame)] == [(1, ErrorCode.STREAM_CLOSED)]
    assert peer.engine.windows.budget.ledger.discarded == 8
    assert peer.feed(data(1, b"later"), data(1, b"last", end=True), peer.headers(1, [(b"x", b"y")])) == []
    assert peer.output() == []
    assert peer.feed(ping()) == [PingReceived(b"12345678")]


def test_late_headers_alone_on_a_closed_stream() -> None:
    server, client = server_peer(), client_peer()
    server.feed(server.headers(1, GET))
    server.engine.send_response(1, OK, end_stream=True)
    client.open()
    client.feed(client.headers(1, OK))
    for peer in server, client:
        peer.output()
        assert_dies(peer, peer.feed(peer.headers(1, [(b"x-late", b"entry")])), ErrorCode.STREAM_CLOSED)


@pytest.mark.parametrize("ours", [True, False])
def test_late_headers_on_a_stream_that_was_reset(ours: bool) -> None:
    """The peer may not know yet, or has lost count of what it reset: the session lives."""
    server, client = server_peer(), client_peer()
    server.feed(server.headers(1, GET))
    client.open()
    for peer in server, client:
        if ours:
            peer.engine.reset(1, ErrorCode.CANCEL)
        else:
            peer.feed(reset(1))
        peer.output()
        assert peer.feed(peer.headers(1, [(b"x-late", b"entry")])) == []
        resets = [(frame.stream_id, frame.error_code) for frame in peer.sent(RstStreamFrame)]
        assert resets == ([] if ours else [(1, ErrorCode.STREAM_CLOSED)])


def test_late_headers_on_a_stream_whose_reset_is_forgotten() -> None:
    peer = server_peer(ServerConfig(reset_burst=10_000))
    for stream_id in range(1, 2 * MAX_REMEMBERED_RESETS + 7, 2):
        peer.feed(peer.headers(stream_id, GET), reset(stream_id))
        peer.engine.handler_done(stream_id)
    peer.output()
    peer.feed(peer.headers(3, [(b"x-late", b"entry")]))
    assert the(peer.output(), RstStreamFrame).error_code == ErrorCode.STREAM_CLOSED


def test_one_reset_per_stream_and_silence_for_what_was_under_way() -> None:
    """Late frames get no further RST_STREAM."""
    peer = client_peer()
    stream_id = peer.open(b"POST", end=False)
    peer.feed(peer.headers(stream_id, OK, end=False))
    peer.engine.reset(stream_id, ErrorCode.CANCEL)
    peer.engine.reset(stream_id, ErrorCode.CANCEL)
    assert peer.closed == [stream_id]
    assert [(f.stream_id, f.error_code) for f in peer.sent(RstStreamFrame)] == [(1, ErrorCode.CANCEL)]
    events = peer.feed(
        data(stream_id, b"1" * 1000, padding=9),
        data(stream_id, b""),
        window_update(stream_id, 5),
        peer.headers(stream_id, [(b"x-trailer", b"entry")]),
        reset(stream_id),
    )
    assert events == []
    assert peer.output() == []
    ledger = peer.engine.windows.budget.ledger
    assert (ledger.received, ledger.discarded) == (1010, 1010)


def test_resets_are_remembered_for_a_while_only() -> None:
    peer = server_peer()
    for stream_id in range(1, 2 * MAX_REMEMBERED_RESETS + 7, 2):
        peer.feed(peer.headers(stream_id, GET))
        peer.engine.reset(stream_id, ErrorCode.CANCEL)
        peer.engine.handler_done(stream_id)
    peer.output()
    assert len(peer.engine.resets.by_us) == MAX_REMEMBERED_RESETS
    peer.feed(data(7, b"x"))
    assert peer.output() == []
    peer.feed(data(5, b"x"))
    assert the(peer.output(), RstStreamFrame).error_code == ErrorCode.STREAM_CLOSED


def test_a_reset_of_the_peer_ends_both_sides() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    events = peer.feed(data(1, b"some"), reset(1, ErrorCode.CANCEL))
    assert [type(event) for event in events] == [DataReceived, StreamFailed, StreamClosed]
    failure = the(events, StreamFailed).failure
    assert (failure.code, failure.initiator, failure.stream_id) == (ErrorCode.CANCEL, Initiator.REMOTE, 1)
    assert peer.engine.slots == {1}
    peer.engine.handler_done(1)
    assert not peer.engine.slots
    peer.engine.discard(1, 4)
    peer.engine.reset(1, ErrorCode.CANCEL)  # nothing: it is over
    assert peer.output() == []


def test_a_stream_of_ours_is_never_open_in_between() -> None:
    """B12: HEADERS then RST_STREAM when a stream is given up before the first flush."""
    peer = client_peer()
    peer.engine.open_stream(b"GET", GET, end_stream=True)
    peer.engine.reset(1, ErrorCode.CANCEL)
    frames = peer.output()
    assert [type(frame).__name__ for frame in frames] == ["HeadersFrame", "RstStreamFrame"]


def test_stream_ids_exhausted() -> None:
    """B22: the last id can be used, then there is none."""
    peer = client_peer()
    peer.engine.highest_outbound_id = HIGHEST_STREAM_ID - 2
    assert peer.open() == HIGHEST_STREAM_ID
    assert peer.engine.next_stream_id is None
    assert the(peer.feed(peer.headers(HIGHEST_STREAM_ID, OK)), ResponseReceived).stream_id == HIGHEST_STREAM_ID


def test_ids_start_at_one_for_clients_and_two_for_servers() -> None:
    assert client_peer().engine.next_stream_id == 1
    assert server_peer().engine.next_stream_id == 2


def test_the_highest_id_a_client_can_use() -> None:
    peer = server_peer()
    assert the(peer.feed(peer.headers(HIGHEST_STREAM_ID, GET)), RequestReceived).stream_id == HIGHEST_STREAM_ID


def test_a_running_handler_holds_its_stream_beside_the_open_ones() -> None:
    """A client that keeps the limit is not refused because a handler takes a step longer; those above let it wait."""
    peer = server_peer(ServerConfig(max_concurrent_streams=1))
    peer.feed(peer.headers(1, GET), reset(1))
    assert not peer.engine.streams
    assert of_type(peer.feed(peer.headers(3, GET)), RequestReceived)
    assert peer.engine.slots == {1, 3}
    assert not of_type(peer.feed(peer.headers(5, GET)), RequestReceived)
    assert the(peer.output(), RstStreamFrame).error_code == ErrorCode.REFUSED_STREAM
    peer.feed(reset(3))
    assert not of_type(peer.feed(peer.headers(7, GET)), RequestReceived)  # but not without end
    assert the(peer.output(), RstStreamFrame).error_code == ErrorCode.REFUSED_STREAM
    peer.engine.handler_done(1)
    assert of_type(peer.feed(peer.headers(9, GET)), RequestReceived)
    peer.engine.handler_done(9)
    assert peer.engine.slots == {3, 9}  # its stream is still open
    peer.engine.send_response(9, OK, end_stream=True)
    assert peer.engine.slots == {3}


def test_window_updates_are_reported_once_per_read() -> None:
    """A read with thousands of them costs one look."""
    peer = server_peer()
    peer.feed(peer.headers(1, GET), peer.headers(3, GET))
    events = peer.feed(*[window_update(1, 2000), window_update(0, 2000), window_update(3, 2000)] * 100)
    assert len(events) == 3
    assert peer.engine.stream_window(1) == 65_535 + 200_000
    assert peer.engine.connection_window == 65_535 + 200_000
    assert len(peer.feed(window_update(1, 2000))) == 1
    assert not of_type(peer.output(), WindowUpdateFrame)


def test_unknown_frames_are_discarded() -> None:
    """RFC 9113 §5.5; a malformed ALTSVC is to be ignored, too (RFC 7838 §4)."""
    server, client = server_peer(), client_peer()
    client.open()
    for peer in server, client:
        events = peer.feed(
            raw_frame(0xA, 0, 0, b"\xff\xffshort"),
            raw_frame(0xA, 0, 1, b""),
            raw_frame(0xC, 0, 0, b"\x00"),
            raw_frame(0xFE, 0xFF, 2**31 + 99, bytes(100)),
            ping(),
        )
        assert events == [PingReceived(b"12345678")]


def test_push_is_refused() -> None:
    """Push is off, and a client cannot push anyhow."""
    server, client = server_peer(), client_peer()
    server.feed(server.headers(1, GET))
    client.open()
    for peer in server, client:
        block = peer.encoder.encode(GET)
        assert_dies(peer, peer.feed(raw_frame(0x5, 0x4, 1, (2).to_bytes(4, "big") + block)))


def test_nothing_is_read_after_release() -> None:
    peer = server_peer()
    peer.engine.release()
    assert peer.feed(peer.headers(1, GET)) == []
