"""What a stream leaves behind when it ends: books, events, slots, and what is remembered of resets.

Which frame is an error in which state, and of which code, is tested in `tests/conformance`.
"""

from __future__ import annotations

from hyperframe.frame import RstStreamFrame, WindowUpdateFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    Fields,
    client_peer,
    data,
    of_type,
    reset,
    server_peer,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._config import ClientConfig, ServerConfig
from trio_h2._wire._events import (
    RequestReceived,
    ResponseReceived,
    StreamClosed,
    StreamFailed,
)
from trio_h2._wire._resets import MAX_REMEMBERED_RESETS


def test_late_headers_on_a_stream_whose_reset_is_forgotten() -> None:
    peer = server_peer(ServerConfig(reset_burst=10_000))
    for stream_id in range(1, 2 * MAX_REMEMBERED_RESETS + 7, 2):
        peer.feed(peer.headers(stream_id, GET), reset(stream_id))
        peer.engine.handler_done(stream_id)
    peer.output()
    peer.feed(peer.headers(3, [(b"x-late", b"entry")]))
    assert the(peer.output(), RstStreamFrame).error_code == ErrorCode.STREAM_CLOSED


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


def test_nothing_is_read_after_release() -> None:
    peer = server_peer()
    peer.engine.release()
    assert peer.feed(peer.headers(1, GET)) == []


def test_response_headers_too_large_end_their_stream_only() -> None:
    """Over the limit, in bytes or fields: a client resets the stream."""
    peer = client_peer(ClientConfig(max_header_fields=10, max_header_list_size=1000))
    many: Fields = [*OK, *((b"x", b"y") for _ in range(10))]
    large: Fields = [*OK, (b"x", bytes(b"y" * 1000))]
    for fields in many, large:
        stream_id = peer.open()
        events = peer.feed(peer.headers(stream_id, fields))
        assert the(events, StreamFailed).failure.code == ErrorCode.ENHANCE_YOUR_CALM
        assert the(peer.output(), RstStreamFrame).stream_id == stream_id
    assert of_type(peer.feed(peer.headers(peer.open(), OK)), ResponseReceived)


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
