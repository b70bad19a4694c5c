"""A WebSocket over HTTP/2, both sides in one program: the server sends back whatever it gets."""

from __future__ import annotations

from functools import partial

import trio

import trio_h2
from trio_h2.websocket import WebSocket, WebSocketHandler, open_websocket


async def echo(ws: WebSocket) -> None:
    async for message in ws:  # until the client closes
        await ws.send_message(message)


async def main() -> None:
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    serve = partial(trio_h2.serve_tcp, WebSocketHandler(echo), 0, host="localhost", config=config)
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        async with trio_h2.connect(server.urls[0]) as session:
            async with open_websocket(session, "/echo") as ws:
                for message in ("text", b"octets"):
                    await ws.send_message(message)
                    print(repr(await ws.receive_message()))
                print("a ping was answered:", await ws.ping() > 0)
            print("closed with", ws.close_code)
        await server.aclose()


if __name__ == "__main__":
    try:
        trio.run(main)
    except* KeyboardInterrupt:  # Ctrl-C; from a nursery of main() it comes in a group
        pass
