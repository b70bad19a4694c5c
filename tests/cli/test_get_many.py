"""`trio-h2 get` with many URLs: at the same time, in order, and into files of their names."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest
import trio

from tests.cli.tools import Ended, assert_one_line, served
from trio_h2 import ErrorCode
from trio_h2._cli._errors import CommandError, UsageError
from trio_h2._cli._output import Output
from trio_h2._cli._progress import Bar
from trio_h2._cli._target import parse_target
from trio_h2._cli._turns import TurnOutput, Turns

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command
    from trio_h2 import ServerStream

MIB = 1024 * 1024


class Meeting:
    """Answers nobody before so many have asked; then the last one first."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._all = trio.Event()
        self.most = 0
        self._now = 0

    async def __call__(self, stream: ServerStream) -> None:
        """Handles a request."""
        self._now += 1
        self.most = max(self.most, self._now)
        self._missing -= 1
        if not self._missing:
            self._all.set()
        await self._all.wait()
        number = int(stream.path[1:])
        if stream.session is not None:
            await stream.respond({":status": 200, "x-number": stream.path[1:]}, body=b"%d" % number * 200_000)
        self._now -= 1


@pytest.mark.parametrize("to_file", [False, True])
async def test_requests_at_the_same_time_write_in_order(get: Command, tmp_path: Path, to_file: bool) -> None:
    one, other = Meeting(4), Meeting(4)
    file = tmp_path / "out"
    async with served(one) as first, served(other) as second:
        urls = [site.url(f"/{number}") for number in range(4) for site in (first, second)]
        done = await get(*urls, "--parallel", "8", *(["-o", str(file)] if to_file else []))
    assert (done.code, done.err) == (0, "")
    expected = b"".join(b"%d" % number * 400_000 for number in range(4))
    assert (file.read_bytes() if to_file else done.out) == expected
    assert (first.sessions, second.sessions) == (1, 1)


async def test_no_more_than_so_many(get: Command) -> None:
    meeting = Meeting(3)
    async with served(meeting) as site:
        done = await get(*[site.url(f"/{number}") for number in range(9)], "--parallel", "3", "-o", os.devnull)
    assert (done.code, meeting.most) == (0, 3)


async def test_heads_stand_before_their_bodies(get: Command) -> None:
    async with served(Meeting(3)) as site:
        done = await get(*[site.url(f"/{number}") for number in range(3)], "--parallel", "3", "-i")
    assert done.code == 0
    parts = done.out.split(b"HTTP/2 200\n")[1:]
    for number, part in enumerate(parts):
        head, _, body = part.partition(b"\n\n")
        assert b"x-number: %d" % number in head
        assert body == b"%d" % number * 200_000


async def test_failures_at_the_same_time(get: Command) -> None:
    """Each has its line, and the exit code is that of the first one in the order of the URLs, not of time."""

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/slow":
            await trio.sleep(0.2)
            await stream.respond(404)
        elif stream.path == "/half":
            await stream.respond({":status": 200, "content-length": 8})
            await stream.send_all(b"half")
            await trio.sleep(0.2)
            stream.reset(ErrorCode.INTERNAL_ERROR)
        else:
            await stream.respond(200, body=b"the body")

    async with served(handler) as site:
        urls = [site.url("/slow"), site.url("/half"), site.url("/x"), "http://127.0.0.1:1/"]
        done = await get(*urls, "--parallel", "4", "--fail")
    assert (done.code, done.out) == (22, b"halfthe body")
    lines = sorted(done.err.splitlines(keepends=True))
    for line, words in zip(lines, ["cannot connect", "/half: the transfer failed after 4", "404"], strict=True):
        assert_one_line(line, words)


async def test_what_concerns_all_ends_those_under_way(get: Command, tmp_path: Path) -> None:
    async def handler(stream: ServerStream) -> None:
        if stream.path == "/never":
            await trio.sleep_forever()
        await stream.respond(200, body=b"x")

    async with served(handler) as site:
        done = await get(site.url("/a"), site.url("/never"), "--parallel", "2", "-o", str(tmp_path))
    done.failed(1, "cannot write")


# -- turns ---------------------------------------------------------------------------------------------------------


