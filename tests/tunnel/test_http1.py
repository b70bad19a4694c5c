"""A `ConnectProxy` that HTTP/1.1 clients use, too: the same tunnels, as far as HTTP/1.1 and TLS have words for them."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.http1.client import RawClient, Served, serving
from tests.sweep.harness import tasks_living
from tests.tunnel.killer import KillerScope
from tests.tunnel.targets import HERE, PATIENCE, Target, jane, open_files, reset, target, until
from trio_h2.testing import CancellationSweep, ThrowawayAuthority, sweep_cancellation
from trio_h2.tunnel import ConnectProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trio.testing import MockClock

    from tests.tunnel.targets import Talk
    from trio_h2.testing import SweepRun

pytestmark = pytest.mark.parity("L1")


@asynccontextmanager
async def through_proxy(
    proxy: ConnectProxy, talk: Talk, authority: ThrowawayAuthority | None = None
) -> AsyncGenerator[tuple[RawClient, str], None]:
    """Runs a target and the proxy, over TLS if there is an authority; gives a client, and where the target is."""
    serve = (
        partial(trio_h2.serve_tcp, proxy, 0)
        if authority is None
        else partial(trio_h2.serve_ssl_over_tcp, proxy, 0, authority.server_context(["h2", "http/1.1"]))
    )
    with trio.fail_after(PATIENCE):
        async with target(talk) as place, trio.open_nursery() as nursery:
            server: trio_h2.Server = await nursery.start(partial(serve, host="127.0.0.1", allow_http1=True))
            transport: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            if authority is not None:
                transport = trio.SSLStream(
                    transport,
                    authority.client_context(["http/1.1"]),
                    server_hostname="localhost",
                    https_compatible=True,
                )
            async with transport:
                yield RawClient(transport), place.authority
            await until(lambda: proxy.statistics().open == 0)
            nursery.cancel_scope.cancel()


def connect(authority: str, early: str = "") -> str:
    """Returns a CONNECT, with what is sent before its answer."""
    return f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n{early}"


async def test_hello_jane() -> None:
    """Each direction ends by itself, and nothing of the answer to CONNECT is about a body."""
    proxy = ConnectProxy(HERE)
    async with through_proxy(proxy, jane) as (client, authority):
        await client.send(connect(authority, "Ja"))
        answer = await client._until(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
        assert answer.count(b"\r\n") == 1
        await client.send("ne")
        await client.send_eof()
        assert await client.rest() == b"hello Jane"
    assert proxy.statistics() == trio_h2.tunnel.ProxyStatistics(0, 1, 0, 4, 10)


async def test_the_end_of_the_target_ends_a_tunnel_over_tls() -> None:
    """RFC 9110 §9.3.6: TLS cannot pass on the end of one direction, so both end; the client is not kept waiting."""
    ended = trio.Event()

    async def closes_first(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"all of it")
        await stream.send_eof()
        while await stream.receive_some():
            pass
        ended.set()

    proxy = ConnectProxy(HERE)
    async with through_proxy(proxy, closes_first, ThrowawayAuthority()) as (client, where):
        await client.send(connect(where, "begin"))
        await client._until(b"\r\n\r\n")
        began = trio.current_time()
        assert await client.rest() == b"all of it"
        await ended.wait()
        assert trio.current_time() - began < trio_h2.ServerConfig().linger_timeout / 2
    assert proxy.statistics() == trio_h2.tunnel.ProxyStatistics(0, 1, 0, 5, 9)


async def test_a_broken_target_is_a_reset() -> None:
    """HTTP/1.1 has no code for it; what the client has got must not look whole."""

    async def rude(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        reset(stream)

    async with through_proxy(ConnectProxy(HERE), rude) as (client, authority):
        await client.send(connect(authority))
        await client._until(b"\r\n\r\n")
        await client.send("x")
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()


async def test_a_client_that_breaks_off_resets_the_target(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trio_h2.proxy")
    broken = trio.Event()

    async def waits(stream: trio.SocketStream) -> None:
        try:
            await stream.receive_some()
        except trio.BrokenResourceError:
            broken.set()

    async with through_proxy(ConnectProxy(HERE), waits) as (client, authority):
        await client.send(connect(authority))
        await client._until(b"\r\n\r\n")
        assert isinstance(client.transport, trio.SocketStream)
        reset(client.transport)
        await broken.wait()
    (line,) = (record.getMessage() for record in caplog.records if record.name == "trio_h2.proxy")
    assert line.startswith("127.0.0.1:")
    assert f" CONNECT {authority} ({authority}): 0 bytes up, 0 down, " in line


async def test_refusals() -> None:
    async with through_proxy(ConnectProxy(HERE, authenticate={"a": "b"}), jane) as (client, authority):
        await client.send(connect(authority))
        answer = await client.answer()
        assert (answer.status, answer.body) == (407, b"proxy credentials are missing or wrong\n")
        assert answer.headers["proxy-authenticate"] == 'Basic realm="proxy", charset="UTF-8"'
        assert answer.headers["connection"] == "close"
        await client.expect_end()
    async with through_proxy(ConnectProxy(HERE), jane) as (client, authority):
        await client.send(f"GET http://{authority}/ HTTP/1.1\r\nhost: {authority}\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["allow"]) == (405, "CONNECT")
        assert answer.body == b"this proxy is for CONNECT only\n"
        await client.send(connect("192.0.2.1:25"))  # the same connection will do
        assert (await client.answer()).status == 403


async def test_cancelled_anywhere_nothing_is_left(autojump_clock: MockClock) -> None:
    files, tasks = open_files(), tasks_living()
    proxy = ConnectProxy(HERE)

    async def talk() -> None:
        async with target(jane) as place, serving(proxy) as served:
            await served.client.send(connect(place.authority))
            await served.client._until(b"\r\n\r\n")
            await served.client.send("Jane")
            await served.client.send_eof()
            assert await served.client.rest() == b"hello Jane"

    await sweep_cancellation(talk)
    assert proxy.statistics().open == 0
    assert tasks_living() == tasks
    assert open_files() <= files


def the_target_resets(place: Target, served: Served) -> None:
    for connection in place.connections:
        if connection.socket.fileno() != -1:
            reset(connection)


def the_connection_breaks(place: Target, served: Served) -> None:
    served.connection.destroy()


def the_exchange_is_reset(place: Target, served: Served) -> None:
    for exchange in served.exchanges:
        exchange.reset()


def the_handler_is_cancelled(place: Target, served: Served) -> None:
    for exchange in served.exchanges:
        exchange._core.cancel()


@pytest.mark.parametrize(
    "kill", [the_target_resets, the_connection_breaks, the_exchange_is_reset, the_handler_is_cancelled]
)
async def test_something_is_killed(
    kill: Callable[[Target, Served], None], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    files, tasks = open_files(), tasks_living()
    config = trio_h2.ServerConfig(stream_window=64)
    moments = CancellationSweep(seeds=(0,))
    whole = 0

    async def one_run(run: SweepRun, place: Target, served: Served) -> None:
        nonlocal whole
        scope = KillerScope(run)
        async with trio.open_nursery() as nursery:

            async def killer() -> None:
                await scope.moment.wait()
                kill(place, served)

            nursery.start_soon(killer)
            async with run:
                try:
                    await served.client.send(connect(place.authority, "Jane" * 30))
                    await served.client._until(b"\r\n\r\n")
                    await served.client.send_eof()
                    whole += await served.client.rest() == b"hello " + b"Jane" * 30
                except (trio.BrokenResourceError, EOFError):
                    pass
            nursery.cancel_scope.cancel()

    for run in moments:
        proxy = ConnectProxy(HERE)
        with trio.fail_after(3000):
            async with target(jane) as place, serving(proxy, config=config) as served:
                await one_run(run, place, served)
                await trio.sleep(config.linger_timeout + 1)
                assert proxy.statistics().open == 0
        assert tasks_living() == tasks
        assert open_files() <= files
    assert 0 < whole < moments.points - 10
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []
