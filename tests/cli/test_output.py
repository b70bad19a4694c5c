"""Where bodies go, what happens if they cannot, and the bar that says how far they are."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import trio

from trio_h2._cli._errors import CommandError, RequestError
from trio_h2._cli._output import BinaryGuard, Output
from trio_h2._cli._progress import Bar, size, terminal_for
from trio_h2._cli._text import print_text, write_all

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


async def test_a_file_is_made_by_the_first_body(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"the old one")
    async with Output(str(path)) as output:
        assert output.name == str(path)
        assert not output.is_terminal
        await output.say(b"HTTP/2 200\n")
        assert path.read_bytes() == b"the old one"
        await output.write(b"new")
        assert path.read_bytes() == b"new"
        await output.write(b"er")
    assert path.read_bytes() == b"newer"
    assert capfd.readouterr().out == "HTTP/2 200\n"


@pytest.mark.parametrize("path", [None, "-"])
async def test_stdout(path: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    async with Output(path) as output:
        assert output.name == "stdout"
        await output.write(b"body\n")
    assert capfd.readouterr().out == "body\n"


async def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CommandError, match=f"cannot write to {tmp_path}: Is a directory"):
        await Output(str(tmp_path)).write(b"x")
    path = tmp_path / "out"
    async with Output(str(path)) as output:
        with monkeypatch.context() as patch, pytest.raises(CommandError, match=f"to {path}: No space left"):
            patch.setattr(os, "write", full)
            await output.write(b"x")


async def test_a_failing_close_is_told_unless_something_else_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    async def write_then(error: Exception | None) -> None:
        async with Output(str(tmp_path / "out")) as output:
            await output.write(b"x")
            monkeypatch.setattr(os, "close", fail)
            if error is not None:
                raise error

    close = os.close
    for error, expected in [(None, CommandError), (ValueError("the first"), ValueError)]:
        with pytest.raises(expected):
            await write_then(error)
        monkeypatch.setattr(os, "close", close)


@pytest.mark.parametrize(
    "text", [b"x", "Zürich\t\u20ac\r\n".encode(), "Zürich\n".encode("latin-1"), b"\x1b[1mbold\x1b[0m\b\f\v"]
)
def test_text_is_for_terminals(text: bytes) -> None:
    guard = BinaryGuard("http://x/")
    for byte in text:
        guard.look_at(bytes([byte]))
    guard.look_at(text * 10_000)
    guard.look_at(b"\0")  # a stray byte in what was text for so long


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n", b"\0", b"text\0", b"\x1f\x8b\x08", "ab".encode("utf-16"), b"x" * 4095 + b"\x01"]
)
def test_binary_data_is_not(data: bytes) -> None:
    guard = BinaryGuard("http://x/")
    with pytest.raises(RequestError, match=r"^http://x/: the body is binary: -o FILE saves it, -o - writes it"):
        for byte in data:
            guard.look_at(bytes([byte]))


async def test_closed_stdout_is_never_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output = Output()
    assert not output.is_terminal
    with pytest.raises(CommandError, match="closed"):
        await output.write(b"x")
    print_text("nobody listens")


def test_print_text_to_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(CommandError, match="cannot write to stdout: No space left"):
        print_text("x\n")


async def test_write_all_waits_for_a_pipe_that_does_not_block() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    data = os.urandom(MIB)
    received = bytearray()

    def read() -> None:
        while chunk := os.read(reading, 65536):
            received.extend(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        await trio.to_thread.run_sync(write_all, writing, data)
    finally:
        os.close(writing)
        thread.join()
        os.close(reading)
    assert received == data


async def test_writing_to_a_pipe_that_nobody_reads_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    released = threading.Event()

    def write_and_tell(fd: int, data: bytes) -> None:
        try:
            write_all(fd, data)
        except BrokenPipeError:
            released.set()

    monkeypatch.setattr("trio_h2._cli._output.write_all", write_and_tell)
    monkeypatch.setattr("trio_h2._cli._output._STDOUT", writing)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Output().write, bytes(MIB))
        await trio.to_thread.run_sync(os.read, reading, 1)  # it has begun
        nursery.cancel_scope.cancel()
    os.close(reading)
    await trio.to_thread.run_sync(released.wait)
    os.close(writing)


def drawn(total: int | None, *advances: tuple[int, float]) -> list[str]:
    """Returns what is on the terminal after each advance of (bytes, seconds)."""
    terminal = io.StringIO()
    bar = Bar(1, 0.0, terminal)
    transfer = bar.begin(total, 100.0)
    shown = []
    for octets, seconds in advances:
        transfer.advance(octets, 100.0 + seconds)
        shown.append(terminal.getvalue().rpartition("\r\x1b[K")[2])
    transfer.end()
    shown.append(terminal.getvalue().rpartition("\r\x1b[K")[2])
    return shown


def test_a_short_transfer_has_no_bar() -> None:
    assert drawn(1000, (500, 0.1), (500, 0.9)) == ["", "", ""]
    assert drawn(None, (MIB - 1, 0.9)) == ["", ""]


def test_a_big_transfer_has_a_bar_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    first, second, third, last = drawn(4 * MIB, (MIB, 0.5), (MIB, 0.55), (2 * MIB, 1.0))
    assert first == "[#######----------------------]  25%  1.0 MiB of 4.0 MiB  2.0 MiB/s  0:02 left"
    assert second == first, "it is not drawn that often"
    assert third == "[#############################] 100%  4.0 MiB of 4.0 MiB  4.0 MiB/s  0:00 left"
    assert last == ""


def test_a_slow_transfer_has_a_bar_in_time() -> None:
    assert drawn(None, (10, 0.5), (10, 1.0)) == ["", "20 B  20 B/s", ""]


def test_more_than_was_announced_is_all() -> None:
    bar = Bar(1, 0.0, None)
    bar.begin(10, 0.0).advance(20, 1.0)
    assert "100%" in bar.line(1.0, 80)


@pytest.mark.parametrize("width", range(100))
def test_a_bar_never_fills_the_line(width: int) -> None:
    for total in (None, 100 * MIB):
        for count in (1, 2):
            bar = Bar(count, 0.0, None)
            bar.begin(total, 0.0).advance(40 * MIB, 1.0)
            assert len(bar.line(1.0, width)) <= max(width - 1, 0)


def test_size() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1536 * 1024, 5 * 1024**3, 5 * 1024**4)] == [
        *["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 GiB", "5120.0 GiB"]
    ]


def test_where_the_bar_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert terminal_for(body_on_terminal=False) is None
    monkeypatch.setattr(sys, "stderr", None)
    assert terminal_for(body_on_terminal=False) is None
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert terminal_for(body_on_terminal=False) is sys.stderr
    assert terminal_for(body_on_terminal=True) is None
