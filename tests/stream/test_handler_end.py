"""What becomes of a stream when its handler ends, in whatever way and at whatever moment (B26, P17)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair, scripted_client, scripted_server
from trio_h2 import ErrorCode
from trio_h2.testing import DataFrame, Frame, HeadersFrame, RstStreamFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

_WINDOW = 65_535


# -- it returns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end_stream", [True, False])
async def test_b26_without_a_response_it_is_500(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, end_stream: bool
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(103)

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=end_stream)
        await peer.expect_headers(stream_id, status=103)
        await peer.expect_headers(stream_id, status=500, end_stream=True, fields={"content-length": "0"})
        if not end_stream:
            await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        await peer.expect_nothing()
    assert "returned without a response" in caplog.text


async def test_b26_without_the_end_it_is_added(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(b"abc")

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, end_stream=False)
        assert await peer.collect_body(stream_id) == b"abc"
        await peer.expect_nothing()


@pytest.mark.parametrize("how", ["body", "send", "trailers", "aclose", "headers"])
async def test_b26_an_unread_body_is_refused_behind_the_response(autojump_clock: MockClock, how: str) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if how == "body":
            await stream.respond(413, body=b"too large")
        elif how == "headers":
            await stream.respond(413, end_stream=True)
        else:
            await stream.respond(413)
            await stream.send_all(b"too large")
        if how == "trailers":
            await stream.send_trailers({"a": "b"})
        if how == "aclose":
            await stream.aclose()

    async with scripted_client(handler) as (server, peer):
        stream_id = await peer.request("POST", headers={"content-length": "1000"}, end_stream=False)
        await peer.send_data(stream_id, b"unread")
        headers = await peer.expect_headers(stream_id, status=413)
        ended = headers.end_stream
        while not ended:
            frame = await peer.pick(Frame, stream_id=stream_id)
            assert isinstance(frame, DataFrame | HeadersFrame)
            ended = frame.end_stream
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        await peer.send_data(stream_id, b"late")
        await peer.expect_nothing()
        ledger = server.statistics().ledger
        assert (ledger.received, ledger.discarded) == (10, 10)


async def test_p17_the_refusal_waits_for_a_response_that_is_blocked(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(413, body=bytes(_WINDOW + 5))

    async with scripted_client(handler) as (server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_headers(stream_id, status=413)
        for _ in range(10):
            await peer.send_data(stream_id, bytes(1000))
        await peer.ping()
        assert server.statistics().ledger.discarded == 10_000
        assert await peer.collect_body(stream_id) == bytes(_WINDOW + 5)
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        await peer.expect_nothing()


async def test_p17_a_client_keeps_an_early_response(autojump_clock: MockClock) -> None:
    """Whatever way the request was to be sent."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.receive_some(1)
        await stream.respond(413, body=b"too large")

    async with pair(handler) as (client, server):
        async with client.request("PUT", body=bytes(5_000_000)) as stream:
            assert (await stream.receive_response()).status == 413
            assert [chunk async for chunk in stream] == [b"too large"]
            assert stream.buffer_size == 0
        async with client.request("PUT", end_stream=False) as stream:
            for _ in range(100):
                await stream.send_all(bytes(50_000))  # what is refused is dropped in silence
            await stream.send_eof()
            assert (await stream.receive_response()).status == 413
            assert [chunk async for chunk in stream] == [b"too large"]
            assert stream.rst_code == ErrorCode.NO_ERROR
        assert server.statistics().ledger.received < 300_000
        assert client.statistics().queued_body == 0


