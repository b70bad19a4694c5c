"""The client of docs/chat.md in the chat of the examples."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import trio

import trio_h2
from examples.websocket_chat import Room, page
from tests.docs.conftest import CODE
from tests.interop.processes import running
from trio_h2.websocket import WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    from trio_h2.websocket import WebSocket


async def test_what_is_typed_goes_to_all() -> None:
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    handler = WebSocketHandler(Room().chat, fallback=page)

    async def hear(ws: WebSocket, line: str) -> None:
        assert await ws.receive_message() == line

    async with trio_h2.open_server(handler, config=config) as server:
        with trio.fail_after(30):
            async with connect_websocket(f"{server.url}/chat?name=Bob") as bob:
                await hear(bob, "Bob has come")
                command = [sys.executable, "-u", str(CODE / "chat_client.py"), server.url, "Jane Doe"]
                async with running(*command, env={"PYTHONPATH": str(CODE.parents[1])}) as jane:
                    await hear(bob, "Jane Doe has come")
                    await jane.say("hello")
                    await hear(bob, "Jane Doe: hello")
                    await bob.send_message("hi")
                    await jane.wait_for("Bob: hi")
                await hear(bob, "Bob: hi")
                await hear(bob, "Jane Doe has left")
