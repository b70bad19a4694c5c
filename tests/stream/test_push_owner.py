"""Pushes belong to the handler that made them, and end with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.stream.harness import scripted_client
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame, HeadersFrame, PushPromiseFrame, RstStreamFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    Handler = Callable[[trio_h2.ServerStream], Awaitable[None]]

_CONFIG = trio_h2.ServerConfig(send_date=False)
settle = trio.testing.wait_all_tasks_blocked


async def _ends(handler: Handler, *streams: int) -> list[list[str]]:
    """Returns what becomes of *streams* after a request that *handler* gets."""
    async with scripted_client(handler, config=_CONFIG) as (session, peer):
        await peer.request("GET", "/")
        await settle()
        await peer.ping()
        seen: dict[int, list[str]] = {stream_id: [] for stream_id in streams}
        for frame in peer.frames:
            words = seen.get(frame.stream_id, [])
            match frame:
                case HeadersFrame():
                    words.append(f"{frame.status}" + " end" * frame.end_stream)
                case DataFrame():
                    words.append(frame.data.decode() + " end" * frame.end_stream)
                case RstStreamFrame():
                    words.append(ErrorCode(frame.code).name)
        assert session.statistics().open_streams == 0
        return list(seen.values())


async def test_a_handler_that_returns(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.push()  # without a response
        await (await stream.push()).respond(body=b"whole")
        await (await stream.push()).respond()  # without an end
        await (await stream.push()).respond({"content-length": 5})  # short
        await stream.respond(body=b"page")

    assert await _ends(handler, 1, 2, 4, 6, 8) == [
        ["200", "page end"],
        ["CANCEL"],
        ["200", "whole end"],
        ["200", " end"],
        ["200", "CANCEL"],
    ]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_handler_that_raises(
    answered: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.push()
        await (await stream.push()).respond()
        if answered:
            await stream.respond()
        raise RuntimeError("a bug")

    parent = ["200", "INTERNAL_ERROR"] if answered else ["500 end"]
    assert await _ends(handler, 1, 2, 4) == [parent, ["CANCEL"], ["200", "CANCEL"]]
    assert "raised" in caplog.text


async def test_a_handler_that_is_cancelled(autojump_clock: MockClock) -> None:
    pushes: list[trio_h2.ServerStream] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        for _ in range(2):
            pushes.append(await stream.push())
        await pushes[1].respond()
        await trio.sleep_forever()

    async with scripted_client(handler, config=_CONFIG) as (session, peer):
        await peer.request("GET", "/")
        await peer.expect(PushPromiseFrame, promised_stream_id=2)
        await peer.expect(PushPromiseFrame, promised_stream_id=4)
        await peer.expect_headers(4)
        await peer.send_rst(1)  # the parent's death
        codes = {(await peer.expect(RstStreamFrame, code=ErrorCode.CANCEL)).stream_id for _ in pushes}
        assert codes == {2, 4}
        assert session.statistics().open_streams == 0
        assert all(pushed.destroyed for pushed in pushes)


async def test_the_handler_time_limit(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.push()
        await trio.sleep_forever()

    async with scripted_client(handler, config=_CONFIG.evolve(handler_timeout=5)) as (_session, peer):
        await peer.request("GET", "/")
        await peer.expect(PushPromiseFrame)
        codes = {(await peer.expect(RstStreamFrame, code=ErrorCode.CANCEL)).stream_id for _ in range(2)}
        assert codes == {1, 2}


async def test_what_is_queued_goes_out_after_the_handler(autojump_clock: MockClock) -> None:
    """Also when the client gives its window late, and in a session that drains meanwhile."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        pushed = await stream.push()
        await pushed.respond(body=b"0123456789")
        await stream.respond(204)

    small = {SettingCode.INITIAL_WINDOW_SIZE: 4}
    async with scripted_client(handler, config=_CONFIG, settings=small) as (session, peer):
        await peer.request("GET", "/")
        await peer.expect(PushPromiseFrame)
        await peer.pick(HeadersFrame, stream_id=2)
        await peer.pick(HeadersFrame, stream_id=1, end_stream=True)
        await peer.expect_data(2, b"0123", end_stream=False)
        numbers = session.statistics()
        assert (numbers.running_handlers, numbers.open_streams) == (0, 1)
        session.shutdown()
        await peer.until(trio_h2.testing.GoAwayFrame)
        await peer.send_window_update(2, 100)
        await peer.pick(DataFrame, stream_id=2, data=b"456789", end_stream=True)
        await peer.until(trio_h2.testing.GoAwayFrame)
        await peer.expect_eof()
    assert session.closed


async def test_a_push_in_a_nursery_of_the_handler(autojump_clock: MockClock) -> None:
    async def answer(pushed: trio_h2.ServerStream) -> None:
        await pushed.respond()
        for _ in range(3):
            await trio.sleep(1)
            await pushed.send_all(b"tick ")

    async def handler(stream: trio_h2.ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, await stream.push())
            await stream.respond(body=b"page")

    async with scripted_client(handler, config=_CONFIG) as (_session, peer):
        await peer.request("GET", "/")
        await peer.expect(PushPromiseFrame)
        await peer.expect_headers(1)
        assert await peer.collect_body(1) == b"page"  # not after the push
        await peer.expect_headers(2)
        assert await peer.collect_body(2) == b"tick tick tick "


async def test_a_task_that_outlives_the_handler_cannot_go_on(autojump_clock: MockClock) -> None:
    outside: list[trio_h2.ServerStream] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        outside.append(await stream.push())
        await outside[0].respond()
        await stream.respond(204)
        await settle()

    async with scripted_client(handler, config=_CONFIG, settings={SettingCode.INITIAL_WINDOW_SIZE: 1}) as (_, peer):
        await peer.request("GET", "/")
        async with trio.open_nursery() as nursery:
            await peer.expect(PushPromiseFrame)

            @nursery.start_soon
            async def send() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await outside[0].send_all(b"torn")

            await peer.expect_headers(2)
            await peer.expect_headers(1)
            await peer.pick(RstStreamFrame, stream_id=2, code=ErrorCode.CANCEL)


async def test_a_refusal_that_escapes_is_an_error_of_the_handler(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        pushed = await stream.push()
        await trio.sleep(1)
        await pushed.respond()

    async with scripted_client(handler, config=_CONFIG) as (_session, peer):
        await peer.request("GET", "/")
        await peer.expect(PushPromiseFrame)
        await peer.send_rst(2)
        await peer.expect_headers(1, status=500, end_stream=True)
    assert [record.levelno for record in caplog.records if "raised" in record.message] == [logging.ERROR]


async def test_pushes_that_are_over_are_forgotten(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        for _ in range(50):
            await (await stream.push()).respond(204)
        await trio.sleep_forever()

    async with scripted_client(handler, config=_CONFIG) as (session, peer):
        await peer.request("GET", "/")
        await peer.until(HeadersFrame, stream_id=100)
        assert session._core.pushes.by_parent == {1: {}}
        assert session.statistics().open_streams == 1
        assert session.statistics().running_handlers == 1


async def test_an_idle_push_is_reset(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        stream.idle_timeout = float("inf")
        pushed = await stream.push()
        with pytest.raises(trio_h2.StreamResetError):
            await pushed.wait_closed()
        await stream.respond(204)

    async with scripted_client(handler, config=_CONFIG.evolve(stream_idle_timeout=5)) as (_session, peer):
        await peer.request("GET", "/")
        await peer.expect(PushPromiseFrame)
        await peer.expect_rst(2, ErrorCode.CANCEL)
        await peer.expect_headers(1, status=204)
