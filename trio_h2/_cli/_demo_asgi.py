"""The step of the tour that needs Starlette: an application of a framework, on our server."""

from __future__ import annotations

import importlib.util
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio

import trio_h2
from trio_h2 import asgi

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from trio_h2.testing import ThrowawayAuthority

    from ._demo import Tour


def has_starlette() -> bool:
    """Whether Starlette is installed."""
    return importlib.util.find_spec("starlette") is not None


def application(left: list[str]) -> Starlette:
    """Returns the application; *left* gets a line when it has shut down."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route, WebSocketRoute

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}
        left.append("shut down")

    async def greet(request: Request) -> Response:
        text = f"{request.state.greeting} {request.path_params['name']}, over HTTP/{request.scope['http_version']}"
        return PlainTextResponse(text)

    async def count(_request: Request) -> Response:
        async def numbers() -> AsyncGenerator[str, None]:
            for number in range(3):
                yield f"{number} "
                await trio.lowlevel.checkpoint()

        return StreamingResponse(numbers())

    async def shout(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message.upper())

    routes = [Route("/greet/{name}", greet), Route("/count", count), WebSocketRoute("/shout", shout)]
    return Starlette(routes=routes, lifespan=lifespan)


async def framework(tour: Tour, authority: ThrowawayAuthority) -> None:
    """An application of Starlette over both versions of HTTP, with a WebSocket, from its start to its end."""
    from trio_h2.websocket import connect_websocket

    tour.step("An application of Starlette")
    left: list[str] = []
    context = authority.server_context(["h2", "http/1.1"])
    async with trio.open_nursery() as nursery:
        serve = partial(asgi.serve, application(left), 0, ssl_context=context)
        server: trio_h2.Server = await nursery.start(serve)
        for alpn, version in (("h2", "2"), ("http/1.1", "1.1")):
            async with trio_h2.Client(ssl_context=authority.client_context([alpn])) as client:
                async with client.request("GET", f"{server.url}/greet/you") as response:
                    said = (await response.read()).decode()
                async with client.request("GET", f"{server.url}/count") as response:
                    counted = await response.read()
            tour.check(f"it greets over HTTP/{version}", said == f"hello you, over HTTP/{version}")
            tour.check("it streams", counted == b"0 1 2 ")
        url = server.url.replace("https", "wss", 1)
        async with connect_websocket(f"{url}/shout", ssl_context=authority.client_context()) as websocket:
            await websocket.send_message("hello")
            answer = await websocket.receive_message()
        tour.check("its WebSocket answers", answer == "HELLO")
        await server.aclose()
    tour.check("it has shut down with its server", left == ["shut down"])
