"""A whole body on a stream: `read`, `text`, `json`, on both roles and over both HTTP versions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import every_version, served
from tests.stream.harness import pair, scripted_client, scripted_server
from trio_h2 import BodyDecodeError, BodyTooLargeError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.compat.clients import Reply, StreamHandler
    from trio_h2 import JSONValue, ServerExchange, ServerStream

MIB = 1024 * 1024


async def post(
    handler: StreamHandler,
    body: bytes,
    version: str = "2.0",
    content_type: str = "text/plain",
    method: str = "POST",
    *,
    raise_handler_errors: bool = True,
) -> Reply:
    """Returns what *handler* answers to a body."""
    async with served(version, handler, raise_handler_errors=raise_handler_errors) as client:
        return await client.fetch(method, headers={"content-type": content_type}, body=body)


async def echo(stream: ServerExchange) -> None:
    await stream.respond(body=await stream.read())


async def echo_text(stream: ServerExchange) -> None:
    await stream.respond(body=(await stream.text()).encode())


async def echo_json(stream: ServerExchange) -> None:
    await stream.respond(body=repr(await stream.json()).encode())


# -- servers -------------------------------------------------------------------------------------------------------


@every_version
async def test_a_handler_reads_the_whole_body(version: str) -> None:
    body = bytes(range(256)) * 1000
    assert (await post(echo, body, version)).body == body


@every_version
async def test_no_body_is_empty(version: str) -> None:
    assert (await post(echo, b"", version)).body == b""


@every_version
async def test_a_second_call_gives_the_same(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        first = await stream.read()
        with trio.testing.assert_checkpoints():
            assert await stream.read(max_size=0) is first
        assert await stream.json() == [1]
        assert await stream.receive_some() == b""
        await stream.respond(body=first)

    assert (await post(handler, b"[1]", version)).body == b"[1]"


@every_version
async def test_what_was_taken_before_is_gone(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        assert await stream.receive_some(3) == b"abc"
        await stream.respond(body=await stream.read())

    assert (await post(handler, b"abcdef", version)).body == b"def"


@every_version
@pytest.mark.parametrize(
    ("read", "body", "content_type", "status", "reason"),
    [
        (echo, bytes(MIB + 1), "text/plain", 413, "the body has more than 1048576 bytes"),
        (echo_text, b"\xff", "text/plain", 400, "the body is not in the charset 'utf-8': byte 0 is wrong"),
        (echo_text, b"a", "text/plain; charset=rot13", 415, "the charset 'rot13' of the body is not known"),
        (echo_text, b"a", "text/plain" + ";a=b" * 70, 415, "the content-type of the body has too many parameters"),
        (
            echo_json,
            b"{",
            "a/b",
            400,
            "the body is not JSON: Expecting property name enclosed in double quotes in line 1, column 2",
        ),
        (echo_json, b"\xff\xfe\xff", "a/b", 400, "the body is not JSON: byte 2 is not in UTF-8"),
        (echo_json, b"[" * 100_000, "a/b", 400, "the body is JSON that is nested too deep"),
        (echo_json, b"NaN", "a/b", 400, "the body is not JSON: a number is not allowed"),
        (echo_json, b"", "a/b", 400, "the body is not JSON: Expecting value in line 1, column 1"),
    ],
)
async def test_what_nobody_catches_is_answered(
    version: str,
    read: StreamHandler,
    body: bytes,
    content_type: str,
    status: int,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply = await post(read, body, version, content_type)
    assert reply.status == status
    assert reply.body.decode() == f"{reason}\n"  # a line: a shell's prompt comes below it
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert "date" in reply.headers
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@every_version
async def test_in_a_group_it_is_answered_as_well(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo_json, stream)

    assert (await post(handler, b"no", version)).status == 400


@every_version
async def test_the_limit_can_be_raised(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        await stream.respond(body=str(len(await stream.read(max_size=2 * MIB))).encode())

    assert (await post(handler, bytes(2 * MIB), version)).body == str(2 * MIB).encode()


@every_version
async def test_a_body_of_just_the_limit_is_not_too_large(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        await stream.respond(body=await stream.read(max_size=5))

    assert (await post(handler, b"abcde", version)).body == b"abcde"
    assert (await post(handler, b"abcdef", version)).status == 413


@every_version
async def test_what_was_too_large_is_not_lost(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        with pytest.raises(BodyTooLargeError, match="max_size=") as caught:
            await stream.read(max_size=3)
        error = caught.value
        assert (error.limit, error.status, error.stream_id) == (3, 413, stream.id)
        assert error.stream is stream
        assert error.session is stream.session
        await stream.respond(body=await stream.read())

    assert (await post(handler, b"abcdef", version)).body == b"abcdef"


@every_version
async def test_the_mistake_of_another_peer_is_not_the_clients(version: str, caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that gets nonsense from behind does not tell its client that the request was bad."""

    async def behind(stream: ServerStream) -> None:
        await stream.respond(body=b"nonsense")

    async def gateway(stream: ServerExchange) -> None:
        async with pair(behind) as (client, _), client.request() as request:
            await stream.respond(body=repr(await request.json()).encode())

    assert (await post(gateway, b"", version, raise_handler_errors=False)).status == 500
    assert any("raised" in record.getMessage() for record in caplog.records)


