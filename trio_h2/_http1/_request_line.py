"""The first line of a request, on its way to the parser: raw bytes in its path."""

from __future__ import annotations

import re

from .._wire._fields import percent_encoded

# RFC 9112 §3.2: the path begins with the target, or behind the authority of an absolute one.
_path_begins = re.compile(rb"[^ ]+ (?:/|[A-Za-z][A-Za-z0-9+.\-]*://[^/?# ]*[/?])").match
_MOST_BEFORE_THE_PATH = 512


class RequestLine:
    """Percent-encodes bytes above 0x7f in the path and query of one request.

    They do not belong there (RFC 3986 §2), but some clients send the bytes of a name as they are, and
    HTTP/2 lets them pass. h11 would refuse the request.
    """

    __slots__ = ("_before", "_in_path", "_over")

    def __init__(self) -> None:
        self._before = bytearray()
        """What has come of the line while it is not known where its path begins."""
        self._in_path = False
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes of the request; returns what the parser gets."""
        if self._over:
            return data
        end = data.find(b"\n")
        line = data if end < 0 else data[:end]
        self._over = end >= 0
        start = 0
        if not self._in_path:
            known = len(self._before)
            self._before += line
            match = _path_begins(self._before)
            if match is None:
                self._over = self._over or len(self._before) > _MOST_BEFORE_THE_PATH
                return data
            self._in_path = True
            start = max(0, match.end() - known)
        if line.isascii():
            return data
        return line[:start] + percent_encoded(line[start:]) + data[len(line) :]
