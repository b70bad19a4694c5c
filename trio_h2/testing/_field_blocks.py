"""FieldsInput and settings as tests write them, and as they go into frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import hpack

FieldsInput = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""Header fields: a mapping, or pairs where order and repetition matter. Text is sent as latin-1."""

Number = TypeVar("Number", bound=int)
SettingsInput = Mapping[Number, int] | Iterable[tuple[int, int]]
"""Settings: a mapping, or pairs where order and repetition matter."""


def setting_pairs(settings: SettingsInput[Number]) -> tuple[tuple[int, int], ...]:
    """Returns settings as pairs."""
    return tuple(settings.items() if isinstance(settings, Mapping) else settings)


def field_pair(pair: tuple[str | bytes, str | bytes]) -> tuple[bytes, bytes]:
    """Returns a field as bytes, marked as never-indexed if it was."""
    name, value = (part.encode("latin-1") if isinstance(part, str) else part for part in pair)
    if isinstance(pair, hpack.NeverIndexedHeaderTuple):
        return hpack.NeverIndexedHeaderTuple(name, value)
    return name, value


def split_block(block: bytes, split: int | Sequence[int] | None, limit: int, overhead: int) -> list[bytes]:
    """Cuts an encoded block into the parts that each go into one frame; there is at least one."""
    if split is None:
        sizes, rest = [max(limit - overhead, 0)], limit
    elif isinstance(split, int):
        sizes, rest = [], split
    else:
        sizes, rest = list(split), limit
    if rest < 1:
        raise ValueError("split must be at least 1")
    parts, position = [], 0
    for size in sizes:
        parts.append(block[position : position + size])
        position += len(parts[-1])
    parts += [block[start : start + rest] for start in range(position, len(block), rest)]
    return parts or [b""]
