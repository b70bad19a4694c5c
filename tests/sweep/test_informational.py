"""A client that waits for 1xx responses, cancelled at every moment, also while it or the server holds its body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.sweep.exchanges import HELLO, LONG, PIECES, SHORT, TRAILERS, expect_response, read_all
from tests.sweep.harness import sweep_client, sweep_handler

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.sweep.exchanges import Exchange
    from trio_h2 import ClientSession


async def expecting(session: ClientSession) -> None:
    """Hands over a body that waits for 100."""
    async with session.request("POST", "/upload", body=LONG, expect_continue=True) as stream:
        early = await stream.receive_informational()
        assert early is not None
        assert early.status == 100
        await expect_response(stream)
        assert await read_all(stream) == HELLO
        await stream.wait_closed()


async def expecting_in_pieces(session: ClientSession) -> None:
    """Sends while it waits for 100."""
    async with session.request("POST", "/upload", end_stream=False, expect_continue=True) as stream:

        async def send() -> None:
            for piece in PIECES:
                await stream.send_all(piece)
            await stream.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while await stream.receive_informational() is not None:
                pass
        assert await read_all(stream) == HELLO


async def informed(session: ClientSession) -> None:
    """Waits for 103 and for the end of all."""
    async with session.request("POST", "/trailers", body=SHORT, end_stream=False) as stream:
        early = await stream.receive_informational()
        assert early is not None
        assert early.status == 103
        await stream.send_trailers(TRAILERS)
        assert await stream.receive_informational() is None
        assert await read_all(stream) == SHORT
        await stream.wait_closed()


async def hinted(session: ClientSession) -> None:
    """Waits for several interim responses, each once and in order, and reads the rest."""
    async with session.request("GET", "/hints") as stream:
        numbers = []
        while (early := await stream.receive_informational()) is not None:
            numbers.append(early["x-number"])
        assert numbers == ["0", "1", "2", "3"]
        assert await read_all(stream) == HELLO


_EXCHANGES: tuple[Exchange, ...] = (expecting, expecting_in_pieces, informed, hinted)


@pytest.mark.parity("C4", "D3")
@pytest.mark.parametrize("exchange", _EXCHANGES)
async def test_cancelled_clients(exchange: Exchange, autojump_clock: MockClock) -> None:
    await sweep_client(exchange)


@pytest.mark.parity("C4", "F2")
@pytest.mark.parametrize("exchange", _EXCHANGES)
async def test_cancelled_handlers(exchange: Exchange, autojump_clock: MockClock) -> None:
    assert await sweep_handler(exchange) > 30
