"""The application in Starlette."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.requests import Request

left: list[str] = []
"""What was done when nobody waited any more."""


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, str]]:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        yield {"started": "yes"}
        group.cancel_scope.cancel()


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.path_params['name']}, started: {request.state.started}")


async def digest(request: Request) -> Response:
    found = hashlib.sha256()
    async for chunk in request.stream():
        found.update(chunk)
    return PlainTextResponse(found.hexdigest())


async def count(_request: Request) -> Response:
    async def lines() -> AsyncGenerator[str, None]:
        for number in range(5):
            yield f"{number}\n"
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(lines())


async def endless(_request: Request) -> Response:
    async def events() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "data: tick\n\n"
                await anyio.sleep(0.01)
        finally:
            left.append("endless")

    return StreamingResponse(events(), media_type="text/event-stream")


async def work() -> None:
    await anyio.sleep(0.01)
    left.append("background")


async def background(_request: Request) -> Response:
    return PlainTextResponse("soon", background=BackgroundTask(work))


async def file(_request: Request) -> Response:
    return FileResponse(__file__)


async def fails(_request: Request) -> Response:
    raise ZeroDivisionError("the application's own mistake")


async def chat(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="echo")
    try:
        while True:
            text = await websocket.receive_text()
            if text == "close me":
                await websocket.close(4000, "as you wish")
                return
            await websocket.send_text(text)
    except WebSocketDisconnect as exc:
        left.append(f"chat {exc.code}")


async def denied(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("who are you?", 401))


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/digest", digest, methods=["POST"]),
        Route("/count", count),
        Route("/endless", endless),
        Route("/background", background),
        Route("/file", file),
        Route("/fails", fails),
        WebSocketRoute("/chat", chat),
        WebSocketRoute("/denied", denied),
    ],
    lifespan=lifespan,
)
