"""A session that is over goes away at once, and one that lives long does not grow."""

from __future__ import annotations

import weakref

import pytest

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    Pair,
    RawPeer,
    check_books,
    credits,
    data,
    engines,
    of_type,
    raw_frame,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode, Role
from trio_h2._wire._events import DataReceived, RequestReceived

ENDINGS: dict[str, list[bytes]] = {
    "nothing": [],
    "stream errors": [window_update(1, 0), raw_frame(0x2, 0, 3, b""), data(1, b"late").serialize()],
    "session error": [data(99, b"x").serialize()],
    "bad compression": [raw_frame(0x1, 0x5, 5, b"\xff\xff\xff\xff\xff\xff\xff")],
    "padding": [raw_frame(0x0, 0x8, 1, b"\xff")],
}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("ending", ENDINGS)
def test_no_cycle_keeps_a_released_engine(ending: str) -> None:
    peer = RawPeer(Role.SERVER)
    peer.handshake()
    peer.feed(peer.headers(1, POST, end=False), peer.headers(3, POST, end=False))
    peer.feed(*ENDINGS[ending])
    engine = weakref.ref(peer.engine)
    windows = weakref.ref(peer.engine.windows)
    peer.engine.release()
    engines.clear()
    del peer
    assert engine() is None
    assert windows() is None


@pytest.mark.usefixtures("no_collector")
def test_a_released_engine_can_still_be_asked_to_let_go() -> None:
    """Streams are given up after the session's end; nobody is called, nothing raises."""
    peer = RawPeer(Role.CLIENT)
    peer.handshake()
    peer.open()
    peer.feed(peer.headers(1, OK, end=False), data(1, b"unread"))
    peer.engine.release()
    peer.engine.reset(1, ErrorCode.CANCEL)
    peer.engine.discard(1, 6)
    assert peer.closed == []
    assert peer.engine.receive_bytes(b"x", 1.0) == []


def test_an_idle_session_does_not_keep_its_last_read() -> None:
    peer = RawPeer(Role.SERVER)
    peer.handshake()
    peer.feed(peer.headers(1, POST, end=False))
    assert of_type(peer.feed(data(1, bytes(16_000))), DataReceived)
    peer.engine.take(1, 16_000)
    receiver = peer.engine._receiver
    assert receiver._events == []
    assert receiver._small_data == {}


def test_a_long_session_does_not_grow() -> None:
    """What a stream leaves behind is nothing."""
    pair = Pair()
    seen = []
    for number in range(3000):
        stream_id = pair.client.open_stream(b"POST", POST, end_stream=False)
        pair.client.send_data(stream_id, b"up", end_stream=True)
        _, events = pair.exchange()
        pair.read(pair.server, events, stream_id)
        assert the(events, RequestReceived).stream_id == stream_id
        pair.server.send_response(stream_id, OK, end_stream=False)
        pair.server.send_data(stream_id, b"down", end_stream=True)
        events, _ = pair.exchange()
        pair.read(pair.client, events, stream_id)
        pair.server.handler_done(stream_id)
        if number % 1000 == 999:
            seen.append(
                [
                    len(part)
                    for engine in (pair.client, pair.server)
                    for part in (engine.streams, credits(engine), engine.slots, engine.resets.by_us)
                ]
                + [pair.client.memory, pair.server.memory]
            )
    assert seen[0] == seen[1] == seen[2]
    assert sum(seen[0][:8]) == 0
    check_books(pair.client)


def test_a_reset_before_anything_was_read() -> None:
    pair = Pair()
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.client.reset(1, ErrorCode.CANCEL)
    _, events = pair.exchange()
    assert [type(event).__name__ for event in events] == ["RequestReceived", "StreamFailed", "StreamClosed"]
    assert pair.server.slots == {1}
    pair.server.handler_done(1)
    assert not pair.server.slots
