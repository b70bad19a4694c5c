"""A scripted, a reference or a badly connected other side, each as a block; and blocks that last as long as a test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from trio_h2._util import construct
from trio_h2.testing import (
    BlackHoleStream,
    Block,
    CuttingStream,
    ScriptedPeer,
    StallableStream,
    TrickleStream,
    faulty_session_pair,
    reference_client,
    reference_server,
    scripted_client,
    scripted_server,
    session_pair,
)
from trio_h2.testing._open_blocks import open_blocks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from trio.testing import MockClock

    from trio_h2.testing import ReferenceServerStream


async def hello(stream: trio_h2.ServerStream) -> None:
    await stream.respond(body=b"hello")


async def forever(stream: trio_h2.ServerStream) -> None:
    await trio.sleep_forever()


class Wrap:
    """Makes a transport faulty, and remembers it."""

    def __init__(self) -> None:
        self.made: list[TrickleStream] = []

    def __call__(self, below: trio.abc.Stream) -> TrickleStream:
        self.made.append(TrickleStream(below))
        return self.made[-1]


# ---- Faulty transports ----


async def test_a_session_whose_transport_is_cut(autojump_clock: MockClock) -> None:
    async with faulty_session_pair(forever, CuttingStream) as (client, server, transport):
        await client.ping()
        async with client.request("GET") as stream:
            await transport.cut()
            with pytest.raises(trio_h2.TransportLostError):
                await stream.receive_response()
        await server.wait_closed()


async def test_a_session_whose_peer_falls_silent(autojump_clock: MockClock) -> None:
    config = trio_h2.ClientConfig(ping_interval=30, ping_timeout=5)
    async with faulty_session_pair(forever, BlackHoleStream, client_config=config) as (client, _, transport):
        await client.ping()
        async with client.request("GET") as stream:
            await trio.testing.wait_all_tasks_blocked()
            transport.go_silent()
            with pytest.raises(trio_h2.KeepaliveTimeoutError):
                await stream.receive_response()
        assert trio.current_time() >= 35


async def test_the_options_of_a_faulty_pair(autojump_clock: MockClock) -> None:
    wrap = Wrap()
    async with faulty_session_pair(
        hello,
        lambda below: TrickleStream(below, receive_bytes=3),
        server_config=trio_h2.ServerConfig(max_concurrent_streams=3),
        wrap_server=wrap,
    ) as (client, _, transport):
        async with client.request("GET") as stream:
            assert await stream.receive_some() == b"hello"
        assert client.peer_settings.max_concurrent_streams == 3
        assert client._core.below is transport
    assert len(wrap.made) == 1


# ---- The scripted peer ----


async def test_a_scripted_client(autojump_clock: MockClock) -> None:
    async with scripted_client(hello, settings={3: 7}) as (peer, session):
        assert isinstance(peer, ScriptedPeer)
        assert peer.timeout == 10
        assert session.peer_settings.max_concurrent_streams == 7
        stream_id = await peer.request("GET", "/")
        await peer.expect_headers(stream_id)
        assert await peer.collect_body(stream_id) == b"hello"
    assert session.closed


async def test_a_scripted_client_without_a_handshake(autojump_clock: MockClock) -> None:
    wrap, seen = Wrap(), []

    async def on_session(session: trio_h2.ServerSession) -> None:
        seen.append(session)

    async with scripted_client(
        hello,
        handshake=False,
        timeout=77,
        capacity=9,
        wrap_server=wrap,
        on_session=on_session,
        server_config=trio_h2.ServerConfig(max_header_list_size=9999),
        server_settings=trio_h2.Settings(max_concurrent_streams=5),
    ) as (peer, session):
        assert peer.timeout == 77
        assert peer.frames == []
        first = await peer.handshake()
        assert (first.settings[3], first.settings[6]) == (5, 9999)
        assert seen == [session]
    assert len(wrap.made) == 1


async def test_a_body_that_fails_leaves_a_scripted_client_as_it_is(autojump_clock: MockClock) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with scripted_client(forever) as (peer, _):
            await peer.request("GET", "/")
            raise ZeroDivisionError
    assert caught.value.__context__ is None


async def test_handlers_of_a_scripted_client_are_cancelled_with_their_stream(autojump_clock: MockClock) -> None:
    ended: list[bool] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        try:
            await trio.sleep(60)
        except trio.Cancelled:
            ended.append(True)
            raise
        ended.append(False)

    for cancel in (True, False):
        async with scripted_client(handler, cancel_handler_on_reset=cancel) as (peer, _):
            await peer.send_rst(await peer.request("GET", "/"), trio_h2.ErrorCode.CANCEL)
            await peer.ping()
            await trio.sleep(61)
    assert ended == [True, False]
    async with scripted_client(handler) as (peer, _):
        await peer.send_rst(await peer.request("GET", "/"), trio_h2.ErrorCode.CANCEL)
        await peer.ping()
        await trio.sleep(61)
    assert ended == [True, False, True]


async def test_a_scripted_server(autojump_clock: MockClock) -> None:
    async with scripted_server(settings={3: 7}) as (session, peer), session.request("GET") as stream:
        assert peer.timeout == 10
        assert session.peer_settings.max_concurrent_streams == 7
        request = await peer.expect_headers(end_stream=True)
        await peer.respond(request.stream_id, 418)
        assert (await stream.receive_response()).status == 418


async def test_a_scripted_server_without_a_handshake(autojump_clock: MockClock) -> None:
    wrap, pushed = Wrap(), trio.Event()

    async def take(stream: trio_h2.PushedStream) -> None:
        pushed.set()

    async with scripted_server(
        handshake=False,
        timeout=77,
        capacity=9,
        wrap_client=wrap,
        push_handler=take,
        client_config=trio_h2.ClientConfig(max_header_list_size=9999),
        client_settings=trio_h2.Settings(header_table_size=0),
    ) as (session, peer):
        assert peer.timeout == 77
        assert peer.frames == []
        first = await peer.handshake()
        assert (first.settings[1], first.settings[6]) == (0, 9999)
        assert first.settings.get(2, 1) == 1
        async with session.request("GET"):
            request = await peer.expect_headers()
            fields = {":method": "GET", ":scheme": "http", ":authority": "localhost", ":path": "/x"}
            await peer.send_push_promise(request.stream_id, 2, fields)
            await pushed.wait()
    assert len(wrap.made) == 1


# ---- The reference peer ----


async def test_a_reference_client(autojump_clock: MockClock) -> None:
    async with reference_client(hello, settings=trio_h2.Settings(max_concurrent_streams=7)) as (client, session):
        exchange = await client.request("GET", "/")
        assert (exchange.status, exchange.body) == (200, b"hello")
        assert session.peer_settings.max_concurrent_streams == 7
    assert session.closed


async def test_the_options_of_a_reference_client(autojump_clock: MockClock) -> None:
    wrap, seen = Wrap(), []

    async def on_session(session: trio_h2.ServerSession) -> None:
        seen.append(session)

    async def fails(stream: trio_h2.ServerStream) -> None:
        raise ZeroDivisionError

    async with reference_client(
        fails,
        capacity=9,
        wrap_server=wrap,
        on_session=on_session,
        server_config=trio_h2.ServerConfig(max_header_list_size=9999),
        server_settings=trio_h2.Settings(max_concurrent_streams=5),
        raise_handler_errors=False,
    ) as (client, session):
        assert (await client.request("GET", "/")).status == 500
        assert client.remote_settings.max_concurrent_streams == 5
        assert client.remote_settings.max_header_list_size == 9999
        assert seen == [session]
    assert len(wrap.made) == 1
    with pytest.raises(ZeroDivisionError):
        async with reference_client(fails) as (client, _):
            await client.request("GET", "/")


async def test_handlers_of_a_reference_client_may_outlive_their_stream(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        try:
            await trio.sleep(60)
        finally:
            ended.append(trio.current_time())

    for cancel in (True, False):
        async with reference_client(handler, cancel_handler_on_reset=cancel) as (client, _):
            with trio.move_on_after(1):
                await client.request("GET", "/")
            await trio.sleep(100)
    async with reference_client(handler) as (client, _):
        with trio.move_on_after(1):
            await client.request("GET", "/")
        await trio.sleep(100)
    assert ended == [pytest.approx(1), pytest.approx(101 + 60), pytest.approx(202 + 1)]


async def test_a_reference_server(autojump_clock: MockClock) -> None:
    async def greet(stream: ReferenceServerStream) -> None:
        await stream.respond(200, body=b"hello")

    settings = trio_h2.Settings(max_concurrent_streams=7)
    async with reference_server(greet, settings=settings) as (session, _), session.request("GET") as stream:
        assert await stream.receive_some() == b"hello"
        assert session.peer_settings.max_concurrent_streams == 7


async def test_a_reference_server_step_by_step(autojump_clock: MockClock) -> None:
    wrap = Wrap()
    pushed: list[trio_h2.PushedStream] = []

    async def take(stream: trio_h2.PushedStream) -> None:
        pushed.append(stream)

    async with reference_server(
        capacity=9,
        wrap_client=wrap,
        push_handler=take,
        client_config=trio_h2.ClientConfig(max_header_list_size=9999),
        client_settings=trio_h2.Settings(header_table_size=0),
    ) as (session, server):
        async with session.request("GET", "/step") as stream:
            request = await server.accept()
            await request.respond(200, body=b"by hand")
            assert await stream.receive_some() == b"by hand"
        assert server.remote_settings.enable_push
        assert server.remote_settings.header_table_size == 0
        assert server.remote_settings.max_header_list_size == 9999
    assert len(wrap.made) == 1


async def test_a_body_that_fails_leaves_a_reference_block_as_it_is(autojump_clock: MockClock) -> None:
    with pytest.raises(ZeroDivisionError):
        async with reference_client(hello):
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        async with reference_server():
            raise ZeroDivisionError


# ---- Time ----


async def test_minutes_pass_at_once_in_all_of_them(autojump_clock: MockClock) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(600)
        await stream.respond(body=b"late")

    async with session_pair(slow) as (client, _), client.request("GET") as stream:
        assert await stream.receive_some() == b"late"
    async with faulty_session_pair(slow, StallableStream) as (client, _, transport):
        await client.ping()
        with trio.move_on_after(900) as scope:
            async with client.request("GET") as stream:
                await trio.sleep(590)
                transport.stall_receive()
                await trio.sleep(20)
                transport.resume()
                assert await stream.receive_some() == b"late"
        assert not scope.cancelled_caught
    async with reference_client(slow) as (reference, _):
        assert (await reference.request("GET", "/")).body == b"late"
    assert trio.current_time() >= 600 + 610 + 600


# ---- Blocks that last as long as a test ----


class Recorder:
    """Blocks that write down when they begin and end."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def block(self, name: str, *, crash: trio.Event | None = None, end_error: Exception | None = None) -> Block[str]:
        return construct(Block, self._manager(name, crash, end_error))

    def _manager(
        self, name: str, crash: trio.Event | None, end_error: Exception | None
    ) -> AbstractAsyncContextManager[str]:
        async def crash_later() -> None:
            assert crash is not None
            await crash.wait()
            raise ZeroDivisionError(name)

        @asynccontextmanager
        async def manager() -> AsyncGenerator[str, None]:
            async with trio.open_nursery() as nursery:
                if crash is not None:
                    nursery.start_soon(crash_later)
                self.log.append(f"{name} begins")
                try:
                    yield name
                    await trio.lowlevel.checkpoint()
                    await trio.lowlevel.checkpoint()
                    if end_error is not None:
                        raise end_error
                finally:
                    self.log.append(f"{name} ends")

        return manager()


