"""Serving a directory: every byte of what is in it, and nothing of what is not."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.files.tools import BIG, HTML, TEXT, ask, read_all, session_with
from tests.http1.client import HOST
from tests.http1.client import serving as http1_serving
from trio_h2.files import DirectoryHandler, _reading
from trio_h2.testing import ReferenceClient, memory_transports

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/a.txt", TEXT, b"hello\n"),
        ("/a.txt?query=1", TEXT, b"hello\n"),
        ("/%61%2Etxt", TEXT, b"hello\n"),
        ("/empty", "application/octet-stream", b""),
        ("/big.bin", "application/octet-stream", BIG),
        ("/sub/", HTML, b"<p>index</p>"),
        ("/sub/index.html", HTML, b"<p>index</p>"),
        ("/within/index.html", HTML, b"<p>index</p>"),
        ("/inside", "application/octet-stream", b"hello\n"),
        ("/sub/deep/x%20y%20%C3%BC.tar.gz", "application/gzip", b"compressed"),
        ("/%252e%252e", "application/octet-stream", b"an odd name"),
        ("/a%5Cb", "application/octet-stream", b"a backslash"),
    ],
)
async def test_files(root: Path, path: str, content_type: str, body: bytes) -> None:
    async with session_with(DirectoryHandler(root)) as session:
        got = await ask(session, path)
        assert got.status == 200
        assert got.body == body
        assert got.headers["content-type"] == content_type
        assert got.headers["content-length"] == str(len(body))
        head = await ask(session, path, "HEAD")
        assert (head.status, head.body) == (200, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == got.headers[name]


async def test_below_a_prefix(root: Path) -> None:
    async with session_with(DirectoryHandler(root, prefix="/static/files")) as session:
        assert (await ask(session, "/static/files/a.txt?x")).body == b"hello\n"
        assert (await ask(session, "/static/files/sub/")).body == b"<p>index</p>"
        for path in ("/a.txt", "/static/a.txt", "/static/filesa.txt", "/static", "/static/files/../a.txt"):
            assert (await ask(session, path)).status == 404
        for path, there in (
            ("/static/files", "/static/files/"),
            ("/static/files?x", "/static/files/?x"),
            ("/static/files/sub?x", "/static/files/sub/?x"),
        ):
            got = await ask(session, path)
            assert (got.status, got.headers["location"]) == (301, there)
    for prefix in ("static", "//a", "/a b", "/a?b"):
        with pytest.raises(ValueError, match="prefix must be empty or a path that begins with a slash"):
            DirectoryHandler(root, prefix=prefix)
    with pytest.raises(TypeError, match="prefix must be a str, not 3"):
        DirectoryHandler(root, prefix=3)  # type: ignore[arg-type]  # is what is tested


@pytest.mark.parametrize("path", ["/sub/deep/x y ü.tar.gz", "/sub/deep/x%20y%20%C3%BC.tar.gz"])
async def test_a_name_beyond_ascii(root: Path, path: str) -> None:
    """Its bytes find the file as they are, or percent-encoded, over both versions of HTTP."""
    client_end, server_end = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio_h2.serve_stream, DirectoryHandler(root), server_end)
        async with ReferenceClient(client_end) as client:
            sent = path.replace(" ", "%20").encode().decode("latin-1")
            got = await client.request("GET", sent)
            assert (got.status, got.body) == (200, b"compressed")
    async with http1_serving(DirectoryHandler(root)) as served:
        await served.client.send(f"GET {path.replace(' ', '%20')} HTTP/1.1\r\n{HOST}\r\n".encode())
        answer = await served.client.answer()
        assert (answer.status, answer.body) == (200, b"compressed")


NOT_SERVED = [
    *["/", "/absent", "/absent/", "/a.txt/", "/a.txt/x", "/sub/absent", "/sub/deep", "/sub/deep/", "/empty/"],
    *["//a.txt", "/sub//index.html", "//", "/sub//"],
    *["/..", "/../secret", "/sub/../../secret", "/sub/../a.txt", "/./a.txt", "/.", "/sub/..", "/sub/."],
    *["/%2e%2e/secret", "/%2E%2E/secret", "/.%2e/secret", "/%2e./secret", "/sub/%2e%2e/%2e%2e/secret"],
    *["/..%2fsecret", "/%2e%2e%2fsecret", "/sub%2findex.html", "/sub%2Fdeep", "/%2fetc%2fpasswd", "//etc/passwd"],
    *["/..%5csecret", "/%5c..%5csecret", "/%252e%252e/secret", "/..%252fsecret", "/..;/secret"],
    *["/%c0%ae%c0%ae/secret", "/%c0%af../secret", "/%ff", "/%uff0e%uff0e/secret", "/%EF%BC%8E%EF%BC%8E/secret"],
    *["/a.txt%00", "/a.txt%00.html", "/%00", "/sub%00/index.html", "/a.txt%0a", "/%", "/%2", "/%zz"],
    *["/.env", "/%2eenv", "/.hidden/x", "/.hidden/", "/.hidden", "/to-hidden", "/sub/.hidden"],
    *["/out", "/updir/secret", "/updir/site2/x", "/updir/", "/sibling/x", "/sibling", "/loop", "/loop/x", "/dangling"],
    *["/bare", "/bare/", "/bare/index.html", "/dir", "/dir/", "/fifo", "/socket", "/" + "x" * 5000, "/~root"],
]


async def test_what_is_not_served(root: Path) -> None:
    """All are answered like a file that does not exist, and none holds the session up."""
    async with session_with(DirectoryHandler(root)) as session:
        for path in NOT_SERVED:
            for method in ("GET", "HEAD"):
                got = await ask(session, path, method)
                assert got.status == 404, path
                assert got.body == (b"404 Not Found\n" if method == "GET" else b""), path
                assert got.headers["content-type"] == TEXT
                assert str(root.parent) not in repr(got.headers)
        assert (await ask(session, "/a.txt")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
async def test_other_methods(root: Path, method: str) -> None:
    async with session_with(DirectoryHandler(root)) as session:
        for path in ("/a.txt", "/../secret"):
            got = await ask(session, path, method, body=b"a body that nobody reads")
            assert (got.status, got.body) == (405, b"405 Method Not Allowed\n")
            assert got.headers["allow"] == "GET, HEAD, OPTIONS"
        assert (root / "a.txt").read_bytes() == b"hello\n"


async def test_connect_is_refused(root: Path) -> None:
    fields = {":authority": "a:1"}
    async with session_with(DirectoryHandler(root)) as session, session.request("CONNECT", headers=fields) as stream:
        assert (await stream.receive_response()).status == 405


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(24, "Too many open files")])
async def test_errors_do_not_name_the_path(
    root: Path, error: OSError, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    really_open = os.open

    def fail(path: str, flags: int, dir_fd: int | None = None) -> int:
        if path == str(root):
            return really_open(path, flags)
        error.filename = path
        raise error

    async with session_with(DirectoryHandler(root)) as session:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", fail)
            got = await ask(session, "/a.txt")
        if isinstance(error, PermissionError):
            assert (got.status, got.body, caplog.text) == (403, b"403 Forbidden\n", "")
        else:
            assert (got.status, got.body) == (500, b"500 Internal Server Error\n")
            assert "Too many open files" in caplog.text
        assert (await ask(session, "/a.txt")).status == 200


async def test_a_file_that_becomes_shorter_never_looks_complete(root: Path) -> None:
    async with session_with(DirectoryHandler(root)) as session:
        async with session.request("GET", "/big.bin") as stream:
            assert (await stream.receive_response())["content-length"] == str(len(BIG))
            await stream.receive_some()  # so the file is open, and not all of it was read
            os.truncate(root / "big.bin", 600_000)
            with pytest.raises(trio_h2.StreamResetError) as caught:
                await read_all(stream)
        assert caught.value.code == trio_h2.ErrorCode.INTERNAL_ERROR
        assert (await ask(session, "/a.txt")).status == 200


async def test_a_file_that_becomes_longer_is_sent_as_announced(root: Path) -> None:
    async with session_with(DirectoryHandler(root)) as session, session.request("GET", "/big.bin") as stream:
        received = await stream.receive_some()
        with (root / "big.bin").open("ab") as file:  # writing it anew would make it shorter for a moment
            file.write(b"more")
        assert received + await read_all(stream) == BIG


async def test_a_file_that_cannot_be_read_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(fd: int, size: int, position: int) -> bytes:
        if position:
            raise OSError(5, "Input/output error")
        return os.pread(fd, size, position)

    monkeypatch.setattr(_reading, "pread", broken)
    async with session_with(DirectoryHandler(root)) as session, session.request("GET", "/big.bin") as stream:
        with pytest.raises(trio_h2.StreamResetError):
            await read_all(stream)
    (record,) = caplog.records
    assert record.getMessage() == "reading '/big.bin' failed: [Errno 5] Input/output error"
    assert record.exc_info is None


async def test_a_file_is_read_no_faster_than_it_is_sent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not read costs what its window holds and one chunk, not a file."""
    (root / "huge.bin").touch()
    os.truncate(root / "huge.bin", 1024**3)
    window = trio_h2.ClientConfig().stream_window
    sizes: list[int] = []
    window_read = threading.Event()

    def counting(fd: int, size: int, position: int) -> bytes:
        sizes.append(size)
        if sum(sizes) >= window:
            window_read.set()
        return os.pread(fd, size, position)

    monkeypatch.setattr(_reading, "pread", counting)
    async with session_with(DirectoryHandler(root)) as session, session.request("GET", "/huge.bin"):
        await trio.to_thread.run_sync(window_read.wait)
        for _ in range(10):
            await session.ping()
    assert min(sizes) > 0
    assert max(sizes) <= 128 * 1024
    assert sum(sizes) <= window + 2 * max(sizes)


