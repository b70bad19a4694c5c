"""The client of docs/chat.md in the chat of the examples."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trio

import trio_h2
from examples.websocket_chat import Room, page
from tests.docs.conftest import CODE, ROOT
from tests.interop.processes import running
from trio_h2.websocket import WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.interop.processes import Program
    from trio_h2.websocket import WebSocket

UPGRADE = (
    b"GET /chat?name=Ann HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


def chat_client(url: str, name: str) -> AbstractAsyncContextManager[Program]:
    return running(sys.executable, "-u", CODE / "chat_client.py", url, name, env=ENVIRONMENT)


async def test_what_is_typed_goes_to_all() -> None:
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    handler = WebSocketHandler(Room().chat, fallback=page)

    async def hear(ws: WebSocket, line: str) -> None:
        assert await ws.receive_message() == line

    async with trio_h2.open_server(handler, config=config) as server:
        with trio.fail_after(30):
            async with connect_websocket(f"{server.url}/chat?name=Bob") as bob:
                await hear(bob, "Bob has come")
                async with chat_client(server.url, "Jane Doe") as jane:
                    await hear(bob, "Jane Doe has come")
                    await jane.say("hello")
                    await hear(bob, "Jane Doe: hello")
                    await bob.send_message("hi")
                    await jane.wait_for("Bob: hi")
                await hear(bob, "Bob: hi")
                await hear(bob, "Jane Doe has left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_members_are_told_that_the_server_ends(number: signal.Signals) -> None:
    """Over either HTTP version; a client ends, though its terminal says nothing."""
    server_command = [sys.executable, str(ROOT / "examples" / "websocket_chat.py"), "0"]
    with trio.fail_after(40):
        async with running(*server_command, env=ENVIRONMENT) as server:
            url = (await server.wait_for(r"^Listening on (\S+)"))[1]
            port = urlsplit(url).port
            assert port is not None
            async with chat_client(url, "Jane") as jane, await trio.open_tcp_stream("localhost", port) as browser:
                await jane.wait_for("^Jane has come$")
                await browser.send_all(UPGRADE)
                await jane.wait_for("^Ann has come$")
                os.kill(server.pid, number)
                heard = b""
                while not heard.endswith(b"\x88\x02\x03\xe9"):  # a Close frame with 1001
                    heard += (chunk := await browser.receive_some())
                    assert chunk
                assert await jane.wait_ended() == 0
                assert jane.output.endswith("\nclosed: 1001\n")
            assert await server.wait_ended() == 0
            assert "Traceback" not in server.output


async def test_a_server_that_is_lost() -> None:
    server_command = [sys.executable, str(ROOT / "examples" / "websocket_chat.py"), "0"]
    async with running(*server_command, env=ENVIRONMENT) as server:
        url = (await server.wait_for(r"^Listening on (\S+)"))[1]
        async with chat_client(url, "Jane") as jane:
            await jane.wait_for("^Jane has come$")
            server.process.kill()
            assert await jane.wait_ended() == 0
            assert "Traceback" not in jane.output
            assert jane.output.splitlines()[-1].startswith("closed: ")


async def test_nothing_listens() -> None:
    """One line, and the exit code of a failure."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    async with chat_client(f"http://127.0.0.1:{port}", "Jane") as jane:
        assert await jane.wait_ended() == 1
        assert jane.output.startswith(f"no chat at http://127.0.0.1:{port}: ")
        assert jane.output.count("\n") == 1


async def test_ctrl_c_ends_the_client_at_once() -> None:
    handler = WebSocketHandler(Room().chat)
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with trio_h2.open_server(handler, config=config) as server, chat_client(server.url, "Jane") as jane:
        await jane.wait_for("^Jane has come$")
        jane.process.send_signal(signal.SIGINT)
        with trio.fail_after(10):
            assert await jane.wait_ended() == 0
        assert jane.output.rstrip("\n") == "Jane has come"  # unbuffered, the end of the line is written by itself
