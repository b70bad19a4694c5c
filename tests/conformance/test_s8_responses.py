"""RFC 9113 §8.3.2 and §8.5 to §8.7: responses, CONNECT, no upgrade, and what may be retried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.conformance.ends import PROMISED, ClientEnd, ServerEnd
from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode
from trio_h2.testing import GoAwayFrame, RstStreamFrame

if TYPE_CHECKING:
    from tests.conformance.ends import End, Pairs, StartServer

CONNECT: Pairs = [(":method", "CONNECT"), (":authority", "target.test:443")]


# ---- §8.3.2 ----


@pytest.mark.parametrize("others", [[], [("x-some", "field")], [("status", "200")]], ids=str)
@pytest.mark.parametrize("end_stream", [False, True])
async def test_8_3_2_response_without_status_is_malformed(client: ClientEnd, others: Pairs, end_stream: bool) -> None:
    stream_id = await client.receive_message(others, end_stream=end_stream)
    await client.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_3_2_interim_response_without_status_is_malformed(client: ClientEnd) -> None:
    stream_id = await client.receive_message([(":status", "103")], end_stream=False)
    await client.peer.send_headers(stream_id, {"link": "</style.css>"})
    await client.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("status", ["", "2", "20", "2000", "+20", "abc", "20x", " 200", "099", "000", "1000", "٢٠٠"])
async def test_8_3_2_status_that_is_none_is_malformed(client: ClientEnd, status: str) -> None:
    stream_id = await client.receive_message([(":status", status.encode())])
    await client.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("status", [600, 999])
async def test_8_3_2_status_above_599_is_delivered(client: ClientEnd, status: int) -> None:
    """RFC 9110 §15: a client "SHOULD process the response as if it had a 5xx (Server Error) status code"."""
    stream_id = await client.receive_message([(":status", b"%d" % status), ("x-why", b"a library")])
    response = await client.app(stream_id).receive_response()
    assert (response.status, response["x-why"]) == (status, "a library")


@pytest.mark.parametrize("status", [200, 299, 404, 599, 999])
async def test_8_3_2_responses_of_ours_have_a_status(server: ServerEnd, status: int) -> None:
    stream_id = await server.request()
    await server.app(stream_id).respond(status, end_stream=True)
    head = await server.peer.expect_headers(stream_id, status=status, end_stream=True)
    assert head.fields[0] == (b":status", b"%d" % status)
    await server.expect_ignored()


@pytest.mark.parametrize("status", [0, 99, 100, 199, 1000])
async def test_8_3_2_wrong_status_is_not_sent(server: ServerEnd, status: int) -> None:
    stream_id = await server.request()
    with pytest.raises(ValueError, match="status"):
        await server.app(stream_id).respond(status)
    await server.expect_ignored()


# ---- §8.5: the request ----


@pytest.mark.parametrize("extra", [(":scheme", "https"), (":path", "/")], ids=str)
async def test_8_5_connect_with_scheme_or_path_is_malformed(server: ServerEnd, extra: tuple[str, str]) -> None:
    stream_id = await server.receive_message([*CONNECT, extra], end_stream=False)
    await server.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("authority", [None, "", "target.test", "target.test:", ":443", "user@target.test:443"])
async def test_8_5_connect_without_host_and_port_is_malformed(server: ServerEnd, authority: str | None) -> None:
    fields: Pairs = [(":method", "CONNECT")]
    if authority is not None:
        fields.append((":authority", authority))
    stream_id = await server.receive_message(fields, end_stream=False)
    await server.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_5_connect_is_received(server: ServerEnd) -> None:
    stream_id = await server.receive_message(CONNECT, end_stream=False)
    await server.peer.ping()
    await server.settle()
    assert stream_id in server.handled
    await server.expect_ignored()


async def test_8_5_connect_of_ours_has_method_and_authority_only(client: ClientEnd) -> None:
    await client.session.open_stream("CONNECT", headers={":authority": "target.test:443"}, end_stream=False)
    head = await client.peer.expect_headers(end_stream=False)
    assert head.fields == ((b":method", b"CONNECT"), (b":authority", b"target.test:443"))
    await client.expect_ignored()


@pytest.mark.parametrize(
    "headers",
    [
        {":authority": "target.test:443", ":scheme": "https"},
        {":authority": "target.test:443", ":path": "/"},
        {":authority": "target.test"},
        {},
    ],
    ids=str,
)
async def test_8_5_wrong_connect_is_not_sent(client: ClientEnd, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="CONNECT"):
        await client.session.open_stream("CONNECT", headers=headers, end_stream=False)
    await client.expect_ignored()


# ---- §8.5: the tunnel ----


async def _connected(end: End) -> int:
    """Returns a stream that is a tunnel: CONNECT was answered with 200."""
    if isinstance(end, ServerEnd):
        stream_id = await end.receive_message(CONNECT, end_stream=False)
        await end.settle()
        await end.app(stream_id).respond(200)
        await end.peer.expect_headers(stream_id, status=200, end_stream=False)
    else:
        assert isinstance(end, ClientEnd)
        stream_id = await end.request("CONNECT", headers={":authority": "target.test:443"})
        await end.peer.send_headers(stream_id, {":status": "200"})
        await end.settle()
    return stream_id


async def test_8_5_a_tunnel_carries_bytes_both_ways_and_their_ends(end: End) -> None:
    stream_id = await _connected(end)
    stream = end.app(stream_id)
    await stream.send_all(b"there")
    await end.peer.expect_data(stream_id, b"there", end_stream=False)
    await end.peer.send_data(stream_id, b"back", end_stream=True)
    await end.settle()
    await end.expect_body(stream_id, b"back")
    await stream.send_all(b"still open")
    await stream.send_eof()
    assert await end.peer.collect_body(stream_id) == b"still open"
    await end.expect_ignored()


async def test_8_5_content_length_does_not_bind_a_tunnel(client: ClientEnd) -> None:
    stream = client.app(await client.request("CONNECT", headers={":authority": "target.test:443"}))
    await client.peer.send_headers(stream.id, {":status": "200", "content-length": "1"})
    await client.peer.send_data(stream.id, b"more than one", end_stream=True)
    assert await stream.receive_some() == b"more than one"
    await client.expect_ignored()


@both_ways
@pytest.mark.parametrize("end_stream", [False, True])
@pytest.mark.parametrize("after_data", [False, True])
async def test_8_5_headers_in_a_tunnel_are_a_stream_error(end: End, after_data: bool, end_stream: bool) -> None:
    stream_id = await _connected(end)
    if after_data:
        await end.peer.send_data(stream_id, b"data")
    await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=end_stream)
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_5_housekeeping_in_a_tunnel_is_allowed(end: End) -> None:
    stream_id = await _connected(end)
    await end.peer.send_window_update(stream_id, 1000)
    await end.peer.send_priority(stream_id)
    await end.expect_ignored()


async def test_8_5_trailers_are_not_sent_in_a_tunnel(end: End) -> None:
    stream_id = await _connected(end)
    with pytest.raises(trio_h2.LocalProtocolError):
        await end.app(stream_id).send_trailers({"x-trailer": "yes"})
    await end.app(stream_id).send_all(b"not spoiled")
    await end.peer.expect_data(stream_id, b"not spoiled")
    await end.expect_ignored()


async def test_8_5_push_promise_in_a_tunnel_is_a_stream_error(taker: ClientEnd) -> None:
    """And nobody wants what was promised in it."""
    stream = await taker.session.open_stream("CONNECT", headers={":authority": "example.test:80"}, end_stream=False)
    await taker.peer.expect_headers(stream.id)
    await taker.peer.send_headers(stream.id, {":status": "200"})
    await taker.peer.send_push_promise(stream.id, 2, PROMISED)
    codes = {(await taker.peer.pick(RstStreamFrame)).stream_id: None for _ in range(2)}
    assert codes.keys() == {stream.id, 2}
    with pytest.raises(trio_h2.StreamResetError) as caught:
        await stream.receive_some()
    assert caught.value.code == ErrorCode.PROTOCOL_ERROR
    assert not taker.pushed
    await taker.still_works()


async def test_8_5_answer_that_refuses_a_tunnel_is_an_ordinary_message(client: ClientEnd) -> None:
    stream = client.app(await client.request("CONNECT", headers={":authority": "target.test:443"}))
    await client.peer.send_headers(stream.id, {":status": "403", "content-length": "2"})
    await client.peer.send_data(stream.id, b"no")
    await client.peer.send_headers(stream.id, {"x-trailer": "yes"}, end_stream=True)
    assert (await stream.receive_response()).status == 403
    assert await stream.receive_some() == b"no"
    trailers = await stream.receive_trailers()
    assert trailers is not None
    assert trailers["x-trailer"] == "yes"
    await client.expect_stream_error(stream.id, ErrorCode.NO_ERROR)  # our side of the tunnel leads nowhere


# ---- §8.6 ----


@pytest.mark.parametrize("end_stream", [False, True])
async def test_8_6_101_is_malformed(client: ClientEnd, end_stream: bool) -> None:
    stream_id = await client.receive_message([(":status", "101")], end_stream=end_stream)
    await client.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_6_101_is_not_sent(server: ServerEnd) -> None:
    stream_id = await server.request()
    with pytest.raises(ValueError, match="101"):
        await server.app(stream_id).send_informational(101)
    with pytest.raises(ValueError, match="101"):
        await server.app(stream_id).respond(101)
    await server.expect_ignored()


# ---- §8.7 ----


async def test_8_7_streams_that_a_handler_got_are_never_refused(server: ServerEnd) -> None:
    """A session that is cut says CANCEL, and its GOAWAY covers them."""
    streams = [await server.request() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.session.aclose, 0)
        resets = [await server.peer.until(RstStreamFrame) for _ in streams]
    assert {frame.stream_id: frame.code for frame in resets} == dict.fromkeys(streams, ErrorCode.CANCEL)
    while True:
        try:
            await server.peer.receive_frame()
        except AssertionError:
            break
    goaways = [frame for frame in server.peer.frames if isinstance(frame, GoAwayFrame)]
    assert min(frame.last_stream_id for frame in goaways) >= max(streams)


async def test_8_7_refused_streams_did_not_reach_a_handler(start_server: StartServer) -> None:
    async with start_server(config={"max_concurrent_streams": 1}) as server:
        first = await server.request()
        refused = await server.receive_message(server.head())
        await server.peer.expect_rst(refused, ErrorCode.REFUSED_STREAM)
        await server.settle()
        assert server.handled == [first]


async def test_8_7_streams_above_the_last_id_of_our_goaway_did_not_reach_a_handler(server: ServerEnd) -> None:
    first = await server.request()
    server.session.shutdown()
    await server.peer.expect_goaway(last_stream_id=2**31 - 1)
    await server.peer.expect_goaway(last_stream_id=first)
    await server.receive_message(server.head())
    await server.peer.expect_nothing()
    assert server.handled == [first]


async def test_8_7_only_what_was_not_processed_may_be_retried(client: ClientEnd) -> None:
    refused, cancelled = await client.request(), await client.request()
    await client.peer.send_rst(refused, ErrorCode.REFUSED_STREAM)
    await client.peer.send_rst(cancelled, ErrorCode.CANCEL)
    with pytest.raises(trio_h2.StreamRefusedError) as caught:
        await client.app(refused).receive_response()
    assert caught.value.retryable
    with pytest.raises(trio_h2.StreamResetError) as reset:
        await client.app(cancelled).receive_response()
    assert not reset.value.retryable
    await client.expect_ignored()
