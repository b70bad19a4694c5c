"""`start_soon`: work of an application that lives as long as a connection of a server."""

from __future__ import annotations

import contextvars
import logging
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
import trio

import trio_h2
from tests.http1.client import HOST, RawClient
from tests.net.serving import MemoryListener, get
from tests.session.scripted import hello, served, settle
from tests.sweep.harness import sweep, tasks_living
from trio_h2 import ErrorCode, Http1Connection, ServerConfig, ServerSession
from trio_h2.testing import GoAwayFrame, memory_transports, session_pair

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2 import ServerStream
    from trio_h2.testing import SweepRun

who = contextvars.ContextVar("who", default="nobody")


class Work:
    """Runs until it is cancelled, and tells."""

    def __init__(self) -> None:
        self.begun: list[object] = []
        self.ended: list[float] = []
        self.over = trio.Event()

    async def __call__(self, *args: object) -> None:
        self.begun.append((*args, who.get()))
        try:
            await trio.sleep_forever()
        finally:
            self.ended.append(trio.current_time())
            self.over.set()


async def test_it_lives_from_a_hook_to_the_end_of_the_session(autojump_clock: MockClock) -> None:
    work = Work()

    async def hook(session: ServerSession) -> None:
        who.set("alice")
        session.start_soon(work, 1, "two")
        await settle()
        assert work.begun == [(1, "two", "alice")]

    async with session_pair(hello, on_session=hook) as (client, _):
        await trio.sleep(10)
        assert work.ended == []
        await client.aclose()
    assert work.ended == [10]


async def test_it_outlives_the_handler_that_starts_it(autojump_clock: MockClock) -> None:
    work = Work()
    names: list[str | None] = []

    async def named() -> None:
        names.append(trio.lowlevel.current_task().name)
        await trio.lowlevel.checkpoint()

    async def handler(stream: ServerStream) -> None:
        session = stream.session
        session.start_soon(work, stream.id)
        session.start_soon(named, name="its name")
        session.start_soon(named)
        await stream.respond()

    async with session_pair(handler) as (client, _):
        for _ in range(2):
            async with client.request("GET") as stream:
                await stream.receive_response()
        await trio.sleep(5)
        assert work.begun == [(1, "nobody"), (3, "nobody")]
        assert work.ended == []
        assert any("its name" in str(name) for name in names)
        assert any("named" in str(name) for name in names)
    assert len(work.ended) == 2


@pytest.mark.parametrize("end", ["idle", "drain", "destroy", "lost"])
async def test_it_keeps_no_session(end: str, autojump_clock: MockClock) -> None:
    """Neither from idling nor from draining; and it is cancelled as soon as the session is over."""
    work = Work()

    async def hook(session: ServerSession) -> None:
        session.start_soon(work)
        await trio.lowlevel.checkpoint()

    async with served(hello, config=ServerConfig(idle_timeout=5), on_session=hook) as (peer, session):
        await peer.ping()
        if end == "drain":
            await session.aclose()
        elif end == "destroy":
            session.destroy()
        elif end == "lost":
            await peer.aclose()
        else:
            await peer.until(GoAwayFrame, last_stream_id=0)
        with trio.fail_after(3):
            await work.over.wait()
    assert len(work.ended) == 1


@pytest.mark.parametrize("where", ["hook", "handler"])
@pytest.mark.parametrize("grouped", [False, True])
async def test_what_it_raises_ends_its_session_and_no_other(
    where: str, grouped: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    listener = MemoryListener()
    told: list[tuple[ServerSession | None, Exception]] = []
    bug = ValueError("a bug")

    async def work() -> None:
        await trio.sleep(1)
        if grouped:
            raise ExceptionGroup("several", [bug])
        raise bug

    def start(session: ServerSession) -> None:
        if not told and len(server.sessions) == 1:
            session.start_soon(work)

    async def hook(session: ServerSession) -> None:
        await trio.lowlevel.checkpoint()
        if where == "hook":
            start(session)

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/wait":
            if where == "handler":
                start(stream.session)
            await trio.sleep_forever()
        await stream.respond(body=b"fine")

    serve = partial(
        trio_h2.serve_listeners,
        handler,
        [listener],
        on_session=hook,
        on_session_error=lambda session, error: told.append((session, error)),
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        async with trio_h2.connect("http://a", transport=listener.connect()) as session:
            async with session.request("GET", "/wait") as stream:
                with pytest.raises(trio_h2.StreamResetError) as caught:
                    await stream.receive_response()
                assert caught.value.code == ErrorCode.INTERNAL_ERROR
                assert not caught.value.retryable
            with pytest.raises(trio_h2.SessionError) as ended:
                await session.wait_closed()
            assert ended.value.code == ErrorCode.INTERNAL_ERROR
        assert await get("http://a", listener.connect()) == b"fine"
        await server.aclose()
    assert len(told) == 1
    error: BaseException = told[0][1]
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert error is bug
    assert [record.levelno for record in caplog.records if record.name == "trio_h2.server"] == [logging.ERROR]


async def test_serve_stream_raises_it(autojump_clock: MockClock) -> None:
    async def work() -> None:
        raise ValueError("a bug")

    async def hook(session: ServerSession) -> None:
        session.start_soon(work)
        await trio.lowlevel.checkpoint()

    ours, _theirs = memory_transports()
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="a bug"), flatten_subgroups=True):
        await trio_h2.serve_stream(hello, ours, on_session=hook)