async def test_files_are_closed_when_the_client_leaves(root: Path) -> None:
    async with session_with(DirectoryHandler(root)) as session:  # which counts them
        for _ in range(5):
            async with session.request("GET", "/big.bin") as stream:
                await stream.receive_some(1)
        assert (await ask(session, "/fifo")).status == 404


def test_only_a_directory_is_served(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "absent"):
        with pytest.raises((NotADirectoryError, FileNotFoundError)):
            DirectoryHandler(tmp_path / name)


@pytest.mark.parametrize("follow_symlinks", [False, True])
async def test_the_root_may_be_replaced(root: Path, *, follow_symlinks: bool) -> None:
    """A new release is a link that is set to another directory: new requests get what is there, with its links."""
    new = root.parent / "new"
    new.mkdir()
    (new / "a.txt").write_bytes(b"new\n")
    (new / "link").symlink_to(new / "a.txt")
    current = root.parent / "current"
    current.symlink_to(root, target_is_directory=True)
    (new / "current").symlink_to(current / "a.txt")
    handler = DirectoryHandler(current, follow_symlinks=follow_symlinks)
    async with session_with(handler) as session, session.request("GET", "/big.bin") as stream:
        first = await stream.receive_some(1)
        os.symlink(new, root.parent / "next", target_is_directory=True)
        os.replace(root.parent / "next", current)
        for path in ("/a.txt", "/link", "/current"):
            assert (await ask(session, path)).body == b"new\n", path
        assert (await ask(session, "/big.bin")).status == 404
        assert first + await read_all(stream) == BIG, "what had begun comes from where it began"


