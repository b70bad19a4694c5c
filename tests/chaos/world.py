"""One world of the chaos run: a client and a server in memory, and everything that can go wrong at random moments.

A world is rounds. Each starts requests and does one thing to them: cancels, resets, stalls a transport, changes the
settings of a side, sends pings, blocks the loop for up to a minute, or, once, cuts the transport or drains a side. Then
it calms down, and is judged:

* every request ends, with the whole message or an error of its own kind;
* who was not disturbed has got all of it, and no healthy session has died;
* sessions that live serve another request, and their books balance;
* nothing is left: no task, no stream, no byte.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
import trio.testing
from trio._core import _run

from trio_h2 import (
    ClientConfig,
    ClientSession,
    ClientStream,
    ErrorCode,
    H2Error,
    Role,
    ServerConfig,
    ServerSession,
    ServerStream,
    Session,
    Settings,
    StreamRefusedError,
)
from trio_h2.testing import ChaosStream, CuttingStream, StallableStream, session_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 8
PATIENCE = 3000.0
"""Seconds of the mock clock after which something hangs."""
STALLED = 9.0
"""Seconds that all stalls of a world may take together: less than the deadlines."""
WINDOWS = (2000, 5000, 20_000, 65_535, 150_000)
TABLES = ((0,), (100, 0), (4096,), (0, 4096), (100, 50, 4096), (4096, 0), (200, 100))
SIZES = (0, 1, 100, 3000, 10_000, 40_000, 70_000)
PATTERN = bytes(range(251)) * 700


class UnexpectedError(AssertionError):
    """The world is not as it should be."""


def require(condition: bool, problem: str) -> None:
    """Raises unless it is so."""
    if not condition:
        raise UnexpectedError(problem)


class Exchange:
    """One request and what becomes of it."""

    def __init__(self, number: int, source: random.Random) -> None:
        self.number = number
        self.upload, self.download = source.choice(SIZES), source.choice(SIZES)
        self.client_style = source.choice(("read", "read", "read slowly", "leave", "reset"))
        self.server_style = source.choice(
            ("read first", "read first", "both at once", "answer first", "reset", "sleep")
        )
        self.pieces = source.choice((1000, 16_384, 100_000))
        self.gap = source.choice((0.0, 0.0, 0.2))
        """Seconds between the pieces that are sent: whoever reads, has read all that came."""
        self.pause = source.choice((0.0, 0.0, 0.01, 0.5))
        self.disturbed = self.client_style in ("leave", "reset") or self.server_style == "reset"
        """Whether anybody who may has ended it early."""
        self.opened = self.ended = False
        self.scope = trio.CancelScope()
        self.stream: ClientStream | None = None

    def __repr__(self) -> str:
        return (
            f"<exchange {self.number}: {self.upload} up, {self.download} down, client {self.client_style!r}, "
            f"server {self.server_style!r}, pieces of {self.pieces}>"
        )


class World:
    """One client, one server, and their rounds.

    Args:
        name: where the randomness starts.
        clock: of the run, which jumps by itself.
    """

    def __init__(self, name: str, clock: trio.testing.MockClock) -> None:
        self._random = source = random.Random(name)
        self._clock = clock
        self._victim = source.choice(list(Role))
        """Whose loop is blocked; only this side has deadlines, for the other one's answers are held back."""
        self._stalls: list[StallableStream] = []
        self._cuts: list[CuttingStream] = []
        self._stalled = 0.0
        self._stalling = 0
        self._exchanges: dict[int, Exchange] = {}
        self._leaving = self._cut = False
        self.seen: Counter[str] = Counter()
        """What has happened, and how often."""
        self._wild = source.random() < 0.5
        self._capacity = source.choice((None, None, 1000, 30_000))
        self._client: ClientSession
        self._server: ServerSession

    # -- the sides

    def _wrap(self, side: Role) -> Callable[[trio.abc.HalfCloseableStream], trio.abc.Stream]:
        def wrap(transport: trio.abc.HalfCloseableStream) -> trio.abc.Stream:
            cutting = CuttingStream(transport, error=self._random.random() < 0.5)
            stalling = StallableStream(cutting)
            self._cuts.append(cutting)
            self._stalls.append(stalling)
            return ChaosStream(stalling, self._random.randrange(2**32)) if self._wild else stalling

        return wrap

    def _deadlines(self, side: Role) -> dict[str, float]:
        if side is not self._victim:
            return dict.fromkeys(("handshake_timeout", "settings_timeout", "ping_interval", "idle_timeout"), math.inf)
        return {"settings_timeout": 10.0, "ping_interval": 5.0, "ping_timeout": 10.0, "idle_timeout": math.inf}

    def _configs(self) -> tuple[ClientConfig, ServerConfig]:
        source = self._random
        common = {"receive_budget": 2**21, "max_frame_size": 16_384}
        client = ClientConfig(stream_window=source.choice(WINDOWS)).evolve(**common, **self._deadlines(Role.CLIENT))
        server = ServerConfig(
            stream_window=source.choice(WINDOWS), max_concurrent_streams=source.choice((3, 10)), receive_budget=2**21
        )
        return client, server.evolve(handler_wait_timeout=math.inf, **self._deadlines(Role.SERVER))

    async def run(self) -> None:
        """Lives, and is judged."""
        client_config, server_config = self._configs()
        tasks = trio.lowlevel.current_statistics().tasks_living
        pair = session_pair(
            self._serve,
            client_config=client_config,
            server_config=server_config,
            capacity=self._capacity,
            wrap_client=self._wrap(Role.CLIENT),
            wrap_server=self._wrap(Role.SERVER),
        )
        with self._patience("the end of the sessions", 3 * PATIENCE):
            async with pair as (self._client, self._server):
                with self._patience("the end of the exchanges"):
                    async with trio.open_nursery() as nursery:
                        for _ in range(ROUNDS):
                            await self._round(nursery)
                        await self._update_one(self._server, Settings(max_concurrent_streams=10))  # there is room again
                await self._judge()
        for session in self._client, self._server:
            numbers = session.statistics()
            require(numbers.ledger.held == numbers.queued_body == numbers.open_streams == 0, f"left over: {numbers}")
        require(trio.lowlevel.current_statistics().tasks_living == tasks, "there are tasks left")

    @contextmanager
    def _patience(self, what: str, seconds: float = PATIENCE) -> Iterator[None]:
        with trio.move_on_after(seconds) as scope:
            yield
        if scope.cancelled_caught:
            waiting = [exchange for exchange in self._exchanges.values() if not exchange.ended]
            raise UnexpectedError(f"{what} did not come; under way: {waiting}; {self._client.statistics()}")

    # -- exchanges

    async def _exchange(self, exchange: Exchange) -> None:
        """The client's side."""
        try:
            with exchange.scope:
                await self._request(exchange)
            self.seen["cancelled" if exchange.scope.cancelled_caught else "came through"] += 1
        except* (H2Error, trio.ClosedResourceError) as group:
            exc = _first(group)
            self.seen[type(exc).__name__] += 1
            # Refused is who may come again: while handlers end that were cancelled, or when a side leaves at once.
            refused = isinstance(exc, StreamRefusedError) and exc.retryable
            excused = exchange.disturbed or refused or self._cut or (self._leaving and not exchange.opened)
            require(excused, f"{exchange!r} failed, and nobody had disturbed it: {exc!r}")
        exchange.ended = True

    async def _request(self, exchange: Exchange) -> None:
        headers = {"x-some": "thing" * (exchange.number % 7), "x-number": str(exchange.number)}
        async with (
            self._client.request("POST", f"/{exchange.number}", headers=headers, end_stream=False) as stream,
            trio.open_nursery() as nursery,
        ):
            exchange.opened, exchange.stream = True, stream
            nursery.start_soon(self._upload, exchange, stream)
            if exchange.client_style == "leave":
                nursery.cancel_scope.cancel()
                return
            if exchange.client_style == "reset":
                await trio.sleep(exchange.pause)
                stream.reset(ErrorCode.CANCEL)
            response = await stream.receive_response()
            require(response.status == 200, f"{exchange!r}: {response.status}")
            found = bytearray()
            while data := await stream.receive_some(exchange.pieces):
                found += data
                if exchange.client_style == "read slowly":
                    await trio.sleep(exchange.pause)
            require(found == PATTERN[: exchange.download], f"{exchange!r}: the wrong {len(found)} bytes came down")
            trailers = await stream.receive_trailers()
            require(trailers is not None and trailers["x-end"] == str(exchange.number), f"{exchange!r}: {trailers}")

    async def _upload(self, exchange: Exchange, stream: ClientStream) -> None:
        await self._send(stream, exchange.upload, exchange)
        await stream.send_eof()

    async def _send(self, stream: ClientStream | ServerStream, size: int, exchange: Exchange) -> None:
        pieces = max(exchange.pieces, 5000) if exchange.gap else exchange.pieces
        for start in range(0, size, pieces):
            await stream.send_all(PATTERN[start : min(size, start + pieces)])
            if exchange.gap:
                await trio.sleep(exchange.gap)

    async def _serve(self, stream: ServerStream) -> None:
        """The server's side."""
        number = int(stream.path[1:])
        if number < 0:
            await stream.respond(body=await self._receive(stream, 16_384))
            return
        exchange = self._exchanges[number]
        try:
            async with trio.open_nursery() as nursery:
                if exchange.server_style == "read first":
                    await self._check_upload(exchange, stream)
                elif exchange.server_style == "sleep":
                    await trio.sleep(exchange.pause * 4)
                elif exchange.server_style == "reset":
                    await trio.sleep(exchange.pause)
                    stream.reset(ErrorCode.REFUSED_STREAM)
                    return
                if exchange.server_style != "read first":
                    nursery.start_soon(self._check_upload, exchange, stream)
                await stream.respond({":status": 200, "x-number": stream.path, "x-some": "other thing"})
                await self._send(stream, exchange.download, exchange)
                if exchange.server_style != "answer first":
                    await stream.wait_send_all_might_not_block()
                await stream.send_trailers({"x-end": str(number)})
        except* (H2Error, trio.ClosedResourceError):
            require(exchange.disturbed or self._cut or self._leaving, f"{exchange!r} failed on the server")

    async def _receive(self, stream: ServerStream, pieces: int) -> bytes:
        found = bytearray()
        while data := await stream.receive_some(pieces):
            found += data
        return bytes(found)

    async def _check_upload(self, exchange: Exchange, stream: ServerStream) -> None:
        found = await self._receive(stream, exchange.pieces)
        require(found == PATTERN[: exchange.upload], f"{exchange!r}: the wrong {len(found)} bytes came up")

    # -- what happens

    async def _round(self, nursery: trio.Nursery) -> None:
        source = self._random
        for _ in range(source.choice((0, 1, 2, 3))):
            exchange = Exchange(len(self._exchanges), source)
            self._exchanges[exchange.number] = exchange
            nursery.start_soon(self._exchange, exchange)
        for _ in range(int(60 ** source.random())):
            await trio.lowlevel.checkpoint()
        disturb = source.choices(self._DISTURBANCES, self._WEIGHTS)[0]
        self.seen[disturb.__name__.strip("_")] += 1
        await disturb(self, nursery)
        if source.random() < 0.4:
            await trio.sleep(source.choice((0.001, 0.1, 1.0)))

    def _session(self) -> Session:
        return self._random.choice((self._client, self._server))

    async def _nothing(self, nursery: trio.Nursery) -> None:
        await trio.lowlevel.checkpoint()

    async def _cancel(self, nursery: trio.Nursery) -> None:
        for exchange in self._some_running():
            exchange.disturbed = True
            exchange.scope.cancel()

    async def _reset(self, nursery: trio.Nursery) -> None:
        for exchange in self._some_running():
            if exchange.stream is not None:
                exchange.disturbed = True
                exchange.stream.reset(self._random.choice((ErrorCode.CANCEL, ErrorCode.NO_ERROR, 0x1234)))

    def _some_running(self) -> list[Exchange]:
        running = [exchange for exchange in self._exchanges.values() if not exchange.ended]
        return self._random.sample(running, min(len(running), self._random.choice((1, 1, 3))))

    async def _stall(self, nursery: trio.Nursery) -> None:
        seconds = min(self._random.choice((0.05, 1.0, 3.0)), STALLED - self._stalled)
        if seconds <= 0:
            return
        self._stalled += seconds
        nursery.start_soon(self._stall_one, self._random.choice(self._stalls), seconds)

    async def _stall_one(self, transport: StallableStream, seconds: float) -> None:
        self._stalling += 1
        sending, receiving = self._random.choice(((True, True), (True, False), (False, True)))
        if sending:
            transport.stall_send()
        if receiving:
            transport.stall_receive()
        await trio.sleep(seconds)
        transport.resume()
        self._stalling -= 1

    async def _change_windows(self, nursery: trio.Nursery) -> None:
        await self._update(nursery, Settings(initial_window_size=self._random.choice((2000, 2000, *WINDOWS))))

    async def _change_tables(self, nursery: trio.Nursery) -> None:
        await self._update(nursery, *(Settings(header_table_size=size) for size in self._random.choice(TABLES)))

    async def _change_others(self, nursery: trio.Nursery) -> None:
        source = self._random
        more = Settings(
            max_frame_size=source.choice((16_384, 20_000, 100_000)), max_header_list_size=source.choice((9000, 65_535))
        )
        await self._update(nursery, more)

    async def _change_streams(self, nursery: trio.Nursery) -> None:
        settings = Settings(max_concurrent_streams=self._random.choice((1, 2, 10)))
        nursery.start_soon(self._update_one, self._server, settings)

    async def _update(self, nursery: trio.Nursery, *settings: Settings) -> None:
        session = self._session()
        for one in settings:
            nursery.start_soon(self._update_one, session, one)
            await trio.lowlevel.checkpoint()

    async def _update_one(self, session: Session, settings: Settings) -> None:
        with self._typed():
            await session.update_settings(settings)

    async def _ping(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(self._ping_one, self._session())

    async def _ping_one(self, session: Session) -> None:
        with self._typed():
            await session.ping()

    @contextmanager
    def _typed(self) -> Iterator[None]:
        """What is asked of a session may fail if it has ended, in one of the ways that we know."""
        try:
            yield
        except (H2Error, trio.ClosedResourceError) as exc:
            require(self._cut or self._leaving, f"a healthy session said {exc!r}")

    def _may_block(self) -> bool:
        """Whether all that the other side may answer by itself will then lie in the transport."""
        return not (self._stalling or self._cut or self._capacity)

    async def _block(self, nursery: trio.Nursery) -> None:
        """The loop is blocked for long, while what the peer has sent lies in the transport."""
        if not self._may_block():
            return
        session = self._client if self._victim is Role.CLIENT else self._server
        transport = self._stalls[0 if self._victim is Role.CLIENT else 1]
        if self._random.random() < 0.7:
            nursery.start_soon(
                self._update_one, session, Settings(max_header_list_size=self._random.randrange(9000, 65_000))
            )
        if self._random.random() < 0.3:
            await trio.sleep(5.5)  # a keep-alive is due
        await trio.lowlevel.checkpoint()
        if not self._may_block():
            return
        transport.stall_receive()
        await trio.testing.wait_all_tasks_blocked()
        transport.resume_receive()
        self._clock.jump(self._random.uniform(11, 60))
        await trio.testing.wait_all_tasks_blocked()  # what lies there is read before anything else happens

    async def _end(self, nursery: trio.Nursery) -> None:
        if self._random.random() < 0.5:
            self._leaving = True
            self._session().shutdown()
            return
        self._cut = True
        await self._random.choice(self._cuts).cut()

    _DISTURBANCES = (
        _nothing,
        _cancel,
        _reset,
        _stall,
        _change_windows,
        _change_tables,
        _change_others,
        _change_streams,
        _ping,
        _block,
        _end,
    )
    _WEIGHTS = (8, 20, 8, 14, 18, 12, 5, 8, 6, 14, 4)

    # -- and then

    async def _judge(self) -> None:
        """Everything has ended; what lives, is well."""
        if self._cut or self._leaving:
            return
        for session in self._client, self._server:
            require(not session.closed, f"{session!r} is over, and nobody had ended it")
        with self._patience("one more exchange"):
            async with self._client.request("POST", "/-1", body=PATTERN[:5000]) as stream:
                response = await stream.receive_response()
                found = await self._client_body(stream)
                require(response.status == 200 and found == PATTERN[:5000], f"{response.status}, {len(found)} bytes")
        await trio.sleep(20)  # what lingers is reset
        for session in self._client, self._server:
            numbers = session.statistics()
            ledger = numbers.ledger
            require(ledger.received == ledger.taken + ledger.discarded and not ledger.held, f"lost bytes: {ledger}")
            busy = numbers.open_streams, numbers.running_handlers, numbers.waiting_for_slot, numbers.queued_body
            require(busy == (0, 0, 0, 0), f"still busy: {numbers}")
            window, budget = numbers.receive_window, numbers.receive_budget
            require(budget // 2 <= window <= budget, f"the session's window is {window} of {budget}")

    async def _client_body(self, stream: ClientStream) -> bytes:
        found = bytearray()
        while data := await stream.receive_some():
            found += data
        return bytes(found)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def live(name: str) -> World:
    """Runs one world in a loop of its own; the same name makes the same world."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    # The order of tasks that are ready is Trio's choice; its own tests and Hypothesis seed it like this.
    _run._r.seed(name)

    async def main() -> World:
        world = World(name, clock)
        await world.run()
        return world

    return trio.run(main, clock=clock)
