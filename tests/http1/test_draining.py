"""A connection that is drained: a request that has arrived, or is on its way, is answered, and told to be the last."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener
from trio_h2 import Server, ServerConfig, serve_listeners
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from trio.testing import MockClock

    Handler = Callable[[trio_h2.ServerStream], Awaitable[object]]


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


class Drained(NamedTuple):
    """A client, and the server it is connected to."""

    client: RawClient
    server: Server


@asynccontextmanager
async def connected(
    handler: Handler, authority: ThrowawayAuthority | None, config: ServerConfig | None = None
) -> AsyncGenerator[Drained]:
    """A client of a server, over TLS if there is an authority; to that client an end without an alert is an error."""
    listener = MemoryListener()
    context = None if authority is None else authority.server_context(alpn=("h2", "http/1.1"))
    serve = partial(serve_listeners, handler, [listener], ssl_context=context, allow_http1=True, config=config)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        transport: trio.abc.Stream = listener.connect()
        if authority is not None:
            client_context = authority.client_context(alpn=("http/1.1",))
            transport = trio.SSLStream(transport, client_context, server_hostname="localhost")
        client = RawClient(transport)
        await client.send(f"GET /first HTTP/1.1\r\n{HOST}\r\n")
        assert (await client.answer()).headers.get("connection") is None
        yield Drained(client, server)
        await server.aclose()


@pytest.fixture(params=["cleartext", "tls"])
def maybe_tls(request: pytest.FixtureRequest, authority: ThrowawayAuthority) -> ThrowawayAuthority | None:
    return authority if request.param == "tls" else None


async def hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond(body=stream.path.encode())


@pytest.mark.parametrize("pause", [0, 0.9])
async def test_a_request_that_comes_in_time_is_the_last(
    pause: float, maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    async with connected(hello, maybe_tls) as (client, server):
        start = trio.current_time()
        server.shutdown()
        (connection,) = server.http1_connections
        assert (connection.draining, connection.closed) == (True, False)
        await trio.sleep(pause)
        await client.send(f"POST /last HTTP/1.1\r\n{HOST}content-length: 3\r\n\r\nabc")
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"/last", "close")
        assert connection.closed
        await client.expect_end()
        assert trio.current_time() - start == pytest.approx(pause)
        await client.transport.aclose()


@pytest.mark.parametrize("grace", [0, 1])
async def test_a_request_that_has_arrived_is_answered(
    grace: float, maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    """Though nobody has read it when the server is shut down, and however short its time is."""
    async with connected(hello, maybe_tls, ServerConfig(last_request_timeout=grace)) as (client, server):
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await client.send(f"GET /last HTTP/1.1\r\n{HOST}\r\n")
        server.shutdown()
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"/last", "close")
        await client.expect_end()
        assert trio.current_time() - start == 0
        await client.transport.aclose()


@pytest.mark.parametrize("grace", [0, 1, 3])
async def test_an_idle_connection_ends(
    grace: float, maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    """With the alert, and at once when its time is over."""
    async with connected(hello, maybe_tls, ServerConfig(last_request_timeout=grace)) as (client, server):
        start = trio.current_time()
        server.shutdown()
        await client.expect_end()
        assert trio.current_time() - start == pytest.approx(grace)
        await client.transport.aclose()


async def test_a_response_that_has_begun_tells_nothing_so_the_next_one_does(
    maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    """The client may have sent its next request already: it is answered, without any silence."""
    begun, go = trio.Event(), trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/long":
            await stream.respond()
            begun.set()
            await go.wait()
            await stream.send_all(b"all")
        else:
            await hello(stream)

    async with connected(handler, maybe_tls) as (client, server):
        await client.send(f"GET /long HTTP/1.1\r\n{HOST}\r\n")
        await begun.wait()
        await client.send(f"GET /2 HTTP/1.1\r\n{HOST}\r\n")
        await client.send(f"GET /3 HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
        await trio.sleep(5)
        start = trio.current_time()
        go.set()
        answer = await client.answer()
        assert (answer.body, answer.headers.get("connection")) == (b"all", None)
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"/2", "close")
        assert trio.current_time() == start
        await client.transport.aclose()  # RFC 9112 §9.6: SHOULD NOT assume that /3 "will be processed"


async def test_requests_that_have_arrived_behind_another_one(
    maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    """All of them are answered, and the last response says so."""
    go = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/1":
            await go.wait()
        await hello(stream)

    async with connected(handler, maybe_tls) as (client, server):
        for path in ("/1", "/2", "/3"):
            await client.send(f"GET {path} HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
        await trio.sleep(0.5)
        start = trio.current_time()
        go.set()
        for path, connection in (("/1", None), ("/2", None), ("/3", "close")):
            answer = await client.answer()
            assert (answer.body, answer.headers.get("connection")) == (path.encode(), connection)
        await client.expect_end()
        assert trio.current_time() == start
        await client.transport.aclose()


async def test_a_client_that_never_stops_is_stopped(
    maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    """Requests that follow one another without a pause are answered for the time of a last one."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(0.3)
        await hello(stream)

    async with connected(handler, maybe_tls) as (client, server):
        for number in range(10):
            await client.send(f"GET /{number} HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        server.shutdown()
        answered = 1
        while (await client.answer()).headers.get("connection") is None:
            answered += 1
        assert answered == 5
        assert trio.current_time() - start == pytest.approx(1.5)
        await client.transport.aclose()


async def test_an_idle_time_after_a_response_that_had_begun(
    maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    """The time for another request begins when one can be sent."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/long":
            await stream.respond()
            await trio.sleep(5)
            await stream.send_all(b"all")
        else:
            await hello(stream)

    async with connected(handler, maybe_tls) as (client, server):
        await client.send(f"GET /long HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
        assert (await client.answer()).body == b"all"
        await trio.sleep(0.5)
        await client.send(f"GET /last HTTP/1.1\r\n{HOST}\r\n")
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"/last", "close")
        await client.expect_end()
        await client.transport.aclose()


async def test_a_head_that_has_begun_has_its_own_time(
    maybe_tls: ThrowawayAuthority | None, autojump_clock: MockClock
) -> None:
    async with connected(hello, maybe_tls, ServerConfig(handshake_timeout=10)) as (client, server):
        server.shutdown()
        await client.send("GET /slow HT")
        await trio.sleep(5)
        await client.send(f"TP/1.1\r\n{HOST}\r\n")
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"/slow", "close")
        await client.transport.aclose()


@pytest.mark.parametrize("value", [-1, float("nan"), "1", True])
def test_the_time_for_another_request(value: float) -> None:
    error = ValueError if type(value) in (int, float) else TypeError
    with pytest.raises(error, match="last_request_timeout"):
        ServerConfig(last_request_timeout=value)
    assert ServerConfig().last_request_timeout == 1
