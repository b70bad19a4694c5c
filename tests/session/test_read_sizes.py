"""How much one read takes at most: more where more arrives at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
import trio.testing

from tests.session.scripted import served
from trio_h2 import ServerConfig, ServerStream
from trio_h2.testing import FaultyStream

if TYPE_CHECKING:
    from trio.testing import MockClock

KIB = 1024


class Watched(FaultyStream):
    """Notes what is asked of it, and how much comes."""

    def __init__(self, below: trio.abc.Stream) -> None:
        super().__init__(below)
        self.reads: list[tuple[int | None, int]] = []

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = await super().receive_some(max_bytes)
        self.reads.append((max_bytes, len(data)))
        return data


async def test_reads_grow_with_what_arrives_and_shrink_again(autojump_clock: MockClock) -> None:
    transports: list[Watched] = []

    def watch(transport: trio.abc.Stream) -> Watched:
        transports.append(Watched(transport))
        return transports[0]

    async def handler(stream: ServerStream) -> None:
        body = b"".join([chunk async for chunk in stream])
        await stream.respond(body=str(len(body)).encode())

    config = ServerConfig(stream_window=512 * KIB)
    async with served(handler, wrap=watch, config=config) as (peer, _session):
        stream_id = await peer.request("POST", end_stream=False)
        async with peer.batch():
            for _ in range(20):
                await peer.send_data(stream_id, bytes(16 * KIB))
        await trio.testing.wait_all_tasks_blocked()
        reads = transports[0].reads
        rest = 20 * (16 * KIB + 9) - 64 * KIB - 256 * KIB
        assert reads[-3:] == [(64 * KIB, 64 * KIB), (256 * KIB, 256 * KIB), (256 * KIB, rest)]
        await peer.ping()
        await peer.ping()
        assert [asked for asked, _size in reads[-2:]] == [64 * KIB, 64 * KIB]
        await peer.send_data(stream_id, b"", end_stream=True)
        await peer.expect_headers(stream_id)
        assert await peer.collect_body(stream_id) == str(320 * KIB).encode()
