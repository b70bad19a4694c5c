"""Remembered blocks are bounded, and the least recently used are forgotten first."""

from __future__ import annotations

from trio_h2._wire._hpack._memory import MAX_BLOCKS, MAX_LIST_SIZE, MAX_SIZE, BlockMemory


def test_what_is_kept_is_found() -> None:
    memory: BlockMemory[bytes, str] = BlockMemory()
    assert memory.get(b"a") is None
    assert memory.keep(b"a", "A", 40)
    assert memory.keep(b"b", "B", 50)
    assert (memory.get(b"a"), memory.get(b"b"), memory.get(b"c")) == ("A", "B", None)
    assert memory.size == 90
    memory.clear()
    assert memory.get(b"a") is None
    assert memory.size == 0


def test_the_least_recently_used_goes() -> None:
    memory: BlockMemory[int, str] = BlockMemory()
    for key in range(MAX_BLOCKS):
        memory.keep(key, str(key), 10)
    assert memory.get(0) == "0"
    assert memory.get(1) == "1"
    assert memory.get(0) == "0"
    memory.keep(-1, "new", 10)
    assert memory.get(2) is None
    for key in range(100, 100 + MAX_BLOCKS - 3):
        memory.keep(key, str(key), 10)
    assert memory.get(1) == "1"
    memory.keep(-2, "new", 10)
    assert memory.get(0) is None
    assert memory.get(1) == "1"
    assert memory.size == 10 * MAX_BLOCKS


def test_the_newest_is_used_again_after_another_one() -> None:
    """A shortcut for the block that was used last must not survive another one's turn."""
    memory: BlockMemory[int, str] = BlockMemory()
    for key in range(MAX_BLOCKS):
        memory.keep(key, str(key), 1)
    for key in (0, 1, 0):
        memory.get(key)
    for key in range(100, 100 + MAX_BLOCKS - 1):
        memory.keep(key, str(key), 1)
    assert memory.get(0) == "0"
    assert memory.get(1) is None


def test_the_size_is_bounded() -> None:
    memory: BlockMemory[int, str] = BlockMemory()
    for key in range(40):
        assert memory.keep(key, str(key), MAX_LIST_SIZE)
        assert memory.size <= MAX_SIZE
    kept = [key for key in range(40) if memory.get(key)]
    assert kept == list(range(40 - MAX_SIZE // MAX_LIST_SIZE, 40))
    assert not memory.keep(99, "long", MAX_LIST_SIZE + 1)
    assert memory.get(99) is None


def test_a_key_that_is_kept_again_counts_once() -> None:
    memory: BlockMemory[int, str] = BlockMemory()
    memory.keep(1, "a", 30)
    memory.keep(1, "b", 50)
    assert memory.get(1) == "b"
    assert memory.size == 50
