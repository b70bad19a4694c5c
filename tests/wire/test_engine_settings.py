"""SETTINGS both ways: what is announced is what counts, and each frame has its own acknowledgement (RFC 9113 §6.5)."""

from __future__ import annotations

import pytest
from hyperframe.frame import SettingsFrame

from tests.wire.engine_pair import (
    GET,
    POST,
    Fields,
    RawPeer,
    assert_dies,
    client_peer,
    data,
    of_type,
    server_peer,
    settings,
    settings_sent,
    the,
)
from trio_h2._wire._codes import ErrorCode, Role
from trio_h2._wire._config import ClientConfig, ServerConfig
from trio_h2._wire._events import (
    DataReceived,
    RequestReceived,
    SettingsReceived,
    WindowOpened,
)
from trio_h2._wire._receiver import MAX_UNKNOWN_SETTINGS

TABLE, PUSH, STREAMS, WINDOW, FRAME, LIST = 1, 2, 3, 4, 5, 6
CONNECT_PROTOCOL, NO_PRIORITIES = 8, 9


def test_update_during_the_handshake_waits_for_the_first_acknowledgement() -> None:
    peer = RawPeer(Role.SERVER)
    peer.start()
    peer.engine.update_settings({WINDOW: 1000})
    assert WINDOW in the(peer.output(), SettingsFrame).settings
    assert peer.engine.windows.initial == 128 * 1024
    peer.handshake(acknowledge=False)
    assert peer.engine.windows.initial == 128 * 1024
    peer.feed(settings(ack=True))
    assert settings_sent(peer.output()) == [{WINDOW: 1000}]


# -- windows of our own ------------------------------------------------------------------------------------------------


def test_an_update_that_changes_nothing() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    window = peer.engine.windows.initial
    peer.engine.update_settings({WINDOW: window})
    peer.feed(settings(ack=True))
    assert peer.engine.windows.initial == peer.engine.streams[1].target == window


# -- other limits of our own -------------------------------------------------------------------------------------------


def test_larger_frames_count_from_the_sending_on_smaller_from_the_acknowledgement_on() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    peer.engine.update_settings({FRAME: 20_000})
    assert of_type(peer.feed(data(1, bytes(20_000)), settings(ack=True)), DataReceived)
    peer.engine.update_settings({FRAME: 16_384})
    assert of_type(peer.feed(data(1, bytes(20_000))), DataReceived)
    peer.engine.discard(1, 40_000)
    # the very next frame of the same read is judged by the new limit
    assert_dies(peer, peer.feed(settings(ack=True), data(1, bytes(16_385))), ErrorCode.FRAME_SIZE_ERROR)


def test_header_list_limit_follows_the_settings() -> None:
    peer = server_peer(ServerConfig(max_header_list_size=300))
    fields: Fields = [*GET, (b"x-long", bytes(b"y" * 400))]
    assert not of_type(peer.feed(peer.headers(1, fields)), RequestReceived)
    peer.engine.update_settings({LIST: 10_000_000})
    assert of_type(peer.feed(peer.headers(3, fields)), RequestReceived)
    peer.feed(settings(ack=True))
    peer.engine.update_settings({LIST: 300})
    assert of_type(peer.feed(peer.headers(5, fields)), RequestReceived)
    peer.feed(settings(ack=True))
    assert not of_type(peer.feed(peer.headers(7, fields)), RequestReceived)


# -- what an update may ask for ----------------------------------------------------------------------------------------


def test_windows_must_fit_the_budget() -> None:
    """ValueError naming the three numbers."""
    peer = server_peer(ServerConfig(max_concurrent_streams=10, stream_window=50_000, receive_budget=1_000_000))
    check = peer.engine.check_settings
    check({WINDOW: 100_000})
    check({STREAMS: 20})
    with pytest.raises(ValueError, match=r"max_concurrent_streams 10 x initial_window_size 100001 = 1000010 .*1000000"):
        check({WINDOW: 100_001})
    with pytest.raises(ValueError, match="max_concurrent_streams 21 x initial_window_size 50000"):
        check({STREAMS: 21})
    peer.engine.update_settings({WINDOW: 100_000})
    with pytest.raises(ValueError, match="max_concurrent_streams 20 x initial_window_size 100000"):
        check({STREAMS: 20})  # together with what is in flight
    peer.engine.update_settings({WINDOW: 50_000})
    with pytest.raises(ValueError, match="max_concurrent_streams 20 x initial_window_size 100000"):
        check({STREAMS: 20})  # or queued
    peer.feed(settings(ack=True))
    peer.feed(settings(ack=True))
    check({STREAMS: 20})


