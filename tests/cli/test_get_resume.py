"""`trio-h2 get --resume`: what has come of a file is kept, and gone on with."""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import fetch, run, running, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command

BODY = bytes(range(256)) * 1000
CUT = 100_000


class Site:
    """Serves a file; breaks off as often as it is told."""

    def __init__(self, cuts: int, etag: str | None = '"one"') -> None:
        self.cuts = cuts
        self.etag = etag
        self.asked: list[str | None] = []
        self.content_range: str | None = None

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        asked = stream.headers.get("range")
        self.asked.append(asked)
        if stream.path == "/absent":
            await stream.respond(404, body=b"no such file")
            return
        start = int((asked or "bytes=0-")[6:-1])
        fields: dict[str, str | int] = {":status": 206 if asked else 200, "content-length": len(BODY) - start}
        if asked:
            fields["content-range"] = self.content_range or f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        if self.etag is not None:
            fields["etag"] = self.etag
        await stream.respond(fields)
        if self.cuts > 0:
            self.cuts -= 1
            await stream.send_all(BODY[start : start + CUT])
            await stream.session.ping()  # it is with the client
            stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR)
        else:
            await stream.send_all(BODY[start:])


async def test_the_rest_only(get: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    handler = Site(2)
    file = tmp_path / "a.iso"
    async with served(handler) as site:
        for place in (["-o", "a.iso"], ["-O"]):
            done = await get(site.url("/a.iso"), "--resume", *place)
            done.failed(1, "/a.iso: the transfer failed after", "a.iso.part is kept for the next --resume")
            assert not file.exists()
        done = await get(site.url("/a.iso"), "--resume", "-O", "-i")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(b"HTTP/2 206\n")
    assert file.read_bytes() == BODY
    assert handler.asked == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert os.listdir(tmp_path) == ["a.iso"]


async def test_at_once_with_retry(get: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    handler = Site(2)
    async with served(handler) as site:
        done = await get(site.url(), "--resume", "-o", str(tmp_path / "file"), "--retry", "2")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "file").read_bytes() == BODY
    assert handler.asked == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


async def test_many(get: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with served(Site(0)) as site:
        urls = [site.url(f"/{number}") for number in range(5)]
        done = await get(*urls, site.url("/absent"), "--resume", "-O", "--parallel", "6")
    assert done.code == 22
    done.failed(22, "/absent", "status 404")
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "2", "3", "4"]
    assert {(tmp_path / str(number)).read_bytes() for number in range(5)} == {BODY}


async def test_what_cannot_be_gone_on_with(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    async with served(Site(1, etag=None)) as site:
        done = await get(site.url(), "--resume", "-o", str(file))
    done.failed(1, "the transfer failed after", "nothing is kept")
    assert os.listdir(tmp_path) == []


async def test_a_part_that_does_not_fit(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    handler = Site(1)
    handler.content_range = f"bytes 0-{len(BODY) - 1}/{len(BODY)}"
    async with served(handler) as site:
        assert (await get(site.url(), "--resume", "-o", str(file))).code == 1
        (await get(site.url(), "--resume", "-o", str(file))).failed(
            1, "206 that does not fit", "content-range", "without", "file.part"
        )
    assert (tmp_path / "file.part").read_bytes() == BODY[:CUT]


async def test_interrupted(tmp_path: Path) -> None:
    """By Ctrl-C, in a process of its own; what had come is there for the next one."""
    file, part = tmp_path / "file", trio.Path(tmp_path / "file.part")
    slow = True

    async def handler(stream: trio_h2.ServerStream) -> None:
        start = int(stream.headers.get("range", "bytes=0-")[6:-1])
        said = {"content-range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"} if start else {}
        await stream.respond(
            {":status": 206 if start else 200, "etag": '"1"', "content-length": len(BODY) - start, **said}
        )
        await stream.send_all(BODY[start : start + CUT])
        if slow:
            await trio.sleep_forever()
        await stream.send_all(BODY[start + CUT :])

    async with served(handler) as site:
        async with running("get", site.url(), "--resume", "-o", str(file)) as command:
            while not (await part.exists() and (await part.stat()).st_size):  # noqa: ASYNC110  # a process writes it
                await trio.sleep(0.01)
            command.signal(signal.SIGINT)
            ended = await command.ended()
        assert (ended.code, ended.err) == (130, "trio-h2: interrupted\n"), ended
        assert BODY.startswith(await part.read_bytes())
        slow = False
        done = await run("get", site.url(), "--resume", "-o", str(file))
    assert (done.code, done.err, file.read_bytes()) == (0, "", BODY)


async def test_disks(get: Command, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with served(Site(0)) as site:
        done = await get(site.url(), "--resume", "-o", str(tmp_path / "absent" / "file"))
        done.failed(1, "cannot write to", "absent/file.part", "No such file")
        (await get(site.url(), "--resume", "-o", str(tmp_path))).failed(1, "cannot write to", "directory")
        (await get(site.url(), "--resume", "-o", "/dev/null")).failed(2, "/dev/null", "file")
        resource.setrlimit(resource.RLIMIT_FSIZE, (CUT, limits[1]))
        try:
            done = await get(site.url(), "--resume", "-o", str(tmp_path / "file"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        done.failed(1, "cannot write to", "file.part", "File too large")


async def test_nobody_is_there(get: Command, tmp_path: Path) -> None:
    async with served(Site(0)) as site:
        url = site.url()
    (await get(url, "--resume", "-o", str(tmp_path / "file"))).failed(1, "cannot connect to")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["u"], ["--resume needs a file", "-o FILE, or -O"]),
        (["u", "-o", "-"], ["--resume needs a file"]),
        (["u", "v", "-o", "f"], ["takes one URL", "-O"]),
        (["u", "-O", "-X", "PUT"], ["--resume is for GET"]),
        (["u", "-O", "-d", ""], ["--resume is for GET"]),
        (["u", "-O", "--json", "1"], ["--resume is for GET"]),
        (["u", "-O", "-F", "a=1"], ["--resume is for GET"]),
        (["u", "-O", "--compressed"], ["--compressed"]),
    ],
)
async def test_wrong_use(argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        await fetch("--resume", *argv)
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert said.count("\n") == 1
    assert all(word in said for word in words), said
    await trio.lowlevel.checkpoint()


async def test_help() -> None:
    done = await run("get", "--help")
    words = " ".join(done.out.decode().split())
    assert "-F NAME=VALUE|NAME=@FILE[;type=TYPE][;filename=NAME]" in words
    assert "--resume" in words
    assert "FILE.part" in words
