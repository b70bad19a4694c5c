"""RFC 9113 §6.5: SETTINGS."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.conformance.feeds import both_ways, whole_only
from trio_h2 import ErrorCode, SettingCode, Settings
from trio_h2.testing import DataFrame, FrameFlag, FrameType, HeadersFrame, PingFrame, PushPromiseFrame, SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd, Start

CODE = SettingCode


# ---- §6.5: the frame ----


@pytest.mark.parametrize("length", [6, 1, 60])
async def test_6_5_ack_with_settings_is_a_connection_error(end: End, length: int) -> None:
    await end.peer.send_raw_frame(FrameType.SETTINGS, FrameFlag.ACK, 0, bytes(length))
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("stream_id", [1, 2, 2**31 - 1])
@pytest.mark.parametrize("flags", [0, FrameFlag.ACK])
async def test_6_5_settings_on_a_stream_are_a_connection_error(end: End, flags: int, stream_id: int) -> None:
    await end.open()
    await end.peer.send_raw_frame(FrameType.SETTINGS, flags, stream_id, b"")
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize("length", [1, 5, 7, 11, 601])
async def test_6_5_settings_of_another_length_are_a_connection_error(end: End, length: int) -> None:
    await end.peer.send_raw_frame(FrameType.SETTINGS, 0, 0, bytes(length))
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("settings", [{}, {CODE.MAX_CONCURRENT_STREAMS: 10}])
async def test_6_5_settings_may_come_at_any_time(end: End, settings: dict[int, int]) -> None:
    stream_id = await end.open()
    for _ in range(3):
        await end.peer.send_settings(settings)
        await end.peer.expect(SettingsFrame, ack=True)
    await end.peer.send_data(stream_id, b"data", end_stream=True)
    await end.settle()
    await end.expect_body(stream_id, b"data")
    await end.expect_ignored()


@whole_only
async def test_6_5_all_settings_are_supported(start: Start) -> None:
    """Each is followed by what we send. HEADER_TABLE_SIZE has its tests in §4.3.1."""
    settings: dict[int, int] = {
        CODE.INITIAL_WINDOW_SIZE: 50_000,
        CODE.MAX_FRAME_SIZE: 17_000,
        CODE.MAX_HEADER_LIST_SIZE: 1000,
    }
    async with start(settings=settings) as end:
        stream_id = await end.send_message()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.app(stream_id).send_all, bytes(60_000))
            sizes = [len((await end.peer.expect_data(stream_id)).data) for _ in range(3)]
            assert sizes == [17_000, 17_000, 16_000]
            await end.peer.expect_nothing()
            await end.peer.send_window_update(stream_id, 10_000)
            await end.peer.expect_data(stream_id, bytes(10_000))
        with pytest.raises(trio_h2.LocalProtocolError):
            await end.app(stream_id).send_trailers({"x-large": "l" * 1000})
        assert end.session.peer_settings.as_dict().items() >= settings.items()
        await end.still_works()


# ---- §6.5.2: values ----


@pytest.mark.parametrize("value", [2, 3, 2**32 - 1])
async def test_6_5_2_enable_push_other_than_0_or_1_is_a_connection_error(end: End, value: int) -> None:
    await end.peer.send_settings({CODE.ENABLE_PUSH: value})
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_5_2_enable_push_of_a_server_is_a_connection_error(client: ClientEnd) -> None:
    await client.peer.send_settings({CODE.ENABLE_PUSH: 1})
    await client.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_5_2_enable_push_0_of_a_server_is_allowed(client: ClientEnd) -> None:
    await client.peer.send_settings({CODE.ENABLE_PUSH: 0})
    await client.peer.expect(SettingsFrame, ack=True)
    await client.expect_ignored()


@pytest.mark.parametrize("value", [0, 1])
async def test_6_5_2_enable_push_of_a_client_is_allowed(server: ServerEnd, value: int) -> None:
    await server.peer.send_settings({CODE.ENABLE_PUSH: value})
    await server.peer.expect(SettingsFrame, ack=True)
    await server.expect_ignored()
    assert not [frame for frame in server.peer.frames if isinstance(frame, PushPromiseFrame)]


async def test_6_5_2_our_server_does_not_set_enable_push(server: ServerEnd) -> None:
    await server.still_works()
    settings = [frame for frame in server.peer.frames if isinstance(frame, SettingsFrame)]
    assert all(frame.settings.get(CODE.ENABLE_PUSH, 0) == 0 for frame in settings)


@pytest.mark.parametrize("value", [2**31, 2**32 - 1])
async def test_6_5_2_initial_window_size_over_2_31_is_a_connection_error(end: End, value: int) -> None:
    await end.peer.send_settings({CODE.INITIAL_WINDOW_SIZE: value})
    await end.expect_connection_error(ErrorCode.FLOW_CONTROL_ERROR)


@pytest.mark.parametrize("value", [0, 1, 16_383, 2**24, 2**32 - 1])
async def test_6_5_2_max_frame_size_out_of_range_is_a_connection_error(end: End, value: int) -> None:
    await end.peer.send_settings({CODE.MAX_FRAME_SIZE: value})
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize(
    ("code", "value"),
    [
        (CODE.INITIAL_WINDOW_SIZE, 2**31 - 1),
        (CODE.MAX_FRAME_SIZE, 16_384),
        (CODE.MAX_FRAME_SIZE, 2**24 - 1),
        (CODE.MAX_HEADER_LIST_SIZE, 2**32 - 1),
        (CODE.HEADER_TABLE_SIZE, 2**32 - 1),
        (CODE.MAX_CONCURRENT_STREAMS, 2**32 - 1),
    ],
)
async def test_6_5_2_extreme_values_are_allowed(end: End, code: int, value: int) -> None:
    await end.peer.send_settings({code: value})
    await end.peer.expect(SettingsFrame, ack=True)
    await end.expect_ignored()


@pytest.mark.parametrize("valid_first", [False, True])
async def test_6_5_2_one_wrong_value_among_right_ones_is_a_connection_error(end: End, valid_first: bool) -> None:
    pairs = [(CODE.MAX_FRAME_SIZE, 1), (CODE.MAX_FRAME_SIZE, 20_000)]
    await end.peer.send_settings(reversed(pairs) if valid_first else pairs)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_frame_size": 16_384, "stream_window": 0},
        {"max_frame_size": 2**24 - 1, "stream_window": 1, "header_table_size": 0, "max_header_list_size": 0},
    ],
)
async def test_6_5_2_values_of_ours_are_in_range(start: Start, changes: dict[str, object]) -> None:
    """The audit looks at every SETTINGS frame; values out of range never come so far."""
    async with start(config=changes) as end:
        await end.settle()
    for code, value in [("initial_window_size", 2**31), ("max_frame_size", 16_383), ("max_frame_size", 2**24)]:
        with pytest.raises(ValueError, match=code):
            Settings(**{code: value})  # type: ignore[arg-type]  # numbers only


# ---- §6.5.3 ----


async def test_6_5_3_every_settings_frame_is_acknowledged_once(end: End) -> None:
    async with end.peer.batch():
        for number in range(20):
            await end.peer.send_settings({CODE.MAX_CONCURRENT_STREAMS: number + 1})
    for _ in range(20):
        await end.peer.expect(SettingsFrame, ack=True)
    assert end.session.peer_settings.max_concurrent_streams == 20
    await end.expect_ignored()


async def test_6_5_3_settings_are_acknowledged_in_order_with_other_frames(end: End) -> None:
    """What is sent after them is seen under them: an acknowledgement goes out before the answer of a later PING."""
    await end.peer.expect_nothing()
    async with end.peer.batch():
        for number in range(3):
            await end.peer.send_settings({CODE.MAX_CONCURRENT_STREAMS: number + 1})
            await end.peer.send_ping(b"%08d" % number)
    for number in range(3):
        ack = await end.peer.receive_frame()
        assert isinstance(ack, SettingsFrame)
        assert ack.ack
        ping = await end.peer.receive_frame()
        assert isinstance(ping, PingFrame)
        assert ping.data == b"%08d" % number
    await end.expect_ignored()


async def test_6_5_3_values_are_processed_in_the_order_they_appear(end: End) -> None:
    """The last one counts; INITIAL_WINDOW_SIZE above what the window may be must not be added up on the way."""
    await end.peer.send_settings(
        [
            (CODE.INITIAL_WINDOW_SIZE, 2**31 - 1),
            (CODE.MAX_CONCURRENT_STREAMS, 1),
            (CODE.INITIAL_WINDOW_SIZE, 5),
            (CODE.MAX_CONCURRENT_STREAMS, 50),
        ]
    )
    await end.peer.expect(SettingsFrame, ack=True)
    assert end.session.peer_settings.max_concurrent_streams == 50
    stream_id = await end.send_message()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.app(stream_id).send_all, b"123456789")
        await end.peer.expect_data(stream_id, b"12345")
        await end.peer.expect_nothing()
        await end.peer.send_window_update(stream_id, 4)
        await end.peer.expect_data(stream_id, b"6789")


async def test_6_5_3_settings_are_applied_before_they_are_acknowledged(end: End) -> None:
    """After the acknowledgement, frames follow the new values, those that waited included."""
    stream_id = await end.send_message()
    await end.peer.send_settings({CODE.INITIAL_WINDOW_SIZE: 0})
    await end.peer.expect(SettingsFrame, ack=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.app(stream_id).send_all, bytes(100))
        await end.peer.expect_nothing()
        await end.peer.send_settings({CODE.INITIAL_WINDOW_SIZE: 100})
        frames = [await end.peer.receive_frame() for _ in range(2)]
        assert [type(frame) for frame in frames] == [SettingsFrame, DataFrame]


async def test_6_5_3_only_the_oldest_settings_of_ours_are_acknowledged(end: End) -> None:
    """One frame at a time is under way, so that an acknowledgement says exactly which values were applied."""
    end.peer.auto_ack = False
    done: list[int] = []

    async def update(size: int) -> None:
        await end.session.update_settings(Settings(max_header_list_size=size))
        done.append(size)

    async with trio.open_nursery() as nursery:
        for size in (1000, 2000, 3000):
            nursery.start_soon(update, size)
        sent = []
        for count in itertools.count(1):
            frame = await end.peer.expect(SettingsFrame, ack=False)
            sent.append(frame.settings[CODE.MAX_HEADER_LIST_SIZE])
            await end.peer.expect_nothing()
            assert len(done) == count - 1
            await end.peer.send_settings(ack=True)
            await end.settle()
            assert done == sent
            if count == 3:
                break
    assert sorted(sent) == [1000, 2000, 3000]
    end.peer.auto_ack = True
    await end.still_works()


async def test_6_5_3_acknowledgement_of_nothing_is_ignored(end: End) -> None:
    """Our choice: RFC 9113 says nothing about it."""
    await end.peer.send_settings(ack=True)
    await end.expect_ignored()


async def test_6_5_3_missing_acknowledgement_is_a_connection_error(start: Start) -> None:
    """RFC 9113 allows SETTINGS_TIMEOUT "within a reasonable amount of time"; ours is settings_timeout."""
    async with start(handshake=False, config={"settings_timeout": 5.0}) as end:
        await end.begin_without_acknowledgement()
        await end.expect_connection_error(ErrorCode.SETTINGS_TIMEOUT)


async def test_6_5_acknowledgements_of_ours_are_empty(end: End) -> None:
    await end.peer.send_settings({CODE.MAX_CONCURRENT_STREAMS: 10})
    await end.peer.expect(SettingsFrame, ack=True, payload=b"", flags=FrameFlag.ACK)
    await end.still_works()
    assert any(isinstance(frame, HeadersFrame) for frame in end.peer.frames)
