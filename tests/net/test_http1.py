"""Servers that speak both versions on one port: which one, how many connections, and how they end."""

from __future__ import annotations

import contextlib
import json
import logging
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener, forever, get, hello
from trio_h2 import HandshakeError, Server, ServerConfig, UnknownProtocolError, connect, serve_listeners
from trio_h2.testing import CuttingStream, GoAwayFrame, ScriptedPeer, ThrowawayAuthority, memory_transports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trio.testing import MockClock

    from trio_h2 import ServerSession, ServerStream

Log = pytest.LogCaptureFixture
Reports = list[tuple["ServerSession | None", Exception]]


@pytest.fixture(scope="session")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


async def versions(exchange: trio_h2.ServerExchange) -> None:
    """Tells what was spoken, whatever it was."""
    told = {"alpn": exchange.transport.alpn_protocol, "version": exchange.http_version}
    await exchange.respond({"content-type": "application/json"}, body=json.dumps(told).encode())


async def tls(
    authority: ThrowawayAuthority, transport: trio.abc.Stream, alpn: Sequence[str]
) -> trio.SSLStream[trio.abc.Stream]:
    context = authority.client_context(alpn=tuple(alpn))
    return trio.SSLStream(transport, context, server_hostname="localhost", https_compatible=True)


# -- which version -------------------------------------------------------------------------------------------------


@pytest.mark.parity("A3")
async def test_one_handler_for_both_over_tls(authority: ThrowawayAuthority) -> None:
    listener = MemoryListener()
    context = authority.server_context(alpn=("h2", "http/1.1"))
    serve = partial(serve_listeners, versions, [listener], ssl_context=context, allow_http1=True)
    told = []
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        told.append(await get("https://localhost", listener.connect(), authority.client_context()))
        for alpn in (["http/1.1"], []):
            client = RawClient(await tls(authority, listener.connect(), alpn))
            await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
            told.append((await client.answer()).body)
            await client.transport.aclose()
        client = RawClient(await tls(authority, listener.connect(), ["http/1.1"]))
        await client.send(f"GET / HTTP/1.0\r\n{HOST}\r\n")
        told.append((await client.answer()).body)
        await client.transport.aclose()
        await server.aclose()
    assert [json.loads(one) for one in told] == [
        {"alpn": "h2", "version": "2.0"},
        {"alpn": "http/1.1", "version": "1.1"},
        {"alpn": None, "version": "1.1"},
        {"alpn": "http/1.1", "version": "1.0"},
    ]


@pytest.mark.parity("A3")
async def test_it_is_off_by_default(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_listeners, versions, [listener])
        async with ScriptedPeer(listener.connect(), client=True) as peer:
            await peer.send_bytes(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await peer.until(GoAwayFrame)
        await server.aclose()


@pytest.mark.parity("A3")
async def test_both_on_one_cleartext_port() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(trio_h2.serve_tcp, versions, 0, allow_http1=True))
        assert json.loads(await get(server.urls[0])) == {"alpn": "h2c", "version": "2.0"}
        client = RawClient(await trio.open_tcp_stream("localhost", server.port))
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert json.loads((await client.answer()).body) == {"alpn": None, "version": "1.1"}
        (connection,) = server.http1_connections
        assert server.sessions == []
        assert connection.transport.peer_address is not None
        assert repr(connection).startswith("<Http1Connection ")
        await client.transport.aclose()
        await server.aclose()
    assert server.http1_connections == []


@pytest.mark.parity("A3")
async def test_both_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(trio_h2.serve_unix, versions, path, allow_http1=True))
        async with connect("http://localhost", unix_path=path) as session, session.request("GET") as stream:
            assert json.loads(await stream.receive_some())["version"] == "2.0"
        client = RawClient(await trio.open_unix_socket(path))
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert json.loads((await client.answer()).body)["version"] == "1.1"
        await client.transport.aclose()
        await server.aclose()


