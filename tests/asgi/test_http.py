"""A request and its response, over both versions of HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import h11
import pytest
import trio
import trio.testing

import trio_h2
from tests.asgi.apps import body, plain, read_all, served, start
from tests.compat.clients import every_version
from tests.http1.client import serving
from trio_h2 import asgi

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.asgi.apps import App, Receive, Scope, Send

MIB = 1024 * 1024


@every_version
async def test_a_whole_response(version: str) -> None:
    async with served(version, asgi.handler(plain)) as client:
        reply = await client.fetch()
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["content-length"] == "5"  # it was told in one piece


@every_version
async def test_a_body_in_pieces(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(201, (b"x", b"1"), (b"X", b"2")))
        await send(body(b"one ", more=True))
        await send(body(b"", more=True))
        await send(body(b"two", more=True))
        await send(body())

    async with served(version, asgi.handler(app)) as client:
        reply = await client.fetch()
        assert (reply.status, reply.body, reply.headers["x"]) == (201, b"one two", "1, 2")
        assert "content-length" not in reply.headers


@every_version
async def test_nothing_is_sent_before_the_body(version: str, complaints: pytest.LogCaptureFixture) -> None:
    """ASGI: "The protocol server must not start sending the response to the client until […]"."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200))
        raise ValueError("in between")

    async with served(version, asgi.handler(app), raise_handler_errors=False) as client:
        assert (await client.fetch()).status == 500


@every_version
@pytest.mark.parametrize("pieces", [1, 3])
async def test_an_answer_to_head_has_no_body(version: str, pieces: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"%d" % (5 * pieces))))
        for left in reversed(range(pieces)):
            await send(body(b"hello", more=left > 0))

    async with served(version, asgi.handler(app)) as client:
        reply = await client.fetch("HEAD")
        assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", str(5 * pieces))
        assert (await client.fetch()).body == b"hello" * pieces


@every_version
async def test_an_answer_to_head_claims_no_length(version: str) -> None:
    """An application that sends no body to HEAD has not said how long that of GET is."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200))
        await send(body())

    async with served(version, asgi.handler(app)) as client:
        assert "content-length" not in (await client.fetch("HEAD")).headers


@every_version
@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_content(version: str, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(status, (b"content-length", b"0"), (b"connection", b"close"), (b"x", b"y")))
        await send(body())

    async with served(version, asgi.handler(app)) as client:
        reply = await client.fetch()
        assert (reply.status, reply.body, reply.headers["x"]) == (status, b"", "y")


@every_version
@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_body_where_there_is_none_is_left_out(version: str, status: int, pieces: int) -> None:
    """RFC 9110 §15.3.5: a 204 "cannot contain content or trailers"."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(status, (b"content-length", b"4"), (b"x", b"y"), trailers=True))
        for more in range(pieces - 1, -1, -1):
            await send(body(b"null", more=bool(more)))
        assert (await receive())["type"] == "http.disconnect"

    async with served(version, asgi.handler(app)) as client:
        for _ in range(2):
            reply = await client.fetch()
            assert (reply.status, reply.body, reply.headers["x"]) == (status, b"", "y")


@every_version
async def test_what_is_about_the_connection_is_left_out(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"Transfer-Encoding", b"chunked"), (b"keep-alive", b"timeout=5"), (b"X", b"y")))
        await send(body(b"hello"))

    async with served(version, asgi.handler(app)) as client:
        reply = await client.fetch()
        assert (reply.body, reply.headers["x"]) == (b"hello", "y")
        assert "keep-alive" not in reply.headers


