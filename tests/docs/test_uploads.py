"""Files as bodies and in forms: docs/uploads.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uploads

import trio_h2
from tests.docs.conftest import serving
from trio_h2 import compat

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_the_page_shows(tmp_path: Path) -> None:
    got: list[object] = []

    @compat.request_handler
    async def handler(request: compat.Request, response: compat.Response) -> None:
        if request.method == "PUT":
            got.append(((await request.read()), request.headers["content-length"]))
        else:
            form = await request.form()
            got.append({name: form.get_all(name) for name in form})
            got.append([(one.name, one.filename, one.content_type, await one.read()) for one in form.files])
        await response.end()

    file = tmp_path / "photo.png"
    file.write_bytes(bytes(1000))
    async with serving(handler) as server, trio_h2.Client(prior_knowledge=True) as client:
        await uploads.upload(client, f"{server.url}/file", file)
        await uploads.upload_log(client, f"{server.url}/file", file)
        await uploads.send_form(client, f"{server.url}/form", file)
    assert got == [
        (bytes(1000), "1000"),
        (bytes(900), "900"),
        {"title": ["At the sea"], "tags": ["summer", "sea"]},
        [
            ("photo", "photo.png", "image/png", bytes(1000)),
            ("note", "note.txt", "text/plain", b"It was warm."),
        ],
    ]