@pytest.mark.parity("A3")
async def test_a_context_for_both(authority: ThrowawayAuthority, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.write_server(cert, key)
    context = trio_h2.server_ssl_context(cert, key, allow_http1=True)
    listener = MemoryListener()
    serve = partial(serve_listeners, versions, [listener], ssl_context=context, allow_http1=True)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        client = RawClient(await tls(authority, listener.connect(), ["http/1.1"]))
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert json.loads((await client.answer()).body) == {"alpn": "http/1.1", "version": "1.1"}
        await client.transport.aclose()
        assert (
            json.loads(await get("https://localhost", listener.connect(), authority.client_context()))["alpn"] == "h2"
        )
        await server.aclose()


@pytest.mark.parity("A3")
async def test_what_a_context_offers_is_what_is_served(authority: ThrowawayAuthority, tmp_path: Path) -> None:
    """Else browsers and others that choose HTTP/1.1 would be dropped one by one."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.write_server(cert, key)
    both, one = (trio_h2.server_ssl_context(cert, key, allow_http1=allow) for allow in (True, False))
    listener = MemoryListener()
    with pytest.raises(ValueError, match=r"offers HTTP/1\.1, which is not served: .*allow_http1=True"):
        await serve_listeners(hello, [listener], ssl_context=both)
    with pytest.raises(ValueError, match=r"the ssl_context must offer HTTP/1\.1, too"):
        await serve_listeners(hello, [listener], ssl_context=one, allow_http1=True)
    with pytest.raises(ValueError, match=r"offers HTTP/1\.1"):
        await trio_h2.serve_ssl_over_tcp(hello, 0, both)
    with pytest.raises(ValueError, match=r"must offer HTTP/1\.1"):
        await trio_h2.serve_ssl_over_tcp(hello, 0, one, allow_http1=True)

    async def other(stream: trio.SSLStream[trio.abc.Stream]) -> None:
        await stream.send_all(b"HTTP/1.1 by another")

    async with trio.open_nursery() as nursery:  # somebody else may serve it
        serve = partial(serve_listeners, hello, [listener], ssl_context=both, on_unknown_protocol=other)
        server: Server = await nursery.start(serve)
        stream = await tls(authority, listener.connect(), ["http/1.1"])
        await stream.do_handshake()
        assert await stream.receive_some() == b"HTTP/1.1 by another"
        await server.aclose()


async def test_a_context_for_many_names_is_taken_at_its_word(authority: ThrowawayAuthority) -> None:
    """It may offer HTTP/1.1 for some names only."""
    context = authority.server_context()
    context.sni_callback = lambda stream, name, context: None
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_listeners, hello, [listener], ssl_context=context, allow_http1=True)
        server: Server = await nursery.start(serve)
        await server.aclose()


@pytest.mark.parametrize("alpn", ["http/1.1", "acme/1"])
async def test_one_stream_of_another_protocol(alpn: str, authority: ThrowawayAuthority) -> None:
    """`serve_stream` with a handshake that is done: what was agreed on is not served."""
    ours, theirs = memory_transports()
    server_side: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
        theirs, authority.server_context(alpn=(alpn,)), server_side=True, https_compatible=True
    )
    client = await tls(authority, ours, [alpn])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.do_handshake)
        nursery.start_soon(server_side.do_handshake)
    with pytest.raises(UnknownProtocolError, match=alpn):
        await trio_h2.serve_stream(hello, server_side)
    assert await client.receive_some() == b""


@pytest.mark.parametrize("said", [b"", b"PRI * HT"])
async def test_a_client_that_says_too_little(said: bytes, autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    reports: Reports = []
    serve = partial(
        serve_listeners,
        hello,
        [listener],
        allow_http1=True,
        config=ServerConfig(handshake_timeout=5),
        on_session_error=lambda session, error: reports.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        client = RawClient(listener.connect())
        await client.send(said)
        start = trio.current_time()
        await client.expect_end()
        assert trio.current_time() - start == pytest.approx(5)
        client = RawClient(listener.connect())
        await client.send(said)
        await client.send_eof()
        await client.expect_end()
        assert trio.current_time() - start == pytest.approx(5)
        await server.aclose()
    assert [(session, type(error)) for session, error in reports] == [(None, HandshakeError)] * 2


@pytest.mark.parametrize("reset", [True, False])
async def test_over_tls_a_client_that_closes_has_left(
    reset: bool, authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    """TLS streams are never half-closed, so the handler is cancelled, and its place is free."""
    listener = MemoryListener()
    ended: list[str] = []
    reports: Reports = []

    async def handler(stream: ServerStream) -> None:
        try:
            await trio.sleep(100)
            ended.append("returned")
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    serve = partial(
        serve_listeners,
        handler,
        [listener],
        ssl_context=authority.server_context(alpn=("h2", "http/1.1")),
        allow_http1=True,
        cancel_handler_on_reset=reset,
        on_session_error=lambda session, error: reports.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        client = RawClient(await tls(authority, listener.connect(), ["http/1.1"]))
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await client.transport.aclose()
        await trio.sleep(1)
        assert ended == (["cancelled"] if reset else [])
        await trio.sleep(200)
        assert ended == (["cancelled"] if reset else ["returned"])
        await server.aclose()
    assert [type(error) for _, error in reports] == [trio_h2.TransportLostError]


async def test_over_tls_an_early_answer_is_seen(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    """The alert ends the response at once, for nothing in it told of the end; what the client still sends is read."""
    listener = MemoryListener()
    context = authority.server_context(alpn=("h2", "http/1.1"))
    serve = partial(serve_listeners, hello, [listener], ssl_context=context, allow_http1=True)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        client = RawClient(await tls(authority, listener.connect(), ["http/1.1"]))
        await client.send(f"POST / HTTP/1.1\r\n{HOST}content-length: 1000000000\r\n\r\n")
        start = trio.current_time()
        assert (await client.answer()).body == b"hello"
        for _ in range(8):
            await client.send(bytes(100_000))
            await trio.sleep(0.5)
        await client.expect_end()
        assert trio.current_time() - start == pytest.approx(4, abs=0.1)  # 5 s, to linger, have begun after 1
        await server.aclose()


async def test_a_client_that_breaks_before_it_says_anything(autojump_clock: MockClock) -> None:
    reports: Reports = []
    wires: list[CuttingStream] = []

    class Cutting(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            wires.append(CuttingStream(await super().accept(), error=True))
            return wires[-1]

    listener = Cutting()
    serve = partial(
        serve_listeners,
        hello,
        [listener],
        allow_http1=True,
        on_session_error=lambda session, error: reports.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        listener.connect()
        await trio.testing.wait_all_tasks_blocked()
        await wires[0].cut()
        await trio.sleep(1)
        await server.aclose()
    assert [type(error) for _, error in reports] == [HandshakeError]


# -- neither -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("F3", "H11")
@pytest.mark.parametrize(
    ("alpn", "allow_http1"), [(["acme/1"], True), (["acme/1"], False), (["http/1.1"], False), ([], False)]
)
async def test_the_hook_for_other_protocols(
    alpn: list[str], allow_http1: bool, authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    listener = MemoryListener()
    reports: Reports = []

    async def hook(stream: trio.SSLStream[trio.abc.Stream]) -> None:
        assert isinstance(stream, trio.SSLStream)
        await stream.send_all(b"you said " + await stream.receive_some())

    serve = partial(
        serve_listeners,
        hello,
        [listener],
        ssl_context=authority.server_context(alpn=("h2", "http/1.1", "acme/1") if allow_http1 else ("h2",)),
        allow_http1=allow_http1,
        on_unknown_protocol=hook,
        on_session_error=lambda session, error: reports.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        stream = await tls(authority, listener.connect(), alpn)
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"you said hello"
        assert await stream.receive_some() == b""  # closed when the hook returns
        assert await get("https://localhost", listener.connect(), authority.client_context()) == b"hello"
        await server.aclose()
    assert reports == []


@pytest.mark.parity("F3", "H11")
async def test_a_hook_that_takes_too_long(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    assert ServerConfig().unknown_protocol_timeout == 10

    async def hook(stream: trio.SSLStream[trio.abc.Stream]) -> None:
        await trio.sleep_forever()

    serve = partial(
        serve_listeners, hello, [listener], ssl_context=authority.server_context(), on_unknown_protocol=hook
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        for grace in (None, 4):
            stream = await tls(authority, listener.connect(), [])
            await stream.do_handshake()
            await trio.testing.wait_all_tasks_blocked()
            start = trio.current_time()
            if grace is None:
                assert await stream.receive_some() == b""
                assert trio.current_time() - start == pytest.approx(10)
            else:
                await server.aclose(grace)
                assert trio.current_time() - start == pytest.approx(4)


@pytest.mark.parity("F3")
async def test_a_hook_that_raises(authority: ThrowawayAuthority, autojump_clock: MockClock, caplog: Log) -> None:
    listener = MemoryListener()
    reports: Reports = []

    async def hook(stream: trio.SSLStream[trio.abc.Stream]) -> None:
        raise ZeroDivisionError

    serve = partial(
        serve_listeners,
        hello,
        [listener],
        ssl_context=authority.server_context(),
        on_unknown_protocol=hook,
        on_session_error=lambda session, error: reports.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        stream = await tls(authority, listener.connect(), [])
        await stream.do_handshake()
        assert await stream.receive_some() == b""
        assert await get("https://localhost", listener.connect(), authority.client_context()) == b"hello"
        await server.aclose()
    assert [type(error) for _, error in reports] == [ZeroDivisionError]
    assert caplog.records[-1].levelno == logging.ERROR


@pytest.mark.parity("F3")
async def test_without_a_hook_they_are_closed(authority: ThrowawayAuthority, autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    reports: Reports = []
    serve = partial(
        serve_listeners,
        hello,
        [listener],
        ssl_context=authority.server_context(alpn=("h2", "http/1.1", "acme/1")),
        allow_http1=True,
        on_session_error=lambda session, error: reports.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        stream = await tls(authority, listener.connect(), ["acme/1"])
        await stream.do_handshake()
        assert await stream.receive_some() == b""
        await server.aclose()
    assert [(session, type(error)) for session, error in reports] == [(None, UnknownProtocolError)]


@pytest.mark.parametrize("argument", ["on_unknown_protocol", "on_session"])
async def test_hooks_are_functions(argument: str) -> None:
    with pytest.raises(TypeError, match=argument):
        await serve_listeners(hello, [MemoryListener()], **{argument: 7})  # type: ignore[arg-type]  # that is the point


# -- how many ------------------------------------------------------------------------------------------------------


async def test_max_connections(autojump_clock: MockClock) -> None:
    """Further ones wait, unanswered and unharmed, until one of the others has ended."""
    first, second = MemoryListener(), MemoryListener()
    serve = partial(serve_listeners, hello, [first, second], allow_http1=True, config=ServerConfig(max_connections=2))
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        clients = [RawClient(listener.connect()) for listener in (first, second, first, second, first)]
        for client in clients:
            await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert len(server.http1_connections) == 2
        served = 0
        while clients:
            ready = [client for client in clients if client.transport.unread]  # type: ignore[attr-defined]  # MemoryTransport
            assert len(ready) == min(2, len(clients))
            for client in ready:
                assert (await client.answer()).body == b"hello"
                await client.transport.aclose()
                clients.remove(client)
                served += 1
            await trio.testing.wait_all_tasks_blocked()
        assert served == 5
        await server.aclose()


async def test_those_that_wait_do_not_hold_the_end_up(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    serve = partial(serve_listeners, forever, [listener], allow_http1=True, config=ServerConfig(max_connections=1))
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        clients = [RawClient(listener.connect()) for _ in range(3)]
        for client in clients:
            await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert len(server.http1_connections) == 1
        await server.aclose(0)
    assert listener.closed


async def test_a_limit_that_is_none() -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match="max_connections"):
            ServerConfig(max_connections=value)
    with pytest.raises(TypeError, match="max_connections"):
        ServerConfig(max_connections=1.5)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ValueError, match="unknown_protocol_timeout"):
        ServerConfig(unknown_protocol_timeout=-1)


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("F1")
async def test_bad_connections_touch_no_other(autojump_clock: MockClock, caplog: Log) -> None:
    listener = MemoryListener()
    reports: Reports = []

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/bug":
            raise ZeroDivisionError
        await stream.receive_trailers()
        await stream.respond(body=b"hello")

    serve = partial(
        serve_listeners,
        handler,
        [listener],
        allow_http1=True,
        on_session_error=lambda session, error: reports.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        good = RawClient(listener.connect())
        await good.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert (await good.answer()).body == b"hello"
        for text, status in (("nonsense\r\n\r\n", 400), (f"GET /bug HTTP/1.1\r\n{HOST}\r\n", 500)):
            bad = RawClient(listener.connect())
            await bad.send(text)
            assert (await bad.answer()).status == status
            await bad.transport.aclose()
        bad = RawClient(listener.connect())
        await bad.send(f"POST / HTTP/1.1\r\n{HOST}content-length: 5\r\n\r\nabc")
        await bad.transport.aclose()
        bad = RawClient(listener.connect())
        await bad.send(f"POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n?\r\n")
        assert (await bad.answer()).status == 400
        await bad.transport.aclose()
        assert await get("http://localhost", listener.connect()) == b"hello"
        await good.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert (await good.answer()).body == b"hello"
        await good.transport.aclose()
        await server.aclose()
    kinds = [(session, type(error).__name__) for session, error in reports]
    assert sorted(kinds, key=str) == [(None, "RemoteProtocolError"), (None, "TransportLostError")]


@pytest.mark.parity("F4")
async def test_stop_accepting_lets_connections_go_on(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    served: list[bool] = []

    async def serve(*, task_status: trio.TaskStatus[Server]) -> None:
        await serve_listeners(hello, [listener], allow_http1=True, task_status=task_status)
        served.append(True)

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        async with connect("http://localhost", transport=listener.connect()) as session:
            await session.ping()
            client = RawClient(listener.connect())
            await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
            assert (await client.answer()).status == 200
            server.stop_accepting()
            server.stop_accepting()
            await trio.testing.wait_all_tasks_blocked()
            assert listener.closed
            for _ in range(3):  # new streams and requests on old connections
                async with session.request("GET") as stream:
                    assert await stream.receive_some() == b"hello"
                await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
                assert "connection" not in (await client.answer()).headers
            assert not session.draining
        await client.transport.aclose()
        await trio.sleep(1)
        assert served == [True]
        await server.aclose()


@pytest.mark.parity("F4")
async def test_a_graceful_end_of_both_kinds(autojump_clock: MockClock) -> None:
    """Idle connections end when no other request comes; the others with their current one."""
    listener = MemoryListener()
    go = trio.Event()

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/wait":
            await go.wait()
        await stream.respond(body=b"hello")

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_listeners, handler, [listener], allow_http1=True))
        idle, busy = RawClient(listener.connect()), RawClient(listener.connect())
        await idle.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        await idle.answer()
        await busy.send(f"GET /wait HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        server.shutdown()
        await idle.expect_end()
        assert trio.current_time() - start == pytest.approx(1)
        assert [connection.draining for connection in server.http1_connections] == [True] * 2
        go.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        await busy.expect_end()
        await trio.sleep(2)
        assert server.http1_connections == []


@pytest.mark.parametrize("over_tls", [False, True])
async def test_a_client_in_its_handshake_gets_an_answer(
    over_tls: bool, authority: ThrowawayAuthority, autojump_clock: MockClock
) -> None:
    """A server that is shut down has accepted the connection, and the client believes that it is served."""
    listener = MemoryListener()
    context = authority.server_context(alpn=("h2", "http/1.1")) if over_tls else None
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            partial(serve_listeners, hello, [listener], ssl_context=context, allow_http1=True)
        )
        transport: trio.abc.Stream = listener.connect()
        slow = listener.connect()
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        server.shutdown()
        await trio.sleep(0.5)
        if over_tls:
            transport = await tls(authority, transport, ["http/1.1"])
        client = RawClient(transport)
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        await client.expect_end()
        with contextlib.suppress(trio.BrokenResourceError):
            await RawClient(slow).expect_end()  # it has said nothing
        assert trio.current_time() - start == pytest.approx(1)


async def test_aclose_ends_handshakes_with_its_grace(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    config = ServerConfig(last_request_timeout=60)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            partial(serve_listeners, hello, [listener], config=config, allow_http1=True)
        )
        client = RawClient(listener.connect())
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await server.aclose(2)
        assert trio.current_time() - start == pytest.approx(2)
        await client.expect_end()


@pytest.mark.parity("F4")
async def test_the_grace_ends(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_listeners, forever, [listener], allow_http1=True))
        client = RawClient(listener.connect())
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await server.aclose(6)
        assert trio.current_time() - start == pytest.approx(6)
        await client.expect_end()


async def test_aclose_in_a_handler(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    servers: list[Server] = []

    async def handler(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inner)
        await stream.respond(body=b"bye")

    async def inner() -> None:
        with pytest.raises(RuntimeError, match="shutdown"):
            await servers[0].aclose()
        servers[0].shutdown()

    async with trio.open_nursery() as nursery:
        servers.append(await nursery.start(partial(serve_listeners, handler, [listener], allow_http1=True)))
        client = RawClient(listener.connect())
        await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert (await client.answer()).body == b"bye"
        await client.transport.aclose()


@pytest.mark.parity("F5")
async def test_a_new_idle_timeout_is_for_new_connections(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    serve = partial(serve_listeners, hello, [listener], allow_http1=True, config=ServerConfig(idle_timeout=50))
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        assert server.idle_timeout == 50
        start = trio.current_time()
        ends: list[tuple[str, float]] = []

        async def http1(name: str) -> None:
            client = RawClient(listener.connect())
            await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
            await client.answer()
            await client.rest()
            ends.append((name, trio.current_time() - start))
            await client.transport.aclose()

        async def http2(name: str) -> None:
            async with connect("http://localhost", transport=listener.connect()) as session:
                await session.wait_draining()
                ends.append((name, trio.current_time() - start))

        async with trio.open_nursery() as clients:
            clients.start_soon(http1, "old 1")
            clients.start_soon(http2, "old 2")
            await trio.testing.wait_all_tasks_blocked()
            server.idle_timeout = 20
            clients.start_soon(http1, "new 1")
            clients.start_soon(http2, "new 2")
            await trio.testing.wait_all_tasks_blocked()
            server.idle_timeout = 0
            assert server.idle_timeout == float("inf")
            server.idle_timeout = None
            assert server.idle_timeout == float("inf")
            with pytest.raises(ValueError, match="idle_timeout"):
                server.idle_timeout = -1
        await server.aclose()
    assert [name for name, _ in sorted(ends)] == ["new 1", "new 2", "old 1", "old 2"]
    assert [seconds for _, seconds in sorted(ends)] == pytest.approx([20, 20, 50, 50])
