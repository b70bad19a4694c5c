"""How many pushes there can be: promised, open, and in what they leave unread (RFC 9113 §§5.1.2 and 8.4.2)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hyperframe.frame import RstStreamFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    PREFACE,
    PROMISED,
    RawPeer,
    assert_dies,
    check_books,
    client_peer,
    data,
    of_type,
    raw_frame,
    reset,
    server_peer,
    settings,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode, Role, SettingCode
from trio_h2._wire._config import MIB, ClientConfig, ServerConfig
from trio_h2._wire._events import PushPromised, RequestReceived, ResponseReceived, StreamFailed
from trio_h2._wire._extframes import PRIORITY_UPDATE, priority_update_payload

if TYPE_CHECKING:
    from trio_h2._wire._engine import Engine

STREAMS = SettingCode.MAX_CONCURRENT_STREAMS
WINDOW = SettingCode.INITIAL_WINDOW_SIZE


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


@pytest.mark.parity("H9", "C5")
def test_promises_over_the_limit_are_refused() -> None:
    assert ClientConfig().max_reserved_remote_streams == 200
    peer = pushed(ClientConfig(max_reserved_remote_streams=2))
    events = peer.feed(*(peer.promise(1, promised) for promised in (2, 4, 6, 8)))
    assert [event.promised_id for event in of_type(events, PushPromised)] == [2, 4]
    assert refused(peer) == [6, 8]
    peer.feed(peer.headers(4, OK, end=False))  # no more only promised
    assert the(peer.feed(peer.promise(1, 10)), PushPromised).promised_id == 10
    peer.feed(peer.promise(1, 12), reset(2))
    assert the(peer.feed(peer.promise(1, 14)), PushPromised).promised_id == 14
    assert refused(peer) == [12]


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


@pytest.mark.parametrize("acknowledged", [False, True])
def test_pushes_over_the_announced_limit_are_refused(acknowledged: bool) -> None:
    """Also by a server that may not have seen the limit yet: it bounds what we must have room for."""
    peer = RawPeer(Role.CLIENT, ClientConfig(max_concurrent_pushes=2), push=True)
    peer.handshake(acknowledge=acknowledged)
    assert peer.engine.local_settings[STREAMS] == 2
    peer.open()
    peer.feed(*(peer.promise(1, promised) for promised in (2, 4, 6, 8)))
    events = peer.feed(*(peer.headers(promised, OK, end=False) for promised in (2, 4, 6)))
    assert [event.stream_id for event in of_type(events, ResponseReceived)] == [2, 4]
    failure = the(events, StreamFailed).failure
    assert (failure.stream_id, failure.code) == (6, ErrorCode.REFUSED_STREAM)
    assert refused(peer) == [6]
    peer.feed(data(2, b"", end=True))
    assert the(peer.feed(peer.headers(8, OK)), ResponseReceived).stream_id == 8


def test_an_interim_response_counts_as_the_response() -> None:
    peer = pushed(ClientConfig(max_concurrent_pushes=1))
    peer.feed(peer.promise(1, 2), peer.promise(1, 4), peer.headers(2, [(b":status", b"103")], end=False))
    peer.feed(peer.headers(2, OK, end=False), peer.headers(4, [(b":status", b"103")], end=False))
    assert refused(peer) == [4]


def test_without_push_nothing_is_said_of_streams() -> None:
    assert STREAMS not in client_peer().engine.local_settings
    assert client_peer(push=True).engine.local_settings[STREAMS] == 16


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


def test_pushes_take_no_slots_of_requests() -> None:
    peer = client_peer(values={STREAMS: 2}, push=True)
    peer.open()
    peer.feed(peer.promise(1, 2), peer.promise(1, 4), peer.headers(2, OK, end=False))
    assert peer.engine.has_slot()
    peer.open()
    assert not peer.engine.has_slot()


# -- the receive budget of a client ------------------------------------------------------------------------------------


def test_the_budget_keeps_room_for_pushes() -> None:
    """DESIGN: streams x window <= B, for requests and pushes together."""
    config = ClientConfig(stream_window=100_000, receive_budget=1_000_000, max_concurrent_pushes=4)
    peer = client_peer(config, push=True)
    requests = 0
    while peer.engine.has_slot():
        peer.open()
        requests += 1
    assert requests == 6
    without = client_peer(config)
    for _ in range(10):
        assert without.engine.has_slot()
        without.open()
    assert not without.engine.has_slot()


def test_windows_grow_only_out_of_what_pushes_leave() -> None:
    config = ClientConfig(
        stream_window=100_000, receive_budget=1_000_000, peer_max_concurrent_streams=2, max_concurrent_pushes=4
    )
    for push, spare in (False, 800_000), (True, 400_000):
        engine = RawPeer(Role.CLIENT, config, push=push).engine
        assert engine.budget.spare(engine.windows, engine.initial_window) == spare
        engine = client_peer(config, push=push).engine
        assert engine.budget.spare(engine.windows, engine.initial_window) == spare


def test_windows_of_pushes_must_fit_the_budget() -> None:
    config = ClientConfig(stream_window=MIB, receive_budget=16 * MIB)
    match = (
        rf"1 request \+ max_concurrent_pushes 16\) x stream_window {MIB} = {17 * MIB} .*receive_budget of {16 * MIB}"
    )
    with pytest.raises(ValueError, match=match):
        RawPeer(Role.CLIENT, config, push=True)
    RawPeer(Role.CLIENT, config)
    RawPeer(Role.CLIENT, config.evolve(max_concurrent_pushes=15), push=True)


def test_settings_of_a_client_that_takes_pushes_must_fit_the_budget() -> None:
    config = ClientConfig(stream_window=100_000, receive_budget=1_000_000, max_concurrent_pushes=4)
    engine = pushed(config).engine
    engine.check_settings({STREAMS: 9})
    with pytest.raises(ValueError, match=r"^streams 11 x initial_window_size 100000 = 1100000 octets"):
        engine.check_settings({STREAMS: 10})
    engine.check_settings({WINDOW: 200_000})
    with pytest.raises(ValueError, match=r"^streams 5 x initial_window_size 200001"):
        engine.check_settings({WINDOW: 200_001})
    with pytest.raises(ValueError, match="499999 octets is too small for 5 streams"):
        engine.set_receive_budget(499_999)


def test_limits_of_pushes_change_with_settings() -> None:
    """The larger limit counts as long as the server may go by it."""
    config = ClientConfig(stream_window=100_000, receive_budget=1_000_000, max_concurrent_pushes=2)
    peer = pushed(config)
    engine = peer.engine
    for limit, before, after in (4, (2, 4), (4, 4)), (1, (4, 4), (1, 1)):
        engine.update_settings({STREAMS: limit})
        assert (engine.max_streams, engine.pushes.windows) in (before, after[:1] + before[1:])
        assert engine.pushes.windows == max(before[1], limit)
        peer.feed(settings(ack=True))
        assert (engine.max_streams, engine.pushes.windows) == after
    peer.output()


def test_open_pushes_keep_their_room_when_the_limit_shrinks() -> None:
    peer = pushed(ClientConfig(stream_window=100_000, receive_budget=400_000, max_concurrent_pushes=3))
    for promised in 2, 4:
        peer.feed(peer.promise(1, promised), peer.headers(promised, OK, end=False))
    peer.engine.update_settings({STREAMS: 0})
    peer.feed(settings(ack=True))
    assert peer.engine.pushes.windows == 2
    assert peer.engine.has_slot()
    peer.open()
    assert not peer.engine.has_slot()
    with pytest.raises(ValueError, match="too small for 4 streams"):
        peer.engine.set_receive_budget(399_999)
    peer.feed(reset(2))
    assert peer.engine.has_slot()


def test_a_push_is_refused_while_closed_streams_hold_its_room() -> None:
    """Stalled pushes cannot starve requests: what one left unread takes room until somebody takes it."""
    window = 100_000
    peer = client_peer(
        ClientConfig(stream_window=window, receive_budget=4 * window, max_concurrent_pushes=1), push=True
    )
    for _ in range(3):
        peer.open()
    peer.feed(*(peer.promise(1, promised) for promised in (2, 4, 6)))
    peer.feed(peer.headers(2, OK, end=False), *(data(2, bytes(10_000)) for _ in range(9)), data(2, b"x", end=True))
    assert peer.engine.budget.stranded == 90_001
    peer.feed(peer.headers(4, OK))
    assert refused(peer) == [4]
    peer.engine.take(2, 90_001)
    assert the(peer.feed(peer.headers(6, OK)), ResponseReceived).stream_id == 6


def within_budget(engine: Engine) -> bool:
    budget = engine.budget
    windows = (engine.requests + len(engine.pushes.open)) * engine.initial_window
    return windows + budget.extra + budget.stranded <= budget.size


@pytest.mark.parametrize("seed", range(6))
def test_books_balance_and_windows_fit_whatever_happens(seed: int) -> None:
    """Promises, responses, bodies, resets by either side, readers that stall: windows never promise more than B."""
    choose = random.Random(seed)
    config = ClientConfig(
        stream_window=20_000, receive_budget=100_000, max_concurrent_pushes=2, max_reserved_remote_streams=3
    )
    peer = client_peer(config, push=True)
    engine = peer.engine
    promised, opened, turned_away = 0, 0, 0
    for _ in range(1200):
        action = choose.random()
        requests = [i for i in engine.streams if i % 2 == 1]
        if action < 0.1 and engine.has_slot():
            peer.open()
        elif action < 0.3 and requests:
            promised += 2
            peer.feed(peer.promise(choose.choice(requests), promised))
        elif action < 0.45 and engine.pushes.reserved:
            stream_id = choose.choice(sorted(engine.pushes.reserved))
            peer.feed(peer.headers(stream_id, OK, end=choose.random() < 0.1))
            opened += 1
        elif action < 0.5 and requests:
            stream_id = choose.choice(requests)
            if engine.streams[stream_id].remote == 0:
                peer.feed(peer.headers(stream_id, OK, end=False))
        elif action < 0.8:
            ready = [i for i, stream in engine.streams.items() if stream.remote == 1]
            if ready:
                stream_id = choose.choice(ready)
                room = min(engine.conn.inbound_window(stream_id), engine.budget.window, 16_000)
                size = choose.choice([0, room, room, room // 3])
                peer.feed(data(stream_id, bytes(size), end=choose.random() < 0.2))
        elif action < 0.85 and engine.streams:
            stream_id = choose.choice(sorted(engine.streams))
            if choose.random() < 0.5:
                peer.feed(reset(stream_id))
            else:
                engine.reset(stream_id, ErrorCode.CANCEL)
        elif engine.credits:
            stream_id = choose.choice(sorted(engine.credits))
            choose.choice([engine.take, engine.discard])(stream_id, engine.credits[stream_id].held)
        for stream_id in sorted(engine.slots - set(engine.streams)):
            engine.handler_done(stream_id)
        check_books(engine)
        assert within_budget(engine)
        assert engine.failure is None
        turned_away += sum(f.error_code == ErrorCode.REFUSED_STREAM for f in peer.sent(RstStreamFrame))
    assert promised > 100
    assert opened > 30
    assert turned_away > 10
    for stream_id, credit in list(engine.credits.items()):
        engine.take(stream_id, credit.held)
    for stream_id in list(engine.streams):
        engine.reset(stream_id, ErrorCode.CANCEL)
    assert not engine.credits
    assert not engine.pushes
    for stream_id in list(engine.slots):
        engine.handler_done(stream_id)
    assert not engine.slots
    assert engine.budget.extra == engine.budget.stranded == engine.budget.ledger.held == 0


# -- a server ----------------------------------------------------------------------------------------------------------


def pushing(config: ServerConfig | None = None, values: dict[int, int] | None = None, count: int = 0) -> RawPeer:
    """Returns a server with a request on stream 1, and *count* streams promised on it."""
    peer = server_peer(config, values)
    peer.feed(peer.headers(1, GET))
    for _ in range(count):
        peer.engine.push(1, b"GET", PROMISED)
    peer.output()
    return peer


@pytest.mark.parity("H7")
def test_the_limit_of_the_client_is_for_responses() -> None:
    peer = pushing(values={STREAMS: 2}, count=4)
    engine = peer.engine
    assert engine.push_allowed
    for stream_id in 2, 4:
        assert engine.has_push_slot()
        engine.send_response(stream_id, OK, end_stream=False)
    assert not engine.has_push_slot()
    engine.send_data(2, b"", end_stream=True)
    assert engine.has_push_slot()
    engine.send_informational(6, [(b":status", b"103")])
    assert not engine.has_push_slot()
    peer.feed(reset(6))
    assert engine.has_push_slot()
    peer.feed(settings({STREAMS: 0}))
    assert not engine.has_push_slot()
    assert engine.push_allowed  # RFC 9113 §8.4.2: promises are still possible


@pytest.mark.parity("H7")
def test_what_is_assumed_counts_until_the_client_names_a_number() -> None:
    peer = RawPeer(Role.SERVER, ServerConfig(peer_max_concurrent_streams=1))
    peer.start()
    assert peer.engine.peer_max_streams == 1
    assert RawPeer(Role.SERVER).engine.peer_max_streams == 100
    peer.feed(PREFACE, settings({}), settings(ack=True), peer.headers(1, GET))
    for _ in range(2):
        peer.engine.push(1, b"GET", PROMISED)
    peer.engine.send_response(2, OK, end_stream=False)
    assert not peer.engine.has_push_slot()
    peer.feed(settings({STREAMS: 2}))
    assert peer.engine.has_push_slot()


def test_pushes_take_no_slots_and_no_budget_of_received_requests() -> None:
    config = ServerConfig(max_concurrent_streams=2, stream_window=50_000, receive_budget=100_000)
    peer = pushing(config, count=5)
    engine = peer.engine
    engine.send_response(2, OK, end_stream=False)
    assert (engine.requests, engine.windows) == (1, 1)
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
