"""Which stream writes next: in turns without a signal, by urgency with one (RFC 9218), and nobody starves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import pair, scripted_client, scripted_server
from trio_h2 import SettingCode
from trio_h2.testing import DataFrame, session_pair

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

_FRAME = 16_384
_WIDE = {SettingCode.INITIAL_WINDOW_SIZE: 2**24}


async def _bulk(stream: trio_h2.ServerStream) -> None:
    """Sends as many frames as the path says."""
    await stream.respond(body=bytes(_FRAME * int(stream.path[1:])))


async def _request_all(peer: ScriptedPeer, requests: Iterable[tuple[str, str | None]]) -> list[int]:
    """Asks for all of it in one read of the server; returns the order of the ids of the DATA frames that come."""
    await peer.send_window_update(0, 2**24)
    frames = 0
    async with peer.batch():
        for path, priority in requests:
            await peer.request(path=path, headers={} if priority is None else {"priority": priority})
            frames += int(path[1:])
    return [(await peer.pick(DataFrame)).stream_id for _ in range(frames)]


async def test_without_a_signal_streams_take_turns(autojump_clock: MockClock) -> None:
    async with scripted_client(_bulk, settings=_WIDE) as (_server, peer):
        order = await _request_all(peer, [("/5", None)] * 4)
        rounds = [order[start : start + 4] for start in range(0, 20, 4)]
        assert [sorted(ids) for ids in rounds] == [[1, 3, 5, 7]] * 5


async def test_an_urgent_response_overtakes_the_bulk(autojump_clock: MockClock) -> None:
    async with scripted_client(_bulk, settings=_WIDE, capacity=1000) as (_server, peer):
        order = await _request_all(peer, [("/20", None)] * 10 + [("/2", "u=0")])
        # At most one batch (64 KiB and a frame) of the others can have left before it was asked for.
        assert max(index for index, stream_id in enumerate(order) if stream_id == 21) <= 6


@pytest.mark.parametrize("whole", [True, False])
async def test_a_small_body_does_not_overtake_one_that_waits(whole: bool, autojump_clock: MockClock) -> None:
    """Small bodies are framed at once, but only where nobody waits for a turn."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path != "/small":
            await _bulk(stream)
        elif whole:
            await stream.respond(body=b"small")
        else:
            await stream.respond(200)
            await stream.send_all(b"small")

    async with scripted_client(handler, settings=_WIDE, capacity=1000) as (_server, peer):
        await peer.send_window_update(0, 2**24)
        await peer.request(path="/20", headers={"priority": "u=0"})
        await trio.testing.wait_all_tasks_blocked()
        await peer.request(path="/small", headers={"priority": "u=7"})
        await trio.testing.wait_all_tasks_blocked()
        order = [(await peer.pick(DataFrame)).stream_id for _ in range(21)]
        assert order == [1] * 20 + [3]


async def test_a_priority_in_several_lines(autojump_clock: MockClock) -> None:
    """RFC 9651 §3: lines of one name are one value."""
    async with scripted_client(_bulk, settings=_WIDE) as (_server, peer):
        await peer.send_window_update(0, 2**24)
        async with peer.batch():
            for _ in range(2):
                await peer.request(path="/4", headers=[("priority", "u=2"), ("priority", "i")])
        order = [(await peer.pick(DataFrame)).stream_id for _ in range(8)]
        assert sorted(order[:2]) == sorted(order[2:4]) == [1, 3]


