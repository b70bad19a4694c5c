"""RFC 9113 §8.2: names and values of fields, received and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, ServerEnd

WRONG_IN_NAMES = [*range(0x21), *range(0x41, 0x5B), *range(0x7F, 0x100), 0x3A]
SOME_WRONG_IN_NAMES = [0x00, 0x0A, 0x0D, 0x20, 0x3A, 0x41, 0x5A, 0x7F, 0x80, 0xFF]
WRONG_VALUES = {
    "nul": b"a\x00b",
    "lf": b"a\nb",
    "cr": b"a\rb",
    "nul-first": b"\x00a",
    "lf-last": b"a\n",
    "crlf": b"a\r\nset-cookie: evil",
    "space-first": b" a",
    "space-last": b"a ",
    "tab-first": b"\ta",
    "tab-last": b"a\t",
    "only-space": b" ",
}
CONNECTION_SPECIFIC = ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]


async def _receive_trailers(end: End, field: tuple[str | bytes, str | bytes]) -> int:
    stream_id = await end.open()
    await end.peer.send_headers(stream_id, [field], end_stream=True)
    return stream_id


# ---- §8.2 ----


async def test_8_2_names_we_send_are_lower_case(end: End) -> None:
    stream_id = await end.send_message({"X-Mixed-Case": "Value Stays", "CONTENT-TYPE": "text/plain"})
    head = end.peer.frames[-1]
    fields = dict(getattr(head, "fields", ()))
    assert fields[b"x-mixed-case"] == b"Value Stays"
    assert fields[b"content-type"] == b"text/plain"
    await end.app(stream_id).send_trailers({"X-Trailer": "Yes"})
    trailers = await end.peer.expect_headers(stream_id, end_stream=True)
    assert trailers.fields == ((b"x-trailer", b"Yes"),)
    await end.expect_ignored()


# ---- §8.2.1: received ----


async def test_8_2_1_every_prohibited_character_in_a_name_is_malformed(end: End) -> None:
    """All of 0x00-0x20, 0x41-0x5a, 0x7f-0xff, and the colon; at the end of a name, where it is no pseudo-header."""
    for octet in WRONG_IN_NAMES:
        stream_id = await end.receive_message(end.head((b"x-name" + bytes([octet]), b"value")))
        await end.peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
    await end.still_works()


@pytest.mark.parametrize("octet", SOME_WRONG_IN_NAMES, ids=hex)
@pytest.mark.parametrize("template", [b"%cname", b"na%cme"])
async def test_8_2_1_prohibited_character_anywhere_in_a_name_is_malformed(
    end: End, template: bytes, octet: int
) -> None:
    stream_id = await end.receive_message(end.head((template % octet, b"value")))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_2_1_empty_name_is_malformed(end: End) -> None:
    stream_id = await end.receive_message(end.head((b"", b"value")))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("octet", SOME_WRONG_IN_NAMES, ids=hex)
async def test_8_2_1_prohibited_character_in_a_name_of_trailers_is_malformed(end: End, octet: int) -> None:
    stream_id = await _receive_trailers(end, (b"na%cme" % octet, b"value"))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parity("J5")
@pytest.mark.parametrize("value", WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
async def test_8_2_1_prohibited_character_in_a_value_is_malformed(end: End, value: bytes) -> None:
    stream_id = await end.receive_message(end.head((b"x-name", value)))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("value", WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
async def test_8_2_1_prohibited_character_in_a_value_of_trailers_is_malformed(end: End, value: bytes) -> None:
    stream_id = await _receive_trailers(end, (b"x-name", value))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", [b"content-type", b"cookie", b"content-length", b"te"])
async def test_8_2_1_prohibited_character_in_a_known_field_is_malformed(end: End, name: bytes) -> None:
    for value in (b"1\n", b" 1", b"1\x00"):
        stream_id = await end.receive_message(end.head((name, value)), end_stream=False)
        await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_2_1_prohibited_character_in_an_interim_response_is_malformed(client: ClientEnd) -> None:
    stream_id = await client.receive_message([(":status", "103"), (b"link", b"a\nb")], end_stream=False)
    await client.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_2_1_every_allowed_character_is_received(end: End) -> None:
    name = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
    value = bytes([*range(0x21, 0x7F), 0x20, 0x09, *range(0x80, 0x100)])
    stream_id = await end.receive_message(end.head((name, value), ("x-empty", "")))
    await end.settle()
    await end.expect_body(stream_id, b"")
    stream = end.app(stream_id)
    if isinstance(stream, trio_h2.ServerStream):
        headers = stream.headers
    else:
        assert isinstance(stream, trio_h2.ClientStream)
        headers = await stream.receive_response()
    assert (name, value) in headers.raw
    assert (b"x-empty", b"") in headers.raw
    await end.expect_ignored()


# ---- §8.2.1: sent ----


@pytest.mark.parity("J5")
@pytest.mark.parametrize("octet", sorted({*SOME_WRONG_IN_NAMES} - {*b"AZ"}), ids=hex)
async def test_8_2_1_prohibited_character_in_a_name_is_not_sent(end: End, octet: int) -> None:
    """Upper case is allowed here: it comes out in lower case."""
    name = f"na{chr(octet)}me"
    with pytest.raises(ValueError, match="not allowed"):
        await end.send_message({name: "value"})
    stream_id = await end.open()
    with pytest.raises(ValueError, match="not allowed"):
        await end.app(stream_id).send_trailers({name: "value"})
    await end.expect_ignored()


@pytest.mark.parametrize("value", WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
async def test_8_2_1_prohibited_character_in_a_value_is_not_sent(end: End, value: bytes) -> None:
    text = value.decode("latin-1")
    with pytest.raises(ValueError, match="not allowed"):
        await end.send_message({"x-name": text})
    stream_id = await end.open()
    with pytest.raises(ValueError, match="not allowed"):
        await end.app(stream_id).send_trailers({"x-name": text})
    await end.expect_ignored()


# ---- §8.2.2 ----


@pytest.mark.parity("J7")
@both_ways
@pytest.mark.parametrize("name", CONNECTION_SPECIFIC)
async def test_8_2_2_connection_specific_fields_are_malformed(end: End, name: str) -> None:
    stream_id = await end.receive_message(end.head((name, "chunked")), end_stream=False)
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", CONNECTION_SPECIFIC)
async def test_8_2_2_connection_specific_fields_in_trailers_are_malformed(end: End, name: str) -> None:
    stream_id = await _receive_trailers(end, (name, "chunked"))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", CONNECTION_SPECIFIC)
async def test_8_2_2_connection_specific_fields_in_an_interim_response_are_malformed(
    client: ClientEnd, name: str
) -> None:
    stream_id = await client.receive_message([(":status", "103"), (name, "close")], end_stream=False)
    await client.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parity("J7")
@pytest.mark.parametrize("name", [*CONNECTION_SPECIFIC, "Connection", "Transfer-Encoding"])
async def test_8_2_2_connection_specific_fields_are_not_sent(end: End, name: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        await end.send_message({name: "close"})
    stream_id = await end.open()
    with pytest.raises(ValueError, match="not allowed"):
        await end.app(stream_id).send_trailers({name: "close"})
    await end.expect_ignored()


@pytest.mark.parametrize("name", CONNECTION_SPECIFIC)
async def test_8_2_2_connection_specific_fields_are_not_sent_in_interim_responses(server: ServerEnd, name: str) -> None:
    stream_id = await server.request()
    with pytest.raises(ValueError, match="not allowed"):
        await server.app(stream_id).send_informational(103, {name: "close"})
    await server.expect_ignored()


@pytest.mark.parametrize("value", ["gzip", "trailers, gzip", "trailers;q=0.5", ""])
async def test_8_2_2_te_other_than_trailers_is_malformed(end: End, value: str) -> None:
    stream_id = await end.receive_message(end.head(("te", value)))
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("value", ["trailers", "Trailers"])
async def test_8_2_2_te_trailers_is_allowed_in_a_request(server: ServerEnd, value: str) -> None:
    stream_id = await server.receive_message(server.head(("te", value)))
    await server.settle()
    assert server.app(stream_id).headers["te"] == value
    await server.expect_ignored()


@pytest.mark.parity("J7")
async def test_8_2_2_te_other_than_trailers_is_not_sent(end: End) -> None:
    with pytest.raises(ValueError, match="te"):
        await end.send_message({"te": "gzip"})
    await end.expect_ignored()


# ---- §8.2.3 ----


async def test_8_2_3_cookies_are_joined_for_the_application(server: ServerEnd) -> None:
    stream_id = await server.receive_message(server.head(("cookie", "a=b"), ("x-y", "z"), ("cookie", "c=d; e=f")))
    await server.settle()
    assert server.app(stream_id).headers["cookie"] == "a=b; c=d; e=f"
    await server.expect_ignored()
