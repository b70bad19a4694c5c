"""Sessions that the peer or the network breaks: everybody hears of it, in time, and only they."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.scripted import Wrapped, connected, forever, served, settle
from trio_h2 import (
    ErrorCode,
    HandshakeError,
    Initiator,
    RemoteProtocolError,
    ServerConfig,
    ServerSession,
    SessionError,
    Settings,
    TransportLostError,
)
from trio_h2.testing import CuttingStream, DataFrame, GoAwayFrame, StallableStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_h2 import ClientSession, ClientStream, ServerStream


async def collect(nursery: trio.Nursery, *operations: Callable[[], Awaitable[object]]) -> list[BaseException]:
    """Runs operations in tasks that are expected to raise; returns where their errors will be."""
    errors: list[BaseException] = []

    async def run(operation: Callable[[], Awaitable[object]]) -> None:
        try:
            await operation()
        except (SessionError, trio.ClosedResourceError) as exc:
            errors.append(exc)

    for operation in operations:
        nursery.start_soon(run, operation)
    await settle()
    return errors


def everything(session: ClientSession, stream: ClientStream) -> list[Callable[[], Awaitable[object]]]:
    """Every operation of a client that can wait, on a peer that allows one stream."""
    return [
        stream.receive_response,
        stream.receive_some,
        partial(stream.send_all, bytes(200_000)),
        session.ping,
        session.wait_closed,
        partial(session.update_settings, Settings(max_frame_size=20_000)),
        partial(session.open_stream, "GET"),
        partial(session.open_stream, "GET"),
    ]


@pytest.mark.parity("B0", "B3")
@pytest.mark.parametrize("how", ["eof", "cut", "protocol"])
async def test_every_waiter_raises_at_once(how: str, autojump_clock: object) -> None:
    wire = Wrapped(partial(CuttingStream, error=True))
    async with connected(wrap=wire, settings={3: 1}) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        stream = await session.open_stream("POST", end_stream=False)
        operations = everything(session, stream)
        errors = await collect(nursery, *operations)
        assert not errors
        start = trio.current_time()
        if how == "eof":
            await peer.aclose()
        elif how == "cut":
            await wire.stream.cut()
        else:
            await peer.send_data(0, b"")
        await settle()
        assert trio.current_time() == start
        # The session's closing waits for the protocol error's GOAWAY to be read.
        await session._core.ending.closed.wait()
        await settle()
        assert trio.current_time() - start <= 1
        assert len(errors) == len(operations)
        kind = RemoteProtocolError if how == "protocol" else TransportLostError
        assert {type(error) for error in errors} == {kind}
        for error in errors:
            assert isinstance(error, SessionError)
            assert isinstance(error, trio.BrokenResourceError)
            assert isinstance(error.__cause__, trio.BrokenResourceError) is (how == "cut")
            assert error.initiator is (Initiator.LIBRARY if how == "protocol" else Initiator.REMOTE)
            assert error.code == (ErrorCode.PROTOCOL_ERROR if how == "protocol" else None)
        # What was in line was never sent; whether the others were processed is unknown.
        assert sum(error.retryable for error in errors if isinstance(error, SessionError)) == 2
        for later in operations:
            with pytest.raises(kind):
                await later()
        await session.aclose()  # closing what is closed is no error
        await stream.aclose()


@pytest.mark.parity("B0", "B3")
@pytest.mark.parametrize("error", [False, True])
async def test_every_open_stream_ends_with_the_transport(error: bool, autojump_clock: object) -> None:
    """Each operation that waits on each of them raises, and so does each later one."""
    wire = Wrapped(partial(CuttingStream, error=error))
    async with connected(wrap=wire) as (session, peer), trio.open_nursery() as nursery:
        streams = [await session.open_stream("POST", end_stream=False) for _ in range(5)]
        for stream in streams:
            await peer.expect_headers(stream.id)
        await peer.respond(streams[1].id, end_stream=False)
        await peer.respond(streams[2].id, body=b"unread", end_stream=False)
        await peer.ping()
        pending: list[Callable[[], Awaitable[object]]] = []
        pending += [partial(stream.send_all, bytes(200_000)) for stream in streams]
        pending += [stream.receive_response for stream in (streams[0], *streams[3:])]
        pending += [streams[1].receive_some, streams[3].receive_informational, streams[4].receive_trailers]
        pending += [stream.wait_closed for stream in streams]
        raised = await collect(nursery, *pending)
        assert not raised
        await wire.stream.cut()
        await settle()
        assert len(raised) == len(pending)
        assert {type(failure) for failure in raised} == {TransportLostError}
        assert {type(failure.__cause__) for failure in raised} == {trio.BrokenResourceError if error else type(None)}
        assert await streams[2].receive_some() == b"unread"  # what was received before stays readable
        for stream in streams:
            assert (stream.closed, stream.aborted, stream.state.name) == (True, True, "closed")
            for later in stream.receive_some, partial(stream.send_all, b"x"), stream.send_eof, stream.wait_closed:
                with pytest.raises(TransportLostError):
                    await later()


@pytest.mark.parity("B3")
async def test_the_block_goes_on(autojump_clock: object) -> None:
    """A broken session neither cancels its block nor makes a body fail that ends normally."""
    steps: list[str] = []
    async with connected() as (session, peer):
        await peer.aclose()
        await session.wait_closed()
        await trio.sleep(5)
        steps.append("slept")
    assert steps == ["slept"]


@pytest.mark.parity("B1", "B3")
@pytest.mark.parametrize("error", [True, False])
async def test_an_idle_session_that_ends(error: bool, autojump_clock: object) -> None:
    """Without streams the peer may just close; a network that breaks is an error all the same."""
    wire = Wrapped(partial(CuttingStream, error=error))
    async with connected(wrap=wire) as (session, _):
        await settle()
        await wire.stream.cut()
        if error:
            with pytest.raises(TransportLostError):
                await session.wait_closed()
        else:
            await session.wait_closed()
        with pytest.raises(TransportLostError) as caught:
            await session.ping()
        assert caught.value.retryable


# -- the server drops TCP at each point --------------------------------------------------------------------------------


@pytest.mark.parity("B0", "B3")
@pytest.mark.parametrize("point", ["before", "settings", "headers", "body", "end", "trailers"])
async def test_the_server_drops_at(point: str, autojump_clock: object) -> None:
    async with connected(handshake=False) as (session, peer), trio.open_nursery() as nursery:
        peer.auto_ack = False
        stream = await session.open_stream("GET")
        start = trio.current_time()
        errors = await collect(nursery, stream.receive_response, stream.receive_trailers, session.ping)
        if point != "before":
            await peer.handshake()
        if point == "headers":
            block = peer.encode({":status": "200", "x": "y"})
            await peer.send_raw_frame(0x1, 0x4, stream.id, block[:3], length=len(block))
        elif point != "before" and point != "settings":
            await peer.respond(stream.id, end_stream=False)
            await peer.send_data(stream.id, b"half")
        if point == "end":
            await peer.send_raw_frame(0x0, 0x0, stream.id, b"half", length=8)
        elif point == "trailers":
            await peer.send_headers(stream.id, {"x": "y"}, end_stream=True, end_headers=False)
        await peer.aclose()
        await settle()
        assert trio.current_time() == start
        answered = point in ("body", "end", "trailers")
        assert len(errors) == (2 if answered else 3)
        expected = HandshakeError if point == "before" else TransportLostError
        assert {type(error) for error in errors} == {expected}
        if point in ("headers", "end", "trailers"):
            assert "in the middle of a frame" in str(errors[0])


async def test_what_came_before_the_end_is_read_first(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        cut = await session.open_stream("GET")
        whole = await session.open_stream("GET")
        await peer.respond(cut.id, end_stream=False)
        await peer.send_data(cut.id, b"half")
        await peer.respond(whole.id, body=b"whole")
        await peer.aclose()
        await settle()
        assert await cut.receive_some() == b"half"
        with pytest.raises(TransportLostError):
            await cut.receive_some()
        assert (await whole.receive_response()).status == 200
        assert await whole.receive_some() == b"whole"
        assert await whole.receive_some() == b""
        ledger = session.statistics().ledger
        assert ledger.received == ledger.taken == 9


async def test_a_failed_write_does_not_lose_the_answer(autojump_clock: object) -> None:
    """A server that wants no more answers and closes; the client may notice by its own write first."""
    wire = Wrapped(StallableStream)
    async with connected(wrap=wire) as (session, peer), trio.open_nursery() as nursery:
        stream = await session.open_stream("POST", end_stream=False)
        await peer.expect_headers(1)
        await settle()
        wire.stream.stall_receive()
        await peer.respond(1, status=413, body=b"too much")
        await peer.aclose()
        errors = await collect(nursery, partial(stream.send_all, bytes(50_000)))
        with pytest.raises(trio.BrokenResourceError):
            await wire.stream.transport.send_all(b"the transport is broken")
        wire.stream.resume_receive()
        assert (await stream.receive_response()).status == 413
        assert await stream.receive_some() == b"too much"
        assert await stream.receive_some() == b""
        await session._core.ending.closed.wait()
        assert all(isinstance(error, TransportLostError) for error in errors)
        with pytest.raises(TransportLostError) as caught:
            await session.ping()
        assert isinstance(caught.value.__cause__, trio.BrokenResourceError)


async def test_a_transport_that_only_fails_to_write_ends_within_a_second(autojump_clock: object) -> None:
    class HalfDead(StallableStream):
        async def _send(self, data: memoryview) -> None:
            await trio.lowlevel.checkpoint()
            if dead:
                raise trio.BrokenResourceError("no more")
            await super()._send(data)

    dead: list[bool] = []
    async with connected(wrap=HalfDead) as (session, _):
        stream = await session.open_stream("GET")
        await settle()
        dead.append(True)
        start = trio.current_time()
        with pytest.raises(TransportLostError):
            await session.ping()
        assert trio.current_time() - start == pytest.approx(1)
        with pytest.raises(TransportLostError):
            await stream.receive_response()


# -- the server's side -------------------------------------------------------------------------------------------------


@pytest.mark.parity("B0", "D2")
async def test_a_lost_client_cancels_every_handler(caplog: pytest.LogCaptureFixture, autojump_clock: object) -> None:
    caplog.set_level(logging.DEBUG)
    ended: list[int] = []

    async def handler(stream: ServerStream) -> None:
        try:
            if stream.id == 1:
                await stream.receive_some()
            elif stream.id == 3:
                await stream.respond()
                await stream.send_all(bytes(100_000))
            else:
                await trio.sleep_forever()
        finally:
            ended.append(stream.id)

    async with served(handler) as (peer, session):
        for _ in range(3):
            await peer.request("POST", end_stream=False)
        await peer.until(DataFrame)
        await settle()
        assert session.statistics().running_handlers == 3
        await peer.aclose()
        await settle()
        assert sorted(ended) == [1, 3, 5]
        with pytest.raises(TransportLostError):
            await session.wait_closed()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parity("B3", "K4")
async def test_a_protocol_error_is_told_and_ends_everything(autojump_clock: object) -> None:
    async with served(forever) as (peer, session):
        await peer.request()
        await peer.send_data(0, b"")
        goaway = await peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
        assert goaway.last_stream_id == 1
        await peer.aclose()
        with pytest.raises(RemoteProtocolError):
            await session.wait_closed()


async def test_the_peer_can_read_why_before_the_transport_is_closed(autojump_clock: object) -> None:
    """TCP answers bytes that nobody reads with a reset, which may overtake GOAWAY: so they are read for a while."""
    async with served(forever) as (peer, session):
        start = trio.current_time()
        await peer.send_data(0, b"")
        await peer.until(GoAwayFrame, code=ErrorCode.PROTOCOL_ERROR)
        await trio.sleep(0.5)
        await peer.send_bytes(bytes(10_000))  # raises if the other end is closed
        await settle()
        assert not session._core.ending.closed.is_set()
        await session._core.ending.closed.wait()
        assert trio.current_time() - start == pytest.approx(1)
        with pytest.raises(trio.BrokenResourceError):
            await peer.send_bytes(b"x")


async def test_nothing_is_written_after_the_goodbye(autojump_clock: object) -> None:
    """A handler that ends late throws unread bytes away; nobody wants their credit any more."""
    order: list[str] = []

    class Recorder(StallableStream):
        async def _send(self, data: memoryview) -> None:
            order.append("data")
            await super()._send(data)

        async def send_eof(self) -> None:
            order.append("eof")
            await trio.sleep(0.5)
            await super().send_eof()

    async def handler(stream: ServerStream) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.2)

    config = ServerConfig(stream_window=65_535, receive_budget=65_535, max_concurrent_streams=1)
    async with served(handler, config=config, wrap=Recorder) as (peer, session):
        await peer.request("POST", end_stream=False)
        for _ in range(4):
            await peer.send_data(1, bytes(15_000))
        await peer.send_data(0, b"")
        await session._core.ending.closed.wait()
        assert session.statistics().ledger.discarded == 60_000
        assert session.statistics().queued_output > 0
        assert order[-2:] == ["data", "eof"]


@pytest.mark.parity("K3")
async def test_bugs_propagate(autojump_clock: object) -> None:
    """What is no expected failure is a bug, ours or the transport's, and must not be swallowed."""

    class Buggy(StallableStream):
        async def _receive(self, max_bytes: int | None) -> bytes:
            await super()._receive(max_bytes)
            raise ZeroDivisionError

    with pytest.RaisesGroup(pytest.RaisesExc(ZeroDivisionError), flatten_subgroups=True):
        async with connected(wrap=Buggy, handshake=False) as (session, peer):
            await peer.send_settings()
            await trio.sleep_forever()
    with pytest.raises(trio.ClosedResourceError):
        await session.ping()


async def test_nothing_runs_when_a_session_is_over(autojump_clock: object) -> None:
    sessions: list[ServerSession] = []

    async def hook(session: ServerSession) -> None:
        sessions.append(session)

    async with served(forever, on_session=hook) as (peer, _):
        await peer.request()
        await settle()
    (session,) = sessions
    statistics = session.statistics()
    assert (statistics.open_streams, statistics.running_handlers) == (0, 0)
    assert session._core.writer.stopped
