"""Trailers, early hints, pushes, and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

import trio_h2
from tests.asgi.apps import body, plain, served, start
from tests.compat.clients import every_version
from tests.stream.harness import pair
from trio_h2 import asgi

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock

    from tests.asgi.apps import Receive, Scope, Send


def trailers(*fields: tuple[bytes, bytes], more: bool = False) -> dict[str, object]:
    """Returns trailers."""
    return {"type": "http.response.trailers", "headers": list(fields), "more_trailers": more}


def offered(scope: Scope) -> set[str]:
    """Returns the names of the extensions."""
    return set(cast("Scope", scope["extensions"]))


# -- trailers ----------------------------------------------------------------------------------------------------------


async def with_trailers(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends some."""
    assert "http.response.trailers" in offered(scope)
    await send(start(200, (b"trailer", b"sum, took"), trailers=True))
    await send(body(b"hello", more=True))
    await send(body(b" you"))
    await send(trailers((b"sum", b"9"), more=True))
    await send(trailers((b"took", b"1")))


@every_version
async def test_trailers(version: str) -> None:
    async with served(version, asgi.handler(with_trailers)) as client:
        headers = {"te": "trailers", "connection": "te"} if version == "1.1" else {"te": "trailers"}
        reply = await client.fetch(headers=headers)
        assert (reply.body, dict(reply.trailers)) == (b"hello you", {"sum": "9", "took": "1"})


@every_version
async def test_trailers_that_the_client_has_not_asked_for_are_left_out(version: str) -> None:
    async with served(version, asgi.handler(with_trailers)) as client:
        reply = await client.fetch()
        assert (reply.body, dict(reply.trailers)) == (b"hello you", {})


@every_version
async def test_a_body_in_one_piece_and_trailers(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, trailers=True))
        await send(body(b"hello"))
        await send(trailers())

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).body == b"hello"


@every_version
async def test_trailers_are_for_those_who_have_announced_them(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200))
        with pytest.raises(trio_h2.LocalProtocolError, match=r"needs an http\.response.start with trailers=True"):
            await send(trailers())
        await send(body(b"hello"))

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).body == b"hello"


@every_version
async def test_no_body_comes_where_trailers_are_due(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, trailers=True))
        with pytest.raises(trio_h2.LocalProtocolError, match="comes after the body"):
            await send(trailers())
        await send(body(b"hello"))
        with pytest.raises(trio_h2.LocalProtocolError, match=r"where http\.response\.trailers is due"):
            await send(body(b"more"))
        await send(trailers())

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).body == b"hello"


@every_version
async def test_trailers_that_never_come_cut_the_response(version: str, complaints: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, trailers=True))
        await send(body(b"hello"))

    async with served(version, asgi.handler(app), raise_handler_errors=False) as client:
        with pytest.raises(Exception):  # noqa: B017, PT011 - each client has its own
            await client.fetch()
        await client.give_up()
    [record] = complaints.records
    assert record.exc_info is not None
    assert "the last http.response.trailers is missing" in str(record.exc_info[1])


# -- early hints -------------------------------------------------------------------------------------------------------


