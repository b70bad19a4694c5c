"""Which promises a client refuses, and which responses to them: its handler, limits and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import scripted_server
from tests.stream.pushes import STYLE, PushTaker, asked, forbidden
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    PushHandler = Callable[[trio_h2.PushedStream], Awaitable[object]]


async def refused(handler: PushHandler, code: int, promise: dict[str, str]) -> None:
    """Asserts that a promise is refused with *code*, and that the session goes on."""
    async with scripted_server(push_handler=handler) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, promise)
        await peer.expect_rst(2, code)
        await peer.ping()


@pytest.mark.parity("C5")
@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.REFUSED_STREAM])
async def test_a_handler_refuses(code: ErrorCode, autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.PushedStream) -> None:
        await trio.lowlevel.checkpoint()
        stream.reset(code)

    await refused(handler, code, STYLE)


@pytest.mark.parity("C5")
async def test_a_handler_that_returns_refuses_the_rest(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.PushedStream) -> None:
        await stream.receive_response()
        assert await stream.receive_some(3) == b"bod"

    async with scripted_server(push_handler=handler) as (session, peer):
        await asked(session, peer)
        async with peer.batch():
            await peer.send_push_promise(1, 2, STYLE)
            await peer.respond(2, body=b"body", end_stream=False)
        await peer.expect_rst(2, ErrorCode.CANCEL)
        ledger = session.statistics().ledger
        assert (ledger.taken, ledger.discarded, ledger.held) == (3, 1, 0)
        assert session.statistics().running_handlers == 0
        await peer.send_data(2, b"late")
        await peer.ping()
        assert session.statistics().ledger.discarded == 5


async def test_a_handler_that_returns_after_the_end_drops_the_rest(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.PushedStream) -> None:
        await stream.wait_closed()

    async with scripted_server(push_handler=handler) as (session, peer):
        await asked(session, peer)
        await peer.send_push_promise(1, 2, STYLE)
        await peer.respond(2, body=b"unread")
        await peer.expect_nothing()
        assert session.statistics().ledger.discarded == 6


@pytest.mark.parametrize("authority", ["localhost", "LOCALHOST", "localhost:80", "elsewhere", "elsewhere:80"])
async def test_the_origins_of_session_and_request_will_do(authority: str, autojump_clock: MockClock) -> None:
    taker = PushTaker()
    async with scripted_server(push_handler=taker.handle) as (session, peer):
        await session.open_stream("GET", "/", headers={":authority": "elsewhere"})
        await peer.expect_headers(1)
        await peer.send_push_promise(1, 2, {**STYLE, ":authority": authority})
        assert (await taker.next()).authority == authority
        taker.finish()


@pytest.mark.parity("C5", "I2")
async def test_push_can_be_turned_off_later(autojump_clock: MockClock) -> None:
    async with scripted_server(push_handler=forbidden) as (session, peer):
        await asked(session, peer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.update_settings, trio_h2.Settings(enable_push=False))
            await peer.expect(trio_h2.testing.SettingsFrame)
        await peer.send_push_promise(1, 2, STYLE)
        await peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
