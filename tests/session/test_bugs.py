"""Bugs of ours, injected into each part of a session: they come out as what they are, and nothing is left waiting.

What a peer or the network does is state that every waiter hears of; a bug is raised by the block that owns the session,
and the peer is told INTERNAL_ERROR where it still can be.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

from tests.net.serving import MemoryListener
from tests.session.ends import both_roles
from tests.session.scripted import hello
from trio_h2 import (
    ClientSession,
    ErrorCode,
    Http1Connection,
    Role,
    Server,
    Session,
    SessionClosed,
    Subscription,
    connect,
    serve_listeners,
    serve_stream,
)
from trio_h2.testing import GoAwayFrame, PeerClosedError, PingFrame, ScriptedPeer, StallableStream, memory_transports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Bug(Exception):  # noqa: N818 - an error of nobody's but ours
    """What is injected."""


def broken(*args: object, **options: object) -> None:
    """Stands for a function with a bug."""
    raise Bug("deliberate")


class BuggyTransport(StallableStream):
    """A transport that breaks in a way no transport may."""

    reading = writing = False

    async def _send(self, data: memoryview) -> None:
        await super()._send(data)
        if self.writing:
            raise Bug("deliberate")

    async def _receive(self, max_bytes: int | None) -> bytes:
        data = await super()._receive(max_bytes)
        if self.reading:
            raise Bug("deliberate")
        return data


class Owner:
    """Runs a session of ours in a task of its own, and keeps what comes out of its block."""

    def __init__(self, role: Role) -> None:
        self.role = role
        ours, self.theirs = memory_transports()
        self.transport = BuggyTransport(ours)
        self.raised: list[BaseException] = []
        self.over = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[Session | Http1Connection]) -> None:
        """The block that owns the session."""
        try:
            if self.role is Role.SERVER:
                await serve_stream(hello, self.transport, task_status=task_status)
            else:
                async with connect("http://localhost", transport=self.transport) as session:
                    task_status.started(session)
                    await trio.sleep_forever()
        except BaseException as exc:
            self.raised.append(exc)
        self.over.set()

    def inject(self, where: str, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """Plants a bug."""
        engine = session._core.engine
        match where:
            case "reader":
                monkeypatch.setattr(engine, "receive_bytes", broken)
            case "event":
                monkeypatch.setattr(session._core.watcher, "settings_seen", broken)
            case "writer":
                monkeypatch.setattr(session._core.writer, "_next_batch", broken)
            case "output":
                monkeypatch.setattr(engine, "take_output", broken)
            case "watcher":
                monkeypatch.setattr(session._core.watcher, "_act", broken)
            case "transport reads":
                self.transport.reading = True
            case "transport writes":
                self.transport.writing = True


async def provoke(where: str, session: Session, peer: ScriptedPeer) -> None:
    """Makes the session run into it."""
    if where == "event":
        await peer.send_settings({})
    elif where == "writer":
        if isinstance(session, ClientSession):
            await session.open_stream("POST", body=b"x")
        else:
            await peer.request()
    elif where == "watcher":
        pass  # time does it
    else:
        await peer.send_ping()


async def caught(operation: Callable[[], Awaitable[object]], errors: list[BaseException]) -> None:
    """Keeps what an operation raises."""
    try:
        await operation()
    except (trio.ClosedResourceError, trio.BrokenResourceError) as exc:
        errors.append(exc)


WHERE = ["reader", "event", "writer", "output", "watcher", "transport reads", "transport writes"]


@pytest.mark.parity("B3", "K3")
@pytest.mark.parametrize("where", WHERE)
@both_roles
async def test_a_bug_comes_out(where: str, role: Role, monkeypatch: pytest.MonkeyPatch, autojump_clock: object) -> None:
    owner = Owner(role)
    errors: list[BaseException] = []
    async with trio.open_nursery() as nursery, ScriptedPeer(owner.theirs, client=role is Role.SERVER) as peer:
        session: Session = await nursery.start(owner.run)
        events: Subscription = session.subscribe()
        await peer.handshake()
        waiting: list[Callable[[], Awaitable[object]]] = [session.ping, session.wait_closed]
        if isinstance(session, ClientSession):
            stream = await session.open_stream("GET")
            waiting += [stream.receive_response, stream.wait_closed]
            await peer.expect_headers()
        peer.auto_ack = False
        for operation in waiting:
            nursery.start_soon(caught, operation, errors)
        await peer.expect(PingFrame)
        owner.inject(where, session, monkeypatch)
        peer.timeout = 1000
        await provoke(where, session, peer)
        if where in ("output", "transport writes"):
            while True:
                try:
                    assert not isinstance(await peer.receive_frame(), GoAwayFrame)
                except PeerClosedError:
                    break
        else:
            await peer.until(GoAwayFrame, code=ErrorCode.INTERNAL_ERROR)
            await peer.expect_eof()
        await owner.over.wait()
    assert len(errors) == len(waiting)
    assert {type(error) for error in errors} == {trio.ClosedResourceError}
    (raised,) = owner.raised
    assert pytest.RaisesGroup(pytest.RaisesExc(Bug, match="deliberate"), flatten_subgroups=True).matches(raised)
    assert session.destroyed
    happenings = [event async for event in events]
    assert isinstance(happenings[-1], SessionClosed)
    assert isinstance(happenings[-1].error, trio.ClosedResourceError)
    for later in session.ping, session.goaway:
        with pytest.raises(trio.ClosedResourceError, match="a bug ended this session"):
            await later()
    await session.aclose()


@pytest.mark.parity("K3")
@pytest.mark.parametrize("where", ["reader", "writer"])
async def test_a_bug_in_one_connection_of_a_server_is_logged_and_reported(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    """The other place that supervises: no connection ends the server, and no bug is kept from it."""
    listener = MemoryListener()
    sessions: list[Session] = []
    reported: list[tuple[Session | None, Exception]] = []

    async def hook(session: Session) -> None:
        sessions.append(session)

    async def serve(*, task_status: trio.TaskStatus[Server]) -> None:
        await serve_listeners(
            hello,
            [listener],
            on_session=hook,
            on_session_error=lambda session, error: reported.append((session, error)),
            task_status=task_status,
        )

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        async with (
            ScriptedPeer(listener.connect(), client=True) as first,
            ScriptedPeer(listener.connect(), client=True) as second,
        ):
            await first.handshake()
            await second.handshake()
            Owner(Role.SERVER).inject(where, sessions[0], monkeypatch)
            await provoke(where, sessions[0], first)
            await first.until(GoAwayFrame, code=ErrorCode.INTERNAL_ERROR)
            await first.expect_eof()
            await second.request()
            await second.expect_headers(status=200)
            assert await second.collect_body(1) == b"hello"
            ((session, error),) = reported
            assert session is sessions[0]
            assert pytest.RaisesGroup(Bug, flatten_subgroups=True).matches(error)
            assert [record.levelno for record in caplog.records] == [logging.ERROR]
            caplog.clear()
        nursery.cancel_scope.cancel()
