"""Limits against abuse: each one ends the session or the stream with the right code, and spares honest bursts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    Fields,
    RawPeer,
    assert_dies,
    body,
    client_peer,
    data,
    goaway,
    of_type,
    ping,
    raw_frame,
    reset,
    server_peer,
    settings,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode, Role
from trio_h2._wire._config import ClientConfig, ServerConfig
from trio_h2._wire._events import (
    DataReceived,
    Event,
    RequestAnswered,
    RequestReceived,
    SessionFailed,
    StreamClosed,
    StreamFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CALM = ErrorCode.ENHANCE_YOUR_CALM


def failure_reason(events: list[Event]) -> str:
    return the(events, SessionFailed).failure.reason


# -- resets ------------------------------------------------------------------------------------------------------------


def rapid_reset(peer: RawPeer, stream_id: int) -> list[Event]:
    events = peer.feed(peer.headers(stream_id, GET), reset(stream_id))
    peer.engine.handler_done(stream_id)
    peer.output()
    return events


def made_you_reset(peer: RawPeer, stream_id: int) -> list[Event]:
    events = peer.feed(peer.headers(stream_id, GET), window_update(stream_id, 0))
    peer.engine.handler_done(stream_id)
    peer.output()
    return events


def malformed_request(peer: RawPeer, stream_id: int) -> list[Event]:
    events = peer.feed(peer.headers(stream_id, GET[1:]))
    peer.output()
    return events


def too_large_request(peer: RawPeer, stream_id: int) -> list[Event]:
    events = peer.feed(peer.headers(stream_id, [*GET, *GET, *GET]))
    peer.output()
    return events


WAYS_TO_RESET: list[Callable[[RawPeer, int], list[Event]]] = [
    rapid_reset,
    made_you_reset,
    malformed_request,
    too_large_request,
]


@pytest.mark.parametrize("way", WAYS_TO_RESET)
def test_reset_floods_end_the_session(way: Callable[[RawPeer, int], list[Event]]) -> None:
    """Rapid reset (CVE-2023-44487), MadeYouReset (CVE-2025-8671), and what makes us answer for nothing."""
    peer = server_peer(ServerConfig(reset_burst=10, reset_rate=2.0, max_header_fields=10))
    for number in range(10):
        assert not of_type(way(peer, 2 * number + 1), SessionFailed)
    peer.now += 1.0  # two more are allowed
    for number in range(10, 12):
        assert not of_type(way(peer, 2 * number + 1), SessionFailed)
    events = way(peer, 25)
    assert "reset_burst=10" in failure_reason(events)
    assert the(events, SessionFailed).failure.code == CALM


def test_honest_bursts_of_cancelled_requests_raise_no_alarm() -> None:
    """With the defaults, 1000 at once and 33 a second."""
    peer = server_peer()
    stream_id = 1
    for _ in range(1000):
        assert not of_type(rapid_reset(peer, stream_id), SessionFailed)
        stream_id += 2
    for _ in range(100):
        peer.now += 1.0
        for _ in range(33):
            assert not of_type(rapid_reset(peer, stream_id), SessionFailed)
            stream_id += 2
    assert peer.engine.failure is None


def test_a_server_that_refuses_many_streams_is_not_suspicious() -> None:
    """A client counts no resets of the server."""
    peer = client_peer(ClientConfig(reset_burst=1, reset_rate=0.001))
    for _ in range(100):
        stream_id = peer.open()
        assert of_type(peer.feed(reset(stream_id, ErrorCode.REFUSED_STREAM)), StreamFailed)


# -- frames that move nothing forward ----------------------------------------------------------------------------------

FLOODS: dict[str, bytes] = {
    "PING": ping().serialize(),
    "PING answers": ping(ack=True).serialize(),
    "SETTINGS": settings({}),
    "SETTINGS acknowledgements": settings(ack=True),
    "PRIORITY": raw_frame(0x2, 0, 1, b"\0\0\0\0\0"),
    "PRIORITY_UPDATE": raw_frame(0x10, 0, 0, b"\0\0\0\1u=1"),
    "ALTSVC": raw_frame(0xA, 0, 0, b"\0\1aclear"),
    "ORIGIN": raw_frame(0xC, 0, 0, b"\0\1a"),
    "unknown frames": raw_frame(0xEE, 0, 1, b"x"),
    "GOAWAY": goaway(0).serialize(),
    "empty DATA": data(1).serialize(),
    "padded empty DATA": data(1, padding=50).serialize(),
    "small WINDOW_UPDATE of the session": window_update(0, 1),
    "small WINDOW_UPDATE of a stream": window_update(1, 1),
    "WINDOW_UPDATE of a closed stream": window_update(3, 5000),
    "RST_STREAM of a closed stream": reset(3).serialize(),
    "DATA of a reset stream": data(5, b"x" * 200).serialize(),
}


def test_window_updates_that_are_worth_their_frame_are_no_overhead() -> None:
    peer = server_peer(ServerConfig(overhead_burst=10))
    peer.feed(peer.headers(1, GET))
    for _ in range(100):
        assert not of_type(peer.feed(window_update(0, 1024), window_update(1, 1024)), SessionFailed)
    events = peer.feed(*[window_update(0, 1023)] * 11)
    assert "overhead_burst=10" in failure_reason(events)


@pytest.mark.parametrize("name", FLOODS)
def test_floods_end_the_session(name: str) -> None:
    config = ServerConfig(overhead_burst=100, overhead_rate=10.0, stream_window=1000)
    peer = server_peer(config)
    peer.feed(peer.headers(1, POST, end=False), peer.headers(3, GET), peer.headers(5, POST, end=False))
    peer.engine.send_response(3, OK, end_stream=True)
    peer.engine.reset(5, ErrorCode.CANCEL)
    for _ in range(90):
        assert not of_type(peer.feed(FLOODS[name]), SessionFailed)
        peer.output()
    events: list[Event] = []
    for _ in range(30):
        events += peer.feed(FLOODS[name])
    assert "overhead_burst=100" in failure_reason(events)
    assert the(peer.output(), GoAwayFrame).error_code == CALM


LARGE: dict[str, tuple[bytes, int]] = {
    "SETTINGS": (settings([(3, 100)] * 2730), 256),
    "unknown SETTINGS": (settings([(1000 + number, 1) for number in range(2730)]), 256),
    "PRIORITY_UPDATE": (raw_frame(0x10, 0, 0, b"\0\0\0\1" + b"u=1," * 4095), 257),
    "ALTSVC": (raw_frame(0xA, 0, 0, b"\0\1a" + b"x" * 16_381), 257),
    "ORIGIN": (raw_frame(0xC, 0, 0, b"\0\0" * 8192), 257),
    "unknown frames": (raw_frame(0xEE, 0, 1, bytes(16_384)), 17),
    "GOAWAY": (goaway(0, debug_data=bytes(16_376)).serialize(), 17),
    "padding": (data(1, padding=255).serialize(), 5),
}
"""Frames as large as they may be, and how often each counts."""


@pytest.mark.parametrize("name", LARGE)
def test_large_frames_that_move_nothing_forward_count_as_several(name: str) -> None:
    """They make as much work as several small ones: two hundred large SETTINGS took longer than ten thousand PINGs."""
    frame, cost = LARGE[name]
    peer = server_peer(ServerConfig(overhead_burst=10 * cost, overhead_rate=0.001))
    peer.feed(peer.headers(1, POST, end=False))
    for _ in range(10):
        assert not of_type(peer.feed(frame), SessionFailed)
        peer.output()
    assert "overhead_burst" in failure_reason(peer.feed(ping()))


def test_two_hundred_large_settings_end_a_session_with_the_defaults() -> None:
    peer = server_peer()
    events: list[Event] = []
    for _ in range(200):
        events += peer.feed(LARGE["SETTINGS"][0])
        peer.output()
    assert "overhead_burst=10000" in failure_reason(events)


def test_a_flood_of_padding_ends_a_session_with_the_defaults() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    events: list[Event] = []
    for _ in range(2001):
        events += peer.feed(LARGE["padding"][0])
        peer.output()
    assert "overhead_burst=10000" in failure_reason(events)
    assert peer.engine.windows.budget.ledger.discarded == 2001 * 256


def test_large_field_blocks_that_nobody_gets_count_as_several() -> None:
    """They are decoded all the same, on streams that were reset and after GOAWAY."""
    fields: Fields = [*GET, *[(b"x", b"y" * 967)] * 10]
    for leaving in False, True:
        peer = server_peer(ServerConfig(overhead_burst=100, overhead_rate=0.001))
        peer.feed(peer.headers(1, POST, end=False))
        peer.engine.reset(1, ErrorCode.CANCEL)
        if leaving:
            peer.engine.goaway(ErrorCode.NO_ERROR)
        events: list[Event] = []
        count = 0
        while not events:
            events = peer.feed(peer.headers(2 * count + 3 if leaving else 1, fields))
            count += 1
        assert "overhead_burst=100" in failure_reason(events)
        assert count == (11 if leaving else 10)


def test_informational_response_flood() -> None:
    peer = client_peer(ClientConfig(overhead_burst=100))
    peer.open()
    events: list[Event] = []
    for _ in range(101):
        events += peer.feed(peer.headers(1, [(b":status", b"103")], end=False))
    assert "overhead_burst=100" in failure_reason(events)


def test_requests_after_our_goaway_are_no_free_ride() -> None:
    peer = server_peer(ServerConfig(overhead_burst=50))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    events: list[Event] = []
    for number in range(60):
        events += peer.feed(peer.headers(2 * number + 1, GET))
    assert "overhead_burst=50" in failure_reason(events)


def test_tiny_window_updates_that_make_us_send_tiny_frames_are_counted() -> None:
    """1-byte WINDOW_UPDATE, each of which costs a DATA frame."""
    peer = server_peer(ServerConfig(overhead_burst=100), values={4: 0})
    peer.feed(peer.headers(1, GET))
    peer.engine.send_response(1, OK, end_stream=False)
    events: list[Event] = []
    for _ in range(110):
        events += peer.feed(window_update(1, 1))
        if peer.engine.failure is None:
            peer.engine.send_data(1, b"x", end_stream=False)
    assert "overhead_burst=100" in failure_reason(events)


def test_window_updates_for_small_messages_are_honest() -> None:
    """An event stream of small messages to a client that returns credit for each, on stream and session."""
    peer = server_peer()
    peer.feed(peer.headers(1, GET))
    peer.engine.send_response(1, OK, end_stream=False)
    for _ in range(20_000):
        peer.engine.send_data(1, b"tick", end_stream=False)
        assert not of_type(peer.feed(window_update(1, 4), window_update(0, 4)), SessionFailed)


def test_late_frames_of_many_small_uploads_are_honest() -> None:
    """A server that returns credit and resets with NO_ERROR after each response, thousands of times a second."""
    peer = client_peer()
    for _ in range(8000):
        stream_id = peer.open()
        peer.feed(peer.headers(stream_id, OK))
        late = peer.feed(window_update(stream_id, 100), window_update(0, 100), reset(stream_id, ErrorCode.NO_ERROR))
        assert not of_type(late, SessionFailed)


def test_data_under_way_when_downloads_are_cancelled_is_honest() -> None:
    """Cancelled downloads, each with its whole window under way."""
    peer = client_peer(ClientConfig(overhead_burst=10))
    stream_id = 0
    for _ in range(200):
        stream_id = peer.open()
        peer.feed(peer.headers(stream_id, OK, end=False))
        peer.engine.reset(stream_id, ErrorCode.CANCEL)
        frames = [data(stream_id, bytes(16_384)) for _ in range(32)]
        assert peer.feed(*frames) == []
        peer.output()
    assert peer.engine.windows.budget.ledger.discarded == 200 * 512 * 1024
    events = peer.feed(*[data(stream_id, b"beyond the window")] * 20)
    assert "overhead" in failure_reason(events)


def test_tiny_data_frames_do_not_cost_an_event_each() -> None:
    """Their bytes are bounded by the windows; what they cost must be, too. They keep their order."""
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False), peer.headers(3, POST, end=False))
    pieces = [b"%d," % number for number in range(3000)]
    frames = [data(stream_id, piece) for piece in pieces for stream_id in (1, 3)]
    events = peer.feed(*frames, data(1, bytes(8000)), data(1, b"end"), data(1, b"", end=True), data(3, b"", end=True))
    assert len(events) < 12
    assert body(events, 1) == b"".join(pieces) + bytes(8000) + b"end"
    assert body(events, 3) == b"".join(pieces)
    assert [event.end_stream for event in of_type(events, DataReceived) if event.stream_id == 1][-1]
    assert all(len(event.data) <= 8000 for event in of_type(events, DataReceived))
    for stream_id in 1, 3:
        peer.engine.take(stream_id, len(body(events, stream_id)))
    assert [event.data for event in of_type(peer.feed(*[data(3)] * 2), DataReceived)] == []


def test_pieces_of_a_body_are_not_merged_across_reads() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    first = the(peer.feed(data(1, b"first")), DataReceived)
    second = the(peer.feed(data(1, b"second", end=True)), DataReceived)
    assert (first.data, first.end_stream, second.data, second.end_stream) == (b"first", False, b"second", True)
    peer.engine.discard(1, 11)


# -- answers that the peer does not read -------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [ping().serialize(), settings({})], ids=["PING", "SETTINGS"])
def test_answers_that_nobody_reads_are_bounded(frame: bytes) -> None:
    """Slow reader with queued ACKs."""
    peer = server_peer(ServerConfig(max_queued_replies=20))
    peer.feed(*[frame] * 20)
    peer.output()
    for _ in range(20):
        assert not of_type(peer.feed(frame), SessionFailed)
    size = peer.engine.output_size
    events = peer.feed(*[frame] * 500)
    assert "max_queued_replies=20" in failure_reason(events)
    assert peer.engine.output_size < size + 300
    frames = peer.output()
    assert isinstance(frames[-1], GoAwayFrame)
    assert len(of_type(frames, PingFrame)) + len(of_type(frames, SettingsFrame)) == 21


def test_a_burst_that_no_writer_could_have_answered_yet_is_judged_by_its_own_budget() -> None:
    """Ten thousand PINGs at once are allowed, however few answers may wait; one more, and the reason says so."""
    peer = server_peer(ServerConfig(max_queued_replies=20))
    peer.feed(peer.headers(1, GET))
    events: list[Event] = []
    for _ in range(10):
        events += peer.feed(*[ping()] * 1000)
    assert not of_type(events, SessionFailed)
    assert len(peer.sent(PingFrame)) == 10_000
    assert "overhead_burst=10000" in failure_reason(peer.feed(ping()))


def test_a_burst_after_a_long_silence_of_our_own_is_no_different() -> None:
    """Nothing had to be written for many reads, so nobody was slow to read it."""
    peer = server_peer(ServerConfig(max_queued_replies=20))
    peer.feed(peer.headers(1, POST, end=False))
    for _ in range(100):
        peer.feed(data(1, b"x"))
    assert not of_type(peer.feed(*[ping()] * 1000), SessionFailed)
    peer.engine.discard(1, 100)


def test_resets_and_431_that_nobody_reads_are_bounded() -> None:
    for fields in GET[1:], [*GET, *GET]:
        peer = server_peer(ServerConfig(max_queued_replies=20, max_header_fields=5))
        events: list[Event] = []
        for stream_id in range(1, 100, 2):
            events += peer.feed(peer.headers(stream_id, fields))
        assert "max_queued_replies=20" in failure_reason(events)
        assert not of_type(events, StreamClosed)


# -- header lists ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("reason", ["fields", "bytes"])
def test_header_list_too_large_is_answered_with_431(reason: str, end: bool) -> None:
    """On that stream, session alive; whoever is above hears only that more of a body may come."""
    peer = server_peer(ServerConfig(max_header_fields=20, max_header_list_size=2000))
    extra: Fields = [(b"x", b"y")] * 17 if reason == "fields" else [(b"x-large", bytes(b"y" * 2000))]
    assert peer.feed(peer.headers(1, [*GET, *extra], end=end)) == ([] if end else [RequestAnswered(1)])
    answer = the(peer.output(), HeadersFrame)
    assert peer.fields(answer) == [(b":status", b"431"), (b"content-length", b"0")]
    assert "END_STREAM" in answer.flags
    if not end:
        peer.engine.handler_done(1)
        assert the(peer.feed(data(1, b"body")), DataReceived).data == b"body"
        peer.engine.discard(1, 4)
        assert of_type(peer.feed(data(1, b"", end=True)), StreamClosed)
    assert peer.output() == []
    assert not peer.engine.streams
    assert not peer.engine.slots
    assert the(peer.feed(peer.headers(3, GET)), RequestReceived).stream_id == 3
    exact: Fields = [*GET, *[(b"x", b"y")] * 16]
    assert the(peer.feed(peer.headers(5, exact)), RequestReceived).stream_id == 5


@pytest.mark.parametrize("acknowledged", [True, False])
def test_431_up_to_several_times_the_limit(acknowledged: bool) -> None:
    """Only what is far beyond ends the session, because the block would have to be decoded all the same."""
    peer = RawPeer(Role.SERVER)
    peer.handshake(acknowledge=acknowledged)
    for stream_id, size in (1, 66_000), (3, 200_000):
        fields: Fields = [*GET, *[(b"x", bytes(b"~" * 1000))] * (size // 1000)]
        assert peer.feed(peer.headers(stream_id, fields)) == []
        assert peer.fields(the(peer.output(), HeadersFrame))[0] == (b":status", b"431")
    far: Fields = [*GET, *[(b"x", bytes(b"~" * 1000))] * 400]
    assert_dies(peer, peer.feed(peer.headers(5, far)), CALM)


def test_431_on_a_stream_between_others_in_one_read() -> None:
    """The events of the others are untouched."""
    peer = server_peer(ServerConfig(max_header_fields=5))
    events = peer.feed(
        peer.headers(1, GET), peer.headers(3, [*GET, *GET], end=False), peer.headers(5, POST, end=False), reset(1)
    )
    assert [(type(event), getattr(event, "stream_id", None)) for event in events] == [
        (RequestReceived, 1),
        (RequestAnswered, 3),
        (RequestReceived, 5),
        (StreamFailed, 1),
        (StreamClosed, 1),
    ]


def test_trailers_too_large() -> None:
    peer = server_peer(ServerConfig(max_header_fields=20))
    peer.feed(peer.headers(1, POST, end=False))
    events = peer.feed(peer.headers(1, [(b"x", b"y")] * 21))
    assert the(events, StreamFailed).failure.code == CALM


def test_hpack_bomb_is_bounded() -> None:
    """A small block that expands to a huge list ends the session: a block not decoded leaves HPACK out of step."""
    peer = server_peer()
    peer.feed(peer.headers(1, [*GET, (b"x", b"y" * 3000)]))
    index = peer.encoder.encode([(b"x", b"y" * 3000)])
    assert len(index) < 4
    block = peer.encoder.encode(GET) + index * 1000
    assert_dies(peer, peer.feed(HeadersFrame(3, block, flags=("END_HEADERS",))), CALM)


# -- memory ------------------------------------------------------------------------------------------------------------


def test_memory_counts_bodies_output_unfinished_frames_and_tables() -> None:
    peer = client_peer()
    engine = peer.engine
    assert engine.memory == 0
    peer.feed(data(1, bytes(1000)).serialize()[:500])
    assert engine.memory == 500
    assert engine.mid_frame
    peer = client_peer()
    engine = peer.engine
    engine.queued_body += 20_000
    engine.copied_body += 10_000  # the rest is the application's
    engine.open_stream(b"POST", [*POST, (b"x-table", b"entry")], end_stream=False)
    assert engine.memory == 10_000 + engine.output_size + sum(engine.table_sizes)
    assert sum(engine.table_sizes) > 40
    assert not engine.mid_frame
