"""What an application is told of a request (ASGI, HTTP and WebSocket specification 2.5)."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, cast

import pytest
import trio

import trio_h2
from tests.asgi.apps import plain, served
from tests.compat.clients import every_version
from tests.http1.client import serving
from trio_h2 import asgi, tunnel
from trio_h2.testing import plain_server, tls_server

if TYPE_CHECKING:
    from tests.asgi.apps import Receive, Scope, Send


class Recorder:
    """An application that keeps its scopes."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        self.scopes.append(scope)
        await plain(scope, receive, send)

    @property
    def last(self) -> Scope:
        """The newest one."""
        return self.scopes[-1]


@every_version
async def test_what_is_in_it(version: str) -> None:
    app = Recorder()
    async with served(version, asgi.handler(app)) as client:
        await client.fetch("GET", "/a%20b/%C3%A9%2F?x=%20&y", headers={"x-one": "1", "accept": "*/*"})
    scope = app.last
    assert {name: scope[name] for name in ("type", "asgi", "http_version", "method", "scheme")} == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "2" if version == "2.0" else "1.1",
        "method": "GET",
        "scheme": "http",
    }
    assert scope["path"] == "/a b/é/"
    assert scope["raw_path"] == b"/a%20b/%C3%A9%2F"
    assert scope["query_string"] == b"x=%20&y"
    assert scope["root_path"] == ""
    assert scope["client"] is None  # in memory
    assert scope["server"] is None
    assert scope["state"] == {}
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    assert headers[0][0] == b"host"
    assert headers[-2:] == [(b"x-one", b"1"), (b"accept", b"*/*")]
    assert not any(name.startswith(b":") for name, _ in headers)


async def test_headers_of_http1_are_in_lower_case_and_in_order() -> None:
    app = Recorder()
    async with serving(asgi.handler(app)) as running:
        await running.client.request("GET /", "X-B: 2", "X-A: 1", "x-b: 3", "Connection: keep-alive")
        await running.client.answer()
    """All of them: ASGI wants "headers exactly as they were provided"."""
    fields = [(b"host", b"example.org"), (b"x-b", b"2"), (b"x-a", b"1"), (b"x-b", b"3"), (b"connection", b"keep-alive")]
    assert app.last["headers"] == fields


