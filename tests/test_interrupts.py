"""Ctrl-C at any moment: `KeyboardInterrupt` reaches the user's own code, as it is, and nothing else is said.

Where a program is when the signal comes decides what Python and Trio do. So it is sent here at the n-th call of a
function of the library, for many n: in the tasks of sessions as well as in those of the user.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
import trio
import trio.testing

import trio_h2
from trio_h2._util import interruptible
from trio_h2.compat import request_handler
from trio_h2.testing import memory_transports
from trio_h2.websocket import WebSocket, WebSocketHandler, connect_websocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

    Program: TypeAlias = Callable[[], Awaitable[object]]
    Talk: TypeAlias = Callable[[trio.abc.Stream], Awaitable[None]]
    PushHandler: TypeAlias = Callable[[trio_h2.PushedStream], Awaitable[object]]

LIBRARY = str(Path(trio_h2.__file__).parent)
CONFIG = trio_h2.ServerConfig(enable_connect_protocol=True)
MOMENTS = 60
"""How many moments of each program are tried."""


class CtrlC:
    """Sends SIGINT at one moment: when a function of the library is called, or returns, for the n-th time.

    For coroutines that is also when they wait, and when they go on, where Python itself looks for no signal. That makes
    no difference but in the one function that may be interrupted.

    Args:
        moment: n; `None` only counts.
    """

    def __init__(self, moment: int | None) -> None:
        self.count = 0
        self._moment = moment

    def begin(self) -> None:
        """From now on moments count."""
        sys.setprofile(self._passed)

    def _passed(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(LIBRARY):
            return
        if code is interruptible.__code__:
            return
        self.count += 1
        if self.count == self._moment:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)


def pressed(program: Program, moment: int | None) -> CtrlC:
    """Runs *program* and presses Ctrl-C at *moment*."""
    ctrl_c = CtrlC(moment)

    async def main() -> None:
        ctrl_c.begin()
        await program()

    try:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        sys.setprofile(None)
    return ctrl_c


async def in_background(program: Program) -> None:
    """Lets the other side run where Ctrl-C is nothing to it."""

    async def run() -> None:
        with contextlib.suppress(Exception):  # the side that was interrupted has left it
            await program()

    trio.lowlevel.spawn_system_task(run)
    await trio.testing.wait_all_tasks_blocked()


# -- the programs ------------------------------------------------------------------------------------------------------


async def answer(stream: trio_h2.ServerStream) -> None:
    if stream.push_allowed:
        pushed = await stream.push({":path": "/pushed"})
        await pushed.respond(body=b"pushed")
    await stream.respond(body=b"a" * 99)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send_message(message)


async def take_push(stream: trio_h2.PushedStream) -> None:
    await stream.receive_response()
    await stream.receive_some()


async def requests(transport: trio.abc.Stream, push_handler: PushHandler | None = None) -> None:
    async with trio_h2.connect("http://localhost", transport=transport, push_handler=push_handler) as session:
        for _ in range(3):
            async with session.request("POST", body=b"b" * 99) as stream:
                await stream.receive_response()
                assert b"".join([chunk async for chunk in stream]) == b"a" * 99
        await session.ping()
        async with session.request("POST", end_stream=False) as stream:
            await stream.send_all(bytes(100_000))
            await stream.send_eof()
            await stream.receive_response()
        await session.aclose()


async def chat(transport: trio.abc.Stream) -> None:
    async with connect_websocket("ws://localhost", transport=transport) as ws:
        for number in range(3):
            await ws.send_message(str(number))
            assert await ws.receive_message() == str(number)


async def http1_requests(transport: trio.abc.Stream) -> None:
    for _ in range(3):
        await transport.send_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc")
        await transport.receive_some()
    await transport.aclose()


async def client(talk: Talk) -> None:
    ours, theirs = memory_transports()
    await in_background(partial(trio_h2.serve_stream, WebSocketHandler(echo, fallback=answer), theirs, config=CONFIG))
    await talk(ours)


async def one_connection(talk: Talk) -> None:
    ours, theirs = memory_transports()
    await in_background(partial(talk, theirs))
    handler = WebSocketHandler(echo, fallback=answer)
    await trio_h2.serve_stream(handler, ours, config=CONFIG, allow_http1=True)


class Once(trio.abc.Listener[trio.abc.Stream]):
    """Has one connection to accept."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._streams = [stream]

    async def accept(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if not self._streams:
            await trio.sleep_forever()
        return self._streams.pop()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def server(talk: Talk) -> None:
    ours, theirs = memory_transports()
    await in_background(partial(talk, theirs))
    with trio.move_on_after(5):
        await trio_h2.serve_listeners(WebSocketHandler(echo, fallback=answer), [Once(ours)], config=CONFIG)


@pytest.mark.parametrize(
    ("where", "talk"),
    [
        pytest.param(client, requests, id="client"),
        pytest.param(client, partial(requests, push_handler=take_push), id="client that takes pushes"),
        pytest.param(client, chat, id="websocket client"),
        pytest.param(one_connection, requests, id="one connection"),
        pytest.param(one_connection, http1_requests, id="one HTTP/1.1 connection"),
        pytest.param(one_connection, chat, id="one websocket"),
        pytest.param(server, requests, id="server"),
    ],
)
def test_ctrl_c_at_any_moment_is_a_plain_keyboard_interrupt(
    where: Callable[[Talk], Awaitable[None]], talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of `trio.run`, with no group around it, nothing beside it, and not a line in the log."""
    program = partial(where, talk)
    total = pressed(program, None).count
    for moment in sorted(random.Random(0).sample(range(1, total), MOMENTS)):
        error, ctrl_c = None, None
        try:
            ctrl_c = pressed(program, moment)
        except BaseException as exc:
            error = exc
        if ctrl_c is not None and ctrl_c.count < moment:
            continue  # it took fewer steps this time
        assert type(error) is KeyboardInterrupt, (moment, error)
        assert error.__context__ is None, (moment, error.__context__)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    gc.collect()  # what was left open would warn here


# -- the code of applications that the library calls -------------------------------------------------------------------


class Told:
    """Code of an application that runs for long without a checkpoint, when Ctrl-C is pressed."""

    def __init__(self) -> None:
        self.interrupted = False

    async def __call__(self, *_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        await trio.sleep_forever()


async def pushing(stream: trio_h2.ServerStream) -> None:
    await stream.push({":path": "/pushed"})
    await stream.respond(body=b"a" * 99)


async def hooked(told: Told) -> None:
    ours, theirs = memory_transports()
    await in_background(partial(requests, theirs))
    await trio_h2.serve_stream(answer, ours, on_session=told)


async def handled(handler: Callable[[trio_h2.ServerStream], Awaitable[object]], talk: Talk) -> None:
    ours, theirs = memory_transports()
    await in_background(partial(talk, theirs))
    await trio_h2.serve_stream(handler, ours, config=CONFIG, allow_http1=True)


async def pushed_to(told: Told) -> None:
    ours, theirs = memory_transports()
    await in_background(partial(trio_h2.serve_stream, pushing, theirs))
    await requests(ours, told)


async def connected_by(told: Told) -> None:
    async with trio_h2.connect("http://localhost", transport=told):  # type: ignore[arg-type]  # it raises first
        pass


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(lambda told: handled(told, requests), id="handler"),
        pytest.param(lambda told: handled(told, http1_requests), id="handler of HTTP/1.1"),
        pytest.param(lambda told: handled(request_handler(told), requests), id="handler of requests"),
        pytest.param(lambda told: handled(WebSocketHandler(told), chat), id="handler of WebSockets"),
        pytest.param(lambda told: handled(WebSocketHandler(echo, fallback=told), requests), id="fallback"),
        pytest.param(hooked, id="on_session"),
        pytest.param(pushed_to, id="push handler"),
        pytest.param(connected_by, id="transport"),
    ],
)
def test_code_of_applications_is_interrupted_where_it_is(program: Callable[[Told], Awaitable[None]]) -> None:
    """As everywhere else in a program, so that a loop that never ends can be stopped."""
    told = Told()
    with pytest.raises(KeyboardInterrupt):
        pressed(partial(program, told), None)
    assert told.interrupted
