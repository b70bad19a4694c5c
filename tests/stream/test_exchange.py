"""`ServerExchange`: what a handler may rely on, whatever the HTTP version; here with `ServerStream`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.stream.harness import Exchanges, pair, scripted_client
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from trio.testing import MockClock


async def _echo(exchange: trio_h2.ServerExchange) -> None:
    """Written for the Protocol alone; that it is accepted as a handler is checked by mypy."""
    assert isinstance(exchange, trio_h2.ServerExchange)
    assert issubclass(type(exchange), trio.abc.HalfCloseableStream)
    assert (exchange.http_version, exchange.method, exchange.path) == ("2.0", "POST", "/echo")
    assert (exchange.scheme, exchange.authority) == ("http", "localhost")
    assert exchange.raw_headers == exchange.headers.raw
    assert exchange.transport is exchange.session.transport
    assert exchange.transport.alpn_protocol == "h2c"
    flags = (exchange.headers_sent, exchange.end_after_headers, exchange.expects_continue, exchange.closed)
    assert not any(flags)
    await exchange.respond(201)
    assert exchange.sent_headers is not None
    assert exchange.sent_headers.status == 201
    async for chunk in exchange:
        await exchange.send_all(chunk)
    await exchange.send_trailers({"sent": "all"})


async def test_a_stream_is_an_exchange() -> None:
    async with (
        pair(_echo) as (client, _),
        client.request("POST", "/echo", body=b"to and fro") as stream,
    ):
        assert (await stream.receive_response()).status == 201
        assert b"".join([bytes(chunk) async for chunk in stream]) == b"to and fro"
        trailers = await stream.receive_trailers()
        assert trailers is not None
        assert trailers["sent"] == "all"


def test_not_everything_is_an_exchange() -> None:
    assert not isinstance(object(), trio_h2.ServerExchange)


async def test_idle_timeout_and_hook_in_one_go(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    times: list[float] = []
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.request()
        exchange: trio_h2.ServerExchange = await exchanges.next()
        start = trio.current_time()
        exchange.set_idle_timeout(5, lambda: times.append(trio.current_time() - start))
        await trio.sleep(11)
        assert times == [pytest.approx(5), pytest.approx(10)]
        assert not exchange.closed
        exchange.set_idle_timeout(3)
        assert exchange.idle_timeout == 3
        await peer.expect_rst(1, ErrorCode.CANCEL)
        assert trio.current_time() - start == pytest.approx(14)
        exchanges.finish()
