"""RFC 9113 §6.2 and §6.10: HEADERS and CONTINUATION."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode
from trio_h2.testing import FrameFlag, FrameType, Priority

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd

INTERRUPTIONS = [
    pytest.param(FrameType.DATA, FrameFlag.END_STREAM, 1, b"data", id="data"),
    pytest.param(FrameType.HEADERS, FrameFlag.END_HEADERS, 1, b"\x88", id="headers"),
    pytest.param(FrameType.HEADERS, FrameFlag.END_HEADERS, 3, b"\x82\x87\x84\x41\x01a", id="headers-elsewhere"),
    pytest.param(FrameType.PRIORITY, 0, 1, bytes(5), id="priority"),
    pytest.param(FrameType.RST_STREAM, 0, 1, bytes(4), id="rst-stream"),
    pytest.param(FrameType.SETTINGS, 0, 0, b"", id="settings"),
    pytest.param(FrameType.SETTINGS, FrameFlag.ACK, 0, b"", id="settings-ack"),
    pytest.param(FrameType.PUSH_PROMISE, FrameFlag.END_HEADERS, 1, b"\x00\x00\x00\x02\x88", id="push-promise"),
    pytest.param(FrameType.PING, 0, 0, bytes(8), id="ping"),
    pytest.param(FrameType.GOAWAY, 0, 0, bytes(8), id="goaway"),
    pytest.param(FrameType.WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01", id="window-update"),
    pytest.param(FrameType.WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x01", id="window-update-0"),
    pytest.param(FrameType.CONTINUATION, FrameFlag.END_HEADERS, 3, b"", id="continuation-elsewhere"),
]


# ---- §6.2 ----


async def test_6_2_headers_on_stream_0_are_a_connection_error(end: End) -> None:
    await end.peer.send_headers(0, end.head(), end_stream=True)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(("kind", "flags", "stream_id", "payload"), INTERRUPTIONS)
async def test_6_2_frames_between_headers_and_continuation_are_a_connection_error(
    end: End, kind: FrameType, flags: int, stream_id: int, payload: bytes
) -> None:
    assert await end.open() == 1
    await end.peer.send_headers(1, {"x-trailer": "yes"}, end_stream=True, end_headers=False)
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize("flags", [0, FrameFlag.PRIORITY], ids=["plain", "priority"])
@pytest.mark.parametrize("excess", [0, 1, 200])
async def test_6_2_padding_as_long_as_the_payload_is_a_connection_error(end: End, flags: int, excess: int) -> None:
    stream_id = await end.open()
    rest = (bytes(5) if flags else b"") + b"\x40\x01a\x01b"
    # "the length of the frame payload or greater", less the fields before the block: they cannot be padding.
    pad_length = 5 + 1 + excess if flags == 0 else len(rest) + excess
    frame_flags = flags | FrameFlag.PADDED | FrameFlag.END_HEADERS | FrameFlag.END_STREAM
    await end.peer.send_raw_frame(FrameType.HEADERS, frame_flags, stream_id, bytes([pad_length]) + rest)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_2_padding_over_the_priority_fields_is_a_connection_error(end: End) -> None:
    stream_id = await end.open()
    flags = FrameFlag.PADDED | FrameFlag.PRIORITY | FrameFlag.END_HEADERS | FrameFlag.END_STREAM
    await end.peer.send_raw_frame(FrameType.HEADERS, flags, stream_id, b"\x06" + bytes(5) + b"\x40\x01a\x01b")
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_2_padding_and_priority_are_taken_off(end: End) -> None:
    priorities = [None, Priority(), Priority(depends_on=99, weight=256, exclusive=True)]
    for padding, priority, split in itertools.product([None, 0, 1, 255], priorities, [None, [1, 1]]):
        stream_id = await end.in_state("request") if end.role == "client" else end.peer.next_stream_id()
        fields = end.head(("x-mark", "here"))
        await end.peer.send_headers(stream_id, fields, end_stream=True, padding=padding, priority=priority, split=split)
        await end.settle()
        await end.expect_body(stream_id, b"")
    await end.expect_ignored()


async def test_6_2_block_that_is_all_padding_is_empty(end: End) -> None:
    """The pad length may be all but one of the payload's bytes."""
    stream_id = await end.open()
    flags = FrameFlag.PADDED | FrameFlag.END_HEADERS | FrameFlag.END_STREAM
    await end.peer.send_raw_frame(FrameType.HEADERS, flags, stream_id, b"\x05" + bytes(5))
    await end.settle()
    await end.expect_body(stream_id, b"")
    await end.expect_ignored()


