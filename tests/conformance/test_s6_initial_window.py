"""RFC 9113 §6.9.2 and §6.9.3: SETTINGS_INITIAL_WINDOW_SIZE, and windows that shrink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.conformance.feeds import whole_only
from trio_h2 import ErrorCode, SettingCode, Settings
from trio_h2.testing import SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import End, Start, StartClient, StartServer

WINDOW = SettingCode.INITIAL_WINDOW_SIZE


async def _set_window(end: End, value: int) -> None:
    await end.peer.send_settings({WINDOW: value})
    await end.peer.pick(SettingsFrame, ack=True)


# ---- §6.9.2: what we send ----


@whole_only
async def test_6_9_2_the_default_counts_before_settings_came(start_client: StartClient) -> None:
    async with start_client(handshake=False) as client, trio.open_nursery() as nursery:
        stream = await client.session.open_stream("POST", end_stream=False)
        nursery.start_soon(stream.send_all, bytes(70_000))
        await client.peer.receive_preface()
        client.peer.auto_ack = False
        await client.peer.expect(SettingsFrame, ack=False)
        await client.peer.expect_headers(stream.id)
        received = 0
        while received < 65_535:
            received += len((await client.peer.expect_data(stream.id)).data)
        await client.peer.expect_nothing()
        await client.peer.send_settings({WINDOW: 66_000})
        await client.peer.send_settings(ack=True)
        await client.peer.send_window_update(0, 100_000)
        await client.peer.expect_data(stream.id, bytes(66_000 - 65_535))
        await client.peer.expect_nothing()
        await client.peer.send_window_update(stream.id, 100_000)
        await client.peer.expect_data(stream.id, bytes(70_000 - 66_000))


@pytest.mark.parity("I3")
async def test_6_9_2_a_change_adjusts_the_windows_of_open_streams(end: End) -> None:
    stream_id = await end.send_message()
    await _set_window(end, 10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.app(stream_id).send_all, bytes(100))
        await end.peer.expect_data(stream_id, bytes(10))
        await _set_window(end, 15)  # by the difference, 5
        await end.peer.expect_data(stream_id, bytes(5))
        await end.peer.expect_nothing()
        await end.peer.send_window_update(stream_id, 20)
        await end.peer.expect_data(stream_id, bytes(20))
        await _set_window(end, 80)  # by 65
        await end.peer.expect_data(stream_id, bytes(65))


async def test_6_9_2_a_change_adjusts_the_windows_of_all_streams(end: End) -> None:
    await _set_window(end, 0)
    streams = [await end.send_message() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for stream_id in streams:
            nursery.start_soon(end.app(stream_id).send_all, bytes(10))
        await end.peer.expect_nothing()
        await _set_window(end, 10)
        got = {(await end.peer.expect_data(None, bytes(10))).stream_id for _ in streams}
        assert got == set(streams)


async def test_6_9_2_negative_windows_are_remembered(end: End) -> None:
    stream_id = await end.send_message()
    await _set_window(end, 100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.app(stream_id).send_all, bytes(150))
        await end.peer.expect_data(stream_id, bytes(100))
        await _set_window(end, 20)  # now the window is -80
        for increment in (30, 30, 20):  # up to 0: not positive yet
            await end.peer.send_window_update(stream_id, increment)
            await end.peer.expect_nothing()
        await end.peer.send_window_update(stream_id, 1)
        await end.peer.expect_data(stream_id, bytes(1))
        await _set_window(end, 69)
        await end.peer.expect_data(stream_id, bytes(49))


async def test_6_9_2_the_end_is_sent_though_the_window_is_negative(end: End) -> None:
    stream_id = await end.send_message()
    await _set_window(end, 100)
    await end.app(stream_id).send_all(bytes(100))
    await end.peer.expect_data(stream_id, bytes(100))
    await _set_window(end, 0)
    await end.app(stream_id).send_eof()
    await end.peer.expect_data(stream_id, b"", end_stream=True)


@whole_only
async def test_6_9_2_a_change_does_not_alter_the_window_of_the_connection(end: End) -> None:
    stream_id = await end.send_message()
    assert end.session.statistics().send_window == 65_535
    await _set_window(end, 100_000)
    assert end.session.statistics().send_window == 65_535
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.app(stream_id).send_all, bytes(80_000))
        received = 0
        while received < 65_535:
            received += len((await end.peer.expect_data(stream_id)).data)
        await end.peer.expect_nothing()
        await _set_window(end, 200_000)
        await end.peer.expect_nothing()
        await end.peer.send_window_update(0, 20_000)
        await end.peer.expect_data(stream_id, bytes(80_000 - 65_535))


@pytest.mark.parametrize("excess", [1, 2**31 - 1 - 65_535])
async def test_6_9_2_a_change_that_overflows_a_window_is_a_connection_error(end: End, excess: int) -> None:
    stream_id = await end.open()
    await end.peer.send_window_update(stream_id, excess)
    await end.peer.send_settings({WINDOW: 2**31 - 1})
    await end.expect_connection_error(ErrorCode.FLOW_CONTROL_ERROR)


async def test_6_9_2_a_change_up_to_the_largest_window_is_allowed(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_window_update(stream_id, 100)
    await _set_window(end, 2**31 - 1 - 100)
    await end.expect_ignored()


# ---- §6.9.2: what we receive ----


async def test_6_9_2_our_change_adjusts_the_windows_of_open_streams(start: Start) -> None:
    async with start(config={"stream_window": 100}) as end:
        stream_id = await end.open()
        await end.peer.send_data(stream_id, bytes(100))
        await end.settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.session.update_settings, Settings(initial_window_size=150))
            await end.peer.pick(SettingsFrame, ack=False)
        await end.peer.send_data(stream_id, bytes(50), end_stream=True)
        await end.settle()
        await end.expect_body(stream_id, bytes(150))
        await end.peer.expect_nothing()


async def test_6_9_2_what_exceeds_our_changed_window_is_a_stream_error(start: Start) -> None:
    async with start(config={"stream_window": 100}) as end:
        stream_id = await end.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.session.update_settings, Settings(initial_window_size=50))
            await end.peer.pick(SettingsFrame, ack=False)
        await end.settle()
        await end.peer.send_data(stream_id, bytes(51))
        await end.expect_stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)


@whole_only
async def test_6_9_2_our_initial_window_counts_before_it_is_acknowledged_if_it_is_larger(
    start_server: StartServer,
) -> None:
    async with start_server(handshake=False) as server:
        server.peer.auto_ack = False
        await server.peer.send_preface()
        await server.peer.send_settings()
        await server.peer.pick(SettingsFrame, ack=False)
        await server.peer.pick(SettingsFrame, ack=True)
        await server.peer.ping()
        stream_id = await server.request()
        await server.peer.send_body(stream_id, bytes(100_000))
        await server.settle()
        await server.peer.send_settings(ack=True)
        await server.expect_body(stream_id, bytes(100_000))


# ---- §6.9.3 ----


@whole_only
async def test_6_9_3_data_beyond_a_smaller_window_is_received_until_it_is_acknowledged(start: Start) -> None:
    async with start(config={"stream_window": 1000}) as end:
        stream_id = await end.open()
        end.peer.auto_ack = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.session.update_settings, Settings(initial_window_size=10))
            await end.peer.expect(SettingsFrame, ack=False)
            await end.peer.send_data(stream_id, bytes(1000))
            await end.settle()
            await end.peer.send_settings(ack=True)
        end.peer.auto_ack = True
        await end.peer.expect_nothing()
        assert await end.app(stream_id).receive_some() == bytes(1000)
        await end.peer.ping()
        assert end.peer.send_window(stream_id) >= 5
        await end.peer.send_data(stream_id, bytes(5), end_stream=True)
        await end.settle()
        await end.expect_body(stream_id, bytes(5))


async def test_6_9_3_a_window_smaller_than_the_default_counts_from_the_acknowledgement_on(start: Start) -> None:
    """A client may send its first request, and a server its first response, before it has seen our SETTINGS."""
    async with start(handshake=False, config={"stream_window": 10}) as end:
        await end.begin_without_acknowledgement()
        await end.peer.pick(SettingsFrame, ack=True)
        early = await end.open()
        await end.peer.send_data(early, bytes(1000), end_stream=True)
        await end.settle()
        await end.expect_body(early, bytes(1000))
        await end.peer.send_settings(ack=True)
        end.peer.auto_ack = True
        late = await end.open()
        await end.peer.send_data(late, bytes(11))
        await end.expect_stream_error(late, ErrorCode.FLOW_CONTROL_ERROR)