async def test_blocks_end_one_after_the_other_the_last_one_first() -> None:
    recorder = Recorder()
    async with open_blocks() as blocks:
        assert await blocks.enter(recorder.block("a")) == "a"
        assert await blocks.enter(recorder.block("b")) == "b"
        await trio.testing.wait_all_tasks_blocked()
        assert recorder.log == ["a begins", "b begins"]
    assert recorder.log == ["a begins", "b begins", "b ends", "a ends"]


async def test_a_block_that_takes_long_to_end_is_waited_for(autojump_clock: MockClock) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def manager(name: str, seconds: float) -> AsyncGenerator[None, None]:
        yield
        await trio.sleep(seconds)
        log.append(name)

    async with open_blocks() as blocks:
        await blocks.enter(construct(Block, manager("a", 1)))
        await blocks.enter(construct(Block, manager("b", 5)))
    assert log == ["b", "a"]


async def test_a_block_that_crashes_ends_them_all_with_its_own_error() -> None:
    recorder, crash = Recorder(), trio.Event()
    with pytest.raises(ZeroDivisionError, match="b"):
        async with open_blocks() as blocks:
            await blocks.enter(recorder.block("a"))
            await blocks.enter(recorder.block("b", crash=crash))
            crash.set()
            await trio.sleep_forever()
    assert sorted(recorder.log[2:]) == ["a ends", "b ends"]


