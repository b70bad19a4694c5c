"""The program on docs/tracing.md."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import observed
import traced
import trio

import trio_h2
from tests.instruments.schema import EVENTS, read
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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


async def test_figures_and_spans(autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(handler: trio_h2.Handler, config: trio_h2.ServerConfig) -> None:
        async with session_pair(handler, server_config=config) as (session, _):
            for path in ("/", "/metrics"):
                async with session.request(path=path) as stream:
                    answers.append(await stream.text())

    @asynccontextmanager
    async def open_server(
        handler: trio_h2.Handler, port: int, *, config: trio_h2.ServerConfig
    ) -> AsyncGenerator[None, None]:
        await serve(handler, config)
        scope.cancel()
        yield

    answers: list[str] = []
    monkeypatch.setattr(trio_h2, "open_server", open_server)
    with trio.CancelScope() as scope:
        await observed.main()
    assert answers[0] == "hello\n"
    assert 'trio_h2_requests_total{http_version="2",method="GET",role="server",status="200"} 1.0' in answers[1]


def test_the_page_names_every_event() -> None:
    """Of the schema that the tests hold traces against."""
    page = Path(__file__).parents[2].joinpath("docs", "tracing.md").read_text()
    names = {name for name in EVENTS if not name.startswith(("head_", "data_", "end_"))}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    for fields in EVENTS.values():
        for name in {**fields[0], **fields[1]}:
            assert f"`{name}`" in page, name
