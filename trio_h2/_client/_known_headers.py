"""What has become of headers that were passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .. import Headers

_MOST: Final = 64
_MOST_FIELDS: Final = 40
_LONGEST: Final = 2048
_SECRET: Final = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))


class KnownHeaders:
    """Remembers the headers that were made of others: clients and servers send the same ones again and again.

    What is long is made anew each time, and so is what has a secret in it.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Headers] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, headers: Headers, facts: tuple[object, ...], make: Callable[[], Headers]) -> Headers:
        """Returns what was made of equal headers, or makes it.

        Args:
            headers: what it is made of.
            facts: whatever else it depends on.
            make: makes it.
        """
        raw = headers.raw
        if len(raw) > _MOST_FIELDS or headers.sensitive:
            return make()
        key = (facts, *raw)
        found = self._known.get(key)
        if found is None:
            found = make()
            if not any(name in _SECRET for name, _ in raw) and sum(len(value) for _, value in raw) <= _LONGEST:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[key] = found
        return found
