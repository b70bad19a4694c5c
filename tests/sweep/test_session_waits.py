"""What waits on a session and not on a stream (pings, settings, GOAWAY, announcements, happenings), cancelled at every
moment: nothing is left waiting, and the session goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
import trio

from tests.sweep.exchanges import LONG, plain, read_all
from tests.sweep.harness import (
    CLIENT_CONFIG,
    SERVER_CONFIG,
    Pair,
    goes_on,
    next_request,
    pair,
    settle,
    sweep,
)
from tests.sweep.wirelog import CLIENT, SERVER
from trio_h2 import AltSvcReceived, GoAwayError, PingReceived, RemoteSettingsReceived, Role, Session, Settings, Stream

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.testing import SweepRun

    class Operation(Protocol):
        """What one side does."""

        __name__: str

        async def __call__(self, ours: Session, both: Pair) -> None:
            """Does it."""


# -- what is done ------------------------------------------------------------------------------------------------------


async def ping(ours: Session, both: Pair) -> None:
    """Waits for one answer."""
    assert (await ours.ping(b"sweeping")).payload == b"sweeping"


async def pings(ours: Session, both: Pair) -> None:
    """Waits for several answers at once, two of them to the same question."""

    async def one(payload: bytes) -> None:
        assert (await ours.ping(payload)).payload == payload

    async with trio.open_nursery() as nursery:
        for payload in b"number 1", b"number 1", b"number 2":
            nursery.start_soon(one, payload)
    await ping(ours, both)


async def update(ours: Session, both: Pair) -> None:
    """Waits for one acknowledgement."""
    await ours.update_settings(Settings(max_header_list_size=5000))
    assert ours.local_settings.max_header_list_size == 5000


async def updates(ours: Session, both: Pair) -> None:
    """Waits for several acknowledgements, of which one at a time is on its way."""

    async def one(size: int) -> None:
        await ours.update_settings(Settings(max_header_list_size=size, initial_window_size=64))

    async with trio.open_nursery() as nursery:
        for size in 5000, 6000, 7000:
            nursery.start_soon(one, size)
    assert ours.local_settings.max_header_list_size in (5000, 6000, 7000)


async def update_beside_a_request(ours: Session, both: Pair) -> None:
    """Changes the window while a body is under way."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(plain, both.client)
        await ours.update_settings(Settings(initial_window_size=100))
        await ours.update_settings(Settings(initial_window_size=64))


async def announce(ours: Session, both: Pair) -> None:
    """Names alternative services and origins."""
    await both.server.altsvc('h2=":8000"', "https://example.org")
    await both.server.origin("https://example.org", "https://example.com")
    await both.server.altsvc("clear", "https://example.org")
    await ours.ping()


async def subscribe(ours: Session, both: Pair) -> None:
    """Waits for happenings of several kinds, in a loop."""
    theirs: Session = both.server if ours is both.client else both.client
    kinds = []
    with ours.subscribe() as events:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(theirs.ping, b"happened")
            nursery.start_soon(theirs.update_settings, Settings(max_header_list_size=5000))
            if ours is both.client:
                nursery.start_soon(both.server.altsvc, "clear", "https://example.org")
            expected = {PingReceived, RemoteSettingsReceived} | ({AltSvcReceived} if ours is both.client else set())
            async for event in events:
                kinds.append(type(event))
                if set(kinds) == expected:
                    break


# -- the sweeps --------------------------------------------------------------------------------------------------------


def check_nothing_waits(session: Session) -> None:
    """No question is open, nobody listens."""
    assert len(session._core.pings) == 0
    assert not session._core.updates._waiting
    assert not session.pending_settings_ack
    assert not session._core.events.wanted


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("operation", "capacity", "points"),
    [
        pytest.param(ping, None, 8, marks=pytest.mark.parity("B18"), id="ping"),
        pytest.param(pings, None, 20, marks=pytest.mark.parity("B18"), id="pings"),
        pytest.param(pings, 7, 40, marks=pytest.mark.parity("B18"), id="pings-narrow"),
        pytest.param(update, None, 8, marks=pytest.mark.parity("B16", "B6"), id="update"),
        pytest.param(updates, None, 20, marks=pytest.mark.parity("B16", "B6"), id="updates"),
        pytest.param(updates, 7, 40, marks=pytest.mark.parity("B16", "B6"), id="updates-narrow"),
        pytest.param(update_beside_a_request, None, 28, marks=pytest.mark.parity("B16"), id="update-and-request"),
        pytest.param(announce, None, 10, marks=pytest.mark.parity("B22", "B23"), id="announce"),
        pytest.param(announce, 7, 40, marks=pytest.mark.parity("B22", "B23"), id="announce-narrow"),
        pytest.param(subscribe, None, 15, marks=pytest.mark.parity("B7", "B8", "B22"), id="subscribe"),
    ],
)
async def test_cancelled_waits(
    operation: Operation, capacity: int | None, points: int, role: Role, autojump_clock: MockClock
) -> None:
    async def one_run(run: SweepRun) -> None:
        async with pair(
            capacity=capacity,
            client=CLIENT_CONFIG.evolve(max_queued_control=1),
            server=SERVER_CONFIG.evolve(max_queued_control=1),
        ) as both:
            ours: Session = both.client if role is Role.CLIENT else both.server
            async with run:
                await operation(ours, both)
            await goes_on(both)
            for session in both.client, both.server:
                check_nothing_waits(session)
                await session.ping()

    await sweep(one_run, more_than=points)


async def send_whole(stream: Stream) -> None:
    """Sends a body, and its end."""
    await stream.send_all(LONG)
    await stream.send_eof()


@pytest.mark.parity("B15")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("capacity", "points"), [(None, 5), (7, 10)])
async def test_cancelled_goaways(capacity: int | None, points: int, role: Role, autojump_clock: MockClock) -> None:
    """It was sent or it was not: a request under way is spared, and the next one hears of it or succeeds."""
    sent: list[bool] = []

    async def one_run(run: SweepRun) -> None:
        async with pair(
            capacity=capacity,
            client=CLIENT_CONFIG.evolve(max_queued_control=1),
            server=SERVER_CONFIG.evolve(max_queued_control=1),
        ) as both:
            ours: Session = both.client if role is Role.CLIENT else both.server
            side = CLIENT if role is Role.CLIENT else SERVER
            async with both.client.request("POST", "/echo", end_stream=False) as stream:
                await settle()
                async with run:
                    await ours.ping()
                    await ours.goaway(debug_data=b"because of the sweep")
                await settle()
                sent.append(bool(both.log.goaways(side)))
                both.check_books()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(send_whole, stream)
                    assert await read_all(stream) == LONG
            if not sent[-1]:
                await next_request(both.client)
            elif role is Role.SERVER:
                with pytest.raises(GoAwayError) as refused:
                    await next_request(both.client)
                assert refused.value.retryable
                assert refused.value.debug_data == b"because of the sweep"
            await settle()
            both.check_books()

    await sweep(one_run, more_than=points)
    assert set(sent) == {True, False}
