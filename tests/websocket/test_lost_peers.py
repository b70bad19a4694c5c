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
from tests.websocket.frames import OFFERING, PING, PONG, TEXT, Wire
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

    async with pair(handler_of(kind, function), server_config=OFFERING, raise_handler_errors=False) as (client, server):
        async with await open_stream(client) as stream:
            await trio.testing.wait_all_tasks_blocked()
            stream.reset(trio_h2.ErrorCode.CANCEL)
        await trio.sleep(3)
        assert server.statistics().running_handlers == 0
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "planted" in repr(record.exc_info)


# -- handlers that wait for something else -----------------------------------------------------------------------------


class Sleeper:
    """A handler that neither receives nor sends."""

    def __init__(self) -> None:
        self.opened = trio.Event()
        self.cancelled_at: float | None = None
        self.socket: WebSocket | None = None

    async def __call__(self, ws: WebSocket) -> None:
        self.socket = ws
        self.opened.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled_at = trio.current_time()
            raise


@handlers
async def test_over_http1_the_end_of_the_connection_cancels(
    kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser that is killed sends a FIN, and no Close frame."""
    sleeper = Sleeper()
    async with serving(handler_of(kind, sleeper), config=OFFERING) as served:
        await upgrade(served.client)
        await sleeper.opened.wait()
        await served.client.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert sleeper.cancelled_at is not None
        assert sleeper.socket is not None
        assert sleeper.socket.close_code == 1006
        await served.connection.wait_closed()
    assert errors(caplog) == []


@handlers
async def test_over_http1_a_silent_client_is_given_up(
    kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Whose machine was switched off, without a word to anybody: by default, it is asked every 30 seconds."""
    sleeper = Sleeper()
    async with serving(handler_of(kind, sleeper), config=OFFERING) as served:
        wire = await upgrade(served.client)
        began = trio.current_time()
        for n in range(3):
            await wire.expect(PING, b"keep-alive")
            assert trio.current_time() - began == pytest.approx((n + 1) * 30, abs=0.1)
            await wire.send(PONG, b"keep-alive")
        await wire.expect(PING, b"keep-alive")
        await served.connection.wait_closed()
        assert sleeper.cancelled_at is not None
        assert sleeper.cancelled_at - began == pytest.approx(140, abs=1)
        assert sleeper.socket is not None
        with pytest.raises(WebSocketBrokenError, match="nothing came for keepalive_timeout=20 s after a ping"):
            await sleeper.socket.receive_message()
    assert errors(caplog) == []


async def test_over_http1_the_keep_alive_can_be_turned_off(autojump_clock: MockClock) -> None:
    sleeper = Sleeper()
    config = WebSocketConfig(keepalive_interval=float("inf"))
    async with serving(WebSocketHandler(sleeper, config=config), config=OFFERING) as served:
        wire = await upgrade(served.client)
        await wire.expect_nothing(1000)
        assert sleeper.cancelled_at is None
        await served.client.transport.aclose()


async def test_over_http2_the_session_has_pings_of_its_own(autojump_clock: MockClock) -> None:
    sleeper = Sleeper()
    async with pair(WebSocketHandler(sleeper), server_config=OFFERING) as (client, _):
        async with await open_stream(client) as stream:
            await Wire(stream, client=True).expect_nothing(1000)
            assert sleeper.cancelled_at is None
        await trio.testing.wait_all_tasks_blocked()


@handlers
@pytest.mark.parametrize("how", ["deaf", "ends the stream"])
async def test_over_http2_a_lost_client_cancels_as_well(
    kind: str, how: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    sleeper = Sleeper()
    handler = handler_of(kind, sleeper, WebSocketConfig(keepalive_interval=7))
    async with pair(handler, server_config=OFFERING) as (client, server):
        async with await open_stream(client) as stream:
            began = trio.current_time()
            if how == "deaf":
                await trio.sleep(28)
            else:
                await stream.send_eof()
                await trio.testing.wait_all_tasks_blocked()
            assert sleeper.cancelled_at is not None
            assert sleeper.cancelled_at - began == pytest.approx(27 if how == "deaf" else 0, abs=0.5)
            assert stream.rst_code == trio_h2.ErrorCode.CANCEL
        assert server.statistics().running_handlers == 0
    assert errors(caplog) == []


async def test_servers_that_do_not_cancel_handlers(autojump_clock: MockClock) -> None:
    """``cancel_handler_on_reset=False`` holds for clients that are lost, too."""
    told = trio.Event()

    async def function(ws: WebSocket) -> None:
        await trio.sleep(100)
        with pytest.raises(WebSocketBrokenError):
            await ws.send_message("x")
        told.set()

    async with serving(WebSocketHandler(function), config=OFFERING, cancel_handler_on_reset=False) as served:
        await upgrade(served.client)
        await served.client.send_eof()
        await told.wait()


async def test_a_client_that_leaves_while_it_is_closed(autojump_clock: MockClock) -> None:
    """Whoever closes has ended it; what the handler does after that is not cut off."""
    finished = trio.Event()

    async def function(ws: WebSocket) -> None:
        await ws.aclose(4000)
        assert ws.close_code == 1006
        await trio.sleep(1)
        finished.set()

    async with serving(WebSocketHandler(function), config=OFFERING) as served:
        wire = await upgrade(served.client)
        await wire.expect_close(4000)
        await served.client.send_eof()
        await finished.wait()


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


async def test_a_client_that_talks_is_not_asked_in_vain(autojump_clock: MockClock) -> None:
    """Anything that comes answers the keep-alive."""

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send_message(message)

    async with serving(WebSocketHandler(echo), config=OFFERING) as served:
        wire = await upgrade(served.client)
        for n in range(4):
            await wire.expect(PING, b"keep-alive")
            await trio.sleep(10)
            await wire.send(TEXT, str(n))
            await wire.expect(TEXT, str(n))
        await wire.close()
        await wire.expect_close(1000)
