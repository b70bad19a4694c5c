"""The exchanges that are swept: what a client does on each path, and what our server's handler answers.

A path has one whole request body and one whole response body (`BODIES`), so whatever the wire shows as ended can be
held against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from _pytest.mark import ParameterSet

    from trio_h2 import ClientSession, ClientStream, ServerStream, Stream

    class Exchange(Protocol):
        """What a client does."""

        __name__: str

        async def __call__(self, session: ClientSession) -> None:
            """Does it."""


HELLO = b"hello"
LONG = bytes(range(150))
"""More than two windows."""
PIECES = (LONG[:30], LONG[30:110], LONG[110:])
SHORT = LONG[:40]
TRAILERS = {"x-sum": "40"}

BURNT = bytes(65_535 - 100)
"""All of a connection's first window but 100 bytes."""
STALLED = bytes(40_000)
BIG = bytes(range(250)) * 280

BODIES = {
    "/plain": (b"", HELLO),
    "/upload": (LONG, HELLO),
    "/download": (b"", LONG),
    "/echo": (LONG, LONG),
    "/trailers": (SHORT, SHORT),
    "/bare-trailers": (b"", b""),
    "/long-trailers": (LONG, LONG),
    "/hints": (b"", HELLO),
    "/early": (LONG, HELLO),
    "/hold": (b"", HELLO),
    "/pushing": (b"", HELLO),
    "/pushed": (b"", LONG),
    "/burn-up": (BURNT, HELLO),
    "/burn-down": (b"", BURNT),
    "/stall-up": (STALLED, HELLO),
    "/stall-down": (b"", STALLED),
    "/big-up": (BIG, HELLO),
    "/big-down": (b"", BIG),
}
"""The whole bodies of request and response on each path."""

hold = trio.lowlevel.ParkingLot()
"""Where the handlers of /hold wait."""


# ---- The client's side ----


async def plain(session: ClientSession) -> None:
    """Asks for a short answer."""
    async with session.request("GET", "/plain") as stream:
        await expect_response(stream)
        assert await read_all(stream) == HELLO


async def post(session: ClientSession) -> None:
    """Hands over a body larger than the windows, which the writer sends."""
    async with session.request("POST", "/upload", body=LONG) as stream:
        await expect_response(stream)
        assert await read_all(stream) == HELLO


async def upload(session: ClientSession) -> None:
    """Sends a body larger than the windows in pieces, and ends it."""
    headers = {"content-length": str(len(LONG))}
    async with session.request("POST", "/upload", headers=headers, end_stream=False) as stream:
        for piece in PIECES:
            await stream.send_all(piece)
        await stream.send_eof()
        await expect_response(stream)
        assert await read_all(stream) == HELLO


async def download(session: ClientSession) -> None:
    """Receives a body larger than the windows, in pieces smaller than those that come."""
    async with session.request("GET", "/download") as stream:
        await expect_response(stream)
        assert await read_all(stream, 50) == LONG


async def duplex(session: ClientSession) -> None:
    """Sends and receives at the same time."""

    async def send(stream: Stream) -> None:
        for piece in PIECES:
            await stream.send_all(piece)
        await stream.send_eof()

    async with session.request("POST", "/echo", end_stream=False) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(send, stream)
        await expect_response(stream)
        assert await read_all(stream) == LONG


async def trailers(session: ClientSession) -> None:
    """Sends trailers and receives an interim response, a body and trailers."""
    async with session.request("POST", "/trailers", end_stream=False) as stream:
        await stream.send_all(SHORT)
        await stream.send_trailers(TRAILERS)
        await expect_response(stream)
        assert await read_all(stream) == SHORT
        received = await stream.receive_trailers()
        assert received is not None
        assert received["x-sum"] == TRAILERS["x-sum"]


async def unread_trailers(session: ClientSession) -> None:
    """Wants the trailers only: the body goes unread."""
    async with session.request("POST", "/trailers", body=SHORT, end_stream=False) as stream:
        await stream.send_trailers(TRAILERS)
        received = await stream.receive_trailers()
        assert received is not None
        assert received["x-sum"] == TRAILERS["x-sum"]


async def bare_trailers(session: ClientSession) -> None:
    """Sends and receives trailers without a body."""
    async with session.request("POST", "/bare-trailers", end_stream=False) as stream:
        await stream.send_trailers(TRAILERS)
        await expect_response(stream)
        assert await stream.receive_some() == b""
        await expect_trailers(stream)


async def blocked_trailers(session: ClientSession) -> None:
    """Queues trailers behind a body that waits for its window, and waits for those behind another one."""
    async with session.request("POST", "/long-trailers", body=LONG, end_stream=False) as stream:
        await stream.send_trailers(TRAILERS)
        await expect_response(stream)
        assert await read_all(stream, 50) == LONG
        await expect_trailers(stream)


