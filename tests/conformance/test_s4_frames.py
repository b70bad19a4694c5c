"""RFC 9113 §4.1 and §4.2: the frame header, and how long a frame may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.conformance.feeds import both_ways, whole_only
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame, FrameFlag, FrameType, HeadersFrame, PingFrame, SettingsFrame, pack_frame

if TYPE_CHECKING:
    from tests.conformance.ends import End, Start

RESERVED = 0x8000_0000
CONNECTION_FRAMES = [
    pytest.param(FrameType.SETTINGS, b"", id="settings"),
    pytest.param(FrameType.PING, bytes(8), id="ping"),
    pytest.param(FrameType.WINDOW_UPDATE, b"\x00\x00\x10\x00", id="window-update"),
]


# ---- §4.1: length ----


@whole_only
async def test_4_1_frames_we_send_are_no_longer_than_the_default(end: End) -> None:
    """`ScriptedPeer` fails at any frame that is too long; here is enough content and header to make one."""
    stream_id = await end.send_message({"x-long": ["a" * 4000 + str(number) for number in range(20)]})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.app(stream_id).send_all, bytes(60_000))
        sizes = [len((await end.peer.expect_data(stream_id)).payload) for _ in range(4)]
    assert max(sizes) == 16_384
    heads = [frame for frame in end.peer.frames if isinstance(frame, HeadersFrame) and frame.continuations]
    assert heads
    assert all(len(part.payload) <= 16_384 for head in heads for part in [head, *head.continuations])


@pytest.mark.parity("I4")
@whole_only
async def test_4_1_frames_we_send_are_no_longer_than_the_peer_allows(start: Start) -> None:
    async with start(settings={SettingCode.MAX_FRAME_SIZE: 20_000}) as end:
        stream_id = await end.send_message()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.app(stream_id).send_all, bytes(60_000))
            for size in (20_000, 20_000, 20_000):
                await end.peer.expect_data(stream_id, bytes(size))


# ---- §4.1: type ----


@both_ways
@pytest.mark.parametrize("state", ["connection", "idle", "open", "half_closed_remote", "half_closed_local", "closed"])
async def test_4_1_frames_of_unknown_type_are_discarded(end: End, state: str) -> None:
    stream_id = {"connection": 0, "idle": 1001}.get(state)
    if stream_id is None:
        stream_id = await end.in_state(state)
    for kind in (0x0A, 0x0B, 0x0C, 0x0F, 0x11, 0xFF):
        for flags in (0x00, 0xFF):
            await end.peer.send_raw_frame(kind, flags, stream_id, b"\x00\x01\x02 whatever")
    await end.expect_ignored()


# ---- §4.1: flags ----


@both_ways
@pytest.mark.parametrize(("kind", "payload"), CONNECTION_FRAMES)
async def test_4_1_unused_flags_are_ignored_on_the_connection(end: End, kind: FrameType, payload: bytes) -> None:
    await end.peer.send_raw_frame(kind, 0xFF & ~FrameFlag.ACK, 0, payload)
    if kind is FrameType.PING:
        await end.peer.expect(PingFrame, ack=True, data=payload)
    elif kind is FrameType.SETTINGS:
        await end.peer.pick(SettingsFrame, ack=True)
    await end.expect_ignored()


async def test_4_1_unused_flags_are_ignored_on_a_message(end: End) -> None:
    block = end.peer.encode(end.head(("content-length", "4")))
    unused = 0xFF & ~(FrameFlag.END_STREAM | FrameFlag.END_HEADERS | FrameFlag.PADDED | FrameFlag.PRIORITY)
    if end.role == "server":
        stream_id = end.peer.next_stream_id()
    else:
        stream_id = await end.in_state("request")
    await end.peer.send_raw_frame(FrameType.HEADERS, unused, stream_id, block[:3])
    await end.peer.send_raw_frame(FrameType.CONTINUATION, 0xFF, stream_id, block[3:])
    await end.peer.send_raw_frame(FrameType.DATA, 0xFF & ~FrameFlag.PADDED, stream_id, b"body")
    await end.settle()
    await end.expect_body(stream_id, b"body")
    await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0xFF, stream_id, b"\x00\x00\x10\x00")
    await end.peer.send_raw_frame(FrameType.PRIORITY, 0xFF, stream_id, bytes(5))
    await end.expect_ignored()
    await end.peer.send_raw_frame(FrameType.RST_STREAM, 0xFF, stream_id, b"\x00\x00\x00\x08")
    await end.expect_ignored()


async def test_4_1_unused_flags_and_the_reserved_bit_are_ignored_on_goaway(end: End) -> None:
    await end.peer.send_raw_frame(FrameType.GOAWAY, 0xFF, RESERVED, b"\xff\xff\xff\xff" + bytes(4))
    await end.settle()
    await end.peer.expect_goaway(ErrorCode.NO_ERROR)
    await end.peer.expect_eof()


# ---- §4.1: the reserved bit ----


@pytest.mark.parametrize(("kind", "payload"), CONNECTION_FRAMES)
async def test_4_1_the_reserved_bit_is_ignored_on_the_connection(end: End, kind: FrameType, payload: bytes) -> None:
    await end.peer.send_raw_frame(kind, 0, RESERVED, payload)
    if kind is FrameType.PING:
        await end.peer.expect(PingFrame, ack=True, data=payload)
    elif kind is FrameType.SETTINGS:
        await end.peer.pick(SettingsFrame, ack=True)
    await end.expect_ignored()


async def test_4_1_the_reserved_bit_is_ignored_on_a_message(end: End) -> None:
    block = end.peer.encode(end.head())
    if end.role == "server":
        stream_id = end.peer.next_stream_id()
    else:
        stream_id = await end.in_state("request")
    await end.peer.send_raw_frame(FrameType.HEADERS, 0, stream_id | RESERVED, block[:3])
    await end.peer.send_raw_frame(FrameType.CONTINUATION, FrameFlag.END_HEADERS, stream_id | RESERVED, block[3:])
    await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0, stream_id | RESERVED, b"\x80\x00\x10\x00")
    await end.peer.send_raw_frame(FrameType.DATA, FrameFlag.END_STREAM, stream_id | RESERVED, b"body")
    await end.settle()
    await end.expect_body(stream_id, b"body")
    await end.peer.send_raw_frame(FrameType.RST_STREAM, 0, stream_id | RESERVED, b"\x00\x00\x00\x08")
    await end.expect_ignored()
    with pytest.raises(trio.BrokenResourceError):
        await end.app(stream_id).send_all(b"too late")


# ---- §4.2 ----


@whole_only
async def test_4_2_data_of_16384_bytes_is_received(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_data(stream_id, b"x" * 16_384, end_stream=True)
    await end.settle()
    await end.expect_body(stream_id, b"x" * 16_384)
    await end.expect_ignored()


@whole_only
async def test_4_2_headers_of_16384_bytes_are_received(end: End) -> None:
    block = end.peer.encode(end.head())
    # One more field, a literal that is neither indexed nor compressed (RFC 7541 §6.2.2): it fills the frame.
    block += b"\x00\x01y\x7f" + _integer(16_384 - len(block) - 4 - 3 - 127)
    block += b"z" * (16_384 - len(block))
    stream_id = await end.receive_message(block)
    await end.settle()
    await end.expect_body(stream_id, b"")
    await end.expect_ignored()


def _integer(rest: int) -> bytes:
    """Returns the bytes after a full prefix of an HPACK integer (RFC 7541 §5.1), always three of them."""
    return bytes([rest & 0x7F | 0x80, rest >> 7 & 0x7F | 0x80, rest >> 14])


@whole_only
async def test_4_2_unknown_frames_of_16384_bytes_are_received(end: End) -> None:
    await end.peer.send_raw_frame(0xFA, 0, 0, bytes(16_384))
    await end.expect_ignored()


@both_ways
@pytest.mark.parametrize(
    "kind", [FrameType.DATA, FrameType.HEADERS, FrameType.SETTINGS, FrameType.GOAWAY, FrameType.CONTINUATION, 0xFA]
)
async def test_4_2_longer_frames_are_a_connection_error_as_soon_as_they_are_announced(end: End, kind: int) -> None:
    """No payload follows: 9 bytes are enough to know."""
    stream_id = 0 if kind in (FrameType.SETTINGS, FrameType.GOAWAY) else await end.open()
    if kind == FrameType.CONTINUATION:
        await end.peer.send_headers(stream_id, b"", end_headers=False)
    await end.peer.send_bytes(pack_frame(kind, 0, stream_id, b"", length=16_385))
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


@whole_only
async def test_4_2_our_own_larger_limit_counts_from_its_acknowledgement_on(start: Start) -> None:
    async with start(config={"max_frame_size": 20_000}) as end:
        stream_id = await end.open()
        await end.peer.send_data(stream_id, b"x" * 20_000, end_stream=True)
        await end.settle()
        await end.expect_body(stream_id, b"x" * 20_000)
        await end.peer.send_bytes(pack_frame(FrameType.DATA, 0, stream_id, b"", length=20_001))
        await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


@pytest.mark.parametrize(
    ("kind", "flags", "payload"),
    [
        pytest.param(FrameType.DATA, FrameFlag.PADDED, b"", id="data-without-pad-length"),
        pytest.param(FrameType.HEADERS, FrameFlag.PADDED | FrameFlag.END_HEADERS, b"", id="headers-without-pad-length"),
        pytest.param(FrameType.HEADERS, FrameFlag.PRIORITY | FrameFlag.END_HEADERS, bytes(4), id="headers-priority"),
        pytest.param(
            FrameType.HEADERS,
            FrameFlag.PADDED | FrameFlag.PRIORITY | FrameFlag.END_HEADERS,
            bytes(5),
            id="headers-padded-priority",
        ),
        pytest.param(FrameType.PUSH_PROMISE, FrameFlag.END_HEADERS, bytes(3), id="push-promise"),
        pytest.param(FrameType.PUSH_PROMISE, FrameFlag.PADDED | FrameFlag.END_HEADERS, b"", id="push-promise-padded"),
        pytest.param(FrameType.GOAWAY, 0, bytes(7), id="goaway"),
        pytest.param(FrameType.GOAWAY, 0, b"", id="goaway-empty"),
    ],
)
async def test_4_2_frames_too_short_for_their_fields_are_a_connection_error(
    end: End, kind: FrameType, flags: int, payload: bytes
) -> None:
    stream_id = 0 if kind is FrameType.GOAWAY else await end.open()
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


async def test_4_2_what_arrived_before_a_frame_that_is_too_long_is_not_lost(end: End) -> None:
    stream_id = await end.open()
    async with end.peer.batch():
        await end.peer.send_data(stream_id, b"whole", end_stream=True)
        await end.peer.send_bytes(pack_frame(FrameType.DATA, 0, stream_id, b"", length=16_385))
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)
    await end.expect_body(stream_id, b"whole")
    assert not [frame for frame in end.peer.frames if isinstance(frame, DataFrame)]
