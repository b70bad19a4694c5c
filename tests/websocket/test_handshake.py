"""The opening handshake over HTTP/2 (RFC 8441 §5, RFC 6455 §4): who asks for what, who takes what."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trio
import trio.testing

import trio_h2
from tests.session.scripted import connected, settle
from tests.stream.harness import pair
from tests.websocket.frames import OFFERING, TEXT, Wire, pack
from trio_h2 import ErrorCode, SettingCode
from trio_h2.testing import HeadersFrame, ThrowawayAuthority, memory_transports
from trio_h2.websocket import (
    Deflate,
    WebSocketConfig,
    WebSocketHandler,
    WebSocketHandshakeError,
    WebSocketRefusedError,
    accept_websocket,
    connect_websocket,
    is_websocket,
    open_websocket,
)
from trio_h2.websocket._handshake import is_own_origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trio.testing import MockClock

    from trio_h2._url import Url
    from trio_h2.websocket import WebSocket

pytestmark = pytest.mark.parity("L3")
OFFER: dict[int, int] = {SettingCode.ENABLE_CONNECT_PROTOCOL: 1}
VERSION = {"sec-websocket-version": "13"}


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send_message(message)


# -- the client --------------------------------------------------------------------------------------------------------


async def test_what_a_client_asks_for(autojump_clock: MockClock) -> None:
    async with connected(handshake=False) as (session, peer), trio.open_nursery() as nursery:

        async def chat() -> None:
            block = open_websocket(
                session,
                "/chat?room=1",
                headers={"origin": "http://localhost", "x-token": "abc"},
                subprotocols=["chat.v2", "chat"],
                compression=Deflate(),
            )
            async with block as ws:
                assert (ws.path, ws.subprotocol, ws.compressed) == ("/chat?room=1", "chat", False)
                assert ws.headers["x-answer"] == "yes"
                await ws.receive_message()

        await peer.receive_preface()
        nursery.start_soon(chat)
        await settle()
        await peer.send_settings(OFFER)  # the client has waited for this
        head = await peer.until(HeadersFrame)
        assert head.fields == (
            (b":method", b"CONNECT"),
            (b":scheme", b"http"),
            (b":authority", b"localhost"),
            (b":path", b"/chat?room=1"),
            (b":protocol", b"websocket"),
            (b"sec-websocket-version", b"13"),
            (b"origin", b"http://localhost"),
            (b"x-token", b"abc"),
            (b"sec-websocket-protocol", b"chat.v2, chat"),
            (b"sec-websocket-extensions", b"permessage-deflate; server_max_window_bits=12; client_max_window_bits"),
        )
        answer = {":status": "201", "sec-websocket-protocol": "chat", "x-answer": "yes"}
        await peer.send_headers(head.stream_id, answer, end_stream=False)
        await peer.send_data(head.stream_id, pack(TEXT, b"hi", masked=False))
        data = await peer.expect_data(head.stream_id)
        assert data.data[:2] == b"\x88\x82"  # a masked Close frame
        await peer.send_data(head.stream_id, b"\x88\x02\x03\xe8")
        await peer.expect_data(head.stream_id, b"", end_stream=True)
        await peer.send_data(head.stream_id, end_stream=True)


async def test_a_server_without_extended_connect(autojump_clock: MockClock) -> None:
    async with connected(settings={}) as (session, peer):
        with pytest.raises(trio_h2.ExtendedConnectError):
            await open_websocket(session).__aenter__()
        await peer.expect_nothing()


async def test_a_refusal(autojump_clock: MockClock) -> None:
    async def refuse(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 401, "www-authenticate": "Basic"}, body=b"who are you?" + bytes(50_000))

    async with pair(refuse, server_config=OFFERING) as (client, _):
        with pytest.raises(WebSocketRefusedError, match="refused a WebSocket at /x with status 401") as info:
            await open_websocket(client, "/x").__aenter__()
        assert info.value.status == 401
        assert info.value.headers["www-authenticate"] == "Basic"
        assert info.value.body == (b"who are you?" + bytes(50_000))[: 16 * 1024]
        await trio.sleep(10)
        assert client.statistics().open_streams == 0


async def test_a_refusal_without_an_end(autojump_clock: MockClock) -> None:
    async with connected(settings=OFFER) as (session, peer), trio.open_nursery() as nursery:

        async def chat() -> None:
            with pytest.raises(WebSocketRefusedError) as info:
                await open_websocket(session).__aenter__()
            assert info.value.body == b"no"

        nursery.start_soon(chat)
        stream_id = (await peer.expect_headers()).stream_id
        await peer.send_headers(stream_id, {":status": "500"}, end_stream=False)
        await peer.send_data(stream_id, b"no")
        await peer.expect_rst(stream_id, ErrorCode.CANCEL)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"sec-websocket-protocol": "other"}, "subprotocol that was not offered: 'other'"),
        ({"sec-websocket-protocol": ["chat", "chat"]}, "not offered: 'chat, chat'"),
        ({"sec-websocket-protocol": ""}, "not offered: ''"),
        ({"sec-websocket-extensions": "permessage-deflate"}, "extension that was not offered"),
        ({"sec-websocket-extensions": ";"}, "malformed"),
    ],
)
async def test_answers_that_a_client_does_not_take(
    answer: dict[str, str | list[str]], problem: str, autojump_clock: MockClock
) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200, **answer})
        assert await stream.receive_some() == b""

    async with pair(handler, server_config=OFFERING) as (client, _):
        with pytest.raises(WebSocketHandshakeError, match=problem):
            await open_websocket(client, subprotocols=["chat"]).__aenter__()
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().open_streams == 0


async def test_wrong_arguments_are_refused_at_the_call(autojump_clock: MockClock) -> None:
    async with connected(settings=OFFER) as (session, peer):
        wrong: list[tuple[Callable[[], object], type[Exception], str]] = [
            (lambda: open_websocket("x"), TypeError, "session"),  # type: ignore[arg-type]
            (lambda: open_websocket(session, "chat"), ValueError, "path"),
            (lambda: open_websocket(session, subprotocols="chat"), TypeError, "not one str"),
            (lambda: open_websocket(session, subprotocols=["a b"]), ValueError, "word like"),
            (lambda: open_websocket(session, subprotocols=["a", "a"]), ValueError, "twice"),
            (lambda: open_websocket(session, subprotocols=[b"a"]), TypeError, "must be a str"),  # type: ignore[list-item]
            (lambda: open_websocket(session, headers={"sec-websocket-version": "8"}), ValueError, "handshake"),
            (lambda: open_websocket(session, headers={":protocol": "x"}), ValueError, "handshake"),
            (lambda: open_websocket(session, headers={"a": "b\n"}), ValueError, "line breaks"),
            (lambda: open_websocket(session, headers={"connection": "upgrade"}), ValueError, "connection"),
            (lambda: open_websocket(session, compression=True), TypeError, "compression"),  # type: ignore[arg-type]
            (lambda: open_websocket(session, config=OFFERING), TypeError, "WebSocketConfig"),  # type: ignore[arg-type]
        ]
        for call, kind, word in wrong:
            with pytest.raises(kind, match=word):
                call()
        await peer.expect_nothing()


NOT_URLS = {
    # what `connect` refuses
    "wss://example.com/a b": "white space",
    "wss://exa\tmple.com/": "white space and control",
    "wss://example.com/a\nb": "white space and control",
    "wss://example.com/\r": "white space and control",
    " wss://example.com": "scheme must be wss or ws",
    "wss://example.com/\x7f": "control characters",
    "wss://example.com\\@evil.test/": "backslash",
    "wss://": "names no host",
    "wss:///path": "names no host",
    "wss://example.com:99999/": "port",
    "wss://[::1/": "IPv6",
    "wss://a..b/": "between two dots",
    "wss:example.com": "the port must be",
    "ftp://example.com": "the scheme must be wss or ws, not 'ftp'",
    "ws+unix://example.com": "the scheme must be wss or ws",
    # what only a WebSocket has none of
    "ws://localhost/a#b": "no fragment",
    "ws://localhost/#": "no fragment",
    "ws://localhost?#": "no fragment",
    "ws://localhost/ä": "percent-encoded",
    "ws://localhost/?ä": "percent-encoded",
}


@pytest.mark.parametrize("url", NOT_URLS)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match=NOT_URLS[url]):
        connect_websocket(url)


def test_a_password_is_not_shown() -> None:
    for url in ("ws://joe:secret@localhost/#", "ws://joe:secret@localhost/ä", "ftp://joe:secret@a", "ws://joe:secret@"):
        with pytest.raises(ValueError, match=r"\*\*\*@") as info:
            connect_websocket(url)
        assert "secret" not in str(info.value)


def test_arguments_that_connect_would_refuse(tmp_path: Path) -> None:
    context = trio_h2.client_ssl_context()
    wrong: list[tuple[Callable[[], object], type[Exception], str]] = [
        (lambda: connect_websocket(b"ws://localhost"), TypeError, "must be a str"),  # type: ignore[arg-type]
        (lambda: connect_websocket("ws://localhost", ssl_context=context), ValueError, "did you mean wss://"),
        (lambda: connect_websocket("wss://a", ssl_context=True), TypeError, "SSLContext"),  # type: ignore[arg-type]
        (lambda: connect_websocket("wss://a", server_hostname=b"a"), TypeError, "hostname"),  # type: ignore[arg-type]
        (lambda: connect_websocket("wss://a", unix_path=5), TypeError, "unix_path"),  # type: ignore[arg-type]
        (lambda: connect_websocket("wss://a", transport=5), TypeError, "transport"),  # type: ignore[arg-type]
        (
            lambda: connect_websocket("wss://a", unix_path=tmp_path, transport=trio.testing.memory_stream_pair()[0]),
            *(ValueError, "exclude each other"),
        ),
        (lambda: connect_websocket("a", scheme="ftp"), ValueError, "bad scheme 'ftp'"),
        (lambda: connect_websocket("a", scheme=b"ws"), TypeError, "default scheme"),  # type: ignore[arg-type]
    ]
    for call, kind, word in wrong:
        with pytest.raises(kind, match=word):
            call()


class LikeYarl:
    """A URL as an object, whose text is its ``str()``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.scheme = text.partition(":")[0]

    def __str__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("url", "path"),
    [
        *[("ws://localhost", "/"), ("WS://localhost", "/"), ("ws://localhost:", "/"), ("ws://u:p@localhost/a", "/a")],
        *[
            ("ws://localhost?", "/?"),
            ("ws://localhost/?", "/?"),
            ("ws://localhost/a?", "/a?"),
            ("ws://localhost??", "/??"),
        ],
        *[("ws://localhost?a=b", "/?a=b"), ("ws://localhost/a?b?c/d", "/a?b?c/d"), ("ws://localhost//a//", "//a//")],
        *[("ws://localhost/a;b", "/a;b"), ("ws://localhost/%20%3F", "/%20%3F"), ("ws://localhost/a://b", "/a://b")],
        *[("http://localhost/a", "/a"), ("localhost:80/a?", "/a?"), ("localhost/a", "/a"), ("//localhost/a", "/a")],
        (LikeYarl("ws://localhost/a?b"), "/a?b"),
        (urlsplit("ws://localhost/a?b=c"), "/a?b=c"),
    ],
)
async def test_what_a_url_asks_for(url: Url, path: str, autojump_clock: MockClock) -> None:
    """Whatever `connect` takes; the path as it is, with an empty query (RFC 3986 §6.2.3)."""
    client_end, server_end = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio_h2.serve_stream, WebSocketHandler(echo), server_end, config=OFFERING))
        async with connect_websocket(url, transport=client_end, scheme="ws") as ws:
            assert ws.path == path
            await ws.send_message("hello")
            assert await ws.receive_message() == "hello"
        nursery.cancel_scope.cancel()


