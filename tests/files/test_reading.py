"""Who closes which descriptor when: an abandoned thread leaves nothing open, and nothing is closed under it."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.files.tools import PATIENCE, descriptors, wait_threads
from trio_h2.files import _reading
from trio_h2.files._reading import BorrowedFile, OpenFile, limiter, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Gate:
    """Holds a thread up in the middle of what it does."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def hold(self) -> None:
        """Waits in the thread until it may go on."""
        self.reached.set()
        assert self.open.wait(PATIENCE)

    async def wait_reached(self) -> None:
        """Waits until the thread is there."""
        await trio.to_thread.run_sync(self.reached.wait, PATIENCE)
        assert self.reached.is_set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def opener_of(path: Path) -> Callable[[], tuple[int, os.stat_result]]:
    return lambda: open_regular(os.fspath(path))


async def test_open_and_read(root: Path) -> None:
    before = descriptors()
    with OpenFile() as file:
        status = await file.open(opener_of(root / "a.txt"))
        assert status.st_size == 6
        assert await file.read(0, 100) == b"hello\n"
        assert await file.read(1, 2) == b"el"
        assert await file.read(6, 2) == b""
        assert len(descriptors()) == len(before) + 1
    assert descriptors() == before
    file.close()


async def test_the_first_octets_may_be_read_along(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[tuple[int, int]] = []

    def counting(fd: int, size: int, position: int) -> bytes:
        reads.append((position, size))
        return os.pread(fd, size, position)

    monkeypatch.setattr(_reading, "pread", counting)
    with OpenFile() as file:
        await file.open(opener_of(root / "a.txt"), ahead=4)
        assert reads == [(0, 4)]
        with trio.testing.assert_checkpoints():
            assert await file.read(0, 100) == b"hell"
        assert reads == [(0, 4)]
        assert await file.read(4, 100) == b"o\n"
        assert await file.read(0, 2) == b"he"
        assert reads[1:] == [(4, 100), (0, 2)]
    with OpenFile() as file:
        await file.open(opener_of(root / "a.txt"), ahead=4)
        assert await file.read(1, 2) == b"el"
        assert await file.read(0, 2) == b"he"


async def test_what_cannot_be_read_along_fails_when_it_is_asked_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int, size: int, position: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_reading, "pread", broken)
    before = descriptors()
    with OpenFile() as file:
        await file.open(opener_of(root / "a.txt"), ahead=4)
        with pytest.raises(OSError, match="Input/output"):
            await file.read(0, 4)
    assert descriptors() == before


async def test_what_fails_leaves_nothing_open(root: Path) -> None:
    before = descriptors()
    for name, error in [("absent", FileNotFoundError), ("sub", IsADirectoryError), ("fifo", OSError)]:
        with OpenFile() as file, pytest.raises(error):
            await file.open(opener_of(root / name))
        assert descriptors() == before


async def test_cancelled_while_it_is_opened(root: Path, gate: Gate) -> None:
    """At once, however long the thread takes; it closes what it then opens."""
    before = descriptors()

    def opener() -> tuple[int, os.stat_result]:
        gate.hold()
        return open_regular(os.fspath(root / "a.txt"))

    with OpenFile() as file, trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file.open, opener)
            await gate.wait_reached()
            scope.cancel()
    assert scope.cancelled_caught
    gate.open.set()
    await wait_threads()
    assert descriptors() == before


async def test_cancelled_after_it_was_opened_in_the_thread(root: Path, gate: Gate) -> None:
    before = descriptors()

    def opener() -> tuple[int, os.stat_result]:
        opened = open_regular(os.fspath(root / "a.txt"))
        gate.hold()
        return opened

    with OpenFile() as file, trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file.open, opener)
            await gate.wait_reached()
            scope.cancel()
    gate.open.set()
    await wait_threads()
    assert descriptors() == before


async def test_cancelled_while_it_is_read(root: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor stays open under the thread, so that its number does not come to mean another file."""
    before = descriptors()
    read: list[bytes] = []

    def slow(fd: int, size: int, position: int) -> bytes:
        gate.hold()
        read.append(os.pread(fd, size, position))
        return read[0]

    monkeypatch.setattr(_reading, "pread", slow)
    with OpenFile() as file, trio.CancelScope() as scope:
        await file.open(opener_of(root / "a.txt"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file.read, 0, 10)
            await gate.wait_reached()
            scope.cancel()
    assert len(descriptors()) == len(before) + 1
    others = [os.open(root / "big.bin", os.O_RDONLY) for _ in range(3)]
    gate.open.set()
    await wait_threads()
    for fd in others:
        os.close(fd)  # raises if it was closed in their place
    assert read == [b"hello\n"]
    assert descriptors() == before


async def test_closed_before_the_thread_begins(root: Path) -> None:
    with OpenFile() as file:
        await file.open(opener_of(root / "a.txt"))
    assert file._read(0, 10) == b""


async def test_our_threads_are_bounded_and_our_own(root: Path, gate: Gate) -> None:
    """A disk that hangs takes no threads from the application."""

    def opener() -> tuple[int, os.stat_result]:
        gate.hold()
        return open_regular(os.fspath(root / "a.txt"))

    default = trio.to_thread.current_default_thread_limiter()
    opened = 0

    async def open_one() -> None:
        nonlocal opened
        with OpenFile() as file:
            await file.open(opener)
            opened += 1

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(open_one)
            await gate.wait_reached()
            await trio.testing.wait_all_tasks_blocked()
            assert limiter().borrowed_tokens == limiter().total_tokens < 30
            assert default.borrowed_tokens == 0
            gate.open.set()
    assert opened == 30
    assert limiter().borrowed_tokens == 0


async def test_each_run_of_trio_has_its_own_limiter() -> None:
    async def other() -> trio.CapacityLimiter:
        return limiter()

    assert limiter() is limiter()
    assert limiter() is not await trio.to_thread.run_sync(trio.run, other)


async def test_a_borrowed_file_keeps_its_owner(root: Path) -> None:
    """File objects close their descriptor when they are collected."""
    owner = (root / "a.txt").open("rb")
    alive = weakref.ref(owner)
    file = BorrowedFile(owner.fileno(), owner)
    del owner
    gc.collect()
    assert await file.read(1, 3) == b"ell"
    assert (await file.status()).st_size == 6
    owner_again = alive()
    assert owner_again is not None
    owner_again.close()
