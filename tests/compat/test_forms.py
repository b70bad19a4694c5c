"""Forms and uploaded files: decoded, bounded, closed."""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
import threading
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from tests.compat.clients import every_version, served
from tests.stream.harness import pair, scripted_client
from trio_h2 import compat
from trio_h2.compat import _multipart
from trio_h2.compat._multipart import FormReader, PartParser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trio.testing import MockClock

    from tests.compat.clients import Reply, StreamHandler
    from trio_h2.compat import Request, Response, UploadedFile
    from trio_h2.compat._spool import Spool

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=cut"


def part(disposition: str, content: bytes, content_type: str | None = None) -> bytes:
    """Returns a part of a form, with the boundary before it."""
    kind = "" if content_type is None else f"content-type: {content_type}\r\n"
    return f"--cut\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode() + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    """Returns the body of a form."""
    return b"".join(parts) + b"--cut--\r\n"


def upload(content: bytes, name: str = "f") -> bytes:
    """Returns a part with a file."""
    return part(f'name="{name}"; filename="{name}.bin"', content, "application/octet-stream")


async def post(
    handler: StreamHandler,
    body: bytes,
    content_type: str = MULTIPART,
    version: str = "2.0",
    *,
    raise_handler_errors: bool = True,
) -> Reply:
    """Returns what a server answers to a form."""
    async with served(version, handler, raise_handler_errors=raise_handler_errors) as client:
        return await client.fetch("POST", headers={"content-type": content_type}, body=body)


@compat.request_handler
async def fields(request: Request, response: Response) -> None:
    form = await request.form()
    await response.send_json({name: form.get_all(name) for name in form})


# -- text --------------------------------------------------------------------------------------------------------------


@every_version
async def test_an_urlencoded_form(version: str) -> None:
    @compat.request_handler
    async def app(request: Request, response: Response) -> None:
        form = await request.form()
        assert dict(form) == {"a": "1", "b": "x y&=", "c": "", "grüße": "€"}
        assert form.get_all("a") == ["1", "2"]
        assert form.get_all("z") == []
        assert (len(form), form.files, form.file("a")) == (4, [], None)
        with pytest.raises(KeyError):
            form["z"]
        assert repr(form) == "<Form with 'a', 'b', 'c', 'gr\\xfc\\xdfe'; 0 files>"
        with trio.testing.assert_checkpoints():
            assert await request.form() is form
        await response.end("fine")

    body = b"a=1&b=x+y%26%3D&a=2&c=&gr%C3%BC%C3%9Fe=%E2%82%AC"
    for kind in (URLENCODED, URLENCODED + "; charset=utf-8"):
        assert (await post(app, body, kind, version)).body == b"fine"


@every_version
async def test_a_multipart_form(version: str) -> None:
    @compat.request_handler
    async def app(request: Request, response: Response) -> None:
        form = await request.form()
        assert dict(form) == {"a": "1", "grüße": "€\r\n--cu"}
        assert form.get_all("a") == ["1", ""]
        first, second = form.files
        assert form.file("f") is first
        assert (first.name, first.filename, first.content_type, first.size) == ("f", "grüße.txt", "text/css", 3)
        assert first.headers["x-y"] == "z"
        assert (second.filename, second.content_type, second.size, second.in_memory) == ("", "text/plain", 0, True)
        assert repr(first) == "<UploadedFile 'grüße.txt' of 3 bytes>"
        assert await first.read() == b"abc"
        assert await second.read() == b""
        await response.end("fine")

    body = multipart(
        part('name="a"', b"1"),
        part('name="grüße"', "€\r\n--cu".encode()),
        part('name="f"; filename="grüße.txt"', b"abc", "text/css\r\nX-Y:  z "),
        part("name=a", b""),
        part('name="f"; filename=""', b""),
    )
    assert (await post(app, body + b"epilogue", MULTIPART, version)).body == b"fine"


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ("name=\"f\"; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
        ("name=\"f\"; filename*=UTF-8'de'a%20b%22.txt", 'a b".txt'),
        ("filename*=iso-8859-1''%e9; name=f", "é"),
        ("name=f;FILENAME* = \"utf-8''x\"", "x"),
        ("name=f; filename*=utf-8''", ""),
        # RFC 7578 §4.2: in forms, the plain one is what counts.
        ("name=f; filename=\"a\"; filename*=utf-8''b", "a"),
        ("name=\"f; filename*=utf-8''x\"", None),
        ("name=f; other=\"; filename*=utf-8''x\"", None),
        ('name=f; other="\\"; filename*=utf-8\'\'x"', None),
        ("name=f; filename*0=x", None),
    ],
)
async def test_what_makes_a_part_a_file(disposition: str, filename: str | None) -> None:
    @compat.request_handler
    async def app(request: Request, response: Response) -> None:
        form = await request.form()
        assert [file.filename for file in form.files] == ([] if filename is None else [filename])
        assert [value for _, value in form.items()] == (["abc"] if filename is None else [])
        await response.end("fine")

    assert (await post(app, multipart(part(disposition, b"abc")), MULTIPART)).body == b"fine"


async def test_octet_by_octet(autojump_clock: MockClock) -> None:
    body = multipart(part('name="a"', b"\r\n--c\r"), upload(b"\r\n--cut-\r\n"), part('name="b"', b"2"))

    @compat.request_handler
    async def app(request: Request, response: Response) -> None:
        form = await request.form()
        assert dict(form) == {"a": "\r\n--c\r", "b": "2"}
        assert await form.files[0].read() == b"\r\n--cut-\r\n"
        await response.end("fine")

    async with scripted_client(app) as (_server, peer):
        stream_id = await peer.request("POST", headers={"content-type": MULTIPART}, end_stream=False)
        for octet in body:
            await peer.send_data(stream_id, bytes([octet]))
        await peer.send_data(stream_id, end_stream=True)
        await peer.expect_headers(stream_id, status=200)
        assert await peer.collect_body(stream_id) == b"fine"


@pytest.mark.parametrize("size", [None, 3])
async def test_a_form_of_a_body_that_was_read(size: int | None) -> None:
    """Read as a whole; or only begun, by a read that was too large."""

    @compat.request_handler
    async def app(request: Request, response: Response) -> None:
        if size is None:
            await request.read()
        else:
            with pytest.raises(compat.HTTPError):
                await request.read(max_size=size)
        form = await request.form()
        assert form["a"] == "1"
        await response.end("fine")

    async with served("2.0", app) as client:
        body = multipart(part('name="a"', b"1"))
        reply = await client.fetch("POST", headers={"content-type": MULTIPART}, body=body, trailers={"x": "y"})
        assert reply.body == b"fine"


BROKEN = [
    (b"a=%ff", URLENCODED, 400, "not in UTF-8"),
    (b"a=\xff", URLENCODED, 400, "not in UTF-8"),
    (b"a=1", "application/json", 415, "a form must be"),
    (b"a=1", "", 415, "a form must be"),
    (b"", "multipart/form-data", 400, "no good boundary"),
    (b"", "multipart/form-data; boundary=", 400, "no good boundary"),
    (b"", "multipart/form-data; boundary=" + "x" * 71, 400, "no good boundary"),
    (b"", "multipart/form-data; boundary*=idna''%ff", 400, "no good boundary"),
    (b"", "multipart/form-data; boundary*=undefined''a", 400, "no good boundary"),
    (b"", 'multipart/form-data; boundary="' + ";" * 60_000, 415, "too many parameters"),
    (b"", MULTIPART, 400, "last boundary is missing"),
    (b"--cut\r\n", MULTIPART, 400, "last boundary is missing"),
    (multipart(part('name="a"', b"1"))[:-4], MULTIPART, 400, "last boundary is missing"),
    (b"--other--\r\n", MULTIPART, 400, "malformed"),
    (b"--cut\r\n\r\n1\r\n--cut--\r\n", MULTIPART, 400, "no content-disposition with a name"),
    (multipart(part("filename=a", b"1")), MULTIPART, 400, "no content-disposition with a name"),
    (multipart(part('name="a"', b"1")).replace(b"form-data", b"attachment"), MULTIPART, 400, "no content-disposition"),
    (multipart(part('name="a"', b"\xff")), MULTIPART, 400, "the field 'a' of the form is not in UTF-8"),
    (multipart(part('name="a"', b"1")).replace(b'"a"', b'"\xff"'), MULTIPART, 400, "a name in the form"),
    (multipart(part("name=a; filename*=utf-8''%ff", b"1")), MULTIPART, 400, "a name in the form is not in UTF-8"),
    (multipart(part("name=a; filename*=utf-7''x", b"1")), MULTIPART, 400, "unknown charset"),
    (multipart(part("name=a; filename*=x", b"1")), MULTIPART, 400, "filename* of a part"),
    (multipart(part('name="a"', b"1", "a\0b")), MULTIPART, 400, "malformed"),
    (multipart(part('name="a"', b"1", "a" * 10_000)), MULTIPART, 400, "malformed: Maximum header size"),
]


@pytest.mark.parametrize(("body", "kind", "status", "reason"), BROKEN)
async def test_what_is_no_form(body: bytes, kind: str, status: int, reason: str) -> None:
    reply = await post(fields, body, kind)
    assert reply.status == status
    assert reason in reply.body.decode()


async def test_the_parser_is_an_extra(monkeypatch: pytest.MonkeyPatch, complaints: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    assert (await post(fields, b"a=1", URLENCODED)).body == b'{"a":["1"]}'
    assert (await post(fields, multipart(part('name="a"', b"1")), raise_handler_errors=False)).status == 500
    assert "install trio-h2[forms]" in complaints.text


SCRAPS = [
    b"\r\n",
    b"--cut",
    b"--",
    b"content-disposition: form-data; name=",
    b'"',
    b";",
    b"filename=",
    b"filename*=utf-8''",
    b"\\",
    b":",
    b"\xff",
    b" ",
]


async def outcome(body: bytes, sizes: Iterator[int]) -> object:
    """Returns what a form reader makes of a body in pieces: its fields and files, or a status."""
    spools: list[Spool] = []
    reader = FormReader(PartParser(b"cut", max_parts=50), spools.append, max_text=1000, max_files=5)
    try:
        start = 0
        while start < len(body):
            size = next(sizes)
            await reader.feed(body[start : start + size])
            start += size
        reader.finish()
        return reader.fields, [(file.name, file.filename, await file.read()) for file in reader.files]
    except compat.HTTPError as exc:
        return exc.status
    finally:
        for spool in spools:
            spool.close()


async def test_garbage_is_400_however_it_is_cut() -> None:
    chance = random.Random(17)
    whole = multipart(part('name="a"', b"1"), upload(b"abc"))
    outcomes = []
    for _ in range(500):
        body = bytearray(whole)
        for _ in range(chance.randint(0, 4)):
            place = chance.randrange(len(body))
            body[place : place + chance.randint(0, 3)] = chance.choice(SCRAPS)
        at_once = await outcome(bytes(body), itertools.repeat(len(body)))
        in_pieces = await outcome(bytes(body), iter(lambda: chance.randint(1, 7), 0))
        assert at_once == in_pieces, bytes(body)
        outcomes.append(at_once)
    statuses = {one for one in outcomes if isinstance(one, int)}
    assert statuses == {400}
    assert 50 < sum(isinstance(one, tuple) for one in outcomes) < 450


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"a=1&b=2&c=3", URLENCODED, "more than 2 fields"),
        (b"a=" + b"x" * 500, URLENCODED, "more than 500 bytes"),
        (
            multipart(part('name="a"', b""), part('name="b"', b""), part('name="c"', b"")),
            MULTIPART,
            "more than 2 parts",
        ),
        (multipart(upload(b""), upload(b"")), MULTIPART, "more than 1 files"),
        (multipart(part('name="a"', b"x" * 200)), MULTIPART, "more than 200 bytes of text"),
        (
            multipart(part('name="a"', b"x" * 100), part('name="a"', b"x" * 99)),
            MULTIPART,
            "more than 200 bytes of text",
        ),
        (multipart(upload(b"x" * 500)), MULTIPART, "more than 500 bytes"),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
async def test_what_is_too_much(body: bytes, kind: str, reason: str, announced: bool) -> None:
    async def app(request: Request, response: Response) -> None:
        await request.form(max_size=500, max_fields=2, max_files=1)

    limit = 500 if "500" in reason else 200
    async with served("2.0", compat.request_handler(app, max_body_size=limit)) as client:
        trailers = None if announced else {"x": "y"}
        reply = await client.fetch("POST", headers={"content-type": kind}, body=body, trailers=trailers)
    assert reply.status == 413
    assert reason in reply.body.decode()
    assert reply.body.endswith(b"\n")


async def test_text_is_limited_whatever_the_form_may_have() -> None:
    async def app(request: Request, response: Response) -> None:
        await request.form(max_size=1000)

    reply = await post(compat.request_handler(app, max_body_size=200), b"a=" + b"x" * 200, URLENCODED)
    assert (reply.status, reply.body) == (413, b"the body has more than 200 bytes\n")


async def test_what_is_just_enough() -> None:
    async def app(request: Request, response: Response) -> None:
        form = await request.form(max_size=1000, max_fields=2, max_files=1)
        await response.end(f"{len(form['a'])} {form.files[0].size}")

    body = multipart(part('name="a"', b"x" * 199), upload(b"y" * 400))
    assert (await post(compat.request_handler(app, max_body_size=200), body)).body == b"199 400"


# -- files -------------------------------------------------------------------------------------------------------------

BIG = bytes(range(256)) * 8192
"""Two MiB, twice what is kept in memory."""


@every_version
async def test_a_large_file_is_not_in_memory(version: str, tmp_path: Path) -> None:
    files: list[UploadedFile] = []

    async def app(request: Request, response: Response) -> None:
        form = await request.form(max_size=5_000_000)
        (file, small) = files[:] = form.files
        assert not file.in_memory
        assert small.in_memory  # there is room again for it
        assert file.size == len(BIG)
        assert await file.read(10) == BIG[:10]
        await file.save(tmp_path / "copy")
        assert await file.read(10) == BIG[10:20]
        await file.seek(0)
        assert b"".join([chunk async for chunk in file]) == BIG
        assert await file.read() == b""
        await file.seek(len(BIG) - 1)
        assert await file.read() == BIG[-1:]
        with pytest.raises(ValueError, match="offset must not be negative"):
            await file.seek(-1)
        await small.save(tmp_path / "small")
        await response.end("fine")

    body = multipart(upload(BIG), upload(b"small"))
    assert (await post(compat.request_handler(app), body, MULTIPART, version)).body == b"fine"
    assert (tmp_path / "copy").read_bytes() == BIG
    assert (tmp_path / "small").read_bytes() == b"small"
    for file in files:
        assert file.closed
        for call in (file.read, lambda file=file: file.seek(0), lambda file=file: file.save(tmp_path / "x")):
            with pytest.raises(trio.ClosedResourceError):
                await call()


async def test_all_files_of_a_form_share_its_memory() -> None:
    half = bytes(_multipart.SPOOL_MEMORY // 2)

    async def app(request: Request, response: Response) -> None:
        form = await request.form(max_size=5_000_000)
        await response.send_json([file.in_memory for file in form.files])

    body = multipart(upload(half), upload(half), upload(b"x"), upload(b""))
    assert (await post(compat.request_handler(app), body)).body == b"[true,true,false,true]"
    body = multipart(upload(BIG), upload(half))  # what is on the disk makes room
    assert (await post(compat.request_handler(app), body)).body == b"[false,true]"


async def test_files_are_closed_when_the_form_is_too_large() -> None:
    """A warning about an open file would fail the test."""

    async def app(request: Request, response: Response) -> None:
        await request.form(max_size=2_000_000)

    async with served("2.0", compat.request_handler(app)) as client:
        reply = await client.fetch(
            "POST", headers={"content-type": MULTIPART}, body=multipart(upload(BIG)), trailers={"x": "y"}
        )
    assert reply.status == 413


async def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch, complaints: pytest.LogCaptureFixture) -> None:
    def no_room() -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", no_room)

    async def app(request: Request, response: Response) -> None:
        await request.form(max_size=5_000_000)

    handler = compat.request_handler(app)
    assert (await post(handler, multipart(upload(BIG)), raise_handler_errors=False)).status == 500
    assert "No space left on device" in complaints.text


async def test_an_upload_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gets no credit for what is not written yet, so nothing piles up."""
    asked, may_write = trio.Event(), threading.Event()
    real = tempfile.TemporaryFile

    def slow_file() -> object:
        trio.from_thread.run_sync(asked.set)
        may_write.wait(30)
        return real()

    monkeypatch.setattr("tempfile.TemporaryFile", slow_file)

    async def app(request: Request, response: Response) -> None:
        form = await request.form(max_size=5_000_000)
        assert await form.files[0].read() == BIG
        await response.end("fine")

    # No room for windows to grow.
    config = trio_h2.ServerConfig(max_concurrent_streams=1, stream_window=65_535, receive_budget=65_535)
    async with pair(compat.request_handler(app), server_config=config) as (client, server):
        body = multipart(upload(BIG))
        async with client.request("POST", headers={"content-type": MULTIPART}, body=body) as stream:
            try:
                await asked.wait()
                await trio.testing.wait_all_tasks_blocked()
                ledger = server.statistics().ledger
                assert ledger.taken <= _multipart.SPOOL_MEMORY + 2 * 65_536
                assert 0 < ledger.held <= 65_535
            finally:
                may_write.set()
            assert await stream.receive_some() == b"fine"