async def test_6_2_end_stream_counts_though_continuation_follows(end: End) -> None:
    stream_id = await end.in_state("request") if end.role == "client" else end.peer.next_stream_id()
    await end.peer.send_headers(stream_id, end.head(("x-mark", "here")), end_stream=True, split=3)
    await end.settle()
    await end.expect_body(stream_id, b"")
    await end.expect_ignored()


async def test_6_2_headers_of_ours_open_a_stream_or_are_on_one(server: ServerEnd) -> None:
    stream_id = await server.request()
    await server.app(stream_id).send_informational(103, {"link": "</style.css>"})
    await server.app(stream_id).respond({":status": 200})
    await server.app(stream_id).send_trailers({"x-trailer": "yes"})
    await server.peer.expect_headers(stream_id, status=103, end_stream=False)
    await server.peer.expect_headers(stream_id, status=200, end_stream=False)
    await server.peer.expect_headers(stream_id, end_stream=True, fields={"x-trailer": "yes"})
    await server.peer.expect_nothing()


async def test_6_2_trailers_of_a_request_of_ours_end_it(client: ClientEnd) -> None:
    stream_id = await client.open()
    await client.app(stream_id).send_all(b"data")
    await client.app(stream_id).send_trailers({"x-trailer": "yes"})
    await client.peer.expect_data(stream_id, b"data", end_stream=False)
    await client.peer.expect_headers(stream_id, end_stream=True, fields={"x-trailer": "yes"})
    await client.expect_ignored()


# ---- §6.10 ----


@pytest.mark.parametrize(("kind", "flags", "stream_id", "payload"), INTERRUPTIONS)
async def test_6_10_frames_between_continuations_are_a_connection_error(
    end: End, kind: FrameType, flags: int, stream_id: int, payload: bytes
) -> None:
    assert await end.open() == 1
    await end.peer.send_headers(1, b"", end_stream=True, end_headers=False)
    await end.peer.send_continuation(1, b"\x40\x01a\x01b", end_headers=False)
    await end.peer.send_raw_frame(kind, flags, stream_id, payload)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("end_headers", [False, True])
async def test_6_10_continuation_on_stream_0_is_a_connection_error(end: End, end_headers: bool) -> None:
    await end.peer.send_continuation(0, b"\x40\x01a\x01b", end_headers=end_headers)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_10_continuation_on_stream_0_inside_a_block_is_a_connection_error(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_headers(stream_id, b"", end_stream=True, end_headers=False)
    await end.peer.send_continuation(0, b"\x40\x01a\x01b")
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize("before", ["headers", "continuation", "data", "settings", "nothing"])
async def test_6_10_continuation_of_nothing_is_a_connection_error(end: End, before: str) -> None:
    stream_id = await end.open()
    if before == "headers":
        await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True)
    elif before == "continuation":
        await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True, split=2)
    elif before == "data":
        await end.peer.send_data(stream_id, b"data")
    elif before == "settings":
        await end.peer.send_settings()
    await end.peer.send_continuation(stream_id, b"\x40\x01a\x01b")
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_10_any_number_of_continuations_is_one_block(end: End) -> None:
    """As many as are sensible: our limit is 64 frames (§10.5, CVE-2024-27316)."""
    stream_id = await end.in_state("request") if end.role == "client" else end.peer.next_stream_id()
    await end.peer.send_headers(stream_id, end.head(("x-a", "b" * 40)), end_stream=True, split=1)
    await end.settle()
    await end.expect_body(stream_id, b"")
    await end.expect_ignored()


async def test_6_10_endless_continuations_are_a_connection_error(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_headers(stream_id, b"", end_stream=True, end_headers=False)
    for _ in range(64):
        await end.peer.send_continuation(stream_id, b"", end_headers=False)
    await end.expect_connection_error(ErrorCode.ENHANCE_YOUR_CALM)