async def test_in_one_step_over_a_unix_socket(tmp_path: Path) -> None:
    place = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_unix, WebSocketHandler(echo), place, config=OFFERING)
        await nursery.start(serve)
        async with connect_websocket("ws://localhost/chat", unix_path=place) as ws:
            await ws.send_message("hello")
            assert await ws.receive_message() == "hello"
        nursery.cancel_scope.cancel()


async def test_the_name_that_the_certificate_must_have() -> None:
    authority = ThrowawayAuthority()
    serve = partial(
        trio_h2.serve_ssl_over_tcp,
        *(WebSocketHandler(echo), 0, authority.server_context()),
        host="127.0.0.1",
        config=OFFERING,
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        connect = partial(connect_websocket, f"https://127.0.0.1:{server.port}", ssl_context=authority.client_context())
        async with connect(server_hostname="localhost") as ws:
            assert await ws.ping() > 0
        with pytest.raises(trio_h2.HandshakeError):
            await connect(server_hostname="example.com").__aenter__()
        nursery.cancel_scope.cancel()


async def test_a_block_is_used_once(autojump_clock: MockClock) -> None:
    async with pair(WebSocketHandler(echo), server_config=OFFERING) as (client, _):
        block = open_websocket(client)
        async with block:
            pass
        with pytest.raises(RuntimeError, match="only once"):
            await block.__aenter__()


async def test_in_one_step_over_tls() -> None:
    authority = ThrowawayAuthority()
    serve = partial(
        trio_h2.serve_ssl_over_tcp,
        WebSocketHandler(echo),
        0,
        authority.server_context(),
        host="127.0.0.1",
        config=OFFERING,
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        url = f"wss://127.0.0.1:{server.port}/chat?a=b"
        async with connect_websocket(url, ssl_context=authority.client_context()) as ws:
            assert ws.path == "/chat?a=b"
            await ws.send_message("hello")
            assert await ws.receive_message() == "hello"
        assert ws.close_code == 1000
        with pytest.raises(KeyError):
            async with connect_websocket(url, ssl_context=authority.client_context()):
                raise KeyError
        nursery.cancel_scope.cancel()


async def test_in_one_step_in_cleartext() -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_tcp, WebSocketHandler(echo), 0, host="127.0.0.1", config=OFFERING)
        server: trio_h2.Server = await nursery.start(serve)
        async with connect_websocket(f"ws://127.0.0.1:{server.port}") as ws:
            assert ws.path == "/"
            await ws.send_message("hello")
            assert await ws.receive_message() == "hello"
        with pytest.raises(OSError, match=r"."):
            await connect_websocket("ws://127.0.0.1:1/").__aenter__()
        with pytest.raises(WebSocketRefusedError):
            server_side = f"ws://127.0.0.1:{server.port}"
            await connect_websocket(server_side, headers={"origin": "http://elsewhere"}).__aenter__()
        nursery.cancel_scope.cancel()


# -- the server --------------------------------------------------------------------------------------------------------


async def ask(
    session: trio_h2.ClientSession, headers: dict[str, str], *, protocol: str = "websocket"
) -> trio_h2.Headers:
    """Returns the answer to a handshake."""
    async with session.request("CONNECT", "/chat", headers=headers, protocol=protocol, end_stream=False) as stream:
        return await stream.receive_response()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"sec-websocket-version": "8"}, 400),
        ({"sec-websocket-version": "13, 8"}, 400),
        ({**VERSION, "sec-websocket-protocol": "a b"}, 400),
        ({**VERSION, "sec-websocket-protocol": "a, a"}, 400),
        ({**VERSION, "sec-websocket-extensions": "a b"}, 400),
        ({**VERSION, "sec-websocket-extensions": "x; a; a, permessage-deflate; b; b"}, 200),  # RFC 7692 §7.1: declined
        ({**VERSION, "origin": "https://localhost:1"}, 403),
        ({**VERSION, "origin": "null"}, 403),
        ({**VERSION, "origin": "https://["}, 403),
        ({**VERSION, "origin": "http://localhost"}, 200),
        ({**VERSION, "origin": "https://LOCALHOST"}, 200),
        (VERSION, 200),
    ],
)
async def test_whom_a_server_accepts(headers: dict[str, str], status: int, autojump_clock: MockClock) -> None:
    async with pair(WebSocketHandler(echo), server_config=OFFERING) as (client, _):
        answer = await ask(client, headers)
        assert answer.status == status
        if status == 400 and headers.get("sec-websocket-version") != "13":
            assert answer["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("origin", "scheme", "authority", "own"),
    [
        ("https://a.example", "https", "a.example", True),
        ("https://a.example", "https", "A.example:443", True),
        ("https://a.example", "http", "a.example", True),  # behind a proxy that takes TLS off
        ("http://a.example", "http", "a.example:80", True),
        ("https://a.example:8443", "https", "a.example:8443", True),
        ("https://[::1]", "https", "[::1]:443", True),
        ("http://a.example", "https", "a.example", False),  # anybody on the way can write such a page
        ("http://a.example:443", "https", "a.example:443", False),
        ("https://a.example:8443", "https", "a.example", False),
        ("https://a.example:80", "https", "a.example", False),
        ("https://a.example.evil.example", "https", "a.example", False),
        ("https://b.a.example", "https", "a.example", False),
        ("ftp://a.example", "https", "a.example", False),
        ("null", "https", "", False),
        ("https://", "https", "", False),
    ],
)
def test_own_pages(origin: str, scheme: str, authority: str, own: bool) -> None:
    assert is_own_origin(origin, scheme, authority) is own


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_page_without_tls_is_no_page_of_a_server_with_it(scheme: str, autojump_clock: MockClock) -> None:
    async with pair(WebSocketHandler(echo), server_config=OFFERING) as (client, _):
        headers = {**VERSION, ":scheme": scheme, "origin": "http://localhost"}
        assert (await ask(client, headers)).status == (200 if scheme == "http" else 403)


