"""The header section of a response as it will be sent: what a handler gave, checked, with content-length and date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._checks import NO_CONTENT
from .._errors import LocalProtocolError
from .._wire._headers import Headers
from .._wire._outbound import content_length_of, may_be_remembered, plain_key, response_fields

if TYPE_CHECKING:
    from .._errors import AnyStream
    from .._wire._headers import HeadersInput, RawField

_MAX_REMEMBERED: Final = 256


class ResponseHead:
    """The header section of one response. Equal responses share one, so nothing may change it."""

    __slots__ = ("fields", "headers", "length", "status")

    def __init__(self, fields: list[RawField], status: int, length: int | None) -> None:
        self.fields = tuple(fields)
        """What is sent: the same object for equal responses, which header compression recognises."""
        self.headers = Headers.from_raw(fields)
        self.status = status
        self.length = length
        """The bytes that the body must have, if they are known."""


_remembered: Final[dict[tuple[object, ...], ResponseHead]] = {}


def response_head(
    headers: HeadersInput | int | None,
    size: int | None,
    *,
    end_stream: bool,
    head: bool,
    date: bytes | None,
    stream_id: int,
    stream: AnyStream | None = None,
) -> ResponseHead:
    """Returns the header section of a response.

    Programs send the same few responses again and again, so the newest are remembered: not long ones, and none with a
    secret in it.

    Args:
        headers: What the handler gave.
        size: The bytes of the body that it gave with them, ``None`` if it gave none.
        end_stream: Whether the response ends with its headers.
        head: Whether it answers a HEAD.
        date: The field ``date``, which is added unless it is given; ``None``: not at all.
        stream_id: For errors.
        stream: For errors.

    Raises:
        TypeError, ValueError: A header or the status is not allowed, or ``content-length`` contradicts the body.
        LocalProtocolError: The status allows no content.
    """
    key = plain_key(headers)
    if key is None:
        return _make(headers, size, end_stream=end_stream, head=head, date=date, stream_id=stream_id, stream=stream)
    whole_key = (key, size, end_stream, head, date)
    found = _remembered.get(whole_key)
    if found is None:
        found = _make(headers, size, end_stream=end_stream, head=head, date=date, stream_id=stream_id, stream=stream)
        if may_be_remembered(found.fields):
            if len(_remembered) >= _MAX_REMEMBERED:
                _remembered.clear()
            _remembered[whole_key] = found
    return found


def _make(
    headers: HeadersInput | int | None,
    size: int | None,
    *,
    end_stream: bool,
    head: bool,
    date: bytes | None,
    stream_id: int,
    stream: AnyStream | None = None,
) -> ResponseHead:
    fields = response_fields(headers)
    status = int(fields[0][1])
    length = _settle_length(fields, status, size, end_stream=end_stream, head=head, stream_id=stream_id, stream=stream)
    # RFC 9110 §6.6.1: "An origin server with a clock MUST generate a Date header field in all 2xx (Successful),
    # 3xx (Redirection), and 4xx (Client Error) responses".
    if date is not None and not any(name == b"date" for name, _ in fields):
        fields.append((b"date", date))
    return ResponseHead(fields, status, length)


def _settle_length(
    fields: list[RawField],
    status: int,
    size: int | None,
    *,
    end_stream: bool,
    head: bool,
    stream_id: int,
    stream: AnyStream | None,
) -> int | None:
    """Returns content-length, which is added if a body is given, and checked against it."""
    named = content_length_of(fields)
    expected = 0 if size is None and end_stream else size
    if status in NO_CONTENT:
        if size:
            raise LocalProtocolError(
                f"a response with status {status} has no content", stream_id=stream_id, stream=stream
            )
        if status == 304:
            return named  # RFC 9110 §8.6: what a 200 response would have had
        expected = 0
    elif size is not None and named is None:
        fields.append((b"content-length", b"%d" % size))
        return size
    if expected is not None and named not in (None, expected) and not head:
        raise ValueError(f"content-length is {named}, the body has {expected} bytes")
    return named
