"""SETTINGS both ways: what is announced is what counts, and each frame has its own acknowledgement (RFC 9113 §6.5)."""

from __future__ import annotations

import pytest
from hyperframe.frame import RstStreamFrame, SettingsFrame

from tests.wire.engine_pair import (
    GET,
    OK,
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
    stream_windows,
    the,
)
from trio_h2._wire._codes import ErrorCode, Role
from trio_h2._wire._config import ClientConfig, ServerConfig
from trio_h2._wire._events import (
    DataReceived,
    RequestReceived,
    SettingsAcknowledged,
    SettingsReceived,
    StreamFailed,
    WindowOpened,
)
from trio_h2._wire._receiver import MAX_UNKNOWN_SETTINGS

TABLE, PUSH, STREAMS, WINDOW, FRAME, LIST = 1, 2, 3, 4, 5, 6
CONNECT_PROTOCOL, NO_PRIORITIES = 8, 9


def test_initial_settings_are_what_the_configuration_says() -> None:
    """Also what is not the default of the protocol."""
    server = RawPeer(
        Role.SERVER,
        ServerConfig(
            stream_window=70_000,
            max_frame_size=20_000,
            max_header_list_size=3000,
            header_table_size=100,
            max_concurrent_streams=5,
        ),
    )
    client = RawPeer(Role.CLIENT)
    for peer in server, client:
        peer.start()
    assert settings_sent(server.output()) == [
        {TABLE: 100, WINDOW: 70_000, FRAME: 20_000, LIST: 3000, NO_PRIORITIES: 1, STREAMS: 5}
    ]
    assert settings_sent(client.output()) == [
        {TABLE: 4096, WINDOW: 512 * 1024, FRAME: 16_384, LIST: 65_535, NO_PRIORITIES: 1, PUSH: 0}
    ]


def test_settings_are_in_force_before_and_after_the_acknowledgement() -> None:
    peer = RawPeer(Role.SERVER)
    peer.handshake(acknowledge=False)
    pending = [peer.engine.settings_pending]
    assert peer.engine.local_settings[WINDOW] == 128 * 1024
    events = peer.feed(settings(ack=True))
    pending.append(peer.engine.settings_pending)
    assert pending == [True, False]
    assert the(events, SettingsAcknowledged).values == peer.engine.local_settings
    assert peer.feed(settings(ack=True)) == []  # for nothing


def test_one_settings_frame_is_in_flight_and_the_others_wait_their_turn() -> None:
    """An acknowledgement says which SETTINGS are applied: those of one frame, not all that were asked for."""
    peer = server_peer()
    updates = [{WINDOW: 100_000}, {WINDOW: 90_000, FRAME: 17_000}, {STREAMS: 7}]
    for update in updates:
        peer.engine.update_settings(update)
    for update in updates:
        assert settings_sent(peer.output()) == [update]
        assert peer.engine.settings_pending
        assert the(peer.feed(settings(ack=True)), SettingsAcknowledged).values == update
        assert peer.engine.local_settings.items() >= update.items()
    assert not peer.engine.settings_pending
    assert peer.output() == []
    assert peer.engine.windows.initial == 90_000


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


def test_custom_settings_above_255_are_sent_whole() -> None:
    """Hyperframe cuts their numbers."""
    peer = server_peer()
    peer.engine.update_settings({0xF0E0: 2**32 - 1, 0x1_00: 7})
    assert settings_sent(peer.output()) == [{0xF0E0: 2**32 - 1, 0x100: 7}]


# -- windows of our own ------------------------------------------------------------------------------------------------


