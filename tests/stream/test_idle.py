"""Streams on which nothing happens."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, cast

import pytest
import trio

import trio_h2
from tests.stream.harness import Exchanges, scripted_client, scripted_server
from trio_h2 import ErrorCode, Initiator, SettingCode
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from trio.testing import MockClock

_CLIENT = trio_h2.ClientConfig(stream_idle_timeout=5)
_SERVER = trio_h2.ServerConfig(stream_idle_timeout=5)


@pytest.mark.parity("D4")
async def test_an_idle_stream_is_reset(autojump_clock: MockClock) -> None:
    async with scripted_server(config=_CLIENT) as (session, peer), session.request("GET") as stream:
        start = trio.current_time()
        assert stream.idle_timeout == 5
        with pytest.raises(trio_h2.StreamResetError, match="idle_timeout=5 s") as caught:
            await stream.receive_response()
        assert trio.current_time() - start == pytest.approx(5)
        assert (caught.value.code, caught.value.initiator) == (ErrorCode.CANCEL, Initiator.LIBRARY)
        await peer.expect_headers(1)
        await peer.expect_rst(1, ErrorCode.CANCEL)
        async with session.request("GET"):  # the session lives
            await peer.expect_headers(3)


@pytest.mark.parity("D4")
async def test_a_handler_of_an_idle_stream_is_cancelled(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle, config=_SERVER) as (session, peer):
        await peer.request()
        start = trio.current_time()
        await peer.expect_rst(1, ErrorCode.CANCEL)
        assert trio.current_time() - start == pytest.approx(5)
        await peer.ping()
        assert session.statistics().running_handlers == 0


@pytest.mark.parity("D4")
async def test_every_frame_is_activity(autojump_clock: MockClock) -> None:
    settings = {SettingCode.INITIAL_WINDOW_SIZE: 10}
    async with (
        scripted_server(config=_CLIENT, settings=settings) as (session, peer),
        session.request("POST", end_stream=False) as stream,
    ):
        await peer.expect_headers(1)
        await trio.sleep(4)
        await stream.send_all(bytes(10))  # sent
        await trio.sleep(4)
        await peer.send_window_update(1, 10)  # received
        await trio.sleep(4)
        await peer.send_headers(1, {":status": "103"})
        await trio.sleep(4)
        await peer.send_headers(1, {":status": "200"})
        await trio.sleep(4)
        await peer.send_data(1, b"x")
        await trio.sleep(4)
        assert stream.rst_code is None
        await peer.ping()  # is no frame of the stream
        await trio.sleep(1.5)
        assert stream.rst_code == ErrorCode.CANCEL


@pytest.mark.parity("D4")
async def test_other_streams_do_not_count(autojump_clock: MockClock) -> None:
    async with (
        scripted_server(config=_CLIENT) as (session, peer),
        session.request("GET") as idle,
        session.request("POST", end_stream=False) as busy,
    ):
        for _ in range(4):
            await trio.sleep(2)
            await busy.send_all(b"x")
        await trio.sleep(1)
        assert (idle.closed, busy.closed) == (True, False)
        await peer.until(RstStreamFrame, stream_id=1)


@pytest.mark.parity("D4")
async def test_the_timeout_can_be_set_at_run_time(autojump_clock: MockClock) -> None:
    exchanges = Exchanges()
    async with scripted_client(exchanges.handle) as (_session, peer):
        await peer.request()
        stream = await exchanges.next()
        assert stream.idle_timeout == math.inf
        await trio.sleep(25)
        stream.idle_timeout = 3
        await trio.sleep(2)
        stream.idle_timeout = 4
        await trio.sleep(3)
        assert stream.rst_code is None
        stream.idle_timeout = math.inf
        await trio.sleep(25)
        assert stream.rst_code is None
        stream.idle_timeout = 0.5
        await trio.sleep(1)
        assert stream.state.name == "closed"
        stream.idle_timeout = 1  # too late, and harmless
        await peer.expect_rst(1, ErrorCode.CANCEL)
        await peer.expect_nothing(5)


@pytest.mark.parity("D4")
async def test_a_hook_decides_otherwise(autojump_clock: MockClock) -> None:
    async with scripted_server(config=_CLIENT) as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)
        peer.timeout = 30
        start = trio.current_time()
        called: list[float] = []

        def on_idle(idle: trio_h2.Stream) -> None:
            assert idle is stream
            called.append(trio.current_time() - start)
            if len(called) == 3:
                stream.reset(ErrorCode.ENHANCE_YOUR_CALM)

        stream.on_idle = on_idle
        await peer.expect_rst(1, ErrorCode.ENHANCE_YOUR_CALM)
        assert called == pytest.approx([5, 10, 15])
        await peer.expect_nothing(20)


@pytest.mark.parity("D4")
async def test_a_hook_that_raises_harms_its_stream_only(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted_server(config=_CLIENT) as (session, peer), session.request("GET") as stream:
        await peer.expect_headers(1)

        def on_idle(idle: trio_h2.Stream) -> None:
            raise ZeroDivisionError("a bug")

        stream.on_idle = on_idle
        with caplog.at_level(logging.ERROR, "trio_h2.stream"):
            await peer.expect_rst(1, ErrorCode.INTERNAL_ERROR)
        assert "on_idle raised" in caplog.text
        assert not session.closed


@pytest.mark.parity("D4", "K1")
@pytest.mark.parametrize("value", [-1, math.nan, "5", True])
async def test_what_is_no_timeout(value: object, autojump_clock: MockClock) -> None:
    async with scripted_server() as (session, _peer), session.request("GET") as stream:
        with pytest.raises((TypeError, ValueError), match="idle_timeout"):
            stream.idle_timeout = cast("float", value)
        assert stream.idle_timeout == math.inf
        with pytest.raises((TypeError, ValueError), match="stream_idle_timeout"):
            trio_h2.ServerConfig(stream_idle_timeout=cast("float", value))
