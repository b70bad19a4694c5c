"""`serve_*` and `Server`: listening, isolation of connections, and the end."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.net.serving import MemoryListener, get, hello
from trio_h2 import (
    ClientConfig,
    HandshakeError,
    RemoteProtocolError,
    Server,
    ServerConfig,
    ServerSession,
    TransportLostError,
    UnknownProtocolError,
    connect,
    serve_listeners,
    serve_ssl_over_tcp,
    serve_stream,
    serve_tcp,
    serve_unix,
)
from trio_h2.testing import (
    CuttingStream,
    GoAwayFrame,
    ScriptedPeer,
    ThrowawayAuthority,
)

if TYPE_CHECKING:
    from pathlib import Path

    from trio_h2 import ServerStream

Log = pytest.LogCaptureFixture
Reports = list[tuple[ServerSession | None, Exception]]


@pytest.fixture(scope="session")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


# -- listening -----------------------------------------------------------------------------------------------------


@pytest.mark.parity("A1")
async def test_a_server_and_its_properties() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_tcp, hello, 0)
        assert server.port > 0
        assert server.urls == [f"http://localhost:{server.port}"]
        assert all(isinstance(listener, trio.SocketListener) for listener in server.listeners)
        hosts = {listener.socket.getsockname()[0] for listener in server.listeners}  # type: ignore[attr-defined]  # just checked
        assert hosts <= {"127.0.0.1", "::1"}  # nobody else can reach it by default
        assert server.sessions == []
        assert await get(server.urls[0]) == b"hello"
        port = server.port
        await server.aclose()
        assert server.port == port  # even now


async def test_port_0_is_one_port_for_all_addresses() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_tcp, hello, 0, host=None))
        ports = {listener.socket.getsockname()[1] for listener in server.listeners}  # type: ignore[attr-defined]  # TCP
        assert ports == {server.port}
        assert server.urls == [f"http://localhost:{server.port}"]
        await server.aclose()


async def test_a_free_port_that_is_taken_on_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the next one is tried, and no socket is left open."""
    really_open = trio.open_tcp_listeners
    sockets: list[trio.socket.SocketType] = []
    asked: list[int] = []

    async def open_two(port: int, *, host: object, backlog: object) -> list[trio.SocketListener]:
        asked.append(port)
        if port and len(asked) < 5:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        listeners = [*await really_open(port, host="127.0.0.1"), *await really_open(0, host="127.0.0.1")]
        sockets.extend(listener.socket for listener in listeners)
        return listeners

    monkeypatch.setattr(trio, "open_tcp_listeners", open_two)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_tcp, hello, 0)
        assert [bool(port) for port in asked] == [False, True, False, True, False, True]
        assert asked[-1] == server.port
        assert sum(sock.fileno() != -1 for sock in sockets) == 2
        await server.aclose()


async def test_a_port_that_stays_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = trio.open_tcp_listeners

    async def open_two(port: int, *, host: object, backlog: object) -> list[trio.SocketListener]:
        if port:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return [listener for _ in range(2) for listener in await really_open(0, host="127.0.0.1")]

    monkeypatch.setattr(trio, "open_tcp_listeners", open_two)
    with pytest.raises(OSError, match="in use"):
        await serve_tcp(hello, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", b"127.0.0.1"])
async def test_urls_name_the_host(host: str | bytes, authority: ThrowawayAuthority) -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            partial(serve_ssl_over_tcp, hello, 0, authority.server_context(), host=host)
        )
        assert server.urls == [f"https://127.0.0.1:{server.port}"]
        await server.aclose()


async def test_a_port_in_use() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_tcp, hello, 0, host="127.0.0.1"))
        with pytest.raises(OSError, match="in use") as caught:
            await serve_tcp(hello, server.port, host="127.0.0.1")
        assert caught.value.errno == errno.EADDRINUSE
        await server.aclose()


@pytest.mark.parity("A2")
async def test_a_context_without_http2_is_refused_before_listening(authority: ThrowawayAuthority) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ValueError, match="set_alpn_protocols"):  # not OSError: nothing was bound yet
            await serve_ssl_over_tcp(hello, taken.getsockname()[1], authority.server_context(alpn=()), host="127.0.0.1")
    with pytest.raises(ValueError, match="set_alpn_protocols"):
        await serve_listeners(hello, [MemoryListener()], ssl_context=authority.server_context(alpn=("http/1.1",)))
    with pytest.raises(TypeError, match="ssl_context"):
        await serve_ssl_over_tcp(hello, 0, "cert.pem")  # type: ignore[arg-type]  # that is the point


