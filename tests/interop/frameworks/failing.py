"""Applications whose lifespan fails, at its start or at its end, in each framework; and one that has none."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from litestar import Litestar
from quart_trio import QuartTrio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send


async def no_database() -> None:
    raise ConnectionError("no database")


@asynccontextmanager
async def fails_at_start(_app: object) -> AsyncGenerator[None, None]:
    await no_database()
    yield


@asynccontextmanager
async def fails_at_end(_app: object) -> AsyncGenerator[None, None]:
    yield
    await no_database()


async def without(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes nothing but requests, and says so as frameworks do."""
    assert scope["type"] == "http"
    await PlainTextResponse("no lifespan")(scope, receive, send)


starlette_start, starlette_end = Starlette(lifespan=fails_at_start), Starlette(lifespan=fails_at_end)
fastapi_start, fastapi_end = FastAPI(lifespan=fails_at_start), FastAPI(lifespan=fails_at_end)
litestar_start, litestar_end = Litestar([], lifespan=[fails_at_start]), Litestar([], lifespan=[fails_at_end])
quart_start, quart_end = QuartTrio("failing"), QuartTrio("failing")
quart_start.before_serving(no_database)
quart_end.after_serving(no_database)
