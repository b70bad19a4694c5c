"""Clients that vanish: what their handlers are told, and that the log has no error of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import serving
from tests.stream.harness import pair
from tests.websocket.frames import OFFERING
from tests.websocket.test_http1 import upgrade
from trio_h2.websocket import (
    WebSocketBrokenError,
    WebSocketConfig,
    WebSocketHandler,
    accept_websocket,
    connect_websocket,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trio_h2.websocket import WebSocket

pytestmark = pytest.mark.parity("L3")

handlers = pytest.mark.parametrize("kind", ["WebSocketHandler", "accept_websocket"])


def handler_of(
    kind: str, function: Callable[[WebSocket], Awaitable[None]], config: WebSocketConfig | None = None
) -> Callable[[trio_h2.ServerStream], Awaitable[None]]:
    """Returns a stream handler that gives each WebSocket to *function*, by either way to accept one."""
    if kind == "WebSocketHandler":
        return WebSocketHandler(function, config=config)

    async def handler(stream: trio_h2.ServerStream) -> None:
        async with accept_websocket(stream, config=config) as ws:
            await function(ws)

    return handler


async def open_stream(client: trio_h2.ClientSession) -> trio_h2.ClientStream:
    """Opens a WebSocket, whose frames are sent by hand."""
    headers = {"sec-websocket-version": "13"}
    stream = await client.open_stream("CONNECT", "/", headers=headers, protocol="websocket", end_stream=False)
    assert (await stream.receive_response()).status == 200
    return stream


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Returns what the log has of errors."""
    return [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


@handlers
async def test_a_handler_with_tasks_whose_client_resets(
    kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One of its tasks is told that the WebSocket broke, another one is cancelled: a group of both is no error."""
    told = trio.Event()

    async def function(ws: WebSocket) -> None:
        async def receive() -> None:
            with trio.CancelScope(shield=True):
                try:
                    await ws.receive_message()
                finally:
                    told.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            nursery.start_soon(trio.sleep_forever)

    async with pair(handler_of(kind, function), server_config=OFFERING) as (client, server):
        async with await open_stream(client) as stream:
            await trio.testing.wait_all_tasks_blocked()
            stream.reset(trio_h2.ErrorCode.CANCEL)
            await told.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().running_handlers == 0
    assert errors(caplog) == []


@handlers
@pytest.mark.parametrize("how", ["vanishes", "closes"])
async def test_a_handler_that_does_not_catch_the_end(
    kind: str, how: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However it accepts its WebSockets, that its own has ended may escape from it."""
    raised: list[WebSocketBrokenError] = []

    async def function(ws: WebSocket) -> None:
        try:
            await ws.receive_message()
        except WebSocketBrokenError as exc:
            raised.append(exc)
            raise

    async with serving(handler_of(kind, function), config=OFFERING) as served:
        wire = await upgrade(served.client)
        if how == "closes":
            await wire.close(1000)
            await wire.expect_close(1000)
            await wire.expect_end()
        await served.client.transport.aclose()
        await trio.testing.wait_all_tasks_blocked()
    (error,) = raised
    assert (error.close_code, error.stream_id) == (1000 if how == "closes" else 1006, 1)
    assert errors(caplog) == []


@handlers
async def test_a_handler_that_uses_what_a_drain_has_closed(
    kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """That is no bug of the handler: the library has closed it."""

    async def function(ws: WebSocket) -> None:
        await ws.receive_message()

    async with serving(handler_of(kind, function), config=OFFERING) as served:
        wire = await upgrade(served.client)
        served.connection.shutdown()
        await wire.expect_close(1001)
        await wire.close(1001)
        await wire.expect_end()
    assert errors(caplog) == []


@handlers
async def test_an_error_beside_the_end_is_one(
    kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def function(ws: WebSocket) -> None:
        async def fail() -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            raise KeyError("planted")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(ws.receive_message)

    async with pair(handler_of(kind, function), server_config=OFFERING) as (client, server):
        async with await open_stream(client) as stream:
            await trio.testing.wait_all_tasks_blocked()
            stream.reset(trio_h2.ErrorCode.CANCEL)
        await trio.sleep(3)
        assert server.statistics().running_handlers == 0
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "planted" in repr(record.exc_info)


async def test_a_client_over_tcp_that_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    """The same over sockets: a handler with a task that sends and one that waits."""
    left = trio.Event()

    async def function(ws: WebSocket) -> None:
        async def send() -> None:
            while True:
                await ws.send_message(bytes(1000))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                nursery.start_soon(trio.sleep_forever)
        finally:
            left.set()

    serve = partial(trio_h2.serve_tcp, WebSocketHandler(function), 0, host="127.0.0.1", config=OFFERING)
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        tcp = await trio.open_tcp_stream("127.0.0.1", server.port)
        with pytest.raises(trio_h2.H2Error):
            async with connect_websocket(f"ws://127.0.0.1:{server.port}", transport=tcp) as ws:
                assert await ws.receive_message() == bytes(1000)
                tcp.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                tcp.socket.close()
                while True:
                    await ws.receive_message()
        with trio.fail_after(10):
            await left.wait()
        nursery.cancel_scope.cancel()
    assert errors(caplog) == []
