"""What the engine sends: windows of both kinds, order, and nothing that the peer's settings forbid."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    RawPeer,
    client_peer,
    of_type,
    parse,
    ping,
    server_peer,
    settings,
    the,
    window_update,
)
from trio_h2._wire._codes import Role
from trio_h2._wire._config import ServerConfig
from trio_h2._wire._events import PingAcknowledged, SessionFailed, StreamFailed, WindowOpened
from trio_h2._wire._extframes import Dependency
from trio_h2._wire._output import Output
from trio_h2._wire._padding import PaddingStrategy

WINDOW = 4


def upload(window: int = 65_535) -> RawPeer:
    """Returns a client that has begun a POST to a server with this initial window."""
    peer = client_peer(values={WINDOW: window})
    peer.open(b"POST", end=False)
    return peer


def test_windows_of_stream_and_session_bound_a_frame() -> None:
    """B6: they are not to be confused."""
    peer = upload(10_000)
    engine = peer.engine
    assert (engine.sendable(1), engine.stream_window(1), engine.connection_window) == (10_000, 10_000, 65_535)
    engine.send_data(1, bytes(10_000), end_stream=False)
    assert (engine.sendable(1), engine.stream_window(1), engine.connection_window) == (0, 0, 55_535)
    assert peer.feed(window_update(0, 50_000)) == [WindowOpened(0)]
    assert engine.sendable(1) == 0
    assert peer.feed(window_update(1, 30_000)) == [WindowOpened(1)]
    assert engine.sendable(1) == 16_384  # the frame size
    for _ in range(3):
        engine.send_data(1, bytes(10_000), end_stream=False)
    assert sum(len(frame.data) for frame in peer.sent(DataFrame)) == 40_000


@pytest.mark.parametrize("raised", [0, 1])
def test_raising_only_one_of_the_windows_blocks_at_the_other(raised: int) -> None:
    peer = upload()
    moved = 0
    peer.feed(window_update(raised, 10**6))
    while size := peer.engine.sendable(1):
        peer.engine.send_data(1, bytes(size), end_stream=False)
        moved += size
    assert moved == 65_535


def test_negative_window() -> None:
    """B7: the peer shrinks its window mid-send: stop, resume, no exception; the end needs no window."""
    peer = upload(10_000)
    engine = peer.engine
    engine.send_data(1, bytes(9000), end_stream=False)
    peer.feed(settings({WINDOW: 100}))
    assert engine.stream_window(1) == -8900
    assert engine.sendable(1) == 0
    peer.feed(window_update(1, 8900))
    assert engine.sendable(1) == 0
    peer.feed(window_update(1, 1))
    assert engine.sendable(1) == 1
    engine.send_data(1, b"x", end_stream=False)
    peer.feed(settings({WINDOW: 0}))
    assert engine.stream_window(1) == -100
    assert [len(frame.data) for frame in peer.sent(DataFrame)] == [9000, 1]
    engine.send_data(1, b"", end_stream=True)
    assert engine.streams[1].local_ended
    end = the(peer.output(), DataFrame)
    assert (end.data, "END_STREAM" in end.flags) == (b"", True)


def test_the_end_goes_into_the_last_frame_that_is_not_written() -> None:
    peer = upload()
    peer.engine.send_data(1, b"one", end_stream=False)
    peer.engine.send_data(1, b"two", end_stream=False)
    peer.engine.ping(b"12345678")
    peer.engine.send_data(1, b"", end_stream=True)
    frames = peer.sent(DataFrame)
    assert [(frame.data, "END_STREAM" in frame.flags) for frame in frames] == [(b"one", False), (b"two", True)]


def test_trailers_need_no_window() -> None:
    peer = upload(0)
    peer.engine.send_trailers(1, [(b"x", b"y")])
    assert "END_STREAM" in the(peer.output(), HeadersFrame).flags


def test_a_window_that_grows_with_the_settings() -> None:
    peer = upload(0)
    events = peer.feed(settings({WINDOW: 30_000}))
    assert WindowOpened(0) in events
    assert peer.engine.sendable(1) == 16_384


def test_the_sessions_window_overflows() -> None:
    peer = upload()
    assert not of_type(peer.feed(window_update(0, 2**31 - 1 - 65_535)), SessionFailed)
    events = peer.feed(window_update(0, 1))
    assert the(events, SessionFailed).failure.code == 3  # FLOW_CONTROL_ERROR


def test_updates_for_a_side_that_has_ended_are_harmless() -> None:
    peer = upload()
    peer.engine.send_data(1, b"", end_stream=True)
    assert not of_type(peer.feed(window_update(1, 5000)), StreamFailed)


def test_output_comes_in_the_order_of_the_commands() -> None:
    """Trap: output order is HPACK order."""
    peer = server_peer()
    peer.feed(peer.headers(1, GET), peer.headers(3, GET))
    engine = peer.engine
    engine.send_informational(3, [(b":status", b"103")])
    engine.send_response(1, OK, end_stream=False)
    engine.ping(b"abcdefgh")
    engine.send_response(3, [(b":status", b"204")], end_stream=True)
    engine.send_data(1, b"content", end_stream=False)
    engine.send_trailers(1, [(b"x", b"y")])
    engine.goaway(0)
    size = engine.output_size
    octets = engine.take_output()
    assert size == len(octets)
    assert engine.output_size == 0
    assert engine.take_output() == b""
    assert [(type(frame).__name__, frame.stream_id) for frame in parse(octets)] == [
        ("HeadersFrame", 3),
        ("HeadersFrame", 1),
        ("PingFrame", 0),
        ("HeadersFrame", 3),
        ("DataFrame", 1),
        ("HeadersFrame", 1),
        ("GoAwayFrame", 0),
    ]
    assert peer.closed == [3, 1]


def test_pings() -> None:
    """Ours are reported when they are answered; the peer's are answered at once, with the same octets."""
    peer = client_peer()
    peer.engine.ping(b"question")
    assert the(peer.output(), PingFrame).opaque_data == b"question"
    assert peer.feed(ping(b"question", ack=True)) == [PingAcknowledged(b"question")]
    assert peer.feed(ping(b"nobody's", ack=True)) == [PingAcknowledged(b"nobody's")]
    peer.feed(ping(b"\0\1\2\3\4\5\6\7"))
    answer = the(peer.output(), PingFrame)
    assert answer.opaque_data == b"\0\1\2\3\4\5\6\7"
    assert "ACK" in answer.flags


