"""Server push with both ends: promises, their responses, and what either side allows."""

from __future__ import annotations

import pytest
from hyperframe.frame import RstStreamFrame

from tests.wire.engine_pair import (
    OK,
    POST,
    PROMISED,
    Fields,
    Pair,
    RawPeer,
    client_peer,
    of_type,
    raw_frame,
    server_peer,
    the,
)
from trio_h2._wire._codes import ErrorCode, SettingCode
from trio_h2._wire._config import ClientConfig
from trio_h2._wire._events import PushPromised


def allowed(pair: Pair) -> tuple[bool, bool]:
    """Whether the server may promise, and whether the client takes it."""
    return pair.server.push_allowed, pair.client.takes_pushes


def test_a_released_engine_refers_to_nobody_above_it() -> None:
    pair = Pair(push=True)
    pair.client.authoritative = lambda scheme, authority: True
    pair.client.release()
    assert not pair.client.authoritative(b"https", b"example.com")


@pytest.mark.parity("E2", "H7")
def test_push_is_allowed_until_the_client_says_otherwise() -> None:
    assert allowed(Pair()) == (False, False)
    pair = Pair(push=True)
    assert allowed(pair) == (True, True)
    assert not pair.client.push_allowed
    assert SettingCode.ENABLE_PUSH not in pair.server.peer_settings
    for value in 0, 1:
        pair.client.update_settings({SettingCode.ENABLE_PUSH: value})
        pair.exchange()
        assert allowed(pair) == (bool(value), bool(value))
    pair.server.goaway(ErrorCode.NO_ERROR, 2**31 - 1)
    assert allowed(pair) == (True, True)  # it is about streams of the client


def test_where_a_promise_may_be_sent() -> None:
    """RFC 9113 §6.6: on a stream of the client that the server has not ended, and on no pushed one."""
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    assert peer.engine.can_promise_on(1)
    assert not peer.engine.can_promise_on(peer.engine.push(1, b"GET", PROMISED))
    assert not peer.engine.can_promise_on(3)
    peer.engine.send_response(1, OK, end_stream=True)
    assert not peer.engine.can_promise_on(1)


# -- what a client takes for a promise ---------------------------------------------------------------------------------


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


def test_promised_requests_that_are_too_large() -> None:
    peer = pushed(ClientConfig(max_header_list_size=1000, max_header_fields=6))
    large: Fields = [*PROMISED, (b"x-large", bytes(1000).hex().encode())]
    many: Fields = [*PROMISED, *((b"x", b"y") for _ in range(3))]
    assert peer.feed(peer.promise(1, 2, large), peer.promise(1, 4, many)) == []
    assert resets(peer) == [(2, ErrorCode.ENHANCE_YOUR_CALM), (4, ErrorCode.ENHANCE_YOUR_CALM)]
    assert the(peer.feed(peer.promise(1, 6, many[:6])), PushPromised).promised_id == 6


@pytest.mark.parametrize("step", [None, 1])
def test_promises_in_pieces_and_with_padding(step: int | None) -> None:
    peer = pushed()
    block = peer.encoder.encode(PROMISED)
    frames = raw_frame(0x5, 0x8, 1, b"\7\0\0\0\2" + block[:3] + bytes(7))
    frames += raw_frame(0x9, 0, 1, block[3:5]) + raw_frame(0x9, 0x4, 1, block[5:])
    events = []
    for start in range(0, len(frames), step or len(frames)):
        events += peer.feed(frames[start : start + (step or len(frames))])
    event = the(events, PushPromised)
    assert (event.headers.raw, event.flags) == (PROMISED, 0x8)  # those of the frame that begins the block


def test_push_cannot_be_turned_on_later() -> None:
    """Nobody would take what is pushed. A server must not ask for it at all (RFC 9113 §6.5.2)."""
    for peer in client_peer(), server_peer():
        with pytest.raises(ValueError, match="enable_push cannot be turned on"):
            peer.engine.check_settings({SettingCode.ENABLE_PUSH: 1})
        peer.engine.check_settings({SettingCode.ENABLE_PUSH: 0})
    pushed().engine.check_settings({SettingCode.ENABLE_PUSH: 1})
