"""`--reload`: which files of an application have changed."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import trio

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_INTERVAL: Final = 0.4
"""Seconds between two looks, at least."""
_SHARE: Final = 10
"""A look takes at most this part of the time."""


class SourceWatch:
    """Looks again and again at the files below some directories.

    Hidden directories, virtual environments, and those of caches and packages of JavaScript are left out.

    Args:
        directories: where the files are.
        patterns: what is looked at beside Python's files, e.g. ``*.html``.

    Raises:
        UsageError: a directory does not exist.
    """

    def __init__(self, directories: Sequence[str], patterns: Sequence[str] = ()) -> None:
        for directory in directories:
            if not os.path.isdir(directory):
                raise UsageError(f"--reload-dir {directory} is not a directory")
        self._directories = directories
        self._patterns = ("*.py", *patterns)
        self._seen = dict(self._look())

    async def wait_changed(self) -> list[str]:
        """Waits until files have been changed, made or removed since the last time; returns which."""
        while True:
            begun = trio.current_time()
            now = await trio.to_thread.run_sync(lambda: dict(self._look()))
            changed = sorted(path for path, _ in self._seen.items() ^ now.items())
            self._seen = now
            if changed:
                return list(dict.fromkeys(changed))
            await trio.sleep(max(_INTERVAL, _SHARE * (trio.current_time() - begun)))

    def _look(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yields each file, with what changes when it does."""
        for directory in self._directories:
            for where, below, files in os.walk(directory):
                below[:] = [name for name in below if self._is_source(where, name)]
                for name in files:
                    path = os.path.join(where, name)
                    if any(PurePath(path).match(pattern) for pattern in self._patterns):
                        try:
                            status = os.stat(path)
                        except OSError:  # it is gone, or a link to nowhere
                            continue
                        yield path, (status.st_mtime_ns, status.st_size)

    def _is_source(self, where: str, name: str) -> bool:
        return (
            not name.startswith(".")
            and name not in ("__pycache__", "node_modules")
            and not os.path.exists(os.path.join(where, name, "pyvenv.cfg"))
        )