@pytest.mark.parametrize(
    ("check", "origin", "status"),
    [
        (["https://a.example", "https://B.example/"], "https://A.example", 200),
        (["https://a.example", "https://B.example/"], "https://b.example", 200),
        (["https://a.example"], "http://localhost", 403),
        ([], "http://localhost", 403),
        (lambda origin: origin.endswith(".example"), "https://a.example", 200),
        (lambda origin: origin.endswith(".example"), "http://localhost", 403),
    ],
)
async def test_origins(
    check: list[str] | Callable[[str], bool], origin: str, status: int, autojump_clock: MockClock
) -> None:
    async with pair(WebSocketHandler(echo, check_origin=check), server_config=OFFERING) as (client, _):
        assert (await ask(client, {**VERSION, "origin": origin})).status == status


@pytest.mark.parametrize(
    ("ours", "offered", "chosen"),
    [
        (["a", "b"], "b, a", "a"),
        (["a", "b"], "c, b", "b"),
        (["a"], "b", None),
        (["a"], None, None),
        ([], "a", None),
    ],
)
async def test_subprotocols(
    ours: list[str], offered: str | None, chosen: str | None, autojump_clock: MockClock
) -> None:
    seen: list[str | None] = []

    async def handler(ws: WebSocket) -> None:
        seen.append(ws.subprotocol)

    async with pair(WebSocketHandler(handler, subprotocols=ours), server_config=OFFERING) as (client, _):
        headers = {**VERSION, "sec-websocket-protocol": offered} if offered else VERSION
        assert (await ask(client, headers)).get("sec-websocket-protocol") == chosen
    assert seen == [chosen]


