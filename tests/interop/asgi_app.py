"""The application that hypercorn serves to our client."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message: TypeAlias = dict[str, object]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

PIECE = 64 * 1024


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Echoes what is posted, sends bodies of any length, and has a WebSocket."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = str(scope["path"])
    if scope["type"] == "websocket":
        await _chat(path, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-version", _version(scope))]})
    if path == "/echo":
        more = True
        while more:
            message = await receive()
            more = bool(message.get("more_body"))
            await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})
    elif path.startswith("/bytes/"):
        from tests.interop.bodies import pieces

        for piece in pieces(int(path.rpartition("/")[2]), PIECE):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    else:
        await send({"type": "http.response.body", "body": b"from hypercorn\n", "more_body": True})
    await send({"type": "http.response.body"})


async def _chat(path: str, receive: Receive, send: Send) -> None:
    """Echoes messages until it is told to close."""
    assert (await receive())["type"] == "websocket.connect"
    if path == "/refused":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": "echo"})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "close me":
            await send({"type": "websocket.close", "code": 4000, "reason": "as you wish"})
            return
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


def _version(scope: Message) -> bytes:
    return str(scope["http_version"]).encode()
