"""The application that ASGI servers serve.

Paths: /small, /json, /bytes/N, /sink, /echo; and a WebSocket that echoes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message: TypeAlias = dict[str, object]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

SMALL = b"hello, world\n"
PIECE = bytes(range(256)) * 256
SMALL_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(SMALL))]
JSON_TYPE = (b"content-type", b"application/json")
STREAM_HEADERS = [(b"content-type", b"application/octet-stream")]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await talk(receive, send)
        return
    path = str(scope["path"])
    if path.startswith("/bytes/"):
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        whole, rest = divmod(int(path[7:]), len(PIECE))
        for _ in range(whole):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body", "body": PIECE[:rest]})
    elif path == "/echo":
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        more = True
        while more:
            message = await receive()
            more = bool(message.get("more_body"))
            await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})
    elif path == "/json":
        data = json.dumps({"message": "hello, world"}).encode()
        headers = [JSON_TYPE, (b"content-length", b"%d" % len(data))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})
    else:
        while path == "/sink" and (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": SMALL_HEADERS})
        await send({"type": "http.response.body", "body": SMALL})


async def talk(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
