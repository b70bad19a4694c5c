"""What becomes of a stream when its handler ends, in whatever way and at whatever moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair, scripted_client
from trio_h2 import ErrorCode
from trio_h2.testing import DataFrame, Frame, HeadersFrame, RstStreamFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

_WINDOW = 65_535


# -- it returns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["body", "send", "trailers", "aclose", "headers"])
async def test_an_unread_body_is_refused_behind_the_response(autojump_clock: MockClock, how: str) -> None:
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


async def test_the_refusal_waits_for_a_response_that_is_blocked(autojump_clock: MockClock) -> None:
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


async def test_a_client_keeps_an_early_response(autojump_clock: MockClock) -> None:
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


# -- it raises ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queued", [b"", bytes(_WINDOW + 1)])
async def test_an_error_after_the_headers_resets(
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
