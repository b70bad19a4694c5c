"""`trio-h2 get -F`: forms, with files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.tools import run, served
from trio_h2 import compat

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command

BODY = bytes(range(256)) * 1000


@compat.request_handler
async def told(request: compat.Request, response: compat.Response) -> None:
    """Answers with what is in a form."""
    form = await request.form(max_size=10**8)
    lines = [request.method, *(f"{name}={value}" for name in form for value in form.get_all(name))]
    for file in form.files:
        content = await file.read()
        shown = f"{len(content)} bytes" if content == BODY else content.decode()
        lines.append(f"{file.name}: {file.filename}, {file.content_type}, {shown}")
    await response.end("\n".join(lines))


async def test_fields_and_files(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "a;b.txt"
    file.write_bytes(BODY)
    async with served(told) as site:
        done = await get(
            site.url("/1"),
            site.url("/2"),
            *("-F", "name=Grüße; type=x"),
            *("--form", "empty="),
            *("-F", "with=equals=sign"),
            *("-F", f"f=@{file}"),
            *("-F", f"f=@{file};type=text/x; charset=utf-8"),
            *("-F", f'g=@{file};filename="other.png"'),
            *("-F", f"h=@{file};filename=x;type=a/b"),
        )
        put = await get(site.url(), "-X", "PUT", "-F", "a=1", "-L")
    expected = "\n".join(
        [
            "POST",
            "name=Grüße; type=x",
            "empty=",
            "with=equals=sign",
            "f: a;b.txt, text/plain, 256000 bytes",
            "f: a;b.txt, text/x; charset=utf-8, 256000 bytes",
            "g: other.png, image/png, 256000 bytes",
            "h: x, a/b, 256000 bytes",
        ]
    )
    assert (done.code, done.out.decode(), done.err) == (0, 2 * expected, "")
    assert put.out == b"PUT\na=1"


async def test_stdin() -> None:
    async with served(told) as site:
        ended = await run("get", site.url(), "-F", "f=@-", "-F", "g=1", stdin=BODY)
        named = await run("get", site.url(), "-F", "f=@-;filename=x.txt", stdin=b"text")
    assert (ended.code, ended.out.decode(), ended.err) == (
        0,
        "POST\ng=1\nf: -, application/octet-stream, 256000 bytes",
        "",
    )
    assert named.out == b"POST\nf: x.txt, text/plain, text"


async def test_files_that_cannot_be_read(get: Command, tmp_path: Path) -> None:
    async with served(told) as site:
        (await get(site.url(), "-F", f"f=@{tmp_path}/absent")).failed(1, "cannot read", "absent", "No such file")
        (await get(site.url(), "-F", f"f=@{tmp_path}")).failed(1, "cannot read", tmp_path.name, "directory")
    assert site.sessions == 0


async def test_a_file_that_becomes_shorter(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(16 * 1024 * 1024))

    @compat.request_handler
    async def handler(request: compat.Request, response: compat.Response) -> None:
        assert request.stream is not None
        await request.stream.receive_some(1)
        os.truncate(file, 1000)
        await request.read(max_size=10**8)

    async with served(handler) as site:
        (await get(site.url(), "-F", f"f=@{file}")).failed(1, str(file), "became shorter while it was sent")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-F", "name"], ["-F", "NAME=VALUE", "NAME=@FILE"]),
        (["-F", "=value"], ["-F", "NAME=VALUE"]),
        (["-F", "f=@"], ["-F f=@", "a file is missing"]),
        (["-F", "f=@x;type=png"], ["type=", "image/png", "'png'"]),
        (["-F", "f=@x;type=a/b;type=c/d"], ["once each"]),
        (["-F", "f=@-", "-F", "g=@-"], ["once only"]),
        (["-F", "f=@-", "http://127.0.0.1:1/2"], ["once only", "one URL"]),
        (["-F", "f=1", "-H", "Content-Type: x"], ["-F and -H 'content-type", "exclude"]),
    ],
)
async def test_wrong_use(argv: list[str], words: list[str], get: Command) -> None:
    (await get("http://127.0.0.1:1", *argv)).failed(2, *words)


async def test_one_body(get: Command) -> None:
    for other in (["-d", "x"], ["--json", "1"]):
        done = await run("get", "http://127.0.0.1:1", "-F", "a=1", *other)
        done.failed(2, "not allowed with argument", "--help")
