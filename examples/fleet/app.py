"""The application of the fleet, in plain ASGI: it says who answers, and has a WebSocket that echoes.

The environment makes it what it is: VERSION is what it says of itself, SLOW the seconds that it takes for everything.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message: TypeAlias = dict[str, object]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

VERSION = os.environ.get("VERSION", "1")
SLOW = float(os.environ.get("SLOW", "0"))
TEXT = (b"content-type", b"text/plain")


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answers a request or a WebSocket; it has no lifespan."""
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "http":
        if scope["path"] == "/crash":
            os._exit(1)  # no goodbye to anybody: whatever else runs in this process is lost
        await trio.sleep(SLOW)
        await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
        await send({"type": "http.response.body", "body": f"version {VERSION}, process {os.getpid()}\n".encode()})
    else:
        raise NotImplementedError("there is no lifespan")


async def echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"{message['text']}, version {VERSION}"})
