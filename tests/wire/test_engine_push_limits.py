"""How many pushes there can be: promised, open, and in what they leave unread (RFC 9113 §§5.1.2 and 8.4.2)."""

from __future__ import annotations

import pytest
from hyperframe.frame import RstStreamFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    PROMISED,
    RawPeer,
    assert_dies,
    client_peer,
    data,
    ping,
    raw_frame,
    reset,
    server_peer,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode, SettingCode
from trio_h2._wire._config import ClientConfig, ServerConfig
from trio_h2._wire._events import PushPromised, RequestReceived, ResponseReceived, StreamFailed
from trio_h2._wire._extframes import PRIORITY_UPDATE, priority_update_payload

STREAMS = SettingCode.MAX_CONCURRENT_STREAMS


def pushed(config: ClientConfig | None = None) -> RawPeer:
    """Returns a client that takes pushes, with request 1 under way."""
    peer = client_peer(config, push=True)
    peer.open()
    return peer


def refused(peer: RawPeer) -> list[int]:
    """Takes the output; returns the streams that were refused."""
    frames = peer.sent(RstStreamFrame)
    assert {frame.error_code for frame in frames} <= {ErrorCode.REFUSED_STREAM}
    return [frame.stream_id for frame in frames]


# -- a client ----------------------------------------------------------------------------------------------------------


def test_promises_are_refused_while_too_many_handlers_run() -> None:
    """A server that pushes faster than handlers end cannot start any number of them."""
    peer = pushed(ClientConfig(max_reserved_remote_streams=2, max_concurrent_pushes=1))
    for promised in 2, 4, 6, 8:
        events = peer.feed(peer.promise(1, promised), peer.headers(promised, OK))
        assert the(events, ResponseReceived).end_stream
    assert peer.engine.slots == {2, 4, 6, 8}
    assert peer.feed(peer.promise(1, 10)) == []
    assert refused(peer) == [10]
    peer.engine.handler_done(4)
    assert the(peer.feed(peer.promise(1, 12)), PushPromised).promised_id == 12
    peer.engine.handler_done(12)  # it ends before its stream
    assert peer.engine.slots == {2, 6, 8, 12}
    peer.feed(reset(12))
    assert peer.engine.slots == {2, 6, 8}


def test_promises_are_refused_when_memory_is_used_up() -> None:
    peer = pushed(ClientConfig(max_session_memory=1000))
    peer.feed(peer.headers(1, OK, end=False), data(1, bytes(2000)))
    assert peer.feed(peer.promise(1, 2)) == []
    assert the(peer.output(), RstStreamFrame).error_code == ErrorCode.ENHANCE_YOUR_CALM
    peer.engine.take(1, 2000)
    assert the(peer.feed(peer.promise(1, 4)), PushPromised).promised_id == 4


@pytest.mark.parametrize("config", [ClientConfig(reset_burst=3, reset_rate=0.01)])
def test_promises_that_the_server_takes_back_are_limited(config: ClientConfig) -> None:
    peer = pushed(config)
    for promised in 2, 4, 6:
        peer.feed(peer.promise(1, promised), reset(promised))
    assert peer.engine.failure is None
    assert_dies(peer, peer.feed(peer.promise(1, 8), reset(8)), ErrorCode.ENHANCE_YOUR_CALM)


def test_promises_that_are_refused_are_limited() -> None:
    peer = pushed(ClientConfig(reset_burst=3, reset_rate=0.01, max_reserved_remote_streams=0))
    peer.feed(*(peer.promise(1, promised) for promised in (2, 4, 6)))
    peer.output()
    assert_dies(peer, peer.feed(peer.promise(1, 8)), ErrorCode.ENHANCE_YOUR_CALM)


def test_late_promises_are_limited() -> None:
    peer = pushed(ClientConfig(overhead_burst=2, overhead_rate=0.01))
    peer.engine.reset(1, ErrorCode.CANCEL)
    peer.output()
    peer.feed(peer.promise(1, 2), peer.promise(1, 4))
    peer.output()
    assert_dies(peer, peer.feed(peer.promise(1, 6)), ErrorCode.ENHANCE_YOUR_CALM)


def test_replies_to_late_promises_are_limited() -> None:
    peer = pushed(ClientConfig(max_queued_replies=2))
    peer.engine.reset(1, ErrorCode.CANCEL)
    peer.output()
    peer.feed(peer.promise(1, 2), peer.promise(1, 4))
    for _ in range(15):
        assert peer.feed(ping(ack=True))  # so many reads, and nothing could be written
    assert_dies(peer, peer.feed(peer.promise(1, 6)), ErrorCode.ENHANCE_YOUR_CALM)


def test_late_frames_on_pushes_are_paid_for_by_the_response() -> None:
    peer = pushed(ClientConfig(overhead_burst=4, overhead_rate=0.01))
    for promised in range(2, 42, 2):
        peer.feed(peer.promise(1, promised), peer.headers(promised, OK, end=False))
        peer.engine.reset(promised, ErrorCode.CANCEL)
        peer.engine.handler_done(promised)
        peer.feed(peer.headers(promised, [(b"x-trailer", b"y")]), window_update(promised, 5000), reset(promised))
        peer.output()
    assert peer.engine.failure is None


# -- a server ----------------------------------------------------------------------------------------------------------


def pushing(config: ServerConfig | None = None, values: dict[int, int] | None = None, count: int = 0) -> RawPeer:
    """Returns a server with a request on stream 1, and *count* streams promised on it."""
    peer = server_peer(config, values)
    peer.feed(peer.headers(1, GET))
    for _ in range(count):
        peer.engine.push(1, b"GET", PROMISED)
    peer.output()
    return peer


def test_pushes_take_no_slots_and_no_budget_of_received_requests() -> None:
    config = ServerConfig(max_concurrent_streams=2, stream_window=50_000, receive_budget=100_000)
    peer = pushing(config, count=5)
    engine = peer.engine
    engine.send_response(2, OK, end_stream=False)
    assert (engine.windows.requests, engine.windows.open) == (1, 1)
    # RFC 9218 §7.1: prioritized idle streams and active ones together keep the limit; pushes are none of them.
    assert peer.feed(raw_frame(PRIORITY_UPDATE, 0, 0, priority_update_payload(3, b"u=1"))) == []
    assert the(peer.feed(peer.headers(3, GET)), RequestReceived).stream_id == 3
    peer.feed(peer.headers(5, GET))
    assert refused(peer) == [5]
    engine.check_settings({STREAMS: 2})


def test_pushes_that_the_client_cancels_are_no_rapid_reset() -> None:
    """It is the server that opened them."""
    peer = pushing(ServerConfig(reset_burst=1, reset_rate=0.01), count=20)
    for stream_id in range(2, 42, 2):
        assert the(peer.feed(reset(stream_id)), StreamFailed).failure.stream_id == stream_id
    assert peer.engine.failure is None


def test_late_frames_on_pushes_are_paid_for_by_the_promise() -> None:
    peer = pushing(ServerConfig(overhead_burst=4, overhead_rate=0.01))
    for _ in range(20):
        stream_id = peer.engine.push(1, b"GET", PROMISED)
        peer.engine.send_response(stream_id, OK, end_stream=True)
        peer.feed(window_update(stream_id, 5), reset(stream_id))
        peer.output()
    assert peer.engine.failure is None
