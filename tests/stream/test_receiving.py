"""What `receive_some` returns, when, and what becomes of the credit for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import answer, pair, scripted_server
from trio_h2._session import _reader
from trio_h2.testing import WindowUpdateFrame, pack_frame
from trio_h2.testing._frames import FrameType

if TYPE_CHECKING:
    from trio.testing import MockClock


@pytest.mark.parity("D1")
async def test_it_returns_what_is_buffered_and_keeps_the_rest(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, b"abc", b"defgh", b"", b"ij", end_stream=True)
        assert await stream.receive_some(1) == b"a"
        assert await stream.receive_some(4) == b"bcde"
        assert await stream.receive_some(3) == b"fgh"
        assert await stream.receive_some() == b"ij"
        assert await stream.receive_some() == b""
        assert await stream.receive_some(5) == b""


async def test_without_a_number_it_returns_at_most_64_kib(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, *[bytes([i]) * 16_384 for i in range(5)], end_stream=True)
        assert [len(chunk) async for chunk in stream] == [65_536, 16_384]


async def test_a_number_can_be_larger_than_that(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, *[bytes(16_384)] * 5, end_stream=True)
        assert len(await stream.receive_some(10**9)) == 5 * 16_384


async def test_it_never_waits_for_more_than_there_is(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer, b"x")
        with trio.fail_after(1):
            assert await stream.receive_some(100) == b"x"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send_data, stream_id, b"later")
            assert await stream.receive_some(100) == b"later"


@pytest.mark.parity("D1", "C3")
async def test_before_the_response_it_waits_for_it_and_keeps_it(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, peer, b"body")
            assert await stream.receive_some() == b"body"
        assert (await stream.receive_response()).status == 200
        assert (await stream.receive_response()).status == 200


async def test_a_response_without_a_body_ends_a_wait_for_one(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = (await peer.expect_headers()).stream_id
        got: list[bytes] = []

        async def receive() -> None:
            got.append(await stream.receive_some())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await peer.respond(stream_id, 204)
        assert got == [b""]


@pytest.mark.parity("D1", "K1")
@pytest.mark.parametrize("number", [0, -1])
async def test_a_number_below_one_is_refused(autojump_clock: MockClock, number: int) -> None:
    async with scripted_server() as (client, _peer), client.request("GET") as stream:
        with pytest.raises(ValueError, match="at least 1"):
            await stream.receive_some(number)


@pytest.mark.parametrize("number", [1.0, "1", True])
async def test_what_is_no_number_is_refused(autojump_clock: MockClock, number: object) -> None:
    async with scripted_server() as (client, _peer), client.request("GET") as stream:
        with pytest.raises(TypeError, match="must be an int"):
            await stream.receive_some(cast("int", number))


async def test_empty_data_and_padding_never_arrive_but_are_credited(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = (await peer.expect_headers()).stream_id
        async with peer.batch():
            await peer.send_headers(stream_id, {":status": "200"})
            await peer.send_data(stream_id)
            await peer.send_data(stream_id, padding=200)
            await peer.send_data(stream_id, b"x", padding=9)
            await peer.send_data(stream_id, padding=0)
        await peer.ping()
        ledger = client.statistics().ledger
        assert (ledger.received, ledger.taken, ledger.discarded) == (201 + 11 + 1, 0, 201 + 10 + 1)
        assert await stream.receive_some() == b"x"
        with trio.move_on_after(1) as scope:
            await stream.receive_some()
        assert scope.cancelled_caught
        await peer.send_data(stream_id, padding=3, end_stream=True)
        assert await stream.receive_some() == b""


async def test_the_stream_window_is_credited_when_data_is_taken(autojump_clock: MockClock) -> None:
    window = 70_000
    config = trio_h2.ClientConfig(stream_window=window)
    async with scripted_server(config=config) as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer)
        await peer.send_body(stream_id, bytes(window), end_stream=False)
        await peer.ping()
        assert peer.send_window(stream_id) == 0
        await stream.receive_some(window // 2 - 1)
        await peer.ping()
        assert peer.send_window(stream_id) == 0
        await stream.receive_some(1)
        await peer.ping()
        assert peer.send_window(stream_id) == window // 2  # one WINDOW_UPDATE for half a window
        assert client.statistics().ledger.held == window // 2


async def test_a_cancelled_wait_loses_nothing(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer)
        with trio.move_on_after(1):
            await stream.receive_some()
        await peer.send_data(stream_id, b"abc")
        assert await stream.receive_some() == b"abc"


async def test_a_cancelled_call_takes_nothing(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, b"abc")
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.receive_some()
        assert client.statistics().ledger.taken == 0
        assert await stream.receive_some() == b"abc"


async def test_a_chunk_handed_to_a_woken_task_is_accounted_once(autojump_clock: MockClock) -> None:
    """Between the chunk's hand-over and the task's next step the stream is torn down."""
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer)
        outcome: list[object] = []

        async def receive() -> None:
            try:
                outcome.append(await stream.receive_some())
            except trio.ClosedResourceError as exc:
                outcome.append(type(exc))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            _reader.received(client._core, pack_frame(FrameType.DATA, 0, stream_id, b"x" * 10))
            stream._core.discard()  # the task has its chunk, and has not run yet
            assert client.statistics().ledger.held == 10
        assert outcome == [trio.ClosedResourceError]
        ledger = client.statistics().ledger
        assert (ledger.received, ledger.taken, ledger.discarded) == (10, 0, 10)


async def test_a_chunk_handed_to_a_cancelled_task_is_not_lost(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        stream_id = await answer(peer)
        outcome: list[bytes] = []

        async def receive() -> None:
            outcome.append(await stream.receive_some())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            _reader.received(client._core, pack_frame(FrameType.DATA, 0, stream_id, b"abc"))
            nursery.cancel_scope.cancel()
        assert outcome == [b"abc"]
        assert client.statistics().ledger.taken == 3


async def test_what_was_received_outlives_the_session(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer):
        stream = await client.open_stream("GET")
        stream_id = await answer(peer, b"abc")
        unfinished = await client.open_stream("GET")
        await answer(peer, b"def")
        await peer.send_data(stream_id, b"!", end_stream=True)
        await peer.ping()
        await peer.aclose()
        with pytest.raises(trio_h2.SessionError):
            await client.wait_closed()
        assert await stream.receive_some() == b"abc!"
        assert await stream.receive_some() == b""
        assert await unfinished.receive_some() == b"def"
        with pytest.raises(trio_h2.SessionError):
            await unfinished.receive_some()
        await stream.aclose()
        await unfinished.aclose()


@pytest.mark.parity("K5")
async def test_after_the_own_close_nothing_can_be_received(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, b"abc", end_stream=True)
        await stream.aclose()
        for receive in (stream.receive_some, stream.receive_trailers):
            with pytest.raises(trio.ClosedResourceError):
                await receive()
        ledger = client.statistics().ledger
        assert (ledger.taken, ledger.discarded) == (0, 3)


async def test_a_read_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(b"abcdef")
        await stream.send_trailers({"t": "1"})

    async with pair(handler) as (client, _server), client.request("GET") as stream:
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_checkpoints():
            await stream.receive_response()
        with trio.testing.assert_checkpoints():
            assert await stream.receive_some(2) == b"ab"
        with trio.testing.assert_checkpoints():
            assert await stream.receive_some(2) == b"cd"
        with trio.testing.assert_checkpoints():
            assert await stream.receive_some() == b"ef"
        with trio.testing.assert_checkpoints():
            assert await stream.receive_some() == b""
        with trio.testing.assert_checkpoints():
            assert await stream.receive_trailers() is not None
        with trio.testing.assert_no_checkpoints():
            stream.reset()


async def test_each_chunk_of_an_iteration_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, *[bytes(16_384)] * 12, end_stream=True)
        iterator = aiter(stream)
        for _ in range(3):
            with trio.testing.assert_checkpoints():
                await anext(iterator)
        with pytest.raises(StopAsyncIteration), trio.testing.assert_no_checkpoints():
            await anext(iterator)  # the last chunk was the checkpoint


async def test_an_iteration_without_a_chunk_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with scripted_server() as (client, peer), client.request("GET") as stream:
        await answer(peer, b"", end_stream=True)
        for _ in range(2):
            with trio.testing.assert_checkpoints():
                assert [chunk async for chunk in stream] == []


async def test_one_update_for_many_small_reads(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig(stream_window=65_535)
    async with scripted_server(config=config) as (client, peer), client.request("GET") as stream:
        await answer(peer, bytes(16_000), bytes(16_000), bytes(7), end_stream=True)
        before = len([frame for frame in peer.frames if isinstance(frame, WindowUpdateFrame)])
        while await stream.receive_some(10):
            pass
        await peer.ping()
        updates = [frame for frame in peer.frames if isinstance(frame, WindowUpdateFrame)][before:]
        assert updates == []  # not half a window, and the peer's side has ended anyway
