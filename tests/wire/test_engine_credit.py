"""Receive credit: nothing leaks, nobody starves, and windows grow out of the free rest only."""

from __future__ import annotations

import random

import pytest
from hyperframe.frame import Frame, PingFrame, SettingsFrame, WindowUpdateFrame

from tests.wire.engine_pair import (
    OK,
    POST,
    RawPeer,
    check_books,
    client_peer,
    connection_windows,
    credits,
    data,
    of_type,
    ping,
    reset,
    server_peer,
    stream_windows,
)
from trio_h2._wire._codes import ErrorCode, Role
from trio_h2._wire._config import ClientConfig, ServerConfig, SessionConfig
from trio_h2._wire._events import PingReceived, SessionFailed, StreamFailed
from trio_h2._wire._tuning import PROBE_PAYLOAD

STREAMS = 3
WINDOW = 4


class Sender:
    """The other side of an engine, which keeps to every window it is given."""

    def __init__(self, config: SessionConfig) -> None:
        self.role = Role.SERVER if isinstance(config, ServerConfig) else Role.CLIENT
        self.peer = RawPeer(self.role, config)
        self.connection = 65_535
        self.initial = 65_535
        self.windows: dict[int, int] = {}
        self.peer.start()
        self.absorb()
        self.peer.handshake({STREAMS: 1000})
        self.engine = self.peer.engine

    def absorb(self) -> list[Frame]:
        """Takes the engine's output and books its window updates."""
        frames = self.peer.output()
        for frame in frames:
            if isinstance(frame, SettingsFrame):
                self.initial = frame.settings.get(WINDOW, self.initial)
            elif isinstance(frame, WindowUpdateFrame):
                if frame.stream_id:
                    self.windows[frame.stream_id] += frame.window_increment
                else:
                    self.connection += frame.window_increment
        return frames

    def open(self) -> int:
        """Opens a stream on which the engine receives a body."""
        if self.role is Role.CLIENT:
            stream_id = self.peer.open()
            self.peer.feed(self.peer.headers(stream_id, OK, end=False))
        else:
            stream_id = (self.engine.highest_inbound_id + 1) | 1
            self.peer.feed(self.peer.headers(stream_id, POST, end=False))
        self.windows[stream_id] = self.initial
        return stream_id

    def room(self, stream_id: int) -> int:
        """How much may be sent in one frame now."""
        return max(0, min(self.windows[stream_id], self.connection, 16_384))

    def send(self, stream_id: int, size: int, *, padding: int | None = None, end: bool = False) -> int:
        """Sends one frame with up to *size* bytes, as far as the windows allow; returns its body bytes."""
        extra = 0 if padding is None else padding + 1
        size = min(size, self.room(stream_id) - extra)
        if size < 0:
            return 0
        self.windows[stream_id] -= size + extra
        self.connection -= size + extra
        assert not of_type(self.peer.feed(data(stream_id, bytes(size), padding=padding, end=end)), SessionFailed)
        return size

    def fill(self, stream_id: int) -> int:
        """Sends until a window is full; nobody reads."""
        total = 0
        while self.room(stream_id):
            total += self.send(stream_id, 16_384)
            self.absorb()
        return total


