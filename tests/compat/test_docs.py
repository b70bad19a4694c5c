"""The programs in docs/request-response.md do what the text says."""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
import uuid
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, cast

import h11
import pytest
import trio

import trio_h2
from tests.compat.clients import Client, every_version, served
from trio_h2.compat import request_handler
from trio_h2.testing import memory_transports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio.testing import MockClock

    from tests.compat.clients import StreamHandler
    from trio_h2.compat import Request, Response

PAGE = Path(__file__).parents[2] / "docs" / "request-response.md"
FIRST, RAISES, CUTS, FORM, CONTINUE, CLASSES = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
START = "trio.run(trio_h2.serve_tcp, request_handler(app), 8080)"


def namespace() -> dict[str, object]:
    """Returns the names that the first program defines, which does not start its server."""
    assert START in FIRST
    names: dict[str, object] = {}
    exec(FIRST.replace(START, "from trio_h2.compat import HTTPError"), names)
    return names


def handler_of(source: str) -> StreamHandler:
    """Returns the handler that a program makes."""
    names = namespace()
    exec(source, names)
    return cast("StreamHandler", names["handler"])


async def text_of(client: Client, path: str = "/", **headers: str) -> str:
    return (await client.fetch("GET", path, headers=headers)).body.decode()


def saved_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


@every_version
async def test_the_first_program(version: str) -> None:
    async with served(version, handler_of("handler = request_handler(app)")) as client:
        reply = await client.fetch("GET", "/you?x=y")
        assert (reply.body, reply.headers["cache-control"]) == (b"hello, /you", "no-store")


@every_version
async def test_the_hook(version: str) -> None:
    async with served(version, handler_of(CONTINUE)) as client:
        for method, status in (("POST", 417), ("PUT", 200)):
            assert (await client.fetch(method, body=b"body", expect_continue=True)).status == status


@every_version
@pytest.mark.parametrize("program", [RAISES, CUTS])
@pytest.mark.parametrize("sent", [0, 3])
async def test_a_deadline_that_cuts_a_body_is_seen(
    version: str, program: str, sent: int, complaints: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(sent):
            yield b"part"
        await trio.sleep_forever()

    name = "report" if program is RAISES else "live"
    names = namespace()
    names["parts"] = parts
    exec(f"{program}\nhandler = request_handler({name})", names)
    async with served(version, cast("StreamHandler", names["handler"])) as client:
        if program is RAISES and not sent:
            assert (await client.fetch()).status == 500
        else:
            # h11 says it in a nursery of the client: nothing at all, or a body without its last chunk.
            with pytest.raises((trio_h2.StreamResetError, ExceptionGroup)) as cut:
                await client.fetch()
            if isinstance(cut.value, ExceptionGroup):
                assert cut.group_contains((h11.RemoteProtocolError, EOFError, trio.BrokenResourceError))
            await client.give_up()
    assert ("TooSlowError" in complaints.text) == (program is RAISES)


@every_version
@pytest.mark.parametrize("written", [0, 1000, 99_999])
@pytest.mark.parametrize("stuck", [False, True])
@pytest.mark.parametrize("plain", [False, True])
async def test_a_body_with_content_length_never_looks_whole(
    version: str,
    written: int,
    stuck: bool,
    plain: bool,
    complaints: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    """Wherever the deadline strikes: before its first byte, between two pieces, or (*stuck*) inside one."""

    async def body(write: Callable[[bytes], Awaitable[object]]) -> None:
        with trio.move_on_after(1):
            if written:
                await write(bytes(written))
            if stuck:
                await write(bytes(1_000_000 - written))  # the client does not read it all
            else:
                await trio.sleep_forever()

    async def app(request: Request, response: Response) -> None:
        await response.write_head(200, {"content-length": 1_000_000}).flush_headers()
        await body(response.write)

    async def handle(stream: trio_h2.ServerExchange) -> None:
        await stream.respond({":status": 200, "content-length": 1_000_000})
        await body(stream.send_all)

    ours, theirs = memory_transports(50_000)
    async with trio.open_nursery() as nursery:
        serve = partial(trio_h2.serve_stream, handle if plain else request_handler(app), theirs, allow_http1=True)
        nursery.start_soon(serve)
        if version == "1.1":
            await ours.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await trio.sleep(2)
            received = bytearray()
            with contextlib.suppress(trio.BrokenResourceError):
                while data := await ours.receive_some():
                    received += data
            assert len(received.partition(b"\r\n\r\n")[2]) < 1_000_000
            await ours.aclose()
        else:
            config = trio_h2.ClientConfig(stream_window=100_000)
            connect = trio_h2.connect("http://localhost", transport=ours, config=config)
            async with connect as session, session.request("GET") as stream:
                await stream.receive_response()
                await trio.sleep(2)
                with pytest.raises(trio_h2.StreamResetError) as reset:
                    await stream.receive_trailers()
                assert reset.value.code == trio_h2.ErrorCode.INTERNAL_ERROR
    assert complaints.text


async def test_a_class_of_ones_own() -> None:
    async with served("2.0", handler_of(CLASSES)) as client:
        assert await text_of(client) == "nobody"
        assert await text_of(client, "/", **{"x-user": "me"}) == "me"


async def test_the_form(tmp_path: Path) -> None:
    @request_handler
    async def app(request: Request, response: Response) -> None:
        code = compile(FORM, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        names: dict[str, object] = {"request": request, "folder": tmp_path, "uuid": uuid}
        program = FunctionType(code, names)()
        assert inspect.iscoroutine(program)
        await cast("Awaitable[object]", program)
        await response.end(str(names["name"]))

    body = (
        b'--cut\r\ncontent-disposition: form-data; name="name"\r\n\r\nme\r\n'
        b'--cut\r\ncontent-disposition: form-data; name="file"; filename="../x"\r\n\r\nfile\r\n--cut--\r\n'
    )
    async with served("2.0", app) as client:
        headers = {"content-type": "multipart/form-data; boundary=cut"}
        assert (await client.fetch("POST", headers=headers, body=body)).body == b"me"
    assert saved_in(tmp_path) == [b"file"]
