"""`connect`: every way to a session, what it refuses at the call, and how its block ends."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlparse, urlsplit

import pytest
import trio
import trio.testing

from trio_h2 import (
    ClientConfig,
    ClientSession,
    HandshakeError,
    ServerConfig,
    TransportLostError,
    UnknownProtocolError,
    connect,
    serve_ssl_over_tcp,
    serve_stream,
    serve_tcp,
    serve_unix,
)
from trio_h2.testing import MemoryTransport, ScriptedPeer, ThrowawayAuthority, memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from trio_h2 import Server, ServerStream
    from trio_h2._session._core import SessionCore


@pytest.fixture(scope="session")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority()


async def tell(stream: ServerStream) -> None:
    """Answers with what came."""
    await stream.respond(body=f"{stream.scheme}|{stream.authority}|{stream.path}".encode())


async def fetch(session: ClientSession, path: str = "/") -> str:
    async with session.request("GET", path) as stream:
        assert (await stream.receive_response()).status == 200
        return (await stream.receive_some()).decode()


@contextlib.asynccontextmanager
async def tcp_server() -> AsyncIterator[Server]:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_tcp, tell, 0)
        yield server
        await server.aclose()


# -- what is refused at the call -----------------------------------------------------------------------------------


@pytest.mark.parity("A5", "K1")
@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("ftp://localhost", {}, "ftp"),
        ("http://", {}, "host"),
        ("http://localhost:99999", {}, "port"),
        ("http://localhost", {"ssl_context": ssl.create_default_context()}, "https"),
        ("http://localhost", {"transport": memory_transports()[0], "unix_path": "/x"}, "exclude"),
    ],
)
def test_wrong_values(url: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        connect(url, **options)  # type: ignore[arg-type]  # the table's values fit


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("transport", 7),
        ("ssl_context", "default"),
        ("server_hostname", 7),
        ("unix_path", 7),
        ("config", ServerConfig()),
        ("config", {"stream_window": 1}),
    ],
)
def test_wrong_types(option: str, value: object) -> None:
    with pytest.raises(TypeError, match=option):
        connect("https://localhost", **{option: value})  # type: ignore[arg-type]  # that is the point


async def test_a_block_is_used_once() -> None:
    ours, theirs = memory_transports()
    block = connect("http://localhost", transport=ours)
    async with ScriptedPeer(theirs, client=False), block:
        pass
    with pytest.raises(RuntimeError, match="only once"):
        await block.__aenter__()


# -- ways to a session ---------------------------------------------------------------------------------------------


@pytest.mark.parity("A5")
async def test_cleartext_tcp() -> None:
    async with tcp_server() as server:
        async with connect(f"http://localhost:{server.port}") as session:
            assert await fetch(session, "/x") == f"http|localhost:{server.port}|/x"
            transport = session._core.below
            assert isinstance(transport, trio.SocketStream)
            assert transport.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with pytest.raises(trio.ClosedResourceError):
            await session.ping()


@pytest.mark.parity("A5")
async def test_tls(authority: ThrowawayAuthority) -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_ssl_over_tcp, tell, 0, authority.server_context())
        context = authority.client_context()
        async with connect(f"https://localhost:{server.port}", ssl_context=context) as session:
            assert await fetch(session) == f"https|localhost:{server.port}|/"
        async with connect(
            f"https://127.0.0.1:{server.port}", ssl_context=context, server_hostname="localhost"
        ) as session:
            assert await fetch(session) == f"https|127.0.0.1:{server.port}|/"
        with pytest.raises(HandshakeError, match="certificate"):
            async with connect(f"https://localhost:{server.port}"):  # which trusts the system's authorities
                raise AssertionError
        await server.aclose()


@pytest.mark.parity("A7")
async def test_a_scheme_for_urls_without_one() -> None:
    async with tcp_server() as server, connect(f"localhost:{server.port}", scheme="http") as session:
        assert (await fetch(session)).startswith("http|")


@pytest.mark.parity("A7")
async def test_the_scheme_of_an_authority_is_https_by_default() -> None:
    for options, expected in ({}, "https"), ({"scheme": "https"}, "https"), ({"scheme": "http"}, "http"):
        ours, theirs = memory_transports()
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_stream, tell, theirs)
            async with connect("example.org:8443", transport=ours, **options) as session:  # type: ignore[arg-type]
                assert await fetch(session) == f"{expected}|example.org:8443|/"
    for scheme in "ftp", "HTTPS", "":
        with pytest.raises(ValueError, match=f"bad scheme {scheme!r}: only 'http' and 'https' are possible"):
            connect("example.org:8443", scheme=scheme)


@pytest.mark.parity("A5")
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.org", "http|example.org|/"),
        ("http://joe:secret@example.org:80/path?query#fragment", "http|example.org|/"),
        ("http://example.org:8080/path", "http|example.org:8080|/"),
        ("http://example.org?query", "http|example.org|/"),
        ("http://example.org#fragment", "http|example.org|/"),
        ("https://[::1]:443", "https|[::1]|/"),
        ("HTTPS://Example.ORG", "https|example.org|/"),
        (urlsplit("https://joe@example.org:8443/path?query"), "https|example.org:8443|/"),
        (urlparse("http://example.org:81/path;x"), "http|example.org:81|/"),
    ],
)
async def test_what_a_url_says(url: str, expected: str) -> None:
    """Only its origin counts; the path of a request is the request's."""
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_stream, tell, theirs)
        async with connect(url, transport=ours) as session:
            assert await fetch(session) == expected


