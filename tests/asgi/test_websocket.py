"""WebSockets, over both versions of HTTP."""

from __future__ import annotations

import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.asgi.apps import plain
from tests.http1.client import serving
from tests.stream.harness import pair
from tests.websocket.frames import BINARY, TEXT, Wire
from trio_h2 import asgi
from trio_h2.websocket import WebSocketBrokenError, WebSocketRefusedError, connect_websocket, open_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio.testing import MockClock

    from tests.asgi.apps import App, Receive, Scope, Send
    from trio_h2.websocket import WebSocket

EXTENDED = trio_h2.ServerConfig(enable_connect_protocol=True)
ASK = (
    *("Upgrade: websocket", "Connection: keep-alive, Upgrade"),
    *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
)


@asynccontextmanager
async def opened(
    app: App, path: str = "/chat", *, raise_handler_errors: bool = True, **options: object
) -> AsyncGenerator[WebSocket, None]:
    """A WebSocket of *app* over HTTP/2."""
    served = pair(asgi.handler(app), server_config=EXTENDED, raise_handler_errors=raise_handler_errors)
    async with (
        served as (client, _server),
        open_websocket(client, path, **options) as websocket,  # type: ignore[arg-type]  # as the test says
    ):
        yield websocket


async def accept(receive: Receive, send: Send, **more: object) -> None:
    """Accepts."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **more})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends back what it gets, until the client has left."""
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"], "bytes": message["bytes"]})


# -- talking -----------------------------------------------------------------------------------------------------------


async def test_a_conversation(autojump_clock: MockClock) -> None:
    async with opened(echo) as websocket:
        await websocket.send_message("hello")
        assert await websocket.receive_message() == "hello"
        await websocket.send_message(b"\x00\xff")
        assert await websocket.receive_message() == b"\x00\xff"


async def test_a_conversation_over_http1(autojump_clock: MockClock) -> None:
    async with serving(asgi.handler(echo)) as running:
        await running.client.request("GET /chat", *ASK)
        answer = await running.client.answer()
        assert (answer.status, answer.headers["upgrade"]) == (101, "websocket")
        wire = Wire(running.client.transport, client=True)
        await wire.send(TEXT, "hello")
        await wire.expect(TEXT, "hello")
        await wire.send(BINARY, b"\x00\xff")
        await wire.expect(BINARY, b"\x00\xff")
        await wire.close(1000)
        await wire.expect_close(1000)


