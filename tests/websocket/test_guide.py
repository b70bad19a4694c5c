"""The programs in docs/websockets.md are right, and so is its table."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import trio

import trio_h2
from trio_h2.testing import ThrowawayAuthority
from trio_h2.websocket import WebSocketConfig, WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_h2.websocket import WebSocket

GUIDE = (Path(__file__).parents[2] / "docs" / "websockets.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.parity("L3")


def programs() -> dict[str, object]:
    """Runs every Python block, which only defines functions; returns what they have defined."""
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        exec(compile(block, "docs/websockets.md", "exec"), names)
    return names


async def test_the_programs_of_the_guide() -> None:
    names = programs()
    echo = cast("Callable[[WebSocket], Awaitable[None]]", names["echo"])
    pages = cast("Callable[[trio_h2.ServerStream], Awaitable[None]]", names["pages"])
    beside = cast("Callable[[trio_h2.ClientSession], Awaitable[float]]", names["beside_other_requests"])
    assert {"serve", "one"} <= set(names)
    authority = ThrowawayAuthority()
    serve = partial(
        trio_h2.serve_ssl_over_tcp,
        WebSocketHandler(echo, fallback=pages, subprotocols=["echo"]),
        0,
        authority.server_context(["h2", "http/1.1"]),
        host="127.0.0.1",
        config=trio_h2.ServerConfig(enable_connect_protocol=True),
        allow_http1=True,
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        url = f"127.0.0.1:{server.port}"
        async with trio_h2.connect(f"https://{url}", ssl_context=authority.client_context()) as session:
            assert await beside(session) > 0
            async with session.request("GET") as stream:
                assert await stream.receive_some() == b"a page\n"
        async with connect_websocket(f"wss://{url}", ssl_context=authority.client_context()) as ws:
            await ws.send_message("hello")
            assert await ws.receive_message() == "hello"
        nursery.cancel_scope.cancel()


def test_the_table_of_limits() -> None:
    shown = {"1 MiB": 1024 * 1024, "16384": 16_384, "5 s": 5, "`None`": None, "20 s": 20, "`True`": True}
    told = {}
    for names, values in re.findall(r"^\| (`.*?`) \| (.*?) \|", GUIDE, re.MULTILINE):
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            told[name.strip("`")] = shown[value]
    told.pop("WebSocketConfig", None)
    assert told == dataclasses.asdict(WebSocketConfig())