@pytest.mark.parity("A5")
async def test_default_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    async def open_tcp_stream(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        asked.append((host, port))
        raise OSError("nobody there")

    monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
    for url in "http://localhost", "https://localhost", "http://localhost:81", "localhost", "https://[::1]:8443/x":
        with pytest.raises(OSError, match="nobody there"):
            await connect(url).__aenter__()
    assert asked == [("localhost", 80), ("localhost", 443), ("localhost", 81), ("localhost", 443), ("::1", 8443)]


@pytest.mark.parity("A6")
async def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_unix, tell, path)
        async with connect("http://example.org", unix_path=path) as session:
            assert await fetch(session) == "http|example.org|/"
        await server.aclose()
    assert not path.exists()


@pytest.mark.parity("A6")
async def test_any_stream() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_stream, tell, theirs)
        async with connect("https://example.org", transport=ours) as session:
            assert session._core.below is ours
            assert await fetch(session) == "https|example.org|/"


@pytest.mark.parity("A6")
async def test_a_function_that_makes_the_stream() -> None:
    urls: list[str] = []
    ours, theirs = memory_transports()

    async def make(url: str) -> trio.abc.Stream:
        urls.append(url)
        return ours

    async with trio.open_nursery() as nursery:
        await nursery.start(serve_stream, tell, theirs)
        async with connect("http://user:secret@example.org:8080/path?q", transport=make) as session:
            assert await fetch(session) == "http|example.org:8080|/"
    assert urls == ["http://example.org:8080"]  # called once
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")  # the session owned it


@pytest.mark.parity("A6")
async def test_a_function_that_fails() -> None:
    async def make(url: str) -> trio.abc.Stream:
        raise UsersError(url)

    with pytest.raises(UsersError, match="https://localhost"):
        await connect("https://localhost:443/", transport=make).__aenter__()


@pytest.mark.parity("A6")
async def test_a_function_that_makes_something_else() -> None:
    async def make(url: str) -> trio.abc.Stream:
        return url  # type: ignore[return-value]  # that is the point

    with pytest.raises(TypeError, match=r"trio\.abc\.Stream"):
        await connect("http://localhost", transport=make).__aenter__()


async def test_tls_over_any_stream(authority: ThrowawayAuthority) -> None:
    ours, theirs = memory_transports()
    tls = trio.SSLStream(theirs, authority.server_context(), server_side=True, https_compatible=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_stream, tell, tls)
        async with connect("https://localhost", transport=ours, ssl_context=authority.client_context()) as session:
            assert session.encrypted
            assert await fetch(session) == "https|localhost|/"


@pytest.mark.parity("A6")
async def test_http2_inside_http2() -> None:
    """A stream is a transport like any other: the inner session ends without the outer one."""
    results: list[str] = []

    async def proxy(outer: ServerStream) -> None:
        await outer.respond()
        await serve_stream(tell, outer)

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_stream, proxy, theirs)
        async with connect("http://proxy", transport=ours) as outer:
            for turn in range(2):
                tunnel = await outer.open_stream(
                    "CONNECT", headers={":authority": "inner.example:80"}, end_stream=False
                )
                await tunnel.receive_response()
                async with connect("http://inner.example", transport=tunnel) as inner:
                    results.append(await fetch(inner, f"/{turn}"))
                    large = await inner.open_stream("POST", "/large", body=bytes(300_000))
                    await large.receive_response()
                    await large.aclose()
            await trio.testing.wait_all_tasks_blocked()
            assert outer.statistics().open_streams == 0
            assert outer.statistics().ledger.held == 0
    assert results == ["http|inner.example|/0", "http|inner.example|/1"]


