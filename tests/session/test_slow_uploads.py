"""Requests whose body stops coming."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import POST, served
from trio_h2 import ErrorCode, ServerConfig, ServerStream, StreamResetError
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from trio_h2.testing import ScriptedPeer

LIMIT = 40.0
CONFIG = ServerConfig(body_timeout=LIMIT, ping_interval=10_000)
LATE = LIMIT / 8
"""A request is looked at so often."""


async def read(stream: ServerStream) -> None:
    """Answers with the length of the body."""
    length = len(b"".join([chunk async for chunk in stream]))
    await stream.respond(body=b"%d" % length)


async def refused(peer: ScriptedPeer, start: float) -> None:
    """The request is answered with 408, in time."""
    await peer.expect_headers(1, status=408, end_stream=True)
    await peer.expect_rst(1, ErrorCode.NO_ERROR)
    assert LIMIT <= trio.current_time() - start <= LIMIT + LATE


@pytest.mark.parametrize("begun", [False, True])
async def test_a_body_that_stops(begun: bool, autojump_clock: object, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trio_h2.server")
    async with served(read, config=CONFIG) as (peer, session):
        peer.timeout = 1000
        await peer.request("POST", "/upload", end_stream=False)
        if begun:
            await trio.sleep(LIMIT - 1)
            await peer.send_data(1, b"a little")
        await refused(peer, trio.current_time())
        assert not session.closed
        await peer.request("POST", body=b"the next one")
        await peer.expect_headers(3, status=200)
    assert "POST /upload: nothing of the request came for body_timeout=40 s (set in ServerConfig) (408)" in caplog.text


async def test_the_handler_is_cancelled(autojump_clock: object) -> None:
    ended: list[float] = []

    async def handler(stream: ServerStream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())
            assert stream.sent_status == 408

    async with served(handler, config=CONFIG) as (peer, _):
        peer.timeout = 1000
        start = trio.current_time()
        await peer.request("POST", end_stream=False)
        await refused(peer, start)
        assert ended == [trio.current_time()]


async def test_a_handler_that_is_not_cancelled_is_told(autojump_clock: object) -> None:
    told: list[str] = []

    async def handler(stream: ServerStream) -> None:
        with pytest.raises(StreamResetError, match="body_timeout=40 s") as caught:
            await stream.receive_some()
        told.append(str(caught.value))
        with pytest.raises(StreamResetError):
            await stream.send_informational(103)

    async with served(handler, config=CONFIG, cancel_handler_on_reset=False) as (peer, _):
        peer.timeout = 1000
        start = trio.current_time()
        await peer.request("POST", end_stream=False)
        await refused(peer, start)
    assert len(told) == 1


async def test_a_slow_body_has_all_the_time_it_wants(autojump_clock: object) -> None:
    async with served(read, config=CONFIG) as (peer, _):
        peer.timeout = 1000
        await peer.request("POST", end_stream=False)
        for _ in range(20):
            await trio.sleep(LIMIT - 1)
            await peer.send_data(1, b"a little")
        await peer.send_data(1, end_stream=True)
        await peer.expect_headers(1, status=200)
        assert await peer.collect_body(1) == b"160"


async def test_a_client_without_a_window_is_not_to_blame(autojump_clock: object) -> None:
    """The handler does not read for a long time; from then on the client has its time."""

    async def handler(stream: ServerStream) -> None:
        await trio.sleep(10 * LIMIT)
        await read(stream)

    config = CONFIG.evolve(stream_window=1000)
    async with served(handler, config=config) as (peer, _):
        peer.timeout = 1000
        await peer.request("POST", end_stream=False)
        await peer.send_data(1, bytes(1000))
        start = trio.current_time()
        await peer.expect_headers(1, status=408)
        assert 11 * LIMIT <= trio.current_time() - start <= 11 * LIMIT + LATE


async def test_a_client_that_waits_for_100_may_wait(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await trio.sleep(3 * LIMIT)
        await read(stream)

    async with served(handler, config=CONFIG) as (peer, _):
        peer.timeout = 1000
        await peer.request("POST", headers={"expect": "100-continue"}, end_stream=False)
        await peer.expect_headers(1, status=100)
        await refused(peer, trio.current_time())  # but now it must send


async def test_a_conversation_takes_its_time(autojump_clock: object) -> None:
    """Once the response has begun, either side may be silent, as in calls of gRPC that stream both ways."""

    async def echo(stream: ServerStream) -> None:
        await stream.respond(200)
        async for chunk in stream:
            await stream.send_all(chunk)

    async with served(echo, config=CONFIG) as (peer, _):
        await peer.request("POST", end_stream=False)
        await peer.expect_headers(1, status=200)
        await trio.sleep(100 * LIMIT)
        await peer.send_data(1, b"at last", end_stream=True)
        assert await peer.collect_body(1) == b"at last"


async def test_an_idle_timeout_of_the_stream_takes_its_place(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        stream.idle_timeout = 5 * LIMIT
        await read(stream)

    async with served(handler, config=CONFIG) as (peer, _):
        peer.timeout = 1000
        start = trio.current_time()
        await peer.request("POST", end_stream=False)
        await peer.until(RstStreamFrame, stream_id=1, code=ErrorCode.CANCEL)
        assert trio.current_time() - start == pytest.approx(5 * LIMIT)


@pytest.mark.parametrize("protocol", [None, "websocket"])
async def test_tunnels_have_no_such_limit(protocol: str | None, autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await trio.sleep(10 * LIMIT)
        await stream.respond(200)
        assert await stream.receive_some() == b"hello"

    async with served(handler, config=CONFIG.evolve(enable_connect_protocol=True)) as (peer, _):
        fields = {":method": "CONNECT", ":authority": "a:1"}
        if protocol is not None:
            fields = {**POST, ":method": "CONNECT", ":protocol": protocol}
        peer.timeout = 1000
        await peer.send_headers(1, fields)
        await peer.expect_headers(1, status=200)
        await peer.send_data(1, b"hello", end_stream=True)


async def test_without_a_limit(autojump_clock: object) -> None:
    async with served(read, config=CONFIG.evolve(body_timeout=float("inf"))) as (peer, _):
        await peer.request("POST", end_stream=False)
        await trio.sleep(9000)
        await peer.send_data(1, b"x", end_stream=True)
        await peer.expect_headers(1, status=200)


async def test_many_are_judged_one_by_one(autojump_clock: object) -> None:
    async with served(read, config=CONFIG) as (peer, session):
        peer.timeout = 1000
        for number in range(20):
            await peer.request("POST", end_stream=False)
            await trio.sleep(number / 10)
        await peer.send_data(7, b"all of it", end_stream=True)
        for number in range(20):
            if number != 3:
                await peer.pick(RstStreamFrame, stream_id=1 + 2 * number, code=ErrorCode.NO_ERROR)
        assert session.statistics().open_streams == 0
