"""`--reload`: the application is loaded again when its files change, and the server never stops listening."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import Running, read_all, run, running
from trio_h2._cli._errors import UsageError
from trio_h2._cli._loading import directories_of
from trio_h2._cli._source_watch import SourceWatch

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock

APP = """
import helper

async def handle(stream):
    await stream.respond(200, body=("1 " + helper.word).encode())
"""


@pytest.fixture
async def app(tmp_path: Path) -> trio.Path:
    """An application of two modules, and a page."""
    folder = trio.Path(tmp_path)
    await (folder / "app.py").write_text(APP)
    await (folder / "helper.py").write_text("word = 'one'\n")
    await (folder / "page.html").write_text("x")
    return folder / "app.py"


async def answer(url: str) -> bytes:
    """Asks over a new connection; every request is answered."""
    while True:
        # Refused: a worker that ends said GOAWAY before the request was sent.
        with contextlib.suppress(trio_h2.StreamRefusedError):
            async with trio_h2.connect(url) as session, session.request("GET") as stream:
                return await read_all(stream)


async def answers(url: str, expected: bytes) -> None:
    """Asks until the answer is this one."""
    while await answer(url) != expected:
        pass


async def said(server: Running, words: str) -> str:
    """Reads what stderr says until it has said this."""
    assert server.process.stderr is not None
    text = ""
    while words not in text:
        text += (await server.process.stderr.receive_some()).decode()
    return text


# -- the server ----------------------------------------------------------------------------------------------------


async def test_a_change_is_served_and_no_request_is_lost(app: trio.Path) -> None:
    async with running("serve", "--app", f"{app}:handle", "--reload") as server:
        url = await server.url()
        assert await answer(url) == b"1 one"
        await app.write_text(APP.replace('"1 "', '"2 "'))
        await answers(url, b"2 one")
        # A module that it imports, of the same length: not the one of Python's cache.
        await (app.parent / "helper.py").write_text("word = 'two'\n")
        await answers(url, b"2 two")
        server.signal(signal.SIGTERM)
        ended = await server.ended()
        assert ended.code == 0
        assert f"trio-h2: {app} changed; the application is loaded again\n" in ended.err
        assert "helper.py changed" in ended.err
        assert not await (app.parent / "__pycache__").exists()


async def test_a_mistake_is_shown_and_the_former_version_serves_on(app: trio.Path) -> None:
    async with running("serve", "--app", f"{app}:handle", "--reload") as server:
        url = await server.url()
        await app.write_text("def f(:\n")
        text = await said(server, "worker 1 stays")
        assert f"cannot load the app: {app}, line 1: SyntaxError" in text
        assert "Traceback" not in text
        assert await answer(url) == b"1 one"
        await app.write_text(APP.replace('"1 "', '"3 "'))
        await answers(url, b"3 one")


async def test_a_mistake_at_the_beginning_waits_for_a_change(app: trio.Path) -> None:
    await app.write_text("def f(:\n")
    async with running("serve", "--app", f"{app}:handle", "--reload") as server:
        url = await server.url()
        text = await said(server, "the application does not start; waiting for a change of its files")
        assert f"cannot load the app: {app}, line 1: SyntaxError" in text
        await app.write_text("x = 1\n")
        await said(server, "has no 'handle'")
        await app.write_text(APP)
        assert await answer(url) == b"1 one"  # it waited in the queue of the socket
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


async def test_a_worker_that_crashes_after_a_bad_change(app: trio.Path) -> None:
    async with running("serve", "--app", f"{app}:handle", "--reload", "--workers", "1") as server:
        url = await server.url()
        await app.write_text("import os\nasync def handle(stream):\n    os._exit(3)\n")
        await said(server, "changed")
        with pytest.raises((trio_h2.H2Error, OSError)):
            while True:
                await answer(url)
        await app.write_text(APP)
        while True:
            with contextlib.suppress(trio_h2.H2Error, OSError):
                if await answer(url) == b"1 one":
                    break


async def test_a_module_and_other_files(app: trio.Path) -> None:
    argv = ["--app", "app:handle", "--app-dir", str(app.parent), "--reload", "--reload-include", "*.html"]
    async with running("serve", *argv) as server:
        assert await answer(await server.url()) == b"1 one"
        await (app.parent / "page.html").write_text("longer")
        await said(server, "page.html changed")


async def test_a_directory_that_is_not_there(app: trio.Path) -> None:
    ended = await run("serve", "--app", f"{app}:handle", "--reload", "--reload-dir", str(app.parent / "no"))
    ended.failed(2, "no is not a directory", "--reload-dir")


# -- what is looked at ---------------------------------------------------------------------------------------------


async def test_what_counts_as_a_change(tmp_path: Path, autojump_clock: MockClock) -> None:
    root = trio.Path(tmp_path)
    for name in (
        "a.py",
        "b.txt",
        "page.html",
        ".git/x.py",
        "__pycache__/y.py",
        "venv/pyvenv.cfg",
        "venv/z.py",
        "d/e.py",
    ):
        await (root / name).parent.mkdir(exist_ok=True)
        await (root / name).write_text("1")
    watch = SourceWatch([str(tmp_path)], ["*.html"])

    async def changed() -> list[str]:
        found: list[str] = []
        with trio.move_on_after(2):
            found = await watch.wait_changed()
        return [path.removeprefix(f"{tmp_path}/") for path in found]

    assert await changed() == []
    for name in ("b.txt", ".git/x.py", "__pycache__/y.py", "venv/z.py"):
        await (root / name).write_text("22")
    assert await changed() == []
    await (root / "a.py").write_text("22")
    await (root / "d/e.py").write_text("22")
    assert await changed() == ["a.py", "d/e.py"]
    assert await changed() == []
    await (root / "new.py").write_text("")
    await (root / "page.html").unlink()
    assert await changed() == ["new.py", "page.html"]
    # The same size, at another time.
    os.utime(tmp_path / "a.py", ns=(1, 1))
    assert await changed() == ["a.py"]
    await (root / "gone.py").symlink_to(tmp_path / "nowhere")
    assert await changed() == []


def test_a_watch_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a directory"):
        SourceWatch([str(tmp_path / "no")])


def test_where_an_application_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert directories_of("site.web:app") == [str(tmp_path)]
    assert directories_of("site.web:app", "src") == [str(tmp_path / "src")]
    assert directories_of("sub/app.py:app") == [str(tmp_path / "sub")]
    assert directories_of("sub/app.py:app", "src") == [str(tmp_path / "sub"), str(tmp_path / "src")]