def test_a_buffer_that_changes_later_is_sent_as_it_was() -> None:
    peer = upload()
    octets = bytearray(b"before")
    peer.engine.send_data(1, memoryview(octets), end_stream=False)
    octets[:] = b"after!"
    assert the(peer.output(), DataFrame).data == b"before"


def test_the_preface_comes_first() -> None:
    peer = RawPeer(Role.CLIENT)
    peer.start()
    assert peer.engine.take_output().startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0")
    peer = RawPeer(Role.SERVER)
    peer.start()
    assert peer.engine.take_output()[3] == 0x4


def test_session_window_is_opened_at_once() -> None:
    peer = RawPeer(Role.SERVER, ServerConfig(receive_budget=10**7, max_concurrent_streams=10))
    peer.start()
    update = [frame for frame in peer.output() if type(frame).__name__ == "WindowUpdateFrame"]
    assert [(frame.stream_id, getattr(frame, "window_increment", 0)) for frame in update] == [(0, 10**7 - 65_535)]


@pytest.mark.parametrize("size", [40_000, 32_769, 32_768, 16_385, 16_384, 16_380, 16_379, 10, 0])
@pytest.mark.parametrize("kind", ["promise", "priority", "plain"])
def test_field_blocks_keep_to_the_frame_size(size: int, kind: str) -> None:
    """Priority fields and promised id belong to the payload of the first frame, too."""
    output = Output(PaddingStrategy.NONE)
    if kind == "promise":
        output.push_promise(1, 2, bytes(size))
    else:
        output.headers(1, bytes(size), dependency=Dependency(16, 0, exclusive=False) if kind == "priority" else None)
    count = output.frames
    frames = parse(output.take())
    extra = {"promise": 4, "priority": 5, "plain": 0}[kind]
    assert len(frames) == count == max(1, -(-(size + extra) // 16_384))
    assert all(frame.body_len == 16_384 for frame in frames[:-1])
    sizes = [len(getattr(frame, "data", b"")) for frame in frames]
    assert sum(sizes) == size
    assert ["END_HEADERS" in frame.flags for frame in frames] == [False] * (len(frames) - 1) + [True]


def test_padded_data() -> None:
    output = Output(PaddingStrategy.NONE)
    output.data(1, b"content", 4, end_stream=False)
    frame = the(parse(output.take()), DataFrame)
    assert (frame.data, frame.pad_length) == (b"content", 3)


def test_post_without_a_body_yet() -> None:
    peer = client_peer()
    peer.engine.open_stream(b"POST", POST, end_stream=False)
    assert "END_STREAM" not in the(peer.output(), HeadersFrame).flags
    assert not peer.engine.remote_ended(1)
    assert peer.engine.remote_ended(3)