def test_small_window_is_enforced_from_the_acknowledgement_on() -> None:
    """RFC 9113 §6.5.3: until then, the peer may still go by the protocol's default of 65 535."""
    peer = RawPeer(Role.SERVER, ServerConfig(stream_window=1000))
    peer.handshake(acknowledge=False)
    peer.feed(peer.headers(1, POST, end=False), peer.headers(3, POST, end=False))
    assert the(peer.feed(data(1, bytes(16_000))), DataReceived).stream_id == 1
    peer.feed(settings(ack=True))
    assert peer.engine.inbound_window(1) == 1000 - 16_000
    assert the(peer.feed(data(3, bytes(1001))), StreamFailed).failure.code == ErrorCode.FLOW_CONTROL_ERROR
    assert not of_type(peer.feed(data(1, b"")), StreamFailed)  # empty DATA needs no window
    peer.output()
    peer.engine.take(1, 16_000)
    assert stream_windows(peer.output(), 1) == 16_000
    assert peer.engine.inbound_window(1) == 1000
    assert not of_type(peer.feed(data(1, bytes(1000))), StreamFailed)
    assert the(peer.feed(data(1, bytes(1))), StreamFailed).stream_id == 1
    peer.engine.discard(1, 1000)


def test_larger_window_counts_from_the_sending_on() -> None:
    peer = server_peer(ServerConfig(stream_window=1000))
    peer.feed(peer.headers(1, POST, end=False))
    peer.engine.update_settings({WINDOW: 3000})
    assert not of_type(peer.feed(data(1, bytes(2500)), peer.headers(3, POST, end=False)), StreamFailed)
    assert not of_type(peer.feed(data(3, bytes(3000)), settings(ack=True)), StreamFailed)
    assert peer.engine.streams[1].target == 3000
    assert the(peer.feed(data(1, bytes(501))), StreamFailed).stream_id == 1
    peer.engine.discard(1, 2500)
    peer.engine.discard(3, 3000)


def test_smaller_window_counts_from_the_acknowledgement_on() -> None:
    """Negative windows of our own; empty DATA still ends the body."""
    peer = server_peer(ServerConfig(stream_window=3000))
    peer.feed(peer.headers(1, POST, end=False), data(1, bytes(2000)))
    peer.engine.update_settings({WINDOW: 500})
    peer.feed(data(1, bytes(1000)), settings(ack=True))
    assert peer.engine.inbound_window(1) == -2500
    assert the(peer.feed(data(1, b"", end=True)), DataReceived).end_stream
    peer.engine.take(1, 3000)


def test_an_update_that_changes_nothing() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    window = peer.engine.windows.initial
    peer.engine.update_settings({WINDOW: window})
    peer.feed(settings(ack=True))
    assert peer.engine.windows.initial == peer.engine.streams[1].target == window


# -- other limits of our own -------------------------------------------------------------------------------------------


def test_more_streams_count_from_the_sending_on_fewer_from_the_acknowledgement_on() -> None:
    peer = server_peer(ServerConfig(max_concurrent_streams=1))
    peer.engine.update_settings({STREAMS: 2})
    assert len(of_type(peer.feed(peer.headers(1, GET), peer.headers(3, GET)), RequestReceived)) == 2
    peer.feed(settings(ack=True))
    peer.engine.update_settings({STREAMS: 3})
    peer.engine.update_settings({STREAMS: 0})
    peer.feed(settings(ack=True))
    assert of_type(peer.feed(peer.headers(5, GET)), RequestReceived)
    peer.feed(settings(ack=True))
    peer.engine.send_response(1, OK, end_stream=True)
    peer.engine.handler_done(1)
    peer.output()
    assert peer.feed(peer.headers(7, GET)) == []
    assert the(peer.output(), RstStreamFrame).error_code == ErrorCode.REFUSED_STREAM


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


def test_window_changes_of_the_peer_are_reported() -> None:
    """h2 emits no event for it; writers would wait for ever."""
    peer = client_peer()
    peer.open(b"POST", end=False)
    events = peer.feed(settings({WINDOW: 100}))
    assert events == [SettingsReceived({WINDOW: 100}), WindowOpened(0)]
    assert peer.feed(settings({STREAMS: 100})) == [SettingsReceived({STREAMS: 100})]
