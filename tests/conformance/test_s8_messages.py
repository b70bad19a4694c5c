"""RFC 9113 §8.1 and §8.1.1: of which frames a message consists, and its content-length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.conformance.feeds import both_ways, whole_only
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import DataFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd

PROTOCOL_ERROR = ErrorCode.PROTOCOL_ERROR


# ---- §8.1: trailers ----


@pytest.mark.parametrize("name", [":method", ":path", ":status", ":authority", ":trailer"])
async def test_8_1_pseudo_header_fields_in_trailers_are_malformed(end: End, name: str) -> None:
    stream_id = await end.open()
    await end.peer.send_data(stream_id, b"data")
    await end.peer.send_headers(stream_id, [(name, "200")], end_stream=True)
    await end.expect_stream_error(stream_id, PROTOCOL_ERROR)


@pytest.mark.parametrize("name", [":method", ":path", ":status", ":authority", ":trailer"])
async def test_8_1_our_trailers_have_no_pseudo_header_fields(end: End, name: str) -> None:
    stream_id = await end.send_message()
    with pytest.raises(ValueError, match="not allowed in trailers"):
        await end.app(stream_id).send_trailers({name: "200"})
    await end.app(stream_id).send_trailers({"x-trailer": "yes"})
    await end.peer.expect_headers(stream_id, end_stream=True)
    await end.expect_ignored()


@both_ways
@pytest.mark.parametrize("after_data", [False, True])
@pytest.mark.parametrize("trailers", [False, True])
async def test_8_1_second_headers_without_end_stream_are_malformed(end: End, trailers: bool, after_data: bool) -> None:
    stream_id = await end.open()
    if after_data:
        await end.peer.send_data(stream_id, b"data")
    await end.peer.send_headers(stream_id, [("x-trailer", "yes")] if trailers else end.head())
    await end.expect_stream_error(stream_id, PROTOCOL_ERROR)


async def test_8_1_trailers_without_content_and_without_fields_are_allowed(end: End) -> None:
    stream_id = await end.open()
    await end.peer.send_headers(stream_id, b"", end_stream=True)
    await end.settle()
    await end.expect_body(stream_id, b"")
    await end.expect_ignored()


async def test_8_1_trailers_of_ours_end_the_stream_even_without_fields(end: End) -> None:
    stream_id = await end.send_message()
    await end.app(stream_id).send_all(b"data")
    await end.peer.expect_data(stream_id, b"data")
    await end.app(stream_id).send_trailers({})
    frame = await end.peer.receive_frame()
    assert getattr(frame, "end_stream", False)
    await end.expect_ignored()


# ---- §8.1: interim responses ----


async def test_8_1_interim_response_with_end_stream_is_malformed(client: ClientEnd) -> None:
    stream_id = await client.request("GET", end_stream=True)
    await client.peer.send_headers(stream_id, {":status": "103"}, end_stream=True)
    await client.expect_stream_error(stream_id, PROTOCOL_ERROR)


async def test_8_1_any_number_of_interim_responses_is_allowed(client: ClientEnd) -> None:
    stream_id = await client.request("GET", end_stream=True)
    for status in ("100", "102", "103", "199", "103"):
        await client.peer.send_headers(stream_id, {":status": status, "x-number": status})
    await client.peer.send_headers(stream_id, {":status": "200"}, end_stream=True)
    stream = client.app(stream_id)
    assert (await stream.receive_response()).status == 200
    assert [headers.status for headers in stream.informational] == [100, 102, 103, 199, 103]
    await client.expect_ignored()


@pytest.mark.parametrize("status", ["100", "103", "200", "404"])
@pytest.mark.parametrize("end_stream", [False, True])
async def test_8_1_second_response_is_malformed(client: ClientEnd, status: str, end_stream: bool) -> None:
    stream_id = await client.open()
    await client.peer.send_headers(stream_id, {":status": status}, end_stream=end_stream)
    await client.expect_stream_error(stream_id, PROTOCOL_ERROR)


@pytest.mark.parametrize("interim", [False, True])
@pytest.mark.parametrize("data", [b"", b"data"])
async def test_8_1_content_before_the_final_response_is_malformed(
    client: ClientEnd, data: bytes, interim: bool
) -> None:
    stream_id = await client.request("GET", end_stream=True)
    if interim:
        await client.peer.send_headers(stream_id, {":status": "103"})
    await client.peer.send_data(stream_id, data, end_stream=True)
    await client.expect_stream_error(stream_id, PROTOCOL_ERROR)


@pytest.mark.parity("E1")
async def test_8_1_our_server_sends_interim_responses_without_end_stream_and_before_the_final_one(
    server: ServerEnd,
) -> None:
    stream_id = await server.request()
    stream = server.app(stream_id)
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.send_all(b"too early")
    for status in (100, 103):
        await stream.send_informational(status)
        await server.peer.expect_headers(stream_id, status=status, end_stream=False)
    await stream.respond(200)
    await server.peer.expect_headers(stream_id, status=200, end_stream=False)
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.send_informational(103)
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.respond(200)
    await server.expect_ignored()


# ---- §8.1: a response before the end of the request ----


async def test_8_1_response_is_not_discarded_when_no_more_of_the_request_is_wanted(client: ClientEnd) -> None:
    """RST_STREAM with NO_ERROR after the whole response: the rest of the upload is dropped in silence."""
    await client.peer.send_settings({SettingCode.INITIAL_WINDOW_SIZE: 10})
    await client.peer.ping()
    stream_id = await client.request()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.app(stream_id).send_all, bytes(100))
        await client.peer.until(DataFrame, stream_id=stream_id)
        async with client.peer.batch():
            await client.peer.respond(stream_id, headers={"x-answer": "yes"}, body=b"whole")
            await client.peer.send_rst(stream_id, ErrorCode.NO_ERROR)
    await client.settle()
    stream = client.app(stream_id)
    assert (await stream.receive_response())["x-answer"] == "yes"
    await client.expect_body(stream_id, b"whole")
    await stream.send_all(b"dropped")
    await client.peer.expect_nothing()


async def test_8_1_whole_response_is_kept_whatever_the_reset_says(client: ClientEnd) -> None:
    """Our choice for other codes: what was received whole is whole."""
    stream_id = await client.request()
    async with client.peer.batch():
        await client.peer.respond(stream_id, body=b"whole")
        await client.peer.send_rst(stream_id, ErrorCode.CANCEL)
    await client.settle()
    await client.expect_body(stream_id, b"whole")
    await client.expect_ignored()


async def test_8_1_our_server_asks_for_no_more_after_a_whole_response(server: ServerEnd) -> None:
    stream_id = await server.request()
    await server.app(stream_id).respond(200, body=b"enough")
    await server.release(stream_id)
    await server.peer.expect_headers(stream_id, status=200)
    await server.peer.expect_data(stream_id, b"enough", end_stream=True)
    await server.peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
    await server.expect_ignored()


# ---- §8.1.1: content-length ----


@pytest.mark.parity("J8", "K4")
@pytest.mark.parametrize(
    ("length", "pieces"),
    [
        pytest.param("5", [b"data"], id="short"),
        pytest.param("3", [b"data"], id="long"),
        pytest.param("5", [b"da", b"ta"], id="short-in-pieces"),
        pytest.param("4", [b"data", b"more"], id="long-in-pieces"),
        pytest.param("1", [b""], id="empty"),
        pytest.param("0", [b"data"], id="zero"),
    ],
)
@pytest.mark.parametrize("trailers", [False, True])
async def test_8_1_1_content_of_another_length_is_malformed(
    end: End, length: str, pieces: list[bytes], trailers: bool
) -> None:
    stream_id = await end.receive_message(end.head(("content-length", length)), end_stream=False)
    for number, piece in enumerate(pieces):
        await end.peer.send_data(stream_id, piece, end_stream=not trailers and number == len(pieces) - 1)
    if trailers:
        await end.peer.send_headers(stream_id, {"x-trailer": "yes"}, end_stream=True)
    await end.expect_stream_error(stream_id, PROTOCOL_ERROR)


async def test_8_1_1_content_that_is_too_long_is_malformed_before_it_ends(end: End) -> None:
    stream_id = await end.receive_message(end.head(("content-length", "3")), end_stream=False)
    await end.peer.send_data(stream_id, b"data")
    await end.expect_stream_error(stream_id, PROTOCOL_ERROR)


async def test_8_1_1_no_content_at_all_for_a_content_length_is_malformed(end: End) -> None:
    stream_id = await end.receive_message(end.head(("content-length", "4")), end_stream=True)
    await end.expect_stream_error(stream_id, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "values", [["-1"], ["+4"], ["4x"], [""], ["0x4"], ["4, 5"], ["4", "5"], ["4.0"], ["9" * 40]], ids=str
)
async def test_8_1_1_content_length_that_is_no_number_is_malformed(end: End, values: list[str]) -> None:
    fields = end.head(*[("content-length", value) for value in values])
    stream_id = await end.receive_message(fields, end_stream=False)
    await end.expect_stream_error(stream_id, PROTOCOL_ERROR)


@pytest.mark.parametrize("values", [["4"], ["4", "4"], ["0004"]], ids=str)
async def test_8_1_1_right_content_length_is_allowed(end: End, values: list[str]) -> None:
    fields = end.head(*[("content-length", value) for value in values])
    stream_id = await end.receive_message(fields, end_stream=False)
    await end.peer.send_data(stream_id, b"da")
    await end.peer.send_data(stream_id, b"ta", end_stream=True)
    await end.settle()
    await end.expect_body(stream_id, b"data")
    await end.expect_ignored()


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200"), ("HEAD", "404"), ("GET", "304")])
@pytest.mark.parametrize("empty_data", [False, True])
async def test_8_1_1_content_length_without_content_is_allowed_where_none_can_be(
    client: ClientEnd, method: str, status: str, empty_data: bool
) -> None:
    stream_id = await client.request(method, end_stream=True)
    head = {":status": status, "content-length": "1000"}
    await client.peer.send_headers(stream_id, head, end_stream=not empty_data)
    if empty_data:
        await client.peer.send_data(stream_id, b"", end_stream=True)
    assert (await client.app(stream_id).receive_response())["content-length"] == "1000"
    await client.expect_body(stream_id, b"")
    await client.expect_ignored()


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200"), ("GET", "204"), ("GET", "304")])
async def test_8_1_1_content_where_none_can_be_is_malformed(client: ClientEnd, method: str, status: str) -> None:
    stream_id = await client.request(method, end_stream=True)
    await client.peer.send_headers(stream_id, {":status": status})
    await client.peer.send_data(stream_id, b"data", end_stream=True)
    await client.expect_stream_error(stream_id, PROTOCOL_ERROR)


# ---- §8.1.1: what malformed messages lead to ----


async def test_8_1_1_malformed_request_does_not_reach_the_handler(server: ServerEnd) -> None:
    stream_id = await server.receive_message(server.head(("Upper", "case")), end_stream=False)
    await server.expect_stream_error(stream_id, PROTOCOL_ERROR)
    await server.peer.send_data(stream_id, b"body", end_stream=True)
    await server.expect_ignored()
    assert stream_id not in server.handled


async def test_8_1_1_malformed_response_is_not_accepted(client: ClientEnd) -> None:
    stream_id = await client.receive_message(client.head(("Upper", "case")))
    await client.expect_stream_error(stream_id, PROTOCOL_ERROR)
    with pytest.raises(trio_h2.StreamResetError) as caught:
        await client.app(stream_id).receive_response()
    assert caught.value.initiator is trio_h2.Initiator.LIBRARY
    assert not caught.value.retryable


async def test_8_1_1_message_that_turns_out_malformed_has_no_end(end: End) -> None:
    """What came before may have been handed out; the end never is."""
    stream_id = await end.receive_message(end.head(("content-length", "9")), end_stream=False)
    await end.peer.send_data(stream_id, b"data", end_stream=True)
    await end.expect_stream_error(stream_id, PROTOCOL_ERROR)
    with pytest.raises(trio_h2.StreamResetError):
        while await end.app(stream_id).receive_some():
            pass


@pytest.mark.parity("J8")
@whole_only
async def test_8_1_1_our_content_has_the_length_that_we_announced(end: End) -> None:
    stream_id = await end.send_message({"content-length": "10"})
    stream = end.app(stream_id)
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.send_all(bytes(11))
    await stream.send_all(bytes(9))
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.send_eof()
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.send_trailers({"x-trailer": "yes"})
    await stream.send_all(b"\x00")
    await stream.send_eof()
    assert await end.peer.collect_body(stream_id) == bytes(10)
    await end.expect_ignored()


async def test_8_1_1_content_of_ours_that_stays_short_is_never_ended(end: End) -> None:
    stream_id = await end.send_message({"content-length": "10"})
    await end.app(stream_id).send_all(b"short")
    await end.app(stream_id).aclose()
    await end.peer.expect_data(stream_id, b"short", end_stream=False)
    await end.peer.expect_rst(stream_id, ErrorCode.CANCEL)
    await end.expect_ignored()
