"""The slow download of the page on traces stalls, and its trace shows that."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import slow_download

from trio_h2._cli import main

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_trace_shows_the_stall(tmp_path: Path) -> None:
    trace = tmp_path / "slow.sqlog"
    await slow_download.main(str(trace), seconds=0.3)
    assert main(["view", str(trace)]) == 0
    found = re.search(r'id="data">(.*?)</script>', (tmp_path / "slow.sqlog.html").read_text(), re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert data["notes"] == []
    (session,) = data["sessions"]
    big, *pages = session["streams"]
    assert (big["path"], big["received"], big["end_how"]) == ("/big.iso", 256 * 16384, "complete")
    assert [page["path"] for page in pages] == [f"/page/{number}" for number in range(5)]
    (stall,) = [stall for stall in big["stalls"] if stall["side"] == "receive"]
    assert stall["limit"] == "stream_window"
    assert max(stall["spans"][2::4]) > 100_000, "most of the 300 ms, in microseconds"
    assert min(big["windows"]["receive"][2::5]) == 0
