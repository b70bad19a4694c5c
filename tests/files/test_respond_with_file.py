"""`respond_with_file`: one file, the caller's headers, and every way in which that can fail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.files.tools import BIG, PATIENCE, Caller, ask, never, read_all, session_with
from tests.stream.harness import scripted_client
from trio_h2 import ErrorCode, files
from trio_h2.files import _reading, respond_with_file
from trio_h2.files._respond import file_name
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from pathlib import Path

    from trio_h2.files import HeaderFields

pytestmark = pytest.mark.parity("E6")


def with_file(*args: object, **kwargs: object) -> Caller:
    """A handler that calls `respond_with_file`."""
    return Caller(lambda stream: respond_with_file(stream, *args, **kwargs))  # type: ignore[arg-type]


# -- what is sent ------------------------------------------------------------------------------------------------------


async def test_a_whole_file(root: Path) -> None:
    async with session_with(with_file(root / "big.bin", {"content-type": "a/b"})) as session:
        got = await ask(session)
        assert (got.status, got.body, got.trailers) == (200, BIG, None)
        assert got.headers["content-type"] == "a/b"
        assert got.headers["content-length"] == str(len(BIG))
        assert set(got.headers) == {":status", "content-type", "content-length", "date"}, "nothing is invented"


@pytest.mark.parametrize(
    ("offset", "length", "first", "last"),
    [
        (0, None, 0, None),
        (0, 0, 0, 0),
        (0, 10, 0, 10),
        (7, None, 7, None),
        (200_000, 300_000, 200_000, 500_000),
        (1_000_000, 100, 1_000_000, None),
        (1_000_003, None, 0, 0),
        (2_000_000, None, 0, 0),
        (2_000_000, 5, 0, 0),
        (3, 2**62, 3, None),
    ],
)
async def test_a_part(root: Path, offset: int, length: int | None, first: int, last: int | None) -> None:
    handler = with_file(root / "big.bin", {":status": 206}, offset=offset, length=length)
    async with session_with(handler) as session:
        got = await ask(session)
        assert got.body == BIG[first:last]
        assert got.headers["content-length"] == str(len(got.body))
        assert got.status == 206
        assert "content-range" not in got.headers


async def test_content_length_is_what_is_sent(root: Path) -> None:
    async with session_with(with_file(root / "a.txt", [("Content-Length", "77"), ("x", "y")])) as session:
        got = await ask(session)
        assert (got.headers["content-length"], got.headers["x"], got.body) == ("6", "y", b"hello\n")


@pytest.mark.parametrize("name", ["a.txt", "empty", "big.bin"])
async def test_the_frames(root: Path, name: str) -> None:
    """HEADERS, then DATA, the end once; nothing is reset."""
    async with scripted_client(with_file(root / name)) as (_, peer):
        stream_id = await peer.request()
        headers = await peer.expect_headers(stream_id)
        assert headers.end_stream is (name == "empty")
        if name != "empty":
            assert await peer.collect_body(stream_id) == (root / name).read_bytes()
        await peer.expect_nothing()


async def test_head(root: Path) -> None:
    async with scripted_client(with_file(root / "big.bin", offset=3, trailers={"x": "y"})) as (_, peer):
        stream_id = await peer.request("HEAD")
        headers = await peer.expect_headers(stream_id)
        assert headers.end_stream
        assert (b"content-length", b"1000000") in headers.fields
        await peer.expect_nothing()


@pytest.mark.parametrize("name", ["a.txt", "empty"])
@pytest.mark.parity("D5")
async def test_trailers(root: Path, name: str) -> None:
    async with session_with(with_file(root / name, trailers={"x-sum": "1"})) as session:
        got = await ask(session)
        assert got.body == (root / name).read_bytes()
        assert got.trailers is not None
        assert got.trailers["x-sum"] == "1"


@pytest.mark.parametrize("name", ["a.txt", "empty"])
@pytest.mark.parity("D5")
async def test_the_end_is_left_to_the_caller(root: Path, name: str) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await respond_with_file(stream, root / name, end_stream=False)
        await stream.send_trailers({"x-sum": "2"})

    async with session_with(handler) as session:
        got = await ask(session)
        assert got.body == (root / name).read_bytes()
        assert got.trailers is not None
        assert got.trailers["x-sum"] == "2"


# -- which file --------------------------------------------------------------------------------------------------------


async def test_kinds_of_paths(root: Path) -> None:
    odd = root / "sub" / "deep" / "x y ü.tar.gz"
    for path in (odd, str(odd), os.fsencode(odd), odd.as_uri(), odd.as_uri().replace("file://", "FILE://localhost")):
        async with session_with(with_file(path)) as session:
            assert (await ask(session)).body == b"compressed"


def test_names() -> None:
    assert file_name("file:/a/b%20c") == "/a/b c"
    assert file_name("file:///%ff") == os.fsdecode(b"/\xff")
    assert file_name("./file:x") == "./file:x"
    assert file_name(b"file:/x") == b"file:/x"
    assert file_name("a?b#c") == "a?b#c"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a\0b", "NUL"),
        (b"a\0b", "NUL"),
        ("file:///a%00b", "NUL"),
        ("file://elsewhere/a", "elsewhere"),
        ("file:a", "absolute"),
        ("file:///a?b", "query"),
        ("file:///a#b", "fragment"),
        ("file:///a%2Fb", "slash"),
    ],
)
def test_no_names(path: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        file_name(path)


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"offset": -1}, ValueError),
        ({"offset": 2**63}, ValueError),
        ({"offset": 1.0}, TypeError),
        ({"offset": True}, TypeError),
        ({"length": -1}, ValueError),
        ({"length": "1"}, TypeError),
        ({"headers": True}, TypeError),
        ({"headers": {"a b": "c"}}, ValueError),
        ({"headers": {"a": "c\n"}}, ValueError),
        ({"headers": {":status": 204}}, trio_h2.LocalProtocolError),
        ({"headers": 205}, trio_h2.LocalProtocolError),
        ({"headers": {":status": "304"}}, trio_h2.LocalProtocolError),
        ({"trailers": {":status": "200"}}, ValueError),
        ({"trailers": {"a": "b\n"}}, ValueError),
        ({"path": 5}, TypeError),
        ({"path": "a\0b"}, ValueError),
        ({"path": None}, TypeError),
    ],
)
async def test_bad_arguments_do_nothing(root: Path, arguments: dict[str, object], error: type[Exception]) -> None:
    """They are for the caller, not for on_error, and the stream can still answer."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        asked = {"path": root / "absent", "on_error": never, "stat_check": never, **arguments}
        with pytest.raises(error):
            await respond_with_file(stream, **asked)  # type: ignore[arg-type]
        await stream.respond(body=b"fine")

    async with session_with(handler) as session:
        assert (await ask(session)).body == b"fine"


