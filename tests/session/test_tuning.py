"""Windows that grow with the path: a long one is filled, a slow reader gets no more, and the budget stays."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.stream.harness import check_open, check_over
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from trio.testing import MockClock

_MB = 1_000_000
_WINDOW = 256 * 1024
_DELAY = 0.025
"""Seconds one way: a round trip of 50 ms."""


class _Distant(trio.abc.HalfCloseableStream):
    """A transport whose bytes arrive some time after they were sent, however many they are."""

    def __init__(self, below: trio.abc.HalfCloseableStream, sent: deque[float], received: deque[float]) -> None:
        self._below = below
        self._sent = sent
        self._received = received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._sent.extend([trio.current_time() + _DELAY] * len(memoryview(data)))
        await self._below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._below.receive_some(max_bytes)
        if data:
            await trio.sleep_until(self._received[len(data) - 1])
            for _ in data:
                self._received.popleft()
        return data

    async def send_eof(self) -> None:
        await self._below.send_eof()

    async def aclose(self) -> None:
        await self._below.aclose()


async def _download(size: int, config: trio_h2.ClientConfig, pause: float = 0.0) -> tuple[float, int, int]:
    """Returns the seconds that a download took, the largest window beyond the initial one, and the most ever held."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(bytes(size))

    there: deque[float] = deque()
    back: deque[float] = deque()
    async with session_pair(
        handler,
        client_config=config,
        wrap_client=lambda end: _Distant(end, there, back),
        wrap_server=lambda end: _Distant(end, back, there),
    ) as (client, _server):
        started = trio.current_time()
        grown = held = received = 0
        async with client.request("GET") as stream:
            async for chunk in stream:
                received += len(chunk)
                held = max(held, client.statistics().ledger.held)
                grown = max(grown, client._core.engine.windows.budget.extra)
                if pause:
                    await trio.sleep(pause)
        assert received == size
        seconds = trio.current_time() - started
        check_open(client)
    check_over(client)
    return seconds, grown, held


def _config(budget: int) -> trio_h2.ClientConfig:
    return trio_h2.ClientConfig(stream_window=_WINDOW, receive_budget=budget, peer_max_concurrent_streams=10)


async def test_a_long_path_gets_a_larger_window(autojump_clock: MockClock) -> None:
    slow, grown, _ = await _download(20 * _MB, _config(10 * _WINDOW))
    assert grown == 0  # there is no free rest
    fast, grown, held = await _download(20 * _MB, _config(100 * _WINDOW))
    assert grown > 10 * _WINDOW
    assert held <= 100 * _WINDOW
    assert fast < slow / 4


async def test_the_window_grows_out_of_the_free_rest_only(autojump_clock: MockClock) -> None:
    _, grown, held = await _download(10 * _MB, _config(11 * _WINDOW))
    assert 0 < grown <= _WINDOW
    assert held <= 2 * _WINDOW


async def test_a_slow_reader_gets_no_larger_window(autojump_clock: MockClock) -> None:
    _, grown, held = await _download(3 * _MB, _config(100 * _WINDOW), pause=1.0)
    assert grown <= 2 * _WINDOW
    assert held <= 3 * _WINDOW