# -- the request -------------------------------------------------------------------------------------------------------


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it got, piece by piece."""
    await send(start(200))
    more = True
    while more:
        message = await receive()
        more = bool(message["more_body"])
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


@every_version
async def test_a_body_is_received(version: str) -> None:
    async with served(version, asgi.handler(echo)) as client:
        assert (await client.fetch("POST", body=b"some words")).body == b"some words"


@every_version
async def test_a_request_without_body_is_one_message(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await read_all(receive) == [(b"", False)]
        await plain(scope, receive, send)

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).status == 200


@every_version
async def test_a_small_body_is_one_message(version: str, autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.testing.wait_all_tasks_blocked()
        assert await read_all(receive) == [(b"some words", False)]
        await plain(scope, receive, send)

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch("POST", body=b"some words")).status == 200


async def test_a_large_body_waits_for_the_application() -> None:
    """The client gets credit for what the application has received, and for no more."""
    received = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal received
        await go_on.wait()
        received = sum(len(data) for data, _ in await read_all(receive))
        await plain(scope, receive, send)

    go_on = trio.Event()
    async with trio_h2.open_server(asgi.handler(app)) as server, trio_h2.connect(server.url) as session:
        async with session.request("POST", end_stream=False) as stream:
            with trio.move_on_after(0.2) as waiting:
                await stream.send_all(bytes(64 * MIB))
            assert waiting.cancelled_caught
            sent = stream.body_framed
            assert sent < 16 * MIB
        go_on.set()


async def test_a_response_waits_for_its_client(autojump_clock: MockClock) -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start(200))
        for _ in range(1024):
            await send(body(bytes(MIB // 16), more=True))
            sent += MIB // 16
        await send(body())

    async with served("2.0", asgi.handler(app)) as client, trio.open_nursery() as nursery:
        session = cast("trio_h2.ClientSession", client.session)  # type: ignore[attr-defined]
        async with session.request("GET") as stream:
            await stream.receive_response()
            await trio.testing.wait_all_tasks_blocked()
            assert 0 < sent < 48 * MIB
            length = 0
            async for chunk in stream:
                length += len(chunk)
            assert length == 64 * MIB == sent
        nursery.cancel_scope.cancel()


@every_version
async def test_the_rest_of_a_request_is_nobodys(version: str, autojump_clock: MockClock) -> None:
    """An application may answer without reading the body."""
    async with served(version, asgi.handler(plain)) as client:
        assert (await client.fetch("POST", body=b"some words")).status == 200
        assert (await client.fetch()).status == 200


@every_version
async def test_100_continue_is_sent_when_the_application_asks_for_the_body(version: str) -> None:
    async with served(version, asgi.handler(echo)) as client:
        reply = await client.fetch("POST", body=b"words", expect_continue=True)
        assert reply.body == b"words"


# -- the end of it -----------------------------------------------------------------------------------------------------


@every_version
async def test_after_the_response_the_client_is_gone(version: str, autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            seen.append((await receive())["type"])

        assert await read_all(receive) == [(b"", False)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            assert seen == []
            await plain(scope, receive, send)
        seen.append((await receive())["type"])
        with trio.CancelScope() as scope_of_starlette:  # as Request.is_disconnected asks
            scope_of_starlette.cancel()
            seen.append((await receive())["type"])

    async with served(version, asgi.handler(app)) as client:
        await client.fetch()
        await trio.testing.wait_all_tasks_blocked()
    assert seen == ["http.disconnect"] * 3


async def test_asking_in_passing_loses_nothing(autojump_clock: MockClock) -> None:
    """As Starlette's `Request.is_disconnected` asks, while a body is due."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            with trio.CancelScope() as passing:
                passing.cancel()
                await receive()
                pytest.fail("there was something")
        assert b"".join([data for data, _ in await read_all(receive)]) == b"words"
        await plain(scope, receive, send)

    async with served("2.0", asgi.handler(app)) as client:
        assert (await client.fetch("POST", body=b"words")).status == 200
        assert (await client.fetch("POST", body=b"words")).status == 200


@every_version
async def test_work_behind_the_response(version: str, autojump_clock: MockClock) -> None:
    """What frameworks call background tasks runs on when the client has all it wants."""
    done = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await plain(scope, receive, send)
        await trio.sleep(5)
        done.set()

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).body == b"hello"
        assert not done.is_set()
        with trio.fail_after(10):
            await done.wait()


# -- mistakes ----------------------------------------------------------------------------------------------------------


async def short(scope: Scope, receive: Receive, send: Send) -> None:
    """Says less than it has announced."""
    await send(start(200, (b"content-length", b"9")))
    await send(body(b"hello"))


async def long(scope: Scope, receive: Receive, send: Send) -> None:
    """Says more."""
    await send(start(200, (b"content-length", b"2")))
    await send(body(b"hello"))


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Says nothing."""


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    """Begins."""
    await send(start(200))


async def body_first(scope: Scope, receive: Receive, send: Send) -> None:
    """Forgets the start."""
    await send(body(b"hello"))


async def twice(scope: Scope, receive: Receive, send: Send) -> None:
    """Begins twice."""
    await send(start(200))
    await send(start(200))


async def no_type(scope: Scope, receive: Receive, send: Send) -> None:
    """Forgets what it says."""
    await send({"status": 200})


async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
    """Says something else."""
    await send({"type": "http.response.zerocopysend"})


async def text(scope: Scope, receive: Receive, send: Send) -> None:
    """Says it in text."""
    await send(start(200))
    await send({"type": "http.response.body", "body": "hello"})


async def text_headers(scope: Scope, receive: Receive, send: Send) -> None:
    """Says it in text."""
    await send({"type": "http.response.start", "status": 200, "headers": [("x", "y")]})


async def no_status(scope: Scope, receive: Receive, send: Send) -> None:
    """Forgets the status."""
    await send({"type": "http.response.start"})


async def bad_header(scope: Scope, receive: Receive, send: Send) -> None:
    """Has a header of two lines."""
    await send(start(200, (b"x", b"a\r\nb: c")))
    await send(body())


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails."""
    raise KeyError("nothing there")


