"""Files as bodies of requests, and forms with files (RFC 7578)."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

import trio_h2
from tests.client.network import network, ours, scripted, until_closed
from tests.client.threads import without_threads
from trio_h2 import Client, LocalProtocolError, Retry, compat
from trio_h2.testing import DataFrame, HeadersFrame, RstStreamFrame, sweep_cancellation

if TYPE_CHECKING:
    from typing import IO

    from trio.testing import MockClock

    from trio_h2.testing import ScriptedPeer

URL = "http://a.example/"
BODY = bytes(range(256)) * 2000
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])


class Site:
    """Keeps what it was sent; answers with the statuses that it is told, 200 in the end.

    Args:
        statuses: of the first responses.
        hurry: whether those do not wait for the body.
    """

    def __init__(self, *statuses: int, hurry: bool = False) -> None:
        self.statuses = list(statuses)
        self.hurry = hurry
        self.seen: list[tuple[str, str | None, bytes]] = []
        self.fields: list[trio_h2.Headers] = []
        self.cut = 0

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        self.fields.append(stream.headers)
        status = self.statuses.pop(0) if self.statuses else 200
        try:
            body = await (stream.receive_some(1) if status != 200 and self.hurry else stream.read(max_size=10**8))
        except (trio_h2.H2Error, trio.Cancelled):
            self.cut += 1
            raise
        self.seen.append((stream.method, stream.headers.get("content-length"), body))
        await stream.respond({":status": status, "location": "/there"}, body=b"answer")


@both
@pytest.mark.parametrize("kind", ["path", "trio path", "file", "raw", "memory", "trio file", "temporary", "spooled"])
async def test_a_file(kind: str, http1: bool, tmp_path: Path) -> None:
    """With its length; an open one is sent from where it stands, and stays open."""
    path = tmp_path / "file"
    path.write_bytes(BODY)
    start = 0 if "path" in kind else 1000
    opened = _opened(kind, path)
    body: trio_h2.RequestBody = path if kind == "path" else trio.Path(path)
    if opened is not None:
        opened.seek(start)
        body = trio.wrap_file(opened) if kind == "trio file" else opened
    site = Site()
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        assert (await client.put(URL, body=body)).content == b"answer"
    assert site.seen == [("PUT", str(len(BODY) - start), BODY[start:])]
    assert "transfer-encoding" not in site.fields[0]
    if opened is not None:
        assert not opened.closed
        opened.close()


def _opened(kind: str, path: Path) -> IO[bytes] | None:
    match kind:
        case "file" | "trio file":
            return path.open("rb")
        case "raw":
            return path.open("rb", buffering=0)
        case "memory":
            return io.BytesIO(BODY)
        case "temporary":
            temporary: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # its user closes it
        case "spooled":
            temporary = tempfile.SpooledTemporaryFile(max_size=100)  # noqa: SIM115
        case _:
            return None
    temporary.write(BODY)
    return temporary


@both
async def test_what_has_no_length(http1: bool, tmp_path: Path) -> None:
    """Pipes, and files of systems that say that they are empty."""
    reading, writing = os.pipe()
    writer = threading.Thread(target=_write, args=[writing])
    writer.start()
    site = Site()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    second = threading.Thread(target=fifo.write_bytes, args=[BODY])
    second.start()
    with os.fdopen(reading, "rb") as pipe:
        async with (
            network(ours(site, http1=True)) as made,
            Client(transport=made, prior_knowledge=not http1) as client,
        ):
            await client.post(URL, body=pipe)
            await client.post(URL, body=fifo)
            await client.post(URL, body=Path("/proc/version"))
    writer.join()
    second.join()
    version = await trio.Path("/proc/version").read_bytes()
    assert site.seen == [("POST", None, BODY), ("POST", None, BODY), ("POST", None, version)]


def _write(descriptor: int) -> None:
    with open(descriptor, "wb") as pipe:
        pipe.write(BODY)


@both
async def test_an_empty_file(http1: bool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    site = Site()
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        await client.post(URL, body=tmp_path / "file")
        await client.post(URL, body=io.BytesIO())
    assert site.seen == 2 * [("POST", "0", b"")]


@both
@pytest.mark.parametrize("hurry", [False, True])
@pytest.mark.parametrize("kind", ["path", "file", "form"])
async def test_sent_again_from_its_beginning(kind: str, hurry: bool, http1: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    site = Site(503, 307, 308, hurry=hurry)
    with (tmp_path / "file").open("rb") as file:
        file.seek(10)
        async with (
            network(ours(site, http1=True)) as made,
            Client(
                transport=made,
                prior_knowledge=not http1,
                retry=Retry(statuses={503}, backoff=0),
                follow_redirects=True,
            ) as client,
        ):
            if kind == "form":
                response = await client.put(URL, files={"f": file, "g": tmp_path / "file"})
            else:
                response = await client.put(URL, body=file if kind == "file" else tmp_path / "file")
    assert (response.status, response.url) == (200, f"{URL}there")
    sizes = {length for _, length, _ in site.seen}
    assert len(site.seen) == 4
    assert len(sizes) == 1
    last = site.seen[-1][2]
    assert len(last) == int(sizes.pop() or "")
    if kind != "form":
        assert last == BODY[10 if kind == "file" else 0 :]
    else:
        assert last.count(BODY[10:]) == 2
        assert last.count(BODY) == 1
    if not hurry:
        assert {body for _, _, body in site.seen} == {last}


@both
async def test_303_leaves_the_file_behind(http1: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    site = Site(303)
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        await client.post(URL, body=tmp_path / "file")
    assert site.seen == [("POST", str(len(BODY)), BODY), ("GET", None, b"")]


@both
async def test_a_pipe_is_sent_only_once(http1: bool) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"once")
    os.close(writing)
    site = Site(503)
    with os.fdopen(reading, "rb") as pipe:
        async with (
            network(ours(site, http1=True)) as made,
            Client(transport=made, prior_knowledge=not http1, retry=Retry(statuses={503})) as client,
        ):
            assert (await client.put(URL, body=pipe)).status == 503
    assert site.seen == [("PUT", None, b"once")]


class Changing(io.BytesIO):
    """A file whose length changes when so much of it was read."""

    def __init__(self, content: bytes, after: int, change: int) -> None:
        super().__init__(content)
        self.after = after
        self.change = change

    def read(self, size: int | None = -1) -> bytes:
        if self.change and self.tell() >= self.after:
            place = self.tell()
            if self.change < 0:
                self.truncate(len(self.getvalue()) + self.change)
            else:
                self.seek(0, os.SEEK_END)
                self.write(bytes(self.change))
                self.seek(place)
            self.change = 0
        return super().read(size)


@both
@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize(("change", "word"), [(-1, "shorter"), (-300_000, "shorter"), (1, "longer"), (10**6, "longer")])
async def test_a_file_that_changes_while_it_is_sent(change: int, word: str, form: bool, http1: bool) -> None:
    """Never looks whole to the server."""
    site = Site()
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, retry=Retry(idempotent=True)) as client,
    ):
        file = Changing(BODY, 200_000, change)
        with pytest.raises(LocalProtocolError, match=f"the file became {word} while it was sent.* 512000 bytes"):
            await (client.put(URL, files={"f": file}) if form else client.put(URL, body=file))
        await trio.testing.wait_all_tasks_blocked()
        assert (site.seen, site.cut) == ([], 1)
        assert (await client.put(URL, body=b"clean")).ok


@both
async def test_files_that_cannot_be_read(http1: bool, tmp_path: Path) -> None:
    """Is an error that names the file; nothing is sent."""
    site = Site()

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    class Texts(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return "text"  # type: ignore[return-value]  # that is the test

    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        for files in False, True:
            with pytest.raises(FileNotFoundError, match="absent"):
                await (
                    client.put(URL, files={"f": tmp_path / "absent"}) if files else client.put(URL, body=Path("absent"))
                )
            with pytest.raises(IsADirectoryError, match=tmp_path.name):
                await (client.put(URL, files={"f": tmp_path}) if files else client.put(URL, body=tmp_path))
        assert made.asked == []
        with pytest.raises(OSError, match=r"Input/output error: 'the file'"):
            await client.put(URL, body=Broken(b"four"))
        with pytest.raises(TypeError, match="gave str, not bytes"):
            await client.put(URL, body=Texts(b"four"))
        closed = io.BytesIO()
        closed.close()
        with pytest.raises(ValueError, match="closed file"):
            await client.put(URL, body=closed)
    assert site.seen == []


@both
async def test_a_pipe_that_says_nothing_is_given_up(http1: bool, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb") as other:
        async with (
            network(ours(Site(), http1=True)) as made,
            Client(transport=made, prior_knowledge=not http1) as client,
        ):
            for body in pipe, fifo:
                with trio.move_on_after(0.1) as scope:
                    await client.put(URL, body=body)
                assert scope.cancelled_caught
            assert (await client.put(URL, body=b"clean")).ok
        other.write(b"end")
    with fifo.open("wb"):
        pass  # which lets the thread go that waits for it


@both
async def test_a_form_with_files(http1: bool, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(BODY)
    form: list[object] = []

    @compat.request_handler
    async def handler(request: compat.Request, response: compat.Response) -> None:
        got = await request.form(max_size=10**8)
        form.append({name: got.get_all(name) for name in got})
        form.append([(file.name, file.filename, file.content_type, await file.read()) for file in got.files])
        form.append([file.headers.get("x-y") for file in got.files])
        form.append(request.headers.get("content-length"))
        await response.end()

    async with (
        network(ours(handler, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1) as client,
    ):
        with (tmp_path / "a.txt").open("rb") as file:
            await client.post(
                URL,
                data={"name": "Grüße", "many": ["1", 2], "x": b"\xe2\x82\xac"},
                files=[
                    ("bytes", b"content"),
                    ("path", tmp_path / "a.txt"),
                    ("open", file),
                    ("memory", io.BytesIO(b"in memory")),
                    ("named", ('ü"\r\n;.json', b"{}")),
                    ("typed", ("x", "text", "text/x-own; charset=utf-8")),
                    ("full", ("x.png", tmp_path / "a.txt", None, {"x-y": "z"})),
                    ("field", (None, "no file")),
                ],
            )
    fields, files, headers, length = form
    assert fields == {"name": ["Grüße"], "many": ["1", "2"], "x": ["€"], "field": ["no file"]}
    assert files == [
        ("bytes", "bytes", "application/octet-stream", b"content"),
        ("path", "a.txt", "text/plain", BODY),
        ("open", "a.txt", "text/plain", BODY),
        ("memory", "memory", "application/octet-stream", b"in memory"),
        ("named", "ü%22%0D%0A;.json", "application/json", b"{}"),
        ("typed", "x", "text/x-own; charset=utf-8", b"text"),
        ("full", "x.png", "image/png", BODY),
    ]
    assert headers == [None, None, None, None, None, None, "z"]
    assert int(str(length)) > 3 * len(BODY)


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({"a": "1", "b": ["2", "3"]}, {"f": b"content"}),
        ({}, {"f": ('na"me\r\n.txt', b"content")}),
        ({'na"me\r\n': "1\r\n2"}, {'f"\n': ("ü.html", b"content", "text/x")}),
        ({}, {"f": (None, b"content")}),
        ({}, [("f", ("a", b"1")), ("f", ("b", b"2", "text/plain"))]),
    ],
)
async def test_the_same_bytes_as_httpx(data: dict[str, str], files: trio_h2.Files, autojump_clock: MockClock) -> None:
    """Their words are `data` and `files`, too; only a file without a name is called otherwise there."""
    site = Site()
    async with network(ours(site)) as made, Client(transport=made, prior_knowledge=True) as client:
        await client.post(URL, data=data, files=files)
    [(_, length, body)] = site.seen
    content_type = site.fields[0]["content-type"]
    given = httpx.Request("POST", URL, data=data, files=files, headers={"content-type": content_type})  # type: ignore[arg-type]
    expected = given.read().replace(b'filename="upload"', b'filename="f"')
    assert body == expected
    assert length == str(len(expected))


async def test_no_files_are_no_form_of_files(autojump_clock: MockClock) -> None:
    site = Site()
    async with network(ours(site)) as made, Client(transport=made, prior_knowledge=True) as client:
        await client.post(URL, data={"a": "1"}, files={})
    assert (site.seen[0][2], site.fields[0]["content-type"]) == (b"a=1", "application/x-www-form-urlencoded")


@both
@pytest.mark.parametrize("form", [False, True])
async def test_cancelled_at_every_checkpoint(
    form: bool, http1: bool, tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_threads(monkeypatch)
    site = Site()
    path = tmp_path / "file"
    path.write_bytes(BODY)
    descriptors = len(os.listdir("/proc/self/fd"))
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, idle_timeout=1) as client,
    ):

        async def scenario() -> None:
            site.statuses = [307]
            options: trio_h2.RequestOptions = {"files": {"f": path}} if form else {"body": path}
            options["follow_redirects"] = True
            assert (await client.put(URL, **options)).ok

        async def after() -> None:
            await trio.sleep(0.1)
            assert (client.statistics().requests, client.statistics().waiting) == (0, 0)
            assert len(os.listdir("/proc/self/fd")) == descriptors
            site.statuses = []
            assert (await client.put(URL, body=path)).ok
            assert site.seen[-1] == ("PUT", str(len(BODY)), BODY)
            assert {body for _, _, body in site.seen if not form} <= {BODY}
            for session in client.sessions:
                ledger = session.statistics().ledger
                assert ledger.received == ledger.taken + ledger.discarded + ledger.held

        assert await sweep_cancellation(scenario, after=after, every_task=False, seeds=(0,)) >= 10


@pytest.mark.parametrize("form", [False, True])
async def test_frames_of_a_file_that_is_sent_twice(
    form: bool, tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first stream is refused when some of the body was sent; the second one gets all of it."""
    without_threads(monkeypatch)
    path = tmp_path / "file"
    path.write_bytes(BODY)
    bodies: list[tuple[str | None, bytes]] = []

    async def script(peer: ScriptedPeer) -> None:
        await peer.send_window_update(0, 10**7)
        head = await peer.until(HeadersFrame)
        await peer.until(DataFrame)
        await peer.send_rst(head.stream_id, 0x7)  # REFUSED_STREAM
        again = await peer.until(HeadersFrame)
        assert again.fields == head.fields
        bodies.append((again.get("content-length"), await peer.collect_body(again.stream_id)))
        await peer.respond(again.stream_id)
        await until_closed(peer)

    async with network(scripted(script)) as made, Client(transport=made, prior_knowledge=True) as client:
        response = await (client.post(URL, files={"f": path}) if form else client.post(URL, body=path))
        assert response.ok
        [(length, body)] = bodies
        assert length == str(len(body))
        assert BODY in body if form else body == BODY
        ledger = client.sessions[0].statistics().ledger
        assert ledger.received == ledger.taken + ledger.discarded + ledger.held


