"""`trio-h2 get -d @FILE`: bodies that are sent as they are read."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import read_all, run, running, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command
    from trio_h2 import ServerStream

MIB = 1024 * 1024


async def receipt(stream: ServerStream) -> None:
    """Answers with what it got: content-length, length, digest."""
    body = await read_all(stream)
    length = stream.headers.get("content-length")
    await stream.respond(200, body=f"{length} {len(body)} {hashlib.sha256(body).hexdigest()}".encode())


def receipt_of(body: bytes, length: int | None) -> bytes:
    return f"{length} {len(body)} {hashlib.sha256(body).hexdigest()}".encode()


async def test_a_file(get: Command, tmp_path: Path) -> None:
    body = os.urandom(3 * MIB + 1)
    file = tmp_path / "body"
    file.write_bytes(body)
    async with served(receipt) as site:
        done = await get(site.url("/1"), site.url("/2"), "-d", f"@{file}")
    assert (done.code, done.out, done.err) == (0, 2 * receipt_of(body, len(body)), "")


async def test_an_empty_file(get: Command, tmp_path: Path) -> None:
    (tmp_path / "body").touch()
    async with served(receipt) as site:
        assert (await get(site.url(), "-d", f"@{tmp_path / 'body'}")).out == receipt_of(b"", None)


async def test_a_pipe_has_no_length(get: Command, tmp_path: Path) -> None:
    body = os.urandom(MIB)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[body])
    writer.start()
    async with served(receipt) as site:
        assert (await get(site.url(), "-d", f"@{pipe}")).out == receipt_of(body, None)
    writer.join()


async def test_stdin_is_read_from_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"read before, the rest")
    with file.open("rb", buffering=0) as stdin:
        stdin.read(len(b"read before, "))
        async with served(receipt) as site, running("get", site.url(), "-d", "@-", stdin=stdin.fileno()) as command:
            ended = await command.ended()
    assert (ended.code, ended.out, ended.err) == (0, receipt_of(b"the rest", 8), "")


async def test_stdin_may_be_a_pipe() -> None:
    body = bytes(range(256)) * 4096
    async with served(receipt) as site:
        ended = await run("get", site.url(), "-d", "@-", stdin=body)
    assert (ended.code, ended.out, ended.err) == (0, receipt_of(body, None), "")


async def test_the_response_is_received_while_the_body_is_sent(get: Command, tmp_path: Path) -> None:
    """More goes both ways than all buffers on the way can hold."""
    body = os.urandom(8 * MIB)
    (tmp_path / "body").write_bytes(body)

    async def echo(stream: ServerStream) -> None:
        await stream.respond(200)
        async for chunk in stream:
            await stream.send_all(chunk)

    async with served(echo) as site:
        done = await get(site.url(), "-d", f"@{tmp_path / 'body'}")
    assert (done.code, done.out == body) == (0, True)


@pytest.mark.parametrize("status", [200, 413])
async def test_a_server_that_has_seen_enough(get: Command, tmp_path: Path, status: int) -> None:
    """The response counts, although the body was not read: RFC 9113 §8.1."""
    (tmp_path / "body").write_bytes(bytes(8 * MIB))

    async def handler(stream: ServerStream) -> None:
        await stream.receive_some(1)
        await stream.respond(status, body=b"enough")

    async with served(handler) as site:
        done = await get(site.url(), "-d", f"@{tmp_path / 'body'}")
    assert (done.code, done.out, done.err) == (0, b"enough", "")


async def test_a_server_that_resets_after_its_response(get: Command, tmp_path: Path) -> None:
    """RFC 9113 §8.1 wants NO_ERROR for that; whatever the code, the response was complete."""
    (tmp_path / "body").write_bytes(bytes(8 * MIB))

    async def handler(stream: ServerStream) -> None:
        await stream.receive_some(1)
        await stream.respond({":status": 200, "x": "y"}, end_stream=True)
        (session,) = site.server.sessions
        await session.ping()  # it is with the client
        stream.reset(trio_h2.ErrorCode.CANCEL)

    async with served(handler) as site:
        done = await get(site.url(), "-i", "-d", f"@{tmp_path / 'body'}")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(b"HTTP/2 200\nx: y\n")


@pytest.mark.parametrize("status", [202, 403])
async def test_a_body_is_sent_no_further_than_the_end_of_the_response(
    get: Command, tmp_path: Path, status: int
) -> None:
    """A server that has answered, and just does not read on, must not hold the client up."""
    (tmp_path / "body").write_bytes(bytes(64 * MIB))

    async def handler(stream: ServerStream) -> None:
        await stream.respond(status, body=b"enough")
        await trio.sleep_forever()

    async with served(handler) as site:
        done = await get(site.url(), "-d", f"@{tmp_path / 'body'}")
    assert (done.code, done.out) == (0, b"enough")


async def test_files_that_cannot_be_read(get: Command, tmp_path: Path) -> None:
    asked = False

    async def handler(stream: ServerStream) -> None:
        nonlocal asked
        asked = True

    async with served(handler) as site:
        (await get(site.url(), "-d", f"@{tmp_path / 'absent'}")).failed(1, "cannot read", "absent", "No such file")
        (await get(site.url(), "-d", f"@{tmp_path}")).failed(1, "cannot read", "directory")
        (await get(site.url(), "-d", "@")).failed(1, "cannot read")
    assert not asked
    assert site.sessions == 0


async def test_a_file_that_becomes_shorter_never_looks_complete(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(bytes(16 * MIB))
    ended = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await stream.receive_some(1)
        os.truncate(file, MIB)
        try:
            await read_all(stream)
        finally:
            if stream.rst_code == trio_h2.ErrorCode.CANCEL:
                ended.set()

    async with served(handler) as site:
        done = await get(site.url(), "-d", f"@{file}")
        await ended.wait()
    done.failed(1, "body", "shorter")


async def test_a_file_that_cannot_be_read_to_its_end(
    get: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "body").write_bytes(bytes(MIB))

    def fail(_fd: int, _octets: int) -> bytes:
        raise OSError(5, "Input/output error")

    async with served(receipt) as site:
        with monkeypatch.context() as patch:
            patch.setattr(os, "read", fail)
            done = await get(site.url(), "-d", f"@{tmp_path / 'body'}")
    done.failed(1, "cannot read", "body", "Input/output error")


@pytest.mark.parametrize("length", ["3", "999", "x"])
async def test_a_wrong_content_length(get: Command, tmp_path: Path, length: str) -> None:
    (tmp_path / "body").write_bytes(b"four")
    async with served(receipt) as site:
        for data in ("four", f"@{tmp_path / 'body'}"):
            done = await get(site.url(), "-d", data, "-H", f"content-length: {length}")
            assert done.out == b""
            done.failed(done.code, "content-length")
            assert done.code in (1, 2)
