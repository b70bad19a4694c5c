"""Very many mixed requests through one client and one server over TCP, and what is left of them afterwards.

Requests come through, are cancelled at any moment, are reset by either side, and break the rules; most go over sessions
that live as long as the run, others over sessions that end on the way, and some over HTTP/1.1. Between rounds, when
nothing is under way, everything that could grow is counted: resident memory, descriptors, tasks, and the tables of the
sessions. In the second half none of it may grow any more. In the first half, what sessions remember of resets fills:
4096 of each side, some five MiB on all of them.
"""

from __future__ import annotations

import gc
import math
import os
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trio_h2 import (
    ClientConfig,
    ClientSession,
    ErrorCode,
    Server,
    ServerConfig,
    ServerStream,
    Session,
    StreamError,
    connect,
    serve_tcp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

LIVE_SESSIONS = 4
"""Sessions that live as long as the run."""
AT_ONCE = 25
"""Requests under way on each session."""
ROUND = 2000
"""Requests between two looks."""
BODY = bytes(range(256)) * 400
ROOM = 6 * 1024 * 1024
"""Bytes by which resident memory may grow: what the allocator and the interpreter do for themselves."""
OBJECTS = 30_000
"""The same for objects: resets are remembered, 4096 of each side on each session, and header blocks are."""
SWING = {"descriptors": 3, "tasks": 12}
"""The last connection of a round may still be closing."""
SERVER = ServerConfig(reset_burst=2**31)
CLIENT = ClientConfig(cancel_rate=math.inf)
"""Without the limits that are there to end such a thing early."""

KINDS = {
    "get": 30,
    "upload": 12,
    "download": 6,
    "echo": 6,
    "trailers": 6,
    "cancelled": 15,
    "cut": 8,
    "reset": 8,
    "refused": 4,
    "raises": 3,
    "http1": 2,
}
"""What requests do, and how often."""


@dataclass(frozen=True)
class Snapshot:
    """What there is when nothing is under way."""

    requests: int
    resident: int
    """Bytes of the process."""
    descriptors: int
    tasks: int
    tables: int
    """Entries in the tables of the sessions: streams, windows, handlers, marks, lines, what is remembered of resets."""
    objects: int
    """That the garbage collector knows."""

    def __str__(self) -> str:
        return (
            f"{self.requests:7} requests: {self.resident / 2**20:6.1f} MiB resident, {self.descriptors} descriptors, "
            f"{self.tasks} tasks, {self.tables} entries in tables, {self.objects} objects"
        )


def resident() -> int:
    """Returns the bytes of memory that the process has."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("this system does not tell how much memory a process has")


def table_entries(session: Session) -> int:
    """Returns how many entries the tables of a session have that requests come and go in."""
    core = session._core
    engine, watcher = core.engine, core.watcher
    tables: tuple[Sized, ...] = (
        *(engine.streams, engine.slots, engine.windows.unread, engine.pushes.open, engine.pushes.reserved),
        *(core.streams, core.handlers.running, core.slots.line, core._room_wanted),
        *(watcher._lingering, watcher._queued, watcher._stream_timers.timeouts),
    )
    return sum(map(len, tables))


class Soak:
    """One run.

    Args:
        requests: how many.
        seed: where the randomness starts.
        tell: gets a line now and then.
    """

    def __init__(self, requests: int, seed: int, tell: Callable[[str], object]) -> None:
        self._requests = requests
        self._random = random.Random(seed)
        self._tell = tell
        self._done = 0
        self.seen: Counter[str] = Counter()
        """What became of the requests."""
        self.snapshots: list[Snapshot] = []

    async def run(self) -> None:
        """Runs, and is judged."""
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            serve = partial(serve_tcp, self._handle, 0, host="127.0.0.1", config=SERVER, allow_http1=True)
            server: Server = await nursery.start(serve)
            await self._rounds(server)
            await server.aclose(grace=10)
        left = trio.lowlevel.current_statistics().tasks_living - tasks
        require(left == 0, f"{left} tasks are left")
        self._judge()

    # -- the server

    async def _handle(self, stream: ServerStream) -> None:
        kind = stream.path.strip("/")
        if kind == "refused":
            stream.reset(ErrorCode.REFUSED_STREAM)
            return
        if kind == "reset":
            await stream.respond()
            await stream.send_all(BODY[:1000])
            stream.reset(ErrorCode.INTERNAL_ERROR)
            return
        if kind == "cancelled":
            await stream.respond()
            await stream.send_all(BODY[:500])
            await trio.sleep_forever()
        if kind == "echo":
            await stream.respond()
            async for data in stream:
                await stream.send_all(data)
            return
        async for _ in stream:
            pass
        if kind == "trailers":
            await stream.respond()
            await stream.send_all(BODY[:2000])
            await stream.send_trailers({"x-end": "yes"})
            return
        await stream.respond(body=BODY if kind in ("download", "cut") else BODY[:100])

    # -- the client

    async def _rounds(self, server: Server) -> None:
        url = f"http://127.0.0.1:{server.port}"
        async with AsyncExitStack() as stack:
            live = [await stack.enter_async_context(connect(url, config=CLIENT)) for _ in range(LIVE_SESSIONS)]
            while self._done < self._requests:
                async with connect(url, config=CLIENT) as short:
                    await self._round([*live, short], server.port)
                await self._look([*live, *server.sessions])

    async def _round(self, sessions: list[ClientSession], port: int) -> None:
        """Some thousand requests; each session has some under way at any time."""
        kinds = self._random.choices(list(KINDS), list(KINDS.values()), k=min(ROUND, self._requests - self._done))
        self._done += len(kinds)

        async def work(session: ClientSession) -> None:
            while kinds:
                kind = kinds.pop()
                self.seen[await (self._http1(port) if kind == "http1" else self._request(session, kind))] += 1

        async with trio.open_nursery() as nursery:
            for session in sessions:
                for _ in range(AT_ONCE):
                    nursery.start_soon(work, session)

    async def _request(self, session: ClientSession, kind: str) -> str:
        """One request; returns what became of it."""
        upload = kind in ("upload", "echo", "refused")
        with trio.move_on_after(self._random.random() * 0.02 if kind == "cancelled" else math.inf):
            try:
                async with session.request(
                    "POST" if upload else "GET",
                    f"/{kind}",
                    headers={"x-number": str(self._random.randrange(10_000))},
                    body=BODY[: self._random.randrange(30_000)] if upload else b"",
                ) as stream:
                    await stream.receive_response()
                    if kind == "cut":
                        await stream.receive_some(100)
                        return "cut"
                    if kind == "raises":
                        raise ZeroDivisionError
                    while await stream.receive_some():
                        pass
                    if kind == "trailers":
                        trailers = await stream.receive_trailers()
                        require(trailers is not None and trailers["x-end"] == "yes", "the trailers are wrong")
            except ZeroDivisionError:
                return "raised"
            except StreamError as exc:
                require(kind in ("reset", "refused"), f"{kind}: {exc!r}")
                return type(exc).__name__
            return "came through"
        return "cancelled"

    async def _http1(self, port: int) -> str:
        """A request over HTTP/1.1, of a client that then goes away."""
        async with await trio.open_tcp_stream("127.0.0.1", port) as transport:
            await transport.send_all(b"GET /get HTTP/1.1\r\nhost: x\r\n\r\n")
            require((await transport.receive_some()).startswith(b"HTTP/1.1 200"), "no answer over HTTP/1.1")
        return "HTTP/1.1"

    # -- judging

    async def _look(self, sessions: Sequence[Session]) -> None:
        """Waits until all is quiet, and counts."""
        for _ in range(500):
            if not any(table_entries(session) for session in sessions if not session.closed):
                break
            await trio.sleep(0.01)
        gc.collect()
        self.snapshots.append(
            Snapshot(
                self._done,
                resident(),
                len(os.listdir("/proc/self/fd")),
                trio.lowlevel.current_statistics().tasks_living,
                sum(table_entries(session) for session in sessions if not session.closed),
                len(gc.get_objects()),
            )
        )
        if len(self.snapshots) % 10 == 1 or self._done >= self._requests:
            self._tell(str(self.snapshots[-1]))

    def _judge(self) -> None:
        settled = self.snapshots[len(self.snapshots) // 2 :]
        first, last = settled[0], settled[-1]
        require(last.tables == 0, f"entries are left in tables: {last}")
        for name in ("descriptors", "tasks"):
            before, after = getattr(first, name), getattr(last, name)
            require(abs(after - before) <= SWING[name], f"{name} have changed from {before} to {after}")
        grown = last.resident - first.resident
        require(grown <= ROOM, f"resident memory has grown by {grown} bytes: {first} … {last}")
        grown = last.objects - first.objects
        require(grown <= OBJECTS, f"there are {grown} more objects: {first} … {last}")
        came = self.seen["came through"]
        require(came > 0.4 * self._requests, f"only {came} requests came through: {dict(self.seen)}")


def require(condition: bool, problem: str) -> None:
    """Raises unless it is so."""
    if not condition:
        raise AssertionError(problem)


def soak(requests: int, seed: int, tell: Callable[[str], object]) -> Soak:
    """Runs it in a loop of its own."""
    run = Soak(requests, seed, tell)
    trio.run(run.run)
    return run