@every_version
async def test_after_the_headers_the_response_is_cut(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        await stream.respond()
        await stream.json()

    with pytest.raises((trio_h2.StreamResetError, ExceptionGroup)):  # h11's client has a nursery
        await post(handler, b"no", version)


@every_version
async def test_in_answer_to_head_the_reason_is_left_out(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        await stream.json()

    reply = await post(handler, b"no", version, method="HEAD")
    assert (reply.status, reply.body) == (400, b"")
    assert int(reply.headers["content-length"]) > 0


@every_version
async def test_the_encoding_overrides_the_charset(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        assert await stream.text(encoding="cp437") == "ç"
        assert await stream.text() == "\x87"
        with pytest.raises(BodyDecodeError, match="'utf-8'"):
            await stream.text(encoding="UTF8")
        await stream.respond()

    assert (await post(handler, b"\x87", version, "text/plain; charset=latin-1")).status == 200


async def test_a_byte_order_mark_is_no_text() -> None:
    async def handler(stream: ServerExchange) -> None:
        assert await stream.text() == await stream.text(encoding="utf-8") == "a"
        await stream.respond()

    assert (await post(handler, b"\xef\xbb\xbfa")).status == 200


async def test_wrong_arguments() -> None:
    async def handler(stream: ServerExchange) -> None:
        with pytest.raises(ValueError, match="max_size must not be negative, not -1"):
            await stream.read(max_size=-1)
        with pytest.raises(TypeError, match=r"max_size must be an int, not 1\.5"):
            await stream.json(max_size=1.5)  # type: ignore[arg-type]
        for wrong in ("klingon", "hex"):
            with pytest.raises(ValueError, match=f"encoding must be a codec for text .* not '{wrong}'"):
                await stream.text(encoding=wrong)
        with pytest.raises(TypeError, match="encoding must be a str or None, not b'utf-8'"):
            await stream.text(encoding=b"utf-8")  # type: ignore[arg-type]
        await stream.respond(body=await stream.read())

    assert (await post(handler, b"all there")).body == b"all there"


async def test_byte_by_byte_with_cancellation(autojump_clock: trio.testing.MockClock) -> None:
    async def handler(stream: ServerStream) -> None:
        for _ in range(3):
            with trio.move_on_after(2.5) as scope:
                await stream.read()
            assert scope.cancelled_caught
        with trio.testing.assert_checkpoints():
            assert await stream.receive_some(2) == b"01"
        assert await stream.receive_some() == b"234567"
        await stream.respond(body=await stream.read())

    async with scripted_client(handler) as (_, peer):
        stream_id = await peer.request("POST", end_stream=False)
        for digit in b"0123456789":
            await peer.send_data(stream_id, bytes([digit]))
            await trio.sleep(1)
        await peer.send_data(stream_id, end_stream=True)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"89"


async def test_an_announced_body_is_refused_before_it_is_sent(autojump_clock: trio.testing.MockClock) -> None:
    """No 100 asks for it."""

    async def handler(stream: ServerStream) -> None:
        await stream.read(max_size=1000)

    async with scripted_client(handler) as (_, peer):
        headers = {"content-length": "1001", "expect": "100-continue"}
        stream_id = await peer.request("POST", headers=headers, end_stream=False)
        await peer.expect_headers(stream_id, status=413)
        assert await peer.collect_body(stream_id) == b"the body has more than 1000 bytes\n"
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)


async def test_100_asks_for_the_body(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_client(echo) as (_, peer):
        stream_id = await peer.request("POST", headers={"expect": "100-continue"}, end_stream=False)
        await peer.expect_headers(stream_id, status=100)
        await peer.send_data(stream_id, b"abc", end_stream=True)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"abc"


async def test_a_reset_ends_the_wait(autojump_clock: trio.testing.MockClock) -> None:
    caught: list[BaseException] = []

    async def handler(stream: ServerStream) -> None:
        try:
            await stream.read()
        except trio_h2.StreamResetError as exc:
            caught.append(exc)
            raise

    async with scripted_client(handler, cancel_handler_on_reset=False) as (_, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.send_data(stream_id, b"abc")
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
    assert len(caught) == 1


async def test_one_task_at_a_time(autojump_clock: trio.testing.MockClock) -> None:
    async def handler(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.read)
            await trio.sleep(1)
            for receive in (stream.receive_some, stream.read, stream.json, stream.receive_trailers):
                with pytest.raises(trio.BusyResourceError):
                    await receive()
        await stream.respond(body=await stream.read())

    async with scripted_client(handler) as (_, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.send_data(stream_id, b"abc")
        await trio.sleep(2)
        await peer.send_data(stream_id, b"def", end_stream=True)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"abcdef"


@every_version
async def test_trailers_discard_what_is_left(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        with pytest.raises(BodyTooLargeError):
            await stream.read(max_size=1)
        trailers = await stream.receive_trailers()
        assert trailers is not None
        assert await stream.read() == b""
        await stream.respond(body=trailers["x-sum"].encode())

    async with served(version, handler) as client:
        reply = await client.fetch("POST", body=b"abc", trailers={"x-sum": "3"})
    assert reply.body == b"3"


async def test_the_length_of_a_connect_means_nothing() -> None:
    async with scripted_client(echo) as (_, peer):
        fields = [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b"content-length", b"long")]
        stream_id = peer.next_stream_id()
        await peer.send_headers(stream_id, fields)
        await peer.send_data(stream_id, b"abc", end_stream=True)
        await peer.expect_headers(stream_id, status=200)


# -- clients -------------------------------------------------------------------------------------------------------


async def asked(
    response: dict[str, str],
    body: bytes,
    read: Callable[[trio_h2.ClientStream], Awaitable[object]],
    method: str = "GET",
) -> object:
    """Returns what *read* says of a response of a scripted server."""
    async with scripted_server() as (session, peer), session.request(method) as stream:
        frame = await peer.expect_headers()
        await peer.send_headers(frame.stream_id, {":status": "200", **response})
        await peer.send_data(frame.stream_id, body, end_stream=True)
        try:
            return await read(stream)
        except trio_h2.BodyError as exc:
            return exc


async def read(stream: trio_h2.ClientStream) -> bytes:
    return await stream.read()


async def text(stream: trio_h2.ClientStream) -> str:
    return await stream.text()


async def as_json(stream: trio_h2.ClientStream) -> JSONValue:
    return await stream.json()


async def test_a_client_reads_the_whole_response() -> None:
    assert await asked({}, b"abc", read) == b"abc"
    assert await asked({"content-type": "text/html; charset=latin-1"}, b"\xe4", text) == "ä"
    assert await asked({}, b'{"a": [1, null]}', as_json) == {"a": [1, None]}


async def test_what_is_wrong_with_it_is_told() -> None:
    error = await asked({}, b"{", as_json)
    assert isinstance(error, BodyDecodeError)
    assert str(error).startswith("the body is not JSON: Expecting property name")
    error = await asked({"content-length": str(MIB + 1)}, bytes(10), read)
    assert isinstance(error, BodyTooLargeError)
    assert str(error) == f"the body has more than {MIB} bytes; max_size= lets it have more (stream 1)"


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200"), ("GET", "304"), ("CONNECT", "200")])
async def test_a_length_that_is_not_that_of_the_body(method: str, status: str) -> None:
    length = {":status": status, "content-length": str(10 * MIB)}
    headers = {":authority": "a:1"} if method == "CONNECT" else None
    async with scripted_server() as (session, peer):
        request = session.request(method, headers=headers, end_stream=method != "CONNECT")
        async with request as stream:
            frame = await peer.expect_headers()
            await peer.send_headers(frame.stream_id, length)
            await peer.send_data(frame.stream_id, b"", end_stream=True)
            assert await stream.read() == b""


async def test_the_announced_length_is_looked_at_before_the_body() -> None:
    async with scripted_server() as (session, peer), session.request() as stream:
        frame = await peer.expect_headers()
        await peer.send_headers(frame.stream_id, {":status": "200", "content-length": "4"})
        with pytest.raises(BodyTooLargeError):
            await stream.read(max_size=3)
        await peer.send_data(frame.stream_id, b"abcd", end_stream=True)
        assert await stream.read() == b"abcd"
        assert stream.closed
    assert await stream.read() == b"abcd"  # it stays when the stream is gone


async def test_a_pushed_response_as_a_whole() -> None:
    async def handler(stream: ServerStream) -> None:
        async with await stream.push({":path": "/data"}) as pushed:
            await pushed.respond(body=b"[1, 2]")
        await stream.respond(body=b"done")

    found: list[JSONValue] = []

    async def take(pushed: trio_h2.PushedStream) -> None:
        found.append(await pushed.json())

    async with pair(handler, push_handler=take) as (client, _), client.request() as stream:
        assert await stream.text() == "done"
        await trio.testing.wait_all_tasks_blocked()
    assert found == [[1, 2]]


async def test_no_response_no_body() -> None:
    async with scripted_server() as (session, peer), session.request() as stream:
        frame = await peer.expect_headers()
        await peer.send_rst(frame.stream_id, ErrorCode.REFUSED_STREAM)
        with pytest.raises(trio_h2.StreamRefusedError):
            await stream.json()
