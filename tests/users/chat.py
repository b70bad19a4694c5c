"""A chat over WebSockets, with ordinary pages beside it."""

from __future__ import annotations

import trio

import trio_h2
from trio_h2.websocket import WebSocket, WebSocketClosedError, WebSocketHandler, connect_websocket


class Room:
    """Passes on what each says to all others."""

    def __init__(self) -> None:
        self._here: set[WebSocket] = set()

    async def __call__(self, socket: WebSocket) -> None:
        self._here.add(socket)
        try:
            async for message in socket:
                for other in self._here - {socket}:
                    await self._tell(other, message)
        finally:
            self._here.discard(socket)

    async def _tell(self, socket: WebSocket, message: str | bytes) -> None:
        try:
            await socket.send_message(message)
        except WebSocketClosedError:
            self._here.discard(socket)


async def pages(stream: trio_h2.ServerStream) -> None:
    """What is no WebSocket."""
    await stream.respond(200, body=b"open a WebSocket here")


async def main(heard: list[str | bytes]) -> None:
    """Two people talk."""
    handler: trio_h2.Handler = WebSocketHandler(Room(), fallback=pages)
    config = trio_h2.ServerConfig(enable_connect_protocol=True)
    async with trio_h2.open_server(handler, config=config) as server:
        url = server.url.replace("http", "ws", 1) + "/chat"
        async with connect_websocket(url) as ann, connect_websocket(url) as bob:
            await trio.sleep(0.05)
            await ann.send_message("hello")
            heard.append(await bob.receive_message())
            async with bob.open_message() as message:
                await message.send(b"good ")
                await message.send(b"morning")
            heard.append(await ann.receive_message())
