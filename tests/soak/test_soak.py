"""A short soak; `nox -s soak` runs a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.run import soak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what a process has in /proc")
def test_thousands_of_mixed_requests_leave_nothing() -> None:
    lines: list[str] = []
    run = soak(6000, 20240917, lines.append)
    assert sum(run.seen.values()) == 6000
    assert min(run.seen[kind] for kind in ("cancelled", "cut", "StreamResetError", "StreamRefusedError")) > 50
    assert lines
