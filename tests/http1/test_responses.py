"""How a response looks on an HTTP/1.1 wire (RFC 9112 §§4, 6, 7 and 9, RFC 9110 §15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, echo, hello, serving
from trio_h2 import ServerConfig

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.http1.client import Handler


async def test_a_whole_response() -> None:
    async with serving(hello) as served:
        await served.client.request("GET /")
        answer = await served.client.answer()
        assert (answer.version, answer.status, answer.body) == ("HTTP/1.1", 200, b"hello")
        assert answer.headers["content-length"] == "5"
        assert "date" in answer.headers
        assert answer.headers.keys() == {"content-length", "date"}
        await served.client.request("GET /")  # the connection lives
        assert (await served.client.answer()).body == b"hello"


async def test_a_length_with_zeros_before_it() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": "5".zfill(30)}, body=b"hello")

    async with serving(handler) as served:
        await served.client.request("GET /")
        answer = await served.client.answer()
        assert (answer.headers["content-length"], answer.body) == ("5", b"hello")


async def test_chunks_and_trailers_both_ways() -> None:
    async with serving(echo) as served:
        await served.client.request(
            "POST /there?and=back", "transfer-encoding: chunked", body="5\r\nhello\r\n0\r\nsum: 1\r\n\r\n"
        )
        answer = await served.client.answer()
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.body == b"hello"
        assert answer.trailers == {"method": "POST", "path": "/there?and=back", "sum": "1"}


async def test_large_bodies_both_ways() -> None:
    """In chunks of 64 KiB at most, through a transport that holds 1000 bytes."""
    body = bytes(range(256)) * 2000
    async with serving(echo, capacity=1000) as served:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                served.client.send, f"PUT / HTTP/1.1\r\n{HOST}content-length: {len(body)}\r\n\r\n".encode() + body
            )
            answer = await served.client.answer()
        assert answer.body == body
        assert max(map(len, answer.chunks)) <= 65_536


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_statuses_without_content(status: int) -> None:
    errors: list[str] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.respond(status, body=b"x")
        await stream.respond(status)
        with pytest.raises(trio_h2.LocalProtocolError) as caught:
            await stream.send_all(b"x")
        errors.append(str(caught.value))

    async with serving(handler) as served:
        for _ in range(2):
            await served.client.request("GET /")
            answer = await served.client.answer()
            assert answer.status == status
            assert "transfer-encoding" not in answer.headers
            assert answer.headers.get("content-length") == ("0" if status == 205 else None)
    assert len(errors) == 2


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 205), ("GET", 304)])
async def test_trailers_of_a_response_without_content_are_dropped(method: str, status: int) -> None:
    """And the connection goes on."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(status)
        await stream.send_trailers({"dropped": "1"})

    async with serving(handler) as served:
        for _ in range(2):
            await served.client.request(f"{method} /")
            assert (await served.client.answer(head=method == "HEAD")).status == status


async def test_head() -> None:
    """One handler for GET and HEAD: the same headers, no body, and the connection goes on."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/whole":
            await stream.respond(body=b"hello")
        elif stream.path == "/length":
            await stream.respond({"content-length": 5})
            await stream.send_all(b"hello")
        else:
            await stream.respond()
            await stream.send_all(b"hello")

    async with serving(handler) as served:
        for path, length in (("/whole", "5"), ("/length", "5"), ("/chunks", None)):
            await served.client.request(f"HEAD {path}")
            answer = await served.client.answer(head=True)
            assert answer.headers.get("content-length") == length
            await served.client.request(f"GET {path}")
            assert (await served.client.answer()).body == b"hello"


async def test_no_body_at_all() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(404, end_stream=True)

    async with serving(handler) as served:
        await served.client.request("GET /")
        answer = await served.client.answer()
        assert (answer.status, answer.headers["content-length"], answer.body) == (404, "0", b"")


@pytest.mark.parametrize("fields", ["", "connection: keep-alive\r\n"])
async def test_http_1_0(fields: str) -> None:
    """No chunks, no 1xx, no trailers; the body ends with the connection."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        assert stream.http_version == "1.0"
        assert not stream.expects_continue
        await stream.send_informational(103, {"link": "</x>"})
        await stream.respond()
        await stream.send_all(b"hello ")
        await stream.send_all(b"world")
        await stream.send_trailers({"no": "place"})

    async with serving(handler) as served:
        await served.client.send(f"GET / HTTP/1.0\r\nexpect: 100-continue\r\n{fields}\r\n")
        answer = await served.client.answer()
        assert (answer.status, answer.body) == (200, b"hello world")
        assert answer.headers.keys() == {"date", "connection"}


