"""Header compression (RFC 7541) stays in step, whatever the peer does and whatever its settings say."""

from __future__ import annotations

import re

import pytest
from hpack import HeaderTuple, NeverIndexedHeaderTuple
from hyperframe.frame import ContinuationFrame, HeadersFrame

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
    reset,
    server_peer,
    settings,
    the,
)
from trio_h2._wire._codes import ErrorCode, Role
from trio_h2._wire._config import ClientConfig
from trio_h2._wire._events import RequestReceived, ResponseReceived

TABLE = 1

BROKEN_BLOCKS: dict[str, bytes] = {
    "index 0": b"\x80",
    "index beyond the table": b"\xff\xff\x03",
    "endless integer": b"\xff" + b"\x80" * 200,
    "cut integer": b"\xff",
    "cut literal": b"\x00\x05x",
    "cut literal without a value": b"\x00\x01x",
    "bad Huffman code": b"\x00\x81\xff\x00",
    "table update that is too large": b"\x3f\xe2\x1f",
    "table update after a field": b"\x82\x20",
    "cut literal in a long block": b"\x00\x01x\x01y" * 1000 + b"\x00\x05x",
}


@pytest.mark.parametrize("name", BROKEN_BLOCKS)
def test_decoding_errors_are_compression_errors(name: str) -> None:
    """RFC 9113 §4.3."""
    server, client = server_peer(), client_peer()
    client.open()
    for peer in server, client:
        frame = HeadersFrame(1, BROKEN_BLOCKS[name], flags=("END_HEADERS",))
        assert_dies(peer, peer.feed(frame), ErrorCode.COMPRESSION_ERROR)
        assert peer.engine.failure is not None
        # It goes to the peer with GOAWAY: neither octets of the block nor addresses of ours belong in it.
        assert re.fullmatch(r"field block cannot be decoded \([\w ,]+\)", peer.engine.failure.reason)


def test_blocks_of_discarded_frames_are_decoded() -> None:
    """HEADERS on streams that were reset still move the table on."""
    peer = client_peer()
    for number in range(3):
        stream_id = peer.open()
        peer.feed(peer.headers(stream_id, [*OK, (b"x-answer", b"%d" % number)]))
    peer.engine.reset(peer.open(), ErrorCode.CANCEL)
    peer.feed(reset(peer.open()))
    for stream_id in 7, 9:
        assert peer.feed(peer.headers(stream_id, [(b"x-late", b"entry %d" % stream_id)])) == []
    stream_id = peer.open()
    fields: Fields = [*OK, (b"x-late", b"entry 7"), (b"x-late", b"entry 9"), (b"x-answer", b"2")]
    assert the(peer.feed(peer.headers(stream_id, fields)), ResponseReceived).headers.raw == fields


def test_a_field_block_is_contiguous_with_other_output_around_it() -> None:
    """B14: 40 kB of headers with DATA before and after."""
    peer = client_peer()
    peer.engine.open_stream(b"POST", POST, end_stream=False)
    peer.engine.send_data(1, b"before", end_stream=False)
    large: Fields = [*GET, (b"x-large", bytes(b"~" * 40_000))]
    peer.engine.open_stream(b"GET", large, end_stream=True)
    peer.engine.send_data(1, b"after", end_stream=True)
    frames = peer.output()
    kinds = [type(frame).__name__.removesuffix("Frame") for frame in frames]
    assert kinds == ["Headers", "Data", "Headers", *["Continuation"] * (len(frames) - 4), "Data"]
    peer.fields(of_type(frames, HeadersFrame)[0])
    first = of_type(frames, HeadersFrame)[1]
    assert first.stream_id == 3
    assert "END_STREAM" in first.flags
    parts = of_type(frames, ContinuationFrame)
    assert "END_HEADERS" in parts[-1].flags
    first.data += b"".join(part.data for part in parts)
    assert peer.fields(first) == large


def test_secrets_are_never_indexed() -> None:
    """RFC 7541 §7.1.3: the entry must not be in the table."""
    peer = client_peer()
    fields: Fields = [*GET, NeverIndexedHeaderTuple(b"authorization", b"secret"), (b"x-plain", b"value")]
    for _ in range(2):
        peer.engine.open_stream(b"GET", fields, end_stream=True)
        decoded = peer.decoder.decode(the(peer.output(), HeadersFrame).data, raw=True)
        marks = {bytes(name): type(field) for field in decoded for name in [field[0]]}
        assert marks[b"authorization"] is NeverIndexedHeaderTuple
        assert marks[b"x-plain"] is HeaderTuple
    assert peer.engine.encoder.size == peer.decoder.header_table._current_size
    table = [(bytes(name), bytes(value)) for name, value in peer.decoder.header_table.dynamic_entries]
    assert (b"x-plain", b"value") in table
    assert b"authorization" not in dict(table)


