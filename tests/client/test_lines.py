"""Bodies line by line and event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours
from trio_h2 import Client

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.client.network import Serve

URL = "http://a.example"
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])
pieces = pytest.mark.parametrize("piece", [1, 2, 1000])


def _serving(body: bytes, *, piece: int = 1000, kind: str = "text/plain", pause: float = 0) -> Serve:
    async def answer(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": "200", "content-type": kind}, end_stream=False)
        for start in range(0, len(body), piece):
            await stream.send_all(body[start : start + piece])
            if pause:
                await trio.sleep(pause)

    return ours(answer, http1=True)


@both
@pieces
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("one", ["one"]),
        ("one\n", ["one"]),
        ("one\r\ntwo\rthree\nfour", ["one", "two", "three", "four"]),
        ("\r\n\r\n\r\r\n\n", ["", "", "", "", ""]),
        ("a\x0bb\u2028c\x85d", ["a\x0bb\u2028c\x85d"]),
        ("\ufeffgrün\r\n☃", ["grün", "☃"]),
    ],
)
async def test_lines(text: str, lines: list[str], piece: int, http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(_serving(text.encode(), piece=piece)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
        client.request("GET", URL) as response,
    ):
        assert [line async for line in response.iter_lines()] == lines


@both
async def test_charsets(http1: bool, autojump_clock: MockClock) -> None:
    body = "ä\nö\n".encode("utf-16")
    async with (
        network(_serving(body, piece=1, kind="text/plain; charset=utf-16")) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        async with client.request("GET", URL) as response:
            assert [line async for line in response.iter_lines()] == ["ä", "ö"]
        async with client.request("GET", URL) as response:
            with pytest.raises(trio_h2.BodyDecodeError, match="not in the charset"):
                async for _ in response.iter_lines(encoding="utf-8"):
                    pass
        async with client.request("GET", URL) as response:
            for wrong in "no such", "hex", "":
                with pytest.raises(ValueError, match="encoding"):
                    response.iter_lines(encoding=wrong)


@both
async def test_lines_are_bounded(http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(_serving(b"12345\n123456\n", piece=3)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
        client.request("GET", URL) as response,
    ):
        lines = response.iter_lines(max_line=5)
        assert await anext(lines) == "12345"
        with pytest.raises(trio_h2.BodyTooLargeError, match="max_line=5"):
            await anext(lines)


@both
async def test_a_cancelled_wait_loses_nothing(http1: bool, autojump_clock: MockClock) -> None:
    got: list[str] = []
    async with (
        network(_serving(b"some\nmore\nlast", piece=1, pause=1)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
        client.request("GET", URL) as response,
    ):
        lines = response.iter_lines()
        with pytest.raises(StopAsyncIteration):
            while True:
                with trio.move_on_after(0.7):
                    got.append(await anext(lines))
    assert got == ["some", "more", "last"]


# -- events ------------------------------------------------------------------------------------------------------------

STREAM = (
    "\ufeff: a comment\n\n"
    "data: first\n\n"
    "event: kind\ndata:two\ndata:  lines\ndata\nid: 7\n\n"
    "event: nothing\n\n"
    "id\r\nretry: 2500\r\nunknown: x\r\ndata: fourth: here\r\n\r\n"
    "id: bad\0id\rretry: 1s\rdata: \r\r"
    "id: 9\n\n"
    "data: pending"
)
EVENTS = [
    ("message", "first", ""),
    ("kind", "two\n lines\n", "7"),
    ("message", "fourth: here", ""),
    ("message", "", ""),
]


@both
@pieces
async def test_events(piece: int, http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(_serving(STREAM.encode(), piece=piece, kind="text/event-stream")) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
        client.request("GET", URL) as response,
    ):
        events = response.iter_events()
        assert (events.retry, events.last_event_id) == (None, "")
        assert [(event.event, event.data, event.id) async for event in events] == EVENTS
        assert (events.retry, events.last_event_id) == (2.5, "9")


@both
async def test_an_event_is_there_at_once(http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(_serving(b"data: 0\r\r" + b"data: 1\r\n\r\n", piece=9, pause=5)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
        client.request("GET", URL) as response,
    ):
        assert (await anext(response.iter_events())).data == "0"
        assert trio.current_time() < 1


@both
async def test_events_are_bounded(http1: bool, autojump_clock: MockClock) -> None:
    for body in b"data: 1\n\n" + b"data: 12345\n" * 2, b"data: 1\n\n: " + b"x" * 100:
        async with (
            network(_serving(body, piece=9)) as made,
            Client(transport=made, prior_knowledge=not http1) as client,
            client.request("GET", URL) as response,
        ):
            events = response.iter_events(max_size=11)
            assert (await anext(events)).data == "1"
            with pytest.raises(trio_h2.BodyTooLargeError, match="11 characters"):
                await anext(events)


@both
async def test_wrong_arguments(http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(_serving(b"\xff\n", kind="text/plain; charset=nothing")) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
        client.request("GET", URL) as response,
    ):
        with pytest.raises(ValueError, match="max_line must be at least 1, not 0"):
            response.iter_lines(max_line=0)
        with pytest.raises(ValueError, match="max_size must be at least 1, not 0"):
            response.iter_events(max_size=0)
        with pytest.raises(trio_h2.BodyDecodeError, match="'nothing' of the body is not known"):
            response.iter_lines()