async def test_headers_sent_before(root: Path) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond(200)
        with pytest.raises(trio_h2.LocalProtocolError, match="already"):
            await respond_with_file(stream, root / "absent")
        await stream.send_all(b"fine")

    async with session_with(handler) as session:
        assert (await ask(session)).body == b"fine"


# -- stat_check --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["function", "async function"])
async def test_stat_check_edits_headers(root: Path, kind: str) -> None:
    seen: list[tuple[int, HeaderFields]] = []

    def check(status: os.stat_result, headers: HeaderFields) -> object:
        seen.append((status.st_size, dict(headers)))
        headers["Last-Modified"] = "then"
        headers["x"] = ["1", "2"]
        headers[":status"] = 203
        headers["content-length"] = 99
        headers.pop("gone")
        return None

    async def check_later(status: os.stat_result, headers: HeaderFields) -> object:
        await trio.lowlevel.checkpoint()
        return check(status, headers)

    given = [("last-modified", "now"), ("gone", "x"), ("many", "1"), ("many", "2")]
    stat_check = check if kind == "function" else check_later
    async with session_with(with_file(root / "a.txt", given, stat_check=stat_check)) as session:
        got = await ask(session)
        assert (got.status, got.body) == (203, b"hello\n")
        assert got.headers["last-modified"] == "then"
        assert got.headers.get_all("x") == ["1", "2"]
        assert got.headers.get_all("many") == ["1", "2"]
        assert got.headers.get_all("content-length") == ["6"]
        assert "gone" not in got.headers
    assert seen == [(6, {"last-modified": "now", "gone": "x", "many": ["1", "2"]})]


