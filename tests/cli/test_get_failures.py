"""What can go wrong with `trio-h2 get`: each failure is one line, and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.cli.tools import assert_one_line, read_all, served
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.tools import Command
    from trio_h2 import ServerStream


async def status_in_path(stream: ServerStream) -> None:
    """Answers /404 with 404."""
    await stream.respond(int(stream.path[1:]), body=b"the body")


async def half(stream: ServerStream) -> None:
    """Breaks off in the middle of what it has announced."""
    await stream.respond({":status": 200, "content-length": 8})
    await stream.send_all(b"half")
    assert await read_all(stream) == b""
    stream.reset(ErrorCode.INTERNAL_ERROR)


async def half_or_status(stream: ServerStream) -> None:
    """Breaks off at /half."""
    await (half if stream.path == "/half" else status_in_path)(stream)


# -- --fail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(200, 0), (304, 0), (399, 0), (400, 22), (404, 22), (599, 22), (999, 22)])
async def test_fail(get: Command, status: int, code: int, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"old")

    async def handler(stream: ServerStream) -> None:
        await stream.respond(status, body=b"" if status == 304 else b"new")

    async with served(handler) as site:
        done = await get(site.url(), "--fail", "-o", str(file))
        assert (await get(site.url())).code == 0
    if code:
        done.failed(22, str(status), "http://127.0.0.1")
        assert file.read_bytes() == b"old"
    else:
        assert (done.code, done.err) == (0, "")
        assert file.read_bytes() == (b"" if status == 304 else b"new")


# -- several URLs --------------------------------------------------------------------------------------------------


async def test_a_failure_leaves_the_others_alone(get: Command) -> None:
    """Each has its line, in order; the exit code is that of the first."""
    async with served(half_or_status) as site:
        done = await get(site.url("/200"), site.url("/500"), site.url("/201"), "--fail")
        assert done.out == b"the body" * 2
        done.failed(22, "500")
        urls = [site.url("/201"), site.url("/half"), "http://127.0.0.1:1/", site.url("/404"), site.url("/200")]
        done = await get(*urls, "--fail")
        assert done.out == b"the body" + b"half" + b"the body"
        assert done.code == 1
        lines = done.err.splitlines(keepends=True)
        for line, words in zip(lines, ["4 bytes", "Connection refused", "404"], strict=True):
            assert_one_line(line, words)
        done = await get(site.url("/404"), site.url("/half"), "--fail")
        assert done.code == 22
        done = await get(site.url("/half"), site.url("/half"))
        assert (done.code, done.out, done.err.count("\n")) == (1, b"halfhalf", 2)


async def test_what_concerns_all_ends_the_rest(get: Command, tmp_path: Path) -> None:
    async with served(half_or_status) as site:
        urls = [site.url("/200"), site.url("/201")]
        (await get(*urls, "-o", str(tmp_path))).failed(1, "cannot write")
        (await get(*urls, "-d", "@absent")).failed(1, "cannot read", "absent")
        (await get(*urls, "-d", "abc", "-H", "content-length: 4")).failed(2, "content-length")
        done = await get(*urls, "-d", "@-")
        done.failed(2, "-d @-")
        assert done.out == b""


# -- --fail, continued ---------------------------------------------------------------------------------------------


async def test_fail_with_headers(get: Command) -> None:
    async with served(status_in_path) as site:
        done = await get(site.url("/418"), "--fail", "-i")
    assert done.out.startswith(b"HTTP/2 418\n")
    assert b"the body" not in done.out
    done.failed(22, "418")


async def test_fail_does_not_wait_for_a_body(get: Command, tmp_path: Path) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond(503)
        await trio.sleep_forever()

    (tmp_path / "body").write_bytes(bytes(1024 * 1024))
    async with served(handler) as site:
        (await get(site.url(), "--fail")).failed(22, "503")
        (await get(site.url(), "--fail", "-d", f"@{tmp_path / 'body'}")).failed(22, "503")


# -- usage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["ftp://x"], ["ftp"]),
        (["http://x:y"], ["port", "'y'"]),
        (["http://a b"], ["white space"]),
        (["http://localhost:1", "http://"], ["host"]),
        (["http://localhost:1", "-H", "x: a\nb"], [r"'\n'", "'x'"]),
        (["http://localhost:1", "-H", "x: a\r\nb"], [r"'\r'"]),
        (["http://localhost:1", "-H", "x"], ["name: value"]),
        (["http://localhost:1", "-H", "x y: z"], ["x y"]),
        (["http://localhost:1", "-H", ":path: /x"], ["name: value"]),
    ],
)
async def test_wrong_usage_is_found_before_anything_is_sent(get: Command, argv: list[str], words: list[str]) -> None:
    (await get(*argv)).failed(2, *words)


async def test_wrong_usage_that_the_session_finds(get: Command) -> None:
    asked = False

    async def handler(stream: ServerStream) -> None:
        nonlocal asked
        asked = True

    async with served(handler) as site:
        (await get(site.url(), "-H", "connection: close")).failed(2, "connection")
        (await get(site.url(), "-H", "transfer-encoding: chunked")).failed(2, "transfer-encoding")
        (await get(site.url(), "-X", "G E T")).failed(2, "G E T")
        (await get(site.url(), "-X", "CONNECT")).failed(2, "CONNECT")
    assert not asked


# -- the network ---------------------------------------------------------------------------------------------------


async def test_unknown_host(get: Command) -> None:
    for scheme in ("http", "https"):
        (await get(f"{scheme}://no-such-host.invalid/")).failed(1, "cannot connect", "no-such-host.invalid")


async def test_refused_connection(get: Command) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    for scheme in ("http", "https"):
        done = await get(f"{scheme}://127.0.0.1:{port}/")
        done.failed(1, "cannot connect", f"127.0.0.1:{port}", "Connection refused")


async def test_a_server_that_speaks_no_tls(get: Command) -> None:
    async with served(status_in_path) as site:
        (await get(site.url("/200").replace("http:", "https:"))).failed(1, "does not speak TLS")


@pytest.mark.parametrize("data", [b"", b"\0", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_a_server_that_hangs_up(get: Command, data: bytes) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            if data:
                await stream.send_all(data)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, hang_up, [listener])
        for scheme in ("http", "https"):
            (await get(f"{scheme}://127.0.0.1:{port}/")).failed(1, str(port))
        nursery.cancel_scope.cancel()


# -- what breaks off -----------------------------------------------------------------------------------------------


async def test_a_response_that_breaks_off(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "out"
    (tmp_path / "body").write_bytes(b"")
    async with served(half) as site:
        for more in ([], ["-d", ""], ["-d", f"@{tmp_path / 'body'}"]):
            done = await get(site.url(), "-o", str(file), *more)
            done.failed(1, "failed after 4 bytes", f"{file} is incomplete", "INTERNAL_ERROR")
            assert file.read_bytes() == b"half"
        done = await get(site.url())
        done.failed(1, "failed after 4 bytes", "stdout is incomplete")
        assert done.out == b"half"


async def test_a_request_that_is_reset(get: Command) -> None:
    async def handler(stream: ServerStream) -> None:
        stream.reset(ErrorCode.ENHANCE_YOUR_CALM)

    async with served(handler) as site:
        (await get(site.url())).failed(1, "ENHANCE_YOUR_CALM", site.url())


async def test_a_session_that_is_lost(get: Command, tmp_path: Path) -> None:
    file = tmp_path / "out"

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(b"some")
        (session,) = site.server.sessions
        await session.ping()  # it has arrived
        await session._core.below.aclose()

    async with served(handler) as site:
        (await get(site.url(), "-o", str(file))).failed(1, "failed after 4 bytes", "incomplete")
    assert file.read_bytes() == b"some"


async def test_a_file_that_cannot_be_written(get: Command, tmp_path: Path) -> None:
    async with served(status_in_path) as site:
        done = await get(site.url("/200"), "-o", str(tmp_path / "absent" / "out"))
        done.failed(1, "cannot write", "absent", "No such file")
        (await get(site.url("/200"), "-o", str(tmp_path))).failed(1, "cannot write", "directory")


async def test_headers_that_are_too_large_for_the_server(get: Command) -> None:
    large = 2000 * ["-H", "x-filler: " + 60 * "x"]
    async with served(status_in_path) as site:
        # The server's limit is known only when its SETTINGS have come.
        done = await get(site.url("/200"), site.url("/200"), "-i", *large)
    assert done.out.startswith(b"HTTP/2 431\n")
    done.failed(1, "header")
