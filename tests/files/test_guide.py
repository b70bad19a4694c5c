"""The programs in docs/files.md do what the text says."""

from __future__ import annotations

import re
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, cast

import trio_h2
from tests.files.tools import ask, session_with

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from tests.session.scripted import Handler

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
DIRECTORY, ONE_FILE, OPEN_FILE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
REPORT = b"%PDF-1.7"


def defined_by(source: str) -> dict[str, object]:
    """Runs a program; returns what it defines."""
    names: dict[str, object] = {}
    exec(compile(source, str(PAGE), "exec"), names)
    return names


async def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "x.txt").write_bytes(b"hello")
    made: list[Handler] = []
    start = "trio.run(trio_h2.serve_tcp, DirectoryHandler("
    assert start in DIRECTORY
    names: dict[str, object] = {"use": lambda handler, _port: made.append(handler)}
    exec(DIRECTORY.replace(start, "use(DirectoryHandler("), names)
    async with session_with(made[0]) as session:
        assert (await ask(session, "/x.txt")).body == b"hello"


async def test_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with session_with(cast("Handler", defined_by(ONE_FILE)["handler"])) as session:
        answer = await ask(session)
        assert (answer.status, answer.body) == (404, b"no such report\n")
        file = tmp_path / "report.pdf"
        file.write_bytes(REPORT)
        answer = await ask(session)
        assert (answer.status, answer.body) == (200, REPORT)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["last-modified"] == formatdate(file.stat().st_mtime, usegmt=True)


async def test_an_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.pdf").write_bytes(REPORT)
    answered = False

    async def serve_tcp(handler: Handler, _port: int) -> None:
        nonlocal answered
        async with session_with(handler) as session:
            for _ in range(2):
                assert (await ask(session)).body == REPORT
        answered = True

    names = defined_by(OPEN_FILE)
    monkeypatch.setattr(trio_h2, "serve_tcp", serve_tcp)
    await cast("Callable[[], Awaitable[None]]", names["main"])()
    assert answered
