"""How a sweep is made: the connections that it cancels things on, and what is checked after each run.

Each run gets a new connection with small windows, so that a run repeats the one before it up to its moment, and so
that few bytes make many moments.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import trio
import trio.testing

from tests.sweep.exchanges import BODIES, handler, plain
from tests.sweep.robots import RobotClient, RobotServer
from tests.sweep.wirelog import CANCEL, CLIENT, SERVER, WireLog
from tests.wire.engine_pair import credits
from trio_h2 import (
    ClientConfig,
    ClientSession,
    ServerConfig,
    ServerSession,
    Session,
    StreamResetError,
    connect,
    serve_stream,
)
from trio_h2.testing import CancellationSweep, SweepRun, memory_transports

if TYPE_CHECKING:
    import types
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.sweep.exchanges import Exchange
    from trio_h2 import PushedStream, ServerStream

    Handler = Callable[[ServerStream], Awaitable[object]]
    PushHandler = Callable[[PushedStream], Awaitable[object]]

WINDOW = 64
"""The stream windows, in bytes; the bodies have several times as many."""
CLIENT_CONFIG = ClientConfig(stream_window=WINDOW, receive_budget=65_535)
SERVER_CONFIG = ServerConfig(stream_window=WINDOW, receive_budget=65_535, max_concurrent_streams=4)
SEEDS = (0, 1, 2)
PATIENCE = 3000.0
"""Seconds of the mock clock after which a run hangs."""


async def sweep(one_run: Callable[[SweepRun], Awaitable[None]], *, more_than: int = 10) -> None:
    """Calls *one_run* for each moment under each seed, and prints and checks how many there were."""
    moments = CancellationSweep(seeds=SEEDS)
    for run in moments:
        try:
            with trio.fail_after(PATIENCE):
                await one_run(run)
        except Exception as exc:
            exc.add_note(run.describe())
            raise
        assert run.entered
    print("points:", ", ".join(f"{points} (seed {seed})" for seed, points in moments.points_by_seed.items()))  # noqa: T201 - wanted by whoever tunes the sweeps
    assert moments.points > more_than


async def settle() -> None:
    """Waits until nobody has anything to do; the clock stands still."""
    await trio.testing.wait_all_tasks_blocked()


async def goes_on(both: Pair | WithRobotServer) -> None:
    """What holds after whatever was cancelled: the books balance, the next request succeeds, and nothing is left."""
    both.check_books()
    await next_request(both.client)
    await settle()
    both.check_idle()


async def sweep_client(exchange: Exchange, *, capacity: int | None = None, more_than: int = 10) -> None:
    """Cancels an exchange of our client with our server at every moment."""

    async def one_run(run: SweepRun) -> None:
        async with pair(capacity=capacity) as both:
            async with run:
                await exchange(both.client)
            await goes_on(both)

    await sweep(one_run, more_than=more_than)


async def sweep_handler(exchange: Exchange, *, capacity: int | None = None, more_than: int = 10) -> int:
    """Cancels the handler of an exchange at every moment of it, and returns how often there was one to cancel.

    The client hears of it by CANCEL, and by nothing else.
    """
    hits = 0

    async def one_run(run: SweepRun) -> None:
        nonlocal hits
        async with pair(capacity=capacity) as both:
            cancel = HandlerCancel(both.server, run)
            async with run:
                try:
                    await exchange(both.client)
                except* StreamResetError as group:
                    _all_cancelled(group)
            hits += cancel.hits
            await goes_on(both)

    await sweep(one_run, more_than=more_than)
    return hits


def _all_cancelled(group: ExceptionGroup[StreamResetError]) -> None:
    for exc in group.exceptions:
        if isinstance(exc, ExceptionGroup):
            _all_cancelled(exc)
        else:
            assert exc.code == CANCEL


# ---- Connections ----


@dataclass
class Pair:
    """Two sessions that talk to each other."""

    client: ClientSession
    server: ServerSession
    log: WireLog

    def check_books(self) -> None:
        """What holds at any moment."""
        check_books(self.client)
        check_books(self.server)

    def check_idle(self, *, may_refuse: bool = False) -> None:
        """What holds when all is read and nobody uses the connection."""
        check_idle(self.client, self.log.data_sent(SERVER))
        check_idle(self.server, self.log.data_sent(CLIENT))
        assert self.client._core.engine.connection_window == self.server._core.engine.windows.budget.window
        assert self.server._core.engine.connection_window == self.client._core.engine.windows.budget.window
        self.log.check(BODIES, may_refuse=may_refuse)


@contextlib.asynccontextmanager
async def pair(
    *,
    client: ClientConfig = CLIENT_CONFIG,
    server: ServerConfig = SERVER_CONFIG,
    capacity: int | None = None,
    may_refuse: bool = False,
    handler: Handler = handler,
    push_handler: PushHandler | None = None,
) -> AsyncIterator[Pair]:
    """Our client and our server in memory; leaving the block closes them, and checks that nothing is left."""
    log = WireLog()
    left, right = memory_transports(capacity)
    tasks = tasks_living()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_stream, handler, log.tap(right, SERVER), config=server)
        theirs = cast("ServerSession", await nursery.start(serve))
        transport = log.tap(left, CLIENT)
        async with connect("http://localhost", transport=transport, config=client, push_handler=push_handler) as ours:
            await settle()
            yield Pair(ours, theirs, log)
    assert tasks_living() == tasks
    check_over(ours)
    check_over(theirs)
    assert log.goaways(CLIENT) or log.goaways(SERVER)
    log.check(BODIES, may_refuse=may_refuse)


@dataclass
class WithRobotServer:
    """Our client and a scripted server."""

    client: ClientSession
    robot: RobotServer
    log: WireLog

    def check_books(self) -> None:
        """What holds at any moment."""
        check_books(self.client)

    def check_idle(self) -> None:
        """What holds when all is read and nobody uses the connection."""
        check_idle(self.client, self.log.data_sent(SERVER))
        assert self.robot.peer.send_window() == self.client._core.engine.windows.budget.window
        assert self.robot.peer.receive_window() == self.client._core.engine.connection_window
        assert not self.robot.streams
        self.log.check(BODIES)


@contextlib.asynccontextmanager
async def with_robot_server(
    *, config: ClientConfig = CLIENT_CONFIG, max_streams: int = 4, window: int = WINDOW
) -> AsyncIterator[WithRobotServer]:
    """Our client and a scripted server in memory; leaving the block closes them, and checks that nothing is left."""
    log = WireLog()
    left, right = memory_transports()
    tasks = tasks_living()
    async with trio.open_nursery() as nursery:
        robot = RobotServer(log.tap(right, SERVER), window=window, max_streams=max_streams)
        nursery.start_soon(robot.run)
        async with connect("http://localhost", transport=log.tap(left, CLIENT), config=config) as session:
            await settle()
            yield WithRobotServer(session, robot, log)
    assert robot.saw_end
    assert tasks_living() == tasks
    check_over(session)
    assert log.goaways(CLIENT) == [0]
    log.check(BODIES)


@dataclass
class WithRobotClient:
    """Our server and a scripted client."""

    robot: RobotClient
    server: ServerSession
    log: WireLog

    def check_books(self) -> None:
        """What holds at any moment."""
        check_books(self.server)

    def check_idle(self) -> None:
        """What holds when all is read and nobody uses the connection."""
        check_idle(self.server, self.log.data_sent(CLIENT))
        assert self.robot.peer.send_window() == self.server._core.engine.windows.budget.window
        assert self.robot.peer.receive_window() == self.server._core.engine.connection_window
        self.log.check(BODIES)


@contextlib.asynccontextmanager
async def with_robot_client(
    *, config: ServerConfig = SERVER_CONFIG, window: int = WINDOW, capacity: int | None = None
) -> AsyncIterator[WithRobotClient]:
    """A scripted client and our server in memory; leaving the block closes them, and checks that nothing is left."""
    log = WireLog()
    left, right = memory_transports(capacity)
    tasks = tasks_living()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_stream, handler, log.tap(right, SERVER), config=config)
        session = cast("ServerSession", await nursery.start(serve))
        robot = RobotClient(log.tap(left, CLIENT), window=window)
        await robot.handshake()
        await settle()
        yield WithRobotClient(robot, session, log)
        session.shutdown()
        await robot.read_to_end()
    assert tasks_living() == tasks
    check_over(session)
    # The first announces, the second says which stream was the last (RFC 9113 §6.8).
    assert log.goaways(SERVER) == [0, 0]
    log.check(BODIES)


class HandlerCancel:
    """Stands for the scope of a run: what is cancelled are the handlers that run then, through their streams.

    Attributes:
        hits: How many handlers were cancelled.
    """

    def __init__(self, server: ServerSession, run: SweepRun) -> None:
        self.hits = 0
        self._server = server
        run._scope = cast("trio.CancelScope", self)

    def __enter__(self) -> HandlerCancel:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        pass

    def cancel(self) -> None:
        """Cancels."""
        for stream in self._server._core.handlers:
            self.hits += 1
            stream.cancel()


# ---- Checks ----


def tasks_living() -> int:
    """Returns how many tasks there are."""
    return trio.lowlevel.current_statistics().tasks_living


def check_books(session: Session) -> None:
    """The books of a session agree with each other, whatever is going on."""
    engine = session._core.engine
    budget, ledger = engine.windows.budget, engine.windows.budget.ledger
    assert ledger.held >= 0
    assert ledger.held == sum(credit.held for credit in credits(engine).values())
    assert budget.window + ledger.held + budget.owed == budget.size
    assert engine.queued_body == sum(stream.outbox.buffered for stream in session._core.streams.values())
    assert 0 <= engine.copied_body <= engine.queued_body
    assert set(session._core.streams) == set(engine.streams)


def check_idle(session: Session, received: int) -> None:
    """A session that nobody uses holds nothing.

    Args:
        session: The session.
        received: The flow-controlled bytes that its peer has sent.
    """
    check_books(session)
    check_empty(session)
    engine = session._core.engine
    assert session._core.failure is None
    assert engine.output_size == 0
    assert not session._core.watcher._lingering
    budget = engine.windows.budget
    assert budget.ledger.received == received
    assert budget.owed < budget.window, "WINDOW_UPDATE is due"


def check_over(session: Session) -> None:
    """A session that has ended holds nothing."""
    assert session._core.failure is not None
    assert session._core.ending.closed.is_set()
    check_empty(session)


def check_empty(session: Session) -> None:
    """No table has a stream in it, no queue a byte, no line a waiter."""
    engine = session._core.engine
    assert not session._core.streams
    assert not engine.streams
    assert not credits(engine)
    assert not engine.slots
    assert not engine._running
    assert engine.queued_body == engine.copied_body == 0
    assert engine.windows.budget.ledger.held == 0
    assert engine.windows.budget.stranded == 0
    assert engine.windows.budget.extra == 0
    assert not session._core.scheduler
    assert not session._core.scheduler._priorities
    assert not session._core.writer._bodies
    assert not session._core._room_wanted
    statistics = session.statistics()
    assert statistics.open_streams == 0
    assert statistics.running_handlers == 0
    assert statistics.waiting_for_slot == 0
    assert not engine.pushes
    if isinstance(session, ServerSession):
        assert not session._core.handlers
        assert not session._core.queue
        assert not session._core.pushes.by_parent


async def next_request(session: ClientSession) -> None:
    """A clean request succeeds."""
    await plain(session)


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts connections in memory."""

    def __init__(self) -> None:
        self._arrived, self._waiting = trio.open_memory_channel[trio.abc.Stream](math.inf)

    def connect(self, log: WireLog | None = None) -> trio.abc.Stream:
        """Returns the client's end of a new connection; what the server sends goes into the log."""
        left, right = memory_transports()
        self._arrived.send_nowait(right if log is None else log.tap(right, SERVER))
        return left

    async def accept(self) -> trio.abc.Stream:
        """Waits for a connection."""
        return await self._waiting.receive()

    async def aclose(self) -> None:
        """Closes what was not accepted."""
        try:
            while True:
                await trio.aclose_forcefully(self._waiting.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            self._waiting.close()
        await trio.lowlevel.checkpoint()
