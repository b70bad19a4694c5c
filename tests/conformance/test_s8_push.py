"""RFC 9113 §8.4: which requests can be promised, and what follows a promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.conformance.ends import PROMISED
from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import PushPromiseFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, Pairs, ServerEnd, StartServer

METHOD, SCHEME, AUTHORITY, PATH = PROMISED

UNSAFE: dict[str, Pairs] = {
    "post": [(":method", "POST"), SCHEME, AUTHORITY, PATH],
    "delete": [(":method", "DELETE"), SCHEME, AUTHORITY, PATH],
    "safe but not cacheable": [(":method", "OPTIONS"), SCHEME, AUTHORITY, PATH],
    "unknown": [(":method", "LOOK"), SCHEME, AUTHORITY, PATH],
    "connect": [(":method", "CONNECT"), (":authority", "example.test:80")],
}
INCOMPLETE: dict[str, Pairs] = {
    "no method": [SCHEME, AUTHORITY, PATH],
    "no scheme": [METHOD, AUTHORITY, PATH],
    "no authority": [METHOD, SCHEME, PATH],
    "no path": [METHOD, SCHEME, AUTHORITY],
    "empty path": [METHOD, SCHEME, AUTHORITY, (":path", "")],
    "status": [*PROMISED, (":status", "200")],
    "connection-specific": [*PROMISED, ("connection", "close")],
    "upper case": [*PROMISED, ("X-Name", "value")],
}
ELSEWHERE: dict[str, Pairs] = {
    "host": [METHOD, SCHEME, (":authority", "elsewhere.test"), PATH],
    "port": [METHOD, SCHEME, (":authority", "example.test:81"), PATH],
    "scheme": [METHOD, (":scheme", "https"), AUTHORITY, PATH],
}


@both_ways
@pytest.mark.parametrize("name", UNSAFE)
async def test_8_4_promised_requests_that_are_not_safe_and_cacheable_are_a_stream_error(
    taker: ClientEnd, name: str
) -> None:
    await taker.promised(2, UNSAFE[name])
    await taker.expect_stream_error(2, ErrorCode.PROTOCOL_ERROR)
    assert not taker.pushed


@pytest.mark.parametrize("length", ["1", "5000"])
async def test_8_4_promised_requests_with_content_are_a_stream_error(taker: ClientEnd, length: str) -> None:
    await taker.promised(2, [*PROMISED, ("content-length", length)])
    await taker.expect_stream_error(2, ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize("name", INCOMPLETE)
async def test_8_4_1_promised_requests_that_are_malformed_are_a_stream_error(taker: ClientEnd, name: str) -> None:
    await taker.promised(2, INCOMPLETE[name])
    await taker.expect_stream_error(2, ErrorCode.PROTOCOL_ERROR)
    assert not taker.pushed


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_8_4_promised_requests_for_other_servers_are_a_stream_error(taker: ClientEnd, name: str) -> None:
    await taker.promised(2, ELSEWHERE[name])
    await taker.expect_stream_error(2, ErrorCode.PROTOCOL_ERROR)


async def test_8_4_promised_requests_are_for_the_server_of_their_request(taker: ClientEnd) -> None:
    """One connection may carry requests for several: each promise is compared with the request it came on."""
    elsewhere: Pairs = [METHOD, SCHEME, (":authority", "elsewhere.test"), PATH]
    first = await taker.request("GET", end_stream=True)
    second = await taker.request("GET", headers={":authority": "elsewhere.test"}, end_stream=True)
    await taker.peer.send_push_promise(first, 2, elsewhere)
    await taker.peer.expect_rst(2, ErrorCode.PROTOCOL_ERROR)
    await taker.peer.send_push_promise(second, 4, elsewhere)
    await taker.expect_ignored()
    assert list(taker.pushed) == [4]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("others", [[], [("content-length", "0")], [("host", "example.test")]])
async def test_8_4_1_promised_requests_that_are_right_are_taken(
    taker: ClientEnd, method: str, others: list[tuple[str, str]]
) -> None:
    await taker.promised(2, [(":method", method), SCHEME, AUTHORITY, PATH, *others])
    await taker.peer.expect_nothing()
    assert (taker.pushed[2].method, taker.pushed[2].path) == (method, "/pushed")
    await taker.peer.send_headers(2, [(":status", "200"), ("content-length", "6")], end_stream=method == "HEAD")
    if method == "GET":
        await taker.peer.send_data(2, b"pushed", end_stream=True)
    assert (await taker.pushed[2].receive_response()).status == 200
    assert b"".join([chunk async for chunk in taker.pushed[2]]) == (b"pushed" if method == "GET" else b"")
    await taker.still_works()


async def test_8_4_2_pushed_responses_keep_the_rules_of_responses(taker: ClientEnd) -> None:
    """The same sequence of frames as in §8.1: malformed ones are a stream error of the pushed stream."""
    parent_id = await taker.promised(2)
    await taker.peer.send_headers(2, [(":status", "200"), ("content-length", "6")])
    await taker.peer.send_data(2, b"short", end_stream=True)
    await taker.peer.expect_rst(2, ErrorCode.PROTOCOL_ERROR)
    await taker.peer.send_push_promise(parent_id, 4, PROMISED)
    await taker.peer.send_headers(4, [("x-name", "value")])
    await taker.peer.expect_rst(4, ErrorCode.PROTOCOL_ERROR)
    await taker.peer.send_push_promise(parent_id, 6, PROMISED)
    await taker.peer.send_headers(6, [(":status", "103")], end_stream=True)
    await taker.expect_stream_error(6, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.REFUSED_STREAM])
async def test_8_4_2_our_client_refuses_what_it_does_not_want(taker: ClientEnd, code: ErrorCode) -> None:
    await taker.promised()
    taker.pushed[2].reset(code)
    await taker.expect_stream_error(2, code)


# ---- our server ----


WRONG: list[tuple[dict[str, str], str]] = [
    ({":method": "POST"}, "only GET and HEAD"),
    ({":method": "OPTIONS"}, "only GET and HEAD"),
    ({":method": "CONNECT", ":authority": "example.test:80"}, "only GET and HEAD"),
    ({"content-length": "5"}, "no content"),
    ({":path": ""}, ":path"),
    ({":authority": "user@example.test"}, ":authority"),
    ({"connection": "close"}, "connection"),
]


@pytest.mark.parametrize(("headers", "reason"), WRONG)
async def test_8_4_wrong_promises_are_not_sent(server: ServerEnd, headers: dict[str, str], reason: str) -> None:
    stream_id = await server.request()
    with pytest.raises(ValueError, match=reason):
        await server.app(stream_id).push(headers)
    await server.expect_ignored()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_8_4_1_promises_of_ours_are_complete_and_precede_their_response(server: ServerEnd, method: str) -> None:
    stream_id = await server.request()
    stream = await server.app(stream_id).push({":method": method, ":path": "/style.css", "accept": "text/css"})
    promise = await server.peer.expect(PushPromiseFrame, stream_id=stream_id, promised_stream_id=2)
    given = dict(promise.fields)
    assert given == {
        b":method": method.encode(),
        b":scheme": b"https",
        b":authority": b"localhost",
        b":path": b"/style.css",
        b"accept": b"text/css",
    }
    await stream.respond(200, body=b"pushed")
    await server.peer.expect_headers(2, status=200, end_stream=method == "HEAD")
    if method == "GET":
        await server.peer.expect_data(2, b"pushed", end_stream=True)
    await server.still_works()


async def test_8_4_1_pushes_of_ours_are_not_pushed_on(server: ServerEnd) -> None:
    """Promises are sent on streams of the client, and not after the end of the response."""
    stream_id = await server.request()
    stream = await server.app(stream_id).push()
    await server.peer.expect(PushPromiseFrame)
    with pytest.raises(trio_h2.LocalProtocolError):
        await stream.push()
    await stream.respond(200, body=b"")
    await server.app(stream_id).respond(200, body=b"")
    await server.peer.until(trio_h2.testing.HeadersFrame, stream_id=stream_id)
    with pytest.raises(trio_h2.LocalProtocolError):
        await server.app(stream_id).push()


async def test_8_4_2_a_limit_of_0_streams_keeps_responses_back_but_no_promises(start_server: StartServer) -> None:
    async with start_server(settings={SettingCode.MAX_CONCURRENT_STREAMS: 0}) as server:
        stream_id = await server.request()
        stream = await server.app(stream_id).push()
        await server.peer.expect(PushPromiseFrame, promised_stream_id=2)
        await server.peer.expect_nothing()
        stream.reset(ErrorCode.CANCEL)
        await server.peer.expect_rst(2, ErrorCode.CANCEL)
        await server.still_works()
