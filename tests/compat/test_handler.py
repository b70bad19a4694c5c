"""From a handler of requests to a handler of streams: what is ended, what becomes of errors, hooks and classes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import every_version, served
from tests.stream.harness import scripted_client
from trio_h2 import ErrorCode, compat
from trio_h2.compat import HTTPError

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.compat.clients import Loose
    from trio_h2.compat import Request, Response


# -- what the handler forgot -------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
@pytest.mark.parametrize("way", ["status", "header", "head", "write", "flush", "trailers"])
@every_version
async def test_what_the_handler_forgot_is_ended(way: str, version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        match way:
            case "status":
                response.status_code = 404
            case "header":
                response.set_header("x", "y")
            case "head":
                response.write_head(404)
            case "write":
                await response.write("some")
            case "flush":
                await response.flush_headers()
            case _:
                response.add_trailers({"x-sum": "0"})

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch(headers={"te": "trailers"})
    assert reply.status == (404 if way in ("status", "head") else 200)
    assert reply.body == (b"some" if way == "write" else b"")
    assert ("x" in reply.headers) == (way == "header")
    assert ("x-sum" in reply.trailers) == (way == "trailers")


@pytest.mark.parity("G4")
@every_version
async def test_who_forgot_everything_gets_500(version: str, complaints: pytest.LogCaptureFixture) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.write_early_hints("</a>")

    async with served(version, compat.request_handler(app), raise_handler_errors=False) as client:
        assert (await client.fetch()).status == 500
    assert "returned without a response" in complaints.text


async def test_a_500_does_not_wait_for_the_request(
    complaints: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def app(request: Request, response: Response) -> None:
        pass

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        start = trio.current_time()
        stream_id = await peer.request("POST", end_stream=False)
        await peer.expect_headers(stream_id, status=500)
        assert trio.current_time() - start < 0.1
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)
    assert "returned without a response" in complaints.text


@pytest.mark.parity("G4")
async def test_a_body_that_stays_short_is_reset(
    complaints: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def app(request: Request, response: Response) -> None:
        response.set_header("content-length", 5)
        await response.write("abc")

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=200)
        assert (await peer.expect_data(stream_id)).data == b"abc"
        await peer.expect_rst(stream_id, ErrorCode.INTERNAL_ERROR)
    assert "content-length is 5, but the body has 3 bytes" in complaints.text


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grouped", [False, True])
@every_version
async def test_an_http_error_becomes_the_response(
    grouped: bool, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def fail(response: Response) -> None:
        response.set_header("x-dropped", "1")
        response.write_head(200)
        raise HTTPError(404, "nothing here", headers={"x-kept": ["1", "2"]})

    async def app(request: Request, response: Response) -> None:
        if grouped:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail, response)
        else:
            await fail(response)

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch()
    assert (reply.status, reply.body) == (404, b"nothing here")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers.get_all("x-kept") == ["1", "2"]
    assert "x-dropped" not in reply.headers
    assert not [record for record in caplog.records if record.name.startswith("trio_h2.server")]


@every_version
async def test_an_http_error_answers_head(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        raise HTTPError(503, b"{}", headers={"Content-Type": "application/json"})

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch("HEAD")
    assert (reply.status, reply.headers["content-type"], reply.body) == (503, "application/json", b"")


@every_version
async def test_other_errors_are_500_and_logged(version: str, complaints: pytest.LogCaptureFixture) -> None:
    async def app(request: Request, response: Response) -> None:
        response.set_header("x-dropped", "1")
        if request.url == "/group":
            raise ExceptionGroup("two", [HTTPError(404), KeyError("a bug")])
        raise KeyError("a bug")

    async with served(version, compat.request_handler(app), raise_handler_errors=False) as client:
        for path in ("/", "/group"):
            reply = await client.fetch("GET", path)
            assert (reply.status, reply.body) == (500, b"")
            assert "x-dropped" not in reply.headers
    assert complaints.text.count("a bug") >= 2


async def test_an_error_after_the_headers_resets(
    complaints: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.write("some")
        raise HTTPError(404)

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=200)
        await peer.expect_data(stream_id)
        await peer.expect_rst(stream_id, ErrorCode.INTERNAL_ERROR)
    assert "HTTPError" in complaints.text
    assert "sent already" not in complaints.text


@pytest.mark.parametrize(
    ("status", "body", "headers", "error"),
    [
        (399, "", None, ValueError),
        (600, "", None, ValueError),
        ("404", "", None, TypeError),
        (True, "", None, TypeError),
        (404, "", {"x": "a\n"}, ValueError),
        (404, "", {":status": 200}, ValueError),
        (404, 17, None, TypeError),
    ],
)
def test_http_errors_are_checked(status: object, body: object, headers: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        HTTPError(cast("int", status), cast("str", body), headers=cast("dict[str, str]", headers))


def test_http_errors_in_words() -> None:
    assert str(HTTPError(404)) == "404"
    error = HTTPError(400, "bad grüße")
    assert str(error) == "400 bad grüße"
    assert (error.status, error.body) == (400, "bad grüße".encode())


# -- expect: 100-continue ----------------------------------------------------------------------------------------------


@pytest.mark.parity("F2")
@every_version
async def test_without_a_hook_100_is_sent_and_the_handler_runs(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert request.expects_continue
        await response.end(await request.read())

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch("POST", body=b"body", expect_continue=True)
    assert [one.status for one in reply.informational] == [100]
    assert (reply.status, reply.body) == (200, b"body")


@pytest.mark.parity("F2")
@pytest.mark.parametrize("wanted", [True, False])
@every_version
async def test_the_hook_comes_in_place_of_the_handler(wanted: bool, version: str) -> None:
    called: list[str] = []

    async def app(request: Request, response: Response) -> None:
        called.append("handler")
        await response.end(b"handler: " + await request.read())

    async def check(request: Request, response: Response) -> None:
        called.append("hook")
        if wanted:
            await response.write_continue()
            await response.end(b"hook: " + await request.read())
        else:
            raise HTTPError(417)

    handler = compat.request_handler(app, check_continue=check)
    async with served(version, handler) as client:
        reply = await client.fetch("POST", body=b"body", expect_continue=True)
        assert called == ["hook"]
        assert [one.status for one in reply.informational] == ([100] if wanted else [])
        assert (reply.status, reply.body) == ((200, b"hook: body") if wanted else (417, b""))
        called.clear()
        reply = await client.fetch("POST", body=b"body")
        assert called == ["handler"]
        assert (reply.informational, reply.body) == ([], b"handler: body")


@pytest.mark.parity("F2")
async def test_a_refused_body_is_never_sent(autojump_clock: MockClock) -> None:
    async def check(request: Request, response: Response) -> None:
        response.status_code = 417

    async def app(request: Request, response: Response) -> None:
        raise AssertionError("not to be called")

    async with scripted_client(compat.request_handler(app, check_continue=check)) as (_server, peer):
        stream_id = await peer.request("PUT", headers={"expect": "100-continue"}, end_stream=False)
        await peer.expect_headers(stream_id, status=417)
        await peer.expect_rst(stream_id, ErrorCode.NO_ERROR)


# -- classes -----------------------------------------------------------------------------------------------------------


class MyRequest(compat.Request):
    def __init__(self, exchange: trio_h2.ServerExchange, max_body_size: int) -> None:
        super().__init__(exchange, max_body_size)
        self.number = 17

    @property
    def user(self) -> str:
        return self.headers.get("x-user", "nobody")


class MyResponse(compat.Response):
    async def fine(self) -> None:
        await self.send_text("fine")


@pytest.mark.parity("G6")
@every_version
async def test_classes_of_ones_own(version: str) -> None:
    async def app(request: MyRequest, response: MyResponse) -> None:
        assert type(request) is MyRequest
        assert type(response) is MyResponse
        assert (request.user, request.number, request.max_body_size) == ("me", 17, 5)
        assert response.request is request
        await response.fine()

    handler = compat.request_handler(app, request_class=MyRequest, response_class=MyResponse, max_body_size=5)
    async with served(version, handler) as client:
        assert (await client.fetch(headers={"x-user": "me"})).body == b"fine"


@pytest.mark.parity("G6")
@every_version
async def test_one_class_of_ones_own(version: str) -> None:
    async def mine(request: MyRequest, response: Response) -> None:
        await response.end(request.user)

    async def answer(request: Request, response: MyResponse) -> None:
        await response.fine()

    async with served(version, compat.request_handler(mine, request_class=MyRequest)) as client:
        assert (await client.fetch()).body == b"nobody"
    async with served(version, compat.request_handler(answer, response_class=MyResponse)) as client:
        assert (await client.fetch()).body == b"fine"


@pytest.mark.parity("G6")
def test_nobody_else_makes_them() -> None:
    for one in (MyRequest, MyResponse, compat.Form, compat.UploadedFile):
        with pytest.raises(TypeError, match="has no public constructor"):
            cast("Loose", one)()


def test_wrong_arguments() -> None:
    async def one(_stream: trio_h2.ServerStream) -> None: ...

    async def app(request: Request, response: Response) -> None:
        pass

    make = cast("Loose", compat.request_handler)
    for handler, options, error, match in (
        (1, {}, TypeError, "async functions"),
        (app, {"check_continue": 1}, TypeError, "async functions"),
        (one, {}, TypeError, "handler must take two arguments"),
        (app, {"check_continue": one}, TypeError, "check_continue must take two arguments"),
        (app, {"request_class": MyResponse}, TypeError, "subclass of Request"),
        (app, {"request_class": 1}, TypeError, "subclass of Request"),
        (app, {"response_class": MyRequest}, TypeError, "subclass of Response"),
        (app, {"max_body_size": "1"}, TypeError, "max_body_size must be an int"),
        (app, {"max_body_size": -1}, ValueError, "max_body_size must not be negative"),
    ):
        with pytest.raises(error, match=match):
            make(handler, **options)


# -- as a handler of a server ------------------------------------------------------------------------------------------


async def test_it_goes_where_handlers_go() -> None:
    @compat.request_handler
    async def app(request: Request, response: Response) -> None:
        peer = request.transport.peer_address
        assert isinstance(peer, tuple)
        await response.send_json([request.url, peer[0]])

    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(trio_h2.serve_tcp, app, 0)
        async with trio_h2.connect(server.urls[0]) as session, session.request("GET", "/x") as stream:
            assert await stream.receive_some() == b'["/x","127.0.0.1"]'
        nursery.cancel_scope.cancel()