CONFIGS: dict[str, SessionConfig] = {
    "server": ServerConfig(),
    "client": ClientConfig(),
    "tight": ServerConfig(max_concurrent_streams=4, stream_window=20_000, receive_budget=80_000),
    "odd": ServerConfig(max_concurrent_streams=3, stream_window=33_333, receive_budget=100_001),
    "small streams": ServerConfig(max_concurrent_streams=7, stream_window=9_999, receive_budget=70_000),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("head_start", [0, 1, 15_000, 10**6])
def test_stalled_streams_do_not_starve_the_one_that_is_read(name: str, head_start: int) -> None:
    """Stall all but one of the allowed streams with full windows, then move 10 MB on the last.

    With a head start, the last stream has been read before the others stall, so that credit is owed which is not due
    until they have used up the rest of the session's window.
    """
    config = CONFIGS[name]
    sender = Sender(config)
    engine = sender.engine
    reader = sender.open()
    streams = 1
    while head_start > 0:
        size = sender.send(reader, min(head_start, 16_384))
        engine.take(reader, size)
        sender.absorb()
        head_start -= size
    limit = engine.max_streams or 10**6
    while streams < limit and (engine.role is Role.SERVER or engine.has_slot()):
        stalled = sender.open()
        streams += 1
        sender.fill(stalled)
        assert sender.windows[stalled] == 0
    assert streams >= (4 if name == "tight" else 3)
    moved = 0
    target = 10_000_000 if name in ("server", "client") else 1_000_000
    while moved < target:
        size = sender.send(reader, 16_384)
        assert size > 0, f"starved after {moved} bytes"
        engine.take(reader, size)
        sender.absorb()
        moved += size
    for stream_id, credit in list(credits(engine).items()):
        engine.discard(stream_id, credit.held)
        engine.reset(stream_id, ErrorCode.CANCEL)
    assert engine.windows.budget.ledger.held == 0


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(4))
def test_books_balance_whatever_happens(name: str, seed: int) -> None:
    """Window + held + owed == budget at all times, both sides agree on every window, at the end nothing is held."""
    choose = random.Random(seed)
    sender = Sender(CONFIGS[name])
    engine = sender.engine
    open_streams: list[int] = []
    for _ in range(1500):
        action = choose.random()
        if (not open_streams or action < 0.1) and (
            engine.has_slot() if engine.role is Role.CLIENT else len(engine.slots) < engine.max_streams
        ):
            open_streams.append(sender.open())
        elif not open_streams:
            break
        stream_id = choose.choice(open_streams)
        if action < 0.6:
            padding = choose.choice([None, None, 0, 1, 255])
            end = choose.random() < 0.05
            sender.send(stream_id, choose.choice([0, 1, 100, 5000, 16_000]), padding=padding, end=end)
            if end and engine.remote_ended(stream_id):
                open_streams.remove(stream_id)
        elif action < 0.62:
            sender.peer.feed(reset(stream_id))
            open_streams.remove(stream_id)
            engine.handler_done(stream_id)
        elif action < 0.64:
            engine.reset(stream_id, ErrorCode.CANCEL)
            sender.send(stream_id, 3000, padding=choose.choice([None, 7]))  # under way
            open_streams.remove(stream_id)
            engine.handler_done(stream_id)
        elif credits(engine):
            reader = choose.choice(list(credits(engine)))
            size = credits(engine)[reader].held
            size = choose.choice([size, size, size // 2, min(size, 10)])
            choose.choice([engine.take, engine.take, engine.discard])(reader, size)
        for stream_id in list(engine.slots - set(open_streams)):
            engine.handler_done(stream_id)
            engine.reset(stream_id, ErrorCode.NO_ERROR)
        check_books(engine)
        sender.absorb()
        assert sender.connection == engine.windows.budget.window
        assert all(sender.windows[i] == engine.inbound_window(i) for i in open_streams)
    for stream_id, credit in list(credits(engine).items()):
        engine.take(stream_id, credit.held)
    for stream_id in list(engine.streams):
        engine.reset(stream_id, ErrorCode.CANCEL)
    ledger = engine.windows.budget.ledger
    assert ledger.received == ledger.taken + ledger.discarded > 0
    assert not credits(engine)
    assert engine.windows.budget.extra == engine.windows.budget.stranded == 0


def test_the_whole_budget_is_announced_at_the_start() -> None:
    """Advertised credit = B - held."""
    for config in CONFIGS.values():
        sender = Sender(config)
        room = sender.engine.windows.budget
        assert sender.connection == room.window
        assert room.window + room.owed == config.receive_budget
        assert room.owed < room.window  # what is owed is less than what the peer has


def test_stream_credit_goes_back_at_half_a_window() -> None:
    sender = Sender(ServerConfig(stream_window=10_000))
    engine = sender.engine
    stream_id = sender.open()
    sender.send(stream_id, 9000)
    engine.take(stream_id, 4999)
    assert not of_type(sender.peer.output(), WindowUpdateFrame)
    engine.take(stream_id, 1)
    assert stream_windows(sender.absorb(), stream_id) == 5000
    engine.take(stream_id, 4000)
    assert stream_windows(sender.absorb(), stream_id) == 0
    assert engine.inbound_window(stream_id) == 6000


def test_no_stream_credit_after_the_end_of_a_body() -> None:
    """WINDOW_UPDATE for a side that has ended is noise."""
    sender = Sender(ServerConfig(stream_window=10_000))
    stream_id = sender.open()
    sender.send(stream_id, 9000)
    sender.send(stream_id, 900, padding=99, end=True)
    sender.engine.take(stream_id, 9900)
    assert not of_type(sender.absorb(), WindowUpdateFrame)
    assert sender.engine.windows.budget.ledger.taken == 9900
    assert sender.engine.windows.budget.ledger.discarded == 100


def test_padding_of_the_last_frame_is_credited_to_the_session_only() -> None:
    sender = Sender(ServerConfig(stream_window=400))
    stream_id = sender.open()
    sender.send(stream_id, 0, padding=255, end=True)
    assert stream_windows(sender.absorb(), stream_id) == 0
    assert sender.engine.windows.budget.ledger.discarded == 256


def test_unread_bytes_of_closed_streams_take_their_own_room_only() -> None:
    """One unread byte must not take a whole window, or requests wait for ever for a slot."""
    peer = client_peer(ClientConfig(stream_window=10_000, receive_budget=100_000))
    for _ in range(50):
        assert peer.engine.has_slot()
        stream_id = peer.open()
        peer.feed(peer.headers(stream_id, OK, end=False), data(stream_id, b"x", end=True))
    assert len(credits(peer.engine)) == 50
    for _ in range(9):
        assert peer.engine.has_slot()
        peer.open()
    assert not peer.engine.has_slot()  # 9 x 10 000 + 50 bytes, so no tenth
    for stream_id in range(1, 100, 2):
        peer.engine.take(stream_id, 1)
    assert peer.engine.has_slot()
    assert len(credits(peer.engine)) == 9


def test_a_closed_stream_is_read_in_pieces() -> None:
    peer = client_peer()
    peer.open()
    peer.feed(peer.headers(1, OK, end=False), data(1, bytes(100), end=True))
    assert not peer.engine.streams
    seen = []
    for give in peer.engine.take, peer.engine.discard, peer.engine.take:
        seen.append(peer.engine.windows.budget.stranded)
        give(1, 30)
    assert seen == [100, 70, 40]
    peer.engine.take(1, credits(peer.engine)[1].held)
    assert not credits(peer.engine)
    assert peer.engine.windows.budget.stranded == 0


def test_a_raised_window_counts_for_slots_from_the_asking_on() -> None:
    peer = client_peer(ClientConfig(stream_window=10_000, receive_budget=100_000))
    peer.engine.update_settings({WINDOW: 10_000})
    peer.engine.update_settings({WINDOW: 60_000})  # queued
    peer.open()
    assert not peer.engine.has_slot()


# -- auto-tuning -------------------------------------------------------------------------------------------------------


def read_with_round_trips(sender: Sender, stream_id: int, octets: int, per_trip: int) -> None:
    """A promptly read download where *per_trip* bytes arrive per round trip; probes are answered."""
    moved = trip = 0
    pending: list[Frame] = []
    while moved < octets:
        size = sender.send(stream_id, 16_384)
        assert size
        moved += size
        trip += size
        sender.engine.take(stream_id, size)
        pending += of_type(sender.absorb(), PingFrame)
        if trip >= per_trip:
            trip = 0
            for probe in pending:
                sender.peer.feed(ping(bytes(of_type([probe], PingFrame)[0].opaque_data), ack=True))
            pending.clear()


def test_a_promptly_read_stream_gets_a_larger_window_and_gives_it_back() -> None:
    """By the measured bandwidth-delay product; the growth is free again when the stream closes."""
    sender = Sender(ServerConfig())
    engine = sender.engine
    stream_id = sender.open()
    read_with_round_trips(sender, stream_id, 8_000_000, 1_000_000)
    target = engine.streams[stream_id].target
    assert target > 3 * engine.windows.initial
    assert engine.windows.budget.extra == target - engine.windows.initial
    assert sender.windows[stream_id] == engine.inbound_window(stream_id) > engine.windows.initial
    engine.reset(stream_id, ErrorCode.CANCEL)
    assert engine.windows.budget.extra == 0


def test_a_window_that_comes_in_one_read_grows() -> None:
    """The application takes it in two pieces, and each time the answer to a probe comes before what was permitted."""
    sender = Sender(ServerConfig())
    engine = sender.engine
    stream_id = sender.open()
    for _ in range(4):
        size = sender.windows[stream_id] // 16_384 * 16_384
        sender.windows[stream_id] -= size
        sender.connection -= size
        sender.peer.feed(*[data(stream_id, bytes(16_384)) for _ in range(size // 16_384)])
        probes: list[Frame] = []
        for _ in range(2):
            engine.take(stream_id, size // 2)
            probes += of_type(sender.absorb(), PingFrame)
        for probe in probes:
            sender.peer.feed(ping(bytes(of_type([probe], PingFrame)[0].opaque_data), ack=True))
    assert engine.streams[stream_id].target >= 4 * engine.windows.initial


def test_a_large_enough_window_is_left_alone() -> None:
    sender = Sender(ServerConfig())
    stream_id = sender.open()
    read_with_round_trips(sender, stream_id, 2_000_000, 40_000)
    assert sender.engine.streams[stream_id].target == sender.engine.windows.initial
    assert 0 < sender.engine.windows.tuner.product < 100_000


def test_a_slowly_read_stream_does_not_grow() -> None:
    """Its own application is the bottleneck."""
    sender = Sender(ServerConfig())
    engine = sender.engine
    engine.windows.tuner.product = 10**6
    stream_id = sender.open()
    for _ in range(50):
        while credits(engine)[stream_id].held < engine.windows.initial * 3 // 4 and sender.send(stream_id, 16_384):
            pass
        engine.take(stream_id, 40_000)
        sender.absorb()
    assert engine.streams[stream_id].target == engine.windows.initial
    engine.discard(stream_id, credits(engine)[stream_id].held)


def test_windows_grow_only_out_of_the_free_rest() -> None:
    """Initial windows of streams that are not open yet stay reserved on a server."""
    sender = Sender(ServerConfig(max_concurrent_streams=4, stream_window=100_000, receive_budget=500_000))
    engine = sender.engine
    engine.windows.tuner.product = 10**9
    first, second = sender.open(), sender.open()
    for stream_id in first, second:
        for _ in range(20):
            engine.take(stream_id, sender.send(stream_id, 16_384))
            sender.absorb()
    assert engine.streams[first].target == 200_000
    assert engine.streams[second].target == 100_000
    engine.reset(first, ErrorCode.CANCEL)
    for _ in range(20):
        engine.take(second, sender.send(second, 16_384))
        sender.absorb()
    assert engine.streams[second].target == 200_000


def test_more_announced_streams_leave_less_for_growth() -> None:
    sender = Sender(ServerConfig(max_concurrent_streams=4, stream_window=100_000, receive_budget=800_000))
    engine = sender.engine
    engine.windows.tuner.product = 10**9
    engine.update_settings({3: 7})
    stream_id = sender.open()
    for _ in range(20):
        engine.take(stream_id, sender.send(stream_id, 16_384))
        sender.absorb()
    assert engine.streams[stream_id].target == 200_000


def test_growth_and_streams_above_the_guaranteed_number_share_the_budget() -> None:
    """A client with more streams than it is guaranteed, one of them growing: the sum of windows stays within B."""
    config = ClientConfig(stream_window=100_000, receive_budget=1_000_000, peer_max_concurrent_streams=2)
    sender = Sender(config)
    engine = sender.engine
    engine.windows.tuner.product = 10**9
    streams = [sender.open() for _ in range(8)]
    for _ in range(40):
        engine.take(streams[0], sender.send(streams[0], 16_384))
        sender.absorb()
    assert engine.streams[streams[0]].target == 300_000
    assert not engine.has_slot()
    engine.reset(streams[1], ErrorCode.CANCEL)
    assert engine.has_slot()


def test_no_probes_where_nothing_can_grow() -> None:
    sender = Sender(ServerConfig(max_concurrent_streams=4, stream_window=20_000, receive_budget=80_000))
    stream_id = sender.open()
    for _ in range(100):
        sender.engine.take(stream_id, sender.send(stream_id, 16_384))
        assert not of_type(sender.absorb(), PingFrame)


def test_an_answer_to_no_probe_says_nothing() -> None:
    peer = server_peer()
    assert peer.feed(ping(PROBE_PAYLOAD, ack=True)) == []
    assert peer.engine.windows.tuner.product == 0
    assert peer.feed(ping(PROBE_PAYLOAD)) == [PingReceived(PROBE_PAYLOAD)]


def test_session_window_covers_streams_opened_with_the_default_before_our_settings() -> None:
    """A client may send 65 535 bytes per stream before it knows better; the budget stays a hard bound."""
    peer = RawPeer(Role.SERVER, ServerConfig(max_concurrent_streams=10, stream_window=1000))
    peer.handshake(acknowledge=False)
    for stream_id in range(1, 20, 2):
        peer.feed(peer.headers(stream_id, POST, end=False))
        for _ in range(4):
            assert not of_type(peer.feed(data(stream_id, bytes(16_000))), StreamFailed)
    assert peer.engine.windows.budget.ledger.held == 640_000
    for stream_id in range(1, 20, 2):
        peer.engine.take(stream_id, 64_000)
    assert connection_windows(peer.output()) == 0  # 31 MiB are left, and less than that is owed
