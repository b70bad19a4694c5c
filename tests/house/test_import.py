"""`import trio_h2` is quick: what only sessions need is imported by the first of them."""

from __future__ import annotations

import subprocess
import sys

_LOADED = """
import sys
import trio
before = set(sys.modules)
import trio_h2
print(*sorted(set(sys.modules) - before))
"""
# What is slow to import, and where it is used.
_LATER = {
    "email": "`date` fields and content types",
    "h11": "connections of HTTP/1.1",
    "h2": "the engine of a session",
    "http": "the words for a status",
    "json": "bodies of JSON",
    "trio_h2._http1._core": "connections of HTTP/1.1",
    "trio_h2._session._core": "sessions",
    "trio_h2._wire._engine": "sessions",
    "urllib": "static files and multipart bodies",
}


def test_what_only_sessions_need_is_not_imported() -> None:
    output = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True, text=True).stdout
    loaded = set(output.split())
    assert "trio_h2._session._base" in loaded
    early = {name: use for name, use in _LATER.items() if name in loaded}
    assert early == {}, "import it where it is used, if that is no hot path"
