"""Fifty downloads at once, with retries: docs/downloads.md."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import downloads
import trio

import trio_h2
from tests.docs.conftest import contents, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PATHS = [f"/files/{number}" for number in range(200)]
BODY = bytes(range(256)) * 512


class Troubled:
    """A server on which much goes wrong the first time."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.running = 0
        self.most = 0

    async def handle(self, stream: trio_h2.ServerStream) -> None:
        self.asked[stream.path] += 1
        first, number = self.asked[stream.path] == 1, int(stream.path.rpartition("/")[2])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if number == 7:
                await stream.respond(404, body=b"")
            elif first and number % 10 == 1:
                await stream.respond(503, body=b"later")
            elif first and number % 10 == 2:
                await stream.respond({"content-length": len(BODY)})
                await stream.send_all(BODY[:1000])
                stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR)
            elif first and number == 53:
                stream.session.shutdown()  # other requests are told to go elsewhere
                await stream.respond(200, body=BODY)
            elif first and number == 113:
                stream.session.destroy()
            else:
                await stream.respond(200, body=BODY)
        finally:
            self.running -= 1


async def test_all_files_arrive_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But the one that does not exist, which is asked for once."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    server = Troubled()
    async with serving(server.handle) as running:
        with trio.fail_after(30):
            failed = await downloads.download_all(running.urls[0], tmp_path, PATHS)
    assert failed == ["/files/7"]
    assert contents(tmp_path) == {f"files_{number}": BODY for number in range(200) if number != 7}
    assert server.asked["/files/7"] == 1
    assert server.most <= downloads.AT_ONCE


async def test_a_server_that_is_not_there_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    async with serving(Troubled().handle) as running:
        url = running.urls[0]
    with trio.fail_after(30):
        assert sorted(await downloads.download_all(url, tmp_path, ["/1", "/2"])) == ["/1", "/2"]
