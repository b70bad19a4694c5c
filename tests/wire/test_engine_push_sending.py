"""What a server sends for a push, and what a client may send on it (RFC 9113 §§5.1, 6.6 and 8.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import Frame, HeadersFrame, PriorityFrame, PushPromiseFrame, RstStreamFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    PROMISED,
    Pair,
    RawPeer,
    assert_dies,
    data,
    goaway,
    of_type,
    raw_frame,
    reset,
    server_peer,
    settings,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode, Initiator, SettingCode
from trio_h2._wire._config import ServerConfig
from trio_h2._wire._events import PriorityUpdated, PushPromised, StreamClosed, StreamFailed, WindowOpened
from trio_h2._wire._extframes import PRIORITY_UPDATE, priority_update_payload
from trio_h2._wire._failure import Cause, SessionFailure
from trio_h2._wire._padding import PaddingStrategy
from trio_h2._wire._schedule import Priority

if TYPE_CHECKING:
    from trio_h2._wire._headers import RawField

FRAME_SIZE = 16_384


def pushing(config: ServerConfig | None = None, *, begun: bool = False) -> RawPeer:
    """Returns a server that has promised stream 2 on request 1, and perhaps begun its response."""
    peer = server_peer(config)
    peer.feed(peer.headers(1, GET))
    assert peer.engine.push(1, b"GET", PROMISED) == 2
    if begun:
        peer.engine.send_response(2, OK, end_stream=False)
    peer.output()
    return peer


# -- promises ----------------------------------------------------------------------------------------------------------


def test_promises_have_ids_of_the_server_in_their_order() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, GET), peer.headers(3, POST, end=False))
    ids = [peer.engine.push(parent, b"GET", PROMISED) for parent in (1, 3, 1)]
    assert ids == [2, 4, 6]
    frames = peer.sent(PushPromiseFrame)
    assert [(f.stream_id, f.promised_stream_id) for f in frames] == [(1, 2), (3, 4), (1, 6)]
    assert all(set(frame.flags) == {"END_HEADERS"} for frame in frames)
    assert [peer.fields(frame) for frame in frames] == [PROMISED] * 3


def test_ids_of_pushes_run_out() -> None:
    peer = pushing()
    peer.engine.highest_outbound_id = 2**31 - 4
    assert peer.engine.push_allowed
    assert peer.engine.push(1, b"GET", PROMISED) == 2**31 - 2
    assert peer.engine.next_stream_id is None
    assert not peer.engine.push_allowed


@pytest.mark.parity("E3")
def test_promises_are_for_requests_that_are_not_answered() -> None:
    """RFC 9113 §6.6: on streams of the client that are "open" or "half-closed (remote)"."""
    peer = pushing(begun=True)
    engine = peer.engine
    peer.feed(peer.headers(3, POST, end=False), peer.headers(5, GET), peer.headers(7, GET))
    engine.send_response(3, OK, end_stream=False)
    engine.send_data(5, b"", end_stream=False)
    assert [engine.can_promise_on(i) for i in (1, 2, 3, 5, 7, 9)] == [True, False, True, True, True, False]
    assert engine.push(3, b"GET", PROMISED) == 4  # open, the response has begun
    engine.send_data(3, b"", end_stream=True)
    engine.send_response(5, OK, end_stream=True)
    engine.reset(7, ErrorCode.CANCEL)
    assert [engine.can_promise_on(i) for i in (3, 4, 5, 7)] == [False] * 4


@pytest.mark.parity("E2")
def test_who_may_push() -> None:
    allowed: list[bool] = []
    for value in 0, 1:
        assert server_peer(values={SettingCode.ENABLE_PUSH: value}).engine.push_allowed is bool(value)
    for end in ("goaway", "failure", "settings", "lost"):
        peer = pushing()
        assert peer.engine.push_allowed
        if end == "goaway":
            peer.feed(goaway(2))
        elif end == "failure":
            peer.feed(data(9, b"idle"))
        elif end == "lost":
            peer.engine.fail(SessionFailure(Cause.LOST, None, Initiator.REMOTE, "the transport ended"))
        else:
            peer.feed(settings({SettingCode.ENABLE_PUSH: 0}))
        allowed.append(peer.engine.push_allowed)
    assert allowed == [False] * 4


def test_a_push_that_was_promised_goes_on_when_push_is_turned_off() -> None:
    peer = pushing()
    peer.feed(settings({SettingCode.ENABLE_PUSH: 0}))
    peer.engine.send_response(2, OK, end_stream=True)
    assert the(peer.output(), HeadersFrame).stream_id == 2


def test_fields_of_promises_are_never_indexed_if_they_are_secret() -> None:
    pair = Pair(push=True)
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    fields: list[RawField] = [*PROMISED, NeverIndexedHeaderTuple(b"x-secret", b"key"), (b"x-open", b"door")]
    pair.server.push(1, b"GET", fields)
    assert the(pair.exchange()[0], PushPromised).headers.sensitive == {"x-secret"}
    size = pair.server.encoder.block_size
    assert size([NeverIndexedHeaderTuple(b"x-secret", b"key")]) > size([(b"x-open", b"door")]) == 1


@pytest.mark.parametrize("missing", range(-6, 7))
@pytest.mark.parametrize("padding", list(PaddingStrategy))
def test_promises_about_as_long_as_a_frame(missing: int, padding: PaddingStrategy) -> None:
    """The promised id takes 4 bytes of the frame."""
    pair = Pair(server_config=ServerConfig(padding=padding), push=True)
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    size = pair.server.encoder.block_size
    value = b"X" * (FRAME_SIZE - 200)
    value += b"X" * (FRAME_SIZE + missing - size([*PROMISED, (b"x-long", value)]))
    fields: list[RawField] = [*PROMISED, (b"x-long", value)]
    assert size(fields) == FRAME_SIZE + missing
    pair.server.push(1, b"GET", fields)
    octets = pair.server.take_output()
    lengths, flags = [], []
    rest = octets
    while rest:
        length = int.from_bytes(rest[:3], "big")
        lengths.append(length)
        flags.append((rest[3], rest[4] & 0x4))
        rest = rest[9 + length :]
    assert all(length <= FRAME_SIZE for length in lengths)
    if missing <= -4:
        assert flags == [(0x5, 0x4)]
    else:
        assert flags == [(0x5, 0), (0x9, 0x4)]
    events = pair.client.receive_bytes(octets, 0.0)
    assert the(events, PushPromised).headers.raw == fields


@pytest.mark.parity("H6")
@pytest.mark.parametrize(("strategy", "unit"), [(PaddingStrategy.ALIGNED, 8), (PaddingStrategy.MAX, 1)])
def test_promises_are_padded(strategy: PaddingStrategy, unit: int) -> None:
    peer = server_peer(ServerConfig(padding=strategy))
    peer.feed(peer.headers(1, GET))
    for length in range(16):
        plain = 4 + peer.engine.encoder.block_size([*PROMISED, (b"x-length", b"X" * length)])
        peer.engine.push(1, b"GET", [*PROMISED, (b"x-length", b"X" * length)])
        octets = peer.engine.take_output()
        size = int.from_bytes(octets[:3], "big")
        assert (9 + size) % unit == 0
        assert size - plain == (256 if strategy is PaddingStrategy.MAX else -(9 + plain) % 8)
        frame, _ = Frame.parse_frame_header(memoryview(octets[:9]))
        frame.parse_body(memoryview(octets[9:]))
        assert isinstance(frame, PushPromiseFrame)
        assert peer.fields(frame)[-1] == (b"x-length", b"X" * length)


def test_limits_of_what_we_send_hold_for_promises() -> None:
    peer = server_peer(ServerConfig(max_send_header_block_length=100), {SettingCode.MAX_HEADER_LIST_SIZE: 300})
    long: list[RawField] = [*PROMISED, (b"x-long", b"X" * 200)]
    assert peer.engine.block_too_large(PROMISED) is peer.engine.section_too_large(PROMISED) is None
    assert "max_send_header_block_length is 100" in (peer.engine.block_too_large(long) or "")
    assert "the peer accepts at most 300" in (peer.engine.section_too_large(long) or "")


def test_promises_keep_compression_in_step() -> None:
    """Promises, responses and interim responses share one table with everything else."""
    pair = Pair(push=True)
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    for number in range(50):
        promised = pair.server.push(1, b"GET", [*PROMISED, (b"x-number", b"%d" % number)])
        pair.server.send_response(promised, [*OK, (b"x-answer", b"%d" % number)], end_stream=True)
        if number % 3 == 0:
            pair.client.reset(promised - 2, ErrorCode.CANCEL)
        events, _ = pair.exchange()
        assert the(events, PushPromised).headers["x-number"] == str(number)
    assert not pair.client.pushes
    assert not pair.server.pushes


# -- reserved (local), and after ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["headers", "data", "empty"])
def test_frames_that_a_client_may_not_send_on_a_reserved_stream(kind: str) -> None:
    peer = pushing()
    frames: dict[str, Frame] = {"headers": peer.headers(2, GET), "data": data(2, b"x"), "empty": data(2)}
    assert_dies(peer, peer.feed(frames[kind]))


@pytest.mark.parametrize("kind", ["headers", "data"])
def test_frames_that_a_client_may_not_send_on_a_push(kind: str) -> None:
    """RFC 9113 §5.1, half-closed (remote): a stream error of type STREAM_CLOSED."""
    peer = pushing(begun=True)
    events = peer.feed(peer.headers(2, GET) if kind == "headers" else data(2, b"body"))
    assert the(events, StreamFailed).failure.code == ErrorCode.STREAM_CLOSED
    assert [(f.stream_id, f.error_code) for f in peer.sent(RstStreamFrame)] == [(2, ErrorCode.STREAM_CLOSED)]


def test_frames_that_a_client_may_send_on_a_reserved_stream() -> None:
    peer = pushing()
    engine = peer.engine
    window = engine.stream_window(2)
    update = raw_frame(PRIORITY_UPDATE, 0, 0, priority_update_payload(2, b"u=1"))
    events = peer.feed(window_update(2, 5000), PriorityFrame(2, depends_on=1, stream_weight=7), update)
    assert the(events, WindowOpened).stream_id == 2
    assert the(events, PriorityUpdated) == PriorityUpdated(2, Priority(1))
    assert engine.stream_window(2) == window + 5000
    peer.feed(settings({SettingCode.INITIAL_WINDOW_SIZE: 100}))
    assert engine.stream_window(2) == 100 + 5000
    assert engine.streams[2].reserved
    events = peer.feed(reset(2, ErrorCode.REFUSED_STREAM))
    failure = the(events, StreamFailed).failure
    assert (failure.code, failure.initiator, failure.refused) == (ErrorCode.REFUSED_STREAM, Initiator.REMOTE, True)
    assert the(events, StreamClosed).stream_id == 2


def test_the_priority_of_a_push_that_was_not_promised() -> None:
    """RFC 9218 §7.1: a connection error, other than for a request that has not come yet."""
    peer = pushing()
    assert_dies(peer, peer.feed(raw_frame(PRIORITY_UPDATE, 0, 0, priority_update_payload(4, b"u=1"))))


def test_window_updates_of_a_push_that_was_not_promised() -> None:
    peer = pushing()
    assert_dies(peer, peer.feed(window_update(4, 100)))


@pytest.mark.parametrize("begun", [False, True])
def test_a_push_is_taken_back(begun: bool) -> None:
    peer = pushing(begun=begun)
    peer.engine.reset(2, ErrorCode.INTERNAL_ERROR)
    assert [(f.stream_id, f.error_code) for f in peer.sent(RstStreamFrame)] == [(2, ErrorCode.INTERNAL_ERROR)]
    assert peer.closed == [2]
    assert peer.feed(window_update(2, 5000), reset(2)) == []  # under way
    assert peer.output() == []


def test_a_push_outlives_its_request() -> None:
    peer = pushing()
    engine = peer.engine
    engine.send_response(1, OK, end_stream=True)
    engine.handler_done(1)
    assert list(engine.streams) == [2]
    engine.send_response(2, OK, end_stream=False)
    stream = engine.streams[2]
    assert stream.state == "half-closed (remote)"
    engine.send_data(2, b"body", end_stream=True)
    assert peer.closed == [1, 2]
    assert not engine.streams


def test_a_client_that_leaves_gives_up_pushes_above_its_last_id() -> None:
    peer = pushing(begun=True)
    for _ in range(2):
        peer.engine.push(1, b"GET", PROMISED)
    events = peer.feed(goaway(2))
    failures = [event.failure for event in of_type(events, StreamFailed)]
    assert [(f.stream_id, f.refused) for f in failures] == [(4, True), (6, True)]
    assert list(peer.engine.streams) == [1, 2]
    peer.engine.send_data(2, b"body", end_stream=True)
    peer.output()
    assert peer.feed(window_update(4, 5000), reset(6)) == []


def test_our_goaway_does_not_touch_what_was_promised() -> None:
    peer = pushing()
    peer.engine.goaway(ErrorCode.NO_ERROR)
    peer.engine.send_response(2, OK, end_stream=True)
    assert the(peer.output(), HeadersFrame).stream_id == 2
    assert peer.closed == [2]
