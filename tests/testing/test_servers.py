"""Servers for a test, over TLS and in cleartext: what clients in Python and others get of them."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import urllib.request
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from trio_h2.testing import CuttingStream, ThrowawayAuthority, TrickleStream, plain_server, tls_server

if TYPE_CHECKING:
    from trio_h2 import ServerStream
    from trio_h2.testing import LocalServer


async def hello(stream: ServerStream) -> None:
    await stream.respond(body=f"hello, {stream.path}".encode())


async def who(stream: ServerStream) -> None:
    fields = stream.transport.peer_certificate_fields or {}
    await stream.respond(body=repr([fields.get("subject"), fields.get("subjectAltName")]).encode())


async def get(server: LocalServer, path: str = "/", *, status: int = 200) -> str:
    async with server.connect() as session:
        return await ask(session, path, status=status)


async def ask(session: trio_h2.ClientSession, path: str = "/", *, status: int = 200) -> str:
    async with session.request("GET", path) as stream:
        assert (await stream.receive_response()).status == status
        return await stream.text()


async def test_a_plain_server() -> None:
    async with plain_server(hello) as server:
        assert server.url == f"http://localhost:{server.port}"
        assert server.server.url == server.url
        assert await get(server, "/you") == "hello, /you"
        async with trio_h2.connect(server.url) as session:
            assert await ask(session) == "hello, /"
    with pytest.raises(OSError, match=str(server.port)):
        await trio.open_tcp_stream("localhost", server.port)


async def test_a_tls_server() -> None:
    async with tls_server(hello) as server:
        assert server.url == f"https://localhost:{server.port}"
        assert await get(server, "/you") == "hello, /you"
        context = server.client_ssl_context
        assert context is server.client_ssl_context
        for url in (server.url, f"https://127.0.0.1:{server.port}"):
            async with trio_h2.connect(url, ssl_context=context) as session:
                assert session.transport.alpn_protocol == "h2"
                assert await ask(session) == "hello, /"
        async with trio_h2.connect(server.url, ssl_context=trio_h2.client_ssl_context(ca=server.ca_file)) as session:
            assert await ask(session) == "hello, /"
    assert not server.ca_file.exists()
    assert not server.ca_file.parent.exists()


async def test_nobody_else_trusts_a_tls_server() -> None:
    async with tls_server(hello) as server:
        with pytest.raises(trio_h2.HandshakeError):
            async with trio_h2.connect(server.url):
                pytest.fail("connected")  # pragma: no cover


async def test_an_authority_for_two_servers() -> None:
    authority = ThrowawayAuthority()
    async with tls_server(hello, authority=authority) as one, tls_server(hello, authority=authority) as other:
        assert one.authority is other.authority is authority
        async with trio_h2.connect(other.url, ssl_context=one.client_ssl_context) as session:
            assert await ask(session) == "hello, /"
    with pytest.raises(TypeError, match="authority must be a ThrowawayAuthority, not 'me'"):
        tls_server(hello, authority="me")  # type: ignore[arg-type]


async def test_clients_that_must_show_a_certificate() -> None:
    async with tls_server(who, client_certificates=ssl.CERT_REQUIRED) as server:
        with pytest.raises((trio_h2.HandshakeError, trio_h2.TransportLostError, trio_h2.StreamError)):
            await get(server)
        alice = server.client_certificate("alice")
        bob = server.client_certificate("bob@example.test")
        assert (alice.name, bob.name) == ("alice", "bob@example.test")
        async with trio_h2.connect(server.url, ssl_context=alice.ssl_context) as session:
            text = await ask(session)
        assert "alice" in text
        assert text.endswith("()]"), "a name is no e-mail address"
        async with trio_h2.connect(server.url, ssl_context=bob.ssl_context) as session:
            assert "(('email', 'bob@example.test'),)" in await ask(session)


async def test_clients_that_may_show_a_certificate() -> None:
    async with tls_server(who, client_certificates=ssl.CERT_OPTIONAL) as server:
        assert await get(server) == "[None, None]"
        alice = server.client_certificate("alice")
        async with trio_h2.connect(server.url, ssl_context=alice.ssl_context) as session:
            assert "alice" in await ask(session)
    with pytest.raises(TypeError, match=r"ssl\.CERT_REQUIRED, not 'yes'"):
        tls_server(who, client_certificates="yes")  # type: ignore[arg-type]


async def test_the_files_of_a_client_certificate() -> None:
    async with tls_server(hello) as server:
        odd = server.client_certificate("../a b/ü")
        files = [odd.cert_file, odd.key_file]
        assert [file.name for file in files] == [".._a_b_ü.pem", ".._a_b_ü.key"]
        assert {file.parent for file in files} == {server.ca_file.parent}
        assert stat.S_IMODE(odd.key_file.stat().st_mode) == 0o600
        ssl.create_default_context().load_cert_chain(odd.cert_file, odd.key_file)


async def test_the_environment_of_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING", "else")
    async with plain_server(hello) as plain, tls_server(hello) as server:
        assert plain.environment == {**os.environ, "SERVER_URL": plain.url}
        trust = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        assert server.environment == {
            **os.environ,
            "SERVER_URL": server.url,
            **{name: str(server.ca_file) for name in trust},
        }


async def test_clients_of_http1() -> None:
    def fetch(url: str, context: ssl.SSLContext | None) -> bytes:
        with urllib.request.urlopen(url, context=context) as response:
            body: bytes = response.read()
            return body

    async with plain_server(hello, allow_http1=True) as server:
        assert await trio.to_thread.run_sync(fetch, f"{server.url}/old", None) == b"hello, /old"
    async with tls_server(hello, allow_http1=True) as server:
        context = server.authority.client_context(["http/1.1"])
        assert await trio.to_thread.run_sync(fetch, f"{server.url}/old", context) == b"hello, /old"
        assert await get(server) == "hello, /"
    async with tls_server(hello) as server:
        assert server.authority.server_context is not None
        with pytest.raises(OSError, match=r"(?i)alert|connection"):
            await trio.to_thread.run_sync(fetch, server.url, server.authority.client_context(["http/1.1"]))


async def test_a_faulty_connection() -> None:
    made = []

    def wrap(below: trio.abc.Stream) -> TrickleStream:
        made.append(TrickleStream(below, receive_bytes=100, send_bytes=100))
        return made[-1]

    async with tls_server(hello) as server:
        async with server.connect(wrap=wrap) as session:
            assert await ask(session) == "hello, /"
        assert len(made) == 1
    async with plain_server(hello) as plain:
        with pytest.raises(trio_h2.HandshakeError, match="closed the transport"):
            async with plain.connect(wrap=lambda below: CuttingStream(below, receive_limit=12)) as session:
                await ask(session)


async def test_the_options_of_a_connection() -> None:
    pushes = trio.Event()

    async def take(stream: trio_h2.PushedStream) -> None:
        pushes.set()

    async def pushing(stream: ServerStream) -> None:
        assert isinstance(stream.session, trio_h2.ServerSession)
        assert stream.session.peer_settings.header_table_size == 0
        assert stream.session.peer_settings.max_header_list_size == 9999
        async with await stream.push({":path": "/x"}) as pushed:
            await pushed.respond(body=b"x")
        await stream.respond()

    async with plain_server(pushing) as server:
        config = trio_h2.ClientConfig(max_header_list_size=9999)
        settings = trio_h2.Settings(header_table_size=0)
        async with server.connect(config=config, settings=settings, push_handler=take) as session:
            await ask(session)
            with trio.fail_after(10):
                await pushes.wait()


async def test_the_options_of_a_server() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    settings = trio_h2.Settings(max_concurrent_streams=5)
    async with plain_server(hello, port=port, host="127.0.0.1", settings=settings) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        async with server.connect() as session:
            assert await ask(session) == "hello, /"
            assert session.peer_settings.max_concurrent_streams == 5
    for function in (plain_server, tls_server):
        with pytest.raises(ValueError, match="port"):
            function(hello, port=70_000)
        with pytest.raises(TypeError, match="handler"):
            function(None)  # type: ignore[arg-type]


async def test_what_a_handler_raises_leaves_the_block() -> None:
    async def fails(stream: ServerStream) -> None:
        raise ZeroDivisionError

    for function in (plain_server, tls_server):
        with pytest.raises(ZeroDivisionError):
            async with function(fails) as server:
                assert await get(server, status=500) == ""
        async with function(fails, raise_handler_errors=False) as server:
            assert await get(server, status=500) == ""


async def test_an_error_of_the_body_leaves_the_block_as_it_is() -> None:
    for function in (plain_server, tls_server):
        with pytest.raises(ZeroDivisionError) as caught:
            async with function(hello):
                raise ZeroDivisionError
        assert caught.value.__context__ is None


async def test_a_handler_that_hangs_is_cut_off_after_a_second() -> None:
    """A test is over then; `open_server` would wait for five."""

    async def hangs(stream: ServerStream) -> None:
        await stream.respond(end_stream=False)
        await trio.sleep_forever()

    for function in (plain_server, tls_server):
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                started = trio.Event()
                async with function(hangs) as server:

                    async def hang(server: LocalServer = server, started: trio.Event = started) -> None:
                        async with server.connect() as session, session.request("GET") as stream:
                            await stream.receive_response()
                            started.set()
                            await trio.sleep_forever()

                    nursery.start_soon(hang)
                    await started.wait()
                    begun = trio.current_time()
                assert 0.9 < trio.current_time() - begun < 3
                nursery.cancel_scope.cancel()
