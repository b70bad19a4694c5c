"""What goes before the body of a response: status and header fields, set one by one or at once; and the trailers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Self

from trio_h2 import Headers, LocalProtocolError, ServerExchange

from .._checks import NO_CONTENT
from .._util import NoPublicConstructor
from ._fields import check_field, check_fields, check_name, check_status, check_trailers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_h2 import HeadersInput

    from ._fields import HeaderValue

_NO_MESSAGE = "HTTP/2 has no status message, and clients of HTTP/1.1 ignore it: it is not sent"


class ResponseHead(metaclass=NoPublicConstructor):
    """Status, headers and trailers of a `Response`: nothing here is sent."""

    _made_by = "request_handler() makes it for each request"

    def __init__(self, exchange: ServerExchange) -> None:
        self._exchange = exchange
        self._status = 200
        self._fields: dict[str, HeaderValue] = {}
        self._sensitive: set[str] = set()
        self._trailers: dict[str, HeaderValue] = {}
        self._touched = False
        """Something was set."""
        self._head_written = False
        self._ended = False
        self.send_date = True
        """Whether ``date`` is added, unless it is set. Without effect where the server's configuration has it off."""

    def __repr__(self) -> str:
        state = "ended" if self._ended else "headers sent" if self.headers_sent else "not sent"
        return f"<{type(self).__name__} {self._status}, {state}>"

    @property
    def status_code(self) -> int:
        """The status, 200 … 599; 200 unless it is set.

        Setting it raises TypeError or ValueError if it is no such number, LocalProtocolError after the headers.
        """
        return self._status

    @status_code.setter
    def status_code(self, status: int) -> None:
        checked = check_status(status)
        self._check_headers_open()
        self._status = checked
        self._touched = True

    @property
    def status_message(self) -> str:
        """Always empty. Setting it warns: HTTP/2 has no such thing (RFC 9113 §8.3.2)."""
        return ""

    @status_message.setter
    def status_message(self, message: str) -> None:
        warnings.warn(_NO_MESSAGE, stacklevel=2)

    @property
    def headers_sent(self) -> bool:
        """Whether nothing can be set any more: `write_head` was called, or the headers were sent."""
        return self._head_written or self._exchange.headers_sent

    def set_header(self, name: str, value: HeaderValue) -> None:
        """Sets a header field, in place of one that was set before.

        Args:
            name: in any case.
            value: `str` (latin-1) or `int`; a list stands for several fields.

        Raises:
            TypeError: the name or the value has the wrong type.
            ValueError: the name or the value has characters that it may not have; or the field is a pseudo-header, or
                is about the connection.
            LocalProtocolError: the headers have been sent.
        """
        lower, checked = check_field(name, value)
        self._check_headers_open()
        self._fields[lower] = checked
        self._touched = True

    def append_header(self, name: str, value: HeaderValue) -> None:
        """Adds a header field to those of this name that were set before, for ``set-cookie`` above all.

        Raises:
            TypeError, ValueError, LocalProtocolError: as `set_header`.
        """
        lower, checked = check_field(name, value)
        before = self._fields.get(lower)
        self.set_header(lower, checked if before is None else [*_several(before), *_several(checked)])

    def get_header(self, name: str) -> HeaderValue | None:
        """Returns what a header field was set to, ``None`` if it was not."""
        return self._fields.get(name.lower())

    def get_header_names(self) -> list[str]:
        """Returns the names of the header fields that were set, in lower case."""
        return list(self._fields)

    def get_headers(self) -> dict[str, HeaderValue]:
        """Returns the header fields that were set: a copy, though its lists are not."""
        return self._fields.copy()

    def has_header(self, name: str) -> bool:
        """Returns whether a header field was set."""
        return name.lower() in self._fields

    def remove_header(self, name: str) -> None:
        """Takes a header field back; does nothing if it was not set.

        Raises:
            TypeError, ValueError: *name* cannot be one.
            LocalProtocolError: the headers have been sent.
        """
        lower = check_name(name)
        self._check_headers_open()
        self._fields.pop(lower, None)

    def write_head(
        self, status: int, headers: HeadersInput | None = None, *, status_message: str | None = None
    ) -> Self:
        """Settles status and headers, which win over what was set before. They go out with the first octets.

        Args:
            status: 200 … 599.
            headers: a mapping or pairs, in addition to what was set, or in place of it.
            status_message: not sent, and warned about: HTTP/2 has none (RFC 9113 §8.3.2).

        Returns:
            The response, for ``await response.write_head(404).end()``.

        Raises:
            TypeError, ValueError: the status or a header is not allowed.
            LocalProtocolError: it was called before, or the headers have been sent.
        """
        checked = check_status(status)
        fields = check_fields({} if headers is None else headers)
        self._check_headers_open()
        if status_message:
            warnings.warn(_NO_MESSAGE, stacklevel=2)
        self._status = checked
        self._fields.update(fields)
        if isinstance(headers, Headers):
            self._sensitive |= headers.sensitive
        self._head_written = True
        return self

    def _check_headers_open(self) -> None:
        if self.headers_sent:
            raise LocalProtocolError("the headers of the response have been sent already")
        if self._ended:
            raise LocalProtocolError("the response has ended")

    def add_trailers(self, headers: HeadersInput) -> None:
        """Adds trailers, which `end` sends; dropped where a response has no body.

        Raises:
            TypeError, ValueError: a field is not allowed (RFC 9110 §6.5.1).
            LocalProtocolError: the response has ended.
        """
        fields = check_trailers(headers)
        self._check_open()
        self._trailers.update(fields)
        self._touched = True

    # -- for the response ---------------------------------------------------------------------------------------------

    @property
    def _bodiless(self) -> bool:
        """Whether a body is dropped."""
        return self._status in NO_CONTENT or self._exchange.method == "HEAD"

    def _head(self) -> Headers:
        fields: list[tuple[str, HeaderValue]] = [(":status", self._status), *self._fields.items()]
        if self._status in (204, 205):  # the body is dropped, and so is its length
            fields = [field for field in fields if field[0] != "content-length"]
        return Headers(fields, sensitive=self._sensitive)

    def _check_open(self) -> None:
        if self._ended:
            raise LocalProtocolError("the response has ended")


def _several(value: HeaderValue) -> Sequence[str | int]:
    return [value] if isinstance(value, str | int) else value