def sent_block(peer: RawPeer) -> bytes:
    peer.engine.open_stream(b"GET", [*GET, (b"x-table", b"entry")], end_stream=True)
    return the(peer.output(), HeadersFrame).data


def test_a_huge_table_of_the_peer_is_not_used() -> None:
    """HEADER_TABLE_SIZE up to 2³²-1 must not make our table grow."""
    peer = client_peer(values={TABLE: 2**32 - 1})
    for number in range(1000):
        peer.engine.open_stream(b"GET", [*GET, (b"x-number", b"%d" % number)], end_stream=True)
    assert 4000 < peer.engine.encoder.size <= 4096
    for frame in peer.sent(HeadersFrame):  # and a peer that keeps to the default of 4096 understands it
        peer.fields(frame)


def test_a_larger_table_can_be_asked_for() -> None:
    peer = client_peer(ClientConfig(max_encoder_table_size=8192), values={TABLE: 65_536})
    block = sent_block(peer)
    assert block[0] & 0xE0 == 0x20  # RFC 7541 §6.3: a size update comes first
    peer.decoder.max_allowed_table_size = 65_536
    assert (b"x-table", b"entry") in peer.fields(HeadersFrame(1, block))
    assert peer.decoder.header_table_size == 8192


@pytest.mark.parametrize("cap", [0, 1000])
def test_a_smaller_table_of_ours_is_announced_in_the_first_block(cap: int) -> None:
    peer = client_peer(ClientConfig(max_encoder_table_size=cap))
    block = sent_block(peer)
    peer.fields(HeadersFrame(1, block))
    assert peer.decoder.header_table_size == cap
    assert sent_block(peer)[0] & 0xE0 != 0x20  # once


@pytest.mark.parametrize(
    ("changes", "announced"),
    [
        ([100], [100]),
        ([100, 100], [100]),
        ([0, 4096], [0, 4096]),
        ([200, 100, 4096, 2**20], [100, 4096]),
        ([100, 0], [0]),
        ([100, 0, 50], [0, 50]),
        ([100, 4096, 50, 200], [50, 200]),
        ([4096], []),
        ([5000], []),
    ],
)
@pytest.mark.parametrize("one_frame", [True, False])
def test_table_size_updates_of_the_encoder(changes: list[int], announced: list[int], one_frame: bool) -> None:
    """RFC 7541 §4.2: of the sizes in between, the smallest is signalled, and then the last; no others."""
    peer = client_peer()
    sent_block(peer)
    if one_frame:
        peer.feed(settings([(TABLE, change) for change in changes]))
    else:
        for change in changes:
            peer.feed(settings({TABLE: change}))
    peer.output()
    peer.decoder = type(peer.decoder)()
    peer.decoder.max_allowed_table_size = min(changes)
    block = sent_block(peer)
    sizes = []
    while block[0] & 0xE0 == 0x20:
        size, used = block[0] & 0x1F, 1
        if size == 0x1F:
            shift = 0
            while True:
                size += (block[used] & 0x7F) << shift
                shift += 7
                used += 1
                if not block[used - 1] & 0x80:
                    break
        sizes.append(size)
        block = block[used:]
    assert sizes == announced
    assert sent_block(peer)[0] & 0xE0 != 0x20


def test_a_peer_that_shrinks_its_table_understands_us() -> None:
    peer = client_peer()
    peer.fields(HeadersFrame(1, sent_block(peer)))
    peer.feed(settings({TABLE: 0}))
    peer.output()
    peer.decoder.max_allowed_table_size = 0
    for _ in range(3):
        assert (b"x-table", b"entry") in peer.fields(HeadersFrame(1, sent_block(peer)))


def test_empty_block() -> None:
    """A trailer section without fields is odd, but no error; a request without any is malformed."""
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False), data(1, b""))
    events = peer.feed(HeadersFrame(1, b"", flags=("END_HEADERS", "END_STREAM")))
    assert [type(event).__name__ for event in events] == ["TrailersReceived"]
    assert peer.feed(HeadersFrame(3, b"", flags=("END_HEADERS",))) == []
    assert of_type(peer.feed(peer.headers(5, GET)), RequestReceived)
    assert peer.engine.role is Role.SERVER
