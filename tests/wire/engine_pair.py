"""Engines under test: two back to back (`Pair`), or one against a peer that sends any frame it is told to (`RawPeer`).

Each engine made here is checked after every step, and at the end of its test: no byte and no stream may get lost in
the books.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeVar

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from trio_h2._wire._codes import ErrorCode, Initiator, Role
from trio_h2._wire._config import ClientConfig, ServerConfig, SessionConfig
from trio_h2._wire._engine import Engine
from trio_h2._wire._events import DataReceived, Event, SessionFailed
from trio_h2._wire._failure import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trio_h2._wire._headers import RawField
    from trio_h2._wire._stream import WireStream

E = TypeVar("E")
F = TypeVar("F", bound=Frame)
Fields = list["RawField"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET: Fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.com"), (b":path", b"/")]
POST: Fields = [(b":method", b"POST"), *GET[1:]]
HEAD: Fields = [(b":method", b"HEAD"), *GET[1:]]
CONNECT: Fields = [(b":method", b"CONNECT"), (b":authority", b"example.com:443")]
OK: Fields = [(b":status", b"200")]
PROMISED: Fields = [*GET[:3], (b":path", b"/style.css")]

engines: list[Engine] = []
"""The engines of the running test; see the fixture in conftest.py."""


def make_engine(role: Role, config: SessionConfig | None, closed: list[int], *, push: bool = False) -> Engine:
    """Returns an engine whose books are checked when the test ends."""
    if config is None:
        config = ClientConfig() if role is Role.CLIENT else ServerConfig()
    engine = Engine(role, config, closed.append, push=push)
    engines.append(engine)
    return engine


def credits(engine: Engine) -> dict[int, WireStream]:
    """Returns the streams that receive credit is kept for: those that are open, and those with unread data."""
    return {**engine.streams, **engine.windows.unread}


def check_books(engine: Engine) -> None:
    """Asserts the invariants of an engine that has not failed."""
    windows, pushes = engine.windows, engine.pushes
    budget = windows.budget
    assert pushes.reserved == {i for i, stream in engine.streams.items() if stream.reserved}
    assert pushes.reserved | pushes.open == {i for i in engine.streams if i % 2 == 0}
    assert budget.window + budget.ledger.held + budget.owed == budget.size
    assert min(budget.window, budget.owed, budget.ledger.held, budget.extra, budget.stranded) >= 0
    assert budget.ledger.held == sum(stream.held for stream in credits(engine).values())
    assert budget.stranded == sum(stream.held for stream in windows.unread.values())
    assert budget.extra == sum(stream.target - windows.initial for stream in engine.streams.values())
    assert not engine.streams.keys() & windows.unread.keys()
    assert all(stream.held > 0 for stream in windows.unread.values())
    for stream in engine.streams.values():
        assert not stream.closed
        if not engine.settings_pending and not stream.remote_ended:
            assert stream.receive_window + stream.held + stream.owed == stream.target


def parse(data: bytes) -> list[Frame]:
    """Returns the frames in an engine's output, without the preface."""
    frames: list[Frame] = []
    data = data.removeprefix(PREFACE)
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        assert len(data) >= 9 + length
        frames.append(frame)
        data = data[9 + length :]
    return frames


def of_type(events: Iterable[object], kind: type[E]) -> list[E]:
    """Returns the events, or frames, of one type."""
    return [event for event in events if isinstance(event, kind)]


def the(events: Iterable[object], kind: type[E]) -> E:
    """Returns the only event, or frame, of one type."""
    (only,) = of_type(events, kind)
    return only


def body(events: Iterable[Event], stream_id: int) -> bytes:
    """Returns the body bytes of a stream."""
    return b"".join(event.data for event in of_type(events, DataReceived) if event.stream_id == stream_id)


def window_update(stream_id: int, increment: int) -> bytes:
    """Returns a WINDOW_UPDATE frame with any increment, also 0."""
    return raw_frame(0x8, 0, stream_id, struct.pack(">L", increment))


