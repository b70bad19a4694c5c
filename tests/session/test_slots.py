"""Waiting for a stream (RFC 9113 §5.1.2)."""

from __future__ import annotations

import pytest
import trio

from tests.session.scripted import Wrapped, connected, settle
from trio_h2 import ClientConfig, ClientSession, ClientStream, PushedStream, SessionError
from trio_h2.testing import HeadersFrame, ScriptedPeer, StallableStream

MAX_STREAMS = 0x3


async def open_some(nursery: trio.Nursery, session: ClientSession, count: int) -> list[tuple[int, ClientStream]]:
    """Asks for streams, one after the other; the result fills up as they are opened."""
    opened: list[tuple[int, ClientStream]] = []

    async def open_one(number: int) -> None:
        opened.append((number, await session.open_stream("GET", f"/{number}")))

    for number in range(count):
        nursery.start_soon(open_one, number)
        await settle()
    return opened


async def answer(peer: ScriptedPeer, stream: ClientStream) -> None:
    await peer.respond(stream.id)
    await stream.receive_response()
    await settle()


@pytest.mark.parity("C2")
async def test_first_come_first_served(autojump_clock: object) -> None:
    async with connected(settings={MAX_STREAMS: 2}) as (session, peer), trio.open_nursery() as nursery:
        opened = await open_some(nursery, session, 5)
        assert [number for number, _ in opened] == [0, 1]
        assert session.statistics().waiting_for_slot == 3
        for index in range(5):
            await answer(peer, opened[index][1])
        assert [number for number, _ in opened] == [0, 1, 2, 3, 4]
        assert [stream.id for _, stream in opened] == [1, 3, 5, 7, 9]


@pytest.mark.parity("C2")
async def test_nobody_overtakes_the_line(autojump_clock: object) -> None:
    """Whoever comes in the moment in which slots are free, but not taken yet, is last all the same."""
    async with connected(settings={MAX_STREAMS: 3}) as (session, _), trio.open_nursery() as nursery:
        opened = await open_some(nursery, session, 6)
        order: list[str] = []

        async def late() -> None:
            await session.open_stream("GET", "/late")
            order.append("late")

        for _, stream in opened[:3]:
            stream.reset()
        nursery.start_soon(late)
        await settle()
        assert [number for number, _ in opened] == [0, 1, 2, 3, 4, 5]
        assert not order
        opened[3][1].reset()
        await settle()
        assert order == ["late"]


@pytest.mark.parity("C2", "H7")
async def test_before_settings_a_hundred_are_assumed(autojump_clock: object) -> None:
    async with connected(handshake=False) as (session, peer), trio.open_nursery() as nursery:
        opened = await open_some(nursery, session, 103)
        assert len(opened) == 100
        await peer.handshake({MAX_STREAMS: 102})
        await settle()
        assert len(opened) == 102
        await peer.send_settings()  # names no number: the old one counts
        await settle()
        assert len(opened) == 102
        await peer.send_settings({MAX_STREAMS: 103})
        await settle()
        assert len(opened) == 103


@pytest.mark.parity("C2")
async def test_who_gives_up_leaves_the_line(autojump_clock: object) -> None:
    async with connected(settings={MAX_STREAMS: 1}) as (session, peer), trio.open_nursery() as nursery:
        opened = await open_some(nursery, session, 1)
        scopes = [trio.CancelScope(), trio.CancelScope()]

        async def give_up(scope: trio.CancelScope) -> None:
            with scope:
                await session.open_stream("GET", "/never")

        nursery.start_soon(give_up, scopes[0])
        await settle()
        nursery.start_soon(give_up, scopes[1])
        await settle()
        later = await open_some(nursery, session, 2)
        scopes[1].cancel()
        scopes[0].cancel()
        await settle()
        assert session.statistics().waiting_for_slot == 2
        await answer(peer, opened[0][1])
        await answer(peer, later[0][1])
        assert [number for number, _ in later] == [0, 1]
        await peer.ping()
        paths = [frame.get(":path") for frame in peer.frames if isinstance(frame, HeadersFrame)]
        assert paths == ["/0", "/0", "/1"]


@pytest.mark.parity("C2")
async def test_cancelled_in_the_moment_of_its_turn(autojump_clock: object) -> None:
    """The slot goes to the next in line."""
    async with connected(settings={MAX_STREAMS: 1}) as (session, peer), trio.open_nursery() as nursery:
        opened = await open_some(nursery, session, 1)
        scope = trio.CancelScope()

        async def unlucky() -> None:
            with scope:
                async with session.request("GET"):
                    await trio.lowlevel.checkpoint()
                    raise AssertionError("it was cancelled before")

        nursery.start_soon(unlucky)
        await settle()
        later = await open_some(nursery, session, 1)
        opened[0][1].reset()
        scope.cancel()
        await settle()
        assert len(later) == 1
        await answer(peer, later[0][1])


