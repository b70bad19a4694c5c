"""RFC 9113 §6.6 and §8.4: PUSH_PROMISE, which nobody may send us: servers never, clients switch it off.

Every rule for it ends in the same connection error then, but a frame that is too short is FRAME_SIZE_ERROR (§4.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import FrameFlag, FrameType, PushPromiseFrame, SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, StartClient

REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "example.test"), (":path", "/pushed")]


async def test_6_6_our_client_switches_push_off(start_client: StartClient) -> None:
    async with start_client(handshake=False) as client:
        await client.peer.receive_preface()
        settings = await client.peer.expect(SettingsFrame, ack=False)
        assert settings.settings[SettingCode.ENABLE_PUSH] == 0
        await client.peer.send_settings()


@both_ways
@pytest.mark.parametrize("state", ["request", "open", "half_closed_local", "half_closed_remote", "closed"])
async def test_6_6_push_promise_is_a_connection_error(end: End, state: str) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_push_promise(stream_id, 2, REQUEST)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_6_push_promise_on_a_stream_that_we_reset_is_a_connection_error(end: End) -> None:
    """With push on, it would have to be processed; with push off, it cannot have been under way."""
    stream_id = await end.reset_by_us()
    await end.peer.send_push_promise(stream_id, 2, REQUEST)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_6_push_promise_before_our_settings_were_acknowledged_is_a_connection_error(
    start_client: StartClient,
) -> None:
    """Our choice: our SETTINGS come before every request, so that a server which answers one has seen them."""
    async with start_client(handshake=False) as client:
        client.peer.auto_ack = False
        await client.peer.receive_preface()
        await client.peer.expect(SettingsFrame, ack=False)
        await client.peer.send_settings()
        stream_id = await client.request("GET", end_stream=True)
        await client.peer.send_push_promise(stream_id, 2, REQUEST)
        await client.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_6_push_promise_on_stream_0_is_a_connection_error(end: End) -> None:
    await end.peer.send_push_promise(0, 2, REQUEST)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("promised", [0, 1, 2, 3, 4, 2**31 - 1])
async def test_6_6_push_promise_of_any_stream_is_a_connection_error(end: End, promised: int) -> None:
    await end.open()
    await end.peer.send_push_promise(1, promised, REQUEST)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", [FrameType.DATA, FrameType.PING, FrameType.PUSH_PROMISE, 0xFA])
async def test_6_6_frames_between_push_promise_and_continuation_are_a_connection_error(end: End, kind: int) -> None:
    await end.open()
    await end.peer.send_push_promise(1, 2, REQUEST, end_headers=False)
    await end.peer.send_raw_frame(kind, 0, 0 if kind == FrameType.PING else 1, bytes(8))
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("pad_length", [6, 7, 255])
async def test_6_6_padding_as_long_as_the_payload_is_a_connection_error(end: End, pad_length: int) -> None:
    await end.open()
    flags = FrameFlag.PADDED | FrameFlag.END_HEADERS
    await end.peer.send_raw_frame(FrameType.PUSH_PROMISE, flags, 1, bytes([pad_length, 0, 0, 0, 2, 0x82]))
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_8_4_our_client_never_sends_push_promise(client: ClientEnd) -> None:
    """There is no way to ask for it; the audit of every other test looks, too."""
    for state in ("closed", "half_closed_local", "reset_by_us"):
        await client.in_state(state)
    await client.still_works()
    assert not [frame for frame in client.peer.frames if isinstance(frame, PushPromiseFrame)]


async def test_8_4_push_promise_is_a_connection_error_for_a_server_that_could_push(end: End) -> None:
    """Whatever SETTINGS_ENABLE_PUSH of the peer says: it is about the other direction."""
    if end.role == "server":
        await end.peer.send_settings({SettingCode.ENABLE_PUSH: 1})
        await end.peer.pick(SettingsFrame, ack=True)
    await end.open()
    await end.peer.send_push_promise(1, 2, REQUEST)
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