async def test_trailers_after_a_content_length_are_left_out() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": 5})
        await stream.send_all(b"hello")
        await stream.send_trailers({"no": "place"})

    async with serving(handler) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"


@pytest.mark.parametrize("name", ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"])
async def test_fields_of_the_connection_are_refused(name: str) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(ValueError, match=name):
            await stream.respond({name: "close"})
        with pytest.raises(ValueError, match=name):
            await stream.send_informational(103, {name: "close"})
        await stream.respond(body=b"fine")

    async with serving(handler) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"fine"


async def test_informational_responses() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(103, {"link": "</style.css>"})
        with pytest.raises(ValueError, match="101"):
            await stream.send_informational(101)
        await stream.respond(body=b"page")
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.send_informational(103)

    async with serving(handler) as served:
        await served.client.request("GET /")
        hints = await served.client.answer()
        assert (hints.status, hints.headers) == (103, {"link": "</style.css>"})
        assert (await served.client.answer()).body == b"page"


async def test_responses_wait_for_a_client_that_does_not_read() -> None:
    hints = 0

    async def handler(stream: trio_h2.ServerStream) -> None:
        nonlocal hints
        for _ in range(300):
            await stream.send_informational(103, {"link": "x" * 1000})
            hints += 1
        await stream.respond(body=b"page")

    config = ServerConfig(max_queued_control=10_000)
    async with serving(handler, capacity=1000, config=config) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
        assert 10 <= hints <= 40
        assert len(served.connection._core.engine.output) <= 12_000
        for _ in range(300):
            assert (await served.client.answer()).status == 103
        assert (await served.client.answer()).body == b"page"


# -- expect: 100-continue ------------------------------------------------------------------------------------------


async def test_100_is_sent_by_the_first_wait_for_the_body() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert stream.expects_continue
        await stream.respond(body=await stream.receive_some())

    async with serving(handler) as served:
        for _ in range(2):
            await served.client.request("POST /", "content-length: 3", "expect: 100-continue")
            assert (await served.client.answer()).status == 100
            await served.client.send("abc")
            assert (await served.client.answer()).body == b"abc"


async def test_a_body_that_came_unasked() -> None:
    async with serving(echo) as served:
        await served.client.request("POST /", "content-length: 3", "expect: 100-continue", body="abc")
        assert (await served.client.answer()).body == b"abc"


async def test_a_refusal_instead_of_100() -> None:
    """RFC 9110 §10.1.1: the server says whether it closes; it must, since it cannot tell a body from a request."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(417, body=b"")

    async with serving(handler) as served:
        await served.client.request("POST /", "content-length: 3", "expect: 100-continue")
        answer = await served.client.answer()
        assert (answer.status, answer.headers["connection"]) == (417, "close")
        await served.client.expect_end()


async def test_hints_are_no_100(autojump_clock: MockClock) -> None:
    """After 103 the client still waits for 100; it is sent, or the connection ends with the response."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.send_informational(103, {"link": "</x>"})
        await trio.sleep(1000)
        if stream.path == "/wanted":
            await stream.respond(body=await stream.receive_some())
        else:
            await stream.respond(417, body=b"")

    async with serving(handler, config=ServerConfig(body_timeout=30)) as served:
        await served.client.request("POST /wanted", "content-length: 3", "expect: 100-continue")
        assert (await served.client.answer()).status == 103
        assert (await served.client.answer()).status == 100
        await served.client.send("abc")
        assert (await served.client.answer()).body == b"abc"
        await served.client.request("POST /", "content-length: 3", "expect: 100-continue")
        assert (await served.client.answer()).status == 103
        answer = await served.client.answer()
        assert (answer.status, answer.headers["connection"]) == (417, "close")


# -- content-length ------------------------------------------------------------------------------------------------


async def test_more_than_content_length_is_refused() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": 5})
        await stream.send_all(b"hel")
        with pytest.raises(trio_h2.LocalProtocolError, match="content-length"):
            await stream.send_all(b"low")
        with pytest.raises(trio_h2.LocalProtocolError, match="content-length"):
            await stream.send_eof()
        await stream.send_all(b"lo")

    async with serving(handler) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"


async def test_less_than_content_length_never_looks_whole(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-length": 5})
        await stream.send_all(b"hel")

    async with serving(handler) as served:
        await served.client.request("GET /")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await served.client.answer()
    assert "left its body short" in caplog.text


async def test_a_contradiction() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(ValueError, match="content-length"):
            await stream.respond({"content-length": 7}, body=b"hello")
        await stream.respond(body=b"hello")

    async with serving(handler) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"


# -- the order of calls --------------------------------------------------------------------------------------------


async def test_bad_moments() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(trio_h2.LocalProtocolError, match="respond"):
            await stream.send_all(b"x")
        await stream.respond()
        with pytest.raises(trio_h2.LocalProtocolError, match="already"):
            await stream.respond()
        await stream.send_eof()
        await stream.send_eof()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")

    async with serving(handler) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b""


async def test_one_task_per_direction() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await stream.receive_some()

    async with serving(handler) as served:
        await served.client.request("POST /", "content-length: 1")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send("x")
        assert (await served.client.answer()).status == 200


async def test_send_all_waits_for_the_transport() -> None:
    sent: list[int] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond()
        for _ in range(100):
            await stream.send_all(bytes(10_000))
            sent.append(10_000)

    async with serving(handler, capacity=1000) as served:
        await served.client.request("GET /")
        await trio.testing.wait_all_tasks_blocked()
        assert sum(sent) <= 3 * 65_536  # one batch on its way, one that waits
        assert len((await served.client.answer()).body) == 1_000_000


async def test_unread_requests_are_not_received_without_bound() -> None:
    go = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await go.wait()
        await echo(stream)

    config = ServerConfig(stream_window=1000)
    body = bytes(500_000)
    async with serving(handler, config=config, capacity=1000) as served, trio.open_nursery() as nursery:
        head = f"PUT / HTTP/1.1\r\n{HOST}content-length: {len(body)}\r\n\r\n".encode()
        nursery.start_soon(served.client.send, head + body)
        await trio.testing.wait_all_tasks_blocked()
        assert served.connection._core.held <= 1000 + 65_536
        go.set()
        assert (await served.client.answer()).body == body


@pytest.mark.parametrize("window", [0, 1])
async def test_the_smallest_windows(window: int) -> None:
    """HTTP/1.1 cannot stop a client before its first byte, so a window of nothing is one of very little."""
    config = ServerConfig(stream_window=window)
    async with serving(echo, config=config) as served:
        for _ in range(2):
            await served.client.request("POST /", "content-length: 5", body="hello")
            assert (await served.client.answer()).body == b"hello"


async def test_pipelined_requests_are_not_received_without_bound() -> None:
    go = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        await go.wait()
        await stream.respond(body=b"x")

    count = 20_000
    async with serving(handler, capacity=1000) as served, trio.open_nursery() as nursery:
        nursery.start_soon(served.client.send, f"GET / HTTP/1.1\r\n{HOST}\r\n" * count)
        await trio.testing.wait_all_tasks_blocked()
        assert served.connection._core.engine.backlog <= 2 * 65_536
        go.set()
        for _ in range(1000):
            assert (await served.client.answer()).body == b"x"
        nursery.cancel_scope.cancel()


async def test_every_operation_is_a_checkpoint() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with trio.testing.assert_checkpoints():
            await stream.send_informational(103)
        with trio.testing.assert_checkpoints():
            await stream.respond()
        with trio.testing.assert_checkpoints():
            await stream.receive_some()
        with trio.testing.assert_checkpoints():
            await stream.receive_trailers()
        with trio.testing.assert_checkpoints():
            await stream.send_all(b"")
        with trio.testing.assert_checkpoints():
            await stream.wait_send_all_might_not_block()
        with trio.testing.assert_checkpoints():
            await stream.send_eof()
        with trio.testing.assert_checkpoints():
            await stream.aclose()

    async with serving(handler) as served:
        await served.client.request("POST /", "content-length: 1", body="x")
        assert (await served.client.answer()).status == 103
        assert (await served.client.answer()).status == 200


# -- connect -------------------------------------------------------------------------------------------------------


async def test_a_tunnel() -> None:
    """After a 2xx answer to CONNECT bytes pass as they are, and each side ends for itself."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        assert stream.authority == "db.example:5432"
        assert not stream.end_after_headers
        await stream.respond(200)
        with pytest.raises(trio_h2.LocalProtocolError, match="tunnel"):
            await stream.send_trailers({"a": "b"})
        async for chunk in stream:
            await stream.send_all(chunk.upper())
        assert stream.state.name == "half-closed (remote)"
        await stream.send_all(b"the end")
        await stream.send_eof()
        await stream.wait_closed()
        assert stream.state.name == "closed"

    async with serving(handler) as served:
        await served.client.send(
            "CONNECT db.example:5432 HTTP/1.1\r\nhost: db.example:5432\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        )
        head = await served.client._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
        assert head.count(b"\r\n") == 1
        assert await served.client._exactly(18) == b"GET / HTTP/1.1\r\n\r\n"
        await served.client.send(b"more")
        assert await served.client._exactly(4) == b"MORE"
        await served.client.send_eof()
        assert await served.client.rest() == b"the end"


async def test_a_tunnel_that_is_refused() -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(403, body=b"no")
        assert await stream.receive_some() == b""

    async with serving(handler) as served:
        await served.client.send(f"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\nGET / HTTP/1.1\r\n{HOST}\r\n")
        answer = await served.client.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (403, b"no", "close")
        await served.client.expect_end()


_UPGRADE = ("connection: keep-alive, Upgrade", "upgrade: acme/2, websocket")


@pytest.mark.parametrize("body", ["", "abc"])
async def test_another_protocol(body: str) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert isinstance(stream, trio_h2.Http1Exchange)
        assert stream.upgrade == "acme/2, websocket"
        if body:
            with pytest.raises(trio_h2.LocalProtocolError, match="body"):
                await stream.switch_protocols("websocket")
            assert await stream.receive_some() == b"abc"
            assert await stream.receive_some() == b""
        with pytest.raises(ValueError, match="acme/1"):
            await stream.switch_protocols("acme/1")
        with pytest.raises(ValueError, match="upgrade"):
            await stream.switch_protocols("websocket", {"upgrade": "websocket"})
        with trio.testing.assert_checkpoints():
            await stream.switch_protocols("websocket", {"sec-websocket-accept": "yes"})
        assert stream.sent_headers is not None
        assert stream.sent_headers.status == 101
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.respond()
        with pytest.raises(trio_h2.LocalProtocolError):
            await stream.switch_protocols("websocket")
        async for chunk in stream:
            await stream.send_all(chunk.upper())

    async with serving(handler) as served:
        if body:
            await served.client.request("POST /", *_UPGRADE, "content-length: 3")
            await trio.testing.wait_all_tasks_blocked()
            await served.client.send("abcearly ")
        else:
            await served.client.request("GET /", *_UPGRADE, body="early ")
        answer = await served.client.answer()
        assert (answer.status, answer.body) == (101, b"")
        assert answer.headers == {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-accept": "yes"}
        await served.client.send("GET / HTTP/1.1\r\n")
        await served.client.send_eof()
        assert await served.client.rest() == b"EARLY GET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("line", "fields"),
    [("HTTP/1.1", ""), ("HTTP/1.1", "upgrade: a/1\r\n"), ("HTTP/1.0", "connection: upgrade\r\nupgrade: a/1\r\n")],
)
async def test_no_other_protocol(line: str, fields: str) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        assert isinstance(stream, trio_h2.Http1Exchange)
        assert stream.upgrade == ""
        for protocol in ("", "a/1"):
            with pytest.raises(ValueError, match="no other protocol"):
                await stream.switch_protocols(protocol)
        await stream.respond(body=b"as it is")

    async with serving(handler) as served:
        await served.client.send(f"GET / {line}\r\n{HOST}{fields}\r\n")
        assert (await served.client.answer()).body == b"as it is"


async def test_an_offer_that_is_not_taken() -> None:
    async with serving(hello) as served:
        for _ in range(2):
            await served.client.request("GET /", *_UPGRADE)
            assert (await served.client.answer()).body == b"hello"


# -- a stream like any other ---------------------------------------------------------------------------------------


async def test_what_has_no_meaning_here_does_no_harm(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        stream.prioritize(trio_h2.Priority(urgency=1))
        stream.prioritize(weight=3)
        assert stream.state.name == "half-closed (remote)"
        assert stream.flags == 0
        assert stream.rst_code is None
        await stream.respond(body=b"fine")

    async with serving(handler) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"fine"


@pytest.mark.parametrize("handler", [hello, echo])
async def test_an_exchange_is_an_exchange(handler: Handler) -> None:
    async def checked(stream: trio_h2.ServerStream) -> None:
        exchange: trio_h2.ServerExchange = stream
        assert isinstance(exchange, trio_h2.ServerExchange)
        assert isinstance(exchange, trio_h2.Http1Exchange)
        await handler(stream)

    async with serving(checked) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).status == 200
