"""101 Switching Protocols: after it, the connection carries whatever both sides agreed on (RFC 9110 §7.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, serving

if TYPE_CHECKING:
    from trio.testing import MockClock

ASK = ("connection: keep-alive, Upgrade", "upgrade: Shout/1, h2c")


async def shout(stream: trio_h2.ServerStream) -> None:
    """Switches to a protocol in which every byte comes back in upper case."""
    assert isinstance(stream, trio_h2.Http1Exchange)
    assert stream.upgrade == "Shout/1, h2c"
    await stream.switch_protocols("Shout/1", {"x-loud": "yes"})
    async for chunk in stream:
        await stream.send_all(chunk.upper())
    await stream.send_eof()


async def test_octets_pass_as_they_are(autojump_clock: MockClock) -> None:
    async with serving(shout) as served:
        client = served.client
        await client.request("GET /", *ASK)
        answer = await client.answer()
        assert answer.status == 101
        assert answer.headers == {"connection": "upgrade", "upgrade": "Shout/1", "x-loud": "yes"}
        await client.send("get / http/1.1\r\n\r\n")
        assert await client._exactly(18) == b"GET / HTTP/1.1\r\n\r\n"
        await trio.sleep(1000)  # idle or not, nobody ends it
        await client.send("a")
        assert await client._exactly(1) == b"A"
        await client.send_eof()
        assert await client.rest() == b""


async def test_what_came_with_the_request_belongs_to_the_new_protocol(autojump_clock: MockClock) -> None:
    async with serving(shout) as served:
        fields = "".join(f"{one}\r\n" for one in ASK)
        await served.client.send(f"GET / HTTP/1.1\r\n{HOST}{fields}\r\nearly ")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send("bird")
        assert (await served.client.answer()).status == 101
        assert await served.client._exactly(10) == b"EARLY BIRD"
        await served.client.send_eof()
        await served.client.expect_end()


async def test_a_slow_handler_holds_the_client_back(autojump_clock: MockClock) -> None:
    got = 0

    async def slow(stream: trio_h2.ServerStream) -> None:
        nonlocal got
        assert isinstance(stream, trio_h2.Http1Exchange)
        await stream.switch_protocols("h2c")
        await trio.sleep(10)
        async for chunk in stream:
            got += len(chunk)
        await stream.send_eof()

    window = 1000
    config = trio_h2.ServerConfig(stream_window=window, receive_budget=200_000)
    async with serving(slow, config=config, capacity=100) as served:
        await served.client.request("GET /", *ASK)
        assert (await served.client.answer()).status == 101
        with trio.move_on_after(5) as scope:
            await served.client.send(bytes(300_000))
        assert scope.cancelled_caught
        assert served.connection._core.held <= window + 64 * 1024
        assert got == 0
        await served.client.send_eof()
        await served.client.expect_end()
        assert got > window


async def test_an_offer_need_not_be_taken(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert await stream.receive_some() == b""
        await stream.respond(body=b"stay")

    async with serving(handler) as served:
        for _ in range(2):
            await served.client.request("GET /", *ASK)
            assert (await served.client.answer()).body == b"stay"


async def test_the_client_is_lost(autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        assert isinstance(stream, trio_h2.Http1Exchange)
        await stream.switch_protocols("h2c")
        try:
            while True:
                await stream.send_all(b"x" * 1000)
        finally:
            ended.set()

    async with serving(handler, capacity=100) as served:
        await served.client.request("GET /", *ASK)
        assert (await served.client.answer()).status == 101
        await served.client.transport.aclose()
        await ended.wait()
