"""One line for every failure, and the right exit code."""

from __future__ import annotations

import io
import socket
import sys

import pytest

import trio_h2._cli as cli
from tests.cli.tools import assert_one_line
from trio_h2._cli._errors import CommandError, UsageError, is_bug, one_line, reason, report
from trio_h2._cli._interrupt import interruptible


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CommandError("it broke"), 1, "it broke"),
        (CommandError("404", 22), 22, "404"),
        (UsageError("not like this"), 2, "not like this"),
        (CommandError("two\nlines\x1b[2J\udcff"), 1, r"two\nlines\x1b[2J\udcff"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (FileNotFoundError(2, "No such file", "x\ny"), 1, r"No such file: x\ny"),
        (OSError("odd"), 1, "odd"),
        (ExceptionGroup("g", [ValueError("first"), UsageError("told")]), 2, "told"),
        (BaseExceptionGroup("g", [CommandError("told"), KeyboardInterrupt()]), 130, "interrupted"),
        (ExceptionGroup("g", [ExceptionGroup("h", [CommandError("deep", 22)])]), 22, "deep"),
    ],
)
def test_report(error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(error) == code
    assert capsys.readouterr().err == f"trio-h2: {line}\n"
    assert not is_bug(error)


def test_a_bug_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ZeroDivisionError("oh\nno")) == 1
    assert_one_line(capsys.readouterr().err, "bug", r"ZeroDivisionError: oh\nno", "python -X dev")
    assert is_bug(ExceptionGroup("g", [ZeroDivisionError()]))


@pytest.mark.parametrize("stderr", [None, open])
def test_nobody_can_be_told(stderr: object, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", None if stderr is None else closed)
    assert report(CommandError("it broke")) == 1


def test_reason_looks_behind_trio_s_wrapping() -> None:
    wrapped = OSError("all attempts to connect failed")
    wrapped.__cause__ = ExceptionGroup("g", [ConnectionRefusedError(111, "Error connecting to ('::1', 1)")])
    assert reason(wrapped) == "Connection refused"
    assert reason(socket.gaierror(-2, "Name or service not known")) == "Name or service not known"
    assert reason(OSError()) == "OSError"


def test_one_line_leaves_text_alone() -> None:
    assert one_line("Grüße, 世界") == "Grüße, 世界"


def _raising(error: BaseException) -> object:
    def fails(_options: object) -> int:
        raise error

    return fails


def test_main_reports_whatever_happens(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    for error, code in [(CommandError("a"), 1), (ZeroDivisionError("b"), 1), (KeyboardInterrupt(), 130)]:
        monkeypatch.setattr(cli, "_run", _raising(error))
        assert cli.main(["demo"]) == code
        assert_one_line(capfd.readouterr().err)


async def test_interruptible_passes_the_result_on() -> None:
    async def command(options: str) -> int:
        return len(options)

    assert await interruptible(command, "four") == 4
