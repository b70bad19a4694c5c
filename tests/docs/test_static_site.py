"""A single-page application with an API: docs/static-site.md. What a browser makes of it is in tests/interop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import static_site

import trio_h2
from tests.docs.conftest import Certificates, program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, b"the page"),
        ("/settings/profile", 200, b"the page"),
        ("/app.js", 200, b"the script"),
        ("/missing.js", 404, b"404 Not Found\n"),
        ("/api/anything", 200, b'{"greeting": "hello"}'),
    ],
)
async def test_it_serves_files_page_and_api(
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    status: int,
    body: bytes,
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_bytes(b"the page")
    (site / "app.js").write_bytes(b"the script")
    async with (
        program(static_site.main, certificates, tmp_path, monkeypatch) as port,
        trio_h2.connect(f"https://localhost:{port}", ssl_context=certificates.authority.client_context()) as session,
        session.request("GET", path) as stream,
    ):
        assert ((await stream.receive_response()).status, await stream.read()) == (status, body)
