"""What a scripted peer does by itself, what it expects, and what it says when that doesn't come."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import pytest
import trio

from trio_h2.testing import (
    DataFrame,
    Frame,
    FrameFlag,
    FrameType,
    GoAwayFrame,
    HeadersFrame,
    MemoryTransport,
    PeerClosedError,
    PingFrame,
    RstStreamFrame,
    ScriptedPeer,
    SettingsFrame,
    WindowUpdateFrame,
    memory_transports,
)
from trio_h2.testing._frames import SettingCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

CANCEL = 0x8


@contextlib.asynccontextmanager
async def connected(
    client_settings: dict[int, int] | None = None,
    server_settings: dict[int, int] | None = None,
    *,
    transports: tuple[MemoryTransport, MemoryTransport] | None = None,
) -> AsyncIterator[tuple[ScriptedPeer, ScriptedPeer]]:
    """A client and a server after their handshake."""
    left, right = transports or memory_transports()
    async with ScriptedPeer(left, client=True) as client, ScriptedPeer(right, client=False) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.handshake, client_settings or {})
            nursery.start_soon(server.handshake, server_settings or {})
        yield client, server


# ---- Requests and responses ----


async def test_request_and_response() -> None:
    async with connected() as (client, server):
        stream_id = await client.request("POST", "/x", authority="a.test", headers={"k": "v"}, body=b"ping")
        assert stream_id == 1
        request = await server.expect_headers(1, end_stream=False, fields={":authority": "a.test", "k": "v"})
        assert request.fields[:4] == (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", b"a.test"),
            (b":path", b"/x"),
        )
        await server.expect_data(1, b"ping", end_stream=True)
        await server.respond(1, 404, headers=[("a", "1"), ("a", "2")])
        response = await client.expect_headers(1, status=404, end_stream=True)
        assert response.status == 404
        assert response.fields[1:] == ((b"a", b"1"), (b"a", b"2"))
        assert await client.request() == 3
        assert server.next_stream_id() == 2


async def test_a_message_can_be_left_open() -> None:
    async with connected() as (client, server):
        await client.request(end_stream=False)
        await client.request(body=b"first", end_stream=False)
        await client.request(body=b"")
        await server.expect_headers(1, end_stream=False)
        await server.expect_headers(3, end_stream=False)
        await server.expect_data(3, b"first", end_stream=False)
        await server.expect_headers(5, end_stream=False)
        await server.expect_data(5, b"", end_stream=True)
        await server.expect_nothing()


# ---- Automatic answers ----


async def test_settings_and_ping_are_answered_while_reading() -> None:
    async with connected() as (client, server):
        await client.send_settings({SettingCode.ENABLE_PUSH: 0})
        await client.send_ping(b"abcdefgh")
        await client.expect_nothing(strict=True)
        await server.expect(SettingsFrame, ack=False)
        await server.expect(PingFrame, ack=False)
        await client.expect(SettingsFrame, ack=True, strict=True)
        await client.expect(PingFrame, ack=True, data=b"abcdefgh", strict=True)


async def test_nothing_is_answered_without_auto_ack() -> None:
    async with connected() as (client, server):
        server.auto_ack = False
        await client.send_settings({})
        await client.send_ping()
        await server.expect(SettingsFrame, ack=False)
        # A PING that nobody answers is no routine.
        assert not server.is_routine(await server.expect(PingFrame, ack=False))
        await client.expect_nothing(strict=True)


async def test_an_answer_to_nobody_is_no_error() -> None:
    async with connected() as (client, server):
        await client.send_ping()
        await client.aclose()
        await server.expect_eof()


async def test_ping_is_a_round_trip() -> None:
    async with connected() as (client, server):
        await server.send_rst(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.expect, PingFrame)
            await client.ping()
        # What came on the way is still there.
        await client.expect_rst(1, CANCEL)


# ---- Expectations that fail ----


async def test_the_wrong_frame_is_reported_with_what_came_before() -> None:
    async with connected() as (client, server):
        await client.request(headers={"x-token": "v" * 100})
        await server.until(HeadersFrame)
        await client.send_rst(1, 0x1)
        with pytest.raises(AssertionError) as caught:
            await server.expect_data(1)
        lines = str(caught.value).splitlines()
        assert lines[0] == "expected DataFrame(stream_id=1)"
        assert lines[1] == "but got  RstStreamFrame(stream_id=1, code=PROTOCOL_ERROR)"
        assert lines[2] == "received so far:"
        assert "HeadersFrame(stream_id=1" in lines[-2]
        assert ":path=b'/'" in lines[-2]
        assert "… (100 bytes)" in lines[-2]


@pytest.mark.parametrize("attribute", ["stream_id", "code"])
async def test_every_attribute_counts(attribute: str) -> None:
    async with connected() as (client, server):
        await client.send_rst(1, 2)
        right: dict[str, object] = {"stream_id": 1, "code": 2}
        with pytest.raises(AssertionError, match="expected RstStreamFrame"):
            await server.expect(RstStreamFrame, strict=True, **right | {attribute: 77})


async def test_a_set_means_one_of_these() -> None:
    async with connected() as (client, server):
        await client.send_rst(1, 2)
        await client.send_rst(1, 3)
        await server.expect_rst(1, {2, 5})
        with pytest.raises(AssertionError, match="expected"):
            await server.expect_rst(1, {2, 5})


async def test_a_misspelled_attribute_is_no_mismatch() -> None:
    async with connected() as (client, server):
        await client.send_rst(1)
        with pytest.raises(TypeError, match="has no attribute 'error'"):
            await server.expect(RstStreamFrame, error=8)


async def test_a_missing_field_is_reported() -> None:
    async with connected() as (client, server):
        await client.request()
        with pytest.raises(AssertionError, match="expected x-missing: 1"):
            await server.expect_headers(1, fields={"x-missing": "1"})


async def test_silence_fails_after_the_timeout(autojump_clock: MockClock) -> None:
    async with connected() as (_, server):
        start = trio.current_time()
        server.timeout = 77.0
        with pytest.raises(AssertionError, match=r"expected GoAwayFrame.*\nbut nothing came within 77 seconds"):
            await server.expect_goaway()
        assert trio.current_time() - start == pytest.approx(77.0)


async def test_the_end_fails_an_expectation() -> None:
    async with connected() as (client, server):
        await client.aclose()
        with pytest.raises(PeerClosedError, match=r"expected GoAwayFrame.*\nbut the other side closed") as caught:
            await server.expect_goaway()
        assert caught.value.partial == b""


# ---- Routine frames, skipping and picking ----


async def test_routine_frames_are_skipped_unless_strict_or_wanted() -> None:
    async with connected() as (client, server):
        await client.send_window_update(0, 1)
        await client.send_ping()
        await client.send_goaway()
        await server.expect_goaway(0, last_stream_id=0)
        await client.send_window_update(0, 2)
        await server.expect(WindowUpdateFrame, increment=2)
        await client.send_window_update(0, 3)
        with pytest.raises(AssertionError, match="expected GoAwayFrame"):
            await server.expect(GoAwayFrame, strict=True)


async def test_until_drops_what_comes_before() -> None:
    async with connected() as (client, server):
        await client.request()
        await client.send_rst(1)
        await client.send_rst(3)
        await client.send_goaway()
        assert (await server.until(RstStreamFrame, stream_id=3)).code == CANCEL
        assert type(await server.receive_frame()) is GoAwayFrame
        assert [type(frame) for frame in server.frames[-4:]] == [
            HeadersFrame,
            RstStreamFrame,
            RstStreamFrame,
            GoAwayFrame,
        ]


async def test_pick_leaves_the_others_in_order() -> None:
    async with connected() as (client, server):
        for stream_id in (1, 3, 5, 7):
            await client.send_rst(stream_id)
        await server.pick(RstStreamFrame, stream_id=5)
        await server.pick(RstStreamFrame, stream_id=3)
        await server.expect_rst(1)
        await server.expect_rst(7)
        await server.expect_nothing(strict=True)


# ---- The end, and nothing ----


async def test_expect_eof() -> None:
    async with connected() as (client, server):
        await client.send_ping()
        await client.send_eof()
        await server.expect_eof()


async def test_expect_eof_refuses_other_frames() -> None:
    async with connected() as (client, server):
        await client.send_rst(1)
        await client.send_eof()
        with pytest.raises(AssertionError, match="expected the end"):
            await server.expect_eof()


async def test_expect_eof_refuses_half_a_frame() -> None:
    async with connected() as (client, server):
        await client.send_bytes(b"\0\0\4")
        await client.send_eof()
        with pytest.raises(PeerClosedError, match="in the middle of a frame") as caught:
            await server.expect_eof()
        assert caught.value.partial == b"\0\0\4"


async def test_a_connection_error_is_goaway_and_the_end() -> None:
    async with connected() as (client, server):
        await client.send_rst(1)
        await client.send_goaway(0, 0x1, b"no")
        await client.send_eof()
        assert (await server.expect_connection_error({0x1, 0x2})).debug == b"no"


@pytest.mark.parametrize("mistake", ["code", "no end"])
async def test_a_connection_error_needs_the_code_and_the_end(mistake: str, autojump_clock: MockClock) -> None:
    async with connected() as (client, server):
        await client.send_goaway(0, 0x1 if mistake == "no end" else 0x2)
        if mistake == "code":
            await client.send_eof()
        with pytest.raises(AssertionError, match="expected code 1" if mistake == "code" else "nothing came"):
            await server.expect_connection_error(0x1)


async def test_expect_nothing(autojump_clock: MockClock) -> None:
    async with connected() as (client, server):
        await client.send_ping()
        await server.expect_nothing()
        await client.send_ping()
        with pytest.raises(AssertionError, match=r"expected nothing\nbut got  PingFrame"):
            await server.expect_nothing(strict=True)
        await client.send_rst(1)
        with pytest.raises(AssertionError, match="but got  RstStreamFrame"):
            await server.expect_nothing()
        # What was half there when it gave up is not lost.
        await client.send_bytes(b"\0\0\4\3\0\0\0\0\1\0")
        await server.expect_nothing(strict=True)
        await client.send_bytes(b"\0\0\1")
        await server.expect_rst(1, 1)
        await client.aclose()
        with pytest.raises(AssertionError, match="closed the transport"):
            await server.expect_nothing()


async def test_expect_nothing_for_a_while(autojump_clock: MockClock) -> None:
    async with connected() as (client, server):

        async def late() -> None:
            await trio.sleep(30)
            await client.send_rst(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(late)
            await server.expect_nothing(29)
            with pytest.raises(AssertionError, match="RstStreamFrame"):
                await server.expect_nothing(2)
        assert server.timeout == 10.0


# ---- Windows ----


async def test_an_overrun_stream_window_fails_at_once() -> None:
    async with connected(server_settings={SettingCode.INITIAL_WINDOW_SIZE: 10}) as (client, server):
        assert (client.send_window(1), client.send_window()) == (10, 65_535)
        await client.send_data(1, bytes(10))
        await client.send_data(1)
        await client.send_data(1, b"x")
        assert client.send_window(1) == -1
        await server.expect_data(1)
        assert server.receive_window(1) == 0
        await server.expect_data(1, b"")
        with pytest.raises(AssertionError, match=r"overran the window of stream 1: .* 1 bytes .* 0 were allowed"):
            await server.receive_frame()


async def test_an_overrun_connection_window_fails_at_once() -> None:
    async with connected(server_settings={SettingCode.INITIAL_WINDOW_SIZE: 100_000}) as (client, server):
        for _ in range(4):
            await client.send_data(1, bytes(16_384))
        for _ in range(3):
            await server.expect_data(1)
        with pytest.raises(AssertionError, match="overran the window of the connection"):
            await server.receive_frame()


async def test_padding_counts() -> None:
    async with connected() as (client, server):
        await client.send_data(1, b"abc", padding=6)
        await server.expect_data(1)
        for peer_window in (client.send_window, server.receive_window):
            assert peer_window() == peer_window(1) == 65_535 - 10
            assert peer_window(3) == 65_535


async def test_granted_credit_is_counted_on_both_sides() -> None:
    async with connected() as (client, server):
        await server.send_window_update(0, 1000)
        await server.send_window_update(5, 500)
        assert client.send_window() == 65_535
        await client.expect(WindowUpdateFrame, stream_id=0)
        await client.expect(WindowUpdateFrame, stream_id=5)
        for peer_window in (client.send_window, server.receive_window):
            assert (peer_window(), peer_window(5), peer_window(7)) == (66_535, 66_035, 65_535)


async def test_a_changed_initial_window_moves_open_streams() -> None:
    async with connected() as (client, server):
        await client.send_data(1, bytes(100))
        await server.expect_data(1)
        await server.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 50})
        # Before the acknowledgement the other side may still go by the old value.
        assert server.receive_window(1) == 65_435
        await client.expect(SettingsFrame, ack=False)
        assert (client.send_window(1), client.send_window(3), client.send_window()) == (-50, 50, 65_435)
        await server.expect(SettingsFrame, ack=True)
        assert (server.receive_window(1), server.receive_window(3), server.receive_window()) == (-50, 50, 65_435)
        # RFC 9113 §6.9.1: an empty frame may be sent although the window is negative.
        await client.send_data(1, end_stream=True)
        await server.expect_data(1, b"")


async def test_a_window_may_not_overflow() -> None:
    async with connected() as (client, server):
        await client.send_window_update(0, 2**31 - 65_536)
        await server.expect(WindowUpdateFrame)
        assert server.send_window() == 2**31 - 1
        await client.send_window_update(0, 1)
        with pytest.raises(AssertionError, match=r"exceed 2\^31-1"):
            await server.receive_frame()


async def test_frame_sizes_follow_the_acknowledged_settings() -> None:
    async with connected(server_settings={SettingCode.MAX_FRAME_SIZE: 20_000}) as (client, server):
        await client.send_data(1, bytes(20_000))
        await server.expect_data(1)
        await client.send_headers(1, {"x": "v" * 50_000})
        frame = await server.expect_headers()
        assert len(frame.payload) == 20_000
        await client.send_data(1, bytes(20_001))
        with pytest.raises(AssertionError, match="20001 bytes where 20000 are allowed"):
            await server.receive_frame()


async def test_raw_settings_may_be_acknowledged_once() -> None:
    async with connected() as (client, server):
        await client.send_raw_frame(FrameType.SETTINGS, 0, 0)
        assert (await server.receive_frame()).type == FrameType.SETTINGS
        for _ in range(2):
            await server.send_raw_frame(FrameType.SETTINGS, FrameFlag.ACK, 0)
        assert (await client.receive_frame()).flags == FrameFlag.ACK
        with pytest.raises(AssertionError, match="SETTINGS that were never sent"):
            await client.receive_frame()


# ---- Bodies ----


@pytest.mark.parametrize("capacity", [None, 1000])
async def test_a_body_flows_as_fast_as_credit_is_granted(capacity: int | None) -> None:
    body = bytes(range(256)) * 1000
    async with connected(transports=memory_transports(capacity)) as (client, server):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: client.request(body=body))
            await server.expect_headers(1)
            assert await server.collect_body(1) == body
        assert server.receive_window() == 65_535
        sizes = [len(frame.data) for frame in server.frames if isinstance(frame, DataFrame)]
        assert max(sizes) == 16_384


async def test_without_grants_a_body_stops_at_the_window(autojump_clock: MockClock) -> None:
    async with connected() as (client, server), trio.open_nursery() as nursery:
        client.timeout = math.inf
        nursery.start_soon(lambda: client.request(body=bytes(65_536)))
        await server.expect_headers(1)
        with pytest.raises(AssertionError, match="nothing came"):
            await server.collect_body(1, grant=False)
        assert (client.send_window(), server.receive_window()) == (0, 0)
        await server.send_window_update(1, 1)
        await server.expect_nothing()
        await server.send_window_update(0, 1)
        await server.expect_data(1, b"\0", end_stream=True)


async def test_other_frames_stay_while_a_body_is_collected() -> None:
    async with connected() as (client, server):
        await client.request(end_stream=False)
        await client.request()
        await client.send_data(1, b"one ")
        await client.send_rst(3)
        await client.send_window_update(1, 5)
        await client.send_data(1, b"two")
        await client.send_headers(1, {"x-trailer": "t"}, end_stream=True)
        await server.expect_headers(1)
        assert await server.collect_body(1) == b"one two"
        await server.expect_headers(1, fields={"x-trailer": "t"}, end_stream=True)
        await server.expect_headers(3)
        await server.expect_rst(3)
        await server.expect_nothing()


async def test_a_reset_interrupts_a_body() -> None:
    async with connected() as (client, server):
        await client.request(body=b"part", end_stream=False)
        await client.send_rst(1)
        await server.expect_headers(1)
        with pytest.raises(AssertionError, match="interrupted by RstStreamFrame"):
            await server.collect_body(1)


async def test_frames_meanwhile_stay_for_later_while_a_body_is_sent() -> None:
    async with connected() as (client, server):
        await server.send_rst(9)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_body, 1, bytes(100_000))
            assert len(await server.collect_body(1)) == 100_000
        await client.expect_rst(9)


# ---- Cancellation ----


async def test_a_frame_survives_a_cancelled_answer() -> None:
    left, right = memory_transports(capacity=20)
    async with connected(transports=(left, right)) as (client, server):
        await server.send_bytes(b"\0\0\1\xfa\0\0\0\0\0?" * 2)
        await client.send_ping(b"abcdefgh")
        # The answer doesn't fit: nobody reads at the client.
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.receive_frame)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        frame: Frame | None = None

        async def receive() -> None:
            nonlocal frame
            frame = await server.receive_frame()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await client.receive_frame()
            await client.receive_frame()
            await client.expect(PingFrame, ack=True, data=b"abcdefgh", strict=True)
        assert isinstance(frame, PingFrame)