async def test_sensitive_fields_stay_sensitive(root: Path) -> None:
    given = trio_h2.Headers({"x-key": "secret", "x": "y"}, sensitive=["x-key"])
    handler = with_file(root / "a.txt", given, stat_check=lambda _status, headers: headers.update({"z": "1"}))
    async with session_with(handler) as session:
        got = await ask(session)
        assert got.headers.sensitive == {"x-key"}
        assert got.headers["z"] == "1"


@pytest.mark.parametrize("result", [None, True, 0, "", []])
async def test_only_false_cancels(root: Path, result: object) -> None:
    async with session_with(with_file(root / "a.txt", stat_check=lambda *_: result)) as session:
        assert (await ask(session)).body == b"hello\n"


@pytest.mark.parametrize("result", [False, None])
async def test_stat_check_answers_itself(root: Path, result: bool | None) -> None:
    """By returning False; a response that was sent says the same."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        async def check(_status: os.stat_result, _headers: HeaderFields) -> bool | None:
            await stream.respond({":status": 304, "etag": '"x"'})
            return result

        await respond_with_file(stream, root / "a.txt", stat_check=check, on_error=never)

    async with session_with(handler) as session:
        got = await ask(session)
        assert (got.status, got.headers["etag"], got.body) == (304, '"x"', b"")


async def test_cancelled_without_an_answer(root: Path) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await respond_with_file(stream, root / "a.txt", stat_check=lambda *_: False)
        await stream.respond(body=b"another answer")

    async with session_with(handler) as session:
        assert (await ask(session)).body == b"another answer"


# -- failures before the headers ---------------------------------------------------------------------------------------


def no_content(_status: os.stat_result, headers: HeaderFields) -> None:
    """Leaves the file without a place."""
    headers[":status"] = "304"


def broken_check(_status: os.stat_result, _headers: HeaderFields) -> None:
    """Has a bug."""
    raise ZeroDivisionError("broken")


FAILURES = [
    ("absent", {}, FileNotFoundError),
    ("sub", {}, IsADirectoryError),
    ("fifo", {}, OSError),
    ("socket", {}, OSError),
    ("loop", {}, OSError),
    ("a.txt/x", {}, NotADirectoryError),
    ("a.txt", {"stat_check": broken_check}, ZeroDivisionError),
    ("a.txt", {"stat_check": no_content}, trio_h2.LocalProtocolError),
    ("a.txt", {"headers": {"connection": "close"}}, ValueError),
    ("a.txt", {"headers": {":status": "x"}}, ValueError),
]


@pytest.mark.parametrize(("name", "arguments", "error"), FAILURES)
@pytest.mark.parametrize("kind", ["function", "async function"])
async def test_on_error_answers(
    root: Path, name: str, arguments: dict[str, object], error: type[Exception], kind: str
) -> None:
    seen: list[Exception] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        async def answer(exc: Exception) -> None:
            seen.append(exc)
            await stream.respond(404, body=b"sorry")

        on_error = answer if kind == "async function" else seen.append
        await respond_with_file(stream, root / name, on_error=on_error, **arguments)  # type: ignore[arg-type]
        if kind == "function":
            await stream.respond(404, body=b"sorry")

    async with session_with(handler) as session:
        got = await ask(session)
        assert (got.status, got.body) == (404, b"sorry")
    assert [type(exc) is error or (error is OSError and isinstance(exc, OSError)) for exc in seen] == [True]


@pytest.mark.parametrize(("name", "arguments", "error"), FAILURES)
async def test_without_on_error_the_stream_is_destroyed(
    root: Path, name: str, arguments: dict[str, object], error: type[Exception]
) -> None:
    handler = with_file(root / name, **arguments)
    async with scripted_client(handler) as (_, peer):
        stream_id = await peer.request()
        with trio.fail_after(PATIENCE):
            await peer.expect_rst(stream_id, code=ErrorCode.INTERNAL_ERROR)
        await peer.expect_nothing()
    assert isinstance(handler.error, error)


async def test_an_error_that_nobody_handles_is_logged_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await respond_with_file(stream, root / "absent")

    async with session_with(handler, raise_handler_errors=False) as session:
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await ask(session)
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
    (record,) = caplog.records
    assert "raised" in record.getMessage()


async def test_an_error_of_on_error_is_the_callers(root: Path) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(ZeroDivisionError):
            await respond_with_file(stream, root / "absent", on_error=lambda _exc: 1 / 0)
        await stream.respond(body=b"fine")

    async with session_with(handler) as session:
        assert (await ask(session)).body == b"fine"


async def test_nobody_asks_on_error_when_the_client_has_left(root: Path) -> None:
    results: list[Exception] = []
    opened = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        async def check(*_: object) -> None:
            opened.set()
            await gone.wait()

        try:
            await respond_with_file(stream, root / "a.txt", stat_check=check, on_error=never)
        except Exception as exc:
            results.append(exc)

    gone = trio.Event()
    async with scripted_client(handler, cancel_handler_on_reset=False) as (_, peer):
        stream_id = await peer.request()
        await opened.wait()
        await peer.send_rst(stream_id, ErrorCode.CANCEL)
        await peer.ping()
        gone.set()
        await peer.expect_nothing()
    (error,) = results
    assert isinstance(error, trio_h2.StreamResetError)


# -- failures after the headers ----------------------------------------------------------------------------------------


async def test_a_file_that_shrinks(root: Path) -> None:
    handler = with_file(root / "big.bin", on_error=never)
    async with scripted_client(handler) as (_, peer):
        stream_id = await peer.request()
        headers = await peer.expect_headers(stream_id)
        assert (b"content-length", b"1000003") in headers.fields
        os.truncate(root / "big.bin", 300_000)
        await peer.send_window_update(0, 2**20)
        await peer.send_window_update(stream_id, 2**20)
        with trio.fail_after(PATIENCE):
            await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.INTERNAL_ERROR)
    assert isinstance(handler.error, files.TruncatedFileError)
    assert "700003 bytes" in str(handler.error)


async def test_a_read_that_fails_midway(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, size: int, position: int) -> bytes:
        if position >= 2 * _reading.CHUNK:
            raise OSError(5, "Input/output error")
        return os.pread(fd, size, position)

    monkeypatch.setattr(_reading, "pread", broken)
    handler = with_file(root / "big.bin", on_error=never, trailers={"never": "sent"})
    async with session_with(handler) as session, session.request("GET") as stream:
        await stream.receive_response()
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await read_all(stream)
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
    assert isinstance(handler.error, OSError)
    assert handler.error.errno == 5


async def test_cancelled_in_the_body(root: Path) -> None:
    """A body that was cut never looks complete: not even if the handler goes on and returns."""
    taken = trio.Event()

    async def handler(stream: trio_h2.ServerStream) -> None:
        async with trio.open_nursery() as nursery:

            async def respond() -> None:
                await respond_with_file(stream, root / "big.bin")

            nursery.start_soon(respond)
            await taken.wait()
            nursery.cancel_scope.cancel()

    async with session_with(handler) as session, session.request("GET") as stream:
        await stream.receive_response()
        await stream.receive_some()
        taken.set()
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await read_all(stream)
        assert caught.value.code == ErrorCode.CANCEL
