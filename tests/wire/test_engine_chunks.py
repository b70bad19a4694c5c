"""Byte by byte or all at once: the same events and the same answers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hpack import Encoder
from hyperframe.frame import Frame, HeadersFrame, PushPromiseFrame

from tests.wire.engine_pair import (
    GET,
    HEAD,
    OK,
    POST,
    PREFACE,
    Fields,
    check_books,
    data,
    goaway,
    make_engine,
    ping,
    raw_frame,
    reset,
    settings,
    window_update,
)
from trio_h2._wire._codes import Role
from trio_h2._wire._config import ServerConfig
from trio_h2._wire._events import DataReceived, Event, WindowOpened

if TYPE_CHECKING:
    from trio_h2._wire._engine import Engine

HELLO = settings({4: 100_000}) + settings(ack=True)
_encoder = Encoder()


def block(stream_id: int, fields: Fields, *, end: bool = True) -> HeadersFrame:
    flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
    return HeadersFrame(stream_id, b"".join(_literal(*field) for field in fields), flags=flags)


def promise(promised: int, fields: Fields) -> PushPromiseFrame:
    return PushPromiseFrame(1, promised, block(1, fields).data, flags=["END_HEADERS"])


def _literal(name: bytes, value: bytes) -> bytes:
    """A field that needs no table, so that scenarios do not depend on each other."""
    return b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value


def octets(*parts: Frame | bytes) -> bytes:
    return b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts)


SERVER_SCENARIOS: dict[str, bytes] = {
    "requests": octets(HELLO, block(1, GET), block(3, POST, end=False), data(3, b"body", end=True), ping()),
    "trailers": octets(HELLO, block(1, POST, end=False), data(1, b"x"), block(1, [(b"a", b"b")])),
    "continuation": octets(
        HELLO,
        raw_frame(0x1, 0x1, 1, block(1, GET).data[:7]),
        raw_frame(0x9, 0, 1),
        raw_frame(0x9, 0x4, 1, block(1, GET).data[7:]),
        block(3, GET),
    ),
    "stream errors": octets(
        HELLO,
        block(1, GET[1:]),
        block(3, POST, end=False),
        window_update(3, 0),
        data(3, b"late"),
        block(5, GET),
        data(5, b"after the end"),
        raw_frame(0x2, 0, 5, b"1234"),
        block(7, [*POST, (b"content-length", b"3")], end=False),
        data(7, b"four", end=True),
    ),
    "padding": octets(
        HELLO,
        block(1, POST, end=False),
        data(1, b"a", padding=0),
        data(1, b"", padding=255),
        data(1, b"b", padding=7, end=True),
    ),
    "windows": octets(HELLO, block(1, GET), window_update(1, 5), window_update(0, 2000), settings({4: 7})),
    "resets": octets(
        HELLO, block(1, POST, end=False), data(1, b"half"), reset(1), data(1, b"late"), window_update(1, 9)
    ),
    "too many": octets(HELLO, *(block(number, GET) for number in range(1, 30, 2))),
    "too large": octets(HELLO, block(1, [*GET, *[(b"x", b"y")] * 20], end=False), data(1, b"z"), block(3, GET)),
    "unknown": octets(HELLO, raw_frame(0xA, 0, 0, b"junk"), raw_frame(0x77, 0xFF, 5, b"?" * 300), block(1, GET)),
    "goaway": octets(HELLO, block(1, GET), goaway(0, 5, b"bye"), ping()),
    "no preface": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no settings": octets(ping()),
    "bad compression": octets(HELLO, block(1, GET), raw_frame(0x1, 0x5, 3, b"\xff\xff\xff\xff\xff"), block(5, GET)),
    "interrupted block": octets(HELLO, raw_frame(0x1, 0x1, 1, b""), ping()),
    "idle stream": octets(HELLO, block(1, GET), data(9, b"x"), block(3, GET)),
    "oversize": octets(HELLO, block(1, GET), raw_frame(0x0, 0, 1, length=2**24 - 1)),
    "padding beyond its frame": octets(HELLO, block(1, POST, end=False), raw_frame(0x0, 0x8, 1, b"\x05abcd")),
    "window violation": octets(HELLO, block(1, POST, end=False), *[data(1, bytes(9000))] * 3, block(3, GET)),
    "priorities": octets(
        HELLO, raw_frame(0x2, 0, 7, b"\0\0\0\1\x10"), raw_frame(0x1, 0x25, 1, bytes(5) + block(1, GET).data)
    ),
}
CLIENT_SCENARIOS: dict[str, bytes] = {
    "responses": octets(HELLO, block(3, OK), block(1, OK, end=False), data(1, b"body"), data(1, b"", end=True)),
    "informational": octets(HELLO, *[block(1, [(b":status", b"103")], end=False)] * 3, block(1, OK)),
    "trailers": octets(HELLO, block(1, OK, end=False), data(1, b"x"), block(1, [(b"a", b"b")])),
    "malformed": octets(HELLO, block(1, [(b":status", b"2000")]), block(3, OK, end=False), block(3, OK)),
    "hasty data": octets(HELLO, data(1, b"x"), block(3, OK)),
    "goaway": octets(HELLO, goaway(1), block(1, OK), data(3, b"late"), goaway(0)),
    "refused": octets(HELLO, reset(1, 7), reset(3, 0), reset(1)),
    "http1": b"HTTP/1.0 505 HTTP Version not supported\r\n\r\n",
    "almost http1": b"HTT" + bytes(20),
    "promises": octets(HELLO, promise(2, GET), promise(6, POST), promise(8, HEAD), promise(10, GET), reset(8), ping()),
    "promises out of order": octets(HELLO, promise(6, GET), block(3, OK), promise(4, GET), block(1, OK)),
    "pushed responses": octets(
        *(HELLO, promise(2, GET), block(2, [(b":status", b"103")], end=False), promise(4, GET), promise(6, GET)),
        *(
            block(2, OK, end=False),
            block(1, OK, end=False),
            data(2, b"push", padding=5),
            block(4, OK),
            data(1, b"body"),
        ),
        *(promise(8, HEAD), block(8, OK), data(2, b"ed", end=True), block(6, [(b":status", b"2000")])),
    ),
    "data for a promise": octets(HELLO, promise(2, GET), data(2, b"early"), block(1, OK)),
    "settings": octets(settings({1: 0, 3: 1, 4: 0, 5: 16_384, 6: 100, 8: 1, 0x99: 5}), settings({8: 0})),
}
assert all(scenario for scenario in (*SERVER_SCENARIOS.values(), *CLIENT_SCENARIOS.values()))


def fresh(role: Role) -> Engine:
    config = ServerConfig(max_concurrent_streams=8, max_header_fields=20, stream_window=20_000)
    engine = make_engine(role, config if role is Role.SERVER else None, [], push=role is Role.CLIENT)
    engine.start()
    if role is Role.CLIENT:
        engine.open_stream(b"GET", GET, end_stream=True)
        engine.open_stream(b"POST", POST, end_stream=False)
    engine.take_output()
    return engine


def run(role: Role, scenario: bytes, sizes: list[int]) -> tuple[list[Event], bytes, tuple[object, ...]]:
    """Feeds a scenario in reads of these sizes, the last one repeated; returns events, output and state."""
    engine = fresh(role)
    events: list[Event] = []
    start = index = 0
    while start < len(scenario):
        size = sizes[min(index, len(sizes) - 1)]
        events += engine.receive_bytes(scenario[start : start + size], 1.0)
        if engine.failure is None:
            check_books(engine)
        start += size
        index += 1
    ledger = engine.windows.budget.ledger
    state = (
        ledger.received,
        ledger.discarded,
        sorted(engine.streams),
        sorted(engine.slots),
        engine.peer_settings,
        engine.connection_window,
        engine.failure,
    )
    return events, engine.take_output(), state


def digest(events: list[Event]) -> tuple[list[Event], dict[int, tuple[bytes, bool]]]:
    """Returns the events, and each body with its end, no matter how many events it came in.

    WindowOpened is reported once per read, and small pieces of a body come together.
    """
    bodies: dict[int, tuple[bytes, bool]] = {}
    others: list[Event] = []
    for event in events:
        if isinstance(event, DataReceived):
            octets_before, ended = bodies.get(event.stream_id, (b"", False))
            assert not ended
            bodies[event.stream_id] = (octets_before + event.data, event.end_stream)
        elif not isinstance(event, WindowOpened):
            others.append(event)
    return others, bodies


SCENARIOS = [(Role.SERVER, name) for name in SERVER_SCENARIOS] + [(Role.CLIENT, name) for name in CLIENT_SCENARIOS]


@pytest.mark.parametrize(("role", "name"), SCENARIOS, ids=[f"{role.value} {name}" for role, name in SCENARIOS])
def test_the_cut_of_the_bytes_makes_no_difference(role: Role, name: str) -> None:
    scenario = SERVER_SCENARIOS[name] if role is Role.SERVER else CLIENT_SCENARIOS[name]
    if role is Role.SERVER and name != "no preface":
        scenario = PREFACE + scenario
    events, output, state = run(role, scenario, [len(scenario)])
    choose = random.Random(name)
    cuts = [[1], [9], [choose.randrange(1, len(scenario)), len(scenario)]]
    cuts += [[choose.randrange(1, 40) for _ in range(len(scenario))] for _ in range(3)]
    for sizes in cuts:
        again, output_again, state_again = run(role, scenario, sizes)
        assert digest(again) == digest(events)
        assert {type(event) for event in again} == {type(event) for event in events}
        assert output_again == output
        assert state_again == state


def test_every_single_cut_of_a_conversation() -> None:
    scenario = PREFACE + SERVER_SCENARIOS["stream errors"]
    events, output, _ = run(Role.SERVER, scenario, [len(scenario)])
    for cut in range(1, len(scenario)):
        again, output_again, _ = run(Role.SERVER, scenario, [cut, len(scenario)])
        assert again == events
        assert output_again == output