async def test_wrong_types() -> None:
    async def app(_request: object, _response: object) -> None: ...

    with pytest.raises(TypeError, match=r"the stream, unlike .*: trio_h2\.compat\.request_handler"):
        await serve_tcp(app, 0)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="handler"):
        await serve_tcp("hello", 0)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="config"):
        await serve_tcp(hello, 0, config=ClientConfig())  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="transport"):
        await serve_stream(hello, "stream")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="on_session"):
        await serve_tcp(hello, 0, on_session=7)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="on_session_error"):
        await serve_tcp(hello, 0, on_session_error=7)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="port"):
        await serve_tcp(hello, True)


@pytest.mark.parametrize("port", [-1, 65_536])
async def test_ports_that_do_not_exist(port: int, authority: ThrowawayAuthority) -> None:
    with pytest.raises(ValueError, match=rf"0\.\.65535, not {port}"):
        await serve_tcp(hello, port)
    with pytest.raises(ValueError, match=rf"0\.\.65535, not {port}"):
        await serve_ssl_over_tcp(hello, port, authority.server_context())


async def test_the_mode_of_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve_unix, hello, path, mode=0o600))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.unlink()
        path.write_bytes(b"another server's")
        await server.aclose()
    assert path.read_bytes() == b"another server's"
    with pytest.raises(ValueError, match=r"mode must be in 0\.\.511"):
        await serve_unix(hello, tmp_path / "other.sock", mode=0o1777)


async def test_unix_sockets(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_unix, hello, path)
        assert server.urls == [f"unix:{path}"]
        with pytest.raises(RuntimeError, match="TCP"):
            _ = server.port
        with pytest.raises(OSError, match="in use"):
            await serve_unix(hello, path)
        assert path.exists()  # the other server's is still there
        async with connect("http://localhost", unix_path=path) as session, session.request("GET") as stream:
            assert await stream.receive_some() == b"hello"
            assert [repr(session) for session in server.sessions] == ["<ServerSession a Unix socket>"]
        nursery.cancel_scope.cancel()
    assert not path.exists()


@pytest.mark.parity("A1", "A2")
async def test_listeners_of_ones_own(authority: ThrowawayAuthority) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            partial(serve_listeners, hello, [listener], ssl_context=authority.server_context())
        )
        assert server.urls == []
        context = authority.client_context()
        assert await get("https://localhost", listener.connect(), context) == b"hello"
        await server.aclose()
    assert listener.closed