async def test_what_the_application_is_told(autojump_clock: MockClock) -> None:
    scopes: list[Scope] = []
    messages: list[dict[str, object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await accept(receive, send)
        messages.extend([await receive() for _ in range(3)])

    async with opened(app, "/a%20b?c", subprotocols=["chat", "talk"], headers={"x": "y"}) as websocket:
        await websocket.send_message("hello")
        await websocket.send_message(b"hello")
        await websocket.aclose(4001, "bye")
    assert messages == [
        {"type": "websocket.receive", "text": "hello", "bytes": None},
        {"type": "websocket.receive", "text": None, "bytes": b"hello"},
        {"type": "websocket.disconnect", "code": 4001, "reason": "bye"},
    ]
    [scope] = scopes
    assert {name: scope[name] for name in ("type", "http_version", "scheme", "path", "raw_path", "query_string")} == {
        **{"type": "websocket", "http_version": "2", "scheme": "ws"},
        **{"path": "/a b", "raw_path": b"/a%20b", "query_string": b"c"},
    }
    assert scope["subprotocols"] == ["chat", "talk"]
    assert set(cast("Scope", scope["extensions"])) == {"websocket.http.response"}
    assert (b"x", b"y") in cast("list[tuple[bytes, bytes]]", scope["headers"])
    assert "method" not in scope


async def test_a_subprotocol_and_headers(autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send, subprotocol="talk", headers=[(b"x-room", b"7"), (b"connection", b"close")])

    async with opened(app, subprotocols=["chat", "talk"]) as websocket:
        assert (websocket.subprotocol, websocket.headers["x-room"]) == ("talk", "7")


async def test_a_subprotocol_that_was_not_offered_is_a_mistake(autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError, match="has not offered the subprotocol 'talk'"):
            await accept(receive, send, subprotocol="talk")
        await send({"type": "websocket.accept"})

    async with opened(app, subprotocols=["chat"]) as websocket:
        assert websocket.subprotocol is None


async def test_pages_of_other_origins_are_the_applications_affair(autojump_clock: MockClock) -> None:
    async with opened(echo, headers={"origin": "https://elsewhere.example"}) as websocket:
        await websocket.send_message("hello")
        assert await websocket.receive_message() == "hello"


async def test_messages_from_tasks_of_the_application(autojump_clock: MockClock) -> None:
    """The one that accepts may be another than the one that reads, and than the one that returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, receive, send)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(3):
                nursery.start_soon(send, {"type": "websocket.send", "text": str(number)})

    async with opened(app) as websocket:
        assert sorted([str(await websocket.receive_message()) for _ in range(3)]) == ["0", "1", "2"]


async def test_a_message_that_is_too_large(autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        seen.append(await receive())

    handler = asgi.handler(app, max_message_size=4)
    async with pair(handler, server_config=EXTENDED) as (client, _server), open_websocket(client, "/") as websocket:
        await websocket.send_message("hello")
        with pytest.raises(WebSocketBrokenError) as raised:
            await websocket.receive_message()
    assert raised.value.close_code == 1009
    assert cast("dict[str, object]", seen[0])["code"] == 1009


# -- closing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ({"type": "websocket.close", "code": 4000, "reason": "as you wish"}, 4000, "as you wish"),
        ({"type": "websocket.close"}, 1000, ""),
        ({"type": "websocket.close", "code": 1001, "reason": None}, 1001, ""),
        (None, 1000, ""),
    ],
)
async def test_the_application_closes(
    message: dict[str, object] | None, code: int, reason: str, autojump_clock: MockClock
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        if message is not None:
            await send(message)
            assert await receive() == {"type": "websocket.disconnect", "code": code, "reason": reason}

    async with opened(app) as websocket:
        await websocket.wait_closed()
        assert (websocket.close_code, websocket.close_reason) == (code, reason)


@pytest.mark.parametrize("kind", ["websocket.send", "websocket.close"])
async def test_nothing_comes_behind_a_close(kind: str, autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.close"})
        with pytest.raises(trio_h2.LocalProtocolError, match=r"websocket\.close"):
            await send({"type": kind, "text": "hello"})

    async with opened(app) as websocket:
        await websocket.wait_closed()


async def test_a_client_that_gives_no_code(autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        seen.append(await receive())

    async with serving(asgi.handler(app)) as running:
        await running.client.request("GET /chat", *ASK)
        await running.client.answer()
        wire = Wire(running.client.transport, client=True)
        await wire.send(8)
        await wire.expect_close(None)
    assert seen == [{"type": "websocket.disconnect", "code": 1005, "reason": ""}]


@pytest.mark.parametrize("kind", ["websocket.send", "websocket.close"])
async def test_sending_to_a_client_that_has_closed_is_an_oserror_and_no_complaint(
    kind: str, autojump_clock: MockClock
) -> None:
    seen: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        assert (await receive())["type"] == "websocket.disconnect"
        try:
            await send({"type": kind, "text": "hello"})
        except OSError as exc:
            seen.append(exc)
            raise

    async with opened(app) as websocket:
        await websocket.aclose()
    assert [type(one) for one in seen] == [asgi.ClientDisconnectedError]


async def test_a_client_that_is_lost_cancels_its_application(autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with opened(app) as websocket:
        cast("trio_h2.ClientStream", websocket.stream).reset(trio_h2.ErrorCode.CANCEL)
        with trio.fail_after(5):
            await ended.wait()


@pytest.mark.parametrize("waits", [True, False])
async def test_a_client_that_is_lost_is_told_of_before(waits: bool, autojump_clock: MockClock) -> None:
    """That is where an application forgets a client; it is over before a second has passed."""
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            if waits:
                seen.append(await receive())
                await trio.sleep_forever()
            while True:
                await send({"type": "websocket.send", "text": "tick"})
                await trio.sleep(0.25)
        except asgi.ClientDisconnectedError as exc:
            seen.append(type(exc))
        finally:
            seen.append(trio.current_time())

    async with opened(app) as websocket:
        await trio.testing.wait_all_tasks_blocked()
        begun = trio.current_time()
        cast("trio_h2.ClientStream", websocket.stream).reset(trio_h2.ErrorCode.CANCEL)
        await trio.sleep(2)
    gone = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert seen == ([gone, begun + 1] if waits else [asgi.ClientDisconnectedError, begun + 0.25])


async def test_a_server_that_is_cancelled_cancels_at_once() -> None:
    started, ended = trio.Event(), trio.Event()
    scope = trio.CancelScope()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async def serve(*, task_status: trio.TaskStatus[trio_h2.Server]) -> None:
        with scope:
            await asgi.serve(app, 0, lifespan_mode="off", task_status=task_status)

    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        with contextlib.suppress(WebSocketBrokenError, trio_h2.SessionError):
            async with connect_websocket(server.url.replace("http", "ws", 1)) as websocket:
                await started.wait()
                scope.cancel()
                with trio.fail_after(0.9):
                    await ended.wait()
                await websocket.receive_message()


async def test_a_server_that_ends_says_so(autojump_clock: MockClock) -> None:
    seen: list[dict[str, object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        seen.append(await receive())

    served = pair(asgi.handler(app), server_config=EXTENDED)
    async with served as (client, server), open_websocket(client, "/") as websocket:
        server.shutdown()
        await websocket.wait_closed()
        assert websocket.close_code == 1001
    [message] = seen
    assert message["code"] == 1001


# -- denying -----------------------------------------------------------------------------------------------------------


async def closes(scope: Scope, receive: Receive, send: Send) -> None:
    """Does not want it."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.close", "code": 4000})
    assert (await receive())["type"] == "websocket.disconnect"


