"""Who waits for whom, as docs/flow-control.md says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flow_control
import trio
from trio.testing import wait_all_tasks_blocked

import trio_h2
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    import pytest
    from trio.testing import MockClock


async def test_a_client_that_does_not_read_holds_up_the_handler(autojump_clock: MockClock) -> None:
    async with session_pair(flow_control.numbers, client_config=flow_control.CONFIG) as (session, server):
        async with session.request(path="/numbers") as stream:
            await wait_all_tasks_blocked()
            assert session.statistics().ledger.held == flow_control.CONFIG.stream_window
            async with session.request(path="/numbers") as other:
                assert (await other.receive_some()).startswith(b"0\n1\n")  # nobody else notices
            got = [len(await stream.receive_some()) for _ in range(100)]
        await session.ping()
        assert sum(got) > flow_control.CONFIG.stream_window
        assert server.statistics().queued_body == 0


async def test_chunks_are_worked_on_one_by_one(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_control, "AMOUNT", 30_000)
    sizes: list[int] = []

    async def work(chunk: bytes) -> None:
        sizes.append(len(chunk))
        await trio.sleep(1)
        assert session.statistics().ledger.held <= flow_control.CONFIG.stream_window

    async with session_pair(flow_control.numbers, client_config=flow_control.CONFIG) as (session, _):
        await flow_control.read_slowly(session, work)
    assert sum(sizes) == sum(len(f"{number}\n") for number in range(30_000))


class Source:
    """Five megabytes, one after the other."""

    def __init__(self) -> None:
        self.given = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.given == 5:
            raise StopAsyncIteration
        self.given += 1
        return bytes(1_000_000)


async def test_an_upload_stops_when_the_server_has_answered(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path != "/file":
            await stream.respond(413, body=b"")
            return
        size = 0
        async for chunk in stream:
            size += len(chunk)
        await stream.respond(200 if size == 5_000_000 else 400, body=b"")

    async def too_large(stream: trio_h2.ServerStream) -> None:
        await stream.respond(413, body=b"")

    async with session_pair(handler) as (session, _):
        assert await flow_control.upload(session, Source()) == 200
    async with session_pair(too_large) as (session, _):
        source = Source()
        assert await flow_control.upload(session, source) == 413
        assert source.given < 5


async def test_a_slow_reader_gets_no_old_values(autojump_clock: MockClock) -> None:
    def value() -> str:
        return f"{trio.current_time():.1f}".ljust(20_000)

    async def handler(stream: trio_h2.ServerStream) -> None:
        await flow_control.latest(stream, value)

    config = trio_h2.ClientConfig(stream_window=65_536)
    async with session_pair(handler, client_config=config) as (session, _), session.request() as stream:
        await trio.sleep(1000)
        got = b""
        while b"1000." not in got:
            got += await stream.receive_some()
        assert len(got) < 10 * 20_000
