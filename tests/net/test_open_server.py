"""`open_server`: a server as a block, and what leaving the block does."""

from __future__ import annotations

import logging
import signal
import stat
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from tests.net.serving import forever, get, hello
from tests.net.tls import HOST
from tests.sweep.harness import sweep, tasks_living
from trio_h2 import (
    ErrorCode,
    Http1Exchange,
    ServerConfig,
    StreamResetError,
    UnknownProtocolError,
    connect,
    open_server,
)

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from trio_h2 import Server, ServerSession, ServerStream
    from trio_h2.testing import SweepRun


@pytest.fixture
def clock() -> MockClock:
    """Time passes when the sockets have had a moment to say what they have to."""
    return MockClock(autojump_threshold=0.05)


async def test_serves_until_the_block_is_left() -> None:
    async with open_server(hello) as server:
        assert server.url == server.urls[0] == f"http://localhost:{server.port}"
        assert await get(server.url) == b"hello"
        port = server.port
    with pytest.raises(OSError, match="all attempts"):
        await trio.open_tcp_stream("localhost", port)
    # The port is free again, and may be asked for.
    async with open_server(hello, port) as server:
        assert server.port == port


async def test_tls(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    async with open_server(hello, host="127.0.0.1", ssl_context=server_context) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        assert await get(server.url, context=client_context) == b"hello"


async def test_http1() -> None:
    seen: list[str] = []

    async def handler(stream: ServerStream) -> None:
        assert isinstance(stream, Http1Exchange)
        seen.append(stream.http_version)
        await stream.respond()

    async with (
        open_server(handler, allow_http1=True) as server,
        await trio.open_tcp_stream("localhost", server.port) as client,
    ):
        await client.send_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 200")
    assert seen == ["1.1"]


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with open_server(hello, path=path, mode=0o600) as server:
        assert server.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with connect("http://localhost", unix_path=path) as session, session.request("GET") as stream:
            assert await stream.receive_some() == b"hello"
        with pytest.raises(RuntimeError, match="does not listen on a TCP port"):
            _ = server.port
    assert not path.exists()


async def test_tls_on_a_unix_socket(
    tmp_path: Path, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    path = tmp_path / "socket"
    async with (
        open_server(hello, path=path, ssl_context=server_context),
        connect(f"https://{HOST}", unix_path=path, ssl_context=client_context) as session,
        session.request("GET") as stream,
    ):
        assert await stream.receive_some() == b"hello"


async def test_hooks_get_what_they_get_of_serve_tcp(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    sessions: list[ServerSession] = []
    errors: list[Exception] = []

    async def on_session(session: ServerSession) -> None:
        sessions.append(session)
        await trio.lowlevel.checkpoint()

    async with open_server(
        hello,
        host="127.0.0.1",
        ssl_context=server_context,
        on_session=on_session,
        on_session_error=lambda session, error: errors.append(error),
        origins=["https://example.org"],
    ) as server:
        async with connect(server.url, ssl_context=client_context) as session, session.request("GET"):
            await session.ping()
            assert session.origin_set == [f"https://127.0.0.1:{server.port}", "https://example.org"]
        client_context.set_alpn_protocols(["gopher"])
        below = await trio.open_tcp_stream("127.0.0.1", server.port)
        async with trio.SSLStream(below, client_context, server_hostname=HOST, https_compatible=True) as other:
            with pytest.raises(trio.BrokenResourceError):
                await other.do_handshake()
                await other.receive_some()
                raise trio.BrokenResourceError  # as it is with TLS 1.3 where the alert is lost
    assert len(sessions) == 1
    assert [type(error) for error in errors] == [UnknownProtocolError]


async def test_leaving_in_good_order_lets_streams_finish(clock: MockClock) -> None:
    async def slow(stream: ServerStream) -> None:
        await trio.sleep(3)
        await stream.respond(body=b"slow")

    bodies: list[bytes] = []
    ready = trio.Event()

    async def client(server: Server) -> None:
        async with connect(server.url) as session, session.request("GET") as stream:
            await session.ping()
            ready.set()
            bodies.append(await stream.receive_some())

    async with trio.open_nursery() as nursery:
        async with open_server(slow) as server:
            nursery.start_soon(client, server)
            await ready.wait()
            begin = trio.current_time()
        assert trio.current_time() - begin == pytest.approx(3, abs=0.5)
    assert bodies == [b"slow"]


@pytest.mark.parametrize(("grace", "seconds"), [(5.0, 5), (2, 2), (0, 0), (None, 7)])
async def test_what_is_left_after_the_grace_is_cut(grace: float | None, seconds: float, clock: MockClock) -> None:
    config = ServerConfig(drain_timeout=7)
    async with trio.open_nursery() as nursery:
        async with open_server(forever, config=config, grace=grace) as server:
            client = await nursery.start(hanging_request, server)
            begin = trio.current_time()
        assert trio.current_time() - begin == pytest.approx(seconds, abs=0.5)
        nursery.cancel_scope.cancel()
    assert client == ["begun"]


async def test_the_grace_is_five_seconds(clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with open_server(forever) as server:
            await nursery.start(hanging_request, server)
            begin = trio.current_time()
        assert trio.current_time() - begin == pytest.approx(5, abs=0.5)
        nursery.cancel_scope.cancel()


async def hanging_request(server: Server, *, task_status: trio.TaskStatus[list[str]]) -> None:
    async with connect(server.url) as session, session.request("GET"):
        await session.ping()
        task_status.started(["begun"])
        await trio.sleep_forever()


async def test_an_exception_of_the_body_ends_it_at_once_and_comes_out_alone(clock: MockClock) -> None:
    resets: list[ErrorCode | int | None] = []
    begun = trio.Event()

    async def client(server: Server) -> None:
        async with connect(server.url) as session, session.request("GET") as stream:
            await session.ping()
            begun.set()
            with pytest.raises(StreamResetError) as caught:
                await stream.receive_response()
            resets.append(caught.value.code)

    error = ValueError("the body's own")
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        with pytest.raises(ValueError, match="the body's own") as caught:
            async with open_server(forever) as server:
                nursery.start_soon(client, server)
                await begun.wait()
                raise error
        assert caught.value is error
        assert error.__context__ is None
    assert trio.current_time() - begin < 1
    assert resets == [ErrorCode.CANCEL]


async def test_being_cancelled_ends_it_at_once(clock: MockClock) -> None:
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(1) as scope:
            async with open_server(forever) as server:
                await nursery.start(hanging_request, server)
                await trio.sleep_forever()
        assert scope.cancelled_caught
        nursery.cancel_scope.cancel()
    assert trio.current_time() - begin == pytest.approx(1, abs=0.5)


async def test_being_cancelled_ends_the_grace(clock: MockClock) -> None:
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(2) as scope:
            async with open_server(forever) as server:
                await nursery.start(hanging_request, server)
        assert scope.cancelled_caught
        nursery.cancel_scope.cancel()
    assert trio.current_time() - begin == pytest.approx(2, abs=0.5)


async def test_a_bug_in_a_handler_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(stream: ServerStream) -> None:
        if stream.path == "/bug":
            raise ValueError("a bug")
        await stream.respond(body=b"fine")

    async with open_server(handler) as server, connect(server.url) as session:
        for path, status in (("/bug", 500), ("/", 200)):
            async with session.request("GET", path) as stream:
                assert (await stream.receive_response()).status == status
    assert [record.exc_info is not None for record in caplog.records if record.levelno >= logging.ERROR] == [True]


async def test_shut_down_inside_the_block() -> None:
    async with open_server(hello) as server:
        async with connect(server.url) as session:
            server.shutdown()
            await session.wait_draining()
        await server.aclose()
        assert server.sessions == []


async def test_errors_beside_that_of_the_body_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepting fails for good while the body runs: the block is cancelled, and says why."""

    async def accept(self: object) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        raise OSError(1234, "no accepting")

    monkeypatch.setattr(trio.SocketListener, "accept", accept)
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        async with open_server(hello, host="127.0.0.1"):
            await trio.sleep_forever()


async def test_what_binding_raises_is_no_group(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.touch()
    with pytest.raises(OSError, match="in use"):
        async with open_server(hello, path=path):
            raise AssertionError("not reached")
    assert path.exists()
    async with open_server(hello, host="127.0.0.1") as server:
        with pytest.raises(OSError, match="in use"):
            async with open_server(hello, server.port, host="127.0.0.1"):
                raise AssertionError("not reached")


async def test_a_block_is_used_once() -> None:
    block = open_server(hello)
    async with block:
        pass
    with pytest.raises(RuntimeError, match="only once"):
        await block.__aenter__()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"port": 65_536}, ValueError, r"port must be in 0\.\.65535, not 65536"),
        ({"port": "80"}, TypeError, "port must be an int, not '80'"),
        ({"ssl_context": True}, TypeError, r"ssl_context must be an ssl\.SSLContext or None, not True"),
        ({"config": {}}, TypeError, "config must be a ServerConfig, not {}"),
        ({"grace": -1}, ValueError, "grace must be 0 seconds or more, not -1"),
        ({"mode": 0o600}, ValueError, "mode=0o600 is for a Unix socket"),
        ({"path": "x", "mode": 0o1777}, ValueError, r"mode must be in 0\.\.511, not 1023"),
        ({"path": 3}, TypeError, "path must be a str or a path, not 3"),
        ({"path": "x", "port": 80}, ValueError, "path='x' excludes port=80 and host='localhost'"),
        ({"path": "x", "host": None}, ValueError, "path='x' excludes port=0 and host=None"),
        ({"origins": ["https://a"]}, ValueError, "origins is for servers with TLS"),
        ({"on_unknown_protocol": hello}, ValueError, "on_unknown_protocol is for servers with TLS"),
        ({"allow_http1": 1}, TypeError, "allow_http1 must be True or False, not 1"),
    ],
)
def test_bad_arguments_raise_at_the_call(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    opened = partial(open_server, hello)
    with pytest.raises(error, match=message):
        opened(**arguments)  # type: ignore[arg-type]  # as in a program without type checks


async def test_the_sweep() -> None:
    """Cancelled at every moment: no task, no socket and no port is left."""

    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        ports: list[int] = []
        async with run, open_server(hello, host="127.0.0.1", grace=1) as server:
            ports.append(server.port)
            assert await get(server.url) == b"hello"
        assert tasks_living() == tasks
        for port in ports:
            with pytest.raises(OSError, match="all attempts"):
                await trio.open_tcp_stream("127.0.0.1", port)

    await sweep(one_run)


async def test_the_sweep_of_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        async with (
            run,
            open_server(hello, path=path),
            connect("http://localhost", unix_path=path) as session,
            session.request("GET") as stream,
        ):
            assert await stream.receive_some() == b"hello"
        assert tasks_living() == tasks
        assert not path.exists()

    await sweep(one_run)


@pytest.mark.parametrize("when", ["in the body", "in the grace"])
def test_ctrl_c_comes_out_alone(when: str) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            try:
                async with open_server(forever) as server:
                    await nursery.start(hanging_request, server)
                    if when == "in the body":
                        signal.raise_signal(signal.SIGINT)
                        await trio.sleep(1)
                    else:
                        nursery.start_soon(interrupt)
            except KeyboardInterrupt as exc:
                assert exc.__context__ is None  # noqa: PT017 - it is no Exception
                nursery.cancel_scope.cancel()
            else:
                raise AssertionError("the interrupt was lost")

    @trio.lowlevel.enable_ki_protection
    async def interrupt() -> None:
        """Presses Ctrl-C where it is nothing to the program: Trio gives it to the main task."""
        await trio.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    trio.run(main)
