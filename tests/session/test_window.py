"""`Session.set_local_window_size`: the receive window of the session, changed while it lasts."""

from __future__ import annotations

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, forbidden, served, settle
from trio_h2 import ClientConfig, Role, ServerConfig, Settings
from trio_h2.testing import WindowUpdateFrame

_OLD = 200_000


@pytest.mark.parity("B24")
@both_roles
async def test_a_larger_window_is_told_at_once(role: Role, autojump_clock: object) -> None:
    async with session_of(role, receive_budget=_OLD, stream_window=1000) as (session, peer):
        session.set_local_window_size(500_000)
        await peer.pick(WindowUpdateFrame, stream_id=0, increment=300_000)
        session.set_local_window_size(500_001)  # however little more it is
        await peer.pick(WindowUpdateFrame, stream_id=0, increment=1)
        state = session.state
        assert (state.effective_local_window_size, state.local_window_size) == (500_001, 500_001)
        assert session.statistics().receive_budget == 500_001
        assert not session.closed


@pytest.mark.parity("B24")
async def test_a_smaller_window_is_reached_by_reading(autojump_clock: object) -> None:
    config = ClientConfig(receive_budget=_OLD, stream_window=65_535)
    async with connected(config=config) as (session, peer):
        streams = [await session.open_stream("GET") for _ in range(2)]
        for stream in streams:
            await peer.respond(stream.id, end_stream=False)
        await peer.ping()
        session.set_local_window_size(140_000)
        await peer.ping()
        assert session.state.effective_local_window_size == 140_000
        assert session.state.local_window_size == _OLD  # what was given cannot be taken back
        total = 0
        for _ in range(20):
            for stream in streams:
                await peer.send_data(stream.id, bytes(16_000))
                await settle()
                total += len(await stream.receive_some(16_000))
                await settle()
                statistics = session.statistics()
                # The peer's window and what we hold never exceed what it has not used up of the old one.
                assert statistics.receive_window + statistics.ledger.held <= max(140_000, _OLD - total)
                await peer.ping()
        assert total == 20 * 2 * 16_000
        assert 0 < session.state.local_window_size <= 140_000


@pytest.mark.parity("B24")
async def test_stalled_streams_of_a_smaller_window_starve_nobody(autojump_clock: object) -> None:
    """Every stream that may be open has its window, however small the session's became."""
    config = ClientConfig(receive_budget=_OLD, stream_window=50_000)
    async with connected(config=config) as (session, _):
        session.set_local_window_size(100_000)
        await session.open_stream("GET")
        await session.open_stream("GET")
        with trio.move_on_after(10) as scope:
            await session.open_stream("GET")  # a third window does not fit any more
        assert scope.cancelled_caught
        session.set_local_window_size(150_000)
        await session.open_stream("GET")


@pytest.mark.parity("B24")
async def test_a_window_too_small_names_the_numbers(autojump_clock: object) -> None:
    server = ServerConfig(receive_budget=_OLD, stream_window=10_000, max_concurrent_streams=10)
    async with served(forbidden, config=server) as (peer, session):
        session.set_local_window_size(100_000)
        with pytest.raises(ValueError, match=r"99999 bytes is too small for 10 streams x initial_window_size 10000"):
            session.set_local_window_size(99_999)
        assert session.state.effective_local_window_size == 100_000
        with pytest.raises(ValueError, match="receive_budget of 100000"):
            await session.update_settings(Settings(max_concurrent_streams=11))
        await peer.aclose()


@pytest.mark.parity("B24")
async def test_wrong_sizes(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, peer):
        for wrong in (True, 1e6, "1"):
            with pytest.raises(TypeError, match="size"):
                session.set_local_window_size(wrong)  # type: ignore[arg-type]  # that is what is tested
        for number in (-1, 0, 2**31):
            with pytest.raises(ValueError, match=str(number)):
                session.set_local_window_size(number)
        session.set_local_window_size(2**31 - 1)
        await peer.ping()
        assert session.state.local_window_size == 2**31 - 1
        session.destroy()
        with pytest.raises(trio.ClosedResourceError):
            session.set_local_window_size(10**6)