async def denies(scope: Scope, receive: Receive, send: Send) -> None:
    """Says why."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x", b"y")]})
    await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"are you?"})
    assert (await receive())["type"] == "websocket.disconnect"


@pytest.mark.parametrize(("app", "status", "said"), [(closes, 403, b""), (denies, 401, b"who are you?")])
async def test_a_client_is_denied(app: App, status: int, said: bytes, autojump_clock: MockClock) -> None:
    with pytest.raises(WebSocketRefusedError) as refused:
        async with opened(app):
            pytest.fail("it was opened")
    assert (refused.value.status, refused.value.body) == (status, said)


@pytest.mark.parametrize(("app", "status", "said"), [(closes, 403, b""), (denies, 401, b"who are you?")])
async def test_a_client_of_http1_is_denied(app: App, status: int, said: bytes, autojump_clock: MockClock) -> None:
    async with serving(asgi.handler(app)) as running:
        await running.client.request("GET /chat", *ASK)
        answer = await running.client.answer()
        assert (answer.status, answer.body) == (status, said)


@pytest.mark.parametrize(("status", "said"), [(403, b""), (401, b"who are you?")])
async def test_a_task_that_waits_for_messages_is_told_when_the_denial_is_whole(
    status: int, said: bytes, autojump_clock: MockClock
) -> None:
    """And not before: Quart-Trio cancels its answer when it is."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            assert (await receive())["type"] == "websocket.connect"
            assert (await receive())["type"] == "websocket.disconnect"
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            if said:
                await send({"type": "websocket.http.response.start", "status": status})
                nursery.start_soon(receive)
                await trio.sleep(1)
                await send({"type": "websocket.http.response.body", "body": said})
            else:
                await send({"type": "websocket.close"})
            await trio.sleep_forever()

    with trio.fail_after(10), pytest.raises(WebSocketRefusedError) as refused:
        async with opened(app):
            pytest.fail("it was opened")
    assert (refused.value.status, refused.value.body) == (status, said)


