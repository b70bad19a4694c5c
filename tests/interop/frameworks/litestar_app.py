"""The application in Litestar."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator  # noqa: TC003 - Litestar reads annotations
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State  # noqa: TC002 - Litestar reads annotations
from litestar.exceptions import WebSocketDisconnect
from litestar.response import File, ServerSentEvent, Stream

left: list[str] = []
"""What was done when nobody waited any more."""


@asynccontextmanager
async def lifespan(application: Litestar) -> AsyncGenerator[None, None]:
    application.state.started = "yes"
    yield


@get("/hello/{name:str}", media_type=MediaType.TEXT)
async def hello(request: Request[object, object, State]) -> str:
    return f"hello {request.path_params['name']}, started: {request.app.state.started}"


@post("/digest", media_type=MediaType.TEXT, status_code=200, request_max_body_size=None)
async def digest(request: Request[object, object, State]) -> str:
    found = hashlib.sha256()
    async for chunk in request.stream():
        found.update(chunk)
    return found.hexdigest()


@get("/count")
async def count() -> Stream:
    async def lines() -> AsyncGenerator[str, None]:
        for number in range(5):
            yield f"{number}\n"
            await anyio.lowlevel.checkpoint()

    return Stream(lines())


@get("/endless")
async def endless() -> ServerSentEvent:
    async def events() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "tick"
                await anyio.sleep(0.01)
        finally:
            left.append("endless")

    return ServerSentEvent(events())


async def work() -> None:
    await anyio.sleep(0.01)
    left.append("background")


@get("/background")
async def background() -> Response[str]:
    return Response("soon", media_type=MediaType.TEXT, background=BackgroundTask(work))


@get("/file")
async def file() -> File:
    return File(__file__)


@get("/fails")
async def fails() -> str:
    raise ZeroDivisionError("the application's own mistake")


@websocket("/chat")
async def chat(socket: WebSocket[object, object, State]) -> None:
    await socket.accept(subprotocols="echo")
    try:
        while True:
            text = await socket.receive_text()
            if text == "close me":
                await socket.close(4000, "as you wish")
                return
            await socket.send_text(text)
    except WebSocketDisconnect as exc:
        left.append(f"chat {exc.code}")


@websocket("/denied")
async def denied(socket: WebSocket[object, object, State]) -> None:
    await socket.close()


app = Litestar(
    [hello, digest, count, endless, background, file, fails, chat, denied],
    lifespan=[lifespan],
)
