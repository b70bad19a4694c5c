"""Both sides of a WebSocket are cancelled at every moment: the session goes on, and nothing is left behind."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import serving
from tests.stream.harness import check_open, pair
from tests.sweep.harness import tasks_living
from tests.websocket.frames import BINARY, Wire
from tests.websocket.test_http1 import ASK
from trio_h2.testing import sweep_cancellation
from trio_h2.websocket import Deflate, WebSocketClosedError, WebSocketClosedHereError, WebSocketHandler, open_websocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock

    from trio_h2.websocket import WebSocket

pytestmark = pytest.mark.parity("L3")

WINDOW = 512
SERVER = trio_h2.ServerConfig(
    stream_window=WINDOW, receive_budget=65_535, max_concurrent_streams=4, enable_connect_protocol=True
)
CLIENT = trio_h2.ClientConfig(stream_window=WINDOW, receive_budget=65_535)
MESSAGES: list[str | bytes] = ["words", bytes(range(256)) * 4, "w" * 700, ""]


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [r.getMessage() for r in caplog.get_records("call") if r.levelno > logging.INFO] == []


async def pages(stream: trio_h2.ServerStream) -> None:
    await stream.respond(body=b"a page")


async def check(client: trio_h2.ClientSession, server: trio_h2.ServerSession) -> None:
    """Asserts that the session is as good as new."""
    await trio.sleep(CLIENT.linger_timeout + 1)
    async with client.request("GET") as stream:
        assert await stream.receive_some() == b"a page"
    await trio.testing.wait_all_tasks_blocked()
    for session in (client, server):
        check_open(session)
        assert session.statistics().open_streams == 0
        assert session.statistics().ledger.held == 0
    assert server.statistics().running_handlers == 0


@pytest.mark.parametrize("compression", [None, Deflate()])
async def test_the_client_is_cancelled(compression: Deflate | None, autojump_clock: MockClock) -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send_message(message)

    handler = WebSocketHandler(echo, fallback=pages, compression=compression)
    async with pair(handler, client_config=CLIENT, server_config=SERVER) as (client, server):

        async def talk() -> None:
            async with open_websocket(client, compression=compression) as ws, trio.open_nursery() as nursery:

                async def send() -> None:
                    for message in MESSAGES:
                        await ws.send_message(message)
                    async with ws.open_message() as parts:
                        await parts.send("a")
                        await parts.send("b")

                nursery.start_soon(send)
                nursery.start_soon(ws.ping)
                assert [await ws.receive_message() for _ in range(5)] == [*MESSAGES, "ab"]

        async def after() -> None:
            await check(client, server)

        points = await sweep_cancellation(talk, after=after, seeds=(0, 1), limit=4000)
        assert points > 60


async def test_the_handler_is_cancelled(autojump_clock: MockClock) -> None:
    scopes: list[trio.CancelScope] = []

    async def echo(ws: WebSocket) -> None:
        try:
            async for message in ws:
                await ws.send_message(message)
        except WebSocketClosedHereError as exc:
            raise AssertionError("who is cancelled must see that, not a WebSocket that it has not closed") from exc

    chat = WebSocketHandler(echo, fallback=pages)

    async def handler(stream: trio_h2.ServerStream) -> None:
        with trio.CancelScope() as scope:
            scopes.append(scope)
            await chat(stream)
        if scope.cancelled_caught:
            stream.reset(trio_h2.ErrorCode.CANCEL)

    async with pair(handler, client_config=CLIENT, server_config=SERVER) as (client, server):

        async def talk() -> None:
            """Cancelled, it has the server's handler cancelled instead."""
            moment = trio.Event()
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    try:
                        await trio.sleep_forever()
                    finally:
                        if scopes:
                            scopes[-1].cancel()
                        moment.set()

                nursery.start_soon(wait)
                with trio.CancelScope(shield=True):
                    try:
                        async with open_websocket(client) as ws:
                            for message in MESSAGES:
                                await ws.send_message(message)
                                assert await ws.receive_message() == message
                    except (WebSocketClosedError, trio_h2.StreamError):
                        assert moment.is_set()
                nursery.cancel_scope.cancel()

        async def after() -> None:
            await check(client, server)

        points = await sweep_cancellation(talk, after=after, seeds=(0, 1), limit=4000)
        assert points > 60


async def test_a_cancelled_receive_loses_nothing(autojump_clock: MockClock) -> None:
    sent = [str(n) for n in range(10)]

    async def handler(ws: WebSocket) -> None:
        for message in sent:
            await ws.send_message(message)
        await ws.receive_message()

    got: list[str | bytes] = []
    async with pair(WebSocketHandler(handler), server_config=SERVER) as (client, _):

        async def scenario() -> None:
            for _ in range(10):
                got.append(await websockets[-1].receive_message())

        websockets: list[WebSocket] = []
        for moment in range(40):
            got.clear()
            async with open_websocket(client) as ws:
                websockets.append(ws)
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(scenario)
                        for _ in range(moment):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()
                while len(got) < 10:
                    got.append(await ws.receive_message())
                assert got == sent


async def test_over_http1_everything_is_cancelled(autojump_clock: MockClock) -> None:
    """The server of one connection, with its WebSocket and its client: no task and no byte is left."""

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send_message(message)

    alive = tasks_living()

    async def talk() -> None:
        async with serving(WebSocketHandler(echo), config=SERVER, capacity=100) as served:
            await served.client.request("GET /", *ASK)
            assert (await served.client.answer()).status == 101
            wire = Wire(served.client.transport, client=True)
            for message in (b"words", bytes(700)):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wire.send, BINARY, message)
                    assert (await wire.receive()).payload == message
            await wire.close()
            await wire.expect_close(1000)
            await wire.expect_end()

    async def after() -> None:
        await trio.testing.wait_all_tasks_blocked()
        assert tasks_living() == alive

    assert await sweep_cancellation(talk, after=after, seeds=(0, 1)) > 60
