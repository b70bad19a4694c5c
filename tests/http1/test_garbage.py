"""A connection that is over is freed at once, without the garbage collector."""

from __future__ import annotations

import weakref

import pytest
import trio
import trio.testing

from tests.http1.client import echo, hello, serving
from trio_h2.testing import CuttingStream


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("end", ["client left", "broken", "cut short", "refused", "cancelled", "shut down"])
async def test_connections_and_exchanges(end: str, autojump_clock: object) -> None:
    refs = await _use(end)
    await trio.testing.wait_all_tasks_blocked()
    assert [ref() for ref in refs] == [None] * 3


async def _use(end: str) -> list[weakref.ref[object]]:
    refs: list[weakref.ref[object]] = []
    wires: list[CuttingStream] = []

    def wrap(transport: trio.abc.Stream) -> trio.abc.Stream:
        wires.append(CuttingStream(transport, error=True))
        return wires[0]

    with trio.CancelScope() as scope:
        async with serving(echo if end == "broken" else hello, wrap=wrap) as served:
            client = served.client
            if end == "cut short":
                await client.request("POST /", "content-length: 10", body="abc")
            elif end == "refused":
                await client.request("POST /", "transfer-encoding: chunked", body="?\r\n")
            elif end == "broken":
                await client.request("POST /", "content-length: 10", body="abc")
            else:
                await client.request("GET /")
            await trio.testing.wait_all_tasks_blocked()
            refs.append(weakref.ref(served.connection))
            refs.append(weakref.ref(served.connection._core.engine))
            refs.append(weakref.ref(served.exchanges[0]))
            served.exchanges.clear()  # which the handler would hold
            if end == "broken":
                await wires[0].cut()
            elif end == "cancelled":
                scope.cancel()
                await trio.lowlevel.checkpoint()
            elif end == "shut down":
                served.connection.shutdown()
    return refs
