"""`trio-h2 serve --asgi`: applications of other frameworks, and `MODULE:NAME` for handlers as well."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.cli.tools import assert_one_line, fetch, run, running
from trio_h2._cli._app import load_app
from trio_h2._cli._args import ServeOptions, parse
from trio_h2._cli._errors import UsageError
from trio_h2._cli._serve import prepare
from trio_h2.websocket import connect_websocket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = r"""
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["greeting"] = "hello"
        os.write(1, b"started\n")  # in one piece: workers share it
        await send({"type": "lifespan.startup.complete"})
        await receive()
        os.write(1, b"stopped\n")
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["http_version"]})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        text = f"{scope['state'].get('greeting')} {scope['http_version']} {scope['root_path']} {scope['path']}"
        await send({"type": "http.response.body", "body": text.encode()})

def make():
    return app

def broken():
    raise KeyError("no settings")

async def cannot_start(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})

async def crashes(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    raise KeyError("the task of a lifespan")

async def for_asyncio(scope, receive, send):
    import asyncio
    asyncio.get_running_loop()

async def silent(scope, receive, send):
    assert scope["type"] == "http"
    await app(scope, receive, send)

async def handler(stream):
    await stream.respond(200, body=b"a handler")

class Names:
    app = staticmethod(app)

number = 7
"""


@pytest.fixture(autouse=True)
def _imports_are_undone() -> Iterator[None]:
    path, modules = sys.path.copy(), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("site_", "_trio_h2_app")):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "site_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "web.py").write_text(APP)
    (tmp_path / "site_app.py").write_text(APP)
    (tmp_path / "site_fails.py").write_text("x = 1\nx.y\n")
    (tmp_path / "site_lacks.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "site_wrong.py").write_text("async def (\n")
    return tmp_path


@pytest.mark.parametrize(("spec", "workers"), [("site_app:app", None), ("site_package.web:app", 2)])
async def test_an_application(
    folder: Path, spec: str, workers: int | None, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    options = [] if workers is None else ["--workers", str(workers)]
    async with running("serve", "--asgi", spec, "--app-dir", str(folder), "--root-path", "/api", *options) as server:
        lines = sorted([await server.line() for _ in range((workers or 1) + 1)])
        assert lines[1:] == ["started\n"] * (workers or 1)  # after that of the server, or around it
        url = lines[0].removeprefix("Listening on ").strip()
        for version in ("--http1", "--http2"):
            assert await fetch(f"{url}/there", version, "--fail") == 0
        async with connect_websocket(url.replace("http", "ws", 1)) as websocket:
            assert await websocket.receive_message() == "2"
        server.signal(signal.SIGTERM)
        ended = await server.ended()
    assert (ended.code, ended.out, ended.err) == (0, b"stopped\n" * (workers or 1), "")
    assert capfdbinary.readouterr().out == b"hello 1.1 /api /api/therehello 2 /api /api/there"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("site_app:make", "--factory"), b"hello 2  /"),
        (("site_app:app", "--lifespan", "off"), b"None 2  /"),
        (("site_app:silent",), b"None 2  /"),
    ],
)
async def test_ways_to_run_it(
    folder: Path, argv: tuple[str, ...], said: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with running("serve", "--asgi", *argv, "--app-dir", str(folder)) as server:
        if said.startswith(b"hello"):
            assert await server.line() == "started\n"
        assert await fetch(await server.url(), "--http2", "--fail") == 0
    assert capfdbinary.readouterr().out == said


async def test_an_application_in_a_file(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    async with running("serve", "--asgi", f"{folder / 'site_app.py'}:app") as server:
        assert await server.line() == "started\n"
        assert await fetch(await server.url(), "--fail") == 0
    assert capfdbinary.readouterr().out.startswith(b"hello")


async def test_a_handler_in_a_module(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    async with running("serve", "--app", "site_package.web:handler", "--app-dir", str(folder)) as server:
        assert await fetch(await server.url(), "--http2", "--fail") == 0
    assert capfdbinary.readouterr().out == b"a handler"


def test_modules_are_looked_for_in_the_current_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert callable(load_app("site_app:handler"))


def test_what_it_serves(folder: Path) -> None:
    options = parse(["serve", "--asgi", "site_app:Names.app", "--app-dir", str(folder)])
    assert isinstance(options, ServeOptions)
    assert options.allow_http1
    service = prepare(options)
    assert service.config is not None
    assert service.config.enable_connect_protocol


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ("site_app", (), "--asgi must look like FILE.py:NAME or MODULE:NAME, not 'site_app'"),
        ("site_app:", (), "must look like"),
        ("site_app:a b", (), "must look like"),
        ("site_app:nothing", (), "site_app has no 'nothing'"),
        ("site_nothing:app", (), "there is no module 'site_nothing' in "),
        ("site_app.nothing:app", (), "there is no module .site_app.nothing. in "),
        ("site_fails:app", (), "site_fails.py, line 2: AttributeError"),
        ("site_lacks:app", (), "site_lacks.py, line 1: ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("site_wrong:app", (), "site_wrong.py, line 1: SyntaxError"),
        ("site_app:number", (), "site_app:number must be an ASGI application, not 7"),
        ("site_app:make", (), "must take three arguments, scope, receive and send, unlike .* call it first"),
        ("site_app:handler", (), "must take three arguments"),
        ("site_app:number", ("--factory",), "'number' in site_app is no function"),
        ("site_app:broken", ("--factory",), "could not make the application: KeyError: 'no settings'"),
        ("site_app:app", ("--root-path", "api"), "--root-path must be empty or begin with a slash"),
    ],
)
def test_what_cannot_be_loaded(folder: Path, spec: str, options: tuple[str, ...], words: str) -> None:
    parsed = parse(["serve", "--asgi", spec, "--app-dir", str(folder), *options])
    assert isinstance(parsed, ServeOptions)
    with pytest.raises(UsageError, match=words):
        prepare(parsed)


def test_a_directory_that_is_not_there(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"--app-dir .*absent is not a directory"):
        load_app("site_app:handler", str(folder / "absent"))


@pytest.mark.parametrize(
    ("name", "words", "shown"),
    [
        ("cannot_start", "the application could not start: no database", ""),
        ("for_asyncio", "this application needs asyncio, but runs on Trio", "asyncio.get_running_loop()"),
        ("crashes", "the application failed while it ran", 'raise KeyError("the task of a lifespan")'),
    ],
)
async def test_an_application_that_cannot_run(folder: Path, name: str, words: str, shown: str) -> None:
    ended = await run("serve", "--asgi", f"site_app:{name}", cwd=folder)
    assert ended.code == 1
    last = ended.err.splitlines(keepends=True)[-1]
    assert_one_line(last, words)
    assert shown in ended.err


async def test_a_lifespan_that_must_be(folder: Path) -> None:
    ended = await run("serve", "--asgi", "site_app:silent", "--lifespan", "on", cwd=folder)
    assert ended.code == 1
    assert "the application raised AssertionError" in ended.err


async def test_a_certificate_of_ones_own(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    ca = folder / "ca.pem"
    options = ("--app-dir", str(folder), "--self-signed", "--write-ca", str(ca))
    async with running("serve", "--asgi", "site_app:app", *options) as server:
        assert await server.line() == "started\n"
        url = await server.url()
        for version in ("--http1", "--http2"):
            assert await fetch(url, version, "--ca", str(ca), "--fail") == 0
        context = trio_h2.client_ssl_context(ca)
        async with connect_websocket(url.replace("http", "ws", 1), ssl_context=context) as websocket:
            assert await websocket.receive_message() == "2"
    assert capfdbinary.readouterr().out == b"hello 1.1  /hello 2  /"
