"""Clients that leave, and servers that end."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.asgi.apps import body, read_all, served, start
from tests.compat.clients import every_version
from trio_h2 import asgi

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.asgi.apps import App, Receive, Scope, Send


class Watched:
    """An application that tells how it ended."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.began = trio.Event()
        self.ended = trio.Event()
        self.how = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs it."""
        self.began.set()
        try:
            await self._app(scope, receive, send)
            self.how = "returned"
        except BaseException as exc:
            self.how = type(exc).__name__
            raise
        finally:
            self.ended.set()


async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    """Does not look at its client."""
    await trio.sleep_forever()


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends for ever."""
    await send(start(200))
    while True:
        await send(body(b"hello\n", more=True))
        await trio.sleep(1)


async def uploads(scope: Scope, receive: Receive, send: Send) -> None:
    """Waits for a body that never comes."""
    while (await receive())["type"] == "http.request":
        pass


async def listens(scope: Scope, receive: Receive, send: Send) -> None:
    """Waits for the client to leave."""
    await read_all(receive)
    assert (await receive())["type"] == "http.disconnect"


@every_version
@pytest.mark.parametrize("app", [waits, streams])
async def test_a_client_that_leaves_cancels_its_request(version: str, app: App, autojump_clock: MockClock) -> None:
    watched = Watched(app)
    async with served(version, asgi.handler(watched)) as client:
        with trio.move_on_after(5):
            await client.fetch()
        await client.give_up()
        with trio.fail_after(5):
            await watched.ended.wait()
    assert watched.how == "Cancelled"


async def leave(handler: trio_h2.Handler, *, cancel: bool = False, method: str = "POST") -> None:
    """Makes a request, sends half of a body with it, and resets it."""
    server = trio_h2.open_server(handler, cancel_handler_on_reset=cancel)
    async with server as running, trio_h2.connect(running.url) as session:
        async with session.request(method, end_stream=method == "GET") as stream:
            if method == "POST":
                await stream.send_all(b"half")
            await trio.sleep(0.05)
            stream.reset(trio_h2.ErrorCode.CANCEL)
        await trio.sleep(0.05)


@pytest.mark.parametrize(("app", "method"), [(uploads, "POST"), (listens, "GET")])
async def test_an_application_that_is_not_cancelled_is_told(app: App, method: str) -> None:
    watched = Watched(app)
    await leave(asgi.handler(watched), method=method)
    assert watched.how == "returned"


async def test_sending_after_that_is_an_oserror_and_no_complaint() -> None:
    """ASGI, 2.4: `send` raises "a server-specific subclass of OSError"."""
    seen: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await uploads(scope, receive, send)
        for message in (start(200), body(b"hello")):
            with pytest.raises(OSError, match="the client has left") as raised:
                await send(message)
            seen.append(raised.value)
        assert (await receive())["type"] == "http.disconnect"
        await send(start(200))  # and it may escape

    watched = Watched(app)
    await leave(asgi.handler(watched))
    assert watched.how == "ClientDisconnectedError"
    assert [type(one) for one in seen] == [asgi.ClientDisconnectedError] * 2


class ClientDisconnectError(Exception):
    """What a framework makes of it."""


@pytest.mark.parametrize("grouped", [False, True])
async def test_what_frameworks_make_of_it_is_no_complaint(caplog: pytest.LogCaptureFixture, *, grouped: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await uploads(scope, receive, send)
        try:
            await send(start(200))
        except OSError:
            raise ClientDisconnectError from None

    async def in_a_task(scope: Scope, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app, scope, receive, send)

    caplog.set_level(logging.INFO, "trio_h2.asgi")
    watched = Watched(in_a_task if grouped else app)
    await leave(asgi.handler(watched))
    assert watched.how == ("ExceptionGroup" if grouped else "ClientDisconnectError")
    assert [record for record in caplog.records if record.name == "trio_h2.asgi"] == []


async def test_other_errors_after_that_are_told_in_passing(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await uploads(scope, receive, send)
        raise KeyError("nothing there")

    caplog.set_level(logging.INFO, "trio_h2.asgi")
    await leave(asgi.handler(app))
    [record] = [one for one in caplog.records if one.name == "trio_h2.asgi"]
    assert (record.levelno, record.getMessage()) == (logging.INFO, "POST /: raised after its client had left")


@every_version
async def test_a_drain_lets_a_request_finish(version: str) -> None:
    began = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await trio.sleep(0.1)
        await send(start(200))
        await send(body(b"in time"))

    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(partial(asgi.serve, app, 0, lifespan_mode="off"))

        async def fetch() -> None:
            async with trio_h2.Client(http1=version == "1.1") as client, client.request("GET", server.url) as response:
                assert await response.read() == b"in time"

        nursery.start_soon(fetch)
        await began.wait()
        await server.aclose()


async def test_a_request_that_never_ends_is_cancelled_at_the_end_of_the_drain(autojump_clock: MockClock) -> None:
    watched = Watched(waits)
    config = trio_h2.ServerConfig(drain_timeout=7)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(
            partial(asgi.serve, watched, 0, lifespan_mode="off", config=config)
        )

        async def ask() -> None:
            async with trio_h2.connect(server.url) as session, session.request("GET") as stream:
                with pytest.raises(trio.BrokenResourceError):
                    await stream.receive_response()

        nursery.start_soon(ask)
        await watched.began.wait()
        await server.aclose()
    assert watched.how == "Cancelled"
    assert 7 <= trio.current_time() - began < 10
