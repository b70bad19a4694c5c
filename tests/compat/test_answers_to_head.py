"""One handler that answers GET answers HEAD (RFC 9110 §9.3.2), however it sends its body, over both HTTP versions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import trio

from tests.compat.clients import every_version, served
from tests.http1.client import serving
from trio_h2 import compat
from trio_h2.files import DirectoryHandler, respond_with_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.compat.clients import StreamHandler
    from trio_h2 import ServerExchange

BODY = b"0123456789" * 1000


async def whole(stream: ServerExchange) -> None:
    await stream.respond({"content-type": "text/plain"}, body=BODY)


async def piecemeal(stream: ServerExchange) -> None:
    await stream.respond({"content-type": "text/plain"})
    for _ in range(3):
        await stream.wait_send_all_might_not_block()
        await stream.send_all(BODY)
    await stream.send_eof()


async def with_length(stream: ServerExchange) -> None:
    await stream.respond({"content-length": len(BODY)})
    await stream.send_all(BODY[:10])
    await stream.send_all(BODY[10:])


async def length_unmet(stream: ServerExchange) -> None:
    """What is right for HEAD alone: the length, and nothing of the body."""
    await stream.respond({"content-length": len(BODY)}, end_stream=stream.method == "HEAD")
    if stream.method != "HEAD":
        await stream.send_all(BODY)


async def with_trailers(stream: ServerExchange) -> None:
    await stream.respond({"trailer": "x-sum"})
    await stream.send_all(BODY)
    await stream.send_trailers({"x-sum": "1"})


async def only_trailers(stream: ServerExchange) -> None:
    await stream.respond()
    await stream.send_trailers({"x-sum": "1"})


async def not_modified(stream: ServerExchange) -> None:
    await stream.respond({":status": 304, "content-length": len(BODY)})


async def no_content(stream: ServerExchange) -> None:
    await stream.respond(204)


async def at_once(request: compat.Request, response: compat.Response) -> None:
    await response.end(BODY)


async def chunks(request: compat.Request, response: compat.Response) -> None:
    response.write_head(200, {"content-type": "text/plain"})
    await response.write(BODY)
    await response.write("more")
    await response.end("last")


async def chunks_with_length(request: compat.Request, response: compat.Response) -> None:
    response.set_header("content-length", len(BODY))
    await response.write(BODY)
    await response.end()


async def trailers(request: compat.Request, response: compat.Response) -> None:
    response.add_trailers({"x-sum": "1"})
    await response.end(BODY)


async def text(request: compat.Request, response: compat.Response) -> None:
    await response.send_text("hellö")


async def as_json(request: compat.Request, response: compat.Response) -> None:
    await response.send_json({"a": [1, 2]})


async def flushed(request: compat.Request, response: compat.Response) -> None:
    await response.flush_headers()
    await response.end(BODY)


async def error(request: compat.Request, response: compat.Response) -> None:
    raise compat.HTTPError(404, "no such note")


def a_file(path: Path) -> StreamHandler:
    async def handler(stream: ServerExchange) -> None:
        await respond_with_file(stream, path / "page.html")

    return handler


def directory(path: Path) -> StreamHandler:
    return DirectoryHandler(path)


FORMS: dict[str, Callable[[Path], StreamHandler]] = {
    "file": a_file,
    "directory": directory,
    **{
        form.__name__: lambda _, form=form: form  # type: ignore[misc]
        for form in (
            whole,
            piecemeal,
            with_length,
            length_unmet,
            with_trailers,
            only_trailers,
            not_modified,
            no_content,
        )
    },
    **{
        f"compat {app.__name__}": lambda _, app=app: compat.request_handler(app)  # type: ignore[misc]
        for app in (at_once, chunks, chunks_with_length, trailers, text, as_json, flushed, error)
    },
}
LEFT_OUT = {"date", "content-length", "transfer-encoding"}
"""What may differ. RFC 9110 §9.3.2: a server "MAY omit header fields for which a value is determined only while
generating the content". §8.6: the content-length, if there is one, is that of the content "if the same request had used
the GET method", even where that goes without, since it has trailers."""


@every_version
@pytest.mark.parametrize("form", FORMS)
async def test_it_has_the_headers_of_get_and_no_body(form: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(BODY)
    async with served(version, FORMS[form](tmp_path)) as client:
        get = await client.fetch("GET", "/page.html")
        head = await client.fetch("HEAD", "/page.html")
        again = await client.fetch("GET", "/page.html")
    assert {name: head.headers[name] for name in head.headers if name not in LEFT_OUT} == {
        name: get.headers[name] for name in get.headers if name not in LEFT_OUT
    }
    assert (head.body, dict(head.trailers)) == (b"", {})
    assert again.body == get.body
    assert ("content-length" in head.headers) >= ("content-length" in get.headers)
    if get.status != 304:
        assert int(head.headers.get("content-length", len(get.body))) == len(get.body)


@pytest.mark.parametrize("form", FORMS)
async def test_nothing_of_a_body_is_on_the_wire(form: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(BODY)
    async with serving(FORMS[form](tmp_path)) as served:
        await served.client.request("HEAD /page.html", "connection: close")
        answer = await served.client.rest()
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1


@every_version
async def test_an_endless_body_can_end(version: str) -> None:
    async def handler(stream: ServerExchange) -> None:
        await stream.respond({"content-type": "text/event-stream"})
        while not stream.send_unwanted:
            await stream.send_all(b"data: tick\n\n")
            await trio.sleep(math.inf)

    async with served(version, handler) as client:
        reply = await client.fetch("HEAD")
    assert (reply.status, reply.body) == (200, b"")
