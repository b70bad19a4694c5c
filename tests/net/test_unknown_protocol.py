"""TLS clients that do not agree on HTTP/2: what a server does with them, and for how long (F3, H11)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from tests.net.serving import MemoryListener, get, hello
from trio_h2 import Server, ServerConfig, serve_listeners, serve_ssl_over_tcp
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio.testing import MockClock

    Tls = trio.SSLStream[trio.abc.Stream]
    Hook = Callable[[Tls], Awaitable[object]]

ANSWER = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n"


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


async def answer(stream: Tls) -> None:
    """A hook that speaks HTTP/1.1."""
    assert await stream.receive_some() == b"GET / HTTP/1.1\r\n\r\n"
    await stream.send_all(ANSWER)


async def keep(stream: Tls) -> None:
    """A hook that never ends by itself."""
    await trio.sleep_forever()


@asynccontextmanager
async def serving(
    authority: ThrowawayAuthority,
    hook: Hook,
    errors: list[Exception] | None = None,
    *,
    unknown_protocol_timeout: float = 10,
) -> AsyncIterator[tuple[Server, MemoryListener]]:
    """A server over TLS, in memory."""
    listener = MemoryListener()
    told = [] if errors is None else errors
    serve = partial(
        serve_listeners,
        hello,
        [listener],
        ssl_context=authority.server_context(),
        config=ServerConfig(unknown_protocol_timeout=unknown_protocol_timeout),
        on_unknown_protocol=hook,
        on_session_error=lambda _, error: told.append(error),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        yield server, listener
        await server.aclose()
    if errors is None:
        assert told == []


def stranger(authority: ThrowawayAuthority, listener: MemoryListener, *alpn: str) -> Tls:
    """A client that offers these protocols."""
    context = authority.client_context(alpn)
    return trio.SSLStream(listener.connect(), context, server_hostname="localhost", https_compatible=True)


@pytest.mark.parity("F3", "H11")
@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
async def test_the_hook_gets_the_stream(
    alpn: tuple[str, ...], authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    """And when it returns, the connection is closed. Whoever speaks HTTP/2 never gets there."""
    async with serving(authority, answer) as (server, listener):
        client = stranger(authority, listener, *alpn)
        await client.send_all(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.receive_some() == ANSWER
        assert await client.receive_some() == b""
        assert server.sessions == []
        context = authority.client_context()
        assert await get("https://localhost", listener.connect(), context) == b"hello"


@pytest.mark.parity("F3", "H11")
@pytest.mark.parametrize("seconds", [10, 3])
async def test_it_has_so_much_time(seconds: float, authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    assert ServerConfig().unknown_protocol_timeout == 10
    cancelled = []

    async def hook(stream: Tls) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(trio.current_time())

    async with serving(authority, hook, unknown_protocol_timeout=seconds) as (_, listener):
        client = stranger(authority, listener)
        await client.do_handshake()
        start = trio.current_time()
        assert await client.receive_some() == b""
        assert cancelled == [start + seconds]


@pytest.mark.parity("F3")
async def test_what_it_raises_touches_nobody_else(
    authority: ThrowawayAuthority, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def hook(stream: Tls) -> None:
        raise KeyError("oops")

    errors: list[Exception] = []
    async with serving(authority, hook, errors) as (_, listener):
        client = stranger(authority, listener)
        await client.do_handshake()
        assert await client.receive_some() == b""
        assert await get("https://localhost", listener.connect(), authority.client_context()) == b"hello"
    assert [repr(error) for error in errors] == ["KeyError('oops')"]
    assert "a connection ended with an error" in caplog.text


@pytest.mark.parity("F3")
async def test_the_end_of_the_server_waits_for_it_as_long_as_for_sessions(
    authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    async with serving(authority, keep, unknown_protocol_timeout=100) as (server, listener):
        client = stranger(authority, listener)
        await client.do_handshake()
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await server.aclose(grace=2)
        assert trio.current_time() == start + 2
        assert await client.receive_some() == b""


@pytest.mark.parity("F3", "K1")
async def test_hooks_that_cannot_be(authority: ThrowawayAuthority) -> None:
    with pytest.raises(TypeError, match="on_unknown_protocol must be a function, not 'no'"):
        await serve_ssl_over_tcp(hello, 0, authority.server_context(), on_unknown_protocol=cast("Hook", "no"))
    with pytest.raises(ValueError, match="on_unknown_protocol needs an ssl_context"):
        await serve_listeners(hello, [MemoryListener()], on_unknown_protocol=answer)
    for wrong in 0, -1, float("nan"):
        with pytest.raises(ValueError, match="unknown_protocol_timeout must be more than 0 seconds"):
            ServerConfig(unknown_protocol_timeout=wrong)
