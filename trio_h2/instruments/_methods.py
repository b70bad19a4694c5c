"""Methods as labels of figures: a client may send any word, and each one would be a figure of its own."""

from __future__ import annotations

from typing import Final

KNOWN_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
"""Those of RFC 9110, PATCH and QUERY."""


def known_method(method: str | None) -> str:
    """Returns a method, ``"_OTHER"`` for one that is not known: so say the semantic conventions of OpenTelemetry."""
    return method if method in KNOWN_METHODS and method is not None else "_OTHER"
