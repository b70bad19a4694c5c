"""The application in FastAPI."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator  # noqa: TC003 - FastAPI reads annotations
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from fastapi import BackgroundTasks, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse

left: list[str] = []
"""What was done when nobody waited any more."""


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[dict[str, str], None]:
    yield {"started": "yes"}


app = FastAPI(lifespan=lifespan)


@app.get("/hello/{name}")
async def hello(name: str, request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {name}, started: {request.state.started}")


@app.post("/digest")
async def digest(request: Request) -> PlainTextResponse:
    found = hashlib.sha256()
    async for chunk in request.stream():
        found.update(chunk)
    return PlainTextResponse(found.hexdigest())


@app.get("/count")
async def count() -> StreamingResponse:
    async def lines() -> AsyncGenerator[str, None]:
        for number in range(5):
            yield f"{number}\n"
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(lines())


@app.get("/endless")
async def endless() -> StreamingResponse:
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


@app.get("/background")
async def background(tasks: BackgroundTasks) -> PlainTextResponse:
    tasks.add_task(work)
    return PlainTextResponse("soon")


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(__file__)


@app.get("/fails")
async def fails() -> PlainTextResponse:
    raise ZeroDivisionError("the application's own mistake")


@app.websocket("/chat")
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


@app.websocket("/denied")
async def denied(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("who are you?", 401))