async def test_what_a_handler_knows(autojump_clock: MockClock) -> None:
    known: list[tuple[str, str, str]] = []

    async def handler(ws: WebSocket) -> None:
        known.append((ws.path, ws.headers["x-token"], ws.headers[":authority"]))
        assert ws.config.max_message_size == 5
        assert isinstance(ws.stream, trio_h2.ServerStream)

    handle = WebSocketHandler(handler, headers={"set-cookie": "a=b"}, config=WebSocketConfig(max_message_size=5))
    async with (
        pair(handle, server_config=OFFERING) as (client, _),
        open_websocket(client, "/x?y", headers={"x-token": "1"}) as ws,
    ):
        assert ws.headers["set-cookie"] == ["a=b"]
    assert known == [("/x?y", "1", "localhost")]


async def test_all_other_requests(autojump_clock: MockClock) -> None:
    async def pages(stream: trio_h2.ServerStream) -> None:
        await stream.respond(body=b"a page")

    async with pair(WebSocketHandler(echo), server_config=OFFERING) as (client, _):
        async with client.request("GET") as stream:
            assert (await stream.receive_response()).status == 404
        assert (await ask(client, {}, protocol="connect-udp")).status == 501
        async with client.request("CONNECT", headers={":authority": "a:1"}) as stream:
            assert (await stream.receive_response()).status == 501
    async with pair(WebSocketHandler(echo, fallback=pages), server_config=OFFERING) as (client, _):
        async with client.request("GET") as stream:
            assert await stream.receive_some() == b"a page"
        assert (await ask(client, {}, protocol="connect-udp")).status == 200
        async with open_websocket(client) as ws:
            await ws.send_message("hello")
            assert await ws.receive_message() == "hello"


