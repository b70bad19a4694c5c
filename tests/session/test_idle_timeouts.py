"""`set_idle_timeout`: one method with one meaning on sessions, streams, requests, responses and servers."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pytest
import trio

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener, hello
from trio_h2 import ServerConfig, compat
from trio_h2.testing import memory_transports, session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trio_h2 import Http1Connection, ServerSession, ServerStream

    Use: TypeAlias = Callable[["Idling"], Awaitable[None]]


class Idling(Protocol):
    """What all of them have."""

    @property
    def idle_timeout(self) -> float: ...
    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None: ...
    def set_idle_timeout(self, seconds: float | None, on_idle: Callable[[], object] | None = None) -> None: ...


async def on_session(use: Use) -> None:
    for number in range(2):
        async with session_pair(hello) as both:
            await use(both[number])


async def on_http1_connection(use: Use) -> None:
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        client = RawClient(theirs)
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        serve = partial(trio_h2.serve_stream, hello, ours, allow_http1=True)
        connection: Http1Connection = await nursery.start(serve)
        await client.answer()
        await use(connection)
        nursery.cancel_scope.cancel()


async def on_stream(use: Use) -> None:
    async def handler(stream: ServerStream) -> None:
        await use(stream)
        await stream.respond()

    async with session_pair(handler) as (client, _), client.request("GET") as stream:
        await stream.receive_response()
        assert stream.idle_timeout == math.inf
        stream.idle_timeout = None


async def on_http1_exchange(use: Use) -> None:
    async def handler(stream: ServerStream) -> None:
        assert isinstance(stream, trio_h2.Http1Exchange)
        await use(stream)
        await stream.respond()

    await over_http1(handler)


async def over_http1(handler: Callable[[ServerStream], Awaitable[None]]) -> None:
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio_h2.serve_stream, handler, ours, allow_http1=True))
        client = RawClient(theirs)
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert (await client.answer()).status == 200
        nursery.cancel_scope.cancel()


async def on_request_and_response(use: Use) -> None:
    async def app(request: compat.Request, response: compat.Response) -> None:
        await use(request)
        await use(response)
        await response.end()

    async with session_pair(compat.request_handler(app)) as (client, _), client.request("GET") as stream:
        assert (await stream.receive_response()).status == 200


EVERYWHERE = [on_session, on_http1_connection, on_stream, on_http1_exchange, on_request_and_response]


@pytest.mark.parametrize("where", EVERYWHERE)
async def test_nothing_and_none_turn_it_off(where: Callable[[Use], Awaitable[None]], autojump_clock: MockClock) -> None:
    async def use(one: Idling) -> None:
        calls: list[None] = []
        for off in (0, None, 0.0, math.inf):
            one.set_idle_timeout(5, lambda: calls.append(None))
            assert one.idle_timeout == 5
            one.set_idle_timeout(off, lambda: calls.append(None))
            assert one.idle_timeout == math.inf
            await trio.sleep(20)
            one.idle_timeout = 5
            one.idle_timeout = off
            assert one.idle_timeout == math.inf
            await trio.sleep(20)
        assert calls == []
        one.set_idle_timeout(None)

    await where(use)


@pytest.mark.parametrize("where", EVERYWHERE)
async def test_the_hook_is_called_again_and_again(
    where: Callable[[Use], Awaitable[None]], autojump_clock: MockClock
) -> None:
    async def use(one: Idling) -> None:
        calls: list[float] = []
        start = trio.current_time()
        one.set_idle_timeout(5, lambda: calls.append(trio.current_time() - start))
        await trio.sleep(17)
        assert calls == pytest.approx([5, 10, 15], abs=0.1)
        one.set_idle_timeout(None)
        await trio.sleep(100)
        assert len(calls) == 3

    await where(use)


@pytest.mark.parametrize("where", EVERYWHERE)
async def test_wrong_values(where: Callable[[Use], Awaitable[None]], autojump_clock: MockClock) -> None:
    async def use(one: Idling) -> None:
        await trio.lowlevel.checkpoint()
        for negative in (-1, math.nan, -math.inf):
            with pytest.raises(ValueError, match=r"idle_timeout must be 0 seconds or more \(0 and None turn it off\)"):
                one.set_idle_timeout(negative)
        for wrong in (True, "1"):
            with pytest.raises(TypeError, match="idle_timeout must be seconds"):
                one.set_idle_timeout(wrong)  # type: ignore[arg-type]  # that is what is tested
        with pytest.raises(TypeError, match="on_idle must be a function or None, not 5"):
            one.set_idle_timeout(3, 5)  # type: ignore[arg-type]
        assert one.idle_timeout in (math.inf, 120)

    await where(use)


async def test_a_connection_that_has_idled_long_enough(autojump_clock: MockClock) -> None:
    """What it has idled already counts when the time is changed, over both versions."""

    async def use(one: Idling) -> None:
        assert isinstance(one, trio_h2.Session | trio_h2.Http1Connection)
        await trio.sleep(10)
        one.idle_timeout = 12
        with trio.fail_after(3):
            await one.wait_draining()

    await on_http1_connection(use)
    async with session_pair(hello) as (client, _):
        await use(client)


async def test_a_hook_may_end_a_connection_over_http1(autojump_clock: MockClock) -> None:
    for end in (trio_h2.Http1Connection.shutdown, trio_h2.Http1Connection.destroy):

        async def use(one: Idling, end: Callable[[Http1Connection], object] = end) -> None:
            assert isinstance(one, trio_h2.Http1Connection)
            one.idle_timeout = 10
            one.on_idle = end
            assert one.on_idle is end
            start = trio.current_time()
            await one.wait_closed()
            # After a shutdown, one more request may be on its way for last_request_timeout; and this client does not
            # close its side.
            assert 10 <= trio.current_time() - start <= 12

        await on_http1_connection(use)


# -- servers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("F1", "F5")
async def test_the_hook_of_a_server(autojump_clock: MockClock) -> None:
    """It is told of each connection that idles, of both versions, and decides."""
    listener = MemoryListener()
    idled: list[tuple[str, float]] = []
    start = trio.current_time()

    def hook(connection: ServerSession | Http1Connection) -> None:
        idled.append((type(connection).__name__, trio.current_time() - start))
        if len(idled) > 2:
            connection.shutdown()

    serve = partial(trio_h2.serve_listeners, hello, [listener], allow_http1=True)
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        server.set_idle_timeout(10, hook)
        assert server.idle_timeout == 10
        assert server.on_idle is hook
        client = RawClient(listener.connect())
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        await client.answer()
        await trio.sleep(1)
        start = trio.current_time() - 1
        async with trio_h2.connect("http://a", transport=listener.connect()) as session:
            await session.wait_draining()
        await client.rest()
        await server.aclose()
    assert [name for name, _ in idled] == ["Http1Connection", "ServerSession"] * 2
    assert [seconds for _, seconds in idled] == pytest.approx([10, 11, 20, 21])


async def test_the_hook_of_a_session_goes_before_that_of_its_server(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    idled: list[str] = []

    async def on_session(session: ServerSession) -> None:
        await trio.lowlevel.checkpoint()
        assert session.on_idle is not None
        session.set_idle_timeout(5, lambda: idled.append("session"))

    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(
            partial(trio_h2.serve_listeners, hello, [listener], on_session=on_session)
        )
        server.set_idle_timeout(3, lambda _: idled.append("server"))
        async with trio_h2.connect("http://a", transport=listener.connect()):
            await trio.sleep(12)
        server.set_idle_timeout(None)
        assert (server.idle_timeout, server.on_idle) == (math.inf, None)
        await server.aclose()
    assert idled == ["session", "session"]


async def test_a_hook_of_a_server_that_raises_ends_its_connection(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    errors: list[Exception] = []

    def hook(connection: ServerSession | Http1Connection) -> None:
        raise RuntimeError("a bug")

    serve = partial(
        trio_h2.serve_listeners,
        hello,
        [listener],
        allow_http1=True,
        on_session_error=lambda _, error: errors.append(error),
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        server.set_idle_timeout(10, hook)
        client = RawClient(listener.connect())
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        await client.answer()
        async with trio_h2.connect("http://a", transport=listener.connect()) as session:
            with pytest.raises(trio_h2.SessionError):
                await session.wait_closed()
        await client.rest()
        assert len(errors) == 2
        await server.aclose()


async def test_wrong_values_for_a_server() -> None:
    async with trio_h2.open_server(hello, config=ServerConfig(idle_timeout=50)) as server:
        with pytest.raises(TypeError, match="on_idle must be a function or None, not 5"):
            server.on_idle = 5  # type: ignore[assignment]  # that is what is tested
        with pytest.raises(TypeError, match="on_idle"):
            server.set_idle_timeout(1, 5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="idle_timeout must be 0 seconds or more"):
            server.set_idle_timeout(-1, lambda _: None)
        with pytest.raises(TypeError, match="idle_timeout must be seconds"):
            server.idle_timeout = "1"  # type: ignore[assignment]
        assert (server.idle_timeout, server.on_idle) == (50, None)
