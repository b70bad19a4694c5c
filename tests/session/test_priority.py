"""Who writes first: the `priority` field of requests (RFC 9218)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.session.scripted import served, settle
from trio_h2.testing import DataFrame, StallableStream

if TYPE_CHECKING:
    import trio

    from trio_h2 import ServerStream
    from trio_h2.testing import ScriptedPeer


async def handler(stream: ServerStream) -> None:
    await stream.respond(body=bytes(65_536 if stream.path == "/bulk" else 1000))


async def order_of_data(peer: ScriptedPeer, streams: int) -> list[int]:
    """Reads until so many streams have ended; returns whose DATA came in which order."""
    order: list[int] = []
    ended = 0
    while ended < streams:
        frame = await peer.receive_frame()
        if isinstance(frame, DataFrame):
            order.append(frame.stream_id)
            ended += frame.end_stream
    return order


async def test_an_urgent_response_overtakes_the_bulk(autojump_clock: object) -> None:
    walls: list[StallableStream] = []

    def wrap(transport: trio.abc.Stream) -> trio.abc.Stream:
        walls.append(StallableStream(transport))
        return walls[0]

    settings = {0x4: 1_000_000}
    async with served(handler, settings=settings, wrap=wrap) as (peer, _):
        await peer.send_window_update(0, 10_000_000)
        await peer.ping()
        walls[0].stall_send()
        for _ in range(10):
            await peer.request(path="/bulk")
        await settle()
        urgent = await peer.request(headers={"priority": "u=0"})
        await settle()
        walls[0].resume_send()
        order = await order_of_data(peer, 11)
        # Only the batch that was on its way when it came is before it.
        assert order.index(urgent) <= 5
        assert len(order) == 41


async def test_without_a_signal_streams_take_turns(autojump_clock: object) -> None:
    async with served(handler, settings={0x4: 1_000_000}) as (peer, _):
        await peer.send_window_update(0, 10_000_000)
        async with peer.batch():
            for _ in range(3):
                await peer.request(path="/bulk")
        order = await order_of_data(peer, 3)
        for turn in range(4):
            assert sorted(order[3 * turn : 3 * turn + 3]) == [1, 3, 5]


async def test_less_urgent_and_not_incremental(autojump_clock: object) -> None:
    async with served(handler, settings={0x4: 1_000_000}) as (peer, _):
        await peer.send_window_update(0, 10_000_000)
        async with peer.batch():
            late = await peer.request(path="/bulk", headers={"priority": "u=7"})
            first = await peer.request(path="/bulk", headers={"priority": "u=2"})
            second = await peer.request(path="/bulk", headers={"priority": "u=2"})
        order = await order_of_data(peer, 3)
        assert order == [first] * 4 + [second] * 4 + [late] * 4