async def test_a_block_that_fails_at_its_end() -> None:
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError) as caught:
        async with open_blocks() as blocks:
            await blocks.enter(recorder.block("a"))
            await blocks.enter(recorder.block("b", end_error=ZeroDivisionError()))
    assert caught.value.__context__ is None
    assert sorted(recorder.log[2:]) == ["a ends", "b ends"]


async def test_two_blocks_that_crash() -> None:
    recorder, crash = Recorder(), trio.Event()
    with pytest.RaisesGroup(ZeroDivisionError, ZeroDivisionError, flatten_subgroups=True):
        async with open_blocks() as blocks:
            await blocks.enter(recorder.block("a", crash=crash))
            await blocks.enter(recorder.block("b", crash=crash))
            crash.set()
            await trio.sleep_forever()


async def test_a_block_that_cannot_begin_is_the_callers_matter() -> None:
    async with open_blocks() as blocks:
        with pytest.raises(OSError, match="no such"):
            await blocks.enter(_cannot_begin())
        recorder = Recorder()
        assert await blocks.enter(recorder.block("a")) == "a"
    assert recorder.log == ["a begins", "a ends"]


def _cannot_begin(missing: bool = True) -> Block[str]:

    @asynccontextmanager
    async def manager() -> AsyncGenerator[str, None]:
        await trio.lowlevel.checkpoint()
        if missing:
            raise OSError("no such thing")
        yield ""

    return construct(Block, manager())


async def test_a_cancelled_beginning_leaves_nothing(autojump_clock: MockClock) -> None:
    log = []

    def slow() -> Block[str]:
        @asynccontextmanager
        async def manager() -> AsyncGenerator[str, None]:
            try:
                await trio.sleep(10)
                yield ""
            finally:
                log.append("over")

        return construct(Block, manager())

    async with open_blocks() as blocks:
        with trio.move_on_after(1) as scope:
            await blocks.enter(slow())
        assert scope.cancelled_caught
        assert log == ["over"]
