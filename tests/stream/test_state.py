"""What a stream tells about itself while it lives and afterwards."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, scripted_client, scripted_server
from trio_h2 import ErrorCode, SettingCode, StreamState

if TYPE_CHECKING:
    from trio.testing import MockClock

_END_STREAM, _END_HEADERS, _PADDED = 0x1, 0x4, 0x8


@pytest.mark.parity("D11")
async def test_the_state_follows_the_stream(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig(stream_window=50_000)
    async with scripted_server(config=config, settings={SettingCode.INITIAL_WINDOW_SIZE: 1000}) as (session, peer):
        async with session.request("POST", end_stream=False) as stream:
            fresh = StreamState("open", False, False, 50_000, 1000, weight=16, sum_dependency_weight=0)
            assert stream.state == fresh
            await peer.expect_headers(1)
            await stream.send_all(bytes(300))
            await peer.respond(1, body=bytes(200), end_stream=False)
            await peer.ping()
            assert stream.state == dataclasses.replace(fresh, local_window_size=49_800, remote_window_size=700)
            await stream.send_eof()
            assert (stream.state.name, stream.state.local_closed) == ("half-closed (local)", True)
            await peer.send_data(1, end_stream=True)
            await peer.ping()
            assert stream.state == StreamState("closed", True, True, 0, 0)
            assert (stream.closed, stream.destroyed) == (True, False)
        assert stream.destroyed
        assert stream.rst_code == ErrorCode.NO_ERROR


@pytest.mark.parity("D11", "D8")
async def test_the_state_on_a_server(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        stream_id = await peer.request()
        stream = await exchanges.next()
        assert (stream.id, stream.pending, stream.rst_code) == (stream_id, False, None)
        assert (stream.state.name, stream.state.remote_closed) == ("half-closed (remote)", True)
        await stream.respond(end_stream=True)
        assert (stream.state.name, stream.closed, stream.rst_code) == ("closed", True, ErrorCode.NO_ERROR)
        exchanges.finish()


async def test_hooks_for_the_end(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """They are called once, in order, also when one of them raises; at once if the stream is over already."""
    called: list[object] = []

    def fail() -> None:
        called.append("fails")
        raise ZeroDivisionError

    async with scripted_server() as (session, peer):
        async with session.request("POST", end_stream=False) as stream:
            await peer.expect_headers(1)
            stream.call_when_closed(lambda: called.append("first"))
            stream.call_when_closed(fail)
            stream.call_when_closed(lambda: called.append(stream.closed))
            with pytest.raises(TypeError, match="hook must be a function, not 5"):
                stream.call_when_closed(5)  # type: ignore[arg-type]  # that is the test
            await stream.send_eof()
            await peer.expect_data(1, end_stream=True)
            await peer.respond(1, end_stream=False)
            await peer.ping()
            assert called == []
            await peer.send_data(1, end_stream=True)
            await peer.ping()
            assert called == ["first", "fails", True]
            assert "a hook for its end raised" in caplog.text
            stream.call_when_closed(lambda: called.append("late"))
            assert called == ["first", "fails", True, "late"]
        async with session.request("GET") as stream:
            await peer.expect_headers(3)
            stream.call_when_closed(lambda: called.append(stream.rst_code))
            await peer.send_rst(3, ErrorCode.INTERNAL_ERROR)
            await peer.ping()
            assert called[4:] == [ErrorCode.INTERNAL_ERROR]
        async with session.request("GET") as stream:
            await peer.expect_headers(5)
            stream.call_when_closed(lambda: called.append("the session is over"))
            await peer.aclose()
            await stream._core.over.wait()
            assert called[5:] == ["the session is over"]


async def test_what_is_framed_of_a_body(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, settings={SettingCode.INITIAL_WINDOW_SIZE: 1000}) as (_session, peer):
        stream_id = await peer.request()
        stream = await exchanges.next()
        await stream.respond(200, body=bytes(1500))
        await peer.ping()
        assert (stream.body_sent, stream.body_framed, stream.end_framed) == (1500, 1000, False)
        told: list[bool] = []
        stream.call_when_closed(lambda: told.append(stream.end_framed))
        await peer.send_window_update(stream_id, 1000)
        await peer.ping()
        assert (stream.body_framed, stream.end_framed, told) == (1500, True, [True])
        stream_id = await peer.request()
        stream = await exchanges.next()
        await stream.respond(200, body=bytes(1500))
        stream.call_when_closed(lambda: told.append(stream.end_framed))
        await peer.send_rst(stream_id, ErrorCode.NO_ERROR)
        await peer.ping()
        assert (stream.end_framed, told) == (False, [True, False])
        exchanges.finish()


@pytest.mark.parity("B9", "D8")
@pytest.mark.parametrize("ends", [False, True])
async def test_a_request_tells_how_it_came(ends: bool, autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        fields = [("x-two", "a"), ("x-one", "1"), ("x-two", "b")]
        await peer.request(headers=fields, end_stream=ends)
        stream = await exchanges.next()
        assert stream.raw_headers[-3:] == [(b"x-two", b"a"), (b"x-one", b"1"), (b"x-two", b"b")]
        assert stream.flags == stream.headers.flags == _END_HEADERS | (_END_STREAM if ends else 0)
        assert stream.end_after_headers is ends
        if not ends:
            await peer.send_headers(1, {"x-check": "sum"}, end_stream=True)
            await peer.ping()
            trailers = stream.trailers
            assert trailers == {"x-check": "sum"}
            assert trailers.flags == _END_HEADERS | _END_STREAM
        exchanges.finish()


@pytest.mark.parity("B9", "C3", "D8")
async def test_a_response_tells_how_it_came(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("GET") as stream:
        assert (stream.flags, stream.raw_headers) == (0, [])
        await peer.expect_headers(1)
        await peer.send_headers(1, {":status": "103"})
        await peer.send_headers(1, {":status": "204", "x-a": "b"}, end_stream=True, padding=3)
        response = await stream.receive_response()
        assert [early.flags for early in stream.informational] == [_END_HEADERS]
        assert stream.flags == response.flags == _END_HEADERS | _END_STREAM | _PADDED
        assert stream.raw_headers == [(b":status", b"204"), (b"x-a", b"b")]
        assert stream.end_after_headers


_TWICE = [("x-two", "a"), ("x-one", "1"), ("x-two", "b")]
_RAW = [(b"x-two", b"a"), (b"x-one", b"1"), (b"x-two", b"b")]


@pytest.mark.parity("B9", "C4", "C6", "J4")
async def test_every_header_event_of_a_client_has_flags_and_raw_fields(autojump_clock: MockClock) -> None:
    """1xx, response and trailers, each with its own; duplicates are kept."""
    async with scripted_server() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)
        for status in "102", "103":
            await peer.send_headers(1, [(":status", status), *_TWICE], padding=1 if status == "103" else None)
        await peer.send_headers(1, [(":status", "200"), *_TWICE])
        await peer.send_data(1, b"body")
        await peer.send_headers(1, _TWICE, end_stream=True, padding=2)
        for status, flags in ("102", _END_HEADERS), ("103", _END_HEADERS | _PADDED):
            early = await stream.receive_informational()
            assert early is not None
            assert (early.status, early.flags) == (int(status), flags)
            assert early.raw == [(b":status", status.encode()), *_RAW]
        response = await stream.receive_response()
        assert response.flags == stream.flags == _END_HEADERS
        assert response.raw == stream.raw_headers == [(b":status", b"200"), *_RAW]
        assert response["x-two"] == "a, b"
        trailers = await stream.receive_trailers()
        assert trailers is not None
        assert (trailers.flags, trailers.raw) == (_END_HEADERS | _END_STREAM | _PADDED, _RAW)


@pytest.mark.parity("B9", "C6", "J4")
async def test_every_header_event_of_a_server_has_flags_and_raw_fields(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.request("POST", headers=_TWICE, end_stream=False)
        stream = await exchanges.next()
        assert stream.headers.raw == stream.raw_headers
        assert {name for name, _ in stream.raw_headers[:4]} == {b":method", b":scheme", b":authority", b":path"}
        assert stream.raw_headers[4:] == _RAW
        assert stream.flags == _END_HEADERS
        await peer.send_headers(1, _TWICE, end_stream=True, padding=0)
        trailers = await stream.receive_trailers()
        assert trailers is not None
        assert (trailers.flags, trailers.raw) == (_END_HEADERS | _END_STREAM | _PADDED, _RAW)
        assert stream.flags == _END_HEADERS  # those of the request
        exchanges.finish()


@pytest.mark.parity("D10")
async def test_what_a_server_sent(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.request()
        stream = await exchanges.next()
        assert (stream.sent_headers, stream.sent_info_headers, stream.sent_trailers) == (None, [], None)
        await stream.send_informational(103, {"link": "</a>"})
        await stream.send_informational(102)
        await stream.respond({":status": 200, "x-a": "1"})
        assert stream.sent_headers is not None
        assert stream.sent_headers["x-a"] == "1"
        assert [headers.status for headers in stream.sent_info_headers] == [103, 102]
        await stream.send_trailers({"x-t": "2"})
        assert stream.sent_trailers == trio_h2.Headers({"x-t": "2"})
        exchanges.finish()


@pytest.mark.parity("D10", "D6")
async def test_what_a_client_sent(autojump_clock: MockClock) -> None:
    settings = {SettingCode.INITIAL_WINDOW_SIZE: 4}
    async with scripted_server(settings=settings) as (session, peer):
        request = session.request("POST", "/up", body=b"0123456789", end_stream=False)
        assert (request.pending, request.id) == (True, None)
        async with request as stream:
            assert (request.pending, request.id) == (False, 1)
            assert stream.sent_headers[":path"] == "/up"
            assert (stream.sent_info_headers, stream.sent_trailers) == ([], None)
            await peer.expect_headers(1)
            await peer.expect_data(1)
            assert stream.buffer_size == 6
            await stream.send_trailers({"x-t": "2"})
            assert stream.sent_trailers == trio_h2.Headers({"x-t": "2"})


@pytest.mark.parity("C2", "C1")
async def test_a_request_is_pending_while_it_waits_for_a_slot(autojump_clock: MockClock) -> None:
    async with scripted_server(settings={SettingCode.MAX_CONCURRENT_STREAMS: 0}) as (session, peer):
        request = session.request("GET")

        async def enter() -> None:
            async with request:
                assert request.id == 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(enter)
            await trio.testing.wait_all_tasks_blocked()
            assert request.pending
            await peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 1})


@pytest.mark.parity("D2", "D8")
@pytest.mark.parametrize("ended", [False, True])
async def test_aborted_says_whether_our_side_was_open(ended: bool, autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("POST", end_stream=ended) as stream:
        assert not stream.aborted
        await peer.expect_headers(1)
        await peer.send_rst(1, ErrorCode.ENHANCE_YOUR_CALM)
        with pytest.raises(trio_h2.StreamResetError):
            await stream.receive_some()
        assert stream.aborted is not ended
        assert stream.rst_code == ErrorCode.ENHANCE_YOUR_CALM
        assert stream.closed


@pytest.mark.parity("D2")
async def test_aborted_by_ourselves(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.request()
        stream = await exchanges.next()
        stream.reset(ErrorCode.INTERNAL_ERROR)
        assert stream.aborted
        assert stream.rst_code == ErrorCode.INTERNAL_ERROR
        exchanges.finish()


@pytest.mark.parity("B0", "D2", "D8")
@pytest.mark.parametrize("code", [None, ErrorCode.ENHANCE_YOUR_CALM, ErrorCode.NO_ERROR])
async def test_a_session_that_breaks_ends_its_streams(code: ErrorCode | None, autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("POST", end_stream=False) as stream:
        await peer.expect_headers(1)
        if code is not None:
            await peer.send_goaway(1, code)
        await peer.aclose()
        with pytest.raises(trio_h2.SessionError):
            await stream.receive_some()
        assert (stream.aborted, stream.closed, stream.state.name) == (True, True, "closed")
        assert stream.rst_code == (code or ErrorCode.CANCEL)


@pytest.mark.parity("D8")
async def test_a_stream_is_closed_by_both_sides_and_destroyed_when_given_up_too(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer):
        first, second = await session.open_stream("GET"), await session.open_stream("POST", end_stream=False)
        assert (first.id, second.id) == (1, 3)
        assert (first.pending, second.pending) == (False, False)
        await first.aclose()  # on this side; the server may still end it
        assert (first.closed, first.destroyed, first.rst_code) == (False, False, None)
        await peer.expect_headers(1)
        await peer.respond(1)
        await peer.ping()
        assert (first.closed, first.destroyed, first.rst_code) == (True, True, ErrorCode.NO_ERROR)
        await peer.send_rst(3, ErrorCode.CANCEL)
        await peer.ping()
        assert (second.closed, second.destroyed, second.rst_code) == (True, False, ErrorCode.CANCEL)
        await second.aclose()
        assert second.destroyed


@pytest.mark.parity("D8")
async def test_a_stream_keeps_its_session(autojump_clock: MockClock) -> None:
    """Whoever asks a stream for ``session.draining`` need not know first whether it is over."""
    async with scripted_server() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)
        assert stream.session is session
        stream.reset()
        assert stream.session is session  # what was received can still be read
        await stream.aclose()
        assert stream.destroyed
        assert stream.session is session
        assert not stream.session.draining
