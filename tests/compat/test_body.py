"""The body of a request as a whole: bytes, text, JSON; what is too large or wrong."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from tests.compat.clients import every_version, served
from tests.stream.harness import scripted_client
from trio_h2 import ErrorCode, compat
from trio_h2.compat import HTTPError

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.compat.clients import App, Reply
    from trio_h2.compat import Request, Response


async def text(request: Request, response: Response) -> None:
    await response.send_text(await request.text())


async def as_json(request: Request, response: Response) -> None:
    await response.send_json(await request.json())


async def post(app: App, body: bytes, content_type: str | None = None, version: str = "2.0") -> Reply:
    """Returns what *app* answers to a body."""
    headers = {} if content_type is None else {"content-type": content_type}
    async with served(version, compat.request_handler(app)) as client:
        return await client.fetch("POST", headers=headers, body=body)


@every_version
async def test_reading_it_twice_gives_the_same(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        first = await request.read()
        with trio.testing.assert_checkpoints():
            assert await request.read() == first
        assert await request.text() == first.decode()
        assert await request.receive_some() == b""
        await response.end(first)

    assert (await post(app, b"body" * 1000, version=version)).body == b"body" * 1000


@every_version
async def test_what_was_taken_before_is_gone(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert await request.receive_some(3) == b"abc"
        assert await request.read() == b"def"
        await response.end()

    assert (await post(app, b"abcdef", version=version)).status == 200


async def test_a_cancelled_read_loses_nothing(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        for _ in range(2):
            with trio.move_on_after(1) as scope:
                await request.read()
            assert scope.cancelled_caught
        assert await request.receive_some(2) == b"on"
        with trio.testing.assert_checkpoints():
            assert await request.receive_some() == b"e, "
        await response.end(await request.read())

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.send_data(stream_id, b"one, ")
        await trio.sleep(5)
        await peer.send_data(stream_id, b"two", end_stream=True)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"two"


# -- limits ------------------------------------------------------------------------------------------------------------


@every_version
@pytest.mark.parametrize("size", [100, 101])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_has_a_limit(size: int, announced: bool, version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert request.max_body_size == 100
        await response.end(await request.read())

    async with served(version, compat.request_handler(app, max_body_size=100)) as client:
        trailers = None if announced else {"x": "y"}  # without content-length
        reply = await client.fetch("POST", body=b"x" * size, trailers=trailers)
    if size == 100:
        assert (reply.status, reply.body) == (200, b"x" * 100)
    else:
        assert (reply.status, reply.body) == (413, b"the body has more than 100 bytes\n")


@every_version
async def test_a_handler_may_have_a_limit_of_its_own(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        with pytest.raises(HTTPError, match="413 the body has more than 5 bytes"):
            await request.read(max_size=5)
        assert await request.read(max_size=6) == b"abcdef"
        await response.end()

    async with served(version, compat.request_handler(app, max_body_size=3)) as client:
        assert (await client.fetch("POST", body=b"abcdef")).status == 200


@every_version
async def test_a_limit_is_for_the_next_call_too(version: str) -> None:
    """What the call before has read counts."""

    async def app(request: Request, response: Response) -> None:
        for _ in range(2):
            with pytest.raises(HTTPError, match="413 the body has more than 3 bytes"):
                await request.read()
        assert await request.read(max_size=5) == b"abcde"
        await response.end()

    async with served(version, compat.request_handler(app, max_body_size=3)) as client:
        assert (await client.fetch("POST", body=b"abcde", trailers={"x": "y"})).status == 200


@every_version
async def test_pieces_have_no_limit(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.end(str(sum([len(chunk) async for chunk in request])))

    async with served(version, compat.request_handler(app, max_body_size=3)) as client:
        assert (await client.fetch("POST", body=bytes(100_000))).body == b"100000"


async def test_an_announced_body_is_refused_before_it_is_sent(autojump_clock: MockClock) -> None:
    """No 100 asks for it, and the rest of it is refused with the response (RFC 9113 §8.1)."""

    async def app(request: Request, response: Response) -> None:
        await request.read()

    async with scripted_client(compat.request_handler(app, max_body_size=1000)) as (_server, peer):
        stream_id = await peer.request(
            "POST", headers={"content-length": "1001", "expect": "100-continue"}, end_stream=False
        )
        await peer.expect_headers(stream_id, status=413)
        assert await peer.collect_body(stream_id) == b"the body has more than 1000 bytes\n"
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)


async def test_the_length_of_a_connect_means_nothing(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.end(await request.read())

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        fields = [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b"content-length", b"long")]
        stream_id = peer.next_stream_id()
        await peer.send_headers(stream_id, fields)
        await peer.send_data(stream_id, b"abc", end_stream=True)
        await peer.expect_headers(stream_id, status=200)


async def test_an_endless_body_is_refused_at_the_limit(autojump_clock: MockClock) -> None:
    received = 0

    async def app(request: Request, response: Response) -> None:
        nonlocal received
        try:
            await request.read(max_size=100_000)
        finally:
            received = len(await request.receive_some(10**6))

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        for _ in range(7):
            await peer.send_data(stream_id, bytes(16_000))
        await peer.expect_headers(stream_id, status=413)
        await peer.collect_body(stream_id)
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
    assert 100_000 < received <= 112_000


@pytest.mark.parametrize("quiet", [True, False])
async def test_some_more_is_read_before_a_body_is_refused(quiet: bool, autojump_clock: MockClock) -> None:
    """Clients that are busy sending would lose a response that RST_STREAM follows at once."""

    async def app(request: Request, response: Response) -> None:
        await response.send_text("no, thanks")

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"no, thanks"
        start = trio.current_time()
        if quiet:
            await peer.expect_nothing(0.9)
        else:
            sent = 0
            while sent < 256 * 1024:
                await peer.send_body(stream_id, bytes(16_000), end_stream=False)
                sent += 16_000
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
        assert trio.current_time() - start == pytest.approx(1.0 if quiet else 0.0, abs=0.05)


@pytest.mark.parametrize(("wrong", "error"), [(-1, ValueError), ("1", TypeError), (True, TypeError)])
async def test_a_wrong_limit(wrong: object, error: type[Exception]) -> None:
    async def app(request: Request, response: Response) -> None:
        with pytest.raises(error, match="max_size must"):
            await request.read(max_size=cast("int", wrong))
        await response.end()

    assert (await post(app, b"")).status == 200


# -- text --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("grüße".encode(), None, "grüße"),
        ("grüße".encode(), "text/plain", "grüße"),
        ("grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1", "grüße"),
        ("grüße".encode("latin-1"), 'text/plain; x=1; charset="latin1"', "grüße"),
        ("€".encode("cp1252"), "text/plain;charset=windows-1252", "€"),
        ("日本".encode("shift_jis"), "text/plain; charset=Shift_JIS", "日本"),
        ("grüße".encode("utf-16"), "text/plain; charset=utf-16", "grüße"),
        (b"\xef\xbb\xbfmarked", "text/plain; charset=utf-8", "marked"),
        (b"", None, ""),
    ],
)
@every_version
async def test_text(body: bytes, content_type: str | None, expected: str, version: str) -> None:
    reply = await post(text, body, content_type, version)
    assert (reply.status, reply.body.decode()) == (200, expected)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("charset", ["no-such", "base64", "zlib", "idna", "unicode_escape", "rot13", "a" * 5000])
async def test_an_unknown_charset_is_415(charset: str) -> None:
    reply = await post(text, b"abc", f"text/plain; charset={charset}")
    assert reply.status == 415
    assert b"is not known" in reply.body
    assert len(reply.body) < 200


@pytest.mark.parametrize("parameters", ["charset*=utf-8''%00", "charset*=a%00b''%ff"])
async def test_a_charset_that_is_none_at_all_is_415(parameters: str) -> None:
    reply = await post(text, b"abc", f"text/plain; {parameters}")
    assert (reply.status, b"is not known" in reply.body) == (415, True)


@pytest.mark.parametrize("opening", ["", 'charset="'])
async def test_a_content_type_that_takes_too_long_to_read_is_415(opening: str) -> None:
    """Within quotes, the time grew with the square of the semicolons: seconds, in which the server did nothing else."""
    start = time.process_time()
    reply = await post(text, b"abc", f"text/plain; {opening}{';' * 60_000}")
    assert time.process_time() - start < 1
    assert (reply.status, b"too many parameters" in reply.body) == (415, True)


@pytest.mark.parametrize(("body", "charset"), [(b"a\xff", "utf-8"), (b"\x81", "shift_jis"), (b"abc", "utf-16-le")])
async def test_text_in_another_charset_is_400(body: bytes, charset: str) -> None:
    reply = await post(text, body, f"text/plain; charset={charset}")
    assert reply.status == 400
    assert f"the body is not in the charset '{charset}': byte".encode() in reply.body


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "grüße"]}, [], "text", 17, None])
@every_version
async def test_json(value: object, version: str) -> None:
    reply = await post(as_json, json.dumps(value).encode(), "application/json", version)
    assert (reply.status, json.loads(reply.body)) == (200, value)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Expecting value in line 1, column 1"),
        (b'{"a":\n 1,}', "in line 2, column "),
        (b"nul", "Expecting value"),
        (b"1 2", "Extra data in line 1, column 3"),
        (b"NaN", "a number is not allowed"),
        (b"[-Infinity]", "a number is not allowed"),
        (b"9" * 5000, "a number is not allowed"),
        (b'"\xff"', "byte 1 is not in UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
    ],
)
async def test_what_is_not_json_is_400(body: bytes, reason: str) -> None:
    reply = await post(as_json, body)
    assert reply.status == 400
    assert reason in reply.body.decode()


@pytest.mark.parametrize("value", [float("nan"), object(), {"a": b"bytes"}])
async def test_what_json_cannot_say_raises(value: object) -> None:
    async def app(request: Request, response: Response) -> None:
        with pytest.raises((ValueError, TypeError)):
            await response.send_json(value)
        assert not response.get_headers()
        await response.end("said so")

    assert (await post(app, b"")).body == b"said so"
