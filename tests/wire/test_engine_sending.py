"""What the engine sends, in which order, and in which frames."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    PROMISED,
    Pair,
    RawPeer,
    client_peer,
    of_type,
    parse,
    server_peer,
    the,
)
from trio_h2._wire._codes import Role
from trio_h2._wire._config import ServerConfig
from trio_h2._wire._events import AltSvcAnnounced, DataReceived, PushPromised
from trio_h2._wire._extframes import ALTSVC, Dependency, altsvc_payload
from trio_h2._wire._output import Output
from trio_h2._wire._padding import PaddingStrategy

WINDOW = 4


def upload(window: int = 65_535) -> RawPeer:
    """Returns a client that has begun a POST to a server with this initial window."""
    peer = client_peer(values={WINDOW: window})
    peer.open(b"POST", end=False)
    return peer


def test_the_end_goes_into_the_last_frame_that_is_not_written() -> None:
    peer = upload()
    peer.engine.send_data(1, b"one", end_stream=False)
    peer.engine.send_data(1, b"two", end_stream=False)
    peer.engine.ping(b"12345678")
    peer.engine.send_data(1, b"", end_stream=True)
    frames = peer.sent(DataFrame)
    assert [(frame.data, "END_STREAM" in frame.flags) for frame in frames] == [(b"one", False), (b"two", True)]


def test_the_end_does_not_overtake_what_came_after_the_last_frame() -> None:
    """A promise or an announcement on a stream must not come after its end (RFC 9113 §6.6)."""
    pair = Pair(push=True)
    for command in ("push", "altsvc"):
        stream_id = pair.client.open_stream(b"GET", GET, end_stream=True)
        pair.exchange()
        pair.server.send_response(stream_id, OK, end_stream=False)
        pair.server.send_data(stream_id, b"hello", end_stream=False)
        if command == "push":
            pair.server.push(stream_id, b"GET", PROMISED)
        else:
            pair.server.send_extension(ALTSVC, stream_id, altsvc_payload(b"h3", b""))
        pair.server.send_data(stream_id, b"", end_stream=True)
        events, _ = pair.exchange()
        assert pair.client.failure is None
        assert len(of_type(events, PushPromised)) == (command == "push")
        assert len(of_type(events, AltSvcAnnounced)) == (command == "altsvc")
        assert pair.read(pair.client, events, stream_id) == b"hello"


@pytest.mark.parametrize("padding", list(PaddingStrategy))
@pytest.mark.parametrize("first", [7, 8, 16_384])
@pytest.mark.parametrize("second", [1, 7, 8])
def test_the_end_comes_after_all_of_the_body(padding: PaddingStrategy, first: int, second: int) -> None:
    """Whichever of the frames are padded: some leave no room for it, or need none."""
    pair = Pair(server_config=ServerConfig(padding=padding))
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    pair.server.send_response(1, OK, end_stream=False)
    pair.server.send_data(1, b"x" * first, end_stream=False)
    pair.server.send_data(1, b"y" * second, end_stream=False)
    pair.server.send_data(1, b"", end_stream=True)
    events, _ = pair.exchange()
    assert pair.read(pair.client, events, 1) == b"x" * first + b"y" * second
    assert of_type(events, DataReceived)[-1].end_stream


def test_output_comes_in_the_order_of_the_commands() -> None:
    """Output order is HPACK order."""
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


def test_a_buffer_that_changes_later_is_sent_as_it_was() -> None:
    peer = upload()
    octets = bytearray(b"before")
    peer.engine.send_data(1, memoryview(octets), end_stream=False)
    octets[:] = b"after!"
    assert the(peer.output(), DataFrame).data == b"before"


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
