"""Pushed responses wait for the client's limit of concurrent streams, first come, first served (RFC 9113 §5.1.2)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import Exchanges, scripted_client
from trio_h2 import SettingCode, StreamResetError
from trio_h2.testing import DataFrame, HeadersFrame, PushPromiseFrame, ScriptedPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

settle = trio.testing.wait_all_tasks_blocked


@dataclass
class _Line:
    """Promises that were made, to a client that allows some of their responses."""

    session: trio_h2.ServerSession
    peer: ScriptedPeer
    parent: trio_h2.ServerStream
    pushes: list[trio_h2.ServerStream]


@asynccontextmanager
async def _line(limit: int | None, promises: int = 4, **config: int) -> AsyncIterator[_Line]:
    settings = {} if limit is None else {SettingCode.MAX_CONCURRENT_STREAMS: limit}
    ours = trio_h2.ServerConfig(send_date=False).evolve(**config)
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, settings=settings, config=ours) as (session, peer):
        await peer.request("GET", "/")
        parent = await exchanges.next()
        pushes = []
        for number in range(promises):
            pushes.append(await parent.push({":path": f"/{number}"}))
            await peer.expect(PushPromiseFrame, promised_stream_id=2 + 2 * number)
        yield _Line(session, peer, parent, pushes)
        exchanges.finish()


async def _opened(peer: ScriptedPeer) -> list[int]:
    """Returns the streams whose headers have come, in order."""
    await peer.ping()
    await settle()
    await peer.ping()
    return [frame.stream_id for frame in peer.frames if isinstance(frame, HeadersFrame)]


@pytest.mark.parity("E3")
async def test_promises_go_out_and_responses_take_turns(autojump_clock: MockClock) -> None:
    async with _line(1) as line, trio.open_nursery() as nursery:
        for pushed in line.pushes:
            nursery.start_soon(pushed.respond)
            await settle()
        assert await _opened(line.peer) == [2]
        assert line.session.statistics().waiting_for_slot == 3
        assert [pushed.state.name for pushed in line.pushes[:2]] == ["half-closed (remote)", "reserved (local)"]
        await line.pushes[0].send_eof()
        assert await _opened(line.peer) == [2, 4]
        line.pushes[1].reset()
        assert await _opened(line.peer) == [2, 4, 6]
        await line.peer.send_rst(6)
        assert await _opened(line.peer) == [2, 4, 6, 8]
        assert line.session.statistics().waiting_for_slot == 0


async def test_a_larger_limit_lets_more_go(autojump_clock: MockClock) -> None:
    async with _line(0) as line, trio.open_nursery() as nursery:
        for pushed in line.pushes:
            nursery.start_soon(pushed.respond)
            await settle()
        assert await _opened(line.peer) == []
        await line.peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 3})
        assert await _opened(line.peer) == [2, 4, 6]
        nursery.cancel_scope.cancel()


@pytest.mark.parity("H7")
async def test_what_is_assumed_of_a_client_that_names_no_limit(autojump_clock: MockClock) -> None:
    async with _line(None, peer_max_concurrent_streams=2) as line, trio.open_nursery() as nursery:
        for pushed in line.pushes:
            nursery.start_soon(pushed.respond)
            await settle()
        assert await _opened(line.peer) == [2, 4]
        nursery.cancel_scope.cancel()


async def test_requests_take_no_place_of_pushes(autojump_clock: MockClock) -> None:
    async with _line(1, promises=1) as line:
        await line.parent.respond()
        await line.peer.request("GET", "/other")
        await line.pushes[0].respond(body=b"x")
        assert await _opened(line.peer) == [1, 2]


async def test_interim_responses_wait_too_and_take_the_turn(autojump_clock: MockClock) -> None:
    """An interim response is what opens the stream."""
    async with _line(1, promises=2) as line, trio.open_nursery() as nursery:
        first, second = line.pushes
        await first.send_informational(103)
        nursery.start_soon(second.send_informational, 103)
        assert await _opened(line.peer) == [2]
        await first.respond(204)
        assert await _opened(line.peer) == [2, 2, 4]


async def test_who_gives_up_leaves_the_line_and_can_come_back(autojump_clock: MockClock) -> None:
    async with _line(1) as line, trio.open_nursery() as nursery:
        first, second, third, _ = line.pushes
        await first.respond()
        with trio.move_on_after(1) as scope:
            nursery.start_soon(third.respond)
            await second.respond()
        assert scope.cancelled_caught
        assert not second.headers_sent
        await first.send_eof()
        assert await _opened(line.peer) == [2, 6]
        await third.send_eof()
        await second.respond(body=b"after all")
        assert await _opened(line.peer) == [2, 6, 4]
        await line.peer.pick(DataFrame, stream_id=4, data=b"after all", end_stream=True)


@pytest.mark.parametrize("who", ["client", "server"])
async def test_reset_while_it_waits(who: str, autojump_clock: MockClock) -> None:
    async with _line(1, promises=3) as line, trio.open_nursery() as nursery:
        first, second, third = line.pushes
        await first.respond()
        nursery.start_soon(third.respond)
        await settle()

        @nursery.start_soon
        async def respond() -> None:
            with pytest.raises(StreamResetError):
                await second.respond()

        await settle()
        assert line.session.statistics().waiting_for_slot == 2
        if who == "client":
            await line.peer.send_rst(4)
        else:
            second.reset()
        await settle()
        assert line.session.statistics().waiting_for_slot == 1
        await first.send_eof()
        assert await _opened(line.peer) == [2, 6]


async def test_closed_while_it_waits(autojump_clock: MockClock) -> None:
    async with _line(0, promises=1) as line, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def respond() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await line.pushes[0].respond()

        await settle()
        await line.pushes[0].aclose()
        await settle()
        assert line.session.statistics().waiting_for_slot == 0


async def test_not_wanted_while_it_waits(autojump_clock: MockClock) -> None:
    """The client says so without an error, so this is none: as with the rest of a request's response."""
    async with _line(0, promises=2) as line, trio.open_nursery() as nursery:
        for pushed in line.pushes:
            nursery.start_soon(pushed.respond)
            await settle()
        await line.peer.send_rst(4, trio_h2.ErrorCode.NO_ERROR)
        await settle()
        assert line.session.statistics().waiting_for_slot == 1
        assert line.pushes[1].headers_sent
        nursery.cancel_scope.cancel()
    assert not line.pushes[0].headers_sent


