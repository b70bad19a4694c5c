"""The start of a session: SETTINGS in time, and peers that speak something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import connected, forbidden, hello, served, settle
from trio_h2 import (
    ClientConfig,
    ErrorCode,
    HandshakeError,
    Initiator,
    ServerConfig,
    Settings,
    SettingsTimeoutError,
)
from trio_h2.testing import GoAwayFrame, SettingsFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def test_a_server_that_sends_no_settings(autojump_clock: object) -> None:
    config = ClientConfig(handshake_timeout=4, settings_timeout=50)
    async with connected(handshake=False, config=config) as (session, peer):
        await peer.receive_preface()
        start = trio.current_time()
        stream = await session.open_stream("GET")
        with pytest.raises(HandshakeError, match="handshake_timeout=4 s") as caught:
            await stream.receive_response()
        assert trio.current_time() - start == pytest.approx(4)
        assert caught.value.code == ErrorCode.SETTINGS_TIMEOUT
        assert caught.value.initiator is Initiator.LIBRARY
        await peer.until(GoAwayFrame, code=ErrorCode.SETTINGS_TIMEOUT)
        await peer.expect_eof()


@pytest.mark.parametrize("preface", [b"", b"PRI * HTTP/2.0\r\n\r\nSM", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"])
async def test_a_client_that_sends_no_preface(preface: bytes, autojump_clock: object) -> None:
    async with served(forbidden, handshake=False, config=ServerConfig(handshake_timeout=4)) as (peer, session):
        peer.auto_ack = False
        start = trio.current_time()
        await peer.send_bytes(preface)
        await peer.until(GoAwayFrame, code=ErrorCode.SETTINGS_TIMEOUT)
        assert trio.current_time() - start == pytest.approx(4)
        await peer.expect_eof()
        await peer.aclose()
        with pytest.raises(HandshakeError):
            await session.wait_closed()


@pytest.mark.parity("B16")
@pytest.mark.parametrize("client", [True, False])
async def test_settings_that_are_not_acknowledged(client: bool, autojump_clock: object) -> None:
    if client:
        async with connected(handshake=False, config=ClientConfig(settings_timeout=4)) as (session, peer):
            await peer.receive_preface()
            peer.auto_ack = False
            await peer.send_settings()
            await peer.until(GoAwayFrame, code=ErrorCode.SETTINGS_TIMEOUT)
            await peer.aclose()
            with pytest.raises(SettingsTimeoutError, match="settings_timeout=4 s"):
                await session.wait_closed()
        return
    async with served(hello, handshake=False, config=ServerConfig(settings_timeout=4)) as (peer, served_session):
        peer.auto_ack = False
        start = trio.current_time()
        await peer.send_preface()
        await peer.send_settings()
        await peer.until(GoAwayFrame, code=ErrorCode.SETTINGS_TIMEOUT)
        assert trio.current_time() - start == pytest.approx(4)
        await peer.aclose()
        with pytest.raises(SettingsTimeoutError):
            await served_session.wait_closed()


async def test_settings_in_time_cost_nothing_later(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(handshake_timeout=3, settings_timeout=3)) as (session, peer):
        await trio.sleep(100)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.ping)
            await settle()
            await peer.ping()


@pytest.mark.parity("B6", "B16")
async def test_several_updates_each_wait_for_their_own_acknowledgement(autojump_clock: object) -> None:
    async with served(hello) as (peer, session), trio.open_nursery() as nursery:
        done: list[int] = []

        async def update(number: int) -> None:
            await session.update_settings(Settings(max_frame_size=16_384 + number))
            done.append(number)

        peer.auto_ack = False
        for number in (1, 2, 3):
            nursery.start_soon(update, number)
            await settle()
        for number in (1, 2, 3):
            frame = await peer.expect(SettingsFrame, ack=False)
            assert list(frame.settings.values()) == [16_384 + number]
            await peer.expect_nothing()  # one at a time
            assert session.local_settings.max_frame_size == 16_384 + number - 1
            assert len(done) == number - 1
            await peer.send_settings(ack=True)
            await settle()
            assert done[-1] == number
            assert session.local_settings.max_frame_size == 16_384 + number


@pytest.mark.parity("B16")
async def test_each_update_has_the_whole_timeout(autojump_clock: object) -> None:
    config = ServerConfig(settings_timeout=5)
    async with served(hello, config=config) as (peer, session), trio.open_nursery() as nursery:
        peer.auto_ack = False
        first = await _update(nursery, session.update_settings(Settings(max_frame_size=20_000)))
        second = await _update(nursery, session.update_settings(Settings(max_frame_size=30_000)))
        start = trio.current_time()
        await trio.sleep(4)
        await peer.send_settings(ack=True)
        await settle()
        assert (first, second) == ([None], [])
        await peer.until(GoAwayFrame, code=ErrorCode.SETTINGS_TIMEOUT)
        assert trio.current_time() - start == pytest.approx(9)
        await settle()
        (error,) = second
        assert isinstance(error, SettingsTimeoutError)


async def _update(nursery: trio.Nursery, update: Awaitable[None]) -> list[BaseException | None]:
    outcome: list[BaseException | None] = []

    async def run() -> None:
        try:
            await update
        except SettingsTimeoutError as exc:
            outcome.append(exc)
        else:
            outcome.append(None)

    nursery.start_soon(run)
    await settle()
    return outcome


async def test_a_cancelled_update_goes_out_anyway(autojump_clock: object) -> None:
    async with served(hello) as (peer, session):
        peer.auto_ack = False
        with trio.move_on_after(1) as scope:
            await session.update_settings(Settings(max_header_list_size=1000))
        assert scope.cancelled_caught
        await peer.expect(SettingsFrame, ack=False)
        await peer.send_settings(ack=True)
        await settle()
        assert session.local_settings.max_header_list_size == 1000
        peer.auto_ack = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.update_settings, Settings(max_header_list_size=2000))
            await peer.expect(SettingsFrame, ack=False)
        assert session.local_settings.max_header_list_size == 2000


async def test_updates_that_are_refused_at_the_call() -> None:
    async with served(hello) as (peer, session):
        with pytest.raises(ValueError, match="receive_budget"):
            await session.update_settings(Settings(max_concurrent_streams=1000))
        with pytest.raises(TypeError, match="Settings"):
            await session.update_settings({4: 5})  # type: ignore[arg-type]  # that is the point
        await peer.expect_nothing()


# -- other protocols ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", b"HTTP/1.0 505\r\n\r\n"])
@pytest.mark.parametrize("closes", [True, False])
async def test_an_http1_server_answers(answer: bytes, closes: bool, autojump_clock: object) -> None:
    async with connected(handshake=False) as (session, peer):
        stream = await session.open_stream("GET")
        await peer.receive_preface()
        start = trio.current_time()
        await peer.send_bytes(answer)
        if closes:
            await peer.send_eof()
        with pytest.raises(HandshakeError, match="HTTP/1") as caught:
            await stream.receive_response()
        assert trio.current_time() == start
        assert caught.value.initiator is Initiator.LIBRARY


async def test_an_http1_client_asks(autojump_clock: object) -> None:
    async with served(forbidden, handshake=False) as (peer, session):
        await peer.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await peer.expect(SettingsFrame)
        await peer.until(GoAwayFrame, code=ErrorCode.PROTOCOL_ERROR, last_stream_id=0)
        await peer.expect_eof()
        await peer.aclose()
        with pytest.raises(HandshakeError, match="preface"):
            await session.wait_closed()


async def test_a_port_scan(autojump_clock: object) -> None:
    async with served(forbidden, handshake=False) as (peer, session):
        await peer.aclose()
        with pytest.raises(HandshakeError, match="before the peer's SETTINGS came"):
            await session.wait_closed()
