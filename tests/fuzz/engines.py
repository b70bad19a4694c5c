"""Plays hostile byte streams against an `Engine`, with an application that does what it likes, and judges the engine.

What is asked of it, whatever comes:

* no exception leaves it: an error of the connection is a `SessionFailed` event, and after it nothing more is read;
* it answers at once, with an output no larger than what came is worth;
* what it sends are whole, valid frames, in the right order;
* it holds no more than what it was sent, and gives back the credit of every byte that is read or thrown away;
* where the bytes are cut makes no difference.

Only the engine's own commands are used, and what it sends and reports; its inside is not looked at.
"""

from __future__ import annotations

import random
import re
import signal
import threading
import time
import traceback
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from hpack import Decoder, HPACKError

from tests.fuzz.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Hostile,
    RawFrame,
    parse,
)
from trio_h2 import ClientConfig, PaddingStrategy, Role, ServerConfig
from trio_h2._wire._engine import Engine
from trio_h2._wire._events import (
    AltSvcAnnounced,
    DataReceived,
    GoAwayReceived,
    PriorityUpdated,
    PushPromised,
    RequestAnswered,
    RequestReceived,
    ResponseReceived,
    SessionFailed,
    SettingsReceived,
    StreamClosed,
    StreamFailed,
    TrailersReceived,
    WindowOpened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trio_h2._wire._config import SessionConfig
    from trio_h2._wire._events import Event
    from trio_h2._wire._headers import RawField

Step: TypeAlias = "bytes | int"
"""Bytes are received; a number is something that the application does, worked out from what it may do then."""

OK: list[RawField] = [(b":status", b"200"), (b"server", b"fuzzed")]
GET: list[RawField] = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.com"), (b":path", b"/")]
POST: list[RawField] = [(b":method", b"POST"), *GET[1:]]
CONNECT: list[RawField] = [(b":method", b"CONNECT"), (b":authority", b"example.com:443")]
HEAD: list[RawField] = [(b":method", b"HEAD"), *GET[1:]]
REQUESTS = (GET, POST, GET, HEAD, POST, CONNECT)

SERVERS: tuple[ServerConfig, ...] = (
    ServerConfig(),
    ServerConfig(
        stream_window=2000,
        receive_budget=65_535,
        max_concurrent_streams=4,
        max_header_list_size=1000,
        max_header_fields=12,
        header_table_size=200,
    ),
    ServerConfig(
        stream_window=0,
        max_concurrent_streams=2,
        overhead_burst=60,
        overhead_rate=1,
        reset_burst=5,
        reset_rate=1,
        max_queued_replies=40,
        max_session_invalid_frames=4,
        max_session_rejected_streams=4,
        header_table_size=0,
    ),
    ServerConfig(stream_window=65_535, padding=PaddingStrategy.ALIGNED, enable_connect_protocol=True),
    ServerConfig(max_session_memory=8000),
)
CLIENTS: tuple[ClientConfig, ...] = (
    ClientConfig(),
    ClientConfig(
        stream_window=2000,
        receive_budget=65_535,
        max_header_list_size=1000,
        max_header_fields=12,
        header_table_size=200,
        max_concurrent_pushes=2,
        max_reserved_remote_streams=3,
    ),
    ClientConfig(overhead_burst=60, overhead_rate=1, reset_burst=5, reset_rate=1, max_queued_replies=40),
    ClientConfig(stream_window=65_535, receive_budget=2**21, padding=PaddingStrategy.ALIGNED),
    ClientConfig(max_concurrent_pushes=0),
)
CONSTANT = 65_536
"""Bytes that an engine may hold beside what it was sent: two header tables and the like."""
UNFINISHED = 300_000
"""Bytes of a frame or a field block that may be unfinished."""
_ZEROS = re.compile(r"(?:\\x00){16,}")
PATIENCE = 20.0
"""Seconds of CPU time after which one byte stream counts as a hang."""


class FlawError(AssertionError):
    """The engine did what it must not do."""


@dataclass(frozen=True, slots=True)
class Case:
    """One byte stream with all that happens around it."""

    role: Role
    setup: int
    """Which configuration."""
    opened: int
    """How many requests a client has sent before anything comes."""
    steps: tuple[Step, ...]

    @property
    def config(self) -> SessionConfig:
        """Of the engine."""
        return (SERVERS if self.role is Role.SERVER else CLIENTS)[self.setup]

    @property
    def push(self) -> bool:
        """Whether a client takes pushes."""
        return self.role is Role.CLIENT and self.setup in (1, 3, 4)

    @property
    def received(self) -> bytes:
        """All bytes."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    def engine(self, closed: Callable[[int], None]) -> Engine:
        """Returns a fresh one."""
        return Engine(self.role, self.config, closed, push=self.push)


@dataclass
class Report:
    """What a run has seen."""

    role: Role
    seed: int
    streams: int = 0
    received: int = 0
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    """How the sessions ended: the error codes, or none."""
    events: Counter[str] = field(default_factory=Counter)
    """What was reported, by kind."""

    def __str__(self) -> str:
        rate = self.streams / self.seconds if self.seconds else 0.0
        ends = ", ".join(f"{name} {count}" for name, count in self.ends.most_common())
        return (
            f"{self.role.name.lower()}: seed {self.seed}, {self.streams} byte streams, {self.received} bytes in "
            f"{self.seconds:.1f} s ({rate:.0f}/s); ends: {ends}"
        )


# -- what went out -----------------------------------------------------------------------------------------------------


class Outgoing:
    """Checks the bytes that an engine sends, and adds up what they grant."""

    def __init__(self, role: Role) -> None:
        self._preface = PREFACE if role is Role.CLIENT else b""
        self._decoder = Decoder()
        self._decoder.max_allowed_table_size = 2**32
        self._first = True
        self.size = 0
        self.frames: list[RawFrame] = []
        self.granted: defaultdict[int, int] = defaultdict(int)
        self.largest_frame = 16_384
        """What the peer has allowed at most."""
        self.goaways: list[int] = []
        self.content: defaultdict[int, int] = defaultdict(int)
        """Bytes of body in each stream, without padding."""
        self.ended: set[int] = set()
        """Streams with END_STREAM or RST_STREAM."""
        self.whole: set[int] = set()
        """Streams with END_STREAM."""

    def add(self, data: bytes) -> None:
        """Checks one output, which is whole frames."""
        self.size += len(data)
        if self._preface:
            require(data.startswith(self._preface), "the output does not begin with the preface")
            data, self._preface = data[len(self._preface) :], b""
        block: RawFrame | None = None
        for frame in parse(data):
            require(frame.length is None, f"the output is cut inside a frame: {frame!r}")
            if self._first:
                require(frame.kind == SETTINGS and not frame.flags & ACK, f"the first frame is {frame!r}")
                self._first = False
            require(len(frame.payload) <= self.largest_frame, f"a frame of {len(frame.payload)} bytes")
            require((block is None) is (frame.kind != CONTINUATION), f"a field block is interrupted by {frame!r}")
            self._check(frame)
            if block is not None:
                require(frame.stream_id == block.stream_id, f"{frame!r} continues {block!r}")
                block = replace(block, payload=block.payload + frame.payload, flags=block.flags | frame.flags)
            elif frame.kind in (HEADERS, PUSH_PROMISE):
                block = frame
            if block is not None and block.flags & END_HEADERS:
                self._decode(block)
                block = None
            self.frames.append(frame)
        require(block is None, f"the output ends inside a field block: {block!r}")

    def _check(self, frame: RawFrame) -> None:
        size, stream_id = len(frame.payload), frame.stream_id
        on_stream = frame.kind in (DATA, HEADERS, RST_STREAM, PUSH_PROMISE, CONTINUATION)
        of_session = frame.kind in (SETTINGS, PING, GOAWAY)
        require(not (on_stream and not stream_id) and not (of_session and stream_id), f"on the wrong stream: {frame!r}")
        # RFC 9113 §5.1 (half-closed (local)): it "cannot be used for sending frames other than WINDOW_UPDATE, PRIORITY,
        # and RST_STREAM"; nothing but PRIORITY follows RST_STREAM. CONTINUATION belongs to its HEADERS.
        later = frame.kind in (DATA, HEADERS, PUSH_PROMISE) and stream_id in self.ended
        require(not later, f"{frame!r} after the end of its stream")
        if frame.kind in (DATA, HEADERS) and frame.flags & END_STREAM:
            self.ended.add(stream_id)
            self.whole.add(stream_id)
        match frame.kind:
            case 0:
                padding = 1 + frame.payload[0] if frame.flags & PADDED else 0
                require(padding <= size, f"malformed {frame!r}")
                self.content[stream_id] += size - padding
            case 4:
                require(size % 6 == 0 and not (size and frame.flags & ACK), f"malformed {frame!r}")
            case 6:
                require(size == 8, f"malformed {frame!r}")
            case 7:
                require(size >= 8, f"malformed {frame!r}")
                self.goaways.append(int.from_bytes(frame.payload[4:8]))
            case 3:
                require(size == 4, f"malformed {frame!r}")
                self.ended.add(stream_id)
            case 8:
                increment = int.from_bytes(frame.payload)
                require(size == 4 and 0 < increment < 2**31, f"malformed {frame!r}")
                self.granted[stream_id] += increment

    def _decode(self, frame: RawFrame) -> None:
        block = frame.payload
        if frame.flags & 8:
            block = block[1 : len(block) - block[0]]
        if frame.kind == HEADERS and frame.flags & 0x20:
            block = block[5:]
        if frame.kind == PUSH_PROMISE:
            block = block[4:]
        try:
            self._decoder.decode(block, raw=True)
        except HPACKError as exc:
            raise FlawError(f"the field block of {frame!r} does not decode") from exc


def require(condition: bool, problem: str) -> None:
    """Raises unless it is so."""
    if not condition:
        raise FlawError(problem)


# -- the application ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Open:
    """What the application knows about an open stream."""

    answered: bool
    """Our headers are out."""
    ended: bool
    """Our side is."""
    receiving: bool
    """The peer's side has not ended."""
    promised: bool = False


class Player:
    """One engine and the application above it."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._now = 1000.0
        self.engine = case.engine(self._closed)
        self._open: dict[int, Open] = {}
        self._held: defaultdict[int, int] = defaultdict(int)
        self._running: list[int] = []
        self._given = 0
        """Bytes that the application has sent, about."""
        self._sent: defaultdict[int, int] = defaultdict(int)
        """Bytes of body that it has sent on each stream."""
        self._leaving = False
        self.received = bytearray()
        self.failed: SessionFailed | None = None
        self.outgoing = Outgoing(case.role)
        self.events: list[Event] = []
        self.engine.start()
        for number in range(case.opened):
            self._request(number)

    def _closed(self, stream_id: int) -> None:
        require(self._open.pop(stream_id, None) is not None, f"stream {stream_id} closed, but it was not open")

    # -- receiving

    def receive(self, data: bytes) -> None:
        """The engine reads bytes."""
        self.received += data
        events = self.engine.receive_bytes(data, self._now)
        if self.failed is not None:
            require(not events, f"events after the end: {events}")
            return
        self.events += events
        for number, event in enumerate(events, 1):
            require(number == len(events) or not isinstance(event, SessionFailed), f"events after {event!r}")
            self._happened(event)
        self._check_size()

    def _happened(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream_id):
                require(self._case.role is Role.SERVER and stream_id not in self._open, f"unexpected {event!r}")
                self._open[stream_id] = Open(answered=False, ended=False, receiving=not event.end_stream)
                self._running.append(stream_id)
            case RequestAnswered(stream_id=stream_id):
                require(self._case.role is Role.SERVER and stream_id not in self._open, f"unexpected {event!r}")
                self._open[stream_id] = Open(answered=True, ended=True, receiving=True)
                self.engine.handler_done(stream_id)
            case PushPromised(promised_id=stream_id):
                require(self._case.role is Role.CLIENT and stream_id not in self._open, f"unexpected {event!r}")
                self._open[stream_id] = Open(answered=True, ended=True, receiving=True, promised=True)
            case ResponseReceived(stream_id=stream_id):
                require(stream_id in self._open, f"{event!r} on a closed stream")
                self._open[stream_id].receiving = not event.end_stream
            case DataReceived(stream_id=stream_id):
                require(stream_id in self._open and self._open[stream_id].receiving, f"{event!r} on a closed stream")
                self._held[stream_id] += len(event.data)
                self._open[stream_id].receiving = not event.end_stream
            case TrailersReceived(stream_id=stream_id):
                require(stream_id in self._open and self._open[stream_id].receiving, f"{event!r} on a closed stream")
                self._open[stream_id].receiving = False
            case StreamFailed(stream_id=stream_id):
                require(stream_id in self._open, f"{event!r} on a closed stream")
                self._open[stream_id].ended = True
                self._open[stream_id].receiving = False
            case StreamClosed(stream_id=stream_id):
                self._closed(stream_id)
            case SettingsReceived(changed=changed):
                self.outgoing.largest_frame = max(self.outgoing.largest_frame, changed.get(5, 0))
            case GoAwayReceived():
                self._leaving = True
            case SessionFailed():
                self.failed = event
                require(self.engine.failure is event.failure, "another failure was reported than is kept")

    # -- acting

    def act(self, choice: int) -> None:
        """The application does something that it may do now, or nothing."""
        if self.failed is None or choice % len(self._ACTS) in (0, 1, 2):
            self._ACTS[choice % len(self._ACTS)](self, choice // len(self._ACTS))
            self._check_size()

    def take_output(self, choice: int = 0) -> None:
        """The transport takes everything."""
        output = self.engine.take_output()
        self.outgoing.add(output)
        held = sum(self._held.values())
        limit = held + min(len(self.received), UNFINISHED) + CONSTANT
        require(self.engine.memory <= limit, f"{self.engine.memory} bytes of memory, {held} of them to be read")

    def _take(self, choice: int) -> None:
        if stream_id := _pick(list(self._held), choice):
            size = min(self._held[stream_id], 1 + choice % 20_000)
            self._forget(stream_id, size)
            self.engine.take(stream_id, size)

    def _discard(self, choice: int) -> None:
        if stream_id := _pick(list(self._held), choice):
            size = self._held[stream_id]
            self._forget(stream_id, size)
            self.engine.discard(stream_id, size)

    def _forget(self, stream_id: int, size: int) -> None:
        self._held[stream_id] -= size
        if not self._held[stream_id]:
            del self._held[stream_id]

    def _request(self, choice: int) -> None:
        engine = self.engine
        if self._case.role is Role.CLIENT and not self._leaving and engine.has_slot() and engine.next_stream_id:
            fields = REQUESTS[choice % len(REQUESTS)]
            ends = fields[0][1] in (b"GET", b"HEAD")
            stream_id = engine.open_stream(fields[0][1], fields, end_stream=ends)
            self._open[stream_id] = Open(answered=True, ended=ends, receiving=True)
            self._given += 200

    def _respond(self, choice: int) -> None:
        waiting = [stream_id for stream_id, stream in self._open.items() if not stream.answered]
        if stream_id := _pick(waiting, choice):
            stream, ends = self._open[stream_id], choice % 3 == 0
            if stream.promised and not self.engine.has_push_slot():
                return
            stream.answered, stream.ended, stream.promised = True, ends, False
            self.engine.send_response(stream_id, OK, end_stream=ends)
            self._given += 200

    def _send(self, choice: int) -> None:
        sending = [stream_id for stream_id, stream in self._open.items() if stream.answered and not stream.ended]
        if stream_id := _pick(sending, choice):
            stream, ends = self._open[stream_id], choice % 4 == 0
            size = min((0, 1, 100, 20_000)[choice % 5 % 4], self.engine.sendable(stream_id))
            if not size and not ends:
                return
            stream.ended = ends
            self.engine.send_data(stream_id, bytes(size), end_stream=ends)
            self._sent[stream_id] += size
            self._given += size + 300

    def _reset(self, choice: int) -> None:
        if stream_id := _pick(list(self._open), choice):
            self.engine.reset(stream_id, (8, 0, 2)[choice % 3])
            require(stream_id not in self._open, f"stream {stream_id} is open after its reset")
            self._given += 20

    def _handler_done(self, choice: int) -> None:
        if stream_id := _pick(self._running, choice):
            self._running.remove(stream_id)
            self.engine.handler_done(stream_id)

    def _push(self, choice: int) -> None:
        if not self.engine.push_allowed:
            return
        parents = [stream_id for stream_id in self._open if self.engine.can_promise_on(stream_id)]
        if parent_id := _pick(parents, choice):
            stream_id = self.engine.push(parent_id, b"GET", GET)
            self._open[stream_id] = Open(answered=False, ended=False, receiving=False, promised=True)
            self._given += 200

    def _wait(self, choice: int) -> None:
        self._now += choice % 7 / 10

    _ACTS: tuple[Callable[[Player, int], None], ...] = (
        take_output,
        _take,
        _discard,
        _request,
        _respond,
        _respond,
        _send,
        _send,
        _reset,
        _handler_done,
        _push,
        _wait,
    )

    # -- judging

    def _check_size(self) -> None:
        limit = len(self.received) + self._given + CONSTANT
        require(self.engine.memory <= limit, f"{self.engine.memory} bytes of memory for {len(self.received)} received")

    def finish(self) -> None:
        """Everybody is content: everything is read, every handler ends, the output is taken. Then the books balance."""
        if self.failed is not None:
            self.take_output()
            code = self.failed.failure.code
            require(self.outgoing.goaways[-1:] == [code], f"GOAWAY with {self.outgoing.goaways} for {code!r}")
            kinds = [frame.kind for frame in self.outgoing.frames]
            while kinds[-1] in (WINDOW_UPDATE, PING):  # of what was read since
                del kinds[-1]
            require(kinds[-1] == GOAWAY, f"frame type {kinds[-1]} after the last GOAWAY")
        for _ in range(len(self._running)):
            self._handler_done(0)
        for _ in range(len(self._held)):
            self._discard(0)
        self.take_output()
        for stream_id in self.outgoing.whole:
            content, sent = self.outgoing.content[stream_id], self._sent[stream_id]
            require(content == sent, f"the body of {stream_id} has {content} bytes, of {sent} that were sent")
        limit = 4 * len(self.received) + 2 * self._given + 2000
        require(self.outgoing.size <= limit, f"{self.outgoing.size} bytes sent for {len(self.received)} received")
        if self.failed is not None:
            self.receive(b"\0\0\x08\x06\0\0\0\0\0pingping")
            require(not self.engine.take_output(), "output after the end")
            return
        used: defaultdict[int, int] = defaultdict(int)
        for frame in parse(bytes(self.received).removeprefix(PREFACE)):
            if frame.kind == DATA and frame.length is None:
                used[frame.stream_id] += len(frame.payload)
        # RFC 9113 §6.9.2: the connection's window begins with 65 535 bytes. Half of it may be owed for a while.
        budget = self._case.config.receive_budget
        window = 65_535 + self.outgoing.granted[0] - sum(used.values())
        require(budget // 2 <= window <= budget, f"nothing is held, and the session's window is {window} of {budget}")
        for stream_id, stream in self._open.items():
            initial = self._case.config.stream_window
            window = initial + self.outgoing.granted[stream_id] - used[stream_id]
            if stream.receiving:
                require(
                    window * 2 >= initial, f"nothing is held, and the window of {stream_id} is {window} of {initial}"
                )


def _pick(ids: Sequence[int], choice: int) -> int | None:
    return ids[choice % len(ids)] if ids else None


def play(case: Case) -> Player:
    """Plays a case, with all checks."""
    player = Player(case)
    for step in case.steps:
        if isinstance(step, bytes):
            player.receive(step)
        else:
            player.act(step)
    player.finish()
    return player


# -- where the bytes are cut -------------------------------------------------------------------------------------------


def summary(events: Sequence[Event]) -> dict[int, list[tuple[str, bytes]]]:
    """Returns what was reported on each stream (0: the session), however it was spread over the reads.

    DATA that is read together is reported together, as early as its first byte; so what else is told of a stream comes
    later than some of its DATA, or not. That a window opened is reported once in a read.
    """
    found: defaultdict[int, list[tuple[str, bytes]]] = defaultdict(list)
    for event in events:
        if isinstance(event, WindowOpened):
            continue
        stream_id: int = getattr(event, "stream_id", 0)
        if isinstance(event, (AltSvcAnnounced, PriorityUpdated, PushPromised)):
            stream_id = -1 - stream_id
        known = found[stream_id]
        if not isinstance(event, DataReceived):
            known.append((repr(event), b""))
            continue
        before = b""
        if known and known[-1][0] == "DATA":
            before = known.pop()[1]
        known.append(("DATA, the end" if event.end_stream else "DATA", before + event.data))
    return dict(found)


def compare(case: Case, cuts: Sequence[int]) -> Player:
    """Plays the bytes of a case without an application, at once and cut at these places, and compares."""
    data = case.received
    whole = Player(case)
    whole.receive(data)
    pieces = Player(case)
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        pieces.receive(data[start:end])
        pieces.take_output()  # else replies would wait for a peer that seems not to read, read after read
    one, two = summary(whole.events), summary(pieces.events)
    if one != two:
        stream_id = next(key for key in {**one, **two} if one.get(key) != two.get(key))
        raise FlawError(
            f"cut at {list(cuts)}, stream {stream_id} has other events:\n{one.get(stream_id)}\n{two.get(stream_id)}"
        )
    whole.finish()
    pieces.finish()
    sent = [[frame for frame in side.outgoing.frames if frame.kind != WINDOW_UPDATE] for side in (whole, pieces)]
    require(sent[0] == sent[1], f"cut at {list(cuts)}, the engine sends other frames:\n{sent[0]}\n{sent[1]}")
    return whole


# -- the run -----------------------------------------------------------------------------------------------------------


def make_case(source: random.Random, role: Role) -> Case:
    """Makes a case up."""
    setup = source.choice((0, 0, 1, 2, 3, 4))
    opened = source.choice((1, 2, 3, 6)) if role is Role.CLIENT else 0
    case = Case(role, setup, opened, ())
    data = Hostile(source, role, opened, table=case.config.header_table_size, push=case.push).connection()
    steps: list[Step] = []
    cuts = sorted(source.randrange(len(data) + 1) for _ in range(source.choice((0, 1, 3, 8))))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        steps.append(data[start:end])
        steps += [source.randrange(2**20) for _ in range(source.choice((0, 1, 3, 10)))]
    return replace(case, steps=tuple(steps))


def judge(source: random.Random, case: Case) -> Player:
    """Puts a case to one of the tests."""
    size = len(case.received)
    if source.random() < 0.6 or case.config.max_session_memory is not None:  # what is read, and not yet parsed, counts
        return play(case)
    if size < 400 and source.random() < 0.5:
        return compare(case, range(1, size))
    return compare(case, sorted(source.randrange(size + 1) for _ in range(source.choice((1, 3, 10)))))


def run(seconds: float, seed: int, role: Role, streams: int | None = None) -> Report:
    """Fuzzes an engine for so many seconds, or so many byte streams if those come first.

    Raises:
        FlawError: with the seed, the number of the byte stream, and the smallest case found that fails like it.
    """
    report = Report(role, seed)
    start = time.monotonic()
    with _patience():
        while time.monotonic() - start < seconds and report.streams != streams:
            name = f"{seed}/{role.name}/{report.streams}"
            source = random.Random(name)
            case = make_case(source, role)
            state = source.getstate()
            try:
                _restart_patience()
                player = judge(source, case)
            except Exception as exc:
                raise FlawError(_story(name, case, state, exc)) from exc
            report.streams += 1
            report.received += len(player.received)
            failed = player.failed
            code = None if failed is None else failed.failure.code
            report.ends["none" if code is None else getattr(code, "name", str(code))] += 1
            report.events.update(type(event).__name__ for event in player.events)
    report.seconds = time.monotonic() - start
    return report


@contextmanager
def _patience() -> Iterator[None]:
    """Makes a hang an error; CPU time counts, so that a busy machine is none. Only the main thread can do that."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGVTALRM"):
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise FlawError(f"one byte stream took more than {PATIENCE:g} s")

    before = signal.signal(signal.SIGVTALRM, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _restart_patience() -> None:
    if hasattr(signal, "ITIMER_VIRTUAL") and threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)


