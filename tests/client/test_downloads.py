"""`Client.download`: to a file, whole or not at all, and going on where another download has stopped."""

from __future__ import annotations

import errno
import gzip
import json
import os
import resource
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours, scripted, until_closed
from tests.client.threads import without_threads
from trio_h2 import Client, DownloadError, Retry, StatusError
from trio_h2.testing import HeadersFrame, sweep_cancellation

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

URL = "http://a.example/file.iso"
BODY = bytes(range(256)) * 1000
CUT = 100_000
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])
LOST = (trio_h2.StreamError, trio_h2.SessionError)


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


class Site:
    """Serves a body as its attributes say.

    Args:
        cuts: after how many bytes each response breaks off, ``None`` for whole ones; so are those that follow.
        body: what is served.
        fields: of each response.
    """

    def __init__(self, *cuts: int | None, body: bytes = BODY, fields: dict[str, str] | None = None) -> None:
        self.cuts = list(cuts)
        self.body = body
        self.fields = dict(fields or {"etag": '"one"'})
        self.partial: dict[str, str | None] = {}
        """Fields of 206 and 416 that are other than they should be."""
        self.knows_ranges = True
        self.most: int | None = None
        """Bytes that one 206 has at most."""
        self.seen: list[tuple[str | None, str | None]] = []
        self.asked: list[trio_h2.Headers] = []

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        asked, condition = stream.headers.get("range"), stream.headers.get("if-range")
        self.seen.append((asked, condition))
        self.asked.append(stream.headers)
        start, size = 0, len(self.body)
        fields: dict[str, str | int | None] = {":status": 200, **self.fields}
        if asked and self.knows_ranges and condition in (self.fields.get("etag"), self.fields.get("last-modified")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            fields |= {":status": 206, "content-range": f"bytes {start}-{size - 1}/{size}"}
            if self.most is not None:
                fields["content-range"] = f"bytes {start}-{min(start + self.most, size) - 1}/{size}"
            if start >= size:
                fields |= {":status": 416, "content-range": f"bytes */{size}"}
            fields |= self.partial
        data = self.body[start : None if start == 0 or self.most is None else start + self.most]
        await stream.respond(
            {name: value for name, value in {"content-length": len(data), **fields}.items() if value is not None}
        )
        cut = self.cuts.pop(0) if self.cuts else None
        await stream.send_all(data[:cut])
        if cut is not None:
            await trio.sleep(0.1)
            stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR)


