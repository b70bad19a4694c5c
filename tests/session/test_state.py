"""`Session.state`: each of the nine figures moves when, and only when, what it counts does."""

from __future__ import annotations

import pytest

from tests.session.ends import both_roles, session_of
from tests.session.scripted import Wrapped, connected, served, settle
from trio_h2 import ClientConfig, Role, ServerStream
from trio_h2.testing import DataFrame, StallableStream, WindowUpdateFrame

_BUDGET = 200_000
_WINDOW = 100_000


@pytest.mark.parity("B21")
@both_roles
async def test_a_new_session(role: Role, autojump_clock: object) -> None:
    async with session_of(role, receive_budget=_BUDGET, stream_window=1000) as (session, peer):
        await peer.ping()
        state = session.state
        assert state.effective_local_window_size == _BUDGET
        assert state.effective_recv_data_length == 0
        assert state.next_stream_id == (1 if role is Role.CLIENT else 2)
        assert state.local_window_size == _BUDGET
        assert state.last_proc_stream_id == 0
        assert state.remote_window_size == 65_535
        assert state.outbound_queue_size == 0
        assert (state.deflate_dynamic_table_size, state.inflate_dynamic_table_size) == (0, 0)


@pytest.mark.parity("B21")
async def test_receiving_and_reading_moves_the_local_figures(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(receive_budget=_BUDGET, stream_window=_WINDOW)) as (session, peer):
        first = await session.open_stream("GET")
        second = await session.open_stream("GET")
        assert session.state.next_stream_id == 5
        await peer.respond(3, end_stream=False)
        await settle()
        assert session.state.last_proc_stream_id == 3
        await peer.respond(1, end_stream=False)
        await peer.send_data(1, bytes(16_000))
        await settle()
        state = session.state
        assert state.last_proc_stream_id == 1
        assert (state.local_window_size, state.effective_recv_data_length) == (184_000, 16_000)
        assert state.effective_local_window_size == _BUDGET
        await first.receive_some(16_000)
        for _ in range(6):
            await peer.send_data(3, bytes(16_000))
        await settle()
        assert session.state.effective_recv_data_length == 112_000
        while session.state.effective_recv_data_length:  # until enough was read for a WINDOW_UPDATE
            await second.receive_some(16_000)
        update = await peer.pick(WindowUpdateFrame, stream_id=0, increment=96_000)
        assert session.state.local_window_size == 88_000 + update.increment


@pytest.mark.parity("B21")
async def test_sending_moves_the_remote_window_and_the_deflate_table(autojump_clock: object) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond({"x-colour": "green"}, body=bytes(1000))

    async with served(handler) as (peer, session):
        await peer.request(headers={"x-animal": "cat"})
        await peer.expect_headers(1)
        await peer.expect(DataFrame)
        state = session.state
        assert state.remote_window_size == 65_535 - 1000
        # RFC 7541 §4.1: the bytes of name and value, and 32 more per field.
        assert state.deflate_dynamic_table_size >= len("x-colourgreen") + 32
        assert state.inflate_dynamic_table_size == session.statistics().memory - state.deflate_dynamic_table_size
        await peer.aclose()


@pytest.mark.parity("B21")
@both_roles
async def test_the_outbound_queue_counts_frames(role: Role, autojump_clock: object) -> None:
    wall = Wrapped(StallableStream)
    async with session_of(role, wrap=wall) as (session, peer):
        await peer.ping()
        assert session.state.outbound_queue_size == 0
        wall.stream.stall_send()
        for number in range(1, 4):
            await session.goaway(debug_data=bytes(1000 * number))
            await settle()  # the first one is in a write that does not end, the others wait behind it
            assert session.state.outbound_queue_size == number
        wall.stream.resume()
        await settle()
        assert session.state.outbound_queue_size == 0
        await peer.ping()
