"""Priorities, early hints, logs, PINGs: the programs of the shorter pages."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import hints
import logs
import patient
import priorities
import trio

import trio_h2
from tests.docs.conftest import Certificates, program
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from trio.testing import MockClock


async def test_the_most_urgent_is_there_first(autojump_clock: MockClock) -> None:
    async with session_pair(priorities.handler, capacity=65_536) as (session, _):
        done: list[str] = []
        await priorities.load(session, done)
        assert done == ["/data", "/picture", "/film"]
        async with session.request(path="/export") as export, session.request(path="/other") as other:
            priorities.in_the_foreground(export)  # in vain
            await other.read(max_size=priorities.SIZE)
            assert not export.closed
            await export.read(max_size=priorities.SIZE)


async def test_hints_come_before_the_page(autojump_clock: MockClock) -> None:
    async with session_pair(hints.handler) as (session, _):
        async with session.request() as stream:
            hint = await stream.receive_informational()
            assert hint is not None
            assert (hint.status, hint["link"]) == (103, "</style.css>; rel=preload; as=style")
            assert trio.current_time() < 0.1
            assert await stream.read() == hints.PAGE
        async with session.request(path="/style.css") as stream:
            assert await stream.text() == "p { color: teal }"


async def test_the_log_has_a_line_for_each_request(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.Formatter, "converter", logging.Formatter.converter)
    caplog.set_level(logging.INFO)
    async with (
        program(logs.main, certificates, tmp_path, monkeypatch) as port,
        trio_h2.connect(f"http://localhost:{port}") as session,
    ):
        async with session.request(path="/hello") as stream:
            assert await stream.text() == "hello\n"
        async with session.request(path="/bug") as stream:
            assert (await stream.receive_response()).status == 500
        await session.ping()
    lines = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert ("root", "INFO", "asked for /hello") in lines
    assert any(name == "trio_h2.access" and '"GET /hello HTTP/2.0" 200 6' in line for name, _, line in lines)
    assert any((name, level) == ("trio_h2.server", "ERROR") for name, level, _ in lines)


async def test_a_session_can_be_asked_whether_it_is_there(autojump_clock: MockClock) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await trio.sleep_forever()

    async with session_pair(handler, client_config=patient.CONFIG) as (session, server):
        assert await patient.is_there(session)
        server.destroy()
        assert not await patient.is_there(session)
