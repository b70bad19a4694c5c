"""The chat of the examples: everybody hears everybody, and nobody waits for who does not listen."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from examples.websocket_chat import BACKLOG, Room, page
from tests.interop.processes import running
from tests.stream.harness import pair
from tests.websocket.frames import OFFERING
from trio_h2.websocket import WebSocketBrokenError, WebSocketHandler, connect_websocket, open_websocket

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.websocket import WebSocket

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.parity("L3")


async def heard(ws: WebSocket, count: int) -> list[str | bytes]:
    return [await ws.receive_message() for _ in range(count)]


async def test_members_hear_each_other() -> None:
    example = [sys.executable, "-W", "error", str(ROOT / "examples" / "websocket_chat.py"), "0"]
    async with running(*example, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}) as program:
        with trio.fail_after(30):
            url = (await program.wait_for(r"Listening on http:(\S+)"))[1]
            async with connect_websocket(f"ws:{url}/chat?name=Ann") as ann:
                assert await heard(ann, 1) == ["Ann has come"]
                async with connect_websocket(f"ws:{url}/chat?name=Bob") as bob:
                    await bob.send_message("hi")
                    assert await heard(bob, 2) == ["Bob has come", "Bob: hi"]
                assert await heard(ann, 3) == ["Bob has come", "Bob: hi", "Bob has left"]


async def test_who_does_not_listen_is_dropped(autojump_clock: MockClock) -> None:
    handler = WebSocketHandler(Room().chat, fallback=page)
    async with pair(handler, server_config=OFFERING) as (client, _), AsyncExitStack() as stack:
        slow = await stack.enter_async_context(open_websocket(client, "/chat?name=slow"))
        loud = await stack.enter_async_context(open_websocket(client, "/chat?name=loud"))
        assert await heard(loud, 1) == ["loud has come"]
        said = 0
        while True:
            await loud.send_message("x" * 50_000)
            said += 1
            if await loud.receive_message() == "slow has left":
                break
            assert said < 2 * BACKLOG
        await loud.send_message("is anybody there?")
        assert "loud: is anybody there?" in await heard(loud, 2)
        got = 0
        with pytest.raises(WebSocketBrokenError):
            while True:
                await slow.receive_message()
                got += 1
        assert got < said
        async with client.request("GET") as stream:
            assert b"<title>chat</title>" in await stream.receive_some()
