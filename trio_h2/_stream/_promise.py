"""Server push, on the side that pushes: the request that a server makes itself, and whose it is (RFC 9113 §8.4)."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from typing import TYPE_CHECKING

from .._util import Signal
from .._wire._headers import encode_fields
from .._wire._outbound import content_length_of, request_fields

if TYPE_CHECKING:
    from .._wire._headers import HeadersInput, RawField

_SAFE = (b"GET", b"HEAD")
"""RFC 9113 §8.4: "Promised requests MUST be safe (see Section 9.2.1 of [HTTP]) and cacheable (see Section 9.2.3 of
[HTTP])." These two are the only ones that are both and mean something without knowing the resource."""


class Promise:
    """What a stream that this side pushes has beside a response: it belongs to a handler, and waits its turn."""

    __slots__ = ("parent_id", "turn")

    def __init__(self, parent_id: int) -> None:
        self.parent_id: int = parent_id
        """The id of the stream that the push belongs to."""
        self.turn: Signal = Signal()
        """Set when the first headers may be sent, or never will be; see `PushPort.wait_push_turn`."""


def promise_fields(headers: HeadersInput | None, scheme: str, authority: str) -> list[RawField]:
    """Returns the fields of a request that a server makes itself, GET of ``/`` unless *headers* say otherwise.

    Args:
        headers: the fields, and perhaps pseudo-headers.
        scheme: that of the request which the push belongs to, used unless *headers* have one.
        authority: the same.

    Raises:
        TypeError: a name or a value has the wrong type.
        ValueError: a field is not allowed, the method is neither GET nor HEAD, or the request would have content.
    """
    if isinstance(headers, (Iterator, ItemsView)):
        headers = list(headers)  # looked at twice
    given = [] if headers is None else encode_fields(headers)
    method = next((value for name, value in given if name == b":method"), b"GET")
    if method not in _SAFE:
        raise ValueError(f"only GET and HEAD can be pushed (RFC 9113 §8.4), not {method.decode('latin-1')!r}")
    fields = request_fields(method.decode("ascii"), None, scheme, authority, headers)
    length = content_length_of(fields)
    if length:
        # RFC 9113 §8.4: "Promised requests cannot include any content or a trailer section."
        raise ValueError(f"a pushed request has no content, but content-length is {length}")
    return fields
