"""A WebSocket over HTTP/2, both sides in one program: the server sends back whatever it gets."""

from __future__ import annotations

import contextlib

import trio

import trio_h2
from trio_h2.websocket import WebSocket, WebSocketHandler, open_websocket


async def echo(ws: WebSocket) -> None:
    async for message in ws:  # until the client closes
        await ws.send_message(message)


async def main() -> None:
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    handler = WebSocketHandler(echo)
    async with trio_h2.open_server(handler, config=config) as server, trio_h2.connect(server.url) as session:
        async with open_websocket(session, "/echo") as ws:
            for message in ("text", b"bytes"):
                await ws.send_message(message)
                print(repr(await ws.receive_message()))
            print("a ping was answered:", await ws.ping() > 0)
        print("closed with", ws.close_code)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main)
