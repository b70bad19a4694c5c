"""A request of a client that instruments may add fields to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._wire._headers import Headers, encode_name, encode_value

if TYPE_CHECKING:
    from .._wire._headers import RawField


class OutgoingRequest:
    """A request that a client is about to send."""

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        """The request with its pseudo-headers, without what is added."""
        self.added: list[RawField] = []
        """What instruments have added."""
        self.stream_id: int | None = None
        """Known from `Instrument.request_sent` on."""

    def add_field(self, name: str, value: str) -> None:
        """Adds a header field, unless the request has one of this name.

        Raises:
            ValueError: a name or value is not allowed.
        """
        if name.startswith(":"):
            raise ValueError(f"an instrument adds no pseudo-header, such as {name!r}")
        field = encode_name(name)
        encoded = encode_value(field, value)
        if self.headers.first(field) is None:
            self.added.append((field, encoded))