async def test_p17_a_client_is_stopped_in_one_read_with_the_response(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("PUT", body=bytes(1_000_000)) as stream:
            stream_id = (await peer.expect_headers()).stream_id
            async with peer.batch():
                await peer.send_headers(stream_id, {":status": "413"})
                await peer.send_data(stream_id, b"no", end_stream=True)
                await peer.send_rst(stream_id, ErrorCode.NO_ERROR)
            assert (await stream.receive_response()).status == 413
            assert await stream.receive_some() == b"no"
            assert await stream.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert not any(isinstance(frame, RstStreamFrame) for frame in peer.frames)


# -- it raises ---------------------------------------------------------------------------------------------------------


async def test_b26_an_error_before_the_headers_is_500(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        raise KeyError(stream.path)

    async with scripted_client(handler) as (_server, peer):
        for _ in range(2):  # the session lives
            stream_id = await peer.request("POST", "/why", end_stream=False)
            await peer.expect_headers(stream_id, status=500, end_stream=True)
            await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "KeyError: '/why'" in caplog.text


@pytest.mark.parametrize("queued", [b"", bytes(_WINDOW + 1)])
async def test_b26_an_error_after_the_headers_resets(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, queued: bytes
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if queued:
            await stream.respond(body=queued)
        else:
            await stream.respond(200)
            await stream.send_all(b"abc")
        raise KeyError

    async with scripted_client(handler) as (server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=200)
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.INTERNAL_ERROR)
        assert not any(isinstance(frame, DataFrame) and frame.end_stream for frame in peer.frames)
        assert server.statistics().queued_body == 0
        await peer.request()
        await peer.expect_headers(status=200)
    assert "raised" in caplog.text


async def test_b26_an_error_after_the_whole_response_changes_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, end_stream=True)
        raise KeyError

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_headers(stream_id, status=200, end_stream=True)
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        await peer.expect_nothing()
    assert "raised" in caplog.text


async def test_its_own_stream_error_is_no_news(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "trio_h2")

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.receive_trailers()

    async with scripted_client(handler, cancel_handler_on_reset=False) as (server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.send_rst(stream_id)
        await peer.ping()
        await peer.expect_nothing()
        assert server.statistics().running_handlers == 0
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


async def test_a_body_still_being_sent_elsewhere_is_not_complete(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A task outside of the handler is in the middle of `send_all` when the handler returns."""
    outcome: list[str] = []

    async with trio.open_nursery() as nursery:

        async def send(stream: trio_h2.ServerStream) -> None:
            try:
                await stream.send_all(bytes(_WINDOW + 1))
            except (trio.ClosedResourceError, trio_h2.StreamResetError) as exc:
                outcome.append(type(exc).__name__)

        async def handler(stream: trio_h2.ServerStream) -> None:
            await stream.respond(200)
            nursery.start_soon(send, stream)
            await trio.sleep(1)

        async with scripted_client(handler) as (_server, peer):
            stream_id = await peer.request()
            await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.INTERNAL_ERROR)
            assert not any(isinstance(frame, DataFrame) and frame.end_stream for frame in peer.frames)
    assert len(outcome) == 1
    assert "body short" in caplog.text


# -- it is cancelled ---------------------------------------------------------------------------------------------------


async def test_a_timeout_of_the_handler_resets(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await trio.sleep_forever()

    config = trio_h2.ServerConfig(handler_timeout=7)
    async with scripted_client(handler, config=config) as (_server, peer):
        stream_id = await peer.request()
        started = trio.current_time()
        await peer.expect_headers(stream_id)
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        assert trio.current_time() - started == 7


@pytest.mark.parametrize("responded", [False, True])
async def test_the_peers_reset_cancels_the_handler(autojump_clock: MockClock, responded: bool) -> None:
    ended = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        if responded:
            await stream.respond(200)
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with scripted_client(handler) as (server, peer):
        stream_id = await peer.request()
        await trio.testing.wait_all_tasks_blocked()
        await peer.send_rst(stream_id)
        with trio.fail_after(1):
            await ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().running_handlers == 0


async def test_a_reset_after_the_response_leaves_the_handler_alone(autojump_clock: MockClock) -> None:
    done = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200, end_stream=True)
        await trio.sleep(5)
        done.set()

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_headers(stream_id, end_stream=True)
        await peer.send_rst(stream_id)
        await trio.sleep(10)
        assert done.is_set()


async def test_the_loss_of_the_transport_cancels_the_handlers(autojump_clock: MockClock) -> None:
    cancelled = 0

    async def handler(stream: trio_h2.ServerStream) -> None:
        nonlocal cancelled
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled += 1
            raise

    async with scripted_client(handler) as (_server, peer):
        for _ in range(3):
            await peer.request("POST", end_stream=False)
        await trio.testing.wait_all_tasks_blocked()
        await peer.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert cancelled == 3