async def test_a_server_that_takes_no_more_of_a_file(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_threads(monkeypatch)
    path = tmp_path / "file"
    path.write_bytes(BODY)
    descriptors = len(os.listdir("/proc/self/fd"))

    async def script(peer: ScriptedPeer) -> None:
        await peer.until(HeadersFrame)
        peer.timeout = 1000
        await peer.until(RstStreamFrame)
        await until_closed(peer)

    timeouts = trio_h2.Timeouts(send=20)
    async with (
        network(scripted(script)) as made,
        Client(transport=made, prior_knowledge=True, timeouts=timeouts, retry=Retry(attempts=0)) as client,
    ):
        start = trio.current_time()
        with pytest.raises(trio_h2.RequestTimeoutError, match="send=20 s"):
            await client.put(URL, body=path)
        assert trio.current_time() - start == pytest.approx(20)
        assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_wrong_arguments(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with Client() as client:

        def refused(error: type[Exception], match: str, **options: object) -> None:
            with pytest.raises(error, match=match):
                client.request("POST", URL, **options)  # type: ignore[arg-type]  # that is the test

        with (tmp_path / "file").open() as text:
            refused(TypeError, "binary mode", body=text)
            refused(TypeError, "binary mode", files={"f": text})
        refused(TypeError, "bytes-like", body="file")
        refused(TypeError, "the file 'f' of a form", files={"f": 1})
        refused(TypeError, "pairs of a name and a value", files=["f"])
        refused(TypeError, "files must be a mapping", files=b"content")
        refused(TypeError, "data must be a mapping", files={"f": b""}, data=b"content")
        refused(ValueError, "not 1 things", files={"f": ("name",)})
        refused(ValueError, "not 5 things", files={"f": ("name", b"", None, None, None)})
        refused(TypeError, "the name of a file", files={"f": (b"name", b"")})
        refused(TypeError, "the content type of a file", files={"f": ("name", b"", 1)})
        refused(ValueError, "content-type", files={"f": ("name", b"", "a\r\nb: c")})
        refused(ValueError, "do not say content-type", files={"f": ("name", b"", None, {"content-type": "x"})})
        refused(ValueError, "exclude each other", files={"f": b""}, body=b"x")
        refused(ValueError, "exclude each other", files={"f": b""}, json=1)
        refused(ValueError, "make content-type by themselves", files={"f": b""}, headers={"Content-Type": "x"})