def left_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@both
async def test_a_file(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    site = Site()
    file = tmp_path / "file"
    file.write_bytes(b"older")
    told: list[tuple[int, int | None]] = []
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        response = await client.download(
            URL, file, params={"a": 1}, headers={"x": "y"}, progress=lambda *now: told.append(now)
        )
    assert (response.status, response.url) == (200, f"{URL}?a=1")
    assert left_in(tmp_path) == {"file": BODY}
    plain = tmp_path / "plain"
    plain.touch()
    assert os.stat(file).st_mode == os.stat(plain).st_mode
    assert (told[0], told[-1]) == ((0, len(BODY)), (len(BODY), len(BODY)))
    assert told == sorted(told)
    assert site.seen == [(None, None)]
    assert (site.asked[0]["accept-encoding"], site.asked[0]["x"]) == ("identity", "y")


@both
async def test_what_is_cut_leaves_nothing(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    (tmp_path / "file").write_bytes(b"older")
    async with (
        network(ours(Site(CUT), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with pytest.raises(LOST):
            await client.download(URL, tmp_path / "file")
    assert left_in(tmp_path) == {"file": b"older"}


@both
@pytest.mark.parametrize(
    "fields",
    [
        {"etag": '"one"'},
        {"etag": '"one"', "content-encoding": "identity", "accept-ranges": "bytes"},
        {"last-modified": formatdate(1_000_000_000, usegmt=True), "date": formatdate(1_000_000_060, usegmt=True)},
    ],
)
async def test_resumed(fields: dict[str, str], http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    site = Site(CUT, CUT, fields=fields)
    validator = fields.get("etag") or fields["last-modified"]
    file, part, notes = (tmp_path / name for name in ("file", "file.part", "file.part.json"))
    told: list[tuple[int, int | None]] = []
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        for times in 1, 2:
            with pytest.raises(LOST):
                await client.download(URL, file, resume=True)
            assert part.read_bytes() == BODY[: times * CUT]
            assert json.loads(notes.read_text()) == {"url": URL, "validator": validator, "length": len(BODY)}
            assert not file.exists()
        response = await client.download(URL, file, resume=True, progress=lambda *now: told.append(now))
    assert response.status == 206
    assert left_in(tmp_path) == {"file": BODY}
    assert site.seen == [(None, None), (f"bytes={CUT}-", validator), (f"bytes={2 * CUT}-", validator)]
    assert (told[0], told[-1]) == ((2 * CUT, len(BODY)), (len(BODY), len(BODY)))


@both
@pytest.mark.parametrize(
    "fields",
    [
        {"etag": 'W/"one"'},
        {"etag": "one"},
        {"x": "y"},
        {"etag": '"one"', "accept-ranges": "none"},
        {"etag": '"one"', "content-encoding": "x-unknown"},
        {"last-modified": formatdate(1_000_000_000, usegmt=True), "date": formatdate(1_000_000_059, usegmt=True)},
        {"last-modified": formatdate(1_000_000_000, usegmt=True), "date": "soon"},
        {"etag": 'W/"one"', "last-modified": formatdate(0, usegmt=True), "date": formatdate(99, usegmt=True)},
    ],
)
async def test_what_could_not_be_told_apart_later_is_begun_anew(
    fields: dict[str, str], http1: bool, tmp_path: Path, autojump_clock: MockClock
) -> None:
    site = Site(CUT, CUT, fields=fields)
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with pytest.raises(LOST):
            await client.download(URL, tmp_path / "file", resume=True)
        assert left_in(tmp_path) == {}
        await client.download(URL, tmp_path / "file", retries=1)
    assert left_in(tmp_path) == {"file": BODY}
    assert site.seen == 3 * [(None, None)]


@both
@pytest.mark.parametrize("why", ["changed", "no ranges", "other url", "no notes", "bad notes", "longer", "empty"])
async def test_begun_anew(why: str, http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    site = Site(CUT)
    url = URL
    new = BODY[::-1]
    part, notes = tmp_path / "file.part", tmp_path / "file.part.json"
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with pytest.raises(LOST):
            await client.download(URL, tmp_path / "file", resume=True)
        site.body = new
        match why:
            case "changed":
                site.fields["etag"] = '"two"'
            case "no ranges":
                site.knows_ranges = False
            case "other url":
                url += "?other"
            case "no notes":
                notes.unlink()
            case "bad notes":
                notes.write_text('{"url": 1')
            case "longer":
                part.write_bytes(bytes(len(BODY) + 1))
            case "empty":
                part.write_bytes(b"")
        response = await client.download(url, tmp_path / "file", resume=True)
    assert response.status == 200
    assert left_in(tmp_path) == {"file": new}


@both
async def test_all_had_come_before(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    """The program was killed just before the file got its name."""
    site = Site(CUT)
    told: list[tuple[int, int | None]] = []
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with pytest.raises(LOST):
            await client.download(URL, tmp_path / "file", resume=True)
        (tmp_path / "file.part").write_bytes(BODY)
        response = await client.download(URL, tmp_path / "file", resume=True, progress=lambda *now: told.append(now))
    assert response.status == 416
    assert left_in(tmp_path) == {"file": BODY}
    assert told == [(len(BODY), len(BODY))]


@both
@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"content-range": None}, "which part"),
        ({"content-range": "bytes 0-255999/256000"}, "from byte 100000 on"),
        ({"content-range": "bytes 99999-255998/256000"}, "from byte 100000 on"),
        ({"content-range": "bytes 100000-255999/256001"}, "file of 256000 bytes"),
        ({"content-range": "bytes 100000-256000/256000"}, "file of 256000 bytes"),
        ({"content-range": "bytes 100000-256000/*"}, "beyond"),
        ({"content-range": "bytes 100000-99999/256000"}, "from byte 100000 on"),
        ({"content-range": "items 100000-255999/256000"}, "which part"),
        ({"content-range": "bytes 100000-255998/256000"}, "more has come"),
        ({"content-type": "multipart/byteranges; boundary=x", "content-range": None}, "which part"),
        ({"content-encoding": "gzip"}, "content-encoding gzip"),
        ({"etag": '"two"'}, "etag"),
    ],
)
async def test_a_part_that_does_not_fit_is_refused(
    fields: dict[str, str | None], why: str, http1: bool, tmp_path: Path, autojump_clock: MockClock
) -> None:
    site = Site(CUT)
    site.partial = fields
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with pytest.raises(LOST):
            await client.download(URL, tmp_path / "file", resume=True)
        with pytest.raises(DownloadError, match=why):
            await client.download(URL, tmp_path / "file", resume=True, retries=3)
        assert (tmp_path / "file.part").read_bytes() == BODY[: len((tmp_path / "file.part").read_bytes())]
        assert len(site.seen) == 2
        site.partial = {}
        await client.download(URL, tmp_path / "file", resume=True)
    assert left_in(tmp_path) == {"file": BODY}


@both
async def test_a_part_that_nobody_asked_for(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 206, "content-range": "bytes 0-3/4"}, body=b"four")

    async with (
        network(ours(handler, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with pytest.raises(DownloadError, match="nobody has asked"):
            await client.download(URL, tmp_path / "file", resume=True)
    assert left_in(tmp_path) == {}


@both
@pytest.mark.parametrize("resume", [False, True])
async def test_retried_for_the_rest(resume: bool, http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    site = Site(1000, 2000, 0)
    told: list[int] = []
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, retry=Retry(attempts=0, backoff=10)) as client,
    ):
        start = trio.current_time()
        await client.download(
            URL, tmp_path / "file", resume=resume, retries=3, progress=lambda now, _: told.append(now)
        )
        assert 15 < trio.current_time() - start < 50
        site.cuts = [1000, 2000]
        with pytest.raises(LOST):
            await client.download(URL, tmp_path / "second", retries=1)
    assert left_in(tmp_path) == {"file": BODY}
    assert [asked for asked, _ in site.seen[:4]] == [None, "bytes=1000-", "bytes=3000-", "bytes=3000-"]
    assert told == sorted(told)


@both
async def test_a_server_that_is_away_for_a_while(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    site = Site(1000)
    away = 0

    async with network(ours(site, http1=True)) as made:

        async def sometimes(origin: str) -> trio.abc.Stream:
            nonlocal away
            if site.seen and away < 3:
                away += 1
                raise OSError(errno.ECONNREFUSED, "nobody is there")
            return await made(origin)

        async def handler(stream: trio_h2.ServerStream) -> None:
            try:
                await site(stream)
            finally:
                stream.session.destroy()

        made._servers = [ours(handler, http1=True), ours(site, http1=True)]
        async with Client(transport=sometimes, prior_knowledge=not http1, retry=Retry(attempts=0)) as client:
            await client.download(URL, tmp_path / "file", retries=4)
    assert (away, left_in(tmp_path)) == (3, {"file": BODY})
    assert [asked for asked, _ in site.seen] == [None, "bytes=1000-"]


@both
async def test_a_server_that_gives_less_than_asked_for(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    site = Site(CUT)
    site.most = 60_000
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        await client.download(URL, tmp_path / "file", retries=1)
    assert left_in(tmp_path) == {"file": BODY}
    assert [asked for asked, _ in site.seen] == [None, "bytes=100000-", "bytes=160000-", "bytes=220000-"]


@both
async def test_statuses(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        status = stream.path[1:]
        fields = {":status": status} | ({"location": "/200"} if status == "302" else {})
        await stream.respond(fields, body=b"" if status == "204" else status.encode())

    file = tmp_path / "file"
    async with (
        network(ours(handler, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        for status in 302, 304, 404, 416, 500:
            with pytest.raises(StatusError, match=str(status)):
                await client.download(f"http://a.example/{status}", file, resume=True, retries=3)
            assert left_in(tmp_path) == {}
        await client.download("http://a.example/204", file)
        assert file.read_bytes() == b""
        response = await client.download("http://a.example/302", file, follow_redirects=True)
        assert (file.read_bytes(), response.url) == (b"200", "http://a.example/200")


@both
async def test_content_codings(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    packed = gzip.compress(BODY)
    site = Site(body=packed, fields={"etag": '"one"', "content-encoding": "gzip"})
    file = tmp_path / "file"
    told: list[tuple[int, int | None]] = []
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        for decode in None, True, False:
            await client.download(URL, file, decode=decode, progress=lambda *now: told.append(now))
            assert file.read_bytes() == (packed if decode is False else BODY)
            assert told[-1] == (file.stat().st_size, None)
    assert "gzip" in site.asked[1]["accept-encoding"]
    assert [headers["accept-encoding"] for headers in site.asked[::2]] == ["identity", "identity"]


@both
async def test_disks(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    """What cannot be written is an error that names the file, and is not tried again."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "target")
    site = Site()
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        for resume in False, True:
            with pytest.raises(FileNotFoundError, match=r"absent/file.*part"):
                await client.download(URL, tmp_path / "absent" / "file", resume=resume, retries=3)
            with pytest.raises(IsADirectoryError, match="folder"):
                await client.download(URL, tmp_path / "folder", resume=resume)
            with pytest.raises(ValueError, match="/dev/null"):
                await client.download(URL, "/dev/null", resume=resume)
            with pytest.raises(ValueError, match="name of a file"):
                await client.download(URL, "absent/", resume=resume)
        assert site.seen == []
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for resume in False, True:
            resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
            try:
                with pytest.raises(OSError, match=r"file.*part") as caught:
                    await client.download(URL, tmp_path / "file", resume=resume, retries=3)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, caught.value.filename)
            assert sum("part" in name for name in os.listdir(tmp_path)) == 2 * resume
        assert len(site.seen) == 2
        await client.download(URL, tmp_path / "file", resume=True)
        assert site.seen[2][0] is not None
        await client.download(URL, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "target").read_bytes() == (tmp_path / "file").read_bytes() == BODY


async def test_what_comes_slowly_is_written_soon(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What comes fast is written in larger pieces."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"etag": '"1"'})
        for _ in range(20):
            await stream.send_all(bytes(1000))
            await trio.sleep(0.3)

    written: list[int] = []

    def look(_received: int, _expected: int | None) -> None:
        written.append(os.stat(tmp_path / "file.part").st_size)

    async with network(ours(handler)) as made, Client(transport=made, prior_knowledge=True) as client:
        await client.download(URL, tmp_path / "file", resume=True, progress=look)
    assert all(number * 1000 - size <= 4000 for number, size in enumerate(written))
    assert len(set(written)) < 10


@both
async def test_two_at_the_same_file(http1: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with (
        network(ours(Site(), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        failed = []

        async def one() -> None:
            try:
                await client.download(URL, tmp_path / "file", resume=True)
            except BlockingIOError as exc:
                failed.append(str(exc))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            nursery.start_soon(one)
        assert len(failed) == 1
        assert "another download is writing this file" in failed[0]
        assert left_in(tmp_path) == {"file": BODY}
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(client.download, URL, tmp_path / "file")
    assert left_in(tmp_path) == {"file": BODY}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO])
async def test_a_file_system_without_locks(
    number: int, tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_file: object, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    async with network(ours(Site())) as made, Client(transport=made, prior_knowledge=True) as client:
        if number == errno.EIO:
            with pytest.raises(OSError, match=r"Input/output error: .*file\.part"):
                await client.download(URL, tmp_path / "file", resume=True)
        else:
            await client.download(URL, tmp_path / "file", resume=True)
            assert left_in(tmp_path) == {"file": BODY}


@both
@pytest.mark.parametrize("resume", [False, True])
async def test_cancelled_at_every_checkpoint(
    resume: bool, http1: bool, tmp_path: Path, autojump_clock: MockClock
) -> None:
    site = Site()
    file = tmp_path / "file"
    parts = 0
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, idle_timeout=1) as client,
    ):

        async def scenario() -> None:
            site.cuts = [CUT]
            await client.download(URL, file, resume=resume, retries=1)

        async def after() -> None:
            nonlocal parts
            left = left_in(tmp_path)
            if resume and "file.part" in left:
                assert set(left) == {"file.part", "file.part.json"}
                assert BODY.startswith(left["file.part"])
                parts += 1
            else:
                assert left in ({}, {"file": BODY})
            await trio.sleep(0.2)
            assert client.statistics().requests == 0
            site.cuts = []
            assert (await client.get(URL)).content == BODY
            for session in client.sessions:
                ledger = session.statistics().ledger
                assert ledger.received == ledger.taken + ledger.discarded + ledger.held
            await client.download(URL, file, resume=resume)
            assert left_in(tmp_path) == {"file": BODY}
            file.unlink()

        assert await sweep_cancellation(scenario, after=after, every_task=False, seeds=(0,)) > 15
    assert (parts > 10) == resume


async def test_frames_of_a_resumed_download(tmp_path: Path, autojump_clock: MockClock) -> None:
    """GOAWAY and the end of the connection in the midst of the body; the next session is asked for the rest."""

    async def first(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        assert head.get("range") is None
        await peer.respond(
            head.stream_id, headers={"content-length": "8", "etag": '"1"'}, body=b"half", end_stream=False
        )
        await peer.send_goaway(head.stream_id)
        await peer.aclose()

    async def second(peer: ScriptedPeer) -> None:
        head = await peer.until(HeadersFrame)
        asked = [head.get(name) for name in ("range", "if-range", "accept-encoding")]
        assert asked == ["bytes=4-", '"1"', "identity"]
        await peer.respond(head.stream_id, 206, headers={"content-range": "bytes 4-7/8", "etag": '"1"'}, body=b"rest")
        await until_closed(peer)

    async with (
        network(scripted(first), scripted(second)) as made,
        Client(transport=made, prior_knowledge=True, retry=Retry(attempts=0)) as client,
    ):
        await client.download(URL, tmp_path / "file", retries=1)
    assert left_in(tmp_path) == {"file": b"halfrest"}


async def test_what_progress_raises_comes_out(tmp_path: Path, autojump_clock: MockClock) -> None:
    def fail(_received: int, _expected: int | None) -> None:
        raise KeyError("mine")

    async with network(ours(Site())) as made, Client(transport=made, prior_knowledge=True) as client:
        with pytest.raises(KeyError, match="mine"):
            await client.download(URL, tmp_path / "file", progress=fail, retries=3)
    assert left_in(tmp_path) == {}


async def test_wrong_arguments(tmp_path: Path) -> None:
    async with Client() as client:
        file = tmp_path / "file"
        with pytest.raises(ValueError, match="sends range by itself"):
            await client.download(URL, file, headers={"Range": "bytes=1-"})
        with pytest.raises(TypeError, match="progress must be a function"):
            await client.download(URL, file, progress=1)  # type: ignore[arg-type]  # that is the test
        with pytest.raises(ValueError, match="retries must not be negative"):
            await client.download(URL, file, retries=-1)
        with pytest.raises(TypeError, match="resume must be"):
            await client.download(URL, file, resume=1)  # type: ignore[arg-type]  # that is the test
        with pytest.raises(TypeError, match="str"):
            await client.download(URL, None)  # type: ignore[arg-type]  # that is the test
        with pytest.raises(ValueError, match="URL"):
            await client.download("ftp://a.example/", file)
    assert left_in(tmp_path) == {}