@every_version
@pytest.mark.parametrize(
    ("app", "said"),
    [
        (short, "content-length is 9, the body has 5 bytes"),
        (long, "content-length is 2, the body has 5 bytes"),
        (nothing, "the application returned without a response"),
        (half, "the last http.response.body is missing"),
        (body_first, "http.response.body came before http.response.start"),
        (twice, "http.response.start came twice"),
        (no_type, "send() takes a dict with a 'type', not {'status': 200}"),
        (unknown, "there is no message 'http.response.zerocopysend'"),
        (text, "the body of http.response.body must be bytes, not str"),
        (text_headers, "the headers of http.response.start must be pairs of bytes, not [('x', 'y')]"),
        (no_status, "the status of http.response.start must be an int, not None"),
        (bad_header, "the value of header field 'x' has"),
        (raising, "nothing there"),
    ],
)
async def test_a_mistake_before_the_response_is_500(
    version: str, app: App, said: str, complaints: pytest.LogCaptureFixture
) -> None:
    async with served(version, asgi.handler(app), raise_handler_errors=False) as client:
        assert (await client.fetch()).status == 500
    [record] = complaints.records
    assert record.exc_info is not None
    assert said in str(record.exc_info[1])


async def cut(scope: Scope, receive: Receive, send: Send) -> None:
    """Forgets the end."""
    await send(start(200))
    await send(body(b"hello", more=True))


async def fails_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails in the middle."""
    await cut(scope, receive, send)
    raise KeyError("nothing there")


async def too_long(scope: Scope, receive: Receive, send: Send) -> None:
    """Says more than it has announced."""
    await send(start(200, (b"content-length", b"7")))
    await send(body(b"hello", more=True))
    await send(body(b"hello"))


async def too_short(scope: Scope, receive: Receive, send: Send) -> None:
    """Says less."""
    await send(start(200, (b"content-length", b"7")))
    await send(body(b"hello", more=True))
    await send(body())


@every_version
@pytest.mark.parametrize("app", [cut, fails_late, too_long, too_short])
async def test_a_mistake_in_the_response_cuts_it(
    version: str, app: App, complaints: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with served(version, asgi.handler(app), raise_handler_errors=False) as client:
        with pytest.raises((trio.BrokenResourceError, EOFError, h11.RemoteProtocolError, ExceptionGroup)) as raised:
            await client.fetch()
        if version == "2.0":
            assert isinstance(raised.value, trio_h2.StreamResetError)
            assert raised.value.code == trio_h2.ErrorCode.INTERNAL_ERROR
        await client.give_up()
    assert len(complaints.records) == 1


@every_version
async def test_a_mistake_behind_the_response_leaves_it_whole(
    version: str, complaints: pytest.LogCaptureFixture
) -> None:
    """Starlette answers with 500, and then raises what it was."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(500))
        await send(body(b"sorry"))
        raise KeyError("nothing there")

    async with served(version, asgi.handler(app), raise_handler_errors=False) as client:
        reply = await client.fetch()
        assert (reply.status, reply.body) == (500, b"sorry")
    [record] = complaints.records
    assert record.getMessage() == "GET /: raised after its response"


@every_version
async def test_messages_behind_the_response_are_ignored(version: str, complaints: pytest.LogCaptureFixture) -> None:
    """ASGI: "any further messages on the channel will be ignored"."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await plain(scope, receive, send)
        await send(body(b" again"))
        await send(body(b" and again"))

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).body == b"hello"
    [record] = complaints.records
    assert record.getMessage() == "GET /: http.response.body came after the end of the response, and is ignored"


@every_version
async def test_an_application_may_think_better_of_a_start_that_was_refused(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"x", b"a\r\nb: c")))
        with pytest.raises(ValueError, match="line breaks"):
            await send(body(b"secret"))
        await send(start(400))
        await send(body(b"sorry"))

    async with served(version, asgi.handler(app)) as client:
        reply = await client.fetch()
        assert (reply.status, reply.body) == (400, b"sorry")


async def needs_running_loop(scope: Scope, receive: Receive, send: Send) -> None:
    """Is for asyncio."""
    import asyncio  # noqa: TID251 - that is the mistake

    asyncio.get_running_loop()


async def waits_in_asyncio(scope: Scope, receive: Receive, send: Send) -> None:
    """Is for asyncio."""
    import asyncio  # noqa: TID251 - that is the mistake

    await asyncio.sleep(0)


async def grouped(scope: Scope, receive: Receive, send: Send) -> None:
    """Is for asyncio, in a task."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits_in_asyncio, scope, receive, send)


@every_version
@pytest.mark.parametrize("app", [needs_running_loop, waits_in_asyncio, grouped])
async def test_an_application_for_asyncio_is_told_why(
    version: str, app: App, complaints: pytest.LogCaptureFixture
) -> None:
    async with served(version, asgi.handler(app), raise_handler_errors=False) as client:
        assert (await client.fetch()).status == 500
    [record] = complaints.records
    assert record.exc_info is not None
    error = record.exc_info[1]
    assert isinstance(error, asgi.AsyncioNeededError)
    assert "this application needs asyncio, but runs on Trio" in str(error)
    assert "hypercorn or uvicorn" in str(error)
    assert error.__cause__ is not None


async def test_an_http10_client_gets_its_body_by_the_end_of_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200))
        await send(body(b"one ", more=True))
        await send(body(b"two"))

    async with serving(asgi.handler(app)) as running:
        await running.client.send("GET / HTTP/1.0\r\n\r\n")
        assert (await running.client.answer()).body == b"one two"
