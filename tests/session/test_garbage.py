"""A session that is over is freed at once, without the garbage collector: nothing of it is in a cycle."""

from __future__ import annotations

import contextvars
import gc
import logging
import weakref
from functools import partial

import pytest
import trio

from tests.session.scripted import GET, Wrapped, connected, forever, hello, served, settle
from trio_h2 import (
    PushedStream,
    ServerConfig,
    ServerSession,
    ServerStream,
    Session,
    SessionError,
    StreamError,
    connect,
    serve_stream,
)
from trio_h2.testing import CuttingStream, GoAwayFrame, ScriptedPeer, memory_transports

current: contextvars.ContextVar[ServerSession] = contextvars.ContextVar("current")


class Refs:
    """Weak references to everything that must be gone."""

    def __init__(self) -> None:
        self.refs: list[tuple[str, weakref.ref[object]]] = []

    def add(self, *objects: object) -> None:
        for item in objects:
            self.refs.append((repr(item), weakref.ref(item)))

    def add_session(self, session: Session) -> None:
        core = session._core
        self.add(session, core, core.engine, core.writer, core.watcher)

    def assert_gone(self) -> None:
        alive = {name: gc.get_referrers(ref()) for name, ref in self.refs if ref() is not None}
        assert not alive
        assert self.refs


ENDS = ["left", "raised", "peer left", "peer gone", "cut", "protocol", "cancelled"]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("end", ENDS)
async def test_client_sessions_and_streams(end: str, autojump_clock: object) -> None:
    refs = Refs()
    await _use_a_client(end, refs)
    await settle()
    refs.assert_gone()


async def _use_a_client(end: str, refs: Refs) -> None:
    wire = Wrapped(partial(CuttingStream, error=True))

    async def take(stream: PushedStream) -> None:
        refs.add(stream)
        if stream.path == "/forever":
            await trio.sleep_forever()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_response)
            nursery.start_soon(stream.receive_some)

    try:
        with trio.CancelScope() as scope:
            async with connected(wrap=wire, push_handler=take) as (session, peer):
                refs.add_session(session)
                whole = await session.open_stream("GET")
                half = await session.open_stream("POST", body=b"abc", end_stream=False)
                refs.add(whole, half)
                for number, path in enumerate(("/forever", "/whole", "/reset", "/open")):
                    await peer.send_push_promise(half.id, 2 * number + 2, {**GET, ":path": path})
                await peer.respond(4, body=b"whole")
                await peer.send_rst(6)
                await settle()
                await peer.respond(whole.id, body=b"whole")
                await peer.respond(half.id, end_stream=False)
                await peer.send_data(half.id, b"unread")
                assert await whole.receive_some() == b"whole"
                if end == "raised":
                    raise ZeroDivisionError
                if end == "cancelled":
                    scope.cancel()
                elif end == "peer left":
                    await peer.send_goaway(0, 2, b"why")
                elif end == "peer gone":
                    await peer.aclose()
                elif end == "cut":
                    await wire.stream.cut()
                elif end == "protocol":
                    await peer.send_data(0, b"")
                if end != "left":
                    await half.receive_some()
                    await half.receive_some()
    except (ZeroDivisionError, SessionError, StreamError):
        pass


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("end", ["left", "peer gone", "cut", "protocol", "cancelled", "shutdown", "raised"])
async def test_server_sessions_and_streams(end: str, autojump_clock: object, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trio_h2")  # log records would keep the errors of handlers, and their frames
    refs = Refs()
    await _use_a_server(end, refs)
    await settle()
    refs.assert_gone()


async def _use_a_server(end: str, refs: Refs) -> None:
    wire = Wrapped(partial(CuttingStream, error=True))

    async def handler(stream: ServerStream) -> None:
        refs.add(stream)
        if stream.path == "/whole":
            await stream.respond(body=b"whole")
        elif stream.path == "/error":
            raise ValueError("logged")
        elif stream.path == "/push":
            refs.add(await stream.push())
            refs.add(pushed := await stream.push())
            await pushed.respond(204)
            await trio.sleep_forever()
        elif stream.path == "/errors":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_fail)
        else:
            await stream.respond()
            await trio.sleep_forever()

    async def hook(session: ServerSession) -> None:
        refs.add_session(session)
        current.set(session)  # the session keeps its context
        session.start_soon(trio.sleep_forever)
        session.start_soon(session.wait_draining)
        session.set_idle_timeout(1000, session.shutdown)

    with trio.CancelScope() as scope:
        async with served(handler, wrap=wire, on_session=hook) as (peer, session):
            for path in ("/whole", "/error", "/errors", "/forever", "/push"):
                await peer.request("POST", path, end_stream=False)
            await peer.send_data(7, b"unread")
            await settle()
            if end == "cancelled":
                scope.cancel()
                await trio.lowlevel.checkpoint()
            elif end == "peer gone":
                await peer.aclose()
            elif end == "cut":
                await wire.stream.cut()
            elif end == "protocol":
                await peer.send_data(0, b"")
            elif end == "shutdown":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(session.aclose, 1)
                    await trio.sleep(2)
                    await peer.aclose()
            elif end == "raised":
                session._core.streams[7].cancel()
            await settle()


async def _fail() -> None:
    await trio.lowlevel.checkpoint()
    raise ValueError("in a group")


@pytest.mark.usefixtures("no_collector")
async def test_a_session_that_never_began(autojump_clock: object) -> None:
    refs = Refs()
    await _time_out(refs)
    refs.assert_gone()


async def _time_out(refs: Refs) -> None:
    async def hook(session: ServerSession) -> None:
        refs.add_session(session)
        await trio.sleep_forever()

    ours, theirs = memory_transports()
    async with ScriptedPeer(theirs, client=True) as peer:
        await serve_stream(forever, ours, on_session=hook, config=ServerConfig(handshake_timeout=1))
        await peer.until(GoAwayFrame)


@pytest.mark.usefixtures("no_collector")
async def test_streams_of_a_live_session(autojump_clock: object) -> None:
    """Each is freed when it has closed and nobody holds it; the session goes on."""
    ours, theirs = memory_transports()
    refs = Refs()

    async def handler(stream: ServerStream) -> None:
        refs.add(stream)
        await hello(stream)

    async with trio.open_nursery() as nursery:
        await nursery.start(serve_stream, handler, theirs)
        async with connect("http://localhost", transport=ours) as session:
            for _ in range(3):
                async with session.request("POST", body=b"abc") as stream:
                    refs.add(stream)
                    await stream.receive_response()
                    assert await stream.receive_some() == b"hello"
                    assert await stream.receive_some() == b""
                del stream
            await settle()
            refs.assert_gone()