async def test_the_session_ends_while_they_wait(autojump_clock: MockClock) -> None:
    async with _line(0, promises=2) as line, trio.open_nursery() as nursery:

        async def respond(pushed: trio_h2.ServerStream) -> None:
            with pytest.raises(trio_h2.SessionError):
                await pushed.respond()

        for pushed in line.pushes:
            nursery.start_soon(respond, pushed)
        await settle()
        line.parent._core.scope = trio.CancelScope()  # the handler outlives its session
        await line.peer.aclose()


@asynccontextmanager
async def _crowded(*, interim: bool = False) -> AsyncIterator[_Line]:
    """A promise on its way to a client that allows one response and reads nothing, and one that fills the queue."""
    exchanges = Exchanges()
    config = trio_h2.ServerConfig(send_date=False, max_queued_control=1000)
    settings = {SettingCode.MAX_CONCURRENT_STREAMS: 1}
    async with scripted_client(exchanges.handle, config=config, settings=settings, capacity=10) as (session, peer):
        await peer.request("GET", "/")
        parent = await exchanges.next()
        first = await parent.push()
        if interim:
            await first.send_informational(103)
        await settle()  # the transport takes no more
        await parent.push({"x-large": "x" * 3000})
        yield _Line(session, peer, parent, [first])
        exchanges.finish()
        await peer.until(HeadersFrame, stream_id=1)


@pytest.mark.parametrize("interim", [False, True])
async def test_they_wait_while_too_much_is_queued(interim: bool, autojump_clock: MockClock) -> None:
    """In the line; after an interim response, which has taken the turn, for room only."""
    async with _crowded(interim=interim) as line, trio.open_nursery() as nursery:
        nursery.start_soon(line.pushes[0].respond)
        await settle()
        assert not line.pushes[0].headers_sent
        assert line.session.statistics().waiting_for_slot == (0 if interim else 1)
        await line.peer.until(PushPromiseFrame, promised_stream_id=4)
        await line.peer.expect_headers(2)


async def test_promises_wait_while_too_much_is_queued(autojump_clock: MockClock) -> None:
    async with _crowded() as line:
        with trio.move_on_after(1) as scope:
            await line.parent.push({":path": "/cancelled"})
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.parent.push, {":path": "/last"})
            await line.peer.until(PushPromiseFrame, promised_stream_id=4)
            assert (await line.peer.expect(PushPromiseFrame, promised_stream_id=6)).get(":path") == "/last"


async def test_the_client_forbids_a_push_that_waits(autojump_clock: MockClock) -> None:
    async with _crowded() as line, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def push() -> None:
            late = await line.parent.push()
            assert late.closed

        await settle()
        await line.peer.send_settings({SettingCode.ENABLE_PUSH: 0})
        await settle()
        await line.peer.until(PushPromiseFrame, promised_stream_id=4)
        await line.peer.ping()
