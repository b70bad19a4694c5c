"""Responses that end before their request: what becomes of the upload, on both sides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair, scripted_client, scripted_server
from trio_h2 import ErrorCode
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_KIB = 1024


# -- the server reads on for a moment ------------------------------------------------------------------------------


async def _too_large(stream: trio_h2.ServerStream) -> None:
    await stream.respond(413, body=b"too large")


async def _gives_up(stream: trio_h2.ServerStream) -> None:
    await stream.receive_some(1)
    raise RuntimeError("a bug")


async def _answers_with(peer: ScriptedPeer, status: int, body: bytes = b"") -> int:
    """Begins an upload; returns its id when the whole response is here."""
    async with peer.batch():
        stream_id = await peer.request("POST", end_stream=False)
        await peer.send_data(stream_id, b"the beginning")
    await peer.expect_headers(stream_id, status=status)
    if body:
        assert await peer.collect_body(stream_id) == body
    return stream_id


async def test_an_upload_that_ends_soon_is_not_reset(autojump_clock: MockClock) -> None:
    async with scripted_client(_too_large) as (session, peer):
        stream_id = await _answers_with(peer, 413, b"too large")
        await trio.sleep(0.5)
        await peer.send_body(stream_id, bytes(100 * _KIB))
        await peer.expect_nothing(10)
        assert session.statistics().open_streams == 0
        assert session.statistics().ledger.discarded == 100 * _KIB + 13


async def test_an_upload_that_stops_is_reset_after_a_second(autojump_clock: MockClock) -> None:
    async with scripted_client(_too_large) as (_, peer):
        stream_id = await _answers_with(peer, 413, b"too large")
        start = trio.current_time()
        await trio.sleep(0.5)
        await peer.send_data(stream_id, b"a little")  # gives no more time
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        assert trio.current_time() - start == pytest.approx(1.0)


async def test_an_upload_that_goes_on_is_reset_after_256_kib(autojump_clock: MockClock) -> None:
    async with scripted_client(_too_large) as (_, peer):
        stream_id = await _answers_with(peer, 413, b"too large")
        start = trio.current_time()
        await peer.send_body(stream_id, bytes(256 * _KIB), end_stream=False)
        await peer.expect_nothing(0.1)
        await peer.send_data(stream_id, b"x")
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.NO_ERROR)
        assert trio.current_time() - start == pytest.approx(0.1)


async def test_the_log_says_that_an_upload_ended_early_after_the_response(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """As curl does when it has got a 413. It is RST_STREAM all the same (RFC 9113 §8.1.1): curl 7.88 waits for it."""
    caplog.set_level("INFO")
    async with scripted_client(_too_large) as (session, peer):
        stream_id = await peer.request("PUT", headers={"content-length": "100"}, end_stream=False)
        await peer.expect_headers(stream_id, status=413)
        assert await peer.collect_body(stream_id) == b"too large"
        await peer.send_data(stream_id, b"a little", end_stream=True)
        await peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
        assert session.statistics().open_streams == 0
    reason = "PUT / was reset with PROTOCOL_ERROR after the response: "
    assert any(reason in record.getMessage() for record in caplog.records)


async def test_a_handler_that_reads_on_is_told_of_a_short_upload(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level("INFO")
    errors: list[trio_h2.H2Error] = []

    async def reads_on(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=b"fine")
        with pytest.raises(trio_h2.StreamResetError) as caught:
            async for _ in stream:
                pass
        errors.append(caught.value)

    async with scripted_client(reads_on) as (_, peer):
        stream_id = await peer.request("PUT", headers={"content-length": "100"}, end_stream=False)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"fine"
        await peer.send_data(stream_id, b"short", end_stream=True)
        await peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
    assert [error.code for error in errors] == [ErrorCode.PROTOCOL_ERROR]
    reason = "PUT / was reset with PROTOCOL_ERROR after the response: content-length is 100, the body has 5 bytes"
    assert any(reason in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(("size", "seconds", "expected"), [(0, 1.0, 0.0), (1000, 5.0, 5.0), (9, 5.0, 0.0)])
async def test_how_long_is_settable(size: int, seconds: float, expected: float, autojump_clock: MockClock) -> None:
    config = trio_h2.ServerConfig(upload_grace_bytes=size, upload_grace_timeout=seconds)
    async with scripted_client(_too_large, config=config) as (_, peer):
        peer.timeout = 100
        stream_id = await _answers_with(peer, 413, b"too large")
        start = trio.current_time()
        if size:
            await peer.send_data(stream_id, bytes(10))
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        assert trio.current_time() - start == pytest.approx(expected)


async def test_the_500_of_a_handler_that_failed_is_seen_as_well(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted_client(_gives_up) as (_, peer):
        stream_id = await _answers_with(peer, 500)
        start = trio.current_time()
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        assert trio.current_time() - start == pytest.approx(1.0)


@pytest.mark.parametrize(("more", "after"), [(0, 1.0), (256 * _KIB, 0.0), (100, None)])
async def test_the_answer_of_the_library_to_too_many_fields_is_seen_as_well(
    more: int, after: float | None, autojump_clock: MockClock
) -> None:
    """With a body of which nothing, too much, or the whole comes; then the same session serves the next request."""
    config = trio_h2.ServerConfig(max_header_fields=5)
    async with scripted_client(_too_large, config=config) as (session, peer):
        stream_id = await peer.request("POST", headers=[(f"x-{n}", "y") for n in range(9)], end_stream=False)
        await peer.expect_headers(stream_id, status=431, end_stream=True)
        start = trio.current_time()
        if more:
            await peer.send_body(stream_id, bytes(more), end_stream=after is None)
        if after is None:
            await peer.expect_nothing(10)
        else:
            if more:
                await peer.send_data(stream_id, b"x")
            await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.NO_ERROR)
            assert trio.current_time() - start == pytest.approx(after)
        assert session.statistics().open_streams == 0
        await _answers_with(peer, 413, b"too large")


async def test_the_second_begins_when_the_response_is_written(autojump_clock: MockClock) -> None:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, body=bytes(70_000))

    async with scripted_client(answer) as (_, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_headers(stream_id, status=200)
        await trio.sleep(60)  # the rest of the response has no window
        await peer.send_window_update(0, 100_000)
        start = trio.current_time()
        await peer.send_window_update(stream_id, 100_000)
        assert await peer.collect_body(stream_id) == bytes(70_000)
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        assert trio.current_time() - start == pytest.approx(1.0)


async def test_a_slot_is_free_again_when_the_reading_on_is_over(autojump_clock: MockClock) -> None:
    config = trio_h2.ServerConfig(max_concurrent_streams=1)
    async with pair(_too_large, server_config=config) as (client, server):
        for _ in range(3):
            async with client.request("POST", end_stream=False) as stream:
                assert (await stream.receive_response()).status == 413
        await trio.sleep(2)
        assert server.statistics().open_streams == 0


async def test_a_drain_waits_for_it(autojump_clock: MockClock) -> None:
    async with scripted_client(_too_large) as (session, peer):
        await _answers_with(peer, 413, b"too large")
        start = trio.current_time()
        session.shutdown()
        await session.wait_closed()
        assert 1.0 <= trio.current_time() - start < 3.1


# -- the client stops sending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 303, 413])
@pytest.mark.parametrize("response", [b"", b"enough"])
async def test_a_given_body_is_sent_no_further(status: int, response: bytes, autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("POST", body=bytes(10_000_000)) as stream:
            stream_id = (await peer.expect_headers()).stream_id
            await peer.respond(stream_id, status, body=response or None)
            assert (await stream.receive_response()).status == status
            await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.NO_ERROR)
            assert await stream.receive_some() == response
            assert await stream.receive_some() == b""
            assert stream.send_unwanted
            assert (stream.buffer_size, stream.rst_code, stream.aborted) == (0, ErrorCode.NO_ERROR, False)
            await stream.wait_closed()
        await peer.expect_nothing()
        assert client.statistics().queued_body == 0


async def test_a_given_body_is_sent_on_while_the_response_comes(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", body=bytes(100_000)) as stream:
        stream_id = (await peer.expect_headers()).stream_id
        await peer.respond(stream_id, 413, body=b"some", end_stream=False)
        assert await stream.receive_some() == b"some"
        assert len(await peer.collect_body(stream_id)) == 100_000
        assert not stream.send_unwanted
        await peer.send_data(stream_id, end_stream=True)
        await stream.wait_closed()


@pytest.mark.parametrize("status", [303, 413, 600])
async def test_send_all_does_not_wait_for_ever_for_a_server_that_said_no(
    status: int, autojump_clock: MockClock
) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("POST", end_stream=False) as stream, trio.open_nursery() as nursery:
            stream_id = (await peer.expect_headers()).stream_id
            nursery.start_soon(stream.send_all, bytes(1_000_000))
            await trio.testing.wait_all_tasks_blocked()
            await peer.respond(stream_id, status)
            await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.NO_ERROR)
            await stream.send_all(b"dropped")
            await stream.send_trailers({"x-sum": "0"})
            assert stream.send_unwanted
            assert (await stream.receive_response()).status == status
        await peer.expect_nothing()


async def test_a_program_may_send_on_after_a_success(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = (await peer.expect_headers()).stream_id
        await peer.respond(stream_id, 200)
        await stream.receive_response()
        assert not stream.send_unwanted
        await stream.send_all(b"go on")
        await stream.send_eof()
        assert await peer.collect_body(stream_id) == b"go on"


async def test_what_is_queued_in_a_tunnel_is_sent_to_its_end(autojump_clock: MockClock) -> None:
    """There each side ends for itself (RFC 9113 §8.5)."""
    target = {":authority": "a:1"}
    async with scripted_server() as (client, peer):
        request = client.request("CONNECT", headers=target, body=bytes(100_000), end_stream=True)
        async with request as stream:
            stream_id = (await peer.expect_headers()).stream_id
            await peer.respond(stream_id, 200)
            assert len(await peer.collect_body(stream_id)) == 100_000
            await stream.wait_closed()


# -- RST_STREAM(NO_ERROR), and how a program learns of it ----------------------------------------------------------


async def test_a_client_learns_that_the_server_wants_no_more(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("POST", end_stream=False) as stream:
        stream_id = (await peer.expect_headers()).stream_id
        assert not stream.send_unwanted
        async with peer.batch():
            await peer.respond(stream_id, 200)
            await peer.send_rst(stream_id, ErrorCode.NO_ERROR)
        await stream.receive_response()
        await stream.wait_closed()
        await stream.send_all(b"dropped")
        assert stream.send_unwanted


async def test_a_server_learns_that_the_client_wants_no_response(autojump_clock: MockClock) -> None:
    seen: list[tuple[bool, bool]] = []

    async def answer(stream: trio_h2.ServerStream) -> None:
        before = stream.send_unwanted
        await stream.wait_closed()
        await stream.respond(200, body=b"dropped")
        seen.append((before, stream.send_unwanted))

    async with scripted_client(answer, cancel_handler_on_reset=False) as (_, peer):
        stream_id = await peer.request("GET")
        await peer.ping()
        await peer.send_rst(stream_id, ErrorCode.NO_ERROR)
        await peer.ping()
    assert seen == [(False, True)]


async def test_what_head_drops_is_unwanted(autojump_clock: MockClock) -> None:
    """From `respond` on, so that a loop that sends an endless body can end."""
    seen: list[bool] = []

    async def answer(stream: trio_h2.ServerStream) -> None:
        seen.append(stream.send_unwanted)
        await stream.respond(200)
        await stream.send_all(b"dropped")
        seen.append(stream.send_unwanted)

    async with scripted_client(answer) as (_, peer):
        await peer.request("HEAD")
        await peer.expect_headers(1, status=200)
    assert seen == [False, True]


@pytest.mark.parametrize("sending", [True, False])
async def test_both_sides_of_ours(sending: bool, autojump_clock: MockClock) -> None:
    """The upload stops, the response is whole, and the session goes on."""
    async with pair(_too_large) as (client, server):
        for _ in range(200):
            body = b"" if sending else bytes(1_000_000)
            request = client.request("POST", body=body, end_stream=not sending)
            async with request as stream, trio.open_nursery() as nursery:
                if sending:
                    nursery.start_soon(partial(stream.send_all, bytes(1_000_000)))
                assert (await stream.receive_response()).status == 413
                assert await stream.receive_some() == b"too large"
                assert await stream.receive_some() == b""
        await trio.sleep(2)
        assert server.statistics().open_streams == client.statistics().open_streams == 0
