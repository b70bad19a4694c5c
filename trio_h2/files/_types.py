"""Which ``content-type`` a file has, by its name alone, and the same on every machine."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING

from trio_h2 import Headers

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = "application/octet-stream"
# A file that is compressed stays what it is: its name, not a content-encoding, tells what is in it.
_COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": UNKNOWN,
}
# What Python's own table lacks, or has from some version on only.
_ADDED = {
    ".avif": "image/avif",
    ".flac": "audio/flac",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}


class ContentTypes:
    """A table of types by suffix.

    Args:
        additions: more of them, with their dot, in lower case: ``{".foo": "text/x-foo"}``. They come first.
        charset: added to types of text; ``None``: nothing is.

    Raises:
        TypeError, ValueError: a suffix or a type is not allowed.
    """

    def __init__(self, additions: Mapping[str, str] | None = None, *, charset: str | None = "utf-8") -> None:
        # Not the module's functions: those know what the machine's administrator has written somewhere.
        self._table = mimetypes.MimeTypes()
        for suffix, content_type in _ADDED.items():
            self._table.add_type(content_type, suffix)
        self._own: dict[str, str] = {}
        for suffix, content_type in (additions or {}).items():
            if not suffix.startswith(".") or suffix != suffix.lower():
                raise ValueError(f"a suffix begins with a dot and is in lower case, unlike {suffix!r}")
            self._own[suffix] = content_type
        self._charset = charset
        Headers(
            {"content-type": [*self._own.values(), f"text/plain; charset={charset}"]}
        )  # refuses what cannot be sent

    def of(self, name: str) -> str:
        """Returns the type of a file with this name."""
        for suffix, content_type in self._own.items():
            if name.lower().endswith(suffix):
                return content_type
        # As a path: a name like `data:,x` would be taken for a URL.
        guessed, coding = self._table.guess_type(f"./{name}")
        if coding is not None:
            return _COMPRESSED.get(coding, UNKNOWN)
        if guessed is None:
            return UNKNOWN
        return f"{guessed}; charset={self._charset}" if self._charset and guessed.startswith("text/") else guessed