async def test_headers_of_http1_are_as_they_were_received() -> None:
    """Twice the same name, and what is about the connection."""
    app = Recorder()
    async with serving(asgi.handler(app)) as running:
        fields = ("Cookie: a=1", "X: y", "Cookie: b=2", "Transfer-Encoding: chunked")
        await running.client.send(
            "\r\n".join(["POST / HTTP/1.1", "X-First: 1", "Host: a.example", *fields, "", "0", "", ""])
        )
        await running.client.answer()
    assert app.last["headers"] == [
        *((b"x-first", b"1"), (b"host", b"a.example"), (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")),
        (b"transfer-encoding", b"chunked"),
    ]


async def test_the_host_of_a_url_takes_the_place_of_the_field() -> None:
    """RFC 9112 §3.2.2."""
    app = Recorder()
    async with serving(asgi.handler(app)) as running:
        await running.client.send("GET http://b.example/x HTTP/1.1\r\nA: b\r\nHost: a.example\r\n\r\n")
        await running.client.answer()
    assert app.last["headers"] == [(b"a", b"b"), (b"host", b"b.example")]


async def test_a_client_of_http10_that_names_no_host() -> None:
    app = Recorder()
    async with serving(asgi.handler(app)) as running:
        await running.client.send("GET / HTTP/1.0\r\n\r\n")
        await running.client.answer()
    assert app.last["headers"] == []
    assert app.last["http_version"] == "1.0"


async def test_cookies_of_http2_are_joined() -> None:
    """RFC 9113 §8.2.3: before they are "passed into […] a generic HTTP server application"."""
    app = Recorder()
    async with trio_h2.open_server(asgi.handler(app)) as server, trio_h2.connect(server.url) as session:
        headers = [("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2")]
        async with session.request("GET", headers=headers) as stream:
            await stream.read()
    told = cast("list[tuple[bytes, bytes]]", app.last["headers"])
    assert told[1:3] == [(b"cookie", b"a=1; b=2"), (b"accept", b"*/*")]


@every_version
async def test_a_root_path_is_in_front_of_the_path(version: str) -> None:
    app = Recorder()
    async with served(version, asgi.handler(app, root_path="/api")) as client:
        await client.fetch("GET", "/users")
    assert [app.last[name] for name in ("root_path", "path", "raw_path")] == ["/api", "/api/users", b"/api/users"]


@every_version
async def test_each_request_has_a_copy_of_the_state(version: str) -> None:
    app = Recorder()
    state: dict[str, object] = {"pool": []}
    async with served(version, asgi.handler(app, state=state)) as client:
        await client.fetch()
        cast("dict[str, object]", app.last["state"])["mine"] = 1
        await client.fetch()
    assert app.last["state"] == {"pool": []}
    assert cast("dict[str, object]", app.last["state"])["pool"] is state["pool"]


async def test_addresses() -> None:
    app = Recorder()
    async with plain_server(asgi.handler(app)) as server, server.connect() as session:
        local = cast("tuple[str, int]", session.transport.local_address)
        peer = cast("tuple[str, int]", session.transport.peer_address)
        async with session.request("GET") as stream:
            await stream.read()
    assert app.last["client"] == local[:2]
    assert app.last["server"] == peer[:2]
    assert "tls" not in cast("Scope", app.last["extensions"])


async def test_a_unix_socket(tmp_path: object) -> None:
    app = Recorder()
    path = f"{tmp_path}/socket"
    async with trio_h2.open_server(asgi.handler(app), path=path):
        transport = await trio.open_unix_socket(path)
        async with (
            trio_h2.connect("http://localhost", transport=transport) as session,
            session.request("GET") as stream,
        ):
            await stream.read()
    assert (app.last["client"], app.last["server"]) == (None, (path, None))


async def test_a_trusted_proxy_tells_the_client() -> None:
    app = Recorder()
    config = trio_h2.ServerConfig(trusted_proxies=("127.0.0.1", "::1"))
    headers = {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}
    async with (
        trio_h2.open_server(asgi.handler(app), config=config) as server,
        trio_h2.connect(server.url) as session,
        session.request("GET", headers=headers) as stream,
    ):
        await stream.read()
    assert (app.last["client"], app.last["scheme"]) == (("192.0.2.7", 0), "https")


@pytest.mark.parametrize("certificate", [False, True])
async def test_what_tls_tells(*, certificate: bool) -> None:
    app = Recorder()
    async with tls_server(asgi.handler(app), client_certificates=ssl.CERT_OPTIONAL) as server:
        if certificate:
            shown = server.client_certificate("Ann, the first")
            server.client_ssl_context.load_cert_chain(shown.cert_file, shown.key_file)
        async with server.connect() as session:
            version, cipher = session.transport.tls_version, session.transport.cipher
            async with session.request("GET") as stream:
                await stream.read()
    told = cast("Scope", cast("Scope", app.last["extensions"])["tls"])
    assert app.last["scheme"] == "https"
    assert (version, told["tls_version"]) == ("TLSv1.3", 0x0304)
    assert cipher is not None
    suites = {
        "TLS_AES_128_GCM_SHA256": 0x1301,
        "TLS_AES_256_GCM_SHA384": 0x1302,
        "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    }
    assert told["cipher_suite"] == suites[cipher[0]]
    assert told["server_cert"] is told["client_cert_error"] is None
    chain = cast("tuple[str, ...]", told["client_cert_chain"])
    if certificate:
        assert len(chain) == 1
        assert ssl.PEM_cert_to_DER_cert(chain[0])
        assert "CN=Ann\\, the first" in str(told["client_cert_name"])
    else:
        assert (chain, told["client_cert_name"]) == ((), None)


async def test_connect_is_not_spoken() -> None:
    app = Recorder()
    async with trio_h2.open_server(asgi.handler(app)) as server, trio_h2.connect(server.url) as session:
        with pytest.raises(tunnel.TunnelRefusedError) as refused:
            async with tunnel.open_tunnel(session, "example.org:80"):
                pass
    assert refused.value.status == 501
    assert app.scopes == []


async def wsgi(environ: object, start_response: object) -> None:
    """Has the arguments of something else."""


async def stream_handler(stream: object) -> None:
    """Has the argument of a handler."""


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (None, "app must be an ASGI application, not None"),
        (wsgi, "three arguments, scope, receive and send.*WSGI"),
        (stream_handler, "a handler of streams needs no adapter"),
        (Recorder, "if it makes an application, call it first"),
    ],
)
def test_what_is_no_application(app: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        asgi.handler(cast("asgi.Application", app))


@pytest.mark.parametrize("path", ["api", "/api/", "/", "/é"])
def test_a_wrong_root_path(path: str) -> None:
    with pytest.raises(ValueError, match="root_path must be empty or begin with a slash"):
        asgi.handler(plain, root_path=path)


def test_a_root_path_that_is_no_text() -> None:
    with pytest.raises(TypeError, match="root_path must be a str, not b'/api'"):
        asgi.handler(plain, root_path=cast("str", b"/api"))


def test_a_wrong_message_size() -> None:
    with pytest.raises(ValueError, match="max_message_size"):
        asgi.handler(plain, max_message_size=0)


async def test_many_at_once_have_scopes_of_their_own(autojump_clock: trio.testing.MockClock) -> None:
    app = Recorder()
    async with served("2.0", asgi.handler(app)) as client, trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(client.fetch, "GET", f"/{number}")
    assert sorted(str(scope["path"]) for scope in app.scopes) == [f"/{number}" for number in range(10)]
    assert len({id(scope["extensions"]) for scope in app.scopes}) == 10