async def test_a_denial_is_no_success(autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(ValueError, match="status of 300 or more, not 200"):
            await send({"type": "websocket.http.response.start", "status": 200})
        await send({"type": "websocket.close"})

    with pytest.raises(WebSocketRefusedError):
        async with opened(app):
            pytest.fail("it was opened")


async def test_a_handshake_that_is_wrong_is_answered_when_the_application_accepts(autojump_clock: MockClock) -> None:
    async with serving(asgi.handler(echo)) as running:
        await running.client.request("GET /chat", *ASK[:2], "Sec-WebSocket-Key: no", "Sec-WebSocket-Version: 13")
        assert (await running.client.answer()).status == 400
    async with serving(asgi.handler(echo)) as running:
        await running.client.request("GET /chat", *ASK[:3], "Sec-WebSocket-Version: 12")
        answer = await running.client.answer()
        assert (answer.status, answer.headers["sec-websocket-version"]) == (400, "13")


# -- mistakes ----------------------------------------------------------------------------------------------------------


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Says nothing."""


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails."""
    raise KeyError("nothing there")


async def eager(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends first."""
    await send({"type": "websocket.send", "text": "hello"})


async def confused(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes it for something else."""
    await plain(scope, receive, send)


async def own_fields(scope: Scope, receive: Receive, send: Send) -> None:
    """Accepts with what belongs to the handshake."""
    await send({"type": "websocket.accept", "headers": [(b"sec-websocket-protocol", b"x")]})


async def for_asyncio(scope: Scope, receive: Receive, send: Send) -> None:
    """Is for asyncio."""
    import asyncio  # noqa: TID251 - that is the mistake

    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (nothing, "returned without websocket.accept or websocket.close"),
        (raising, "nothing there"),
        (eager, "websocket.send came before websocket.accept"),
        (confused, "there is no message 'http.response.start' for a WebSocket"),
        (own_fields, "belongs to the handshake"),
        (for_asyncio, "this application needs asyncio"),
    ],
)
async def test_a_mistake_before_it_is_open_is_500(
    app: App, said: str, complaints: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    with pytest.raises(WebSocketRefusedError) as refused:
        async with opened(app, raise_handler_errors=False):
            pytest.fail("it was opened")
    assert refused.value.status == 500
    [record] = complaints.records
    assert record.exc_info is not None
    assert said in str(record.exc_info[1])


async def test_an_application_that_fails_closes_with_1011(
    complaints: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        raise KeyError("nothing there")

    async with opened(app, raise_handler_errors=False) as websocket:
        await websocket.wait_closed()
        assert websocket.close_code == 1011
    [record] = complaints.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)  # and no group


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"type": "websocket.accept"}, "came after the WebSocket was accepted"),
        ({"type": "websocket.http.response.start", "status": 400}, "came after the WebSocket was accepted"),
        ({"type": "websocket.send"}, "needs either 'text', a str, or 'bytes'"),
        ({"type": "websocket.send", "text": "a", "bytes": b"a"}, "needs either 'text', a str, or 'bytes'"),
        ({"type": "websocket.send", "text": b"a"}, "a str as 'text' and bytes as 'bytes'"),
        ({"type": "websocket.close", "code": "1000"}, "needs an int as code"),
        ({"type": "websocket.close", "code": 5}, "1000"),
        ({"type": "websocket.ping"}, "there is no message 'websocket.ping'"),
        ({}, "takes a dict with a 'type'"),
    ],
)
async def test_a_message_that_is_out_of_place(message: dict[str, object], said: str, autojump_clock: MockClock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        with pytest.raises((trio_h2.LocalProtocolError, TypeError, ValueError), match=said):
            await send(message)
        await send({"type": "websocket.send", "text": "still open"})

    async with opened(app) as websocket:
        assert await websocket.receive_message() == "still open"


async def test_other_upgrades_of_http1_are_ordinary_requests(autojump_clock: MockClock) -> None:
    async with serving(asgi.handler(plain)) as running:
        await running.client.request("GET /", "Upgrade: h2c", "Connection: Upgrade")
        assert (await running.client.answer()).body == b"hello"
