"""What a handler sees of an HTTP/1.1 request, and what is no request (RFC 9112 §§3, 5 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.http1.client import HOST, RawClient, echo, hello, serving
from trio_h2 import ServerConfig

if TYPE_CHECKING:
    from trio.testing import MockClock


class Seen:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.exchanges: list[trio_h2.ServerStream] = []
        self.bodies: list[bytes] = []
        self.trailers: list[trio_h2.Headers | None] = []

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        assert stream.session.transport is stream.transport
        assert stream.transport.alpn_protocol is None
        self.exchanges.append(stream)
        self.bodies.append(b"".join([bytes(chunk) async for chunk in stream]))
        self.trailers.append(await stream.receive_trailers())
        await stream.respond(204)


@pytest.mark.parity("A3", "G1")
async def test_headers_read_as_over_http2() -> None:
    seen = Seen()
    async with serving(seen.handle) as served:
        await served.client.send(
            "POST /a%20b?c=d HTTP/1.1\r\nHost: example.org:8080\r\nX-One: 1\r\nx-one:  2 \r\nCookie: a=b\r\n"
            "Connection: keep-alive, upgrade\r\nKeep-Alive: timeout=5\r\nUpgrade: websocket\r\nTE: trailers, gzip\r\n"
            "HTTP2-Settings: AAMAAABk\r\nProxy-Connection: close\r\nContent-Length: 3\r\n\r\nabc"
        )
        assert (await served.client.answer()).status == 204
    (exchange,) = seen.exchanges
    assert isinstance(exchange, trio_h2.Http1Exchange)
    assert exchange.raw_headers[4:] == [
        (b"X-One", b"1"),
        (b"x-one", b"2"),
        (b"Cookie", b"a=b"),
        (b"Content-Length", b"3"),
        (b"TE", b"trailers"),
    ]
    assert exchange.raw_headers[:4] == exchange.headers.raw[:4]
    assert exchange.headers.raw == [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"example.org:8080"),
        (b":path", b"/a%20b?c=d"),
        (b"x-one", b"1"),
        (b"x-one", b"2"),
        (b"cookie", b"a=b"),
        (b"content-length", b"3"),
        (b"te", b"trailers"),
    ]
    assert (exchange.method, exchange.path, exchange.scheme) == ("POST", "/a%20b?c=d", "http")
    assert (exchange.authority, exchange.http_version, exchange.id) == ("example.org:8080", "1.1", 1)
    assert not exchange.end_after_headers
    assert seen.bodies == [b"abc"]
    assert exchange.state.name == "closed"


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/é", "/%C3%A9"),
        ("/a/ü?q=ö&%c3%a9=%", "/a/%C3%BC?q=%C3%B6&%c3%a9=%"),
        ("http://example.org/é?ß", "/%C3%A9?%C3%9F"),
        ("http://example.org?é", "/?%C3%A9"),
        ("/" + "é" * 1000, "/" + "%C3%A9" * 1000),
    ],
)
async def test_a_path_with_raw_bytes(target: str, path: str, slowly: bool) -> None:
    """They are taken as if the client had percent-encoded them; what follows is left as it is."""
    seen = Seen()
    async with serving(seen.handle) as served:
        whole = f"POST {target} HTTP/1.1\r\n{HOST}x: é/é\r\ncontent-length: 6\r\n\r\n/é é".encode()
        for _ in range(2):
            await (served.client.send_slowly if slowly and len(whole) < 500 else served.client.send)(whole)
            assert (await served.client.answer()).status == 204
        await served.client.send(whole + whole)
        assert [(await served.client.answer()).status for _ in range(2)] == [204, 204]
    assert [exchange.path for exchange in seen.exchanges] == [path] * 4
    assert [exchange.headers["x"].encode("latin-1").decode() for exchange in seen.exchanges] == ["é/é"] * 4
    assert seen.bodies == ["/é é".encode()] * 4


@pytest.mark.parametrize(
    "line", ["GÉT / HTTP/1.1", "GET é HTTP/1.1", "GET http://é/ HTTP/1.1", "CONNECT é:1 HTTP/1.1", "GET / HTTP/é"]
)
@pytest.mark.parametrize("slowly", [False, True])
async def test_raw_bytes_elsewhere_in_the_line(line: str, slowly: bool) -> None:
    async with serving(hello) as served:
        whole = f"{line}\r\n{HOST}\r\n".encode()
        await (served.client.send_slowly if slowly else served.client.send)(whole)
        assert (await served.client.answer()).status == 400


@pytest.mark.parametrize(
    ("line", "fields", "expected"),
    [
        ("GET / HTTP/1.1", HOST, ("GET", "http", "example.org", "/")),
        ("GET http://other.org/x?y HTTP/1.1", HOST, ("GET", "http", "other.org", "/x?y")),
        ("GET HTTPS://other.org:8443?y HTTP/1.1", HOST, ("GET", "https", "other.org:8443", "/?y")),
        ("OPTIONS * HTTP/1.1", HOST, ("OPTIONS", "http", "example.org", "*")),
        ("OPTIONS http://other.org HTTP/1.1", HOST, ("OPTIONS", "http", "other.org", "*")),
        ("GET / HTTP/1.0", "", ("GET", "http", "", "/")),
        ("GET / HTTP/1.0", HOST, ("GET", "http", "example.org", "/")),
        ("GET http://other.org/ HTTP/1.0", "", ("GET", "http", "other.org", "/")),
        ("CONNECT db.example:5432 HTTP/1.1", HOST.replace("example.org", "db.example:5432"), None),
        ("M-SEARCH / HTTP/1.9", HOST, ("M-SEARCH", "http", "example.org", "/")),
    ],
)
async def test_forms_of_the_target(line: str, fields: str, expected: tuple[str, ...] | None) -> None:
    seen: list[tuple[str, ...]] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        seen.append((stream.method, stream.scheme, stream.authority, stream.path))
        await stream.respond(404, body=b"")

    async with serving(handler) as served:
        await served.client.send(f"{line}\r\n{fields}\r\n")
        assert (await served.client.answer()).status == 404
    assert seen == [expected or ("CONNECT", "", "db.example:5432", "")]


async def test_fields_named_by_connection_are_removed() -> None:
    """RFC 9110 §7.6.1: "for each connection-option in this field, remove any header or trailer field(s) from the
    message with the same name as the connection-option"; but what frames the message stays, and a host is still named.
    """
    seen = Seen()
    async with serving(seen.handle) as served:
        await served.client.send(
            "POST / HTTP/1.1\r\nHost: example.org\r\nX-Hop: 1\r\nx-hop: 2\r\nX-End: 3\r\nTE: trailers\r\n"
            "Connection: X-HOP ,,host, te\r\nConnection: content-length,x-late\r\nContent-Length: 3\r\n\r\nabc"
        )
        assert (await served.client.answer()).status == 204
        await served.client.send(
            f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nConnection: transfer-encoding, X-Late\r\n\r\n"
            "3\r\nabc\r\n0\r\nX-Late: 1\r\nX-Sum: 2\r\n\r\n"
        )
        assert (await served.client.answer()).status == 204
        await served.client.send(f"GET / HTTP/1.1\r\n{HOST}X-Hop: 1\r\n\r\n")  # it was about one request
        assert (await served.client.answer()).status == 204
    first, second, third = seen.exchanges
    assert [field for field in first.headers.raw if field[0][:1] != b":"] == [
        (b"x-end", b"3"),
        (b"content-length", b"3"),
        (b"te", b"trailers"),
    ]
    assert [name for name, _ in first.raw_headers[4:]] == [b"X-End", b"Content-Length", b"TE"]
    assert first.authority == "example.org"
    assert seen.bodies == [b"abc", b"abc", b""]
    assert seen.trailers[1] == {"x-sum": "2"}
    assert second.raw_trailers == [(b"X-Sum", b"2")]
    assert third.headers["x-hop"] == "1"


@pytest.mark.parametrize("slowly", [False, True])
async def test_bodies_and_trailers(slowly: bool) -> None:
    seen = Seen()
    requests = (
        f"\r\nPUT /1 HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello"
        f"\r\nPUT /2 HTTP/1.1\r\n{HOST}Transfer-Encoding: Chunked\r\n\r\n3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n"
        f"Check-Sum: 7\r\nCheck-Sum: 8\r\n\r\n"
        f"PUT /3 HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"
        f"GET /4 HTTP/1.1\r\n{HOST}\r\n"
    )
    async with serving(seen.handle) as served, trio.open_nursery() as nursery:
        nursery.start_soon(served.client.send_slowly if slowly else served.client.send, requests)
        for _ in range(4):
            assert (await served.client.answer()).status == 204
    assert [exchange.path for exchange in seen.exchanges] == ["/1", "/2", "/3", "/4"]
    assert [exchange.id for exchange in seen.exchanges] == [1, 2, 3, 4]
    assert [exchange.end_after_headers for exchange in seen.exchanges] == [False, False, True, True]
    assert seen.bodies == [b"hello", b"abc0123456789", b"", b""]
    trailers = seen.trailers[1]
    assert trailers is not None
    assert trailers["check-sum"] == "7, 8"
    assert [seen.trailers[0], *seen.trailers[2:]] == [None] * 3


_SMUGGLED = "GET /smuggled HTTP/1.1\r\nhost: example.org\r\n\r\n"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /\r\n\r\n", 400),  # HTTP/0.9
        ("GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: user@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", 400),
        (f"GET nowhere HTTP/1.1\r\n{HOST}\r\n", 400),
        (f"GET /#fragment HTTP/1.1\r\n{HOST}\r\n", 400),
        (f"GET * HTTP/1.1\r\n{HOST}\r\n", 400),
        (f"GET http://user@a/ HTTP/1.1\r\n{HOST}\r\n", 400),
        (f"CONNECT /path HTTP/1.1\r\n{HOST}\r\n", 400),
        (f"CONNECT a:1 HTTP/1.1\r\n{HOST}content-length: 3\r\n\r\nabc", 400),
        (f"GET / HTTP/2.0\r\n{HOST}\r\n", 505),
        (f"GET / HTTP/1.1\r\n{HOST}bad header: x\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\n{HOST}x : y\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\n{HOST}x: \x01\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\n{HOST}:path: /other\r\n\r\n", 400),
        (f"POST / HTTP/1.1\r\n{HOST}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{_SMUGGLED}", 400),
        (f"POST / HTTP/1.0\r\n{HOST}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{_SMUGGLED}", 400),
        (f"POST / HTTP/1.1\r\n{HOST}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n{_SMUGGLED}", 501),
        (f"POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (f"POST / HTTP/1.1\r\n{HOST}content-length: 1\r\ncontent-length: 2\r\n\r\nab{_SMUGGLED}", 400),
        (f"POST / HTTP/1.1\r\n{HOST}content-length: 1, 2\r\n\r\nab{_SMUGGLED}", 400),
        (f"POST / HTTP/1.1\r\n{HOST}content-length: +5\r\n\r\nabcde{_SMUGGLED}", 400),
        (f"POST / HTTP/1.1\r\n{HOST}content-length: -1\r\n\r\n{_SMUGGLED}", 400),
        (f"POST / HTTP/1.1\r\n{HOST}content-length: {'9' * 30}\r\n\r\n{_SMUGGLED}", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS on a cleartext port
    ],
)
async def test_bad_requests(request_text: str, status: int) -> None:
    """Answered and closed; what comes after them is never taken for a request."""
    async with serving(hello) as served:
        await served.client.send(request_text)
        answer = await served.client.answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-length"] == "0"
        assert "date" in answer.headers
        await served.client.expect_end()
        assert served.exchanges == []


@pytest.mark.parametrize(
    "body",
    [
        "x\r\n",
        "-3\r\nabc\r\n",
        "0x3\r\nabc\r\n",
        "3 \r\nabcd\r\n0\r\n\r\n",
        "3\r\nabcX\r\n0\r\n\r\n",
        "3\r\nabc\n\n0\r\n\r\n",
        "11111111111111111111111\r\n",
        "0\r\n:status: 200\r\n\r\n",
        "0\r\nbad trailer: x\r\n\r\n",
        "0\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_bad_chunks(body: str, autojump_clock: MockClock) -> None:
    errors: list[Exception] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        try:
            while await stream.receive_some():
                pass
        except trio_h2.RemoteProtocolError as exc:
            errors.append(exc)
            raise

    async with serving(handler, cancel_handler_on_reset=False) as served:
        await served.client.request("POST /", "transfer-encoding: chunked", body=body + _SMUGGLED)
        assert (await served.client.answer()).status == 400
        await served.client.expect_end()
        with pytest.raises(trio_h2.RemoteProtocolError):
            await served.connection.wait_closed()
    assert len(errors) == 1
    assert len(served.exchanges) == 1


async def test_a_bad_chunk_cancels_the_handler(autojump_clock: MockClock) -> None:
    cancelled: list[bool] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(True)

    async with serving(handler) as served:
        await served.client.request("POST /", "transfer-encoding: chunked", body="?\r\n")
        assert (await served.client.answer()).status == 400
    assert cancelled == [True]


async def test_what_is_wrong_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """It may be secret, and as long as the client likes."""
    caplog.set_level("INFO", "trio_h2.server")
    async with serving(hello) as served:
        await served.client.request("GET /", "authorization : Bearer sesame")
        assert (await served.client.answer()).status == 400
    assert "illegal header line" in caplog.text
    assert "sesame" not in caplog.text


async def test_a_bad_chunk_after_the_response_began() -> None:
    """What cannot be answered any more ends abruptly: the response must not look whole."""
    async with serving(echo) as served:
        await served.client.request("POST /", "transfer-encoding: chunked", body="3\r\nabc\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await served.client.send("?\r\n")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await served.client.answer()


async def test_limits_of_the_head() -> None:
    config = ServerConfig(max_header_fields=10, max_header_list_size=1000)
    for fields in (["a: b"] * 8, [f"a: {'b' * 1000}"], [f"a: {'b' * 100_000}"]):
        async with serving(hello, config=config) as served:
            await served.client.request("GET /", *fields)
            assert (await served.client.answer()).status == 431
            await served.client.expect_end()
    async with serving(hello, config=config) as served:
        await served.client.request("GET /", *["a: b"] * 5)
        assert (await served.client.answer()).status == 200


async def test_an_endless_head_is_refused_before_it_ends() -> None:
    async with serving(hello, config=ServerConfig(max_header_list_size=1000)) as served:
        await served.client.send(f"GET /{'x' * 20_000}")
        assert (await served.client.answer()).status == 431


async def test_limits_of_trailers() -> None:
    config = ServerConfig(max_header_fields=10, max_header_list_size=1000)
    for trailers in (["a: b"] * 11, [f"a: {'b' * 1000}"]):
        async with serving(echo, config=config) as served:
            text = "".join(f"{one}\r\n" for one in trailers)
            await served.client.request("POST /", "transfer-encoding: chunked", body="0\r\n")
            await trio.testing.wait_all_tasks_blocked()
            await served.client.send(f"{text}\r\n")
            with pytest.raises((EOFError, trio.BrokenResourceError)):
                await served.client.answer()


async def test_http_2_where_a_session_is_expected_and_the_other_way_round() -> None:
    """The first bytes decide, one by one if need be."""
    from trio_h2.testing import TrickleStream, memory_transports

    for wrap in (lambda transport: transport, TrickleStream):
        client_end, server_end = memory_transports()
        async with trio.open_nursery() as nursery:

            async def serve(transport: trio.abc.Stream) -> None:
                await trio_h2.serve_stream(hello, transport, allow_http1=True)

            nursery.start_soon(serve, wrap(server_end))
            async with (
                trio_h2.connect("http://localhost", transport=client_end) as session,
                session.request("GET") as stream,
            ):
                assert await stream.receive_some() == b"hello"
        client_end, server_end = memory_transports()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, wrap(server_end))
            client = RawClient(client_end)
            await client.send(f"PRIMO / HTTP/1.1\r\n{HOST}\r\n")
            assert (await client.answer()).body == b"hello"
            await client_end.aclose()
