"""The programs of docs/asgi.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asgi_parts
import visits_asgi

import trio_h2
from tests.docs.conftest import Certificates, program

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_visits(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the page shows: each answer has the visits so far."""
    monkeypatch.setattr(visits_asgi.app, "paths", [])
    async with program(visits_asgi.main, certificates, tmp_path, monkeypatch) as port:
        answers = []
        async with trio_h2.Client(ssl_context=certificates.authority.client_context(["h2", "http/1.1"])) as client:
            for path in ("/first", "/second"):
                async with client.request("GET", f"https://localhost:{port}{path}") as response:
                    answers.append(await response.read())
    assert answers == [b"1. /first\n", b"1. /first\n2. /second\n"]
    assert capsys.readouterr().out == "open for visitors\n2 visits\n"


async def test_the_parts(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(visits_asgi.app, "paths", [])
    async with (
        program(asgi_parts.main, certificates, tmp_path, monkeypatch) as port,
        trio_h2.connect(f"http://localhost:{port}") as session,
        session.request("GET", "/a") as stream,
    ):
        assert await stream.read() == b"1. /visits/a\n"
    assert capsys.readouterr().out == f"open for visitors\nListening on http://localhost:{port}\n1 visits\n"
