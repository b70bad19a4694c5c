"""Blocks that were decoded or encoded before."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")

MAX_BLOCKS: Final = 64
MAX_SIZE: Final = 32_768
"""Of all remembered field lists together, as RFC 9113 §6.5.2 counts them."""
MAX_LIST_SIZE: Final = 4096
"""Of one: longer lists are rare, and seldom the same twice."""


class BlockMemory(Generic[_K, _V]):
    """A bounded memory of blocks, of which the least recently used are forgotten first.

    What it holds is true only as long as the dynamic table is unchanged: whoever changes the table clears the memory.
    """

    __slots__ = ("_blocks", "_newest", "_sizes", "size")

    def __init__(self) -> None:
        self._blocks: OrderedDict[_K, _V] = OrderedDict()
        self._sizes: dict[_K, int] = {}
        self._newest: _V | None = None
        self.size = 0
        """Of all remembered field lists, as RFC 9113 §6.5.2 counts them."""

    def get(self, key: _K) -> _V | None:
        """Returns what is remembered for *key*, or `None`."""
        value = self._blocks.get(key)
        if value is not None and value is not self._newest:
            self._blocks.move_to_end(key)
            self._newest = value
        return value

    def keep(self, key: _K, value: _V, size: int) -> bool:
        """Remembers *value*, a list of fields of *size*, and forgets what there is no more room for.

        Returns whether it is remembered: a long list is not.
        """
        if size > MAX_LIST_SIZE:
            return False
        blocks, sizes = self._blocks, self._sizes
        blocks[key] = self._newest = value
        self.size += size - sizes.get(key, 0)
        sizes[key] = size
        while len(blocks) > MAX_BLOCKS or self.size > MAX_SIZE:
            oldest, _ = blocks.popitem(last=False)
            self.size -= sizes.pop(oldest)
        return True

    def clear(self) -> None:
        """Forgets everything."""
        if self._blocks:
            self._blocks.clear()
            self._sizes.clear()
            self._newest = None
            self.size = 0
