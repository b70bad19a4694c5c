"""Exchanges that are no HTTP/2 streams: all that is asked of them is in the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.files.tools import BIG, descriptors
from trio_h2 import ErrorCode, Headers
from trio_h2.files import DirectoryHandler, TruncatedFileError, respond_with_fd, respond_with_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from trio_h2 import HeadersInput
    from trio_h2.files import FileExchange


class Recorder:
    """An exchange that has nothing but that."""

    def __init__(self, path: str = "/", method: str = "GET", headers: dict[str, str] | None = None) -> None:
        self.headers = Headers({":method": method, ":path": path, **(headers or {})})
        self.method = method
        self.path = path
        self.sent: Headers | None = None
        self.body = b""
        self.ended = False
        self.trailers: Headers | None = None
        self.code: int | None = None
        self.error: BaseException | None = None

    @property
    def headers_sent(self) -> bool:
        return self.sent is not None

    async def respond(
        self, headers: HeadersInput | int | None = None, *, body: bytes | None = None, end_stream: bool = False
    ) -> None:
        assert not isinstance(headers, int)
        self.sent = Headers(headers or {})
        self.body = body or b""
        self.ended = end_stream or body is not None
        await trio.lowlevel.checkpoint()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        assert self.sent is not None
        assert not self.ended
        self.body += data
        await trio.lowlevel.checkpoint()

    async def send_trailers(self, headers: HeadersInput) -> None:
        self.trailers = Headers(headers)
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        self.ended = True
        await trio.lowlevel.checkpoint()

    def reset(self, code: int = 0) -> None:
        self.code = code

    def destroy(self, error: BaseException | None = None) -> None:
        self.error = error


def check(exchange: FileExchange) -> FileExchange:
    """Lets the type checker say that it is one."""
    return exchange


async def test_a_file(root: Path) -> None:
    exchange = Recorder()
    await respond_with_file(check(exchange), root / "big.bin", trailers={"x": "y"})
    assert exchange.sent is not None
    assert exchange.sent["content-length"] == str(len(BIG))
    assert exchange.body == BIG
    assert exchange.trailers == {"x": "y"}
    assert exchange.code is None


async def test_a_file_without_trailers(root: Path) -> None:
    for name in ("a.txt", "empty"):
        exchange = Recorder()
        await respond_with_file(exchange, root / name)
        assert exchange.body == (root / name).read_bytes()
        assert exchange.ended
        assert exchange.code is None


async def test_a_descriptor(root: Path) -> None:
    with (root / "big.bin").open("rb") as file:
        exchange = Recorder()
        await respond_with_fd(exchange, file, offset=5, length=200_000)
        assert exchange.body == BIG[5:200_005]
        exchange = Recorder()
        with pytest.raises(TruncatedFileError):
            await respond_with_fd(exchange, file, {"content-length": len(BIG) + 1})
        assert exchange.body == BIG
        assert exchange.code == ErrorCode.INTERNAL_ERROR


async def test_a_failure(root: Path) -> None:
    exchange = Recorder()
    with pytest.raises(FileNotFoundError) as caught:
        await respond_with_file(exchange, root / "absent")
    assert exchange.error is caught.value
    assert exchange.sent is None


async def test_a_directory(root: Path) -> None:
    before = descriptors()
    handler = DirectoryHandler(root)
    for headers, status, body in [({}, "200", BIG), ({"range": "bytes=5-9"}, "206", BIG[5:10])]:
        exchange = Recorder("/big.bin", headers=headers)
        await handler(exchange)
        assert exchange.sent is not None
        assert (exchange.sent[":status"], exchange.body) == (status, body)
    for path, method, status in [("/absent", "GET", "404"), ("/a.txt", "PUT", "405"), ("*", "OPTIONS", "204")]:
        exchange = Recorder(path, method)
        await handler(exchange)
        assert exchange.sent is not None
        assert (exchange.sent[":status"], exchange.ended) == (status, True)
    assert descriptors() == before


async def test_everything_is_a_checkpoint(root: Path) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: respond_with_file(Recorder(), root / "empty"),
        lambda: respond_with_file(Recorder(), root / "a.txt", stat_check=lambda *_: False),
        lambda: respond_with_file(Recorder(), root / "absent", on_error=lambda _: None),
        lambda: respond_with_fd(Recorder(method="HEAD"), -1),
        lambda: DirectoryHandler(root)(Recorder("/a.txt", "PUT")),
    ]
    for call in calls:
        with trio.testing.assert_checkpoints():
            await call()
