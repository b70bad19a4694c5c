"""RFC 9113 §5.1.1 and §5.1.2: which stream identifiers may be used, and how many streams at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import HeadersFrame, SettingsFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd, StartClient, StartServer


# ---- §5.1.1 ----


async def test_5_1_1_our_streams_have_odd_growing_ids(client: ClientEnd) -> None:
    for _ in range(5):
        await client.still_works()
    heads = [frame.stream_id for frame in client.peer.frames if isinstance(frame, HeadersFrame)]
    assert heads == [1, 3, 5, 7, 9]


async def test_5_1_1_our_ids_grow_on_the_wire_whatever_order_requests_are_made_in(client: ClientEnd) -> None:
    """Requests that waited for a slot, and those that were cancelled, must not send a smaller id late."""
    await client.peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 2})
    await client.peer.pick(SettingsFrame, ack=True)
    async with trio.open_nursery() as nursery:
        for number in range(10):
            scope = trio.CancelScope(deadline=trio.current_time() + 1 if number % 3 == 0 else float("inf"))
            nursery.start_soon(_request_in, client.session, scope)
        seen = []
        for _ in range(6):
            head = await client.peer.until(HeadersFrame)
            seen.append(head.stream_id)
            await client.peer.respond(head.stream_id, 204)
        nursery.cancel_scope.cancel()
    assert seen == sorted(seen)
    assert all(stream_id % 2 for stream_id in seen)


async def _request_in(session: trio_h2.ClientSession, scope: trio.CancelScope) -> None:
    with scope:
        async with session.request("GET") as stream:
            await stream.receive_response()


async def test_5_1_1_used_up_ids_are_not_used_again(client: ClientEnd) -> None:
    client.session._core.engine.highest_outbound_id = 2**31 - 3
    async with client.session.request("GET") as stream:
        assert stream.id == 2**31 - 1
        await client.peer.expect_headers(2**31 - 1)
        await client.peer.respond(2**31 - 1, 204)
        await stream.receive_response()
    with pytest.raises(trio_h2.SessionError) as caught:
        await client.session.open_stream("GET")
    assert caught.value.retryable
    await client.peer.expect_nothing()


@pytest.mark.parametrize("stream_id", [2, 2**31 - 2])
async def test_5_1_1_client_that_opens_an_even_stream_is_a_connection_error(server: ServerEnd, stream_id: int) -> None:
    await server.peer.send_headers(stream_id, server.head(), end_stream=True)
    await server.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
    assert server.handled == []


async def test_5_1_1_server_that_opens_a_stream_is_a_connection_error(client: ClientEnd) -> None:
    """Without PUSH_PROMISE, which we have switched off, a server cannot open any."""
    await client.open()
    await client.peer.send_headers(2, [(":status", "200")], end_stream=True)
    await client.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_1_response_without_a_request_is_a_connection_error(client: ClientEnd) -> None:
    await client.still_works()
    await client.peer.send_headers(3, [(":status", "200")], end_stream=True)
    await client.expect_connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("stream_id", [1, 3, 99])
async def test_5_1_1_id_below_one_that_was_used_is_a_connection_error(server: ServerEnd, stream_id: int) -> None:
    await server.peer.send_headers(101, server.head())
    await server.settle()
    await server.peer.send_headers(stream_id, server.head(), end_stream=True)
    await server.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
    assert server.handled == [101]


@pytest.mark.parametrize("frame", ["data", "window-update", "rst-stream"])
async def test_5_1_1_skipped_streams_are_closed(server: ServerEnd, frame: str) -> None:
    """Not idle: so what is late on a closed stream is no connection error there."""
    await server.peer.send_headers(101, server.head())
    await server.settle()
    if frame == "data":
        await server.peer.send_data(51, b"never opened")
        await server.peer.expect_rst(51, ErrorCode.STREAM_CLOSED)
    elif frame == "window-update":
        await server.peer.send_window_update(51, 1000)
    else:
        await server.peer.send_rst(51)
    await server.peer.expect_nothing()
    await server.app(101).respond(204, end_stream=True)
    await server.peer.expect_headers(101, status=204)


async def test_5_1_1_ids_cannot_be_reused(server: ServerEnd) -> None:
    """Our choice of code: on a stream that has been open it is STREAM_CLOSED (§5.1, closed)."""
    stream_id = await server.closed()
    await server.peer.send_headers(stream_id, server.head(), end_stream=True)
    await server.expect_connection_error(ErrorCode.STREAM_CLOSED)
    assert server.handled.count(stream_id) == 1


async def test_5_1_1_the_highest_id_can_be_used(server: ServerEnd) -> None:
    await server.peer.send_headers(2**31 - 1, server.head())
    await server.settle()
    await server.app(2**31 - 1).respond(200, body=b"last")
    await server.peer.expect_headers(2**31 - 1, status=200)
    await server.peer.expect_data(2**31 - 1, b"last", end_stream=True)


# ---- §5.1.2 ----


async def test_5_1_2_we_do_not_exceed_the_limit_of_the_peer(start_client: StartClient) -> None:
    async with (
        start_client(settings={SettingCode.MAX_CONCURRENT_STREAMS: 3}) as client,
        trio.open_nursery() as nursery,
    ):
        for _ in range(5):
            nursery.start_soon(_request_in, client.session, trio.CancelScope())
        first = [(await client.peer.expect_headers()).stream_id for _ in range(3)]
        await client.peer.expect_nothing()
        await client.peer.respond(first[1], 204)
        fourth = await client.peer.expect_headers(7)
        await client.peer.expect_nothing()
        for stream_id in (first[0], first[2], fourth.stream_id, 9):
            await client.peer.respond(stream_id, 204)
        await client.peer.expect_headers(9)


@pytest.mark.parametrize("state", ["half_closed_local", "half_closed_remote", "open"])
async def test_5_1_2_half_closed_streams_count(start_client: StartClient, state: str) -> None:
    async with start_client(settings={SettingCode.MAX_CONCURRENT_STREAMS: 1}) as client:
        stream_id = await client.in_state(state)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_request_in, client.session, trio.CancelScope())
            await client.peer.expect_nothing()
            await client.peer.send_rst(stream_id)
            await client.peer.expect_headers(3)
            await client.peer.respond(3, 204)


async def test_5_1_2_a_limit_of_zero_lets_no_stream_open(start_client: StartClient) -> None:
    async with (
        start_client(settings={SettingCode.MAX_CONCURRENT_STREAMS: 0}) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_request_in, client.session, trio.CancelScope())
        await client.peer.expect_nothing()
        await client.peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 1})
        await client.peer.pick(SettingsFrame, ack=True)
        await client.peer.expect_headers(1)
        await client.peer.respond(1, 204)


async def test_5_1_2_a_limit_that_was_lowered_counts_for_new_streams(client: ClientEnd) -> None:
    streams = [await client.open() for _ in range(3)]
    await client.peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 2})
    await client.peer.pick(SettingsFrame, ack=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_request_in, client.session, trio.CancelScope())
        for stream_id in streams[:2]:
            await client.peer.expect_nothing()
            await client.peer.send_rst(stream_id)
        await client.peer.expect_headers(7)
        await client.peer.respond(7, 204)


@pytest.mark.parity("I5")
@pytest.mark.parametrize("end_stream", [False, True])
async def test_5_1_2_streams_over_our_limit_are_refused(start_server: StartServer, end_stream: bool) -> None:
    """Our choice between the two codes: REFUSED_STREAM, after which a retry is safe (§8.7)."""
    async with start_server(config={"max_concurrent_streams": 2}) as server:
        first, _ = await server.request(), await server.request()
        for _ in range(3):
            surplus = await server.receive_message(server.head(("x-new", "4" * 30)), end_stream=end_stream)
            await server.peer.expect_rst(surplus, ErrorCode.REFUSED_STREAM)
        await server.app(first).respond(204, end_stream=True)
        await server.peer.expect_headers(first, status=204)
        await server.peer.send_data(first, end_stream=True)
        await server.settle()
        await server.release(first)
        await server.still_works()
        assert len(server.handled) == 3


async def test_5_1_2_our_limit_counts_before_it_is_acknowledged(start_server: StartServer) -> None:
    async with start_server(config={"max_concurrent_streams": 1}, handshake=False) as server:
        server.peer.auto_ack = False
        async with server.peer.batch():
            await server.peer.send_preface()
            await server.peer.send_settings()
            await server.peer.request(end_stream=False)
            surplus = await server.peer.request(end_stream=False)
        await server.peer.pick(SettingsFrame, ack=True)
        await server.peer.pick(SettingsFrame, ack=False)
        await server.peer.expect_rst(surplus, ErrorCode.REFUSED_STREAM)
        await server.peer.send_settings(ack=True)
        await server.settle()
        assert server.handled == [1]


async def test_5_1_2_frames_on_a_refused_stream_are_discarded(start_server: StartServer) -> None:
    async with start_server(config={"max_concurrent_streams": 1}) as server:
        first = await server.request()
        async with server.peer.batch():
            surplus = await server.receive_message(server.head(), end_stream=False)
            await server.peer.send_data(surplus, b"body")
            await server.peer.send_headers(surplus, {"x-new": "5" * 30}, end_stream=True)
        await server.peer.expect_rst(surplus, ErrorCode.REFUSED_STREAM)
        await server.peer.expect_nothing()
        await server.peer.send_headers(first, {"x-new": "5" * 30}, end_stream=True)
        trailers = await server.app(first).receive_trailers()
        assert trailers is not None
        assert trailers["x-new"] == "5" * 30


async def test_5_1_2_streams_that_do_not_open_do_not_count(start_server: StartServer) -> None:
    """Neither malformed requests nor PRIORITY on idle streams use up our limit."""
    async with start_server(config={"max_concurrent_streams": 1}) as server:
        for _ in range(3):
            stream_id = await server.receive_message([(":method", "GET")])
            await server.peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
            await server.peer.send_priority(1001)
        await server.still_works()


def test_5_1_2_a_client_takes_no_streams_of_the_server() -> None:
    """What a client would limit is push, which it switches off instead."""
    assert not hasattr(trio_h2.ClientConfig(), "max_concurrent_streams")


async def test_5_1_2_limits_are_each_side_s_own(end: End) -> None:
    """The limit of the peer's streams says nothing about ours."""
    await end.peer.send_settings({SettingCode.MAX_CONCURRENT_STREAMS: 2**32 - 1})
    await end.peer.pick(SettingsFrame, ack=True)
    await end.still_works()
