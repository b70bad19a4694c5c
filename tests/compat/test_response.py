"""What a response sends, in which order, and how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import every_version, served
from tests.stream.harness import pair, scripted_client
from trio_h2 import ErrorCode, LocalProtocolError, SettingCode, compat
from trio_h2.testing import DataFrame, HeadersFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trio_h2.compat import Request, Response

BODILESS = [("HEAD", 200), ("GET", 204), ("GET", 205), ("GET", 304)]


# -- write and end -----------------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
@every_version
async def test_octets_and_text(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.write("grüße, ")
        await response.write(bytearray(b"one "))
        await response.write(memoryview(b"two "))
        await response.end("€")

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch()
    assert reply.body.decode() == "grüße, one two €"
    assert "content-length" not in reply.headers


@pytest.mark.parity("G4")
@every_version
async def test_the_length_counts_octets(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.end("€€")

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).headers["content-length"] == "6"


@pytest.mark.parity("G4")
@pytest.mark.parametrize("wrong", [None, 17, ["a"]])
async def test_only_octets_and_text(wrong: object) -> None:
    async def app(request: Request, response: Response) -> None:
        data = cast("bytes", wrong)
        for call in (response.write, response.end):
            with pytest.raises(TypeError, match="made of bytes or str"):
                await call(data)
        assert not response.writable_ended
        await response.end("well")

    async with served("2.0", compat.request_handler(app)) as client:
        assert (await client.fetch()).body == b"well"


@pytest.mark.parity("G4")
async def test_the_headers_go_out_with_the_first_chunk(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        response.set_header("x", "1")
        await trio.sleep(1)
        assert not response.headers_sent
        await response.write("first")
        await trio.sleep(1)
        await response.end("last")

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        start = trio.current_time()
        stream_id = await peer.request()
        await peer.expect_nothing(0.5)
        headers = await peer.expect_headers(stream_id, status=200)
        assert headers.get("x") == "1"
        assert (await peer.expect_data(stream_id)).data == b"first"
        assert trio.current_time() - start < 1.5
        assert await peer.collect_body(stream_id) == b"last"


@pytest.mark.parity("G4")
async def test_the_headers_can_go_out_before(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.flush_headers()
        with trio.testing.assert_checkpoints():
            await response.flush_headers()
        assert response.headers_sent
        await trio.sleep(1)
        await response.end("last")

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        start = trio.current_time()
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=200)
        assert trio.current_time() - start < 0.5
        assert await peer.collect_body(stream_id) == b"last"


@pytest.mark.parity("G4")
async def test_a_whole_response_is_one_unit(autojump_clock: MockClock) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.write_head(201).end("all of it")

    async with scripted_client(compat.request_handler(app)) as (_server, peer):
        stream_id = await peer.request()
        headers = await peer.expect_headers(stream_id, status=201)
        assert headers.get("content-length") == "9"
        data = await peer.expect_data(stream_id)
        assert (data.data, data.end_stream) == (b"all of it", True)


@pytest.mark.parity("G4")
@every_version
async def test_an_empty_response(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch()
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "0", b"")


@pytest.mark.parity("G4")
async def test_writing_waits_for_the_client(autojump_clock: MockClock) -> None:
    written: list[int] = []

    async def app(request: Request, response: Response) -> None:
        for number in range(5):
            await response.write(bytes(1000))
            written.append(number)
        await response.end()

    settings = {SettingCode.INITIAL_WINDOW_SIZE: 1500}
    async with scripted_client(compat.request_handler(app), settings=settings) as (_server, peer):
        stream_id = await peer.request()
        await trio.testing.wait_all_tasks_blocked()
        assert written == [0]
        await peer.send_window_update(stream_id, 1000)
        await trio.testing.wait_all_tasks_blocked()
        assert written == [0, 1]
        await peer.send_window_update(stream_id, 10_000)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == bytes(5000)
    assert written == [0, 1, 2, 3, 4]


@pytest.mark.parity("G4")
@every_version
async def test_after_the_end_nothing_goes(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        states = [(response.writable_ended, response.writable_finished)]
        await response.end("end")
        states.append((response.writable_ended, response.writable_finished))
        assert states == [(False, False), (True, True)]
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: response.write("more"),
            lambda: response.end("more"),
            response.write_continue,
            lambda: response.write_early_hints("</a>"),
        ]
        for call in calls:
            with pytest.raises(LocalProtocolError):
                await call()
        with pytest.raises(LocalProtocolError, match="has ended"):
            response.add_trailers({"x": "y"})
        with trio.testing.assert_checkpoints():
            await response.end()  # as closing twice

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).body == b"end"


@pytest.mark.parity("G4")
async def test_it_has_ended_before_it_is_finished(autojump_clock: MockClock) -> None:
    finished: list[float] = []

    async def app(request: Request, response: Response) -> None:
        async def watch() -> None:
            await response.wait_finished()
            assert response.writable_finished
            finished.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await response.write("a")
            nursery.start_soon(response.end, bytes(1000))
            await trio.testing.wait_all_tasks_blocked()
            assert response.writable_ended
            assert not response.writable_finished
            with pytest.raises(LocalProtocolError, match="has ended"):
                await response.write("b")

    settings = {SettingCode.INITIAL_WINDOW_SIZE: 500}
    async with scripted_client(compat.request_handler(app), settings=settings) as (_server, peer):
        stream_id = await peer.request()
        await trio.sleep(3)
        assert finished == []
        await peer.send_window_update(stream_id, 1000)
        await peer.expect_headers(stream_id, status=200)
        assert len(await peer.collect_body(stream_id)) == 1001
    assert len(finished) == 1


@pytest.mark.parity("G4")
@pytest.mark.parametrize("how", ["reset", "own reset", "destroy"])
async def test_what_never_finishes_wakes_who_waits(how: str, autojump_clock: MockClock) -> None:
    ends: list[str] = []

    async def app(request: Request, response: Response) -> None:
        async def watch() -> None:
            error = trio_h2.StreamResetError if how == "reset" else trio.ClosedResourceError
            for _ in range(2):
                with pytest.raises(error):
                    await response.wait_finished()
            ends.append(how)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            if how == "destroy":
                response.destroy()
            elif how == "own reset":
                assert request.stream is not None
                request.stream.reset(ErrorCode.CANCEL)

    handler = compat.request_handler(app)
    async with scripted_client(handler, cancel_handler_on_reset=False) as (_server, peer):
        stream_id = await peer.request("POST", end_stream=False)
        await trio.testing.wait_all_tasks_blocked()
        if how == "reset":
            await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await trio.testing.wait_all_tasks_blocked()
    assert ends == [how]


# -- no body -----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
@pytest.mark.parametrize(("method", "status"), BODILESS)
@pytest.mark.parametrize("way", ["end", "write", "flush", "json"])
@every_version
async def test_bodies_are_dropped(way: str, method: str, status: int, version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        if request.url == "/after":
            await response.end("next")
            return
        response.status_code = status
        response.add_trailers({"x": "y"})
        if way == "write":
            await response.write("some")
            with trio.testing.assert_checkpoints():
                await response.write("more")
        elif way == "flush":
            await response.flush_headers()
        elif way == "json":
            await response.send_json(["some"])
            return
        with trio.testing.assert_checkpoints():
            await response.end("last")
        assert response.writable_finished

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch(method)
        assert (reply.status, reply.body, len(reply.trailers)) == (status, b"", 0)
        if method == "HEAD" and way in ("end", "json"):
            assert reply.headers["content-length"] == ("4" if way == "end" else "8")
        elif status == 204:
            assert "content-length" not in reply.headers
        assert (await client.fetch("GET", "/after")).body == b"next"


@every_version
@pytest.mark.parametrize("status", [204, 205])
async def test_a_length_is_dropped_with_the_body(status: int, version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.write_head(status, {"content-length": 4}).end("body")

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch()
    assert (reply.status, reply.body) == (status, b"")
    assert reply.headers.get("content-length", "0") == "0"


@every_version
async def test_head_and_304_may_say_what_the_length_would_be(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        response.status_code = 304 if request.method == "GET" else 200
        response.set_header("content-length", 1234)
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        for method in ("GET", "HEAD"):
            assert (await client.fetch(method)).headers["content-length"] == "1234"


# -- content-length ----------------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
@every_version
async def test_a_wrong_length_raises_here(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        response.set_header("content-length", 5)
        if request.url == "/whole":
            with pytest.raises(ValueError, match="content-length is 5, the body has 3 bytes"):
                await response.end("abc")
        else:
            await response.write("ab")
            with pytest.raises(LocalProtocolError, match="content-length is 5"):
                await response.write("cdef")
            with pytest.raises(LocalProtocolError, match="content-length is 5"):
                await response.end("cdef")
            with pytest.raises(LocalProtocolError, match="content-length is 5"):
                await response.end()
            assert not response.writable_ended
            response = response
        await response.end("abcde" if request.url == "/whole" else "cde")

    async with served(version, compat.request_handler(app)) as client:
        for path in ("/whole", "/pieces"):
            assert (await client.fetch("GET", path)).body == b"abcde"


# -- trailers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
@pytest.mark.parametrize("way", ["end", "write", "only"])
@every_version
async def test_trailers(way: str, version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        response.add_trailers({"X-Sum": 3, "x-list": ["a", "b"]})
        response.add_trailers([("x-sum", "4")])
        if way == "write":
            await response.write("body")
        await response.end("body" if way == "end" else "")
        assert response.writable_finished

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch(headers={"te": "trailers"})
    assert reply.body == (b"" if way == "only" else b"body")
    assert reply.trailers["x-sum"] == "4"
    assert reply.trailers.get_all("x-list") == ["a", "b"]


@pytest.mark.parity("G4")
@pytest.mark.parametrize("name", ["content-length", "host", ":status", "connection"])
async def test_what_trailers_may_not_have(name: str) -> None:
    async def app(request: Request, response: Response) -> None:
        with pytest.raises(ValueError, match=name):
            response.add_trailers({name: "1"})
        await response.end("fine")

    async with served("2.0", compat.request_handler(app)) as client:
        assert (await client.fetch()).trailers == {}


# -- 1xx ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
@every_version
async def test_early_hints(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.write_early_hints("</a.css>; rel=preload; as=style", {"x-trace": "1"})
        await response.write_early_hints(["</b.js>; rel=preload", "</c>"])
        assert not response.headers_sent
        await response.end("done")

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch()
    assert [hints.status for hints in reply.informational] == [103, 103]
    assert reply.informational[0].get_all("link") == ["</a.css>; rel=preload; as=style"]
    assert reply.informational[0]["x-trace"] == "1"
    assert reply.informational[1].get_all("link") == ["</b.js>; rel=preload", "</c>"]
    assert reply.body == b"done"


@pytest.mark.parity("G4")
@pytest.mark.parametrize(
    ("links", "error"),
    [
        *[(wrong, ValueError) for wrong in ("", "/a.css", "</a", "</a> x", "</a>;", "</a>; x\r\nb")],
        ([], ValueError),
        (["</a>", ""], ValueError),
        ([b"</a>"], TypeError),
    ],
)
async def test_a_hint_is_a_link(links: object, error: type[Exception]) -> None:
    async def app(request: Request, response: Response) -> None:
        with pytest.raises(error):
            await response.write_early_hints(cast("str", links))
        with pytest.raises(ValueError, match="set status_code"):
            await response.write_early_hints("</a>", {":status": 103})
        await response.end()

    async with served("2.0", compat.request_handler(app)) as client:
        assert (await client.fetch()).informational == []


@pytest.mark.parity("G4")
@every_version
async def test_100_is_sent(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        await response.write_continue()
        await response.end(await request.read())

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch("POST", body=b"body", expect_continue=True)
    assert [one.status for one in reply.informational] == [100]
    assert reply.body == b"body"


# -- whole responses ---------------------------------------------------------------------------------------------------


@every_version
async def test_text_and_json_have_a_type(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        if request.path == "/own":
            response.set_header("content-type", "text/css")
        if request.query:
            await response.send_json({"grüße": [1]})
        else:
            await response.send_text("grüße")

    async with served(version, compat.request_handler(app)) as client:
        plain, own = await client.fetch(), await client.fetch("GET", "/own")
        data = await client.fetch("GET", "/?json")
    assert (plain.headers["content-type"], plain.body.decode()) == ("text/plain; charset=utf-8", "grüße")
    assert own.headers["content-type"] == "text/css"
    assert (data.headers["content-type"], data.body.decode()) == ("application/json", '{"grüße":[1]}')


@every_version
async def test_lone_surrogates_are_no_text(version: str) -> None:
    """JSON from a client may have them, escaped. Nothing is done, so that there still can be another response."""

    async def app(request: Request, response: Response) -> None:
        text: str = json.loads('"a\\ud800"')
        told = r"^the text has a lone surrogate, '\\ud800' at position \d+, which UTF-8"
        for value in (text, [text], {text: 1}, {"a": {"b": text}}):
            with pytest.raises(ValueError, match=told):
                await response.send_json(value)
        for send in (response.send_text, response.write, response.end):
            with pytest.raises(ValueError, match=told):
                await send(text)
        with pytest.raises(ValueError, match="lone surrogate"):
            compat.HTTPError(400, text)
        assert response.get_header("content-type") is None
        await response.send_json("\U0001f600")

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).body.decode() == '"\U0001f600"'


@every_version
async def test_redirections(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        for wrong in (200, 304, 404, 600):
            with pytest.raises(ValueError, match="status"):
                await response.redirect("/", wrong)
        for bad in ("/a b", "/ü", "/\r\nx: y"):
            with pytest.raises(ValueError, match=r"percent-encoded|line breaks"):
                await response.redirect(bad)
        if request.url == "/old":
            await response.redirect("/new", 308)
        else:
            await response.redirect("https://example.org/?a=b")

    async with served(version, compat.request_handler(app)) as client:
        moved, other = await client.fetch("GET", "/old"), await client.fetch()
    assert (moved.status, moved.headers["location"]) == (308, "/new")
    assert (other.status, other.headers["location"]) == (303, "https://example.org/?a=b")


# -- cancelled ---------------------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
async def test_a_cancelled_write_can_be_repeated(autojump_clock: MockClock) -> None:
    """If nothing of it was framed."""

    async def app(request: Request, response: Response) -> None:
        await response.write("a" * 100)
        for call in (response.write, response.end):
            with trio.move_on_after(1) as scope:
                await call("lost")
            assert scope.cancelled_caught
        assert not response.writable_ended
        await response.end("found")

    settings = {SettingCode.INITIAL_WINDOW_SIZE: 100}
    async with scripted_client(compat.request_handler(app), settings=settings) as (_server, peer):
        stream_id = await peer.request()
        await trio.sleep(5)
        await peer.send_window_update(stream_id, 1000)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"a" * 100 + b"found"


@pytest.mark.parity("G4")
async def test_a_torn_body_never_looks_whole(autojump_clock: MockClock, complaints: pytest.LogCaptureFixture) -> None:
    async def app(request: Request, response: Response) -> None:
        with trio.move_on_after(1):
            await response.write("a" * 200)
        with pytest.raises(LocalProtocolError):
            await response.end()

    settings = {SettingCode.INITIAL_WINDOW_SIZE: 100}
    async with scripted_client(compat.request_handler(app), settings=settings) as (_server, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id, status=200)
        assert len((await peer.expect_data(stream_id)).data) == 100
        await peer.expect_rst(stream_id, ErrorCode.INTERNAL_ERROR)
        assert not any(isinstance(frame, DataFrame | HeadersFrame) and frame.end_stream for frame in peer.frames)
    assert "left the body incomplete" in complaints.text


async def test_every_wait_is_a_checkpoint() -> None:
    async def app(request: Request, response: Response) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            request.read,
            request.receive_some,
            response.flush_headers,
            lambda: response.write(""),
            lambda: response.write("a"),
            response.end,
            response.end,
            response.wait_finished,
        ]
        for call in calls:
            with trio.testing.assert_checkpoints():
                await call()

    async with pair(compat.request_handler(app)) as (client, _server), client.request("GET") as stream:
        assert await stream.receive_some() == b"a"