def settings(pairs: dict[int, int] | Sequence[tuple[int, int]] = (), *, ack: bool = False) -> bytes:
    """Returns a SETTINGS frame with any numbers, also repeated ones."""
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return raw_frame(0x4, int(ack), 0, b"".join(struct.pack(">HL", code, value) for code, value in items))


def raw_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """Returns any frame; *length* replaces the real one in its header."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def data(stream_id: int, content: bytes = b"", *, end: bool = False, padding: int | None = None) -> DataFrame:
    """Returns a DATA frame."""
    frame = DataFrame(stream_id, content)
    if end:
        frame.flags.add("END_STREAM")
    if padding is not None:
        frame.flags.add("PADDED")
        frame.pad_length = padding
    return frame


def reset(stream_id: int, code: int = 8) -> RstStreamFrame:
    """Returns RST_STREAM, with CANCEL."""
    return RstStreamFrame(stream_id, code)


def goaway(last_stream_id: int, code: int = 0, debug_data: bytes = b"") -> GoAwayFrame:
    """Returns GOAWAY."""
    return GoAwayFrame(0, last_stream_id, code, debug_data)


def ping(payload: bytes = b"12345678", *, ack: bool = False) -> PingFrame:
    """Returns PING, or the answer to one."""
    return PingFrame(0, payload, flags=("ACK",) if ack else ())


class RawPeer:
    """One engine, and a peer made of hyperframe and hpack that obeys no rules."""

    def __init__(self, role: Role, config: SessionConfig | None = None, *, push: bool = False) -> None:
        self.closed: list[int] = []
        self.engine = make_engine(role, config, self.closed, push=push)
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.now = 1000.0
        self._started = False

    def start(self) -> None:
        """Starts the engine, once; its SETTINGS are in the output."""
        if not self._started:
            self._started = True
            self.engine.start()

    def handshake(self, values: dict[int, int] | None = None, *, acknowledge: bool = True) -> list[Event]:
        """Starts the engine, and sends the peer's preface and SETTINGS."""
        self.start()
        preface = PREFACE if self.engine.role is Role.SERVER else b""
        events = self.feed(preface, settings(values or {}))
        if acknowledge:
            events += self.feed(settings(ack=True))
        self.output()
        return events

    def feed(self, *parts: Frame | bytes) -> list[Event]:
        """Sends frames to the engine, all in one read."""
        octets = b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts)
        events = self.engine.receive_bytes(octets, self.now)
        if self.engine.failure is None:
            check_books(self.engine)
        return events

    def output(self) -> list[Frame]:
        """Takes what the engine wants to send."""
        return parse(self.engine.take_output())

    def sent(self, kind: type[F]) -> list[F]:
        """Takes what the engine wants to send; returns the frames of one type."""
        return of_type(self.output(), kind)

    def headers(self, stream_id: int, fields: Fields, *, end: bool = True) -> HeadersFrame:
        """Returns a HEADERS frame."""
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream_id, self.encoder.encode(fields), flags=flags)

    def promise(self, parent_id: int, promised_id: int, fields: Fields | None = None) -> PushPromiseFrame:
        """Returns a PUSH_PROMISE frame, of a request that is right if no fields are given."""
        block = self.encoder.encode(PROMISED if fields is None else fields)
        return PushPromiseFrame(parent_id, promised_id, block, flags=("END_HEADERS",))

    def fields(self, frame: HeadersFrame | PushPromiseFrame) -> Fields:
        """Decodes the field block of a frame that the engine sent."""
        return [(bytes(name), bytes(value)) for name, value in self.decoder.decode(frame.data, raw=True)]

    def open(self, method: bytes = b"GET", *, end: bool = True) -> int:
        """Makes a client engine send a request."""
        fields = CONNECT if method == b"CONNECT" else [(b":method", method), *GET[1:]]
        stream_id = self.engine.open_stream(method, fields, end_stream=end)
        for frame in self.sent(HeadersFrame):
            self.fields(frame)
        return stream_id


