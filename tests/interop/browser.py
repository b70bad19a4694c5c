"""Chromium without a window, told all it needs by its command line."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from tests.interop.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.processes import Finished


async def open_page(chromium: str, url: str, profile: Path, *options: str) -> Finished:
    """Opens a page, lets its scripts run, and returns the document as they have left it.

    Args:
        chromium: The program.
        url: What to open.
        profile: A folder for what the browser remembers.
        options: Further options, such as `--screenshot=FILE`.
    """
    return await run(
        chromium,
        "--headless",
        "--no-sandbox",  # root has none
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=20000",
        *options,
        "--dump-dom",
        url,
    )


class Document(HTMLParser):
    """The text in a document, by the ids of its elements and by the cells of its tables.

    Args:
        markup: What the browser has returned.
    """

    _EMPTY = frozenset({"meta", "input", "link", "br", "img"})

    def __init__(self, markup: str) -> None:
        super().__init__()
        self._open: list[tuple[str, str | None]] = []
        self._texts: dict[str, list[str]] = {}
        self.tags: dict[str, int] = {}
        """How many elements there are of each name."""
        self.rows: list[list[str]] = []
        """The rows of all tables, without their heads."""
        self.feed(markup)

    def text(self, element_id: str) -> str:
        """Returns the text of an element, with single spaces."""
        return re.sub(r"\s+", " ", "".join(self._texts.get(element_id, []))).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        if tag not in self._EMPTY:
            self._open.append((tag, dict(attrs).get("id")))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        for texts in (self._texts.get(element_id) for _, element_id in self._open if element_id):
            if texts is not None:
                texts.append(" ")

    def handle_data(self, data: str) -> None:
        if any(tag == "td" for tag, _ in self._open):
            self.rows[-1][-1] += data
        for _, element_id in self._open:
            if element_id is not None:
                self._texts.setdefault(element_id, []).append(data)