async def test_a_small_body_has_to_fit_its_window(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(body=b"small")

    async with scripted_client(handler, settings={SettingCode.INITIAL_WINDOW_SIZE: 4}) as (_server, peer):
        await peer.request()
        assert (await peer.pick(DataFrame)).data == b"smal"
        await peer.send_window_update(1, 1)
        rest = await peer.pick(DataFrame)
        assert (rest.data, rest.end_stream) == (b"l", True)


async def test_a_background_response_waits_for_all_others(autojump_clock: MockClock) -> None:
    async with scripted_client(_bulk, settings=_WIDE) as (_server, peer):
        order = await _request_all(peer, [("/3", "u=7"), ("/10", None), ("/10", "u=5")])
        assert order[-3:] == [1, 1, 1]


async def test_what_is_not_incremental_comes_one_after_the_other(autojump_clock: MockClock) -> None:
    async with scripted_client(_bulk, settings=_WIDE) as (_server, peer):
        assert await _request_all(peer, [("/4", "u=3")] * 3) == [1] * 4 + [3] * 4 + [5] * 4


async def test_incremental_ones_of_one_urgency_take_turns(autojump_clock: MockClock) -> None:
    async with scripted_client(_bulk, settings=_WIDE) as (_server, peer):
        order = await _request_all(peer, [("/4", "u=2, i")] * 2)
        assert sorted(order[:2]) == sorted(order[2:4]) == [1, 3]


async def test_an_urgent_stream_without_a_window_holds_up_nobody(autojump_clock: MockClock) -> None:
    async with scripted_client(_bulk, settings={SettingCode.INITIAL_WINDOW_SIZE: _FRAME}) as (_server, peer):
        await peer.request(path="/2", headers={"priority": "u=0"})
        await peer.request(path="/1")
        assert [(await peer.pick(DataFrame)).stream_id for _ in range(2)] == [1, 3]
        await peer.send_window_update(1, _FRAME)
        assert (await peer.pick(DataFrame)).end_stream


async def test_uploads_take_turns(autojump_clock: MockClock) -> None:
    closed = {SettingCode.INITIAL_WINDOW_SIZE: 0}
    async with scripted_server(settings=closed) as (client, peer), trio.open_nursery() as nursery:

        async def upload() -> None:
            async with client.request("PUT", body=bytes(_FRAME * 6)) as stream:
                await stream.receive_response()

        for _ in range(3):
            nursery.start_soon(upload)
        await trio.testing.wait_all_tasks_blocked()
        await peer.send_window_update(0, 2**24)
        await peer.send_settings(_WIDE)  # opens all windows at once
        order = [(await peer.pick(DataFrame)).stream_id for _ in range(18)]
        assert [sorted(order[start : start + 3]) for start in range(0, 18, 3)] == [[1, 3, 5]] * 6
        for stream_id in (1, 3, 5):
            await peer.respond(stream_id)


@pytest.mark.parametrize("bulk_direction", ["down", "up"])
async def test_small_responses_beside_a_bulk_one(autojump_clock: MockClock, bulk_direction: str) -> None:
    """A line of 1 MiB/s: what is in front of a small response is a batch or two, not the bulk."""
    speed = 1024 * 1024

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/bulk":
            await stream.respond(200)
            if bulk_direction == "down":
                await stream.send_all(bytes(30 * speed))
            await stream.receive_trailers()
        else:
            await stream.respond(body=b"small")

    latencies: list[float] = []
    async with session_pair(
        handler,
        wrap_client=lambda end: _Line(end, speed),
        wrap_server=lambda end: _Line(end, speed),
    ) as (client, _server):
        upload = bytes(30 * speed) if bulk_direction == "up" else b""
        async with client.request("POST", "/bulk", body=upload) as bulk, trio.open_nursery() as nursery:

            async def drain() -> None:
                async for _chunk in bulk:
                    pass

            async def small() -> None:
                started = trio.current_time()
                async with client.request("GET", "/small") as stream:
                    assert await stream.receive_some() == b"small"
                latencies.append(trio.current_time() - started)

            nursery.start_soon(drain)
            await trio.sleep(3)
            for _ in range(50):
                await small()
            nursery.cancel_scope.cancel()
    assert sorted(latencies)[48] < 0.3


class _Line(trio.abc.HalfCloseableStream):
    """A transport that takes its time for every byte."""

    def __init__(self, below: trio.abc.HalfCloseableStream, speed: float) -> None:
        self._below = below
        self._speed = speed

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.sleep(len(memoryview(data)) / self._speed)
        await self._below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._below.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._below.send_eof()

    async def aclose(self) -> None:
        await self._below.aclose()


async def test_many_small_ones_do_not_starve_the_bulk(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(body=bytes(3_000_000 if stream.path == "/bulk" else 30_000))

    async with pair(handler) as (client, _server), trio.open_nursery() as nursery:

        async def small() -> None:
            while True:
                async with client.request("GET", "/small") as stream:
                    async for _chunk in stream:
                        pass
                done.append("small")

        done: list[str] = []
        for _ in range(20):
            nursery.start_soon(small)
        async with client.request("GET", "/bulk") as bulk:
            async for _chunk in bulk:
                pass
        assert 20 < len(done) < 5000
        nursery.cancel_scope.cancel()