async def test_a_server_that_forgot_to_offer_it(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with pair(WebSocketHandler(echo), raise_handler_errors=False) as (client, _), client.request("GET") as stream:
        assert (await stream.receive_response()).status == 500
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.exc_info is not None
    assert "ServerConfig(enable_connect_protocol=True)" in str(record.exc_info[1])


async def test_a_handler_that_decides_by_itself(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if not is_websocket(stream):
            await stream.respond(body=b"a page")
        elif stream.path != "/chat":
            await stream.respond(404, end_stream=True)
        else:
            async with accept_websocket(stream, subprotocols=["chat"], headers={"x-room": "1"}) as ws:
                await ws.send_message("welcome")

    async with pair(handler, server_config=OFFERING) as (client, _):
        async with open_websocket(client, "/chat", subprotocols=["chat"]) as ws:
            assert (await ws.receive_message(), ws.subprotocol, ws.headers["x-room"]) == ("welcome", "chat", "1")
        with pytest.raises(WebSocketRefusedError):
            await open_websocket(client, "/other").__aenter__()
        async with client.request("GET") as stream:
            assert await stream.receive_some() == b"a page"


async def test_accepting_what_is_no_websocket(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(WebSocketHandshakeError, match="does not ask for a WebSocket"):
            await accept_websocket(stream).__aenter__()

    async with pair(handler, server_config=OFFERING) as (client, _), client.request("GET") as stream:
        assert (await stream.receive_response()).status == 501
        assert await stream.receive_some() == b"this request does not ask for a WebSocket\n"


def test_wrong_arguments_of_a_handler() -> None:
    wrong: list[tuple[Callable[[], object], type[Exception], str]] = [
        (lambda: WebSocketHandler(None), TypeError, "handler"),  # type: ignore[arg-type]
        (lambda: WebSocketHandler(echo, fallback=1), TypeError, "fallback"),  # type: ignore[arg-type]
        (lambda: WebSocketHandler(echo, subprotocols="a"), TypeError, "subprotocols"),
        (lambda: WebSocketHandler(echo, check_origin="https://a"), TypeError, "check_origin"),
        (lambda: WebSocketHandler(echo, check_origin=[b"x"]), TypeError, "origin"),  # type: ignore[list-item]
        (lambda: WebSocketHandler(echo, headers={":status": "1"}), ValueError, "handshake"),
        (lambda: WebSocketHandler(echo, headers={":authority": "a"}), ValueError, "handshake"),
        (lambda: WebSocketHandler(echo, headers={"Content-Length": "5"}), ValueError, "content-length"),
        (lambda: WebSocketHandler(echo, headers={"connection": "close"}), ValueError, "connection"),
        (lambda: WebSocketHandler(echo, headers={"transfer-encoding": "chunked"}), ValueError, "transfer-encoding"),
        (lambda: accept_websocket("x"), TypeError, "ServerStream"),  # type: ignore[arg-type]
    ]
    for call, kind, word in wrong:
        with pytest.raises(kind, match=word):
            call()


async def test_octets_that_come_with_the_request(autojump_clock: MockClock) -> None:
    """A client need not wait for the answer to send its first frame."""
    async with pair(WebSocketHandler(echo), server_config=OFFERING) as (client, _):
        stream = await client.open_stream("CONNECT", "/", headers=VERSION, protocol="websocket", end_stream=False)
        async with stream:
            wire = Wire(stream, client=True)
            await wire.send(TEXT, "early")
            assert (await stream.receive_response()).status == 200
            await wire.expect(TEXT, "early")
            await wire.close()
            await wire.expect_close(1000)
            await wire.expect_end()
            await wire.send_eof()
