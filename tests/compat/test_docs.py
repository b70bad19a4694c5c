"""The programs in docs/request-response.md do what the text says."""

from __future__ import annotations

import ast
import inspect
import re
import uuid
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, cast

from tests.compat.clients import Client, every_version, served
from trio_h2.compat import request_handler

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.compat.clients import StreamHandler
    from trio_h2.compat import Request, Response

PAGE = Path(__file__).parents[2] / "docs" / "request-response.md"
FIRST, FORM, CONTINUE, CLASSES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
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
