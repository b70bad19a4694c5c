"""Loading an app: what is taken, and what is said of the rest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from trio_h2._cli._app import load_app
from trio_h2._cli._errors import UsageError
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = '''
import dataclasses
import functools
import neighbour

@dataclasses.dataclass
class Configured:
    greeting: str

    async def __call__(self, stream):
        """Handles a stream."""

class Plain:
    def __call__(self, stream): ...

async def handler(stream, extra=None): ...
def sync(stream): ...
async def generator(stream):
    yield
async def nothing(): ...
async def two(one, two): ...
async def three(scope, receive, send): ...
async def named(stream, *, extra): ...
async def app(request, response):
    await response.send_text(f"hello, {request.path}")
async def everything(*args): ...

bound = Configured(neighbour.GREETING)
partial = functools.partial(two, 1)
sync_partial = functools.partial(sync)
plain = Plain()
number = 7
'''


@pytest.fixture(autouse=True)
def _imports_are_undone() -> Iterator[None]:
    path, modules = sys.path.copy(), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("GREETING = 'hello'\n")
    file = tmp_path / "app.py"
    file.write_text(APP)
    return file


@pytest.mark.parametrize("name", ["handler", "everything", "bound", "partial"])
def test_an_async_callable_is_taken(app: Path, name: str) -> None:
    assert callable(load_app(f"{app}:{name}"))


async def test_a_function_of_request_and_response_is_taken(app: Path) -> None:
    async with session_pair(load_app(f"{app}:app")) as (client, _server), client.request("GET", "/there") as stream:
        assert (await stream.receive_response()).status == 200
        assert await stream.receive_some() == b"hello, /there"


def test_the_file_may_be_named_relatively_and_like_a_module(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(app.parent)
    app.rename("trio.py")
    handler = load_app("trio.py:handler")
    assert handler.__module__ == "_trio_h2_app_trio"
    import trio

    assert hasattr(trio, "run")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sync", "'sync' in .* must be an async function"),
        ("generator", "async function"),
        ("sync_partial", "async function"),
        ("plain", "async function"),
        ("Configured", "async function"),
        ("number", "async function"),
        ("nothing", r"must take a stream, or a request and a response: .*nothing\(request, response\)$"),
        ("three", r"must take a stream, or a request and a response: .*three\(stream\) .* it looks like an ASGI app"),
        ("named", r"must take a stream, or a request and a response: .*named\(request, response\)$"),
        ("absent", "has no 'absent'"),
        ("not a name", "FILE.py:NAME"),
        ("", "FILE.py:NAME"),
    ],
)
def test_anything_else_is_refused(app: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_app(f"{app}:{name}")


@pytest.mark.parametrize("spec", ["app.py", ":app", "", "app.py:a.b"])
def test_a_spec_without_file_or_name(spec: str) -> None:
    with pytest.raises(UsageError, match=r"FILE\.py:NAME"):
        load_app(spec)


def test_files_that_are_no_apps(tmp_path: Path) -> None:
    (tmp_path / "app.txt").write_text("x = 1")
    for name, words in [("absent.py", "there is no file"), (".", "there is no file"), ("app.txt", "no Python file")]:
        with pytest.raises(UsageError, match=words):
            load_app(f"{tmp_path / name}:x")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\nasync def (", "app.py, line 2: SyntaxError: invalid syntax"),
        ("\n\nundefined", "app.py, line 3: NameError: name 'undefined' is not defined"),
        ("import no_such_module_at_all", "app.py, line 1: ModuleNotFoundError"),
        ("def f():\n    open('/no/such/file')\nf()", "app.py, line 2: FileNotFoundError: No such file or directory"),
        ("raise SystemExit(3)", "app.py, line 1: SystemExit: 3"),
        ("\0", "SyntaxError"),
    ],
)
def test_a_file_that_fails(tmp_path: Path, source: str, words: str) -> None:
    file = tmp_path / "app.py"
    file.write_text(source)
    with pytest.raises(UsageError) as caught:
        load_app(f"{file}:handler")
    assert words in str(caught.value)


def test_ctrl_c_while_loading(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_app(f"{file}:handler")
