"""Handlers that run on when their exchange is over: the connection goes on without them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.http1.client import serving
from trio_h2 import asgi

if TYPE_CHECKING:
    import pytest
    from trio.testing import MockClock

    from tests.asgi.apps import Receive, Scope, Send

AT_ONCE = 8
"""How many may run on beside the one whose turn it is."""


class Background:
    """A handler that answers, and has something to do after that."""

    def __init__(self) -> None:
        self.go_on = trio.Event()
        self.done: list[str] = []

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        """Answers at once."""
        await stream.respond(body=stream.path.encode())
        try:
            await self.go_on.wait()
        except trio.Cancelled:
            self.done.append(f"{stream.path} cancelled")
            raise
        self.done.append(stream.path)


async def test_the_next_request_does_not_wait(autojump_clock: MockClock) -> None:
    handler = Background()
    async with serving(handler) as running:
        for path in ("/1", "/2", "/3"):
            await running.client.request(f"GET {path}")
            assert (await running.client.answer()).body == path.encode()
        assert handler.done == []
        handler.go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(handler.done) == ["/1", "/2", "/3"]
        await running.client.request("GET /4")
        assert (await running.client.answer()).body == b"/4"


async def test_requests_that_were_sent_at_once(autojump_clock: MockClock) -> None:
    handler = Background()
    async with serving(handler) as running:
        for number in range(3):
            await running.client.request(f"GET /{number}")
        for number in range(3):
            assert (await running.client.answer()).body == b"/%d" % number
        handler.go_on.set()


async def test_only_so_many_run_on(autojump_clock: MockClock) -> None:
    handler = Background()
    async with serving(handler) as running:
        for number in range(AT_ONCE + 1):
            await running.client.request(f"GET /{number}")
            assert (await running.client.answer()).body == b"/%d" % number
        await running.client.request("GET /late")
        with trio.move_on_after(5) as scope:
            await running.client.answer()
        assert scope.cancelled_caught
        handler.go_on.set()
        assert (await running.client.answer()).body == b"/late"


async def test_the_client_is_not_kept_when_it_leaves(autojump_clock: MockClock) -> None:
    handler = Background()
    async with serving(handler) as running:
        await running.client.request("GET /1", "Connection: close")
        assert (await running.client.answer()).headers["connection"] == "close"
        await running.client.expect_end()
        assert handler.done == []
        handler.go_on.set()
        await running.connection.wait_closed()
        assert handler.done == ["/1"]


async def test_what_ends_a_connection_at_once_ends_them(autojump_clock: MockClock) -> None:
    handler = Background()
    async with serving(handler) as running:
        for path in ("/1", "/2"):
            await running.client.request(f"GET {path}")
            await running.client.answer()
        running.connection.destroy()
        await running.connection.wait_closed()
        assert sorted(handler.done) == ["/1 cancelled", "/2 cancelled"]


async def test_the_end_of_a_drain_ends_them() -> None:
    handler = Background()
    async with trio_h2.open_server(handler, allow_http1=True) as server:
        url = f"{server.url}/1"
        async with trio_h2.Client(prior_knowledge=False) as client, client.request("GET", url) as response:
            assert response.http_version == "1.1"
            await response.read()
        await server.aclose(grace=0.01)
        assert handler.done == ["/1 cancelled"]


async def test_a_body_that_is_read_late(autojump_clock: MockClock) -> None:
    """What was received belongs to its handler, and to nobody else."""
    go_on, read = trio.Event(), list[bytes]()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(body=b"ok")
        await go_on.wait()
        read.append(await stream.read())

    async with serving(handler) as running:
        for body in (b"first", b"second"):
            await running.client.request("POST /", f"Content-Length: {len(body)}", body=body)
            await running.client.answer()
        go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(read) == [b"first", b"second"]
        await running.client.request("GET /")
        assert (await running.client.answer()).body == b"ok"


async def test_one_that_gives_its_exchange_up_late_harms_nobody(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a reset nor an error reaches the exchange that the connection has by then."""
    reset, failed, finish = trio.Event(), trio.Event(), trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/slow":
            await stream.respond({"content-length": 4})
            await stream.send_all(b"ha")
            await finish.wait()
            await stream.send_all(b"lf")
            return
        await stream.respond(body=b"ok")
        await (reset if stream.path == "/resets" else failed).wait()
        if stream.path == "/resets":
            stream.reset()
            stream.idle_timeout = 0.5
        else:
            raise ZeroDivisionError("too late")

    async with serving(handler) as running:
        for path in ("/resets", "/fails"):
            await running.client.request(f"GET {path}")
            await running.client.answer()
        await running.client.request("GET /slow")
        await trio.testing.wait_all_tasks_blocked()
        reset.set()
        failed.set()
        await trio.sleep(1)
        finish.set()
        assert (await running.client.answer()).body == b"half"
    errors = [record.exc_info for record in caplog.records if record.levelno >= logging.ERROR]
    assert [str(error[1]) for error in errors if error is not None] == ["too late"]


async def test_a_background_task_of_asgi(autojump_clock: MockClock) -> None:
    """Starlette runs them when the response is sent, in the same call."""
    begun, go_on = list[str](), trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        begun.append(str(scope["path"]))
        await go_on.wait()

    async with serving(asgi.handler(app)) as running:
        for path in ("/1", "/2"):
            await running.client.request(f"GET {path}")
            assert (await running.client.answer()).body == b"ok"
        await trio.testing.wait_all_tasks_blocked()
        assert begun == ["/1", "/2"]
        go_on.set()