async def test_turns_come_in_order(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    turns = Turns(3)
    one, two, three = (TurnOutput(Output(), turns, number) for number in range(3))
    await three.say(b"head 3\n")
    await three.write(b"x" * 300_000)
    await three.write(b"")
    await two.write(b"two\n")
    await one.write(b"one\n")
    assert capfdbinary.readouterr().out == b"one\n"
    two.close()  # it was given up: nothing of it is written
    one.close()
    assert turns.is_here(2)
    await three.write(b"end\n")
    assert capfdbinary.readouterr().out == b"head 3\n" + b"x" * 300_000 + b"end\n"
    await three.finish()
    three.close()
    assert capfdbinary.readouterr().out == b""
    assert one.name == "stdout"


async def test_no_place_for_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    output = TurnOutput(Output(), Turns(2), 1)
    with pytest.raises(CommandError, match="cannot write to a temporary file: No space left on device"):
        await output.write(b"x")


# -- one bar for all -----------------------------------------------------------------------------------------------


def test_one_bar_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    terminal = io.StringIO()

    def shown() -> str:
        return terminal.getvalue().rpartition("\r\x1b[K")[2]

    bar = Bar(2, 0.0, terminal)
    one = bar.begin(2 * MIB, 0.0)
    one.advance(MIB, 1.0)
    assert shown() == "0 of 2 done  1.0 MiB  1.0 MiB/s"
    other = bar.begin(2 * MIB, 1.0)
    other.advance(MIB, 2.0)
    assert shown().endswith("0 of 2 done   50%  2.0 MiB of 4.0 MiB  1.0 MiB/s  0:02 left")
    one.end()
    other.advance(MIB, 3.0)
    assert "1 of 2 done   75%" in shown()
    other.end()
    assert (one.received, other.received, bar.received) == (MIB, 2 * MIB, 3 * MIB)
    bar.clear()
    assert shown() == ""


async def test_the_bar_is_gone_when_something_is_told(get: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/half":
            await stream.respond({":status": 200, "content-length": 3 * MIB})
            await stream.send_all(bytes(MIB))
            stream.reset(ErrorCode.INTERNAL_ERROR)
        else:
            await stream.respond(200, body=bytes(2 * MIB))

    terminal = Terminal()
    async with served(handler) as site:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", terminal)
            done = await get(site.url("/half"), site.url("/b"), "--parallel", "2", "-o", os.devnull)
    assert done.code == 1
    text = terminal.getvalue()
    assert " of 2 done  " in text
    assert "\r\x1b[Ktrio-h2: " in text
    assert text.endswith(("\r\x1b[K", "\n"))


# -- -O ------------------------------------------------------------------------------------------------------------


async def test_remote_names(get: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "404").write_bytes(b"old")

    async def handler(stream: ServerStream) -> None:
        await stream.respond({":status": 404 if stream.path == "/404" else 200, "date": "-"}, body=stream.path.encode())

    async with served(handler) as site:
        urls = [site.url(path) for path in ("/a/one?x=/y", "/k%C3%A4se%20brot", "/404")]
        for more in ([], ["--parallel", "3"]):
            done = await get(*urls, "-O", "--fail", "-i", *more)
            assert done.out.replace(b"date: -\n", b"") == (
                b"HTTP/2 200\ncontent-length: 11\n\nHTTP/2 200\ncontent-length: 17\n\nHTTP/2 404\ncontent-length: 4\n\n"
            )
            done.failed(22, "404")
            assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == {
                "one": b"/a/one?x=/y",
                "käse brot": b"/k%C3%A4se%20brot",
                "404": b"old",
            }
            (tmp_path / "one").unlink()
        done = await get(site.url("/a/one"), site.url("/b/one?2"), "-O")
        done.failed(2, "-O", "/a/one", "/b/one?2", "as one")


@pytest.mark.parametrize(
    "path", ["", "/", "/a/", "/?a", "/..", "/%2e%2e", "/..%2fa", "/a%00", "/a%0a", "/%ff", "/a%5cb", "/c:b"]
)
def test_names_that_cannot_be_used(path: str) -> None:
    with pytest.raises(UsageError, match="does not end with the name of a file"):
        _ = parse_target(f"http://host{path}").file_name


async def test_remote_name_of_nothing(get: Command) -> None:
    assert (await get("http://127.0.0.1:1/", "-O")).code == 2
    assert await get("http://127.0.0.1:1/a", "-O") == Ended(
        1, b"", "trio-h2: cannot connect to http://127.0.0.1:1: Connection refused\n"
    )
