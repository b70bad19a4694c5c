"""The page that single-page applications want for every path that only their script knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.files.tools import HTML, TEXT, ask, session_with
from trio_h2.files import DirectoryHandler

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", ["/settings", "/users/7/notes", "/v1.2/users/", "/sub/deep", "/sub/deep/", "/"])
async def test_a_path_without_a_file_gets_the_fallback(root: Path, path: str) -> None:
    """As an ordinary file: with its type and tag, and 304 to a client that has it."""
    async with session_with(DirectoryHandler(root, fallback="sub/index.html")) as session:
        got = await ask(session, path)
        assert (got.status, got.body, got.headers["content-type"]) == (200, b"<p>index</p>", HTML)
        same = await ask(session, path, headers={"if-none-match": got.headers["etag"]})
        assert same.status == 304
        head = await ask(session, path, "HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "12")


@pytest.mark.parametrize(
    ("path", "status", "content_type"),
    [
        ("/a.txt", 200, TEXT),  # a file
        ("/sub/", 200, HTML),
        ("/sub", 301, TEXT),
        ("/app.js", 404, TEXT),  # a script that is missing must not be a page
        ("/users/7/picture.png?large", 404, TEXT),
        ("/.env", 404, TEXT),
        ("/../secret", 404, TEXT),
    ],
)
async def test_other_paths_are_answered_as_ever(root: Path, path: str, status: int, content_type: str) -> None:
    async with session_with(DirectoryHandler(root, fallback="sub/index.html")) as session:
        got = await ask(session, path)
        assert (got.status, got.headers["content-type"]) == (status, content_type)
        assert (await ask(session, "/settings", "POST")).status == 405


async def test_without_an_index_a_directory_gets_the_fallback(root: Path) -> None:
    async with session_with(DirectoryHandler(root, index=None, fallback="a.txt")) as session:
        for path in ("/sub", "/sub/"):
            got = await ask(session, path)
            assert (got.status, got.body) == (200, b"hello\n")


async def test_a_fallback_that_is_missing_is_404(root: Path) -> None:
    async with session_with(DirectoryHandler(root, fallback="nothing.html")) as session:
        assert (await ask(session, "/settings")).status == 404


@pytest.mark.parametrize("fallback", ["", "sub/", "/index.html", "../secret", "a\0b"])
def test_what_is_no_file_below_the_directory_is_refused(root: Path, fallback: str) -> None:
    with pytest.raises(ValueError, match="fallback must be the path of a file below the directory"):
        DirectoryHandler(root, fallback=fallback)
