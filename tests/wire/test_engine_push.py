"""Server push with both ends: promises, their responses, and what either side allows (RFC 9113 §§6.6 and 8.4)."""

from __future__ import annotations

import pytest

from tests.wire.engine_pair import GET, OK, PROMISED, Pair, of_type, the
from trio_h2._wire._codes import ErrorCode, Initiator, SettingCode
from trio_h2._wire._events import (
    DataReceived,
    Event,
    InformationalReceived,
    PushPromised,
    ResponseReceived,
    StreamClosed,
    StreamFailed,
    TrailersReceived,
)


def pushing(pair: Pair, count: int = 1) -> list[int]:
    """Opens a request and promises *count* streams on it; returns their ids."""
    parent = pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    ids = [pair.server.push(parent, b"GET", PROMISED) for _ in range(count)]
    promises = of_type(pair.exchange()[0], PushPromised)
    assert [(event.stream_id, event.promised_id) for event in promises] == [(parent, i) for i in ids]
    return ids


def allowed(pair: Pair) -> tuple[bool, bool]:
    """Whether the server may promise, and whether the client takes it."""
    return pair.server.push_allowed, pair.client.takes_pushes


@pytest.mark.parity("C5", "E3", "B9")
@pytest.mark.parametrize("chunk", [None, 1])
def test_a_push_is_a_promise_and_a_response(chunk: int | None) -> None:
    pair = Pair(chunk=chunk, push=True)
    parent = pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    assert pair.server.push_allowed
    assert pair.server.can_promise_on(parent)
    promised = pair.server.push(parent, b"GET", PROMISED)
    assert promised == 2
    assert pair.server.streams[2].reserved
    event = the(pair.exchange()[0], PushPromised)
    assert (event.stream_id, event.promised_id, event.flags) == (parent, 2, 0x4)
    assert event.headers.raw == PROMISED
    assert pair.client.streams[2].reserved

    pair.server.send_informational(2, [(b":status", b"103")])
    assert the(pair.exchange()[0], InformationalReceived).stream_id == 2
    for engine, state in (pair.client, "half-closed (local)"), (pair.server, "half-closed (remote)"):
        stream = engine.streams[2]
        assert (stream.reserved, stream.state) == (False, state)
    pair.server.send_response(2, OK, end_stream=False)
    pair.server.send_data(2, b"body", end_stream=False)
    pair.server.send_trailers(2, [(b"digest", b"x")])
    events, _ = pair.exchange()
    assert the(events, ResponseReceived).stream_id == the(events, TrailersReceived).stream_id == 2
    assert pair.read(pair.client, events, 2) == b"body"
    assert the(events, StreamClosed).stream_id == 2
    assert pair.server_closed == [2]
    for engine in pair.client, pair.server:
        assert list(engine.streams) == [parent]
        assert len(engine.pushes) == 0


def test_the_response_can_be_headers_alone() -> None:
    pair = Pair(push=True)
    (promised,) = pushing(pair)
    pair.server.send_response(promised, OK, end_stream=True)
    events, _ = pair.exchange()
    assert the(events, ResponseReceived).end_stream
    assert the(events, StreamClosed).stream_id == promised


@pytest.mark.parametrize("begun", [False, True])
def test_a_client_refuses_a_push(begun: bool) -> None:
    pair = Pair(push=True)
    (promised,) = pushing(pair)
    if begun:
        pair.server.send_response(promised, OK, end_stream=False)
        pair.server.send_data(promised, b"early", end_stream=False)
        events, _ = pair.exchange()
        pair.client.discard(promised, len(the(events, DataReceived).data))
        pair.server.send_data(promised, b"late", end_stream=False)
    pair.client.reset(promised, ErrorCode.CANCEL)
    late, events = pair.exchange()
    assert of_type(late, DataReceived) == []
    failure = the(events, StreamFailed).failure
    assert (failure.stream_id, failure.code, failure.initiator) == (promised, ErrorCode.CANCEL, Initiator.REMOTE)
    assert not pair.server.pushes
    assert not pair.client.pushes
    assert pair.client.windows.budget.ledger.held == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_server_takes_a_push_back(begun: bool) -> None:
    pair = Pair(push=True)
    (promised,) = pushing(pair)
    if begun:
        pair.server.send_response(promised, OK, end_stream=False)
    pair.server.reset(promised, ErrorCode.CANCEL)
    events: list[Event] = pair.exchange()[0]
    assert the(events, StreamFailed).stream_id == the(events, StreamClosed).stream_id == promised
    assert not pair.client.pushes


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
