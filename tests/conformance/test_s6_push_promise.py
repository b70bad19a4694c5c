"""RFC 9113 §6.6 and §8.4: PUSH_PROMISE, which nobody may send to a server, nor to a client that has no use for it.

Every rule for it ends in the same connection error then, but a frame that is too short is FRAME_SIZE_ERROR (§4.2).
Which promises a client takes that wants them, and which our server makes, is further down; what may be promised is in
`test_s8_push.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.conformance.ends import PROMISED as REQUEST
from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame, FrameFlag, FrameType, HeadersFrame, PushPromiseFrame, SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd, StartClient, StartServer


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


# ---- a client that takes pushes ----


async def test_6_6_client_that_takes_pushes_does_not_switch_them_off(start_taker: StartClient) -> None:
    async with start_taker(handshake=False, config={"max_concurrent_pushes": 7}) as client:
        await client.peer.receive_preface()
        settings = (await client.peer.expect(SettingsFrame, ack=False)).settings
        assert settings.get(SettingCode.ENABLE_PUSH, 1) == 1
        assert settings[SettingCode.MAX_CONCURRENT_STREAMS] == 7
        await client.peer.send_settings()


@both_ways
@pytest.mark.parametrize("state", ["open", "half_closed_local"])
async def test_6_6_push_promise_on_an_open_request_is_taken(taker: ClientEnd, state: str) -> None:
    stream_id = await taker.in_state(state)
    await taker.peer.send_push_promise(stream_id, 2, REQUEST, padding=5, split=7)
    await taker.settle()
    assert (taker.pushed[2].parent_id, taker.pushed[2].path) == (stream_id, "/pushed")
    await taker.expect_ignored()


@both_ways
@pytest.mark.parametrize("state", ["half_closed_remote", "closed", "reset_by_peer"])
async def test_6_6_push_promise_on_a_stream_in_the_wrong_state_is_a_connection_error(
    taker: ClientEnd, state: str
) -> None:
    stream_id = await taker.in_state(state)
    await taker.peer.send_push_promise(stream_id, 2, REQUEST)
    await taker.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("stream_id", [2, 4, 5, 2**31 - 1])
async def test_6_6_push_promise_on_a_stream_that_is_no_request_is_a_connection_error(
    taker: ClientEnd, stream_id: int
) -> None:
    """One that was pushed, and idle ones."""
    await taker.promised()
    await taker.peer.send_push_promise(stream_id, 6, REQUEST)
    await taker.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("promised", [0, 1, 2, 3, 4, 5, 7])
async def test_6_6_push_promise_of_an_illegal_stream_is_a_connection_error(taker: ClientEnd, promised: int) -> None:
    """Odd ones, one that is reserved, and those below it."""
    parent_id = await taker.promised(4)
    await taker.peer.send_push_promise(parent_id, promised, REQUEST)
    await taker.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_6_push_promise_on_a_stream_that_we_reset_is_handled(taker: ClientEnd) -> None:
    """It was under way. Its field block is decoded, and RST_STREAM closes the promised stream (§5.1, closed)."""
    stream_id = await taker.reset_by_us()
    await taker.peer.send_push_promise(stream_id, 2, [*REQUEST, ("x-new", "entry")])
    await taker.peer.expect_rst(2, ErrorCode.CANCEL)
    await taker.peer.send_headers(2, [(":status", "200"), ("x-new", "entry")])
    await taker.peer.send_data(2, b"late", end_stream=True)
    await taker.expect_ignored()
    assert not taker.pushed


async def test_6_6_push_promise_after_push_was_switched_off_is_a_connection_error(taker: ClientEnd) -> None:
    """From the acknowledgement on; a promise before it is under way."""
    stream_id = await taker.open()
    taker.peer.auto_ack = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(taker.session.update_settings, trio_h2.Settings(enable_push=False))
        await taker.peer.expect(SettingsFrame, ack=False)
        await taker.peer.send_push_promise(stream_id, 2, REQUEST)
        await taker.settle()
        assert list(taker.pushed) == [2]
        await taker.peer.send_settings(ack=True)
    await taker.peer.send_push_promise(stream_id, 4, REQUEST)
    await taker.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_6_6_push_promise_after_our_goaway_is_refused(taker: ClientEnd) -> None:
    """What was promised before goes on (§6.8)."""
    parent_id = await taker.promised()
    taker.session.shutdown()
    await taker.peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=2)
    await taker.peer.send_push_promise(parent_id, 4, REQUEST)
    await taker.peer.expect_rst(4, ErrorCode.CANCEL)
    await taker.peer.respond(2, body=b"pushed")
    await taker.peer.respond(parent_id, body=b"requested")
    await taker.settle()
    await taker.expect_body(parent_id, b"requested")
    assert b"".join([chunk async for chunk in taker.pushed[2]]) == b"pushed"


# ---- our server ----


async def test_6_6_promises_of_ours_are_on_open_requests_with_the_next_stream(server: ServerEnd) -> None:
    streams = [await server.request(end_stream=end_stream) for end_stream in (False, True)]
    for number, stream_id in enumerate([*streams, *streams], start=1):
        stream = await server.app(stream_id).push({":path": f"/{number}"})
        frame = await server.peer.expect(PushPromiseFrame, stream_id=stream_id, promised_stream_id=2 * number)
        assert (b":path", f"/{number}".encode()) in frame.fields
        assert stream.id == 2 * number
        await server.app(stream_id).send_informational(103)
        await server.peer.expect_headers(stream_id, status=103)
    for stream_id in streams:
        await server.app(stream_id).respond(200, end_stream=True)
        await server.peer.expect_headers(stream_id, status=200, end_stream=True)
        with pytest.raises(trio_h2.LocalProtocolError):
            await server.app(stream_id).push()
    await server.peer.expect_nothing()


@pytest.mark.parametrize("when", ["first", "later"])
async def test_6_5_2_we_promise_nothing_to_a_client_that_wants_no_push(start_server: StartServer, when: str) -> None:
    """Who never wanted any is an error to push to; who has changed its mind gets a push that goes nowhere."""
    off: dict[int, int] = {SettingCode.ENABLE_PUSH: 0}
    async with start_server(settings=off if when == "first" else {}) as server:
        stream_id = await server.request()
        if when == "later":
            await server.peer.send_settings(off)
            await server.peer.pick(SettingsFrame, ack=True)
            assert (await server.app(stream_id).push()).closed
        else:
            with pytest.raises(trio_h2.LocalProtocolError, match="allows no push"):
                await server.app(stream_id).push()
        await server.expect_ignored()


async def test_6_8_pushes_above_the_last_id_of_the_peer_are_given_up(server: ServerEnd) -> None:
    stream_id = await server.request()
    first, second = [await server.app(stream_id).push({":path": path}) for path in ("/1", "/2")]
    for stream in first, second:
        await server.peer.expect(PushPromiseFrame, promised_stream_id=stream.id)
    await server.peer.send_goaway(first.id)
    await server.settle()
    assert (await server.app(stream_id).push()).closed  # it goes nowhere
    with pytest.raises(trio_h2.StreamError):
        await second.respond(200, body=b"")
    await first.respond(200, body=b"pushed")
    await server.peer.pick(HeadersFrame, stream_id=first.id, status=200)
    await server.peer.pick(DataFrame, stream_id=first.id, data=b"pushed", end_stream=True)