async def hinting(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends two."""
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.css>; rel=preload"]}
    await send(hint)
    await send(start(200))
    await send(hint)
    await send(body(b"hello", more=True))
    await send(hint)  # too late: nothing happens
    await send(body())


async def test_early_hints() -> None:
    async with served("2.0", asgi.handler(hinting)) as client:
        reply = await client.fetch()
    assert [(one.status, one["link"]) for one in reply.informational] == [
        (103, "</a.css>; rel=preload, </b.css>; rel=preload")
    ] * 2
    assert reply.body == b"hello"


async def test_clients_of_http1_are_sent_no_hints() -> None:
    async with served("1.1", asgi.handler(hinting)) as client:
        reply = await client.fetch()
    assert (reply.informational, reply.body) == ([], b"hello")


async def test_where_hints_are_offered() -> None:
    seen: list[set[str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(offered(scope))
        await plain(scope, receive, send)

    for version in ("2.0", "1.1"):
        async with served(version, asgi.handler(app)) as client:
            await client.fetch()
    assert seen[0] - seen[1] == {"http.response.early_hint"}


@every_version
async def test_a_hint_without_links_is_a_mistake(version: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(TypeError, match=r"links of http\.response\.early_hint"):
            await send({"type": "http.response.early_hint", "links": b"</a.css>"})
        await plain(scope, receive, send)

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).status == 200


# -- pushes ------------------------------------------------------------------------------------------------------------


class Pushing:
    """A page that pushes, and what it pushes."""

    def __init__(self, *paths: str, fields: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.paths = paths
        self.fields = fields
        self.offered: list[bool] = []
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        self.scopes.append(scope)
        path = scope["path"]
        if path == "/":
            self.offered.append("http.response.push" in offered(scope))
            await send(start(200))
            for one in self.paths:
                await send({"type": "http.response.push", "path": one, "headers": list(self.fields)})
            await send(body(b"page"))
        elif path == "/fails":
            raise KeyError("nothing there")
        else:
            await send(start(200))
            await send(body(b"style of ", more=True))
            await send(body(str(path).encode()))


async def take_pushes(app: Pushing, **options: bool) -> dict[str, bytes | str]:
    """Returns what is pushed beside the page."""
    taken: dict[str, bytes | str] = {}

    async def take(stream: trio_h2.PushedStream) -> None:
        try:
            await stream.receive_response()
            taken[stream.path] = await stream.read()
        except trio_h2.StreamResetError as exc:
            taken[stream.path] = f"reset: {exc.code!r}"

    async with pair(asgi.handler(app), push_handler=take) as (client, _server):
        async with client.request("GET") as stream:
            assert await stream.read() == b"page"
        await trio.testing.wait_all_tasks_blocked()
    return taken


async def test_pushes(autojump_clock: MockClock) -> None:
    app = Pushing("/a.css", "/b é.css?x=1", fields=((b"accept", b"text/css"),))
    taken = await take_pushes(app)
    assert taken == {"/a.css": b"style of /a.css", "/b%20%C3%A9.css?x=1": "style of /b é.css".encode()}
    assert app.offered == [True]
    pushed = app.scopes[1]
    headers = dict(cast("list[tuple[bytes, bytes]]", pushed["headers"]))
    assert headers[b"accept"] == b"text/css"
    assert headers[b"host"] == dict(cast("list[tuple[bytes, bytes]]", app.scopes[0]["headers"]))[b"host"]
    assert "http.response.push" not in offered(pushed)


async def test_a_push_that_fails_leaves_the_page_alone(
    autojump_clock: MockClock, complaints: pytest.LogCaptureFixture
) -> None:
    taken = await take_pushes(Pushing("/fails", "/a.css"))
    assert taken == {"/fails": "reset: <ErrorCode.INTERNAL_ERROR: 2>", "/a.css": b"style of /a.css"}
    [record] = complaints.records
    assert record.getMessage() == "the application failed in what it pushes: /fails"


async def test_a_push_that_cannot_be_made_leaves_the_page_alone(
    autojump_clock: MockClock, complaints: pytest.LogCaptureFixture
) -> None:
    assert await take_pushes(Pushing("/a.css", fields=((b"content-length", b"5"),))) == {}
    [record] = complaints.records
    assert record.getMessage().startswith("GET /: /a.css is not pushed: ")


@every_version
async def test_nothing_is_pushed_to_a_client_that_does_not_allow_it(version: str) -> None:
    app = Pushing("/a.css")
    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).body == b"page"
    assert (app.offered, len(app.scopes)) == ([False], 1)


async def test_a_page_that_fails_takes_its_pushes_with_it(
    autojump_clock: MockClock, complaints: pytest.LogCaptureFixture
) -> None:
    began = trio.Event()
    ended = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await send({"type": "http.response.push", "path": "/slow", "headers": []})
            await began.wait()
            raise KeyError("nothing there")
        try:
            began.set()
            await trio.sleep_forever()
        finally:
            ended.set()

    async def take(stream: trio_h2.PushedStream) -> None:
        with pytest.raises(trio_h2.StreamResetError):
            await stream.receive_response()

    async with pair(asgi.handler(app), push_handler=take, raise_handler_errors=False) as (client, _server):
        async with client.request("GET") as stream:
            assert (await stream.receive_response()).status == 500
        await ended.wait()
    [record] = complaints.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)  # and no group


# -- files -------------------------------------------------------------------------------------------------------------


def sending(path: Path | str, *fields: tuple[bytes, bytes], **more: object) -> asgi.Application:
    """Returns an application that sends a file."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert "http.response.pathsend" in offered(scope)
        await send(start(200, *fields, **more))
        await send({"type": "http.response.pathsend", "path": str(path)})
        if more:
            await send(trailers((b"a", b"b")))

    return app


@every_version
async def test_a_file(version: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 4096)
    async with served(version, asgi.handler(sending(file, (b"x", b"y")))) as client:
        reply = await client.fetch()
        assert (reply.body, reply.headers["x"]) == (file.read_bytes(), "y")
        assert reply.headers["content-length"] == str(1024 * 1024)
        assert (await client.fetch("HEAD")).headers["content-length"] == str(1024 * 1024)


async def test_a_file_and_trailers(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    async with served("2.0", asgi.handler(sending(file, trailers=True))) as client:
        reply = await client.fetch(headers={"te": "trailers"})
        assert (reply.body, dict(reply.trailers)) == (b"hello", {"a": "b"})


@every_version
async def test_a_file_that_is_not_there(version: str, tmp_path: Path, complaints: pytest.LogCaptureFixture) -> None:
    handler = asgi.handler(sending(tmp_path / "none"))
    async with served(version, handler, raise_handler_errors=False) as client:
        assert (await client.fetch()).status == 500
    [record] = complaints.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], FileNotFoundError)


@every_version
async def test_files_have_no_place_behind_a_body(version: str, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        file = {"type": "http.response.pathsend", "path": str(tmp_path)}
        with pytest.raises(trio_h2.LocalProtocolError, match=r"pathsend came before http\.response\.start"):
            await send(file)
        with pytest.raises(TypeError, match="must be a str, not 5"):
            await send({"type": "http.response.pathsend", "path": 5})
        await send(start(200))
        await send(body(b"hello", more=True))
        with pytest.raises(trio_h2.LocalProtocolError, match=r"pathsend came after a http\.response\.body"):
            await send(file)
        await send(body())

    async with served(version, asgi.handler(app)) as client:
        assert (await client.fetch()).body == b"hello"
