"""The wait for a stream's end, and the abrupt end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, answer, scripted_client, scripted_server
from trio_h2 import ErrorCode, Initiator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock


@pytest.mark.parity("D3")
async def test_the_end_comes_when_both_sides_have_ended(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("POST", end_stream=False) as stream:
        await answer(peer, b"hello", end_stream=True)
        with trio.move_on_after(1) as scope:
            await stream.wait_closed()
        assert scope.cancelled_caught
        await stream.send_eof()
        with trio.testing.assert_checkpoints():
            await stream.wait_closed()
        assert await stream.receive_some() == b"hello"


@pytest.mark.parity("D3", "K4")
async def test_a_reset_raises_where_it_was_not_our_own(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer):
        async with session.request("GET") as stream:
            await peer.expect_headers(1)
            await peer.send_rst(1, ErrorCode.INTERNAL_ERROR)
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await stream.wait_closed()
            assert (caught.value.code, caught.value.initiator) == (ErrorCode.INTERNAL_ERROR, Initiator.REMOTE)
        async with session.request("GET") as stream:
            stream.reset(ErrorCode.CANCEL)
            await stream.wait_closed()


@pytest.mark.parity("D3")
async def test_the_wait_ends_with_the_session(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)
        await peer.aclose()
        with pytest.raises(trio_h2.SessionError):
            await stream.wait_closed()


@pytest.mark.parity("D3")
async def test_a_server_can_wait_for_its_response_to_leave(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.request()
        stream = await exchanges.next()
        await stream.respond(body=bytes(100_000))
        with trio.move_on_after(1) as scope:
            await stream.wait_closed()
        assert scope.cancelled_caught  # the window is used up
        await peer.expect_headers(1)
        assert len(await peer.collect_body(1)) == 100_000
        await stream.wait_closed()
        exchanges.finish()


@pytest.mark.parity("D3")
async def test_no_more_wanted_is_no_failure(autojump_clock: MockClock) -> None:
    """RFC 9113 §8.1: RST_STREAM(NO_ERROR) after a complete response."""
    async with scripted_server() as (session, peer), session.request("POST", end_stream=False) as stream:
        await peer.expect_headers(1)
        await peer.respond(1, body=b"enough")
        await peer.send_rst(1, ErrorCode.NO_ERROR)
        await stream.wait_closed()


@pytest.mark.parity("D7b")
@pytest.mark.parametrize("error", [None, ZeroDivisionError("a bug")])
async def test_destroy_drops_and_resets(error: Exception | None, autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, peer), session.request("POST", end_stream=False) as stream:
        await answer(peer, b"unread")
        assert session.statistics().ledger.held == 6
        with trio.testing.assert_no_checkpoints():
            stream.destroy(error)
        assert (stream.destroyed, stream.aborted) == (True, True)
        assert session.statistics().ledger.held == 0
        await peer.expect_rst(1, ErrorCode.CANCEL if error is None else ErrorCode.INTERNAL_ERROR)
        stream.destroy(ValueError("too late"))
        await peer.expect_nothing()
        with pytest.raises(trio.ClosedResourceError) as caught:
            await stream.receive_some()
        assert caught.value.__cause__ is error
        with pytest.raises(trio.ClosedResourceError) as caught:
            await stream.send_all(b"x")
        assert caught.value.__cause__ is error


@pytest.mark.parity("D7b")
@pytest.mark.parametrize("server", [False, True])
async def test_whoever_waits_gets_the_error(server: bool, autojump_clock: MockClock) -> None:
    error = ZeroDivisionError("a bug")

    async def raises(operation: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(trio.ClosedResourceError) as caught:
            await operation()
        assert caught.value.__cause__ is error

    async def check(stream: trio_h2.Stream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raises, stream.receive_some)
            nursery.start_soon(raises, partial(stream.send_all, bytes(100_000)))
            nursery.start_soon(raises, stream.wait_closed)
            if isinstance(stream, trio_h2.ClientStream):
                nursery.start_soon(raises, stream.receive_response)
            await trio.testing.wait_all_tasks_blocked()
            stream.destroy(error)

    if server:
        exchanges = Exchanges()
        async with scripted_client(exchanges.handle) as (_session, peer):
            await peer.request(end_stream=False)
            stream = await exchanges.next()
            await stream.respond()
            await check(stream)
            exchanges.finish()
    else:
        async with scripted_server() as (session, peer), session.request("POST", end_stream=False) as opened:
            await peer.expect_headers(1)
            await check(opened)


@pytest.mark.parity("D7b", "K1")
async def test_only_exceptions_explain_an_end(autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, _peer), session.request("GET") as stream:
        with pytest.raises(TypeError, match="error must be an exception"):
            stream.destroy(cast("Exception", "because"))
        assert not stream.destroyed
