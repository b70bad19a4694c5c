"""Calls of our own code on three journeys through a server, see `journeys`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks import _children
from tests.benchmarks._result import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options


def rows(options: Options) -> Iterator[Row]:
    """Counts each journey; there is nothing to repeat."""
    found = _children.smallest(options, 1, "journeys")
    for name in next(iter(found.values())):
        group = f"journey: {name.removesuffix(', files')}"
        for who, numbers in found.items():
            yield Row(group, who, numbers[name], "files" if name.endswith(", files") else "own calls", "lower")
