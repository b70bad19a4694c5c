"""Sends files: as bodies, and in forms."""

from pathlib import Path

import trio_h2


async def upload(client: trio_h2.Client, url: str, file: Path) -> None:
    response = await client.put(url, body=file)
    response.raise_for_status()


async def upload_log(client: trio_h2.Client, url: str, file: Path) -> None:
    with file.open("rb") as opened:
        opened.seek(100)
        response = await client.put(url, body=opened)  # what follows the first hundred bytes
    response.raise_for_status()


async def send_form(client: trio_h2.Client, url: str, photo: Path) -> None:
    response = await client.post(
        url,
        data={"title": "At the sea", "tags": ["summer", "sea"]},
        files={
            "photo": photo,
            "note": ("note.txt", b"It was warm.", "text/plain"),
        },
    )
    response.raise_for_status()
