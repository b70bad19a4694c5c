"""What a client takes for a promise: on which stream, of which stream, of which request (RFC 9113 §§5.1, 6.6, 8.4)."""

from __future__ import annotations

import pytest
from hyperframe.frame import Frame, PriorityFrame, RstStreamFrame

from tests.wire.engine_pair import (
    GET,
    HEAD,
    OK,
    PROMISED,
    Fields,
    RawPeer,
    assert_dies,
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
from trio_h2._wire._codes import ErrorCode, SettingCode
from trio_h2._wire._config import ClientConfig
from trio_h2._wire._events import (
    DataReceived,
    GoAwayReceived,
    InformationalReceived,
    PingReceived,
    PushPromised,
    ResponseReceived,
    StreamClosed,
    StreamFailed,
)

END_HEADERS = 0x4


def pushed(config: ClientConfig | None = None) -> RawPeer:
    """Returns a client that takes pushes, with request 1 under way."""
    peer = client_peer(config, push=True)
    peer.open()
    return peer


def resets(peer: RawPeer) -> list[tuple[int, int]]:
    """Takes the output, which must be resets alone; returns their streams and codes."""
    frames = peer.output()
    assert all(isinstance(frame, RstStreamFrame) for frame in frames)
    return [(frame.stream_id, frame.error_code) for frame in of_type(frames, RstStreamFrame)]


# -- the stream it is sent on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [False, True], ids=["open", "half-closed (local)"])
@pytest.mark.parametrize("answered", [False, True])
def test_promises_on_open_requests(end: bool, answered: bool) -> None:
    peer = client_peer(push=True)
    peer.open(b"POST", end=end)
    if answered:
        peer.feed(peer.headers(1, OK, end=False), data(1, b"some"))
    events = peer.feed(peer.promise(1, 2))
    assert [(e.stream_id, e.promised_id, e.headers.raw) for e in of_type(events, PushPromised)] == [(1, 2, PROMISED)]
    assert peer.output() == []


def test_promises_on_a_request_that_the_server_has_answered() -> None:
    peer = client_peer(push=True)
    peer.open(b"POST", end=False)
    peer.feed(peer.headers(1, OK))
    assert not peer.engine.streams[1].closed
    assert_dies(peer, peer.feed(peer.promise(1, 2)))


@pytest.mark.parametrize("ending", ["end", "reset"])
def test_promises_on_a_closed_request(ending: str) -> None:
    peer = pushed()
    peer.feed(peer.headers(1, OK) if ending == "end" else reset(1))
    assert_dies(peer, peer.feed(peer.promise(1, 2)))


def test_promises_on_an_idle_stream() -> None:
    peer = pushed()
    assert_dies(peer, peer.feed(peer.promise(3, 2)))


@pytest.mark.parametrize("begun", [False, True])
def test_promises_on_a_pushed_stream(begun: bool) -> None:
    peer = pushed()
    peer.feed(peer.promise(1, 2))
    if begun:
        peer.feed(peer.headers(2, OK, end=False))
    assert_dies(peer, peer.feed(peer.promise(2, 4)))


def test_promises_on_a_request_that_we_reset() -> None:
    """RFC 9113 §5.1: the promised stream is reserved all the same; its RST_STREAM and what is under way cross."""
    peer = pushed()
    peer.engine.reset(1, ErrorCode.CANCEL)
    peer.output()
    assert peer.feed(peer.promise(1, 2, [*PROMISED, (b"x-new", b"entry")])) == []
    assert resets(peer) == [(2, ErrorCode.CANCEL)]
    assert peer.feed(peer.headers(2, [*OK, (b"x-new", b"entry")], end=False), data(2, b"body", end=True)) == []
    assert peer.output() == []
    assert peer.engine.windows.budget.ledger.discarded == 4
    peer.open()
    events = peer.feed(peer.promise(3, 4, [*PROMISED, (b"x-new", b"entry")]))
    assert the(events, PushPromised).headers["x-new"] == "entry"


def test_promises_in_the_tunnel_of_a_connect() -> None:
    """RFC 9113 §8.5: a stream error, of the tunnel; and nobody wants what was promised in it."""
    peer = client_peer(push=True)
    peer.open(b"CONNECT", end=False)
    peer.feed(peer.headers(1, OK, end=False))
    events = peer.feed(peer.promise(1, 2))
    assert the(events, StreamFailed).failure.code == ErrorCode.PROTOCOL_ERROR
    assert sorted(resets(peer)) == [(1, ErrorCode.PROTOCOL_ERROR), (2, ErrorCode.CANCEL)]


# -- the stream it promises --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("promised", [1, 2, 3, 4, 5, 0])
def test_promised_ids_are_new_and_even(promised: int) -> None:
    peer = pushed()
    peer.feed(peer.promise(1, 4), reset(4))
    block = peer.encoder.encode(PROMISED)
    events = peer.feed(raw_frame(0x5, END_HEADERS, 1, promised.to_bytes(4, "big") + block))
    assert_dies(peer, events)


def test_the_reserved_bit_of_a_promised_id_is_ignored() -> None:
    peer = pushed()
    payload = (2**31 + 2).to_bytes(4, "big") + peer.encoder.encode(PROMISED)
    assert the(peer.feed(raw_frame(0x5, END_HEADERS, 1, payload)), PushPromised).promised_id == 2


def test_a_promised_id_may_be_the_last_of_all() -> None:
    peer = pushed()
    highest = 2**31 - 2
    assert the(peer.feed(peer.promise(1, highest)), PushPromised).promised_id == highest
    assert the(peer.feed(peer.headers(highest, OK)), ResponseReceived).stream_id == highest


def test_streams_that_were_jumped_over_are_closed() -> None:
    peer = pushed()
    peer.feed(peer.promise(1, 6))
    assert peer.feed(peer.headers(4, OK)) == []
    assert resets(peer) == [(4, ErrorCode.STREAM_CLOSED)]
    assert_dies(peer, peer.feed(peer.headers(8, OK)))  # idle


# -- the request that it promises --------------------------------------------------------------------------------------

LENGTH_0 = [*PROMISED, (b"content-length", b"0")]
OTHER_SPELLING: Fields = [*PROMISED[:2], (b":authority", b"EXAMPLE.com:443"), PROMISED[3]]
RIGHT: dict[str, Fields] = {"head": [*HEAD[:3], PROMISED[3]], "length 0": LENGTH_0, "spelling": OTHER_SPELLING}


@pytest.mark.parametrize("name", RIGHT)
def test_promised_requests_that_are_right(name: str) -> None:
    peer = pushed()
    assert the(peer.feed(peer.promise(1, 2, RIGHT[name])), PushPromised).headers.raw == RIGHT[name]
    assert peer.output() == []


WRONG: dict[str, Fields] = {
    "post": [(b":method", b"POST"), *PROMISED[1:]],
    "not cacheable": [(b":method", b"OPTIONS"), *PROMISED[1:]],
    "connect": [(b":method", b"CONNECT"), PROMISED[2]],
    "extended connect": [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *PROMISED[1:]],
    "unknown method": [(b":method", b"LOOK"), *PROMISED[1:]],
    "content": [*PROMISED, (b"content-length", b"5")],
    "no method": PROMISED[1:],
    "no scheme": [PROMISED[0], *PROMISED[2:]],
    "no path": PROMISED[:3],
    "no authority": [*PROMISED[:2], PROMISED[3]],
    "host only": [*PROMISED[:2], PROMISED[3], (b"host", b"example.com")],
    "response": OK,
    "connection": [*PROMISED, (b"connection", b"close")],
    "other host": [*PROMISED[:2], (b":authority", b"example.org"), PROMISED[3]],
    "other port": [*PROMISED[:2], (b":authority", b"example.com:444"), PROMISED[3]],
    "other scheme": [PROMISED[0], (b":scheme", b"http"), *PROMISED[2:]],
}


@pytest.mark.parametrize("name", WRONG)
def test_promised_requests_that_are_wrong(name: str) -> None:
    """A stream error on the promised stream; the request it belongs to and the session go on."""
    peer = pushed()
    assert peer.feed(peer.promise(1, 2, WRONG[name])) == []
    assert resets(peer) == [(2, ErrorCode.PROTOCOL_ERROR)]
    assert peer.feed(peer.headers(2, OK, end=False), data(2, b"late")) == []
    assert peer.output() == []
    events = peer.feed(peer.promise(1, 4), peer.headers(1, OK))
    assert [type(event) for event in events] == [PushPromised, ResponseReceived, StreamClosed]


def test_promised_requests_of_other_origins_that_the_server_speaks_for() -> None:
    peer = pushed()
    asked: list[tuple[bytes, bytes]] = []

    def speaks_for(scheme: bytes, authority: bytes) -> bool:
        asked.append((scheme, authority))
        return authority == b"example.org"

    peer.engine.authoritative = speaks_for
    for promised, name in (2, "other host"), (4, "other port"), (6, "host only"):
        assert len(of_type(peer.feed(peer.promise(1, promised, WRONG[name])), PushPromised)) == (promised == 2)
    assert asked == [(b"https", b"example.org"), (b"https", b"example.com:444")]
    assert [stream_id for stream_id, _ in resets(peer)] == [4, 6]


def test_promised_requests_are_compared_with_the_request_they_belong_to() -> None:
    peer = pushed()
    other: Fields = [*GET[:2], (b":authority", b"example.org"), GET[3]]
    peer.engine.open_stream(b"GET", other, end_stream=True)
    peer.output()
    promised: Fields = [*PROMISED[:2], (b":authority", b"example.org"), PROMISED[3]]
    assert len(of_type(peer.feed(peer.promise(1, 2, promised), peer.promise(3, 4, promised)), PushPromised)) == 1
    assert resets(peer) == [(2, ErrorCode.PROTOCOL_ERROR)]


def test_promised_requests_that_are_too_large() -> None:
    peer = pushed(ClientConfig(max_header_list_size=1000, max_header_fields=6))
    large: Fields = [*PROMISED, (b"x-large", bytes(1000).hex().encode())]
    many: Fields = [*PROMISED, *((b"x", b"y") for _ in range(3))]
    assert peer.feed(peer.promise(1, 2, large), peer.promise(1, 4, many)) == []
    assert resets(peer) == [(2, ErrorCode.ENHANCE_YOUR_CALM), (4, ErrorCode.ENHANCE_YOUR_CALM)]
    assert the(peer.feed(peer.promise(1, 6, many[:6])), PushPromised).promised_id == 6


def test_promises_that_cannot_be_decoded() -> None:
    peer = pushed()
    events = peer.feed(raw_frame(0x5, END_HEADERS, 1, b"\0\0\0\2\xff\xff\xff\xff"))
    assert_dies(peer, events, ErrorCode.COMPRESSION_ERROR)


@pytest.mark.parametrize("step", [None, 1])
def test_promises_in_pieces_and_with_padding(step: int | None) -> None:
    peer = pushed()
    block = peer.encoder.encode(PROMISED)
    frames = raw_frame(0x5, 0x8, 1, b"\7\0\0\0\2" + block[:3] + bytes(7))
    frames += raw_frame(0x9, 0, 1, block[3:5]) + raw_frame(0x9, END_HEADERS, 1, block[5:])
    events = []
    for start in range(0, len(frames), step or len(frames)):
        events += peer.feed(frames[start : start + (step or len(frames))])
    event = the(events, PushPromised)
    assert (event.headers.raw, event.flags) == (PROMISED, 0x8)  # those of the frame that begins the block


# -- while it is reserved, and after -----------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [data(2, b"x"), data(2), window_update(2, 5)], ids=["data", "empty", "update"])
def test_frames_that_a_reserved_stream_may_not_get(frame: Frame | bytes) -> None:
    """RFC 9113 §5.1, reserved (remote)."""
    peer = pushed()
    peer.feed(peer.promise(1, 2))
    assert_dies(peer, peer.feed(frame))


def test_frames_that_a_reserved_stream_may_get() -> None:
    peer = pushed()
    peer.feed(peer.promise(1, 2))
    assert peer.feed(PriorityFrame(2, depends_on=1, stream_weight=3), raw_frame(0xFA, 0, 2, b"unknown")) == []
    events = peer.feed(reset(2, ErrorCode.INTERNAL_ERROR))
    assert [type(event) for event in events] == [StreamFailed, StreamClosed]
    assert the(events, StreamFailed).failure.code == ErrorCode.INTERNAL_ERROR
    assert peer.output() == []


def test_every_frame_may_come_once_the_response_has_begun() -> None:
    peer = pushed()
    peer.feed(peer.promise(1, 2))
    events = peer.feed(
        peer.headers(2, [(b":status", b"103")], end=False),
        window_update(2, 5000),
        peer.headers(2, OK, end=False),
        PriorityFrame(2, depends_on=1, stream_weight=3),
        window_update(2, 5000),
        data(2, b"body", padding=3),
        peer.headers(2, [(b"x-trailer", b"y")]),
    )
    peer.engine.take(2, 4)
    kinds = [type(event).__name__ for event in events if not type(event).__name__.startswith("Window")]
    assert kinds == ["InformationalReceived", "ResponseReceived", "DataReceived", "TrailersReceived", "StreamClosed"]
    assert the(events, InformationalReceived).stream_id == 2


def test_pushed_responses_keep_the_rules_of_responses() -> None:
    peer = pushed()
    head: Fields = [*HEAD[:3], PROMISED[3]]
    peer.feed(peer.promise(1, 2), peer.promise(1, 4, head), peer.promise(1, 6), peer.promise(1, 8))
    long = [*OK, (b"content-length", b"10")]
    events = peer.feed(peer.headers(2, long, end=False), data(2, b"short", end=True))
    assert the(events, StreamFailed).failure.stream_id == 2
    assert the(peer.feed(peer.headers(4, long)), ResponseReceived).end_stream  # the answer to a HEAD
    assert the(peer.feed(peer.headers(6, GET)), StreamFailed).failure.stream_id == 6
    assert the(peer.feed(peer.headers(8, [(b":status", b"103")])), StreamFailed).failure.stream_id == 8
    assert resets(peer) == [(stream_id, ErrorCode.PROTOCOL_ERROR) for stream_id in (2, 6, 8)]


# -- when either side is leaving, or push is turned off ----------------------------------------------------------------


def test_promises_after_our_goaway_are_refused() -> None:
    """What was promised before goes on: the last id of a client is that of a push."""
    peer = pushed()
    peer.feed(peer.promise(1, 2))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    (sent,) = peer.output()
    assert getattr(sent, "last_stream_id", None) == 2
    assert peer.feed(peer.promise(1, 4)) == []
    assert resets(peer) == [(4, ErrorCode.CANCEL)]
    assert peer.feed(peer.headers(4, OK, end=False), data(4, b"late", end=True)) == []
    assert the(peer.feed(peer.headers(2, OK)), ResponseReceived).stream_id == 2


def test_a_server_that_is_leaving_may_push_on() -> None:
    peer = pushed()
    peer.feed(peer.promise(1, 2))
    events = peer.feed(goaway(1), peer.promise(1, 4), peer.headers(4, OK), peer.headers(2, OK))
    kinds = [type(event) for event in events]
    assert kinds == [GoAwayReceived, PushPromised, ResponseReceived, StreamClosed, ResponseReceived, StreamClosed]


def test_push_that_is_turned_off_is_off_from_the_acknowledgement_on() -> None:
    peer = pushed()
    peer.engine.update_settings({SettingCode.ENABLE_PUSH: 0})
    peer.output()
    assert the(peer.feed(peer.promise(1, 2)), PushPromised).promised_id == 2
    peer.feed(settings(ack=True))
    events = peer.feed(peer.headers(2, OK, end=False), data(2, b"body", end=True))  # promised before
    assert the(events, DataReceived).data == b"body"
    peer.engine.take(2, 4)
    peer.engine.update_settings({SettingCode.ENABLE_PUSH: 1})  # on again from here on: the server may know already
    assert the(peer.feed(peer.promise(1, 4)), PushPromised).promised_id == 4
    peer.feed(settings(ack=True))
    peer.engine.update_settings({SettingCode.ENABLE_PUSH: 0})
    peer.feed(settings(ack=True))
    peer.output()
    assert_dies(peer, peer.feed(peer.promise(1, 6)))


def test_push_cannot_be_turned_on_later() -> None:
    """Nobody would take what is pushed. A server must not ask for it at all (RFC 9113 §6.5.2)."""
    for peer in client_peer(), server_peer():
        with pytest.raises(ValueError, match="enable_push cannot be turned on"):
            peer.engine.check_settings({SettingCode.ENABLE_PUSH: 1})
        peer.engine.check_settings({SettingCode.ENABLE_PUSH: 0})
    pushed().engine.check_settings({SettingCode.ENABLE_PUSH: 1})


def test_the_session_goes_on_after_a_refused_promise() -> None:
    peer = pushed(ClientConfig(max_reserved_remote_streams=0))
    peer.feed(peer.promise(1, 2))
    assert resets(peer) == [(2, ErrorCode.REFUSED_STREAM)]
    assert peer.feed(ping()) == [PingReceived(b"12345678")]
