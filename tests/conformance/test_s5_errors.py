"""RFC 9113 §5.2.2, §5.4 and §5.5: prompt reading, what errors lead to, and what extensions may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.conformance.feeds import whole_only
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame, FrameFlag, FrameType, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd, Start


# ---- §5.2.2 ----


async def test_5_2_2_frames_are_read_while_no_application_reads(end: End) -> None:
    streams = [await end.open() for _ in range(3)]
    for stream_id in streams:
        await end.peer.send_data(stream_id, bytes(5000))
    await end.settle()  # asserts that nothing is left in the transport
    await end.peer.send_rst(streams[0])
    await end.expect_ignored()


@whole_only
async def test_5_2_2_frames_are_read_while_we_cannot_write(start: Start) -> None:
    """The peer reads nothing, so the transport is full. Its WINDOW_UPDATE and PING must get through nevertheless."""
    async with start(capacity=2000) as end:
        stream_id = await end.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.app(stream_id).send_all, bytes(60_000))
            await end.settle()
            for number in range(100):
                await end.peer.send_window_update(stream_id, 1000)
                await end.peer.send_ping(b"%08d" % number)
                await end.settle()
            for number in range(100):
                await end.peer.pick(PingFrame, ack=True, data=b"%08d" % number)
            received = 0
            while received < 60_000:
                received += len((await end.peer.pick(DataFrame, stream_id=stream_id)).data)


# ---- §5.4 ----


async def test_5_4_connection_error_is_reported_though_the_stream_has_an_error_too(end: End) -> None:
    """DATA after END_STREAM would be a stream error; its padding makes it a connection error."""
    stream_id = await end.half_closed_remote()
    await end.peer.send_raw_frame(FrameType.DATA, FrameFlag.PADDED, stream_id, b"\x05abc")
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_5_4_one_connection_error_is_reported_of_many(end: End) -> None:
    async with end.peer.batch():
        await end.peer.send_raw_frame(FrameType.PING, 0, 1, bytes(8))
        await end.peer.send_raw_frame(FrameType.PING, 0, 0, bytes(7))
        await end.peer.send_data(0, b"data")
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
    assert len([frame for frame in end.peer.frames if isinstance(frame, GoAwayFrame)]) == 1


# ---- §5.4.1 ----


async def test_5_4_1_connection_is_closed_after_the_error_whatever_still_runs(end: End) -> None:
    streams = [await end.open(), await end.half_closed_remote(), await end.half_closed_local()]
    await end.peer.send_raw_frame(FrameType.PING, 0, 1, bytes(8))
    goaway = await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
    assert goaway.last_stream_id == (streams[-1] if end.role == "server" else 0)
    with pytest.raises(trio_h2.RemoteProtocolError):
        await end.app(streams[0]).send_all(b"too late")


async def test_5_4_1_connection_is_closed_though_the_peer_keeps_its_side_open(end: End) -> None:
    await end.peer.send_raw_frame(FrameType.PING, 0, 1, bytes(8))
    await end.peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
    with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
        while True:
            await end.peer.send_ping()
            await trio.sleep(0.1)


async def test_5_4_1_connection_is_closed_though_the_peer_does_not_read(start: Start) -> None:
    async with start(capacity=500) as end:
        stream_id = await end.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_until_broken, end, stream_id)
            await end.settle()
            await end.peer.send_raw_frame(FrameType.PING, 0, 1, bytes(8))
            with trio.fail_after(5), pytest.raises(trio_h2.RemoteProtocolError):
                await end.session.wait_closed()


async def _send_until_broken(end: End, stream_id: int) -> None:
    with pytest.raises(trio_h2.RemoteProtocolError):
        await end.app(stream_id).send_all(bytes(100_000))


async def test_5_4_1_nothing_is_processed_after_the_error(server: ServerEnd) -> None:
    async with server.peer.batch():
        await server.peer.send_raw_frame(FrameType.PING, 0, 1, bytes(8))
        await server.peer.request()
    await server.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
    assert server.handled == []


# ---- §5.4.2 ----


@pytest.mark.parametrize("state", ["open", "half_closed_remote", "half_closed_local", "closed", "reset_by_us"])
async def test_5_4_2_rst_stream_is_not_answered_with_rst_stream(end: End, state: str) -> None:
    stream_id = await end.in_state(state)
    before = [frame for frame in end.peer.frames if isinstance(frame, RstStreamFrame)]
    for _ in range(3):
        await end.peer.send_rst(stream_id, ErrorCode.INTERNAL_ERROR)
    await end.expect_ignored()
    stream = end.app(stream_id)
    stream.reset(ErrorCode.CANCEL)
    await stream.aclose()
    await end.expect_ignored()
    assert [frame for frame in end.peer.frames if isinstance(frame, RstStreamFrame)] == before


async def test_5_4_2_one_stream_error_is_reported_of_many(end: End) -> None:
    stream_id = await end.half_closed_remote()
    async with end.peer.batch():
        for _ in range(3):
            await end.peer.send_data(stream_id, b"more")
            await end.peer.send_headers(stream_id, {"x-trailer": "yes"})
            await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0, stream_id, bytes(4))
            await end.peer.send_raw_frame(FrameType.PRIORITY, 0, stream_id, bytes(4))
    await end.expect_stream_error(stream_id, ErrorCode.STREAM_CLOSED)


async def test_5_4_2_frames_under_way_when_we_found_a_stream_error_are_discarded(end: End) -> None:
    """They are decoded and credited all the same, and other streams do not notice."""
    stream_id, other = await end.open(), await end.open()
    await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0, stream_id, bytes(4))
    await end.peer.send_data(stream_id, b"under way")
    await end.peer.send_data(other, b"not concerned")
    await end.peer.send_headers(stream_id, {"x-new": "6" * 30}, end_stream=True)
    await end.peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
    await end.expect_ignored()
    await end.peer.send_headers(other, {"x-new": "6" * 30}, end_stream=True)
    await end.settle()
    await end.expect_body(other, b"not concerned")
    trailers = await end.app(other).receive_trailers()
    assert trailers is not None
    assert trailers["x-new"] == "6" * 30


async def test_5_4_2_application_learns_of_a_stream_error(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_data(stream_id, b"before")
    await end.peer.send_raw_frame(FrameType.WINDOW_UPDATE, 0, stream_id, bytes(4))
    await end.peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
    assert await end.app(stream_id).receive_some() == b"before"
    with pytest.raises(trio_h2.StreamResetError) as caught:
        await end.app(stream_id).receive_some()
    assert (caught.value.code, caught.value.initiator) == (ErrorCode.PROTOCOL_ERROR, trio_h2.Initiator.LIBRARY)


# ---- §5.4.3 ----


async def test_5_4_3_streams_cut_by_the_end_of_the_transport_are_not_retryable(client: ClientEnd) -> None:
    stream_id = await client.request()
    await client.peer.aclose()
    with pytest.raises(trio_h2.SessionError) as caught:
        await client.app(stream_id).receive_some()
    assert not caught.value.retryable


# ---- §5.5 ----


async def test_5_5_unknown_settings_are_ignored_and_acknowledged(end: End) -> None:
    for count, code in enumerate([0x0, 0x7, 0xFF, 0x100, 0x4A4A, 0xFFFF], start=1):
        pairs = [(code, 0), (SettingCode.MAX_CONCURRENT_STREAMS, count), (code, 2**32 - 1)]
        await end.peer.send_settings(pairs)
        await end.peer.expect(SettingsFrame, ack=True)
        assert end.session.peer_settings.max_concurrent_streams == count
    await end.expect_ignored()


@pytest.mark.parametrize("stream", ["same", "other", "connection"])
@pytest.mark.parametrize("kind", [0x0A, 0x0B, 0xFF])
async def test_5_5_extension_frame_inside_a_field_block_is_a_connection_error(end: End, kind: int, stream: str) -> None:
    stream_id = await end.open()
    await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True, end_headers=False)
    await end.peer.send_raw_frame(kind, 0, {"same": stream_id, "other": stream_id + 2}.get(stream, 0), b"unknown")
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_5_5_only_known_frames_and_settings_are_sent_unasked(end: End) -> None:
    """Extensions that change existing rules have to be negotiated. The only one of ours changes none (RFC 9218)."""
    await end.still_works()
    (settings,) = [frame for frame in end.peer.frames if isinstance(frame, SettingsFrame) and not frame.ack]
    assert set(settings.settings) <= {*range(1, 7), SettingCode.NO_RFC7540_PRIORITIES}
    assert {frame.type for frame in end.peer.frames} <= set(range(10))
