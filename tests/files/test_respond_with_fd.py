"""`respond_with_fd`: a file that is open already, perhaps on several streams at once."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.files.tools import BIG, PATIENCE, Caller, ask, descriptors, never, session_with
from tests.stream.harness import scripted_client
from trio_h2 import ErrorCode
from trio_h2.files import TruncatedFileError, _reading, respond_with_fd
from trio_h2.testing import RstStreamFrame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trio_h2.files import HeaderFields

pytestmark = pytest.mark.parity("E5")


@pytest.fixture
def big(root: Path) -> Iterator[int]:
    """A descriptor of the big file, which is still open, and where it was, afterwards."""
    fd = os.open(root / "big.bin", os.O_RDONLY)
    os.lseek(fd, 77, os.SEEK_SET)
    yield fd
    assert os.lseek(fd, 0, os.SEEK_CUR) == 77
    os.close(fd)


def with_fd(*args: object, **kwargs: object) -> Caller:
    """A handler that calls `respond_with_fd`."""
    return Caller(lambda stream: respond_with_fd(stream, *args, **kwargs))  # type: ignore[arg-type]


async def test_without_content_length_the_body_is_what_there_is(big: int) -> None:
    async with session_with(with_fd(big, {"content-type": "a/b"})) as session:
        got = await ask(session)
        assert got.body == BIG
        assert set(got.headers) == {":status", "content-type", "date"}


@pytest.mark.parametrize(
    ("offset", "length", "first", "last"),
    [(0, 10, 0, 10), (0, 0, 0, 0), (7, None, 7, None), (200_000, 300_000, 200_000, 500_000), (2_000_000, 5, 0, 0)],
)
async def test_a_part(big: int, offset: int, length: int | None, first: int, last: int | None) -> None:
    async with session_with(with_fd(big, offset=offset, length=length)) as session:
        assert (await ask(session)).body == BIG[first:last]


async def test_length_is_a_limit(big: int) -> None:
    async with session_with(with_fd(big, offset=1_000_000, length=50)) as session:
        assert (await ask(session)).body == BIG[1_000_000:]


async def test_file_objects(root: Path) -> None:
    with (root / "big.bin").open("rb") as file:
        file.read(5)
        async with session_with(with_fd(file, offset=1)) as session:
            assert (await ask(session)).body == BIG[1:]
        assert file.read(5) == BIG[5:10]
    async with await trio.open_file(root / "big.bin", "rb") as trio_file, session_with(with_fd(trio_file)) as session:
        assert (await ask(session)).body == BIG
    with pytest.raises(ValueError, match="closed"):
        await respond_with_fd(trio_h2.ServerStream.__new__(trio_h2.ServerStream), file)


async def test_one_descriptor_on_many_streams(big: int) -> None:
    """Each reads at its own position, all at once."""
    bodies: dict[int, bytes] = {}

    async def handler(stream: trio_h2.ServerStream) -> None:
        await respond_with_fd(stream, big, offset=int(stream.path[1:]))

    async with session_with(handler) as session, trio.open_nursery() as nursery:

        async def fetch(offset: int) -> None:
            bodies[offset] = (await ask(session, f"/{offset}")).body

        for offset in range(0, 200_000, 10_000):
            nursery.start_soon(fetch, offset)
    assert len(bodies) == 20
    assert all(body == BIG[offset:] for offset, body in bodies.items())


async def test_one_descriptor_on_many_streams_without_pread(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reading, "_CAN_PREAD", False)
    with (root / "big.bin").open("rb") as file:
        bodies: list[bytes] = []
        async with session_with(with_fd(file)) as session, trio.open_nursery() as nursery:

            async def fetch() -> None:
                bodies.append((await ask(session)).body)

            for _ in range(8):
                nursery.start_soon(fetch)
    assert bodies == [BIG] * 8


# -- content-length is the caller's ------------------------------------------------------------------------------------


async def test_content_length_says_how_much_is_sent(big: int) -> None:
    """A file may have grown since the caller looked."""
    async with session_with(with_fd(big, {"content-length": 1000})) as session:
        got = await ask(session)
        assert (got.headers["content-length"], got.body) == ("1000", BIG[:1000])
    async with session_with(with_fd(big, {"content-length": 1000}, length=2000)) as session:
        assert (await ask(session)).body == BIG[:1000]


@pytest.mark.parametrize("arguments", [{}, {"length": 5_000_000}])
async def test_content_length_is_never_missed_unnoticed(big: int, arguments: dict[str, object]) -> None:
    handler = with_fd(big, {"content-length": 2_000_000}, **arguments)
    async with session_with(handler) as session:
        with pytest.raises(trio_h2.StreamResetError) as caught:
            await ask(session)
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
    assert isinstance(handler.error, TruncatedFileError)


async def test_content_length_and_length_that_contradict(big: int) -> None:
    handler = with_fd(big, {"content-length": 2000}, length=1000)
    async with session_with(handler) as session:
        with pytest.raises(trio_h2.StreamResetError):
            await ask(session)
    assert isinstance(handler.error, trio_h2.LocalProtocolError)


async def test_head(big: int) -> None:
    async with scripted_client(with_fd(big, {"content-length": 5}, trailers={"x": "y"})) as (_, peer):
        stream_id = await peer.request("HEAD")
        headers = await peer.expect_headers(stream_id)
        assert headers.end_stream
        assert (b"content-length", b"5") in headers.fields
        await peer.expect_nothing()


async def test_head_reads_nothing() -> None:
    """The descriptor is not looked at before it is read."""
    async with session_with(with_fd(-1, {"x": "y"})) as session:
        assert (await ask(session, method="HEAD")).headers["x"] == "y"


@pytest.mark.parity("D5")
async def test_trailers(big: int) -> None:
    async with session_with(with_fd(big, length=3, trailers={"x-sum": "1"})) as session:
        got = await ask(session)
        assert got.body == BIG[:3]
        assert got.trailers is not None
        assert got.trailers["x-sum"] == "1"


@pytest.mark.parity("D5")
async def test_the_end_is_left_to_the_caller(big: int) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await respond_with_fd(stream, big, length=3, end_stream=False)
        await respond_rest(stream)

    async def respond_rest(stream: trio_h2.ServerStream) -> None:
        await stream.send_all(b"more")
        await stream.send_trailers({"x-sum": "2"})

    async with session_with(handler) as session:
        got = await ask(session)
        assert got.body == BIG[:3] + b"more"
        assert got.trailers is not None


# -- stat_check --------------------------------------------------------------------------------------------------------


async def test_the_status_is_asked_for_only_where_it_is_wanted(big: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        if fd == big and threading.current_thread() is not threading.main_thread():  # which counts descriptors
            asked.append(fd)
        return real(fd)

    def check(status: os.stat_result, headers: HeaderFields) -> None:
        headers["content-length"] = status.st_size
        headers["x"] = "y"

    monkeypatch.setattr(os, "fstat", fstat)
    async with session_with(with_fd(big)) as session:
        await ask(session)
    assert asked == []
    async with session_with(with_fd(big, stat_check=check)) as session:
        got = await ask(session)
        assert (got.headers["content-length"], got.headers["x"], got.body) == (str(len(BIG)), "y", BIG)
    assert asked == [big]


async def test_stat_check_cancels(big: int) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await respond_with_fd(stream, big, stat_check=lambda *_: False)
        await stream.respond({":status": 304})

    async with session_with(handler) as session:
        assert (await ask(session)).status == 304


async def test_no_status(root: Path) -> None:
    handler = with_fd(-1, stat_check=never)
    async with session_with(handler, raise_handler_errors=False) as session:
        assert (await ask(session)).status == 500, "nothing was sent, so the handler's end answers"
    assert isinstance(handler.error, OSError)


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"fd": "a.txt"}, TypeError),
        ({"fd": True}, TypeError),
        ({"offset": -1}, ValueError),
        ({"length": 1.5}, TypeError),
        ({"headers": 204}, trio_h2.LocalProtocolError),
        ({"headers": {":status": 205}}, trio_h2.LocalProtocolError),
        ({"headers": 304}, trio_h2.LocalProtocolError),
        ({"headers": {"connection": "close"}}, ValueError),
        ({"trailers": {":x": "y"}}, ValueError),
    ],
)
async def test_bad_arguments_do_nothing(big: int, arguments: dict[str, object], error: type[Exception]) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        with pytest.raises(error):
            await respond_with_fd(stream, **{"fd": big, **arguments})  # type: ignore[arg-type]
        await stream.respond(body=b"fine")

    async with session_with(handler) as session:
        assert (await ask(session)).body == b"fine"


@pytest.mark.parametrize("what", ["closed", "pipe", "write only", "directory"])
async def test_what_cannot_be_read(root: Path, what: str) -> None:
    """It is not looked at before, so the headers are out: RST_STREAM(INTERNAL_ERROR)."""
    others: list[int] = []
    if what == "pipe":
        fd, other = os.pipe()
        others = [fd, other]
    elif what == "closed":
        fd = os.open(root / "a.txt", os.O_RDONLY)
        os.close(fd)
    else:
        fd = os.open(*((root / "a.txt", os.O_WRONLY) if what == "write only" else (root / "sub", os.O_RDONLY)))
        others = [fd]
    handler = with_fd(fd)
    async with scripted_client(handler) as (_, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id)
        with trio.fail_after(PATIENCE):
            await peer.expect_rst(stream_id, code=ErrorCode.INTERNAL_ERROR)
    for each in others:
        os.close(each)
    assert isinstance(handler.error, OSError)


async def test_a_read_that_fails_midway(big: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, size: int, position: int) -> bytes:
        if position:
            raise OSError(5, "Input/output error")
        return os.pread(fd, size, position)

    monkeypatch.setattr(_reading, "pread", broken)
    async with scripted_client(with_fd(big)) as (_, peer):
        stream_id = await peer.request()
        await peer.expect_headers(stream_id)
        await peer.send_window_update(0, 2**20)
        await peer.send_window_update(stream_id, 2**20)
        with trio.fail_after(PATIENCE):
            await peer.until(RstStreamFrame, stream_id=stream_id, code=ErrorCode.INTERNAL_ERROR)


async def test_a_cut_body_of_unknown_length_never_looks_complete(big: int) -> None:
    """Nothing but the reset tells the client: there is no content-length."""

    async def handler(stream: trio_h2.ServerStream) -> None:
        with trio.CancelScope() as scope:

            async def cancel_later() -> None:
                await taken.wait()
                scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_later)
                await respond_with_fd(stream, big)

    taken = trio.Event()
    before = descriptors()
    async with session_with(handler) as session, session.request("GET") as stream:
        await stream.receive_response()
        await stream.receive_some()
        taken.set()
        with pytest.raises(trio_h2.StreamResetError) as caught:
            while await stream.receive_some():
                pass
        assert caught.value.code == ErrorCode.CANCEL
    assert descriptors() == before, "it is the caller's to close"