@pytest.mark.parity("C1")
async def test_ids_that_are_used_up(autojump_clock: object) -> None:
    async with connected(settings={MAX_STREAMS: 1}) as (session, peer):
        session._core.engine.highest_outbound_id = 2**31 - 3
        last = await session.open_stream("GET")
        assert last.id == 2**31 - 1
        for _ in range(3):
            with pytest.raises(SessionError, match="used up") as caught:
                await session.open_stream("GET")
            assert caught.value.retryable
        assert session.statistics().waiting_for_slot == 0
        await peer.expect_headers(2**31 - 1)
        await answer(peer, last)


async def test_requests_wait_for_room_among_the_control_bytes(autojump_clock: object) -> None:
    """And are woken when the transport takes them, though no stream ends meanwhile."""
    wall = Wrapped(StallableStream)
    config = ClientConfig(max_queued_control=1000)
    async with connected(wrap=wall, config=config) as (session, peer), trio.open_nursery() as nursery:
        await settle()
        wall.stream.stall_send()
        opened: list[ClientStream] = []

        async def open_one(number: int) -> None:
            opened.append(await session.open_stream("GET", headers={"x": f"{number}" + "~" * 900}))

        for number in range(10):
            nursery.start_soon(open_one, number)
        await settle()
        assert 0 < len(opened) < 10
        wall.stream.resume_send()
        await settle()
        assert len(opened) == 10
        for stream_id in sorted(stream.id for stream in opened):
            await peer.expect_headers(stream_id)


async def test_the_receive_budget_bounds_the_streams_too(autojump_clock: object) -> None:
    """A client whose server allows more streams than B / window waits for a slot at that count."""
    config = ClientConfig(stream_window=65_535, receive_budget=3 * 65_535)
    async with connected(config=config) as (session, peer), trio.open_nursery() as nursery:
        opened = await open_some(nursery, session, 5)
        assert len(opened) == 3
        await answer(peer, opened[1][1])
        assert len(opened) == 4
        nursery.cancel_scope.cancel()


# -- how many are free -------------------------------------------------------------------------------------------------


@pytest.mark.parity("C2")
async def test_free_streams_are_those_that_the_server_allows(autojump_clock: object) -> None:
    async with connected(handshake=False) as (session, peer), trio.open_nursery() as nursery:
        assert session.free_streams == 100  # until the server says something else
        await peer.handshake({MAX_STREAMS: 3})
        await settle()
        assert session.free_streams == 3
        opened = await open_some(nursery, session, 2)
        assert session.free_streams == 1
        await open_some(nursery, session, 2)
        assert session.free_streams == 0
        assert session.statistics().waiting_for_slot == 1
        await peer.send_settings({MAX_STREAMS: 6})
        await settle()
        assert session.free_streams == 2
        await answer(peer, opened[0][1])
        assert session.free_streams == 3
        await peer.send_settings({MAX_STREAMS: 0})
        await settle()
        assert session.free_streams == 0


@pytest.mark.parity("C2")
async def test_free_streams_are_those_that_the_budget_has_room_for(autojump_clock: object) -> None:
    """By default 128 at once, however many the server allows."""
    async with connected(settings={MAX_STREAMS: 1000}) as (session, peer), trio.open_nursery() as nursery:
        assert session.free_streams == 128
        stalled = [await session.open_stream("GET", "/stalled") for _ in range(128)]
        assert session.free_streams == 0
        opened = await open_some(nursery, session, 2)
        assert not opened  # quick requests wait, too
        stalled[0].reset()
        await settle()
        assert (len(opened), session.free_streams, session.statistics().waiting_for_slot) == (1, 0, 1)
        await answer(peer, stalled[1])
        assert (len(opened), session.free_streams, session.statistics().waiting_for_slot) == (2, 0, 0)
        # A response that has come whole keeps no more room than its bytes.
        await peer.respond(stalled[2].id, body=b"unread")
        await settle()
        assert session.free_streams == 0
        await stalled[2].receive_some()
        await settle()
        assert session.free_streams == 1


async def test_no_streams_are_free_on_a_session_that_ends(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        assert session.free_streams == 100
        async with session.request("GET"):
            await peer.expect_headers()
            await peer.send_goaway(1)
            await settle()
            assert session.free_streams == 0
    assert session.free_streams == 0


async def test_streams_without_windows_are_bounded_by_the_server_alone(autojump_clock: object) -> None:
    config = ClientConfig(stream_window=0)
    async with connected(config=config, settings={MAX_STREAMS: 100_000}) as (session, _):
        assert session.free_streams == 100_000


async def test_pushes_keep_their_room(autojump_clock: object) -> None:
    async def handler(stream: PushedStream) -> None:
        """Takes what comes."""

    config = ClientConfig(stream_window=1_000_000, receive_budget=20_000_000)
    settings = {MAX_STREAMS: 1000}
    async with connected(config=config, settings=settings, push_handler=handler) as (session, _):
        assert session.free_streams == 20 - config.max_concurrent_pushes
