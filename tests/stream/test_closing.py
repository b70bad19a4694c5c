"""How streams are closed on this side: gracefully, in a hurry, and what the peer may still do then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, answer, pair, scripted_client, scripted_server
from trio_h2 import ErrorCode
from trio_h2.testing import DataFrame, RstStreamFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

_WINDOW = 65_535
_LINGER = trio_h2.ClientConfig().linger_timeout


# -- aclose() ----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("D1")
async def test_aclose_ends_our_side_and_waits_for_nobody(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        await stream.send_all(b"abc")
        started = trio.current_time()
        with trio.testing.assert_checkpoints():
            await stream.aclose()
        with trio.testing.assert_checkpoints():
            await stream.aclose()
        assert trio.current_time() == started
        stream_id = (await peer.expect_headers()).stream_id
        await peer.expect_data(stream_id, b"abc")
        await peer.expect_data(stream_id, b"", end_stream=True)
        await peer.respond(stream_id, 204)  # the peer ends its side in time
        await peer.expect_nothing(_LINGER * 2)
        assert stream.rst_code == ErrorCode.NO_ERROR
        assert client.statistics().open_streams == 0


async def test_aclose_before_the_response_headers_resets(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(103)
        await stream.aclose()

    async with scripted_client(handler) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=103)
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        await peer.expect_nothing()


async def test_aclose_short_of_content_length_resets(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", headers={"content-length": 5}, end_stream=False)
        await stream.send_all(b"abc")
        await stream.aclose()
        stream_id = (await peer.expect_headers()).stream_id
        await peer.expect_data(stream_id, b"abc", end_stream=False)
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        assert stream.rst_code == ErrorCode.CANCEL


async def test_aclose_sends_what_is_queued_first(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", body=bytes(100_000), end_stream=False)
        await stream.aclose()
        stream_id = (await peer.expect_headers()).stream_id
        assert await peer.collect_body(stream_id) == bytes(100_000)
        await peer.respond(stream_id)


@pytest.mark.parity("C7")
async def test_aclose_credits_what_is_unread(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        await answer(peer, b"unread", end_stream=True)
        assert client.statistics().ledger.held == 6
        await stream.aclose()
        ledger = client.statistics().ledger
        assert (ledger.held, ledger.discarded) == (0, 6)
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")


async def test_only_data_makes_aclose_reset(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("GET")
        stream_id = (await peer.expect_headers()).stream_id
        await stream.aclose()
        await peer.send_headers(stream_id, {":status": "103"})
        await peer.send_headers(stream_id, {":status": "200"})
        await peer.send_data(stream_id)
        await peer.send_window_update(stream_id, 1)
        await peer.expect_nothing()
        await peer.send_data(stream_id, b"more")
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        await peer.send_data(stream_id, b"late", end_stream=True)
        await peer.expect_nothing()
        assert client.statistics().ledger.discarded == 8


async def test_the_last_data_needs_no_reset(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("GET")
        stream_id = (await peer.expect_headers()).stream_id
        await stream.aclose()
        await peer.respond(stream_id, body=b"all of it")
        await peer.expect_nothing(_LINGER * 2)
        assert client.statistics().ledger.discarded == 9
        assert stream.rst_code == ErrorCode.NO_ERROR


async def test_a_peer_that_does_not_end_is_reset_after_the_linger(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("GET")
        stream_id = (await peer.expect_headers()).stream_id
        await stream.aclose()
        closed = trio.current_time()
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        assert trio.current_time() - closed == pytest.approx(_LINGER)
        assert client.statistics().open_streams == 0


async def test_the_linger_waits_for_a_body_that_still_moves(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        peer.timeout = 100
        stream = await client.open_stream("POST", body=bytes(_WINDOW + 3))
        stream_id = (await peer.expect_headers()).stream_id
        await stream.aclose()
        for _ in range(3):
            await trio.sleep(_LINGER * 0.9)
            async with peer.batch():
                await peer.send_window_update(0, 1)
                await peer.send_window_update(stream_id, 1)
        await peer.until(DataFrame, end_stream=True)
        ended = trio.current_time()
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        assert trio.current_time() - ended <= _LINGER


async def test_the_linger_does_not_wait_for_a_body_that_is_stuck(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", body=bytes(_WINDOW + 3))
        stream_id = (await peer.expect_headers()).stream_id
        await stream.aclose()
        closed = trio.current_time()
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.CANCEL)
        assert _LINGER <= trio.current_time() - closed <= _LINGER * 2
        assert client.statistics().queued_body == 0


async def test_data_of_the_peer_does_not_cut_what_is_queued(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", body=bytes(_WINDOW + 3))
        stream_id = (await peer.expect_headers()).stream_id
        await peer.send_headers(stream_id, {":status": "200"})
        await stream.aclose()
        await peer.send_data(stream_id, b"unwanted")
        assert await peer.collect_body(stream_id) == bytes(_WINDOW + 3)
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        assert stream.rst_code == ErrorCode.CANCEL


async def test_what_is_queued_is_dropped_when_the_response_has_ended(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", body=bytes(_WINDOW + 3))
        stream_id = (await peer.expect_headers()).stream_id
        await stream.aclose()
        await peer.respond(stream_id, body=b"unwanted")
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.NO_ERROR)
        await peer.expect_nothing(_LINGER * 2)
        assert stream.rst_code == ErrorCode.NO_ERROR


async def test_aclose_wakes_a_wait_for_the_response(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, _peer):
        stream = await client.open_stream("GET")

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_response()

        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                await stream.aclose()


async def test_aclose_while_another_task_sends(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        stream_id = (await peer.expect_headers()).stream_id

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(bytes(_WINDOW + 1))

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()

        async def receive_response() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_response()

        async with trio.open_nursery() as nursery:
            for task in (send, receive, receive_response):
                nursery.start_soon(task)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.CANCEL)
        assert not any(isinstance(frame, DataFrame) and frame.end_stream for frame in peer.frames)


async def test_aclose_after_the_session_broke(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        await peer.aclose()
        with pytest.raises(trio_h2.SessionError):
            await stream.receive_response()
        await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")


# -- in a hurry --------------------------------------------------------------------------------------------------------


async def test_a_cancelled_aclose_resets_at_once(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("POST", end_stream=False)
        await trio.aclose_forcefully(stream)
        await trio.aclose_forcefully(stream)
        stream_id = (await peer.expect_headers()).stream_id
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        await peer.expect_nothing()


async def test_a_cancelled_aclose_ends_the_linger_of_another(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("GET")
        stream_id = (await peer.expect_headers()).stream_id
        await stream.aclose()
        await peer.expect_nothing()
        await trio.aclose_forcefully(stream)
        started = trio.current_time()
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        assert trio.current_time() == started


async def test_a_block_that_ends_closes(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        async with await client.open_stream("POST", end_stream=False) as stream:
            await stream.send_all(b"abc")
        stream_id = (await peer.expect_headers()).stream_id
        assert await peer.collect_body(stream_id) == b"abc"
        await peer.respond(stream_id)


async def test_a_block_that_raises_resets_at_once(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        with pytest.raises(KeyError):
            async with await client.open_stream("POST", end_stream=False) as stream:
                await stream.send_all(b"abc")
                raise KeyError
        stream_id = (await peer.expect_headers()).stream_id
        await peer.expect_data(stream_id, b"abc", end_stream=False)
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)
        await peer.expect_nothing()


@pytest.mark.parity("C7")
@pytest.mark.parametrize("queued", [b"", bytes(_WINDOW + 1)])
async def test_leaving_a_request_early_resets_at_once(autojump_clock: MockClock, queued: bytes) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("POST", body=queued) as stream:
            stream_id = await answer(peer, b"part") if not queued else (await peer.expect_headers()).stream_id
            if not queued:
                assert await stream.receive_some() == b"part"
        left = trio.current_time()
        await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.CANCEL)
        assert trio.current_time() == left
        await peer.expect_nothing(_LINGER * 2)
        assert client.statistics().queued_body == 0


async def test_leaving_a_request_that_is_over_says_nothing(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        async with client.request("POST", body=b"abc") as stream:
            await peer.respond((await peer.expect_headers()).stream_id, body=b"unread")
            await peer.until(DataFrame, end_stream=True)
            with trio.testing.assert_checkpoints():
                await stream.receive_response()
        await peer.expect_nothing(_LINGER * 2)
        assert client.statistics().ledger.discarded == 6


async def test_leaving_a_request_by_an_error_resets(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        with pytest.raises(ZeroDivisionError):
            async with client.request("GET"):
                raise ZeroDivisionError
        stream_id = (await peer.expect_headers()).stream_id
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)


async def test_a_request_block_is_used_once(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        request = client.request("GET")
        async with request:
            await answer(peer, end_stream=True)
        with pytest.raises(RuntimeError, match="only once"):
            await request.__aenter__()
        await peer.expect_nothing()


@pytest.mark.parity("C7", "D2")
async def test_the_peer_learns_of_a_cancelled_request(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with pair(exchanges.handle, cancel_handler_on_reset=False) as (client, _server):
        with trio.move_on_after(1):
            async with client.request("POST", end_stream=False):
                await trio.sleep_forever()
        stream = await exchanges.next()
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await stream.receive_some()
        assert caught.value.code == ErrorCode.CANCEL
        exchanges.finish()


@pytest.mark.parity("C7")
async def test_a_cancelled_request_leaves_the_session_as_it_was(autojump_clock: MockClock) -> None:
    """RST_STREAM(CANCEL), the whole window of the connection given back, and the next request works."""
    config = trio_h2.ClientConfig(stream_window=_WINDOW, receive_budget=_WINDOW)
    async with scripted_server(config=config) as (client, peer):
        for number in range(3):
            with trio.move_on_after(1) as scope:
                async with client.request("GET") as stream:
                    await answer(peer, *[bytes(16_000)] * 3)
                    await stream.receive_some(100)
                    await trio.sleep_forever()
            assert scope.cancelled_caught
            assert stream.aborted is False  # the request itself had ended
            left = trio.current_time()
            await peer.until(RstStreamFrame, stream_id=2 * number + 1, code=ErrorCode.CANCEL)
            assert trio.current_time() == left
            ledger = client.statistics().ledger
            assert (ledger.held, ledger.discarded) == (0, (number + 1) * 47_900)
            assert client.state.local_window_size + client.state.effective_recv_data_length == _WINDOW
        async with client.request("GET") as stream:
            await answer(peer, b"fine", end_stream=True)
            assert [chunk async for chunk in stream] == [b"fine"]
