"""The frames of promises: their length, padding and compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import Frame, PushPromiseFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    PROMISED,
    Pair,
    server_peer,
    the,
)
from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._config import ServerConfig
from trio_h2._wire._events import PushPromised
from trio_h2._wire._padding import PaddingStrategy

if TYPE_CHECKING:
    from trio_h2._wire._headers import RawField

FRAME_SIZE = 16_384


# -- promises ----------------------------------------------------------------------------------------------------------


def test_fields_of_promises_are_never_indexed_if_they_are_secret() -> None:
    pair = Pair(push=True)
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    fields: list[RawField] = [*PROMISED, NeverIndexedHeaderTuple(b"x-secret", b"key"), (b"x-open", b"door")]
    pair.server.push(1, b"GET", fields)
    assert the(pair.exchange()[0], PushPromised).headers.sensitive == {"x-secret"}
    size = pair.server.encoder.block_size
    assert size([NeverIndexedHeaderTuple(b"x-secret", b"key")]) > size([(b"x-open", b"door")]) == 1


@pytest.mark.parametrize("missing", range(-6, 7))
@pytest.mark.parametrize("padding", list(PaddingStrategy))
def test_promises_about_as_long_as_a_frame(missing: int, padding: PaddingStrategy) -> None:
    """The promised id takes 4 bytes of the frame."""
    pair = Pair(server_config=ServerConfig(padding=padding), push=True)
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    size = pair.server.encoder.block_size
    value = b"X" * (FRAME_SIZE - 200)
    value += b"X" * (FRAME_SIZE + missing - size([*PROMISED, (b"x-long", value)]))
    fields: list[RawField] = [*PROMISED, (b"x-long", value)]
    assert size(fields) == FRAME_SIZE + missing
    pair.server.push(1, b"GET", fields)
    octets = pair.server.take_output()
    lengths, flags = [], []
    rest = octets
    while rest:
        length = int.from_bytes(rest[:3], "big")
        lengths.append(length)
        flags.append((rest[3], rest[4] & 0x4))
        rest = rest[9 + length :]
    assert all(length <= FRAME_SIZE for length in lengths)
    if missing <= -4:
        assert flags == [(0x5, 0x4)]
    else:
        assert flags == [(0x5, 0), (0x9, 0x4)]
    events = pair.client.receive_bytes(octets, 0.0)
    assert the(events, PushPromised).headers.raw == fields


@pytest.mark.parity("H6")
@pytest.mark.parametrize(("strategy", "unit"), [(PaddingStrategy.ALIGNED, 8), (PaddingStrategy.MAX, 1)])
def test_promises_are_padded(strategy: PaddingStrategy, unit: int) -> None:
    peer = server_peer(ServerConfig(padding=strategy))
    peer.feed(peer.headers(1, GET))
    for length in range(16):
        plain = 4 + peer.engine.encoder.block_size([*PROMISED, (b"x-length", b"X" * length)])
        peer.engine.push(1, b"GET", [*PROMISED, (b"x-length", b"X" * length)])
        octets = peer.engine.take_output()
        size = int.from_bytes(octets[:3], "big")
        assert (9 + size) % unit == 0
        assert size - plain == (256 if strategy is PaddingStrategy.MAX else -(9 + plain) % 8)
        frame, _ = Frame.parse_frame_header(memoryview(octets[:9]))
        frame.parse_body(memoryview(octets[9:]))
        assert isinstance(frame, PushPromiseFrame)
        assert peer.fields(frame)[-1] == (b"x-length", b"X" * length)


def test_promises_keep_compression_in_step() -> None:
    """Promises, responses and interim responses share one table with everything else."""
    pair = Pair(push=True)
    pair.client.open_stream(b"GET", GET, end_stream=True)
    pair.exchange()
    for number in range(50):
        promised = pair.server.push(1, b"GET", [*PROMISED, (b"x-number", b"%d" % number)])
        pair.server.send_response(promised, [*OK, (b"x-answer", b"%d" % number)], end_stream=True)
        if number % 3 == 0:
            pair.client.reset(promised - 2, ErrorCode.CANCEL)
        events, _ = pair.exchange()
        assert the(events, PushPromised).headers["x-number"] == str(number)
    assert not pair.client.pushes
    assert not pair.server.pushes
