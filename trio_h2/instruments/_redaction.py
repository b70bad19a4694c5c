"""Which header values may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trio_h2 import Headers

SECRET_FIELDS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})
"""Header fields whose values are left out unless you say otherwise."""
_HARMLESS: Final = frozenset({":method", ":protocol", ":scheme", ":status"})


class Redaction:
    """Says which values are left out.

    Args:
        redact: names of the fields, or ``"all"``: then only method, scheme, protocol and status stay. Fields that must
            never be indexed (RFC 7541 §7.1.3) are left out, too, unless there are no names.

    Raises:
        ValueError: *redact* is another string.
    """

    def __init__(self, redact: Iterable[str] = SECRET_FIELDS) -> None:
        self._all = redact == "all"
        if isinstance(redact, str) and not self._all:
            raise ValueError(f"redact must be names of header fields, or 'all', not {redact!r}")
        self._names = frozenset() if self._all else frozenset(name.lower() for name in redact)
        self._never_indexed = self._all or bool(self._names)

    def hides(self, name: str) -> bool:
        """Whether the value of a field is left out."""
        return name not in _HARMLESS if self._all else name in self._names

    def fields(self, headers: Headers) -> Iterator[tuple[str, bytes, bool, bool]]:
        """Yields name, value, whether the value is hidden, and whether it must never be indexed."""
        sensitive = headers.sensitive
        for raw_name, value in headers.raw:
            name = raw_name.decode("latin-1")
            never = name in sensitive
            yield name, value, (never and self._never_indexed) or self.hides(name), never
