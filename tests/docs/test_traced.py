"""The program on docs/tracing.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import traced
import trio

import trio_h2
from tests.instruments.schema import EVENTS, read
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    import pytest


async def _big(stream: trio_h2.ServerStream) -> None:
    await stream.respond(body=bytes(2_000_000))


async def test_the_trace_of_a_slow_download_shows_the_stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with trio_h2.open_server(_big) as server:
        assert await traced.download(server.url, 0.01) == 2_000_000
    _, events = read(tmp_path / "slow.sqlog")
    stalls = {(event.data["side"], event.data["limit"]) for event in events if event.name == "http2:stalled"}
    assert ("receive", "stream_window") in stalls


async def test_an_own_instrument(capsys: pytest.CaptureFixture[str], autojump_clock: object) -> None:
    async def slow(stream: trio_h2.ServerStream) -> None:
        await trio.sleep(2 if stream.path == "/slow" else 0)
        await stream.respond()

    config = trio_h2.ClientConfig(instruments=[traced.SlowResponses()])
    async with session_pair(slow, client_config=config) as (session, _):
        for path in ("/slow", "/fast"):
            async with session.request(path=path) as stream:
                await stream.receive_response()
    assert capsys.readouterr().out == "http://localhost: /slow took 2.0 s\n"


def test_the_page_names_every_event() -> None:
    """Of the schema that the tests hold traces against."""
    page = Path(__file__).parents[2].joinpath("docs", "tracing.md").read_text()
    names = {name for name in EVENTS if not name.startswith(("head_", "data_", "end_"))}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    for fields in EVENTS.values():
        for name in {**fields[0], **fields[1]}:
            assert f"`{name}`" in page, name