@pytest.mark.parametrize("follow_symlinks", [False, True])
async def test_a_root_that_is_gone(root: Path, caplog: pytest.LogCaptureFixture, *, follow_symlinks: bool) -> None:
    """Nobody shall believe that the files are gone: a link that is being set, a disk that is not mounted."""
    handler = DirectoryHandler(root, follow_symlinks=follow_symlinks)
    elsewhere = root.parent / "elsewhere"
    os.replace(root, elsewhere)
    async with session_with(handler) as session:
        for path in ("/a.txt", "/absent", "/"):
            got = await ask(session, path)
            assert (got.status, got.body) == (503, b"503 Service Unavailable\n")
        assert f"the directory that is served cannot be opened: No such file or directory: {root}" in caplog.text
        os.replace(elsewhere, root)
        assert (await ask(session, "/a.txt")).status == 200
        assert (await ask(session, "/absent")).status == 404


async def test_a_relative_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is where the process was when the handler was made."""
    monkeypatch.chdir(root / "sub" / "deep")
    handler = DirectoryHandler("..")
    monkeypatch.chdir("/")
    async with session_with(handler) as session:
        assert (await ask(session, "/index.html")).body == b"<p>index</p>"


async def test_the_directory_may_itself_be_a_link_or_hidden(root: Path) -> None:
    link = root.parent / ".link"
    link.symlink_to(root, target_is_directory=True)
    async with session_with(DirectoryHandler(link)) as session:
        assert (await ask(session, "/a.txt")).status == 200
        assert (await ask(session, "/out")).status == 404
