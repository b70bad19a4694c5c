"""The programs in docs/files.md do what the text says."""

from __future__ import annotations

import runpy
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import one_file
import open_file
import trio

import trio_h2
from tests.files.tools import ask, session_with

if TYPE_CHECKING:
    import pytest

    from tests.session.scripted import Handler

REPORT = b"%PDF-1.7"


async def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Path(one_file.__file__).with_name("directory.py")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "x.txt").write_bytes(b"hello")
    made: list[Handler] = []
    monkeypatch.setattr(trio, "run", lambda serve, handler, port: made.append(handler))
    runpy.run_path(str(program), run_name="__main__")
    monkeypatch.undo()
    async with session_with(made[0]) as session:
        assert (await ask(session, "/x.txt")).body == b"hello"


async def test_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with session_with(one_file.handler) as session:
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
    file = tmp_path / "report.pdf"
    file.write_bytes(REPORT)
    answered = False

    async def serve_tcp(handler: Handler, _port: int) -> None:
        nonlocal answered
        async with session_with(handler) as session:
            for _ in range(2):
                assert (await ask(session)).body == REPORT
        answered = True

    monkeypatch.setattr(trio_h2, "serve_tcp", serve_tcp)
    with file.open("rb") as opened:
        await open_file.serve(opened)
    assert answered
