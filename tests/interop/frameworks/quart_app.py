"""The application in Quart-Trio."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import trio
from quart import Response, request, send_file, websocket
from quart_trio import QuartTrio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

left: list[str] = []
"""What was done when nobody waited any more."""
started: list[str] = []

app = QuartTrio(__name__)


@app.before_serving
async def startup() -> None:
    started.append("yes")


@app.after_serving
async def shutdown() -> None:
    started.clear()


@app.get("/hello/<name>")
async def hello(name: str) -> str:
    return f"hello {name}, started: {started[0]}"


@app.post("/digest")
async def digest() -> str:
    found = hashlib.sha256()
    async for chunk in request.body:
        found.update(chunk)
    return found.hexdigest()


@app.get("/count")
async def count() -> Response:
    async def lines() -> AsyncGenerator[bytes, None]:
        for number in range(5):
            yield f"{number}\n".encode()
            await trio.lowlevel.checkpoint()

    return Response(lines())


@app.get("/endless")
async def endless() -> Response:
    async def events() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"data: tick\n\n"
                await trio.sleep(0.01)
        finally:
            left.append("endless")

    response = Response(events(), content_type="text/event-stream")
    response.timeout = None
    return response


async def work() -> None:
    await trio.sleep(0.01)
    left.append("background")


@app.get("/background")
async def background() -> str:
    app.add_background_task(work)
    return "soon"


@app.get("/file")
async def file() -> Response:
    return await send_file(__file__)


@app.get("/fails")
async def fails() -> str:
    raise ZeroDivisionError("the application's own mistake")


@app.websocket("/chat")
async def chat() -> None:
    await websocket.accept(subprotocol="echo")
    try:
        while True:
            text = await websocket.receive()
            if text == "close me":
                await websocket.close(4000, "as you wish")
                return
            await websocket.send(text)
    except trio.Cancelled:
        left.append("chat 1000")
        raise


@app.websocket("/denied")
async def denied() -> tuple[str, int]:
    return "who are you?", 401
