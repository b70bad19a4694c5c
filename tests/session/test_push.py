"""Pushes from our server to our client, whole, in crumbs, in numbers, and on TLS."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.session.scripted import settle
from tests.session.test_extensions import ORIGIN, connected_by_tls, entries
from tests.session.test_leaks import sizes
from tests.stream.harness import pair
from trio_h2 import ClientConfig, PushedStream, ServerConfig, ServerStream
from trio_h2.testing import ChaosStream, ThrowawayAuthority, TrickleStream, session_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrapper = Callable[[trio.abc.Stream], trio.abc.Stream]

STYLE = b"body { margin: 0 }" * 100
CUTS: dict[str, Wrapper] = {
    "whole": lambda transport: transport,
    "1": TrickleStream,
    "chaos": partial(ChaosStream, seed=1, max_chunk=30, max_delay=0.1),
}
"""How transports cut what goes through them."""


async def page(stream: ServerStream) -> None:
    """Pushes a style sheet and an empty script, then answers."""
    style = await stream.push({":path": "/style.css"})
    script = await stream.push({":path": "/script.js", ":method": "HEAD"})
    await stream.respond(body=b"page")
    await style.send_informational(103, {"link": "</font>"})
    await style.respond({"content-type": "text/css"})
    await style.send_all(STYLE)
    await style.send_trailers({"x-sum": str(len(STYLE))})
    await script.respond(body=b"nothing of this is sent")


class Taken:
    """What a client was pushed."""

    def __init__(self) -> None:
        self.pushes: dict[str, tuple[str, int, bytes, str | None]] = {}

    async def take(self, stream: PushedStream) -> None:
        """The handler."""
        response = await stream.receive_response()
        body = b"".join([chunk async for chunk in stream])
        trailers = await stream.receive_trailers()
        checksum = None if trailers is None else trailers["x-sum"]
        self.pushes[stream.path] = (stream.method, response.status, body, checksum)


WHOLE = {"/style.css": ("GET", 200, STYLE, str(len(STYLE))), "/script.js": ("HEAD", 200, b"", None)}


@pytest.mark.parity("B9", "C5", "E3")
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
async def test_in_crumbs(cut: Wrapper, autojump_clock: object) -> None:
    taken = Taken()
    async with session_pair(page, wrap_client=cut, wrap_server=cut, push_handler=taken.take) as (client, server):
        async with client.request("GET") as stream:
            assert (await stream.receive_response()).status == 200
            assert await stream.receive_trailers() is None
        await trio.sleep(1000)  # crumbs take their time
        for session in client, server:
            numbers = session.statistics()
            assert (numbers.open_streams, numbers.running_handlers, numbers.waiting_for_slot) == (0, 0, 0)
    assert taken.pushes == WHOLE
    ledger = client.statistics().ledger
    assert (ledger.held, ledger.received) == (0, ledger.taken + ledger.discarded)


@pytest.mark.parametrize("limit", [1, 3])
async def test_many_under_a_limit(limit: int, autojump_clock: object) -> None:
    most = 0

    async def push_many(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(30):
                pushed = await stream.push({":path": f"/{number}"})
                nursery.start_soon(partial(pushed.respond, body=bytes(500)))
            await stream.respond(204)

    async def take(stream: PushedStream) -> None:
        nonlocal most
        await stream.receive_response()
        most = max(most, len(client._core.engine.pushes.open))
        assert await stream.receive_trailers() is None

    config = ClientConfig(max_concurrent_pushes=limit, stream_window=100, receive_budget=65_535)
    async with pair(push_many, client_config=config, push_handler=take) as (client, server):
        async with client.request("GET") as stream:
            await stream.receive_response()
        await settle()
        assert server.statistics().running_handlers == client.statistics().running_handlers == 0
        assert client.statistics().ledger.received == 30 * 500
    assert most == limit


async def test_a_push_that_nobody_reads_stops_nobody(autojump_clock: object) -> None:
    """Its window is full; requests have theirs."""

    async def handler(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            if stream.path == "/push":
                pushed = await stream.push()
                await pushed.respond()
                nursery.start_soon(pushed.send_all, bytes(100_000))
            await stream.respond(body=bytes(50_000))
            if stream.path == "/push":
                await trio.sleep(100)
                nursery.cancel_scope.cancel()

    async def unread(stream: PushedStream) -> None:
        await stream.wait_closed()

    config = ClientConfig(max_concurrent_pushes=1, stream_window=10_000, receive_budget=65_535)
    async with pair(handler, client_config=config, push_handler=unread) as (client, _):
        for path in "/push", "/", "/":
            async with client.request("GET", path) as stream:
                assert len(b"".join([chunk async for chunk in stream])) == 50_000
        assert client.statistics().ledger.held == 10_000


@pytest.mark.parity("E2")
async def test_a_client_without_a_handler_allows_none(autojump_clock: object) -> None:
    allowed = []

    async def handler(stream: ServerStream) -> None:
        allowed.append(stream.push_allowed)
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.push()
        await stream.respond(body=b"page")

    async with pair(handler) as (client, _), client.request("GET") as stream:
        assert await stream.receive_some() == b"page"
    assert allowed == [False]


async def test_refusing_all_of_them(autojump_clock: object) -> None:
    refused = 0

    async def handler(stream: ServerStream) -> None:
        nonlocal refused
        for number in range(50):
            pushed = await stream.push({":path": f"/{number}"})
            await settle()
            try:
                await pushed.respond()
                await pushed.send_all(bytes(1000))
            except trio_h2.StreamResetError:
                refused += 1
        await stream.respond(body=b"page")

    async def refuse(stream: PushedStream) -> None:
        stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)

    async with pair(handler, push_handler=refuse) as (client, _), client.request("GET") as stream:
        assert await stream.receive_some() == b"page"
    assert refused == 50


@pytest.mark.parametrize("who", ["client", "server"])
async def test_the_session_is_destroyed_between_promise_and_response(who: str, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        pushed = await stream.push()
        await settle()
        (client if who == "client" else server).destroy()
        with contextlib.suppress(trio.ClosedResourceError, trio_h2.SessionError):
            await pushed.respond(body=b"x")

    ends = []

    async def take(stream: PushedStream) -> None:
        try:
            await stream.receive_response()
        finally:
            ends.append(stream.closed)

    async with pair(handler, push_handler=take) as (client, server):
        await client.open_stream("GET", "/")
        await trio.sleep(1)
        assert ends == [True]


async def test_nothing_is_left_of_many(autojump_clock: object) -> None:
    taken = Taken()
    async with pair(page, push_handler=taken.take, server_config=ServerConfig()) as (client, server):
        before: list[dict[str, int]] = []
        for _ in range(300):
            async with client.request("GET") as stream:
                assert await stream.receive_some() == b"page"
            await settle()
            before = before or [sizes(client), sizes(server)]
        after = [sizes(client), sizes(server)]
        assert server._core.pushes.by_parent == {}
        for first, last in zip(before, after, strict=True):
            assert {name: size for name, size in last.items() if size > first[name] + 10} == {}


@pytest.mark.parity("B17", "C5")
async def test_promises_for_the_origins_of_the_origin_set(autojump_clock: object) -> None:
    """RFC 9113 §8.4: what "the server is authoritative" for; on TLS, RFC 8336 lets it name more."""
    taken: list[str] = []

    async def take(stream: PushedStream) -> None:
        taken.append(stream.authority)
        await stream.wait_closed()

    promise = {":method": "GET", ":scheme": "https", ":authority": "example.org", ":path": "/"}
    async with connected_by_tls(ThrowawayAuthority(), push_handler=take) as (client, peer):
        await client.open_stream("GET", "/")
        await peer.expect_headers(1)
        await peer.send_push_promise(1, 2, promise)
        await peer.expect_rst(2, trio_h2.ErrorCode.PROTOCOL_ERROR)
        await peer.send_raw_frame(ORIGIN, 0, 0, entries(b"https://example.org"))
        await peer.send_push_promise(1, 4, promise)
        await peer.send_push_promise(1, 6, {**promise, ":authority": "EXAMPLE.org:443"})
        await peer.send_push_promise(1, 8, {**promise, ":authority": "example.org:444"})
        await peer.expect_rst(8, trio_h2.ErrorCode.PROTOCOL_ERROR)
        for stream_id in 4, 6:
            await peer.respond(stream_id, 204)
        await peer.expect_nothing()
    assert taken == ["example.org", "EXAMPLE.org:443"]
