"""The access log: one line per request, whatever becomes of it."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, cast

import pytest
import trio

from tests.http1.client import HOST, RawClient
from tests.session.scripted import served
from trio_h2 import ErrorCode, RefusedRequest, ServerConfig, StreamResetError, code_name, serve_stream
from trio_h2.access_log import FORMATS, _combined, _common, access_log
from trio_h2.testing import ScriptedPeer, memory_transports, session_pair

if TYPE_CHECKING:
    from trio_h2 import ServerStream
    from trio_h2.access_log import Fields, Format

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
        "bytes": 5,
        "seconds": 2.0,
        "ended": "returned",
        "reset": None,
    }


def came(caplog: Log, number: int = 0) -> str:
    """Returns when a request came, as the other servers write it."""
    return datetime.fromisoformat(str(fields(caplog)[number]["time"])).strftime("%d/%b/%Y:%H:%M:%S +0000")


@pytest.mark.parametrize("format", ["common", "combined"])
async def test_formats_of_other_servers(format: Format, caplog: Log, autojump_clock: object) -> None:
    """https://httpd.apache.org/docs/2.4/logs.html: nothing beside it where the response is whole."""
    async with session_pair(access_log(app, format=format)) as (client, _):
        headers = {"referer": "http://x/?\xe9", "user-agent": 'a "b" \\c \xa0'}
        async with client.request("GET", "/slow?x=1", headers=headers) as stream:
            await stream.receive_response()
        async with client.request("HEAD") as stream:
            await stream.receive_response()
    more = format == "combined"
    assert lines(caplog) == [
        f'- - - [{came(caplog)}] "GET /slow?x=1 HTTP/2.0" 201 5' + ' "http://x/?\\xe9" "a \\"b\\" \\\\c \\xa0"' * more,
        f'- - - [{came(caplog, 1)}] "HEAD / HTTP/2.0" 201 0' + ' "-" "-"' * more,
    ]


def test_the_host_and_the_time_in_formats_of_other_servers() -> None:
    asked: Fields = {"time": "2026-02-03T04:05:06.789+00:00", "method": "GET", "path": "/", "version": "2.0"}
    answered: Fields = {"status": 200, "bytes": 12, "ended": "returned", "reset": None}
    for client, host in [("192.0.2.1:80", "192.0.2.1"), ("[2001:db8::1]:80", "2001:db8::1"), (None, "-")]:
        line = f'{host} - - [03/Feb/2026:04:05:06 +0000] "GET / HTTP/2.0" 200 12'
        assert _common({**asked, **answered, "client": client}) == line
        fields = {**asked, **answered, "client": client, "referer": None, "user_agent": "x/1"}
        assert _combined(fields) == f'{line} "-" "x/1"'


