"""An error that is a response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_h2 import Headers

from .._checks import is_int
from ._fields import check_fields
from ._text import encode_text

if TYPE_CHECKING:
    from trio_h2 import HeadersInput


class HTTPError(Exception):
    """A request that is answered with an error status: raise it in a handler, and it becomes the response.

    It does so if the response's headers have not been sent; what was set on the `Response` before is dropped. The body
    readers of `Request` raise it for bodies that are too large or not what they should be. It is not logged.

    Args:
        status: 400 … 599.
        body: bytes, or text, which is sent as UTF-8 with ``content-type: text/plain`` unless *headers* has another.
        headers: further header fields.

    Raises:
        TypeError, ValueError: the status or a header is not allowed, or the text has a lone surrogate.
    """

    status: int
    """The status of the response."""
    body: bytes
    """The body of the response."""
    headers: Headers
    """The header fields of the response, without ``:status``."""

    def __init__(self, status: int, body: bytes | str = b"", *, headers: HeadersInput | None = None) -> None:
        if not is_int(status):
            raise TypeError(f"the status must be an int, not {type(status).__name__}")
        if not 400 <= status <= 599:
            raise ValueError(f"the status of an error must be from 400 to 599, not {status}")
        super().__init__(status, body)
        self.status = status
        self.headers = Headers([] if headers is None else check_fields(headers))
        if isinstance(body, str):
            self.body = encode_text(body)
            if "content-type" not in self.headers:
                self.headers = Headers([*self.headers.raw, ("content-type", "text/plain; charset=utf-8")])
        else:
            self.body = bytes(memoryview(body))

    def __str__(self) -> str:
        text = self.body.decode("utf-8", "replace")
        return f"{self.status} {text}".rstrip()
