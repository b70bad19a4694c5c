"""Cancelled means that it did not happen: what was cut off is done again, and nobody on the wire can tell.

An exchange is a list of operations here. The moment cancels the one that runs then; after that the exchange goes on
with this operation, uncancelled, to its proper end. Only a `send_all` that was torn cannot go on, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.sweep.exchanges import BODIES, HANDLERS, HELLO, LONG, PIECES, SHORT, TRAILERS
from tests.sweep.harness import next_request, pair, settle, sweep, with_robot_client, with_robot_server
from tests.sweep.wirelog import CANCEL
from trio_h2 import ClientSession, ClientStream, LocalProtocolError, ServerStream, Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from trio.testing import MockClock

    from trio_h2.testing import SweepRun


class Steps:
    """Operations that are each done once, in order, however often they are cancelled.

    Args:
        operations: What to do. An operation that returns has happened, one that was cancelled has not. The last one
            closes the stream.

    Attributes:
        torn: Whether it cannot go on, because the cancelled operation was a `send_all` that got half-way.
    """

    def __init__(self, operations: Sequence[Callable[[], Awaitable[object]]]) -> None:
        self.torn = False
        self._operations = operations
        self._done = 0

    async def do(self) -> None:
        """Does one after the other, until it is cancelled."""
        while self._done < len(self._operations):
            await self._operations[self._done]()
            self._done += 1

    async def go_on(self) -> None:
        """Does what is not done yet, if that is possible."""
        try:
            await self.do()
        except LocalProtocolError as exc:
            if "send_all" not in str(exc):
                raise
            self.torn = True
            await self._operations[-1]()


class Receiver:
    """Reads a body in pieces; reading can be cut off anywhere."""

    def __init__(self, stream: Stream, size: int | None = None) -> None:
        self.body = bytearray()
        self._stream = stream
        self._size = size

    async def read(self) -> None:
        """Reads to the end."""
        while chunk := await self._stream.receive_some(self._size):
            self.body += chunk


class Opening:
    """Opens a stream, once."""

    def __init__(self, session: ClientSession, method: str, path: str, *, end_stream: bool) -> None:
        self.stream: ClientStream | None = None
        self._session = session
        self._request = (method, path)
        self._end_stream = end_stream

    async def open(self) -> None:
        """Opens it."""
        assert self.stream is None, "opened again after it was opened"
        self.stream = await self._session.open_stream(*self._request, end_stream=self._end_stream)

    @property
    def opened(self) -> ClientStream:
        """The stream."""
        assert self.stream is not None
        return self.stream


# ---- The client ----


def _download(session: ClientSession) -> Steps:
    opening = Opening(session, "GET", "/download", end_stream=True)
    receiver: Receiver

    async def receive() -> None:
        nonlocal receiver
        receiver = Receiver(opening.opened, 50)

    async def read() -> None:
        await receiver.read()
        assert receiver.body == LONG

    return Steps(
        [
            opening.open,
            lambda: opening.opened.receive_response(),
            receive,
            read,
            lambda: opening.opened.receive_trailers(),
            lambda: opening.opened.aclose(),
        ]
    )


def _trailers(session: ClientSession) -> Steps:
    opening = Opening(session, "POST", "/trailers", end_stream=False)

    async def check() -> None:
        assert opening.opened.informational[0].status == 103
        trailers = await opening.opened.receive_trailers()
        assert trailers is not None
        assert trailers["x-sum"] == TRAILERS["x-sum"]

    return Steps(
        [
            opening.open,
            lambda: opening.opened.wait_send_all_might_not_block(),
            lambda: opening.opened.send_all(SHORT),
            lambda: opening.opened.send_trailers(TRAILERS),
            lambda: opening.opened.receive_response(),
            check,
            lambda: opening.opened.aclose(),
        ]
    )


def _pings(session: ClientSession) -> Steps:
    return Steps([lambda: session.ping(b"12345678")] * 4)


@pytest.mark.parametrize("capacity", [None, 37], ids=["wide", "narrow"])
@pytest.mark.parametrize("exchange", [_download, _trailers, _pings])
async def test_client_goes_on(
    exchange: Callable[[ClientSession], Steps], capacity: int | None, autojump_clock: MockClock
) -> None:
    async def one_run(run: SweepRun) -> None:
        async with pair(capacity=capacity) as both:
            steps = exchange(both.client)
            async with run:
                await steps.do()
            both.check_books()
            await steps.go_on()
            await next_request(both.client)
            await settle()
            both.check_idle()

    await sweep(one_run)


@pytest.mark.parametrize("exchange", [_download, _trailers, _pings])
async def test_client_goes_on_with_a_scripted_server(
    exchange: Callable[[ClientSession], Steps], autojump_clock: MockClock
) -> None:
    async def one_run(run: SweepRun) -> None:
        async with with_robot_server() as both:
            steps = exchange(both.client)
            async with run:
                await steps.do()
            both.check_books()
            await steps.go_on()
            await next_request(both.client)
            await settle()
            both.check_idle()

    await sweep(one_run)


# ---- A torn body ----


@pytest.mark.parametrize("capacity", [None, 37], ids=["wide", "narrow"])
@pytest.mark.parametrize("pieces", [PIECES, [LONG[i : i + 25] for i in range(0, 150, 25)]], ids=["large", "small"])
async def test_a_cancelled_send_all_happened_not_at_all_or_tears_the_body(
    pieces: Sequence[bytes], capacity: int | None, autojump_clock: MockClock
) -> None:
    torn = whole = 0

    async def one_run(run: SweepRun) -> None:
        nonlocal torn, whole
        async with pair(capacity=capacity) as both:
            async with both.client.request("POST", "/upload", end_stream=False) as stream:
                await stream.wait_send_all_might_not_block()
                sends = Steps([*(_piece_sender(stream, piece) for piece in pieces), trio.lowlevel.checkpoint])
                async with run:
                    await sends.do()
                both.check_books()
                await sends.go_on()
                if sends.torn:
                    torn += 1
                    with pytest.raises(LocalProtocolError):
                        await stream.send_eof()
                    with pytest.raises(LocalProtocolError):
                        await stream.send_trailers(TRAILERS)
                    with pytest.raises(LocalProtocolError):
                        await stream.wait_send_all_might_not_block()
                    await stream.aclose()
                else:
                    whole += 1
                    await stream.send_eof()
                    assert (await stream.receive_response()).status == 200
                    assert await stream.receive_some() == HELLO
            await next_request(both.client)
            await settle()
            both.check_idle()

    await sweep(one_run)
    assert whole > 10
    assert torn > (10 if pieces is PIECES else -1)


def _piece_sender(stream: Stream, piece: bytes) -> Callable[[], Awaitable[None]]:
    return lambda: stream.send_all(piece)


# ---- The handlers ----


class InterruptedHandler:
    """A handler that cancels its operations at the run's moment and goes on with them."""

    def __init__(self, run: SweepRun) -> None:
        self.torn = False
        self._run = run

    async def handle(self, stream: ServerStream) -> None:
        """Answers like the handler of /trailers, in steps."""
        receiver = Receiver(stream, 30)
        steps = Steps(
            [
                lambda: stream.send_informational(103, {"link": "</style.css>"}),
                receiver.read,
                stream.receive_trailers,
                lambda: stream.respond(200),
                lambda: stream.send_all(SHORT[:20]),
                stream.wait_send_all_might_not_block,
                lambda: stream.send_all(SHORT[20:]),
                lambda: stream.send_trailers(TRAILERS),
                stream.aclose,
            ]
        )
        async with self._run:
            await steps.do()
        await steps.go_on()
        assert receiver.body == SHORT
        self.torn = steps.torn


@pytest.mark.parametrize("capacity", [None, 37], ids=["wide", "narrow"])
async def test_handler_goes_on(
    capacity: int | None, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one_run(run: SweepRun) -> None:
        interrupted = InterruptedHandler(run)
        monkeypatch.setitem(HANDLERS, "/trailers", interrupted.handle)
        async with with_robot_client(capacity=capacity) as both:
            line = await both.robot.exchange("/trailers")
            assert line.status == 200
            if interrupted.torn:
                assert line.reset == CANCEL
            else:
                assert line.trailers == TRAILERS
                assert line.received == BODIES["/trailers"][1]
            await settle()
            both.check_idle()

    await sweep(one_run)
