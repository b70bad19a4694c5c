"""Counts the lines of Python that a call runs: a measure of work that no other process disturbs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def count_lines(call: Callable[[], object]) -> int:
    """Returns how many lines *call* runs, in Python functions."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> object:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]  # the stub wants the type of trace functions, which is recursive
    try:
        call()
    finally:
        sys.settrace(before)
    return lines