def assert_dies(peer: RawPeer, events: list[Event], code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
    """The session has failed: the event comes last, GOAWAY with the code is in the output, nothing more is read."""
    assert isinstance(events[-1], SessionFailed)
    failure = events[-1].failure
    assert (failure.code, failure.initiator, failure.cause) == (code, Initiator.LIBRARY, Cause.PROTOCOL)
    assert peer.engine.failure is failure
    goaway = the(peer.output(), GoAwayFrame)
    assert goaway.error_code == code
    assert goaway.additional_data.decode() == failure.reason
    assert peer.feed(ping()) == []
    assert peer.output() == []


def server_peer(config: ServerConfig | None = None, values: dict[int, int] | None = None) -> RawPeer:
    """Returns a server engine and its raw client, after the handshake."""
    peer = RawPeer(Role.SERVER, config)
    peer.handshake(values)
    return peer


def client_peer(
    config: ClientConfig | None = None, values: dict[int, int] | None = None, *, push: bool = False
) -> RawPeer:
    """Returns a client engine and its raw server, after the handshake."""
    peer = RawPeer(Role.CLIENT, config, push=push)
    peer.handshake(values)
    return peer


class Pair:
    """A client engine and a server engine, connected by `exchange`.

    Args:
        chunk: how many bytes each read delivers; ``None``: all at once.
        push: whether the client lets the server push.
    """

    def __init__(
        self,
        client_config: ClientConfig | None = None,
        server_config: ServerConfig | None = None,
        *,
        chunk: int | None = None,
        push: bool = False,
    ) -> None:
        self.client_closed: list[int] = []
        self.server_closed: list[int] = []
        self.client = make_engine(Role.CLIENT, client_config, self.client_closed, push=push)
        self.server = make_engine(Role.SERVER, server_config, self.server_closed)
        self.chunk = chunk
        self.now = 1000.0
        self.client.start()
        self.server.start()
        self.exchange()

    def exchange(self) -> tuple[list[Event], list[Event]]:
        """Moves output both ways until both are quiet; returns the events of client and server."""
        for_client: list[Event] = []
        for_server: list[Event] = []
        while self.client.output_size or self.server.output_size:
            for_server += self._deliver(self.client, self.server)
            for_client += self._deliver(self.server, self.client)
        return for_client, for_server

    def _deliver(self, sender: Engine, receiver: Engine) -> list[Event]:
        octets = sender.take_output()
        step = self.chunk or max(1, len(octets))
        events: list[Event] = []
        for start in range(0, len(octets), step):
            events += receiver.receive_bytes(octets[start : start + step], self.now)
            if receiver.failure is None:
                check_books(receiver)
        return events

    def read(self, engine: Engine, events: list[Event], stream_id: int) -> bytes:
        """Takes all DATA of a stream in *events*, as a prompt application does."""
        octets = body(events, stream_id)
        engine.take(stream_id, len(octets))
        check_books(engine)
        return octets


def connection_windows(frames: Iterable[Frame]) -> int:
    """Returns the sum of the session's WINDOW_UPDATE increments."""
    return sum(frame.window_increment for frame in of_type(frames, WindowUpdateFrame) if not frame.stream_id)


def stream_windows(frames: Iterable[Frame], stream_id: int) -> int:
    """Returns the sum of a stream's WINDOW_UPDATE increments."""
    return sum(frame.window_increment for frame in of_type(frames, WindowUpdateFrame) if frame.stream_id == stream_id)


def settings_sent(frames: Iterable[Frame]) -> list[dict[int, int]]:
    """Returns the values of the SETTINGS frames that are no acknowledgements."""
    return [frame.settings for frame in of_type(frames, SettingsFrame) if "ACK" not in frame.flags]
