"""What goes before and after the body of a response, before it is sent: status, header fields, trailers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_h2 import Headers

from .._checks import NO_CONTENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._fields import HeaderValue


class ResponseHead:
    """Status, header fields and trailers as they are set, each checked at once. Whether they may be set is not its
    business: `Response` knows what was sent.
    """

    def __init__(self) -> None:
        self.status = 200
        self.fields: dict[str, HeaderValue] = {}
        """By name, in lower case."""
        self.trailers: dict[str, HeaderValue] = {}
        self.touched = False
        """Something was set."""
        self._sensitive: set[str] = set()

    def set_status(self, status: int) -> None:
        """Sets a status that was checked."""
        self.status = status
        self.touched = True

    def set(self, name: str, value: HeaderValue) -> None:
        """Sets a field that was checked, in place of one that was set before."""
        self.fields[name] = value
        self.touched = True

    def append(self, name: str, value: HeaderValue) -> None:
        """Adds a field that was checked to those of this name."""
        before = self.fields.get(name)
        self.set(name, value if before is None else [*_several(before), *_several(value)])

    def update(self, status: int, fields: Sequence[tuple[str, HeaderValue]], sensitive: frozenset[str]) -> None:
        """Sets a status and several fields, which were checked."""
        self.status = status
        self.fields.update(fields)
        self._sensitive |= sensitive

    def add_trailers(self, fields: Sequence[tuple[str, HeaderValue]]) -> None:
        """Adds trailers, which were checked."""
        self.trailers.update(fields)
        self.touched = True

    @property
    def no_content(self) -> bool:
        """Whether the status says that there is no body."""
        return self.status in NO_CONTENT

    def headers(self) -> Headers:
        """Returns all of it, but for the trailers, as it is sent."""
        fields: list[tuple[str, HeaderValue]] = [(":status", self.status), *self.fields.items()]
        if self.status in (204, 205):  # the body is dropped, and so is its length
            fields = [field for field in fields if field[0] != "content-length"]
        return Headers(fields, sensitive=self._sensitive)


def _several(value: HeaderValue) -> Sequence[str | int]:
    return [value] if isinstance(value, str | int) else value
