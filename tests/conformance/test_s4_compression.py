"""RFC 9113 §4.3: field blocks, and the HPACK state that both sides must keep in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.conformance.feeds import both_ways, whole_only
from trio_h2 import ErrorCode, SettingCode, Settings
from trio_h2.testing import HeadersFrame, SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import End, ServerEnd, Start

UNDECODABLE = {
    "index-0": b"\x80",
    "index-too-large": b"\xff\xff\xff\x00",
    "integer-cut": b"\xff\x80",
    "integer-endless": b"\xff" + b"\x80" * 20 + b"\x01",
    "literal-cut": b"\x00\x03abc\x7f",
    "huffman-padding": b"\x00\x01a\x81\x00",
    "huffman-eos": b"\x00\x01a\x84\xff\xff\xff\xff",
    "table-size-too-large": b"\x3f\xe2\x1f",
    "table-size-at-the-end": b"\x82\x3f\xe1\x1f",
}


# ---- §4.3: what we send ----


@whole_only
async def test_4_3_field_blocks_we_send_are_not_interrupted(end: End) -> None:
    """While bodies are under way on other streams; `ScriptedPeer` and the audit fail if anything comes between."""
    streams = [await end.send_message() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for stream_id in streams:
            nursery.start_soon(end.app(stream_id).send_all, bytes(20_000))
        await trio.testing.wait_all_tasks_blocked()
        for stream_id in streams:
            await end.app(stream_id).send_trailers({"x-long": ["~" * 4000 + str(number) for number in range(10)]})
            await end.peer.ping()
        for stream_id in streams:
            assert await end.peer.collect_body(stream_id) == bytes(20_000)
            trailers = await end.peer.expect_headers(stream_id, end_stream=True)
            assert len(trailers.continuations) >= 2


async def test_4_3_an_empty_block_continued_by_empty_frames_is_one_block(end: End) -> None:
    block = end.peer.encode(end.head())
    stream_id = await _start_block(end)
    await end.peer.send_continuation(stream_id, b"", end_headers=False)
    await end.peer.send_continuation(stream_id, block, end_headers=False)
    await end.peer.send_continuation(stream_id, b"", end_headers=True)
    await end.settle()
    await end.expect_body(stream_id, b"")
    await end.expect_ignored()


async def _start_block(end: End) -> int:
    """Returns a stream on which a message began with a HEADERS frame that has nothing in it."""
    stream_id = await end.in_state("request") if end.role == "client" else end.peer.next_stream_id()
    await end.peer.send_headers(stream_id, b"", end_stream=True, end_headers=False)
    return stream_id


# ---- §4.3: what cannot be decoded ----


@both_ways
@pytest.mark.parametrize("block", UNDECODABLE.values(), ids=UNDECODABLE.keys())
async def test_4_3_undecodable_message_is_a_connection_error(end: End, block: bytes) -> None:
    await end.receive_message(block)
    await end.expect_connection_error(ErrorCode.COMPRESSION_ERROR)


@pytest.mark.parametrize("state", ["open", "half_closed_remote", "half_closed_local", "closed", "reset_by_us"])
async def test_4_3_undecodable_block_is_a_connection_error_in_every_state(end: End, state: str) -> None:
    """RFC 9113 §5.4: the stream error that some of these frames are as well must not hide that of the connection."""
    stream_id = await end.in_state(state)
    await end.peer.send_headers(stream_id, UNDECODABLE["index-too-large"], end_stream=True)
    await end.expect_connection_error(ErrorCode.COMPRESSION_ERROR)


async def test_4_3_undecodable_continuation_is_a_connection_error(end: End) -> None:
    stream_id = await _start_block(end)
    await end.peer.send_continuation(stream_id, UNDECODABLE["index-too-large"])
    await end.expect_connection_error(ErrorCode.COMPRESSION_ERROR)


async def test_4_3_block_that_is_too_large_to_be_decoded_is_a_connection_error(end: End) -> None:
    """Our choice of code: ENHANCE_YOUR_CALM says more than COMPRESSION_ERROR, and §5.4 allows any that applies."""
    stream_id = await end.open()
    # One field with 3000 bytes goes into the table, and comes out of it 200 times.
    await end.peer.send_headers(stream_id, b"\x40\x01a\x7f\xb9\x16" + b"b" * 3000 + b"\xbe" * 200, end_stream=True)
    await end.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)


# ---- §4.3: blocks that are decoded although nobody wants them ----


@both_ways
@pytest.mark.parametrize("state", ["half_closed_remote", "reset_by_us", "reset_by_peer"])
async def test_4_3_discarded_blocks_still_change_the_decoder(end: End, state: str) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_headers(stream_id, end.head(("x-secret", "1" * 30)), end_stream=True)
    if state != "reset_by_us":
        await end.peer.expect_rst(stream_id, ErrorCode.STREAM_CLOSED)
    fresh = await end.receive_message(end.head(("x-secret", "1" * 30)))  # indexed, as the peer's encoder has it
    await end.settle()
    await end.expect_body(fresh, b"")
    await end.expect_ignored()


async def test_4_3_malformed_messages_still_change_the_decoder(end: End) -> None:
    stream_id = await end.receive_message(end.head(("x-new", "2" * 30), ("Upper", "case")))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)
    fresh = await end.receive_message(end.head(("x-new", "2" * 30)))
    await end.settle()
    await end.expect_body(fresh, b"")
    await end.expect_ignored()


@whole_only
async def test_4_3_header_lists_over_our_limit_still_change_the_decoder(server: ServerEnd) -> None:
    """Our choice for them on the server: an answer 431 (§10.5.1)."""
    stream_id = await server.receive_message(server.head(("x-new", "3" * 30), ("x-large", "l" * 70_000)))
    await server.peer.expect_headers(stream_id, status=431, end_stream=True)
    fresh = await server.receive_message(server.head(("x-new", "3" * 30)))
    await server.settle()
    assert server.handled == [fresh]
    await server.expect_ignored()


# ---- §4.3.1: a smaller table of the peer's ----


@both_ways
@pytest.mark.parametrize("size", [0, 100, 4095])
async def test_4_3_1_we_begin_the_next_block_with_the_reduced_table_size(end: End, size: int) -> None:
    await end.still_works()
    await end.peer.send_settings({SettingCode.HEADER_TABLE_SIZE: size})
    await end.peer.pick(SettingsFrame, ack=True)
    await end.still_works()
    blocks = [frame.fragment for frame in end.peer.frames if isinstance(frame, HeadersFrame)]
    assert _table_size(blocks[-1]) is not None
    assert _table_size(blocks[-1]) <= size  # type: ignore[operator]  # it is not None
    await end.still_works()


async def test_4_3_1_the_smallest_size_is_signalled_when_it_shrinks_and_grows(end: End) -> None:
    """RFC 7541 §4.2: "the smallest maximum table size that occurs in that interval MUST be signaled"."""
    await end.still_works()
    async with end.peer.batch():
        await end.peer.send_settings({SettingCode.HEADER_TABLE_SIZE: 0})
        await end.peer.send_settings([(SettingCode.HEADER_TABLE_SIZE, 50), (SettingCode.HEADER_TABLE_SIZE, 4096)])
    await end.peer.pick(SettingsFrame, ack=True)
    await end.peer.pick(SettingsFrame, ack=True)
    await end.still_works()
    blocks = [frame.fragment for frame in end.peer.frames if isinstance(frame, HeadersFrame)]
    assert _table_size(blocks[-1]) == 0
    await end.still_works()


async def test_4_3_1_table_size_in_the_preface_counts_for_the_first_block(start: Start) -> None:
    async with start(settings={SettingCode.HEADER_TABLE_SIZE: 64}) as end:
        await end.still_works()
        (head,) = [frame for frame in end.peer.frames if isinstance(frame, HeadersFrame)]
        size = _table_size(head.fragment)
        assert size is not None
        assert size <= 64


def _table_size(block: bytes) -> int | None:
    """Returns the table size (RFC 7541 §6.3) that a block begins with, if it does."""
    if block[0] >> 5 != 1:
        return None
    value, shift = block[0] & 0x1F, 0
    if value < 0x1F:
        return value
    for octet in block[1:]:
        value += (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            break
    return value


# ---- §4.3.1: a smaller table of ours ----


@pytest.mark.parametrize("size", [0, 64])
async def test_4_3_1_peer_that_ignores_our_reduced_table_size_is_a_connection_error(end: End, size: int) -> None:
    await end.peer.send_headers(await _request(end), end.head(("x-in-the-table", "yes")), end_stream=True)
    await _reduce(end, size)
    await end.peer.send_headers(await _request(end), b"\x88" if end.role == "client" else b"\x83\x86\x84\x41\x01a")
    await end.expect_connection_error(ErrorCode.COMPRESSION_ERROR)


@pytest.mark.parametrize("size", [0, 64])
async def test_4_3_1_peer_that_follows_our_reduced_table_size_is_understood(end: End, size: int) -> None:
    await end.peer.send_headers(await _request(end), end.head(("x-in-the-table", "yes")), end_stream=True)
    await _reduce(end, size)
    # ScriptedPeer follows SETTINGS as it reads them.
    await end.still_works()


async def test_4_3_1_update_beyond_our_reduced_table_size_is_a_connection_error(end: End) -> None:
    await _reduce(end, 64)
    update = b"\x3f\x22"  # 31 + 34
    await end.peer.send_headers(await _request(end), update + (b"\x88" if end.role == "client" else b"\x83\x86\x84"))
    await end.expect_connection_error(ErrorCode.COMPRESSION_ERROR)


async def test_4_3_1_our_old_table_size_counts_until_the_peer_acknowledges(end: End) -> None:
    end.peer.auto_ack = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.session.update_settings, Settings(header_table_size=0))
        await end.peer.pick(SettingsFrame, ack=False)
        stream_id = await end.receive_message(end.head(("x-in-the-table", "yes")))
        again = await end.receive_message(end.head(("x-in-the-table", "yes")))
        await end.settle()
        await end.expect_body(stream_id, b"")
        await end.expect_body(again, b"")
        await end.peer.send_settings(ack=True)
    end.peer.auto_ack = True
    await end.still_works()


async def _reduce(end: End, size: int) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.session.update_settings, Settings(header_table_size=size))
        await end.peer.pick(SettingsFrame, ack=False)


async def _request(end: End) -> int:
    return await end.in_state("request") if end.role == "client" else end.peer.next_stream_id()
