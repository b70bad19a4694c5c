"""`Session.subscribe`: what happens to a session beside its streams."""

from __future__ import annotations

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import settle
from trio_h2 import (
    ErrorCode,
    GoAwayError,
    GoAwayReceived,
    LocalSettingsAcknowledged,
    PingReceived,
    RemoteSettingsReceived,
    Role,
    SessionClosed,
    Settings,
    Subscription,
    TransportLostError,
)
from trio_h2._session._events import EventQueue
from trio_h2.testing import GoAwayFrame, SettingsFrame


@pytest.mark.parity("B5")
@both_roles
async def test_goaway_is_told_with_its_opaque_data(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer):
        with session.subscribe() as events:
            await peer.send_goaway(0, 0x7777, b"\x00moving\xff")
            happenings = [event async for event in events]
        goaway, closed = happenings
        assert goaway == GoAwayReceived(0, 0x7777, b"\x00moving\xff")
        assert isinstance(closed, SessionClosed)
        assert isinstance(closed.error, GoAwayError)
        assert (closed.error.code, closed.error.debug_data) == (0x7777, b"\x00moving\xff")


@pytest.mark.parity("B6")
@both_roles
async def test_local_settings_are_told_when_they_are_acknowledged(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        with session.subscribe() as events:
            change = Settings(max_header_list_size=4711)
            nursery.start_soon(session.update_settings, change)
            await peer.until(SettingsFrame, ack=False)
            await settle()
            assert session.local_settings.max_header_list_size != 4711
            await peer.send_settings(ack=True)
            assert await anext(events) == LocalSettingsAcknowledged(change)
            assert session.local_settings.max_header_list_size == 4711


@pytest.mark.parity("B7")
@both_roles
async def test_remote_settings_are_told(role: Role, autojump_clock: object) -> None:
    async with session_of(role, settings={3: 5}) as (session, peer):
        with session.subscribe() as events:
            await peer.send_settings({6: 1000, 0xABCD: 7})
            changed = Settings(max_header_list_size=1000, custom={0xABCD: 7})
            assert await anext(events) == RemoteSettingsReceived(changed)
        assert session.remote_settings == Settings(
            max_concurrent_streams=5, max_header_list_size=1000, custom={0xABCD: 7}
        )


@pytest.mark.parity("B8")
@both_roles
async def test_every_ping_of_the_peer_is_told(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer), trio.open_nursery() as nursery:
        with session.subscribe() as events:
            nursery.start_soon(session.ping)  # its answer is no happening
            await peer.ping(b"what now")
            await peer.ping(b"and then")
            assert [await anext(events), await anext(events)] == [PingReceived(b"what now"), PingReceived(b"and then")]


@pytest.mark.parity("B1")
@both_roles
async def test_a_graceful_end_is_told_and_ends_the_iteration(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, _), trio.open_nursery() as nursery:
        with session.subscribe() as events:
            nursery.start_soon(session.aclose, 0)
            assert [event async for event in events][-1] == SessionClosed(None)


@both_roles
async def test_a_lost_transport_is_told(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer):
        with session.subscribe() as events:
            await peer.send_bytes(b"\x00\x00")
            await peer.aclose()
            (closed,) = [event async for event in events]
        assert isinstance(closed, SessionClosed)
        assert isinstance(closed.error, TransportLostError)


async def test_only_what_comes_after_the_call_is_told(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, peer):
        await peer.ping(b"too soon")
        events = session.subscribe()
        await peer.ping(b"in time.")
        with events:
            assert await anext(events) == PingReceived(b"in time.")


async def test_the_oldest_are_dropped_and_counted(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, peer):
        with session.subscribe(capacity=2) as events, session.subscribe() as patient:
            for number in range(5):
                await peer.ping(b"number %d" % number)
            assert events.dropped == 3
            assert [await anext(events), await anext(events)] == [PingReceived(b"number 3"), PingReceived(b"number 4")]
            assert patient.dropped == 0
            assert await anext(patient) == PingReceived(b"number 0")


async def test_what_was_not_taken_outlives_the_session(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, peer):
        events = session.subscribe()
        await peer.ping(b"the last")
    assert [event async for event in events] == [PingReceived(b"the last"), SessionClosed(None)]
    assert [event async for event in events] == []
    assert [event async for event in session.subscribe()] == []


async def test_a_cancelled_wait_loses_nothing(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, peer):
        with session.subscribe() as events:
            with trio.move_on_after(1) as scope:
                await anext(events)
            assert scope.cancelled_caught
            await peer.ping(b"still in")
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(events)
            assert scope.cancelled_caught
            assert await anext(events) == PingReceived(b"still in")


async def test_closing_wakes_who_waits_and_refuses_a_second_task(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, _), trio.open_nursery() as nursery:
        events = session.subscribe()

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await anext(events)

        nursery.start_soon(wait)
        await settle()
        with pytest.raises(trio.BusyResourceError):
            await anext(events)
        events.close()
        await settle()
        await wait()


async def test_wrong_capacities_and_constructors(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, _):
        for wrong in (True, 1.0, "2"):
            with pytest.raises(TypeError, match="capacity"):
                session.subscribe(capacity=wrong)  # type: ignore[arg-type]  # that is what is tested
        with pytest.raises(ValueError, match="capacity"):
            session.subscribe(capacity=0)
    with pytest.raises(TypeError, match="no public constructor"):
        Subscription(EventQueue(1), {})


async def test_a_drain_is_told_step_by_step(autojump_clock: object) -> None:
    """Two GOAWAYs, both with their ids."""
    async with session_of(Role.CLIENT) as (session, peer):
        stream = await session.open_stream("GET")  # type: ignore[attr-defined]  # a client's
        with session.subscribe() as events:
            await peer.send_goaway(2**31 - 1)
            await peer.send_goaway(1, debug=b"really")
            assert await anext(events) == GoAwayReceived(2**31 - 1, ErrorCode.NO_ERROR, b"")
            assert await anext(events) == GoAwayReceived(1, ErrorCode.NO_ERROR, b"really")
        await peer.respond(1, body=b"done")
        assert await stream.receive_some() == b"done"
        await peer.until(GoAwayFrame)
