"""The room that a client's receive budget keeps for pushes: streams x window <= B, for requests and pushes together."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hyperframe.frame import RstStreamFrame

from tests.wire.engine_pair import OK, RawPeer, check_books, client_peer, credits, data, reset, settings, the
from tests.wire.test_engine_push_limits import STREAMS, pushed, refused
from trio_h2._wire._codes import ErrorCode, Role, SettingCode
from trio_h2._wire._config import MIB, ClientConfig
from trio_h2._wire._events import ResponseReceived

if TYPE_CHECKING:
    from trio_h2._wire._engine import Engine

WINDOW = SettingCode.INITIAL_WINDOW_SIZE


def test_the_budget_keeps_room_for_pushes() -> None:
    """Streams x window <= B, for requests and pushes together."""
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
        assert engine.windows.budget.spare(engine.windows.open, engine.windows.initial) == spare
        engine = client_peer(config, push=push).engine
        assert engine.windows.budget.spare(engine.windows.open, engine.windows.initial) == spare


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
    with pytest.raises(ValueError, match=r"^streams 11 x initial_window_size 100000 = 1100000 bytes"):
        engine.check_settings({STREAMS: 10})
    engine.check_settings({WINDOW: 200_000})
    with pytest.raises(ValueError, match=r"^streams 5 x initial_window_size 200001"):
        engine.check_settings({WINDOW: 200_001})
    with pytest.raises(ValueError, match="499999 bytes is too small for 5 streams"):
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
    assert peer.engine.windows.budget.stranded == 90_001
    peer.feed(peer.headers(4, OK))
    assert refused(peer) == [4]
    peer.engine.take(2, 90_001)
    assert the(peer.feed(peer.headers(6, OK)), ResponseReceived).stream_id == 6


def within_budget(engine: Engine) -> bool:
    budget = engine.windows.budget
    windows = (engine.windows.requests + len(engine.pushes.open)) * engine.windows.initial
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
            if not engine.streams[stream_id].headers_received:
                peer.feed(peer.headers(stream_id, OK, end=False))
        elif action < 0.8:
            ready = [i for i, stream in engine.streams.items() if stream.headers_received and not stream.remote_ended]
            if ready:
                stream_id = choose.choice(ready)
                room = min(engine.inbound_window(stream_id), engine.windows.budget.window, 16_000)
                size = choose.choice([0, room, room, room // 3])
                peer.feed(data(stream_id, bytes(size), end=choose.random() < 0.2))
        elif action < 0.85 and engine.streams:
            stream_id = choose.choice(sorted(engine.streams))
            if choose.random() < 0.5:
                peer.feed(reset(stream_id))
            else:
                engine.reset(stream_id, ErrorCode.CANCEL)
        elif credits(engine):
            stream_id = choose.choice(sorted(credits(engine)))
            choose.choice([engine.take, engine.discard])(stream_id, credits(engine)[stream_id].held)
        for stream_id in sorted(engine.slots - set(engine.streams)):
            engine.handler_done(stream_id)
        check_books(engine)
        assert within_budget(engine)
        assert engine.failure is None
        turned_away += sum(f.error_code == ErrorCode.REFUSED_STREAM for f in peer.sent(RstStreamFrame))
    assert promised > 100
    assert opened > 30
    assert turned_away > 10
    for stream_id, credit in list(credits(engine).items()):
        engine.take(stream_id, credit.held)
    for stream_id in list(engine.streams):
        engine.reset(stream_id, ErrorCode.CANCEL)
    assert not credits(engine)
    assert not engine.pushes
    for stream_id in list(engine.slots):
        engine.handler_done(stream_id)
    assert not engine.slots
    assert engine.windows.budget.extra == engine.windows.budget.stranded == engine.windows.budget.ledger.held == 0