def _story(name: str, case: Case, state: tuple[object, ...], error: Exception) -> str:
    """Says what failed, and how to see it again."""

    def fails(smaller: Case) -> bool:
        source = random.Random()
        source.setstate(state)
        try:
            _restart_patience()
            judge(source, smaller)
        except Exception as exc:
            return type(exc) is type(error)
        return False

    small = shrink(case, fails)
    trace = "".join(traceback.format_exception(error)[-3:])
    return f"byte stream {name!r} fails:\n{trace}\nthe smallest like it:\n{show(small)}\n"


def show(case: Case) -> str:
    """Returns a case as source text."""
    steps = [_ZEROS.sub(lambda zeros: f"' + bytes({len(zeros[0]) // 4}) + b'", repr(step)) for step in case.steps]
    return f"play(Case(Role.{case.role.name}, {case.setup}, {case.opened}, ({''.join(step + ', ' for step in steps)})))"


def shrink(case: Case, fails: Callable[[Case], bool], seconds: float = 30.0) -> Case:
    """Leaves out of a case what its failure does not need: steps, then frames."""
    deadline = time.monotonic() + seconds
    steps: list[Step] = []
    for step in case.steps:
        if isinstance(step, bytes):
            head = PREFACE if step.startswith(PREFACE) else b""
            steps += [head, *(frame.pack() if frame.kind >= 0 else frame.payload for frame in parse(step[len(head) :]))]
        else:
            steps.append(step)
    steps = [step for step in steps if step != b""]
    found = replace(case, steps=tuple(steps))
    if not fails(found):
        found, steps = case, list(case.steps)
    size = len(steps) // 2
    while size and time.monotonic() < deadline:
        start = 0
        while start < len(steps):
            fewer = [*steps[:start], *steps[start + size :]]
            smaller = replace(found, steps=tuple(fewer))
            if fails(smaller):
                found, steps = smaller, fewer
            else:
                start += size
        size //= 2
    return found
