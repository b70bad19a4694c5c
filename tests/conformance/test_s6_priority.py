"""RFC 9113 §6.3: PRIORITY, which is deprecated and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode
from trio_h2.testing import FrameType, Priority, PriorityFrame

if TYPE_CHECKING:
    from tests.conformance.ends import End, ServerEnd


@pytest.mark.parametrize("length", [0, 4, 5, 6])
async def test_6_3_priority_on_stream_0_is_a_connection_error(end: End, length: int) -> None:
    await end.peer.send_raw_frame(FrameType.PRIORITY, 0, 0, bytes(length))
    await end.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 4, 6, 100])
@pytest.mark.parametrize("state", ["open", "half_closed_remote", "half_closed_local", "closed"])
async def test_6_3_priority_of_another_length_is_a_stream_error(end: End, state: str, length: int) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_raw_frame(FrameType.PRIORITY, 0, stream_id, bytes(length))
    await end.expect_stream_error(stream_id, ErrorCode.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("length", [4, 6])
async def test_6_3_priority_of_another_length_on_an_idle_stream_is_a_connection_error(end: End, length: int) -> None:
    """RST_STREAM must not be sent on an idle stream (§6.4), and §5.4.1 allows a connection error for every other."""
    await end.peer.send_raw_frame(FrameType.PRIORITY, 0, 1001, bytes(length))
    await end.expect_connection_error(ErrorCode.FRAME_SIZE_ERROR)


@both_ways
@pytest.mark.parametrize(
    "state", ["open", "half_closed_remote", "half_closed_local", "closed", "reset_by_us", "reset_by_peer"]
)
async def test_6_3_priority_is_allowed_in_every_state(end: End, state: str) -> None:
    stream_id = await end.in_state(state)
    await end.peer.send_priority(stream_id, Priority(depends_on=stream_id + 2, weight=256, exclusive=True))
    await end.expect_ignored()


async def test_6_3_priority_does_not_open_a_stream(server: ServerEnd) -> None:
    """Streams below an idle one that PRIORITY has named can still be opened, and it itself, too."""
    await server.peer.send_priority(9)
    await server.expect_ignored()
    stream_id = await server.request()
    assert stream_id < 9
    await server.peer.send_headers(9, server.head(), end_stream=True)
    await server.settle()
    assert server.handled[-1] == 9
    await server.peer.expect_nothing()


async def test_6_3_priority_does_not_close_a_stream(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_priority(stream_id)
    await end.peer.send_data(stream_id, b"data", end_stream=True)
    await end.settle()
    await end.expect_body(stream_id, b"data")
    await end.app(stream_id).send_eof()
    await end.peer.expect_data(stream_id, b"", end_stream=True)


@pytest.mark.parametrize("in_headers", [False, True])
async def test_6_3_stream_that_depends_on_itself_is_a_stream_error(server: ServerEnd, in_headers: bool) -> None:
    """Our choice: RFC 9113 has dropped this rule of RFC 7540 §5.3.1, and forbids neither."""
    if in_headers:
        stream_id = server.peer.next_stream_id()
        await server.peer.send_headers(stream_id, server.head(), priority=Priority(depends_on=stream_id))
    else:
        stream_id = await server.open()
        await server.peer.send_priority(stream_id, Priority(depends_on=stream_id))
    await server.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_6_3_we_send_no_priority(end: End) -> None:
    for state in ("open", "closed", "reset_by_us"):
        await end.in_state(state)
    await end.still_works()
    assert not [frame for frame in end.peer.frames if isinstance(frame, PriorityFrame)]
