"""The timeouts of httpx as ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from .. import Timeouts

_AT_ONCE: Final = 1e-9
"""Seconds that stand for httpx's 0."""


def timeouts_of(extension: object) -> Timeouts:
    """Returns what the extension ``timeout`` of a request asks for: seconds by name, ``None`` for no limit."""
    if not isinstance(extension, Mapping):
        return _timeouts(None, None, None, None)
    return _timeouts(*(extension.get(name) for name in ("connect", "pool", "read", "write")))


@lru_cache(maxsize=64)
def _timeouts(connect: float | None, pool: float | None, read: float | None, write: float | None) -> Timeouts:
    connect, pool, read, write = (
        math.inf if seconds is None else max(seconds, _AT_ONCE) for seconds in (connect, pool, read, write)
    )
    return Timeouts(connect=connect, slot=pool, response=read, idle=read, send=write)