async def test_running_out_of_descriptors_is_survived(caplog: Log, autojump_clock: object) -> None:
    """With a pause after each try, and one line in the log for each time that it begins."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_listeners, hello, [listener])
        for _ in range(2):
            start = trio.current_time()
            for code in (errno.EMFILE, errno.ENFILE, errno.EMFILE):
                listener.fail(OSError(code, os.strerror(code)))
            assert await get("http://localhost", listener.connect()) == b"hello"
            assert trio.current_time() - start == pytest.approx(0.3)
        await server.aclose()
    told = [record for record in caplog.records if "can be accepted" in record.getMessage()]
    assert [(record.name, record.levelno) for record in told] == [("trio_h2.server", logging.ERROR)] * 2


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM])
async def test_connections_that_are_gone_before_they_are_accepted(code: int, caplog: Log) -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_listeners, hello, [listener])
        listener.fail(OSError(code, os.strerror(code)))
        assert await get("http://localhost", listener.connect()) == b"hello"
        await server.aclose()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_listener_that_is_broken_for_good() -> None:
    listener = MemoryListener()
    listener.fail(OSError(errno.EBADF, os.strerror(errno.EBADF)))
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        await serve_listeners(hello, [listener])
    assert listener.closed


# -- one connection never touches another --------------------------------------------------------------------------


@pytest.mark.parity("F1")
async def test_bad_connections_are_reported_and_nothing_else(caplog: Log, autojump_clock: object) -> None:
    listener = MemoryListener()
    reports: Reports = []

    def report(session: ServerSession | None, error: Exception) -> None:
        reports.append((session, error))

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/bug":
            raise ZeroDivisionError
        if stream.path == "/wait":
            await trio.sleep_forever()
        await stream.respond(body=b"hello")

    serve = partial(serve_listeners, handler, [listener], on_session_error=report)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        good = connect("http://localhost", transport=listener.connect())
        async with good as session:
            await session.ping()
            async with ScriptedPeer(listener.connect(), client=True) as scan:
                await scan.send_eof()
            async with ScriptedPeer(listener.connect(), client=True) as http1:
                await http1.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
                await http1.until(GoAwayFrame)
            async with ScriptedPeer(listener.connect(), client=True) as rude:
                await rude.handshake()
                await rude.send_data(0, b"x")
                await rude.until(GoAwayFrame)
            async with ScriptedPeer(listener.connect(), client=True) as gone:
                await gone.handshake()
                await gone.request("POST", "/wait", end_stream=False)
                await gone.ping()
            async with ScriptedPeer(listener.connect(), client=True) as buggy:
                await buggy.handshake()
                await buggy.request(path="/bug")
                await buggy.expect_headers(status=500)
                await buggy.send_goaway()
                await buggy.expect_goaway()
            async with session.request("GET") as stream:
                assert await stream.receive_some() == b"hello"
            await trio.sleep(2)
            assert len(server.sessions) == 1
        await server.aclose()
    kinds = [type(error) for _, error in reports]
    assert kinds == [HandshakeError, HandshakeError, RemoteProtocolError, TransportLostError]
    assert all(isinstance(session, ServerSession) for session, _ in reports)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]  # the handler's bug


async def test_a_client_that_resets_an_idle_connection_is_no_news(autojump_clock: object) -> None:
    """As curl does with TLS: all is read that it wanted, and then it closes with bytes unread."""
    wires: list[CuttingStream] = []
    sessions: list[ServerSession] = []
    reports: Reports = []

    class Cutting(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            wires.append(CuttingStream(await super().accept(), error=True))
            return wires[-1]

    async def hook(session: ServerSession) -> None:
        sessions.append(session)

    def report(session: ServerSession | None, error: Exception) -> None:
        reports.append((session, error))

    listener = Cutting()
    serve = partial(serve_listeners, hello, [listener], on_session=hook, on_session_error=report)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        async with ScriptedPeer(listener.connect(), client=True) as peer:
            await peer.handshake()
            await peer.request()
            await peer.expect_headers(1)
            await peer.collect_body(1)
            await peer.ping()
            await wires[0].cut()
            with pytest.raises(TransportLostError):  # whoever asks is told
                await sessions[0].wait_closed()
        await server.aclose()
    assert reports == []


@pytest.mark.parity("F1")
async def test_bad_tls_handshakes(authority: ThrowawayAuthority, autojump_clock: object) -> None:
    listener = MemoryListener()
    reports: Reports = []

    def report(session: ServerSession | None, error: Exception) -> None:
        reports.append((session, error))
        raise ValueError("a hook with a bug")

    serve = partial(
        serve_listeners,
        hello,
        [listener],
        ssl_context=authority.server_context(),
        on_session_error=report,
        config=ServerConfig(handshake_timeout=3),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        silent = listener.connect()
        plain = listener.connect()
        await plain.send_all(b"GET / HTTP/1.1\r\n\r\n" + bytes(100))
        context = authority.client_context(alpn=("http/1.1",))
        other = trio.SSLStream(listener.connect(), context, server_hostname="localhost", https_compatible=True)
        with pytest.raises(trio.BrokenResourceError):
            await other.do_handshake()
            await other.receive_some()
            raise trio.BrokenResourceError  # closed, in whichever way
        await trio.sleep(4)
        assert await get("https://localhost", listener.connect(), authority.client_context()) == b"hello"
        await server.aclose()
        await silent.aclose()
    assert [session for session, _ in reports] == [None] * 3
    assert sorted(type(error).__name__ for _, error in reports) == [
        "HandshakeError",
        "HandshakeError",
        UnknownProtocolError.__name__,
    ]


@pytest.mark.parity("F1")
async def test_a_hook_that_raises_ends_one_connection(caplog: Log, autojump_clock: object) -> None:
    listener = MemoryListener()
    reports: Reports = []
    count = 0

    async def hook(session: ServerSession) -> None:
        nonlocal count
        count += 1
        if count == 1:
            raise ValueError("not this one")

    def report(session: ServerSession | None, error: Exception) -> None:
        reports.append((session, error))

    serve = partial(serve_listeners, hello, [listener], on_session=hook, on_session_error=report)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve)
        async with ScriptedPeer(listener.connect(), client=True) as first:
            await first.until(GoAwayFrame)
            await first.expect_eof()
        assert await get("http://localhost", listener.connect()) == b"hello"
        await server.aclose()
    ((_, error),) = reports
    assert isinstance(error, ExceptionGroup)
    assert isinstance(error.exceptions[0], ValueError)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