async def early(session: ClientSession) -> None:
    """Is answered before the body, which the server never reads, is sent."""
    async with session.request("POST", "/early", end_stream=False) as stream:
        for piece in PIECES:
            await stream.send_all(piece)
        await expect_response(stream)
        assert await read_all(stream) == HELLO


async def opened_and_closed(session: ClientSession) -> None:
    """Uses a stream without a block, and leaves the last bytes unread."""
    stream = await session.open_stream("GET", "/download")
    try:
        await expect_response(stream)
        while stream._core.alive:
            await stream.receive_some(50)
    finally:
        await stream.aclose()


async def abandoned(session: ClientSession) -> None:
    """Leaves the block in the middle of both bodies."""
    async with session.request("POST", "/echo", body=LONG) as stream:
        await expect_response(stream)
        assert await stream.receive_some(20)


EXCHANGES: tuple[Exchange, ...] = (
    plain,
    post,
    upload,
    download,
    duplex,
    trailers,
    unread_trailers,
    early,
    opened_and_closed,
    abandoned,
)


def wide_and_narrow(exchanges: Collection[Exchange]) -> list[ParameterSet]:
    """Returns parameters of tests: each exchange over a wide transport, some also where every write has to wait."""
    wide = [pytest.param(exchange, None, id=exchange.__name__) for exchange in exchanges]
    narrow = (upload, duplex, trailers, early)
    return wide + [pytest.param(it, 37, id=f"{it.__name__}-narrow") for it in narrow if it in exchanges]


async def expect_response(stream: ClientStream) -> None:
    """Waits for the response, which is a 200."""
    response = await stream.receive_response()
    assert response.status == 200


async def expect_trailers(stream: Stream) -> None:
    """Waits for the trailers, which are those of all exchanges."""
    received = await stream.receive_trailers()
    assert received is not None
    assert received["x-sum"] == TRAILERS["x-sum"]


async def read_all(stream: Stream, size: int | None = None) -> bytes:
    """Reads a body to its end, at most *size* bytes at a time."""
    body = bytearray()
    while chunk := await stream.receive_some(size):
        body += chunk
    return bytes(body)


# ---- The handlers ----


async def handler(stream: ServerStream) -> None:
    """Answers on all paths."""
    await HANDLERS[stream.path](stream)


async def _plain(stream: ServerStream) -> None:
    await stream.respond(200, body=HELLO)


async def _upload(stream: ServerStream) -> None:
    assert await read_all(stream, 50) == LONG
    await stream.respond(200, body=HELLO)


async def _download(stream: ServerStream) -> None:
    await stream.respond(200)
    for piece in PIECES:
        await stream.send_all(piece)


async def _echo(stream: ServerStream) -> None:
    await stream.respond(200)
    async for chunk in stream:
        await stream.send_all(chunk)
    await stream.send_eof()


async def _trailers(stream: ServerStream) -> None:
    await stream.send_informational(103, {"link": "</style.css>"})
    assert await stream.receive_some()
    received = await stream.receive_trailers()
    assert received is not None
    assert received["x-sum"] == TRAILERS["x-sum"]
    await stream.respond(200)
    await stream.send_all(SHORT)
    await stream.send_trailers(TRAILERS)


async def _bare_trailers(stream: ServerStream) -> None:
    await expect_trailers(stream)
    await stream.respond(200)
    await stream.send_trailers(TRAILERS)


async def _long_trailers(stream: ServerStream) -> None:
    assert await read_all(stream, 50) == LONG
    await expect_trailers(stream)
    await stream.respond(200)
    await stream.send_all(LONG)
    await stream.send_trailers(TRAILERS)


async def _hints(stream: ServerStream) -> None:
    for number in range(4):
        await stream.send_informational(103, {"x-number": number})
    await stream.respond(200, body=HELLO)


async def _hold(stream: ServerStream) -> None:
    await hold.park()
    await stream.respond(200, body=HELLO)


async def _stall_up(stream: ServerStream) -> None:
    await hold.park()
    assert await read_all(stream) == STALLED
    await stream.respond(200, body=HELLO)


async def _receive_whole(stream: ServerStream) -> None:
    assert await read_all(stream) == BODIES[stream.path][0]
    await stream.respond(200, body=HELLO)


async def _send_whole(stream: ServerStream) -> None:
    await stream.respond(200)
    await stream.send_all(BODIES[stream.path][1])


HANDLERS: dict[str, Callable[[ServerStream], Awaitable[None]]] = {
    "/plain": _plain,
    "/upload": _upload,
    "/download": _download,
    "/echo": _echo,
    "/trailers": _trailers,
    "/bare-trailers": _bare_trailers,
    "/long-trailers": _long_trailers,
    "/hints": _hints,
    "/early": _plain,
    "/hold": _hold,
    "/burn-down": _send_whole,
    "/stall-up": _stall_up,
    "/stall-down": _send_whole,
    "/big-up": _receive_whole,
    "/big-down": _send_whole,
}
