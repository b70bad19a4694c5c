"""Trailers in both directions: behind the body, without one, and where there must be none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import answer, pair, scripted_server
from trio_h2 import ErrorCode
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

_WINDOW = 65_535


@pytest.mark.parity("C6", "D5")
async def test_trailers_go_both_ways(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        body = b"".join([chunk async for chunk in stream])
        trailers = await stream.receive_trailers()
        assert trailers is not None
        await stream.respond(200)
        await stream.send_all(body)
        await stream.send_trailers({"checksum": trailers["checksum"] + "!", "second": ["a", "b"]})

    async with pair(handler) as (client, _server), client.request("POST", end_stream=False) as stream:
        await stream.send_all(b"abc")
        assert stream.raw_trailers == []
        await stream.send_trailers({"Checksum": "1"})
        assert b"".join([chunk async for chunk in stream]) == b"abc"
        for _ in range(2):
            trailers = await stream.receive_trailers()
            assert trailers is not None
            assert stream.raw_trailers == [(b"checksum", b"1!"), (b"second", b"a"), (b"second", b"b")]
            assert trailers["checksum"] == "1!"
            assert trailers.get_all("second") == ["a", "b"]


@pytest.mark.parity("D5", "K2")
@pytest.mark.parametrize("given", [True, False])
async def test_trailers_wait_for_a_blocked_body(autojump_clock: MockClock, given: bool) -> None:
    """`send_trailers` itself does not wait: it queues them behind the body."""
    async with scripted_server() as (client, peer):
        body = bytes(_WINDOW + 10)
        async with client.request("POST", body=body if given else b"", end_stream=False) as stream:
            stream_id = (await peer.expect_headers()).stream_id
            if not given:
                await stream.send_all(bytes(_WINDOW))
            await stream.send_trailers({"last": "1"})
            received = 0
            while received < _WINDOW:
                received += len((await peer.expect_data(stream_id, end_stream=False)).data)
            if given:
                await peer.expect_nothing()
                await peer.send_window_update(stream_id, 10)
                await peer.send_window_update(0, 10)
                await peer.expect_data(stream_id, bytes(10), end_stream=False)
            await peer.expect_headers(stream_id, end_stream=True, fields={"last": "1"})
            for send in (stream.send_all(b"x"), stream.send_trailers({"again": "1"})):
                with pytest.raises(trio_h2.LocalProtocolError, match="has ended"):
                    await send
            await stream.send_eof()
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"x")


@pytest.mark.parity("C6")
async def test_waiting_for_trailers_discards_and_credits_the_body(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(bytes(2_000_000))
        await stream.send_trailers({"end": "1"})

    async with pair(handler) as (client, _server), client.request("GET") as stream:
        assert len(await stream.receive_some(1000)) == 1000
        assert await stream.receive_trailers() == {"end": "1"}
        assert await stream.receive_some() == b""
        ledger = client.statistics().ledger
        assert (ledger.taken, ledger.discarded) == (1000, 2_000_000 - 1000)


async def test_no_trailers_are_none(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, b"abc", end_stream=True)
        with trio.testing.assert_checkpoints():
            assert await stream.receive_trailers() is None
        assert await stream.receive_some() == b""
        assert client.statistics().ledger.discarded == 3


async def test_a_cancelled_wait_for_trailers_can_be_repeated(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer, b"abc")
        with trio.move_on_after(1):
            await stream.receive_trailers()
        await peer.send_data(stream_id, b"def")
        await peer.ping()
        assert client.statistics().ledger.discarded == 6  # it is gone, whoever asks now
        await peer.send_headers(stream_id, {"x": "y"}, end_stream=True)
        assert await stream.receive_trailers() == {"x": "y"}
        assert await stream.receive_some() == b""


async def test_a_reset_instead_of_trailers_raises(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer, b"abc")

        async def wait() -> None:
            with pytest.raises(trio_h2.StreamResetError):
                await stream.receive_trailers()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await peer.send_rst(stream_id, ErrorCode.CANCEL)


async def test_closing_wakes_a_wait_for_trailers(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("GET")
        stream_id = await answer(peer, b"abc")

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_trailers()

        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                await stream.aclose()
        await peer.send_data(stream_id, b"more")
        await peer.until(RstStreamFrame, stream_id=stream_id)


async def test_trailers_after_a_refused_upload_are_dropped(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("POST", headers={"content-length": 10}, end_stream=False) as stream:
            stream_id = await answer(peer, b"enough", end_stream=True)
            await peer.send_rst(stream_id, ErrorCode.NO_ERROR)
            await peer.ping()
            with trio.testing.assert_checkpoints():
                await stream.send_trailers({"dropped": "1"})
            with trio.testing.assert_checkpoints():
                await stream.send_eof()
        await peer.expect_nothing()


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 205), ("HEAD", 304), ("GET", 304)])
async def test_trailers_of_a_response_without_content_are_dropped(
    method: str, status: int, autojump_clock: MockClock
) -> None:
    """One handler for every method and status: it ends its response the same way, and need not ask whether it may."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(status)
        with trio.testing.assert_checkpoints():
            await stream.send_trailers({"dropped": "1"})
        await stream.send_trailers({"again": "1"})

    async with pair(handler) as (client, _server), client.request(method) as stream:
        assert (await stream.receive_response()).status == status
        assert await stream.receive_trailers() is None
        assert stream.end_after_headers


async def test_trailers_that_are_dropped_need_not_fit(autojump_clock: MockClock) -> None:
    """They are measured as little as they are sent."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        await stream.send_trailers({"x-long": "x" * 1000})

    config = trio_h2.ClientConfig(max_header_list_size=500)
    async with pair(handler, client_config=config) as (client, _server):
        await client.ping()  # the server knows our limits now
        async with client.request("HEAD") as stream:
            assert (await stream.receive_response()).status == 200
            assert await stream.receive_trailers() is None
