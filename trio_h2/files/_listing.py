"""A page that lists what is in a directory."""

from __future__ import annotations

import html
import os
import stat
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST: Final = 10_000
"""Entries that a page has at most: it is made as a whole."""
FIELDS: Final = {
    "content-type": "text/html; charset=utf-8",
    # Names are other people's. Whatever they were to become, it runs nothing.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}
_STYLE: Final = "body{font-family:sans-serif}td{padding-right:2em}td+td{text-align:right;white-space:nowrap}"


def page_of(fd: int, segments: Sequence[str], status_of: Callable[[os.DirEntry[str]], os.stat_result | None]) -> bytes:
    """Returns the page of a directory, directories first. For a worker thread.

    Args:
        fd: the directory.
        segments: the names on the way to it, from the root on.
        status_of: tells what an entry is, for those that are shown; ``None`` for the others.

    Raises:
        OSError: it cannot be read.
    """
    found: list[tuple[bool, str, os.stat_result]] = []
    more = False
    with os.scandir(fd) as entries:
        for entry in entries:
            status = status_of(entry)
            if status is None:
                continue
            if len(found) == MOST:
                more = True
                break
            found.append((not stat.S_ISDIR(status.st_mode), entry.name, status))
    found.sort(key=lambda one: one[:2])
    title = _shown("/" + "".join(f"{name}/" for name in segments))
    rows = ['<tr><td><a href="../">../</a></td><td></td><td></td></tr>'] if segments else []
    rows += [_row(name, status, is_file=is_file) for is_file, name, status in found]
    note = f"<p>Only {MOST} entries are shown.</p>" if more else ""
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n<table>\n{''.join(f'{row}{chr(10)}' for row in rows)}</table>{note}</body></html>\n"
    ).encode()


def _row(name: str, status: os.stat_result, *, is_file: bool) -> str:
    slash = "" if is_file else "/"
    # The dot: no name can be taken for a scheme or a host.
    target = f"./{quote_from_bytes(os.fsencode(name), safe='')}{slash}"
    modified = time.strftime("%Y-%m-%d %H:%M", time.gmtime(status.st_mtime))
    size = status.st_size if is_file else ""
    return f'<tr><td><a href="{target}">{_shown(name)}{slash}</a></td><td>{modified}</td><td>{size}</td></tr>'


def _shown(name: str) -> str:
    """Returns a name for people; bytes that are no UTF-8 become signs for that."""
    return html.escape(os.fsencode(name).decode("utf-8", "replace"))