async def test_only_that_the_session_is_over_may_escape(autojump_clock: MockClock) -> None:
    """A task may find out that the session has ended before it is cancelled."""
    raised: list[Exception] = []

    async def hook(session: ServerSession) -> None:
        async def work() -> None:
            try:
                with trio.CancelScope(shield=True):
                    await session.wait_draining()
                    while True:
                        await session.ping()
                        await trio.sleep(1)
            except (trio.ClosedResourceError, trio_h2.SessionError) as exc:
                raised.append(exc)
                raise

        session.start_soon(work)
        await trio.lowlevel.checkpoint()

    async with session_pair(hello, on_session=hook) as (client, _):
        await client.ping()
    assert len(raised) == 1


async def test_it_may_shut_its_session_down_and_close_its_server(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    servers: list[trio_h2.Server] = []

    async def work() -> None:
        await trio.sleep(1)
        await servers[0].aclose(grace=1)

    async def hook(session: ServerSession) -> None:
        session.start_soon(work)
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        servers.append(await nursery.start(partial(trio_h2.serve_listeners, hello, [listener], on_session=hook)))
        async with trio_h2.connect("http://a", transport=listener.connect()) as session:
            await session.wait_draining()


async def test_after_the_end(autojump_clock: MockClock) -> None:
    async with session_pair(hello) as (_, server):
        with pytest.raises(TypeError, match="start_soon takes an async function and its arguments, not 5"):
            server.start_soon(5)  # type: ignore[arg-type]  # that is what is tested
        server.destroy()
        with pytest.raises(trio.ClosedResourceError):
            server.start_soon(trio.sleep_forever)
    with pytest.raises(trio.ClosedResourceError):
        server.start_soon(trio.sleep_forever)


# -- HTTP/1.1 ----------------------------------------------------------------------------------------------------------


async def test_over_http1(autojump_clock: MockClock) -> None:
    """From one request to the end of the connection, which it does not keep."""
    work = Work()
    connections: list[Http1Connection] = []

    async def handler(stream: ServerStream) -> None:
        connection = cast("Http1Connection", stream.session)
        connections.append(connection)
        connection.start_soon(work, len(connections))
        await stream.respond(body=b"hello")

    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:
        config = ServerConfig(idle_timeout=10)
        nursery.start_soon(partial(trio_h2.serve_stream, handler, ours, allow_http1=True, config=config))
        client = RawClient(theirs)
        for _ in range(2):
            await client.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
            assert (await client.answer()).body == b"hello"
        assert work.begun == [(1, "nobody"), (2, "nobody")]
        start = trio.current_time()
        await client.rest()
        await theirs.aclose()
    assert work.ended == pytest.approx([start + 10] * 2)
    with pytest.raises(trio.ClosedResourceError):
        connections[0].start_soon(work)
    with pytest.raises(TypeError, match="start_soon takes an async function"):
        connections[0].start_soon(None)  # type: ignore[arg-type]  # that is what is tested


async def test_what_it_raises_over_http1(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    listener = MemoryListener()
    told: list[Exception] = []

    async def work() -> None:
        await trio.sleep(1)
        raise ValueError("a bug")

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/bug":
            cast("Http1Connection", stream.session).start_soon(work)
        await stream.respond(200)
        await stream.send_all(b"begun")
        if stream.path == "/bug":
            await trio.sleep_forever()

    serve = partial(
        trio_h2.serve_listeners,
        handler,
        [listener],
        allow_http1=True,
        on_session_error=lambda _, error: told.append(error),
    )
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        client = RawClient(listener.connect())
        await client.send(f"GET /bug HTTP/1.1\r\n{HOST}\r\n")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await client.answer()
        other = RawClient(listener.connect())
        await other.send(f"GET / HTTP/1.1\r\n{HOST}\r\n")
        assert (await other.answer()).body == b"begun"
        await other.transport.aclose()
        await server.aclose()
    assert len(told) == 1
    assert [record.levelno for record in caplog.records if record.name == "trio_h2.server"] == [logging.ERROR]


# -- cancelled ---------------------------------------------------------------------------------------------------------


async def test_the_sweep(autojump_clock: MockClock) -> None:
    """Whenever the block of the server is cancelled, no task is left."""

    async def hook(session: ServerSession) -> None:
        session.start_soon(trio.sleep_forever)
        session.start_soon(session.wait_draining)
        await trio.sleep(1)

    async def handler(stream: ServerStream) -> None:
        stream.session.start_soon(trio.sleep, 1)
        await stream.respond(body=b"hello")

    async def one_run(run: SweepRun) -> None:
        tasks = tasks_living()
        ours, theirs = memory_transports()

        async def client() -> None:
            try:
                async with trio_h2.connect("http://a", transport=theirs) as session, session.request("GET") as stream:
                    await stream.receive_response()
            except* (trio_h2.StreamError, trio_h2.SessionError):
                pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            async with run:
                await trio_h2.serve_stream(handler, ours, on_session=hook)
        assert tasks_living() == tasks

    await sweep(one_run)