def test_windows_of_a_client_must_fit_the_streams_that_are_open() -> None:
    peer = client_peer(ClientConfig(stream_window=100_000, receive_budget=1_000_000))
    peer.engine.check_settings({WINDOW: 1_000_000})
    for _ in range(5):
        peer.open()
    peer.engine.check_settings({WINDOW: 200_000})
    with pytest.raises(ValueError, match=r"^streams 5 x initial_window_size 200001"):
        peer.engine.check_settings({WINDOW: 200_001})


def test_windows_that_have_grown_may_not_overflow() -> None:
    peer = server_peer(ServerConfig(max_concurrent_streams=1, receive_budget=2**31 - 1, stream_window=2**30))
    peer.feed(peer.headers(1, POST, end=False))
    peer.engine.check_settings({WINDOW: 2**31 - 1})
    peer.engine.windows.budget.grow(peer.engine.streams[1], 2**31 - 1, 10)
    peer.engine.streams[1].receive_window += 10
    with pytest.raises(ValueError, match="overflows"):
        peer.engine.check_settings({WINDOW: 2**31 - 1})
    peer.engine.check_settings({WINDOW: 2**31 - 11})


def test_extended_connect_cannot_be_withdrawn() -> None:
    """RFC 8441 §3, when sending."""
    peer = server_peer()
    peer.engine.check_settings({CONNECT_PROTOCOL: 0})
    peer.engine.update_settings({CONNECT_PROTOCOL: 1})
    with pytest.raises(ValueError, match="withdrawn"):
        peer.engine.check_settings({CONNECT_PROTOCOL: 0})
    peer.engine.check_settings({CONNECT_PROTOCOL: 1})
    fields: Fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    assert not of_type(peer.feed(peer.headers(1, fields, end=False)), RequestReceived)
    peer.feed(settings(ack=True))
    assert of_type(peer.feed(peer.headers(3, fields, end=False)), RequestReceived)


# -- settings of the peer ----------------------------------------------------------------------------------------------


def test_distinct_unknown_settings_are_bounded() -> None:
    """A peer could name 65 536 of them, in one frame or in many."""
    peer = server_peer(values={STREAMS: 1})
    events = peer.feed(settings({code: code for code in range(0x100, 0x100 + 2000)}))
    kept = the(events, SettingsReceived).changed
    assert len(peer.engine.peer_settings) == MAX_UNKNOWN_SETTINGS == len(kept) + 1
    for start in range(0x1000, 0x1100, 16):
        peer.feed(settings({code: 1 for code in range(start, start + 16)}))
    assert len(peer.engine.peer_settings) == MAX_UNKNOWN_SETTINGS
    peer.feed(settings({0x100: 5, WINDOW: 70_000, TABLE: 4096, NO_PRIORITIES: 1}))  # known ones still count
    assert peer.engine.peer_settings[0x100] == 5
    assert peer.engine.peer_settings[WINDOW] == 70_000
    assert peer.engine.peer_settings[NO_PRIORITIES] == 1


def test_the_last_value_counts_though_there_is_no_more_room() -> None:
    """RFC 9113 §6.5.3: "The values in the SETTINGS frame MUST be processed in the order they appear"."""
    peer = server_peer(values={STREAMS: 1})
    peer.feed(settings({code: 1 for code in range(0x100, 0x100 + MAX_UNKNOWN_SETTINGS - 2)}))
    peer.feed(settings([(0x200, 1), (0x200, 2), (0x201, 1)]))
    assert peer.engine.peer_settings[0x200] == 2
    assert 0x201 not in peer.engine.peer_settings


def test_window_changes_of_the_peer_are_reported() -> None:
    """h2 emits no event for it; writers would wait for ever."""
    peer = client_peer()
    peer.open(b"POST", end=False)
    events = peer.feed(settings({WINDOW: 100}))
    assert events == [SettingsReceived({WINDOW: 100}), WindowOpened(0)]
    assert peer.feed(settings({STREAMS: 100})) == [SettingsReceived({STREAMS: 100})]