# -- what can go wrong ---------------------------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(OSError, match=r"all attempts|refused") as caught:
            await connect(f"http://127.0.0.1:{port}").__aenter__()
        assert not isinstance(caught.value, trio.BrokenResourceError)


async def test_no_such_socket(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await connect("http://localhost", unix_path=tmp_path / "nothing").__aenter__()


async def test_a_server_without_alpn(authority: ThrowawayAuthority) -> None:
    """CPython's handshake succeeds."""
    ours, theirs = memory_transports()
    tls = trio.SSLStream(theirs, authority.server_context(alpn=()), server_side=True, https_compatible=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_shake_hands, tls)
        with pytest.raises(UnknownProtocolError, match="ALPN chose nothing"):
            await connect("https://localhost", transport=ours, ssl_context=authority.client_context()).__aenter__()
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")


async def _shake_hands(tls: trio.SSLStream[MemoryTransport]) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        await tls.do_handshake()


async def test_cancelled_while_connecting_closes_the_transport(authority: ThrowawayAuthority) -> None:
    ours, _ = memory_transports()
    with trio.CancelScope() as scope:
        scope.cancel()
        await connect("https://localhost", transport=ours, ssl_context=authority.client_context()).__aenter__()
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")


async def test_entering_is_a_checkpoint_and_a_cancelled_one_closes_the_transport() -> None:
    near, far = memory_transports()
    with trio.CancelScope() as scope:
        scope.cancel()
        async with connect("http://example.test", transport=near):
            raise AssertionError("not reached")
    assert scope.cancelled_caught
    assert await far.receive_some() == b""


async def test_the_handshake_takes_too_long(authority: ThrowawayAuthority, autojump_clock: object) -> None:
    ours, _theirs = memory_transports()
    config = ClientConfig(handshake_timeout=3)
    with pytest.raises(HandshakeError, match="3 seconds"):
        await connect(
            "https://localhost", transport=ours, ssl_context=authority.client_context(), config=config
        ).__aenter__()
    assert trio.current_time() == 3


# -- the end of the block ------------------------------------------------------------------------------------------


class UsersError(Exception):
    pass


async def test_the_users_error_is_not_wrapped(autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with ScriptedPeer(theirs, client=False):
        error = UsersError("mine")
        with pytest.raises(UsersError) as caught:
            async with connect("http://localhost", transport=ours):
                raise error
        assert caught.value is error
        assert error.__context__ is None
        assert error.__cause__ is None


async def test_a_group_of_the_users_stays_a_group(autojump_clock: object) -> None:
    ours, theirs = memory_transports()

    async def fail() -> None:
        raise UsersError

    async with ScriptedPeer(theirs, client=False):
        with pytest.RaisesGroup(UsersError, UsersError):
            async with connect("http://localhost", transport=ours), trio.open_nursery() as nursery:
                nursery.start_soon(fail)
                nursery.start_soon(fail)


@pytest.mark.parametrize("error", [StopAsyncIteration, GeneratorExit, KeyboardInterrupt])
async def test_errors_that_python_has_its_own_mind_about(error: type[BaseException], autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with ScriptedPeer(theirs, client=False):
        with pytest.raises(error):
            async with connect("http://localhost", transport=ours):
                raise error


async def test_an_error_beside_a_bug_is_not_lost(autojump_clock: object) -> None:
    ours, theirs = memory_transports()

    async def bug(core: SessionCore) -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        async with ScriptedPeer(theirs, client=False), connect("http://localhost", transport=ours) as session:
            session._core.watcher.run = bug  # type: ignore[method-assign]  # a service task with a bug
            try:
                await trio.sleep(1)
            finally:
                raise UsersError
    assert caught.group_contains(UsersError)
    assert caught.group_contains(ZeroDivisionError)


async def test_a_body_that_ends_well_does_not_fail_with_its_session(autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with connect("http://localhost", transport=ours) as session:
        await trio.aclose_forcefully(theirs)
        with pytest.raises(HandshakeError):
            await session.wait_closed()


async def test_the_error_of_a_broken_session_is_the_bodys_own(autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    with pytest.raises(TransportLostError):
        async with (
            ScriptedPeer(theirs, client=False) as peer,
            connect("http://localhost", transport=ours) as session,
            session.request("GET") as stream,
        ):
            await peer.handshake()
            await peer.aclose()
            await stream.receive_response()
