"""The programs in docs/websockets.md are right, and so is its table."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import websocket_clients
import websocket_server

import trio_h2
from trio_h2.testing import ThrowawayAuthority
from trio_h2.websocket import WebSocketConfig, WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    import ssl

GUIDE = (Path(__file__).parents[2] / "docs" / "websockets.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.parity("L3")


async def test_the_programs_of_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = ThrowawayAuthority()
    serve_ssl_over_tcp = trio_h2.serve_ssl_over_tcp
    ran = False

    async def on_a_free_port(handler: WebSocketHandler, port: int, context: ssl.SSLContext, **options: object) -> None:
        nonlocal ran
        assert port == 8443
        async with trio.open_nursery() as nursery:
            serve = partial(serve_ssl_over_tcp, handler, 0, context, **options)  # type: ignore[arg-type]  # as they came
            server: trio_h2.Server = await nursery.start(serve)
            async with trio_h2.connect(server.url, ssl_context=authority.client_context()) as session:
                assert await websocket_clients.beside_other_requests(session) > 0
                async with session.request("GET") as stream:
                    assert await stream.receive_some() == b"a page\n"
            connect = partial(connect_websocket, ssl_context=authority.client_context())
            monkeypatch.setattr(websocket_clients, "connect_websocket", connect)
            assert await websocket_clients.one(server.url.replace("https:", "wss:")) == "hello"
            nursery.cancel_scope.cancel()
            ran = True

    monkeypatch.setattr(trio_h2, "serve_ssl_over_tcp", on_a_free_port)
    await websocket_server.serve(authority.server_context(["h2", "http/1.1"]))
    assert ran


def test_the_table_of_limits() -> None:
    shown = {"1 MiB": 1024 * 1024, "16384": 16_384, "5 s": 5, "`None`": None, "20 s": 20, "`True`": True}
    told = {}
    for names, values in re.findall(r"^\| (`.*?`) \| (.*?) \|", GUIDE, re.MULTILINE):
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            told[name.strip("`")] = shown[value]
    told.pop("WebSocketConfig", None)
    assert told == dataclasses.asdict(WebSocketConfig())
