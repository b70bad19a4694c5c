"""Deadlines of a session judge the peer, never ourselves.

A loop that was blocked, by a handler that computes or by SIGSTOP, wakes up with deadlines that are over and with the
peer's answers in the transport: what has arrived is read before anybody is declared dead. And what was framed while the
transport took nothing has not been asked yet: a deadline counts from the moment its frame was written.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.session.ends import both_roles, session_of
from tests.session.scripted import as_it_is, connected, served, settle
from trio_h2 import (
    ClientConfig,
    ClientSession,
    KeepaliveTimeoutError,
    Role,
    ServerConfig,
    ServerStream,
    Session,
    SettingCode,
    Settings,
    SettingsTimeoutError,
    Stream,
    StreamResetError,
)
from trio_h2.testing import (
    DataFrame,
    FaultyStream,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    ScriptedPeer,
    SettingsFrame,
    StallableStream,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from tests.session.scripted import Wrapper

ROUNDS = 8
"""How often a blocked loop is tried: which of the tasks that wake up at once runs first is Trio's choice."""


class Layered(FaultyStream):
    """Hands out what has come some passes of the scheduler later, as TLS does."""

    passes = 3

    async def _receive(self, max_bytes: int | None) -> bytes:
        data = await super()._receive(max_bytes)
        for _ in range(self.passes):
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data


both_transports = pytest.mark.parametrize("wrap", [as_it_is, Layered])


# -- a loop that was blocked -------------------------------------------------------------------------------------------


async def _preface(peer: ScriptedPeer) -> None:
    """The peer's part of the handshake, without the acknowledgement of our SETTINGS."""
    async with peer.batch():
        if peer.client:
            await peer.send_preface()
        await peer.send_settings()


@both_transports
@both_roles
async def test_the_preface_was_in_the_transport(role: Role, wrap: Wrapper, autojump_clock: MockClock) -> None:
    for blocked in (11, 60) * (ROUNDS // 2):
        async with session_of(role, handshake=False, wrap=wrap, handshake_timeout=10) as (session, peer):
            peer.auto_ack = False
            await settle()
            async with peer.batch():
                if peer.client:
                    await peer.send_preface()
                await peer.send_settings()
                await peer.send_settings(ack=True)
            autojump_clock.jump(blocked)
            await settle()
            assert not session.closed


@both_transports
@both_roles
async def test_the_acknowledgement_was_in_the_transport(role: Role, wrap: Wrapper, autojump_clock: MockClock) -> None:
    for blocked in (11, 60) * (ROUNDS // 2):
        async with session_of(role, handshake=False, wrap=wrap, settings_timeout=10) as (session, peer):
            peer.auto_ack = False
            await _preface(peer)
            await settle()
            await peer.send_settings(ack=True)
            autojump_clock.jump(blocked)
            await settle()
            assert not session.closed
            assert not session.pending_settings_ack


@both_transports
@both_roles
async def test_the_acknowledgement_of_an_update_was_in_the_transport(
    role: Role, wrap: Wrapper, autojump_clock: MockClock
) -> None:
    async with session_of(role, wrap=wrap, settings_timeout=10, ping_interval=math.inf) as (session, peer):
        peer.auto_ack = False
        for number in range(ROUNDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.update_settings, Settings(max_header_list_size=50_000 + number))
                await peer.expect(SettingsFrame, ack=False)
                await peer.send_settings(ack=True)
                autojump_clock.jump(11)
            assert not session.closed


@both_transports
@both_roles
async def test_the_acknowledgement_lay_behind_much_else(role: Role, wrap: Wrapper, autojump_clock: MockClock) -> None:
    """Several reads of the transport away, but it has come."""
    for _ in range(ROUNDS // 2):
        async with _with_a_stream(role, wrap=wrap, settings_timeout=10) as (session, stream, peer):
            peer.auto_ack = False
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.update_settings, Settings(max_header_list_size=50_000))
                await peer.expect(SettingsFrame, ack=False)
                async with peer.batch():
                    await peer.send_body(stream.id, bytes(120_000), end_stream=False)
                    for _ in range(500):
                        await peer.send_raw_frame(0x42, 0, 0, bytes(500))
                    await peer.send_settings(ack=True)
                autojump_clock.jump(11)
            assert not session.closed


@both_transports
@pytest.mark.parametrize("blocked", [6, 60])
@both_roles
async def test_the_answer_to_the_keepalive_was_in_the_transport(
    role: Role, blocked: float, wrap: Wrapper, autojump_clock: MockClock
) -> None:
    async with _with_a_stream(role, wrap=wrap, ping_interval=10, ping_timeout=5) as (session, _, peer):
        peer.auto_ack = False
        peer.timeout = 100
        for _ in range(ROUNDS):
            ping = await peer.expect(PingFrame, ack=False)
            await peer.send_ping(ping.data, ack=True)
            autojump_clock.jump(blocked)
            await settle()
            assert not session.closed


@both_transports
@pytest.mark.parametrize("blocked", [11, 60])
@both_roles
async def test_a_frame_of_the_stream_was_in_the_transport(
    role: Role, blocked: float, wrap: Wrapper, autojump_clock: MockClock
) -> None:
    async with _with_a_stream(role, wrap=wrap, stream_idle_timeout=10, ping_interval=math.inf) as (_, stream, peer):
        for _ in range(ROUNDS):
            await trio.sleep(5)
            await peer.send_data(stream.id, b"alive")
            autojump_clock.jump(blocked)
            assert await stream.receive_some() == b"alive"
            await settle()
        await peer.expect_nothing()


@both_transports
@pytest.mark.parametrize("blocked", [51, 110])
@both_roles
async def test_something_to_do_was_in_the_transport_of_an_idle_session(
    role: Role, blocked: float, wrap: Wrapper, autojump_clock: MockClock
) -> None:
    async with session_of(role, wrap=wrap, idle_timeout=50, ping_interval=math.inf) as (session, peer):
        for _ in range(ROUNDS):
            await trio.sleep(30)
            if role is Role.SERVER:
                await peer.request()
            else:
                await peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 50})
            autojump_clock.jump(blocked)
            await settle()
            assert not session.closed
        assert not any(isinstance(frame, GoAwayFrame) for frame in peer.frames)


