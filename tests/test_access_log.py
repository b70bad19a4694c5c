"""The access log: one line per request, whatever becomes of it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, cast

import pytest
import trio

from tests.http1.client import HOST, RawClient
from trio_h2 import StreamResetError, serve_stream
from trio_h2.access_log import access_log
from trio_h2.testing import memory_transports, session_pair

if TYPE_CHECKING:
    from trio_h2 import ServerStream
    from trio_h2.access_log import Fields

Log = pytest.LogCaptureFixture


async def app(stream: ServerStream) -> None:
    if stream.path == "/raises":
        raise ZeroDivisionError
    if stream.path == "/forgets":
        return
    if stream.path == "/sleeps":
        await trio.sleep_forever()
    if stream.path == "/reads":
        async for _ in stream:
            pass
    if stream.path == "/slow":
        await trio.sleep(2)
    await stream.respond({":status": 201}, body=b"hello")


@pytest.fixture(autouse=True)
def level(caplog: Log) -> None:
    caplog.set_level(logging.INFO, "trio_h2.access")


def lines(caplog: Log) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "trio_h2.access"]


def fields(caplog: Log) -> list[Fields]:
    return [cast("Fields", vars(record)["access"]) for record in caplog.records if record.name == "trio_h2.access"]


async def test_a_line_of_text(caplog: Log, autojump_clock: object) -> None:
    async with session_pair(access_log(app)) as (client, _):
        async with client.request("GET", "/slow?x=1", headers={"user-agent": 'a "b" \\c \xa0'}) as stream:
            await stream.receive_response()
        async with client.request("HEAD") as stream:
            await stream.receive_response()
    assert lines(caplog) == [
        '- "GET /slow?x=1 HTTP/2.0" 201 5 0.000 "a \\"b\\" \\\\c \\xa0"',
        '- "HEAD / HTTP/2.0" 201 0 0.000 -',
    ]


async def test_a_line_of_json(caplog: Log, autojump_clock: object) -> None:
    async with (
        session_pair(access_log(app, format="json")) as (client, _),
        client.request("GET", "/slow", headers={"referer": "http://x/"}) as stream,
    ):
        await stream.receive_response()
    (line,) = lines(caplog)
    told = json.loads(line)
    assert [told] == fields(caplog)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "client": None,
        "method": "GET",
        "path": "/slow",
        "authority": "localhost",
        "version": "2.0",
        "referer": "http://x/",
        "user_agent": None,
        "status": 201,
        "octets": 5,
        "seconds": 2.0,
        "ended": "returned",
    }


@pytest.mark.parametrize(("path", "ended"), [("/raises", "raised"), ("/forgets", "returned")])
async def test_what_goes_wrong_is_500(path: str, ended: str, caplog: Log) -> None:
    async with session_pair(access_log(app)) as (client, _), client.request("GET", path) as stream:
        assert (await stream.receive_response()).status == 500
    (told,) = fields(caplog)
    assert (told["status"], told["ended"]) == (500, ended)
    assert any(record.levelname == "ERROR" for record in caplog.records), "it is told as ever"


async def test_a_client_that_leaves(caplog: Log, autojump_clock: object) -> None:
    async with session_pair(access_log(app)) as (client, _):
        with trio.move_on_after(3):
            async with client.request("GET", "/sleeps") as stream:
                await stream.receive_response()
        await client.ping()
    (told,) = fields(caplog)
    assert (told["status"], told["ended"], told["seconds"]) == (None, "cancelled", 3)
    assert '"GET /sleeps HTTP/2.0" - 0 3.000 -' in lines(caplog)[0]


async def test_a_client_that_leaves_while_its_body_is_read(caplog: Log, autojump_clock: object) -> None:
    """The handler gets an exception then; nobody gets a 500."""
    async with session_pair(access_log(app)) as (client, _):
        with trio.move_on_after(3):
            async with client.request("POST", "/reads", end_stream=False) as stream:
                await stream.receive_response()
        await client.ping()
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await serve_stream(access_log(app), theirs, allow_http1=True)

        nursery.start_soon(serve)
        await RawClient(ours).send(f"POST /reads HTTP/1.1\r\n{HOST}content-length: 5\r\n\r\nabc")
        await trio.sleep(1)
        await ours.aclose()
    assert [(told["version"], told["status"]) for told in fields(caplog)] == [("2.0", None), ("1.1", None)]


async def test_http_1(caplog: Log, autojump_clock: object) -> None:
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await serve_stream(access_log(app), theirs, allow_http1=True)

        nursery.start_soon(serve)
        client = RawClient(ours)
        await client.send(f"GET /a HTTP/1.1\r\n{HOST}\r\n")
        assert (await client.answer()).body == b"hello"
        await ours.aclose()
    assert lines(caplog) == ['- "GET /a HTTP/1.1" 201 5 0.000 -']


async def test_a_log_that_nobody_wants(caplog: Log) -> None:
    caplog.set_level(logging.WARNING, "trio_h2.access")
    async with session_pair(access_log(app)) as (client, _), client.request("GET") as stream:
        assert (await stream.receive_response()).status == 201
    assert lines(caplog) == []


async def test_the_octets_that_were_handed_over(caplog: Log, autojump_clock: object) -> None:
    async def cut(stream: ServerStream) -> None:
        await stream.respond({":status": 200, "content-length": "10"})
        await stream.send_all(b"four")

    async with session_pair(access_log(cut)) as (client, _), client.request("GET") as stream:
        with pytest.raises(StreamResetError):
            while await stream.receive_some():
                pass
    assert fields(caplog)[0]["octets"] == 4


async def two(_request: object, _response: object) -> None:
    """A handler of requests."""


def test_wrong_arguments() -> None:
    with pytest.raises(
        TypeError, match=r"must take one argument, the stream, unlike .*: trio_h2\.compat\.request_handler"
    ):
        access_log(two)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="handler must be an async function, not 5"):
        access_log(5)  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(ValueError, match="'text' or 'json', not 'xml'"):
        access_log(app, format="xml")  # type: ignore[arg-type]  # what the test is about


def test_the_handler_keeps_its_name() -> None:
    assert access_log(app).__name__ == "app"
