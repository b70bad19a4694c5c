"""What docs/timeouts-and-cancellation.md says of deadlines, on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import timeouts
import trio

import trio_h2
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock


async def handler(stream: trio_h2.ServerStream) -> None:
    if "slow" in stream.path:
        await trio.sleep(60)
    await stream.respond(200)
    await stream.send_all(b"half")
    if "stuck" in stream.path:
        await trio.sleep(60)
    await stream.send_all(b", whole")


async def test_a_limit_for_one_request(autojump_clock: MockClock) -> None:
    async with session_pair(handler) as (session, _):
        assert await timeouts.fetch(session, "/slow") is None
        assert await timeouts.fetch(session, "/stuck") is None
        assert trio.current_time() == pytest.approx(4)
        assert await timeouts.fetch(session, "/") == b"half, whole"


async def test_a_limit_for_each_part(autojump_clock: MockClock) -> None:
    async with session_pair(handler) as (session, _):
        assert await timeouts.fetch_patiently(session, "/") == b"half, whole"
        with pytest.raises(trio.TooSlowError):
            await timeouts.fetch_patiently(session, "/slow")
        with pytest.raises(trio.TooSlowError):
            await timeouts.fetch_patiently(session, "/stuck")


async def test_the_first_of_several(autojump_clock: MockClock) -> None:
    async with session_pair(handler) as (session, server):
        assert await timeouts.fastest(session, ["/slow", "/", "/stuck"]) == b"half, whole"
        assert trio.current_time() < 1
        await session.ping()
        assert server.statistics().open_streams == 0


async def test_a_handler_that_is_late_answers_504(autojump_clock: MockClock) -> None:
    async with session_pair(timeouts.search) as (session, _):
        for path, status in (("/x", 200), ("/slow", 504)):
            async with session.request(path=path) as stream:
                assert (await stream.receive_response()).status == status


@pytest.mark.parametrize("report", [timeouts.report, timeouts.report_quietly])
async def test_a_cut_report_does_not_look_whole(
    report: Callable[[trio_h2.ServerStream], Awaitable[None]],
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with session_pair(report, raise_handler_errors=False) as (session, _):
        async with session.request() as stream:
            with pytest.raises(trio_h2.StreamResetError):
                await stream.read()
        assert bool(caplog.records) is (report is timeouts.report)
        monkeypatch.setattr(timeouts, "SECONDS_PER_ROW", 0.001)
        async with session.request() as stream:
            assert (await stream.read()).endswith(b"999\n1000\n")


async def test_a_handler_cleans_up_when_its_client_has_left(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back = trio.Event()

    async def give_back() -> None:
        await trio.sleep(0.1)
        given_back.set()

    monkeypatch.setattr(timeouts, "give_back", give_back)
    async with session_pair(timeouts.job) as (session, _):
        with trio.move_on_after(1):
            async with session.request(path="/slow") as stream:
                await stream.receive_response()
        await given_back.wait()
        assert trio.current_time() == pytest.approx(1.1)
