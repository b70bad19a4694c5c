"""`Session.on_idle` and `Session.idle_timeout`: what comes when nothing happens."""

from __future__ import annotations

import math

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected
from trio_h2 import ErrorCode, Role, Session, SessionClosed, SessionIdle
from trio_h2.testing import GoAwayFrame


@pytest.mark.parity("B10")
@both_roles
async def test_by_default_the_session_ends_gracefully(role: Role, autojump_clock: object) -> None:
    async with session_of(role, idle_timeout=10, ping_interval=math.inf) as (session, peer):
        peer.timeout = 100
        start = trio.current_time()
        with session.subscribe() as events:
            goaway = await peer.until(GoAwayFrame, code=ErrorCode.NO_ERROR)
            assert trio.current_time() - start == pytest.approx(10)
            where = "ServerConfig" if role is Role.SERVER else "ClientConfig"
            assert goaway.debug == f"the session had no stream for idle_timeout=10 s (set in {where})".encode()
            if role is Role.SERVER:
                assert (await peer.expect_goaway(ErrorCode.NO_ERROR)).debug == goaway.debug  # in two steps
            await peer.expect_eof()
            await peer.aclose()
            happenings = [event async for event in events]
        assert happenings[0] == SessionIdle(10)
        assert happenings[-1] == SessionClosed(None)


@pytest.mark.parity("B10")
@both_roles
async def test_a_hook_that_does_nothing_keeps_the_session(role: Role, autojump_clock: object) -> None:
    calls: list[float] = []
    async with session_of(role, idle_timeout=10, ping_interval=math.inf) as (session, peer):
        start = trio.current_time()
        session.on_idle = lambda _: calls.append(trio.current_time() - start)
        assert session.on_idle is not None
        await peer.expect_nothing(35)
        assert not session.closed
        assert calls == [pytest.approx(10), pytest.approx(20), pytest.approx(30)]
        session.on_idle = None
        await peer.until(GoAwayFrame)


@pytest.mark.parity("B10")
@both_roles
async def test_a_hook_may_destroy(role: Role, autojump_clock: object) -> None:
    async with session_of(role, idle_timeout=10, ping_interval=math.inf) as (session, peer):
        peer.timeout = 100
        session.on_idle = lambda idle: idle.destroy(code=ErrorCode.ENHANCE_YOUR_CALM)
        await peer.until(GoAwayFrame, code=ErrorCode.ENHANCE_YOUR_CALM)
        await peer.expect_eof()
        await session.wait_closed()


@pytest.mark.parity("B10")
@both_roles
async def test_frames_are_activity_and_pings_are_not(role: Role, autojump_clock: object) -> None:
    async with session_of(role, idle_timeout=10, ping_interval=math.inf) as (session, peer):
        await trio.sleep(6)
        await peer.send_settings({6: 1000})
        await peer.ping()
        await trio.sleep(6)
        await session.goaway(last_stream_id=2**31 - 1)  # ours count, too
        last = trio.current_time()
        await peer.until(GoAwayFrame)
        await trio.sleep(6)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.ping)
            await peer.ping()
        await peer.until(GoAwayFrame)
        assert trio.current_time() - last == pytest.approx(10)


@pytest.mark.parity("B10")
async def test_the_time_can_be_changed(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        assert session.idle_timeout == math.inf
        await trio.sleep(6)
        session.idle_timeout = 10
        await trio.sleep(3)
        session.idle_timeout = math.inf
        await peer.expect_nothing(100)
        async with session.request("GET"):
            await peer.expect_headers(1)
            session.idle_timeout = 5
            await peer.expect_nothing(25)  # a stream is no idleness
        start = trio.current_time()
        await peer.expect_rst(1)
        await peer.until(GoAwayFrame)
        assert trio.current_time() - start == pytest.approx(5)
        await session.wait_closed()


async def test_what_a_hook_raises_is_a_bug(autojump_clock: object) -> None:
    def hook(session: Session) -> None:
        raise RuntimeError("oops")

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="oops"), flatten_subgroups=True):
        async with connected() as (session, _):
            session.on_idle = hook
            session.idle_timeout = 10
            await trio.sleep_forever()


async def test_wrong_values(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, _):
        for wrong in (True, "1"):
            with pytest.raises(TypeError, match="idle_timeout"):
                session.idle_timeout = wrong  # type: ignore[assignment]  # that is what is tested
        for number in (-1, math.nan):
            with pytest.raises(ValueError, match="idle_timeout"):
                session.idle_timeout = number
        with pytest.raises(TypeError, match="on_idle"):
            session.on_idle = 5  # type: ignore[assignment]  # that is what is tested
        assert session.on_idle is None
