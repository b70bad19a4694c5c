"""The lifespan of applications, and what serves around it."""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.asgi.apps import body, plain, start
from trio_h2 import asgi
from trio_h2.testing import ThrowawayAuthority
from trio_h2.websocket import connect_websocket

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.asgi.apps import Receive, Scope, Send


class Living:
    """An application with a lifespan, which does as it is told."""

    def __init__(
        self,
        *,
        startup: str = "complete",
        shutdown: str = "complete",
        delay: float = 0,
        message: str | None = None,
        raises: BaseException | None = None,
    ) -> None:
        self.startup, self.shutdown, self.delay, self.message, self.raises = startup, shutdown, delay, message, raises
        self.events: list[str] = []
        self.crash = trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Does it."""
        if scope["type"] != "lifespan":
            await send(start(200))
            await send(body(repr(scope["state"]).encode()))
            return
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        try:
            assert await receive() == {"type": "lifespan.startup"}
            cast("dict[str, object]", scope["state"])["pool"] = 5
            await self._say("startup", self.startup, send)
            self.events.append("started")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._crash)
                assert await receive() == {"type": "lifespan.shutdown"}
                nursery.cancel_scope.cancel()
            await self._say("shutdown", self.shutdown, send)
            self.events.append("stopped")
        except trio.Cancelled:
            self.events.append("cancelled")
            raise

    async def _say(self, what: str, how: str, send: Send) -> None:
        if how == "raise":
            raise KeyError(what)
        await trio.sleep(self.delay)
        message = {} if self.message is None else {"message": self.message}
        await send({"type": f"lifespan.{what}.{how}", **message})
        if how == "failed":
            raise KeyError(what)

    async def _crash(self) -> None:
        await self.crash.wait()
        raise KeyError("crashed")


async def test_a_lifespan(autojump_clock: MockClock) -> None:
    app = Living(delay=3)
    block = asgi.lifespan(app)
    async with block as state:
        assert state == {"pool": 5}
        assert trio.current_time() == pytest.approx(3, abs=1)
    assert app.events == ["started", "stopped"]
    with pytest.raises(RuntimeError, match="can be entered only once"):
        async with block:
            pass


@pytest.mark.parametrize("app", [plain, Living(startup="raise")])
async def test_an_application_without_lifespan(app: asgi.Application) -> None:
    async with asgi.lifespan(app) as state:
        assert state in ({}, {"pool": 5})
    with pytest.raises(asgi.LifespanError, match=r"the application raised .* before lifespan\.startup\.complete"):
        async with asgi.lifespan(app, mode="on"):
            pytest.fail("it was entered")


async def test_an_application_that_returns_without_a_word() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async with asgi.lifespan(app):
        pass
    with pytest.raises(asgi.LifespanError, match=r"returned before lifespan\.startup\.complete"):
        async with asgi.lifespan(app, mode="on"):
            pytest.fail("it was entered")


async def test_a_lifespan_that_is_off() -> None:
    app = Living()
    async with asgi.lifespan(app, mode="off") as state:
        assert state == {}
    assert app.events == []


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_a_start_that_fails(mode: asgi.LifespanMode, autojump_clock: MockClock) -> None:
    app = Living(startup="failed", message="Traceback (most recent call last):\n  …\nKeyError: 'startup'\n")
    with pytest.raises(asgi.LifespanError) as raised:
        async with asgi.lifespan(app, mode=mode):
            pytest.fail("it was entered")
    assert str(raised.value) == "the application could not start: KeyError: 'startup'"
    assert isinstance(raised.value.__cause__, KeyError)


async def test_a_start_that_fails_in_silence(autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed"})
        await trio.sleep_forever()

    with pytest.raises(asgi.LifespanError, match="could not start: it gave no reason"):
        async with asgi.lifespan(app):
            pytest.fail("it was entered")


async def test_a_start_that_takes_too_long(autojump_clock: MockClock) -> None:
    app = Living(delay=100)
    with pytest.raises(asgi.LifespanError, match="has not started within startup_timeout=60 s"):
        async with asgi.lifespan(app):
            pytest.fail("it was entered")
    assert app.events == ["cancelled"]
    assert trio.current_time() == pytest.approx(60, abs=1)
    async with asgi.lifespan(Living(delay=100), startup_timeout=None, shutdown_timeout=None):
        pass


async def test_a_start_that_needs_asyncio() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio  # noqa: TID251 - that is the mistake

        asyncio.get_running_loop()

    with pytest.raises(asgi.AsyncioNeededError, match="hypercorn or uvicorn") as raised:
        async with asgi.lifespan(app):
            pytest.fail("it was entered")
    assert isinstance(raised.value.__cause__, RuntimeError)


@pytest.mark.parametrize("how", ["failed", "raise"])
async def test_a_shutdown_that_fails(how: str, autojump_clock: MockClock) -> None:
    with pytest.raises(asgi.LifespanError, match="the application could not shut down: ") as raised:
        async with asgi.lifespan(Living(shutdown=how)):
            pass
    assert isinstance(raised.value.__cause__, KeyError)


async def test_a_shutdown_that_takes_too_long(autojump_clock: MockClock) -> None:
    app = Living(delay=100)
    block = asgi.lifespan(app, startup_timeout=math.inf, shutdown_timeout=7)
    with pytest.raises(asgi.LifespanError, match="it was cancelled after shutdown_timeout=7 s"):
        async with block:
            began = trio.current_time()
    assert app.events == ["started", "cancelled"]
    assert trio.current_time() - began == pytest.approx(7, abs=1)


@pytest.mark.parametrize("how", ["complete", "failed"])
async def test_an_error_of_the_block_shuts_down_and_stays_itself(
    how: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, complaints: pytest.LogCaptureFixture
) -> None:
    app = Living(shutdown=how)
    error = ValueError("of the body")
    with pytest.raises(ValueError, match="of the body") as raised:
        async with asgi.lifespan(app):
            raise error
    assert raised.value is error
    complained = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    if how == "complete":
        assert (app.events, complained) == (["started", "stopped"], [])
    else:
        assert complained == ["the application could not shut down: it gave no reason"]


async def test_a_cancelled_block_shuts_down(autojump_clock: MockClock) -> None:
    app = Living(delay=2)
    with trio.move_on_after(10) as scope:
        async with asgi.lifespan(app):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert app.events == ["started", "stopped"]


async def test_a_cancelled_block_has_its_limit(autojump_clock: MockClock, complaints: pytest.LogCaptureFixture) -> None:
    app = Living(delay=100)
    with trio.move_on_after(200):
        async with asgi.lifespan(app, startup_timeout=0, shutdown_timeout=0):
            await trio.sleep_forever()
    assert app.events == ["started", "cancelled"]
    assert trio.current_time() == pytest.approx(260, abs=2)
    [record] = complaints.records
    assert "it was cancelled after shutdown_timeout=60 s" in record.getMessage()


async def test_a_shutdown_without_a_limit_has_one_once_it_is_cancelled(autojump_clock: MockClock) -> None:
    app = Living(delay=1000)
    with pytest.raises(asgi.LifespanError, match="it was cancelled after shutdown_timeout=60 s"):
        with trio.move_on_after(1500):  # it starts until 1000, and would shut down until 2000
            async with asgi.lifespan(app, startup_timeout=None, shutdown_timeout=None):
                pass
    assert app.events == ["started", "cancelled"]
    assert trio.current_time() == pytest.approx(1500 + 60, abs=2)


async def test_an_application_that_fails_while_it_runs_ends_the_block(autojump_clock: MockClock) -> None:
    """A task of its lifespan, say; nobody would notice otherwise that half of it is missing."""
    app = Living()
    with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
        async with asgi.lifespan(app):
            app.crash.set()
            await trio.sleep_forever()


async def test_messages_that_have_no_place(autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for wrong in ("lifespan.shutdown.complete", "http.response.start"):
            with pytest.raises(RuntimeError, match="has no place at this point of a lifespan"):
                await send({"type": wrong})
        await send({"type": "lifespan.startup.complete"})
        with pytest.raises(RuntimeError, match=r"'lifespan\.startup\.complete' has no place"):
            await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async with asgi.lifespan(app):
        pass


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="mode must be 'auto', 'on' or 'off', not 'maybe'"):
        asgi.lifespan(plain, mode=cast("asgi.LifespanMode", "maybe"))
    with pytest.raises(ValueError, match="startup_timeout"):
        asgi.lifespan(plain, startup_timeout=-1)
    with pytest.raises(TypeError, match="shutdown_timeout"):
        asgi.lifespan(plain, shutdown_timeout=cast("float", "5"))
    with pytest.raises(TypeError, match=r"lifespan\(\) makes it"):
        asgi.Lifespan()  # type: ignore[call-arg]


# -- serve -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("http1", [False, True])
@pytest.mark.parametrize("tls", [False, True])
async def test_serve(*, http1: bool, tls: bool) -> None:
    app = Living()
    authority = ThrowawayAuthority()
    context = authority.server_context(["h2", "http/1.1"]) if tls else None
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(partial(asgi.serve, app, 0, ssl_context=context))
        assert app.events == ["started"]
        client_context = authority.client_context(["http/1.1" if http1 else "h2"]) if tls else None
        client = trio_h2.Client(ssl_context=client_context, http1=http1)
        async with client, client.request("GET", server.url) as response:
            assert response.http_version == ("1.1" if http1 else "2")
            assert await response.read() == b"{'pool': 5}"
        await server.aclose()
    assert app.events == ["started", "stopped"]


async def test_serve_has_websockets_over_http2() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(scope["http_version"])})

    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(partial(asgi.serve, app, 0, lifespan_mode="off"))
        async with connect_websocket(server.url.replace("http", "ws", 1)) as websocket:
            assert await websocket.receive_message() == "2"
        await server.aclose()


async def test_serve_that_is_cancelled_shuts_the_application_down() -> None:
    app = Living()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(asgi.serve, app, 0))
        nursery.cancel_scope.cancel()
    assert app.events == ["started", "stopped"]


async def test_an_application_that_cannot_start_is_not_served() -> None:
    with pytest.RaisesGroup(asgi.LifespanError):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(asgi.serve, Living(startup="failed"), 0))


async def test_serve_checks_its_arguments_before_it_starts_anything() -> None:
    app = Living()
    with pytest.raises(ValueError, match="root_path"):
        await asgi.serve(app, 0, root_path="api")
    with pytest.raises(ValueError, match="mode must be"):
        await asgi.serve(app, 0, lifespan_mode=cast("asgi.LifespanMode", "maybe"))
    assert app.events == []