@pytest.mark.parametrize("format", FORMATS)
async def test_what_was_cut_says_so(format: Format, caplog: Log, autojump_clock: object) -> None:
    """In every format, over both versions of HTTP."""

    async def endless(stream: ServerStream) -> None:
        await stream.respond(200)
        while True:
            await stream.send_all(b"x" * 1000)
            await trio.sleep(1)

    handler = access_log(endless, format=format)
    async with session_pair(handler) as (client, _), client.request("GET") as stream:
        await stream.receive_some()
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await serve_stream(handler, theirs, allow_http1=True)

        nursery.start_soon(serve)
        await ours.send_all(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
        await trio.sleep(5)
        await ours.aclose()
    assert [told["reset"] for told in fields(caplog)] == ["CANCEL", "CANCEL"]
    if format != "json":
        assert all(line.endswith(' "cut: CANCEL"') for line in lines(caplog))


@pytest.mark.parametrize("size", [3_000, 50_000, 10_000_000])
async def test_a_response_that_outlives_its_handler(size: int, caplog: Log, autojump_clock: object) -> None:
    """`respond` takes a body of any size; how much of it the client has taken is known when the stream is over."""
    returned: list[str] = []

    async def app(stream: ServerStream) -> None:
        await stream.respond(200, body=bytes(size))
        returned.append(stream.path)

    async with session_pair(access_log(app)) as (client, _):
        async with client.request("GET", "/left") as stream:
            await stream.receive_response()
            await trio.sleep(1)
            assert returned == ["/left"]
        async with client.request("GET", "/whole") as stream:
            assert len(b"".join([chunk async for chunk in stream])) == size
        await client.ping()
    left, whole = fields(caplog)
    assert (whole["path"], whole["bytes"], whole["reset"], whole["ended"]) == ("/whole", size, None, "returned")
    window = 512 * 1024
    cut = size > window
    assert (left["bytes"], left["reset"], left["ended"]) == (min(size, window), "CANCEL" if cut else None, "returned")
    assert lines(caplog)[0].endswith(' "cut: CANCEL"') == cut


async def test_a_response_that_outlives_its_handler_and_its_connection(caplog: Log, autojump_clock: object) -> None:
    """A client that takes nothing, and vanishes; likewise over HTTP/1.1."""

    async def app(stream: ServerStream) -> None:
        await stream.respond(200, body=bytes(10_000_000))

    for version in ("2.0", "1.1"):
        ours, theirs = memory_transports(1000)
        async with trio.open_nursery() as nursery:

            async def serve(transport: trio.abc.Stream = theirs) -> None:
                await serve_stream(access_log(app), transport, allow_http1=True)

            nursery.start_soon(serve)
            if version == "1.1":
                await ours.send_all(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
            else:
                peer = ScriptedPeer(ours, client=True)
                await peer.handshake()
                await peer.request()
            await trio.sleep(1)
            assert version not in [told["version"] for told in fields(caplog)]
            await ours.aclose()
    for told in fields(caplog):
        assert isinstance(told["bytes"], int)
        assert told["bytes"] < 10_000_000
        assert (told["status"], told["ended"]) == (200, "returned")
        assert told["reset"] is not None
    assert [told["version"] for told in fields(caplog)] == ["2.0", "1.1"]


async def test_a_response_that_the_client_does_not_want(caplog: Log, autojump_clock: object) -> None:
    """RST_STREAM(NO_ERROR) is no error to the handler; the rest was not sent all the same."""
    async with served(access_log(app)) as (peer, _):
        stream_id = await peer.request(path="/slow")
        await peer.send_rst(stream_id, ErrorCode.NO_ERROR)
        await trio.sleep(3)
        await peer.aclose()
    (told,) = fields(caplog)
    assert (told["bytes"], told["reset"]) == (0, "NO_ERROR")


@pytest.mark.parametrize("path", ["/raises", "/forgets", "/"])
async def test_what_is_whole_was_not_cut(path: str, caplog: Log, autojump_clock: object) -> None:
    """Also a 500 that the library makes, and a response to a request whose rest nobody reads."""
    async with session_pair(access_log(app), raise_handler_errors=False) as (client, _):
        for end_stream in (True, False):
            async with client.request("POST", path, end_stream=end_stream) as stream:
                await stream.receive_response()
                await stream.receive_some()
        await trio.sleep(5)
    assert [told["reset"] for told in fields(caplog)] == [None, None]


async def test_what_was_refused_in_formats_of_other_servers(caplog: Log, autojump_clock: object) -> None:
    async with served(access_log(app, format="combined")) as (peer, _):
        await peer.expect_rst(await peer.request(path="no"), ErrorCode.PROTOCOL_ERROR)
        await peer.aclose()
    (line,) = lines(caplog)
    reason = """ "PROTOCOL_ERROR: ':path' is missing or not a path\""""
    assert line == f'- - - [{came(caplog)}] "GET no HTTP/2.0" - 0 "-" "-"{reason}'


async def test_what_the_library_answers_for_the_handler_is_told(caplog: Log) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.json(max_size=5)

    async with session_pair(access_log(handler)) as (client, _):
        for body, status in ((b"no", 400), (b"far too long", 413)):
            async with client.request("POST", body=body) as stream:
                assert (await stream.receive_response()).status == status
                await stream.wait_closed()
    assert [told["status"] for told in fields(caplog)] == [400, 413]


@pytest.mark.parametrize(("path", "ended"), [("/raises", "raised"), ("/forgets", "returned")])
async def test_what_goes_wrong_is_500(path: str, ended: str, caplog: Log) -> None:
    pair = session_pair(access_log(app), raise_handler_errors=False)
    async with pair as (client, _), client.request("GET", path) as stream:
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
    assert (fields(caplog)[0]["bytes"], fields(caplog)[0]["reset"]) == (4, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    ("path", "ended", "reset"),
    [("/twice", "raised", "INTERNAL_ERROR"), ("/slow", "cancelled", "CANCEL"), ("/whole", "raised", None)],
)
async def test_what_a_handler_leaves_to_the_library(
    path: str, ended: str, reset: str | None, caplog: Log, autojump_clock: object
) -> None:
    """The code that the client gets, though the reset follows only when the handler is over."""

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200)
        if stream.path == "/slow":
            await trio.sleep_forever()
        if stream.path == "/whole":
            await stream.send_eof()
            await stream.wait_written()
        await stream.respond(200)  # a LocalProtocolError, of which nobody takes care

    config = ServerConfig(handler_timeout=5)
    code = None
    async with (
        session_pair(access_log(handler), server_config=config, raise_handler_errors=False) as (client, _),
        client.request("GET", path) as stream,
    ):
        try:
            while await stream.receive_some():
                pass
        except StreamResetError as exc:
            code = exc.code
    (told,) = fields(caplog)
    assert (told["status"], told["ended"], told["reset"]) == (200, ended, reset)
    assert (None if code is None else code_name(code)) == reset


REFUSED: list[tuple[dict[str, str], int | None, str]] = [
    ({":path": "/?q=1", "X-Upper": "y"}, None, "PROTOCOL_ERROR: "),
    ({"connection": "close"}, None, "PROTOCOL_ERROR: "),
    ({f"x-{number}": "" for number in range(20)}, 431, "header list of 25 fields, more than max_header_fields=20 "),
    ({"x": "y" * 2000}, 431, "header list of 2253 bytes, more than max_header_list_size=2000 "),
]


@pytest.mark.parametrize(("headers", "status", "reason"), REFUSED)
async def test_what_the_library_answers_by_itself(
    headers: dict[str, str], status: int | None, reason: str, caplog: Log, autojump_clock: object
) -> None:
    """It never reaches a handler; both logs tell it."""
    caplog.set_level(logging.INFO, "trio_h2.session")
    config = ServerConfig(max_header_fields=20, max_header_list_size=2000)
    async with served(access_log(app), config=config) as (peer, _):
        path = headers.pop(":path", "/")
        stream_id = await peer.request(path=path, headers={"user-agent": "x/1", **headers})
        if status is None:
            await peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
        else:
            assert (await peer.expect_headers(stream_id=stream_id)).status == status
        stream_id = await peer.request()
        assert (await peer.expect_headers(stream_id=stream_id)).status == 201
        await peer.aclose()
    told, other = fields(caplog)
    assert (other["status"], other["ended"]) == (201, "returned")
    code = None if status else "PROTOCOL_ERROR"
    got = told["method"], told["path"], told["status"], told["ended"], told["reset"], told["bytes"], told["user_agent"]
    assert got == ("GET", path, status, "refused", code, 0, "x/1")
    assert lines(caplog)[0].startswith(f'- "GET {path} HTTP/2.0" {status or "-"} 0 0.000 "x/1" "{reason}')
    assert lines(caplog)[0].endswith(f'{told["reason"]}"')
    messages = [record.getMessage() for record in caplog.records if record.name == "trio_h2.session"]
    answer = f"status {status}" if status else "PROTOCOL_ERROR"
    assert [f"GET {path} was refused with {answer}: {told['reason']}" in message for message in messages].count(
        True
    ) == 1


async def test_requests_for_which_there_is_no_room(caplog: Log, autojump_clock: object) -> None:
    async with served(access_log(app), config=ServerConfig(max_concurrent_streams=1)) as (peer, _):
        await peer.request(path="/sleeps")
        await peer.expect_rst(await peer.request(path="/more"), ErrorCode.REFUSED_STREAM)
        await peer.aclose()
    reason = "REFUSED_STREAM: too many streams: more than max_concurrent_streams=1 (set in ServerConfig)"
    assert f'- "GET /more HTTP/2.0" - 0 0.000 - "{reason}"' in lines(caplog)


async def test_a_request_that_goes_wrong_under_its_handler(caplog: Log, autojump_clock: object) -> None:
    """Its line says how it was reset, the log of the session why."""
    caplog.set_level(logging.INFO, "trio_h2.session")
    async with served(access_log(app)) as (peer, _):
        stream_id = await peer.request("POST", "/sleeps", headers={"content-length": "3"}, end_stream=False)
        await peer.send_data(stream_id, b"four")
        await peer.expect_rst(stream_id, ErrorCode.PROTOCOL_ERROR)
        await peer.aclose()
    (told,) = fields(caplog)
    assert (told["status"], told["ended"], told["reset"]) == (None, "cancelled", "PROTOCOL_ERROR")
    reason = "POST /sleeps was reset with PROTOCOL_ERROR: content-length is 3, the body has 4 bytes or more"
    assert any(reason in record.getMessage() for record in caplog.records if record.name == "trio_h2.session")


@pytest.mark.parametrize(
    ("request_text", "line"),
    [
        (
            f"GET /x HTTP/1.1\r\n{HOST}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            '- "GET /x HTTP/1.1" 400 0 0.000 - "',
        ),
        ("nonsense\r\n\r\n", '- "- - HTTP/1.1" 400 0 0.000 - "'),
        (f"GET /x HTTP/1.1\r\n{HOST}user-agent: y\r\n{'x:' * 200}\r\n\r\n", '- "GET /x HTTP/1.1" 431 0 0.000 "y" "'),
        (
            f"POST /sleeps HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\nnonsense\r\n",
            '"POST /sleeps HTTP/1.1" 400',
        ),
    ],
)
async def test_what_the_library_answers_over_http_1(
    request_text: str, line: str, caplog: Log, autojump_clock: object
) -> None:
    ours, theirs = memory_transports()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await serve_stream(access_log(app), theirs, allow_http1=True)

        nursery.start_soon(serve)
        client = RawClient(ours)
        await client.send(request_text.replace("x:x:", "x:\r\nx:\r\n"))
        answer = await client.answer()
        await ours.aclose()
    (told,) = fields(caplog)
    assert told["status"] == answer.status
    assert line in lines(caplog)[0]


async def test_a_hook_for_refusals_of_ones_own(caplog: Log, autojump_clock: object) -> None:
    """Whatever it raises, the session goes on."""
    seen: list[RefusedRequest] = []

    class Handler:
        async def __call__(self, stream: ServerStream) -> None:
            await stream.respond()

        def request_refused(self, refused: RefusedRequest) -> None:
            seen.append(refused)
            raise ZeroDivisionError

    async with served(Handler()) as (peer, _):
        await peer.expect_rst(await peer.request(path="no"), ErrorCode.PROTOCOL_ERROR)
        assert (await peer.expect_headers(stream_id=await peer.request())).status == 200
        await peer.aclose()
    (refused,) = seen
    assert (refused.path, refused.status, refused.code) == ("no", None, ErrorCode.PROTOCOL_ERROR)
    assert str(refused) == "GET no"
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "request_refused raised"
    ]


async def two(_request: object, _response: object) -> None:
    """A handler of requests."""


def test_wrong_arguments() -> None:
    with pytest.raises(
        TypeError, match=r"must take one argument, the stream, unlike .*: trio_h2\.compat\.request_handler"
    ):
        access_log(two)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="handler must be an async function, not 5"):
        access_log(5)  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(ValueError, match="'text', 'json', 'common', 'combined', not 'xml'"):
        access_log(app, format="xml")  # type: ignore[arg-type]  # what the test is about


def test_the_handler_keeps_its_name() -> None:
    assert access_log(app).__name__ == "app"