@both_transports
@both_roles
async def test_the_end_of_a_lingering_stream_was_in_the_transport(
    role: Role, wrap: Wrapper, autojump_clock: MockClock
) -> None:
    """What has ended need not be reset."""
    for _ in range(ROUNDS // 2):
        async with _with_a_stream(role, wrap=wrap, linger_timeout=5) as (_, stream, peer):
            if role is Role.CLIENT:
                await stream.send_eof()
            await stream.aclose()
            await settle()
            await peer.send_data(stream.id, b"the end", end_stream=True)
            autojump_clock.jump(6)
            await settle()
            await peer.ping()
            assert not any(isinstance(frame, RstStreamFrame) for frame in peer.frames)


@both_roles
async def test_a_blocked_loop_does_not_hide_a_dead_peer(role: Role, autojump_clock: MockClock) -> None:
    """Nothing had come: the peer is as dead as before, soon after the loop goes on."""
    async with session_of(role, settings_timeout=10, ping_interval=math.inf) as (session, peer):
        peer.auto_ack = False
        async with trio.open_nursery() as nursery:

            async def update() -> None:
                with pytest.raises(SettingsTimeoutError):
                    await session.update_settings(Settings(max_header_list_size=50_000))

            nursery.start_soon(update)
            await peer.expect(SettingsFrame, ack=False)
            autojump_clock.jump(60)
            start = trio.current_time()
        assert trio.current_time() - start <= 10


# -- frames that wait for the transport --------------------------------------------------------------------------------


class Stalls:
    """Makes transports that can be stalled, and remembers the last one."""

    def __init__(self) -> None:
        self._made: list[StallableStream] = []
        self.at_once = False

    def __call__(self, transport: trio.abc.Stream) -> trio.abc.Stream:
        self._made.append(StallableStream(transport))
        if self.at_once:
            self.stall()
        return self._made[-1]

    def stall(self) -> None:
        """Nothing is written any more."""
        self._made[-1].stall_send()

    def resume(self) -> None:
        """What waited is written."""
        self._made[-1].resume_send()


@pytest.mark.parametrize("answers", [True, False])
@both_roles
async def test_the_first_settings_count_from_their_writing(
    role: Role, answers: bool, autojump_clock: MockClock
) -> None:
    stalls = Stalls()
    stalls.at_once = True
    async with session_of(role, handshake=False, wrap=stalls, settings_timeout=10) as (session, peer):
        peer.auto_ack = False
        await _preface(peer)
        await trio.sleep(8)
        stalls.resume()
        await trio.sleep(9)
        assert not session.closed
        if answers:
            await peer.send_settings(ack=True)
            await trio.sleep(20)
            assert not session.closed
        else:
            await trio.sleep(1.1)
            with pytest.raises(SettingsTimeoutError):
                await session.wait_closed()


@pytest.mark.parametrize("answers", [True, False])
@both_roles
async def test_an_update_counts_from_its_writing(role: Role, answers: bool, autojump_clock: MockClock) -> None:
    stalls = Stalls()
    done: list[bool] = []
    async with (
        session_of(role, wrap=stalls, settings_timeout=10, ping_interval=math.inf) as (session, peer),
        trio.open_nursery() as nursery,
    ):
        peer.auto_ack = False

        async def update() -> None:
            try:
                await session.update_settings(Settings(max_header_list_size=50_000))
            except SettingsTimeoutError:
                done.append(False)
            else:
                done.append(True)

        stalls.stall()
        nursery.start_soon(update)
        await trio.sleep(8)
        stalls.resume()
        await trio.sleep(9)
        assert (session.closed, done) == (False, [])
        if answers:
            await peer.send_settings(ack=True)
        await trio.sleep(1.1)
        assert done == [answers]


@pytest.mark.parametrize("answers", [True, False])
@both_roles
async def test_the_keepalive_counts_from_the_writing_of_its_ping(
    role: Role, answers: bool, autojump_clock: MockClock
) -> None:
    stalls = Stalls()
    async with _with_a_stream(role, wrap=stalls, ping_interval=10, ping_timeout=5) as (session, _, peer):
        peer.auto_ack = False
        await peer.send_window_update(0, 1)
        await trio.sleep(9)
        stalls.stall()
        await trio.sleep(5)
        stalls.resume()  # the PING was framed 4 seconds ago
        ping = await peer.expect(PingFrame, ack=False)
        await trio.sleep(4)
        assert not session.closed
        if answers:
            await peer.send_ping(ping.data, ack=True)
            await trio.sleep(9)
            assert not session.closed
        else:
            await trio.sleep(1.1)
            with pytest.raises(KeepaliveTimeoutError):
                await session.wait_closed()


@both_roles
async def test_a_round_trip_counts_from_the_writing_of_its_ping(role: Role, autojump_clock: MockClock) -> None:
    stalls = Stalls()
    trips: list[float] = []
    async with session_of(role, wrap=stalls) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False

        async def ping() -> None:
            trips.append((await session.ping()).round_trip)

        stalls.stall()
        nursery.start_soon(ping)
        await trio.sleep(8)
        stalls.resume()
        frame = await peer.expect(PingFrame, ack=False)
        await trio.sleep(2)
        await peer.send_ping(frame.data, ack=True)
    assert trips == [pytest.approx(2)]


@both_roles
async def test_a_stream_idles_from_the_writing_of_its_last_frame(role: Role, autojump_clock: MockClock) -> None:
    stalls = Stalls()
    config: dict[str, object] = {"stream_idle_timeout": 10, "ping_interval": math.inf}
    async with _with_a_stream(role, wrap=stalls, **config) as (_, stream, peer):
        stalls.stall()
        await stream.send_all(b"is it written?")
        await trio.sleep(8)
        stalls.resume()
        await peer.until(DataFrame, stream_id=stream.id)
        await trio.sleep(9)
        await peer.expect_nothing()
        await trio.sleep(1.1)
        await peer.expect_rst(stream.id)
        with pytest.raises(StreamResetError):
            await stream.receive_some()


@both_roles
async def test_a_session_idles_from_the_writing_of_its_last_frame(role: Role, autojump_clock: MockClock) -> None:
    stalls = Stalls()
    async with session_of(role, wrap=stalls, idle_timeout=10, ping_interval=math.inf) as (session, peer):
        stalls.stall()
        if isinstance(session, ClientSession):
            (await session.open_stream("GET")).reset()
        else:
            await peer.request()
        await trio.sleep(8)
        stalls.resume()
        await peer.until(HeadersFrame)
        await trio.sleep(9)
        assert not session.closed
        await trio.sleep(1.1)
        assert session.closed


@both_roles
async def test_a_lingering_stream_counts_from_the_writing_of_its_end(role: Role, autojump_clock: MockClock) -> None:
    stalls = Stalls()
    async with _with_a_stream(role, wrap=stalls, linger_timeout=5) as (_, stream, peer):
        stalls.stall()
        await stream.send_eof()
        await stream.aclose()
        await trio.sleep(4)
        stalls.resume()
        await peer.until(DataFrame, stream_id=stream.id)
        await peer.expect_nothing(4.5)
        await trio.sleep(1)
        await peer.expect_rst(stream.id)


async def test_a_client_without_streams_notices_that_nothing_is_written(autojump_clock: MockClock) -> None:
    """It has not asked anything, so no answer is late; but the transport takes nothing, and nothing is heard."""
    stalls = Stalls()
    async with session_of(Role.CLIENT, wrap=stalls, ping_interval=30, ping_timeout=15) as (session, _):
        stalls.stall()
        start = trio.current_time()
        with pytest.raises(KeepaliveTimeoutError):
            await session.update_settings(Settings(max_header_list_size=50_000))
        assert trio.current_time() - start == pytest.approx(45)


@both_roles
async def test_wait_written(role: Role, autojump_clock: MockClock) -> None:
    stalls = Stalls()
    async with _with_a_stream(role, wrap=stalls) as (_, stream, peer), trio.open_nursery() as nursery:
        with trio.testing.assert_checkpoints():
            await stream.wait_written()
        times: list[float] = []

        async def wait() -> None:
            await stream.wait_written()
            times.append(trio.current_time())

        start = trio.current_time()
        stalls.stall()
        await stream.send_all(b"first")
        await settle()
        nursery.start_soon(wait)
        await settle()
        await stream.send_all(b"second")
        nursery.start_soon(wait)
        with trio.move_on_after(3) as scope:
            await stream.wait_written()
        assert scope.cancelled_caught
        assert not times
        stalls.resume()
        await settle()
        assert times == [pytest.approx(start + 3)] * 2
        await peer.until(DataFrame, stream_id=stream.id)


async def test_wait_written_ends_with_the_session(autojump_clock: MockClock) -> None:
    stalls = Stalls()
    async with _with_a_stream(Role.CLIENT, wrap=stalls) as (session, stream, _), trio.open_nursery() as nursery:
        stalls.stall()
        await stream.send_all(b"never")
        nursery.start_soon(stream.wait_written)
        await settle()
        session.destroy()
    await stream.wait_written()


# -- what they have in common ------------------------------------------------------------------------------------------


@asynccontextmanager
async def _with_a_stream(
    role: Role, *, wrap: Wrapper, **config: object
) -> AsyncIterator[tuple[Session, Stream, ScriptedPeer]]:
    """A session with an open stream, whose headers have gone both ways."""
    if role is Role.CLIENT:
        async with connected(wrap=wrap, config=ClientConfig().evolve(**config)) as (session, peer):
            opened = await session.open_stream("POST", end_stream=False)
            await peer.expect_headers(opened.id)
            await peer.respond(opened.id, end_stream=False)
            await opened.receive_response()
            yield session, opened, peer
        return
    streams: list[ServerStream] = []
    done = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await stream.respond(end_stream=False)
        streams.append(stream)
        await done.wait()

    server = ServerConfig().evolve(**config)
    async with served(handler, wrap=wrap, config=server, cancel_handler_on_reset=False) as (peer, ours):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_headers(stream_id)
        await settle()
        yield ours, streams[0], peer
        done.set()
        await peer.aclose()
