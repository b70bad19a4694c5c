"""A thousand streams leave nothing behind on their session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import settle
from tests.wire.engine_pair import credits
from trio_h2 import ServerConfig, ServerSession
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from trio_h2 import ClientSession, ServerStream, Session

COUNT = 1000
WAYS = ["whole", "upload", "trailers", "abandoned", "closed", "reset", "raises"]


async def handler(stream: ServerStream) -> None:
    way = stream.path.strip("/")
    if way == "whole":
        await stream.respond(body=b"x" * 2000)
    elif way == "upload":
        while await stream.receive_some():
            pass
        await stream.respond(body=b"thanks")
    elif way == "trailers":
        await stream.respond()
        await stream.send_all(b"x" * 100)
        await stream.send_trailers({"a": "b"})
    elif way == "reset":
        stream.reset()
    elif way == "raises":
        await stream.respond()
        await stream.send_all(b"half")
        stream._core.cancel()
        await trio.lowlevel.checkpoint()
    else:
        await stream.respond()
        await stream.send_all(b"x" * 3000)
        if way == "abandoned":
            await trio.sleep_forever()


async def use(session: ClientSession, way: str) -> None:
    """One request, ended in one of the ways."""
    body = b"y" * 3000 if way == "upload" else b""
    method = "POST" if way == "upload" else "GET"
    if way == "closed":
        stream = await session.open_stream(method, f"/{way}")
        await stream.receive_response()
        await stream.aclose()
        return
    async with session.request(method, f"/{way}", body=body) as stream:
        if way in ("reset", "raises"):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_trailers()
            return
        await stream.receive_response()
        if way == "abandoned":
            return
        while await stream.receive_some():
            pass
        assert (await stream.receive_trailers() is not None) is (way == "trailers")


def tasks_below(task: trio.lowlevel.Task) -> int:
    return 1 + sum(tasks_below(child) for nursery in task.child_nurseries for child in nursery.child_tasks)


def sizes(session: Session) -> dict[str, int]:
    """Everything on a session that could grow with its streams."""
    engine, writer = session._core.engine, session._core.writer
    counts = {
        "streams": len(session._core.streams),
        "wire streams": len(engine.streams),
        "credits": len(credits(engine)),
        "slots": len(engine.slots),
        "running": len(engine._running),
        "bodies": len(writer._bodies),
        "ready": len(writer._scheduler),
        "priorities": len(writer._scheduler._priorities),
        "lingering": len(session._core.watcher._lingering),
        "queued": len(session._core.watcher._queued),
        "room wanted": len(session._core._room_wanted),
        "queued body": engine.queued_body,
        "copied body": engine.copied_body,
        "output": engine.output_size,
        "held": engine.windows.budget.ledger.held,
        "stranded": engine.windows.budget.stranded,
        "extra window": engine.windows.budget.extra,
        "buffered": engine.reader.buffered,
        "pings": len(session._core.pings),
        "waiting for a slot": session.statistics().waiting_for_slot,
        "handlers": session.statistics().running_handlers,
    }
    if isinstance(session, ServerSession):
        assert session._core.nursery is not None
        counts["queue"] = len(session._core.queue)
        counts["handler tasks"] = len(session._core.nursery.child_tasks)
    return counts


def assert_empty(session: Session) -> None:
    assert {name: size for name, size in sizes(session).items() if size} == {}
    ledger = session.statistics().ledger
    assert ledger.received == ledger.taken + ledger.discarded


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("concurrent", [False, True], ids=["sequential", "concurrent"])
async def test_a_thousand_streams(way: str, concurrent: bool, autojump_clock: object) -> None:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    async with session_pair(handler, server_config=ServerConfig(reset_burst=10_000)) as (client, server):
        await use(client, way)
        await trio.sleep(10)  # whatever lingers
        await settle()
        tasks = tasks_below(root)
        if concurrent:
            async with trio.open_nursery() as nursery:
                for _ in range(COUNT):
                    nursery.start_soon(use, client, way)
        else:
            for _ in range(COUNT):
                await use(client, way)
        await trio.sleep(10)
        await settle()
        assert tasks_below(root) == tasks
        assert_empty(client)
        assert_empty(server)
        for session in (client, server):
            # A few of the latest resets are remembered, so that late frames can be told from wrong ones.
            assert len(session._core.engine.resets.by_us) <= 4096
        # The windows are as large as ever: nothing has leaked.
        assert client._core.engine.connection_window == server._core.engine.windows.budget.window
        assert server._core.engine.connection_window == client._core.engine.windows.budget.window
