"""Reading a whole body is cancelled at every moment of it: nothing of the body is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sweep.exchanges import LONG
from tests.sweep.harness import goes_on, pair, sweep, sweep_client, sweep_handler

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2 import ClientSession, ServerStream
    from trio_h2.testing import SweepRun


async def reading(session: ClientSession) -> None:
    async with session.request("POST", "/download") as stream:
        assert await stream.read() == LONG


async def test_a_client_gives_up(autojump_clock: MockClock) -> None:
    await sweep_client(reading)


async def test_the_handler_is_cancelled_that_answers_it(autojump_clock: MockClock) -> None:
    assert await sweep_handler(reading) > 0


async def test_a_client_reads_on_after_it(autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with pair() as both:
            async with both.client.request("GET", "/download") as stream:
                async with run:
                    await stream.read()
                assert await stream.read() == LONG
            await goes_on(both)

    await sweep(one_run)


async def test_a_client_takes_the_rest_in_pieces(autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async with pair() as both:
            async with both.client.request("GET", "/download") as stream:
                whole = b""
                async with run:
                    whole = await stream.read()
                pieces = b"".join([bytes(chunk) async for chunk in stream])
                assert whole + pieces == LONG
            await goes_on(both)

    await sweep(one_run)


async def test_a_handler_reads_on_after_it(autojump_clock: MockClock) -> None:
    async def one_run(run: SweepRun) -> None:
        async def handler(stream: ServerStream) -> None:
            if stream.path == "/upload":
                async with run:
                    await stream.read()
                assert await stream.read() == LONG
            await stream.respond(body=b"hello")

        async with pair(handler=handler) as both:
            async with both.client.request("POST", "/upload", body=LONG) as stream:
                assert await stream.text() == "hello"
            await goes_on(both)

    await sweep(one_run)
