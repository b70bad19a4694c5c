"""A peer that reads nothing: control bytes wait for the transport up to a limit, then those who make them do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
import trio.testing

from tests.stream.harness import scripted_client
from trio_h2.testing import DataFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

    import trio_h2


async def test_responding_waits_only_for_room_among_the_control_bytes(autojump_clock: MockClock) -> None:
    """A client that reads nothing: 64 KiB of headers may wait for the transport, then the handlers do."""
    responded = 0

    async def handler(stream: trio_h2.ServerStream) -> None:
        nonlocal responded
        with trio.testing.assert_checkpoints():
            await stream.respond({"x": f"{stream.id:04}" * 500})  # never the same, or HPACK would make one byte of it
        responded += 1

    async with scripted_client(handler, capacity=100) as (server, peer):
        ids = [await peer.request() for _ in range(100)]
        await trio.testing.wait_all_tasks_blocked()
        assert 10 < responded < 90
        assert 64 * 1024 < server.statistics().queued_output < 64 * 1024 + 2100
        for _ in ids:
            await peer.expect_headers(status=200, end_stream=False)
            await peer.expect_data(end_stream=True)
        assert responded == 100


async def test_cancelled_while_waiting_nothing_was_sent(autojump_clock: MockClock) -> None:
    late: list[int] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.id > 199:
            with trio.move_on_after(1) as scope:
                await stream.respond({"x": "~"})
            assert scope.cancelled_caught
            assert not stream.headers_sent
            late.append(stream.id)
            await trio.sleep_forever()
        await stream.respond({"x": f"{stream.id:04}" * 500})

    async with scripted_client(handler, capacity=100) as (_server, peer):
        ids = [await peer.request() for _ in range(102)]
        await trio.sleep(5)
        assert sorted(late) == ids[100:] == [201, 203]
        for stream_id in late:
            await peer.send_rst(stream_id)
        for _ in range(100):
            assert (await peer.expect_headers(status=200)).stream_id <= 199
            await peer.expect_data(end_stream=True)
        await peer.expect_nothing()
        assert not any(isinstance(frame, DataFrame) and frame.stream_id > 199 for frame in peer.frames)
